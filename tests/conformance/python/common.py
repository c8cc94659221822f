"""What both programs of this folder need: steps that are told apart, and the
users that the script hands over."""

import hashlib
import json
import os
import re
import sys
import time
from datetime import datetime, timezone

import httpx

BASE = os.environ["BASE"]
LIMITED = os.environ["LIMITED"]
KEY = os.environ["KEY"]
POOR_KEY = os.environ["POOR_KEY"]
with open(os.environ["DATA"], encoding="utf-8") as file:
    DATA = json.load(file)
PLATFORM = DATA["platform"]
USERS = DATA["users"]

failures = 0


def step(name):
    """Runs the function below it as one step, and goes on whatever comes of it."""

    def run(function):
        global failures
        try:
            function()
            print(f"ok {name}", flush=True)
        except Exception as error:  # whatever it is, it is this step's
            failures += 1
            why = " ".join(f"{type(error).__name__} {error}".split())
            print(f"FAIL {name}: {why[:600]}", flush=True)

    return run


def finish():
    sys.exit(1 if failures else 0)


def demand(condition, why):
    if not condition:
        raise AssertionError(why)


def same(one, other, what):
    demand(one == other, f"{what}: {one!r} is not {other!r}")


def refused(kind, call):
    """What a call was refused with, which must be of this kind."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"the call was not refused with {kind.__name__}")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def picture(url):
    """The digest of the bytes behind a public picture's URL, which needs no key."""
    answer = httpx.get(url)
    demand(answer.status_code == 200, f"{url} answers {answer.status_code}")
    return digest(answer.content)


def put(url, headers, data):
    """Sends bytes to a presigned URL, with exactly the headers told."""
    answer = httpx.put(url, headers=headers, content=data)
    demand(answer.status_code == 200, f"storage answers {answer.status_code}")


def until_ready(retrieve):
    for _ in range(40):
        file = retrieve()
        if file.upload_status != "processing":
            return file
        time.sleep(0.25)
    raise AssertionError("the file is never ready")


def lives_an_hour(token, expires_at):
    demand(token.count(".") == 2, "the token is no JWT")
    life = (expires_at - datetime.now(timezone.utc)).total_seconds()
    demand(3000 < life <= 3600, f"it lives {life} s")


def names_a_delay(text):
    demand(re.search(r"Try again in \d+ seconds?\.", text), text)
