"""What the scripts of tests/conformance and tests/contract share: installing
below target/conformance, the program under test, and a served emulator."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
WORK = TARGET / "conformance"
# Which of the emulator's two sets of answers: as documented, or as recorded.
DOCUMENTED = os.environ.get("WHOP_SYNC_ANSWERS") == "documented"


def say(text):
    print(text, flush=True)


def command(arguments, **options):
    """Runs a command that must succeed; what it prints is shown only if not."""
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        say(done.stdout)
        raise SystemExit(f"{' '.join(map(str, arguments))}: exit {done.returncode}")
    return done.stdout


def once(folder, *inputs):
    """Whether the folder still has to be made for these inputs. It is marked by `made`."""
    stamp = hashlib.sha256("\0".join(inputs).encode()).hexdigest()
    mark = folder / ".made-for"
    if mark.exists() and mark.read_text() == stamp:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return lambda: mark.write_text(stamp)


def node_modules(folder, package, lock):
    """A folder with exactly the packages of a lock file; returns it."""
    if made := once(folder, package.read_text(), lock.read_text()):
        shutil.copy(package, folder / "package.json")
        shutil.copy(lock, folder / "package-lock.json")
        command(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
        made()
    return folder


def virtual_environment(name, requirements):
    """A virtual environment with exactly these packages; returns its python."""
    folder = WORK / f"venv-{name}"
    text = requirements.read_text()
    if made := once(folder, text, sys.version):
        command([sys.executable, "-m", "venv", str(folder)])
        command([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check",
                 "--no-deps", "-r", str(requirements)])
        made()
    return str(folder / "bin" / "python")


def program():
    """The program under test."""
    given = os.environ.get("WHOP_SYNC")
    if given:
        return str(Path(given).resolve())
    command(["cargo", "build", "--quiet"], cwd=ROOT)
    return str(TARGET / "debug" / "whop-sync")


class Emulator:
    """A served emulator for as long as the block lasts."""

    def __init__(self, whop_sync, folder, name, *options, documented=DOCUMENTED):
        if documented:
            options = ("--documented", *options)
        self.exchanges = folder / f"{name}.exchanges.jsonl"
        self.errors = (folder / f"{name}.log").open("w")
        self.process = subprocess.Popen(
            [whop_sync, "emulator", "--deliver-anything", "--port", "0",
             "--state", str(folder / f"{name}.state.jsonl"), *options],
            stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env={**os.environ, "WHOP_SYNC_EXCHANGES": str(self.exchanges)},
        )
        self.base = self.process.stdout.readline().strip()
        if not self.base.startswith("http://"):
            raise SystemExit(f"the emulator did not start: {(folder / f'{name}.log').read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.errors.close()

    def calls(self):
        """How many requests came, by anybody but whop-sync itself."""
        lines = self.exchanges.read_text().splitlines() if self.exchanges.exists() else []
        agents = (json.loads(line)["headers"].get("user-agent", "") for line in lines)
        return sum(not agent.startswith("whop-sync/") for agent in agents)


def introduce(emulator, key, platform):
    """Mentions a platform, which makes it the key's own."""
    command(["curl", "--silent", "--show-error", "--fail", "-H", f"Authorization: Bearer {key}",
             f"{emulator.base}/permissions?resource_id={platform}", "-H", "Api-Version-Date: 2026-10-15-1"])
