// Makes the reports that are looked at: a small platform on the emulator, with
// names and pictures that mean harm, before and after somebody changed things.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const HOSTILE_NAMES = [
  `<script>window.pwned=1</script>`,
  `"><img src=x onerror=window.pwned=1>`,
  `</style><script>window.pwned=1</script>`,
  `</script><svg onload=window.pwned=1>`,
  `\u202egnp.exe`,
  `<!--`,
  `javascript:window.pwned=1`,
  `{{constructor.constructor('window.pwned=1')()}}`,
];

const VERSION = "2026-10-15-1";
const COMPANY = "biz_ExamplePlatform";

function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
  }
  return ~sum >>> 0;
}

/// A PNG with a script between its chunks and another one behind its end.
function withScripts(png) {
  const note = Buffer.from("tEXtComment\0<script>window.pwned=1</script>");
  const chunk = Buffer.alloc(note.length + 8);
  chunk.writeUInt32BE(note.length - 4, 0);
  note.copy(chunk, 4);
  chunk.writeUInt32BE(crc(note), note.length + 4);
  return Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33), Buffer.from("<script>window.pwned=1</script>")]);
}

/// A PNG whose pixels are noise: whole on the outside, broken inside.
function brokenInside(png) {
  const broken = Buffer.from(png);
  const at = broken.indexOf("IDAT");
  randomBytes(64).copy(broken, at + 12);
  return broken;
}

export async function makeScene(program, root) {
  const folder = mkdtempSync(join(tmpdir(), "whop-sync-look-"));
  const manifest = join(folder, "users.yaml");
  const sync = (args, status) => {
    const ran = spawnSync(program, args, {
      cwd: folder,
      encoding: "utf8",
      env: { PATH: process.env.PATH, WHOP_API_KEY: "key", NO_COLOR: "1" },
      timeout: 120_000,
    });
    if (ran.status !== status) {
      throw new Error(`whop-sync ${args.join(" ")} ended with ${ran.status}, not ${status}:\n${ran.stdout}\n${ran.stderr}`);
    }
    return ran;
  };

  mkdirSync(join(folder, "examples"));
  cpSync(join(root, "examples/avatars"), join(folder, "examples/avatars"), { recursive: true });
  const jane = readFileSync(join(folder, "examples/avatars/jane.png"));
  writeFileSync(join(folder, "scripts.png"), withScripts(jane));
  const example = readFileSync(join(root, "users.example.yaml"), "utf8");
  const hostile = HOSTILE_NAMES.map(
    (name, at) =>
      `  - { id: "hostile_${at}", email: "hostile${at}@shop.test", name: ${JSON.stringify(name)}, ` +
      `title: ${JSON.stringify(`T ${name}`)}, avatar: scripts.png, metadata: { note: ${JSON.stringify(name)} } }\n`,
  ).join("");
  writeFileSync(manifest, example + hostile);

  const emulator = spawn(program, ["emulator", "--deliver-anything", "--port", "0", "--state", join(folder, "state.jsonl"), "--rate", "0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const base = await new Promise((resolve, reject) => {
    emulator.stdout.once("data", (line) => resolve(String(line).trim()));
    emulator.once("exit", () => reject(new Error("the emulator did not start")));
  });
  const ask = async (method, path, body) => {
    const answer = await fetch(base + path, {
      method,
      headers: { authorization: "Bearer key", "api-version-date": VERSION, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  };
  const upload = async (bytes) => {
    const file = await ask("POST", "/files", { filename: "p.png", visibility: "public" });
    const put = await fetch(file.upload_url, { method: "PUT", headers: file.upload_headers, body: bytes });
    if (!put.ok) throw new Error(`upload: ${put.status}`);
    for (let tries = 0; tries < 100; tries += 1) {
      const { upload_status: status } = await ask("GET", `/files/${file.id}`);
      if (status === "ready") return file.id;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the picture is never ready");
  };

  try {
    const on = ["-f", manifest, "--mapping", join(folder, "map.jsonl"), "--server", base, "-q"];
    sync(["apply", ...on, "--yes", "--report", "applied.html"], 0);

    // Somebody changes things on Whop.
    const known = readFileSync(join(folder, "map.jsonl"), "utf8")
      .split("\n")
      .slice(1)
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    const user = (id) => known.find((entry) => entry.id === id);
    const change = (id, fields) => ask("PATCH", `/users/${user(id).user_id}?account_id=${COMPANY}`, fields);
    const nikos = readFileSync(join(folder, "examples/avatars/olena.png"));
    await change("user_10003", { name: `Nikos <img src=x onerror="window.pwned=1">`, profile_picture: { id: await upload(withScripts(nikos)) } });
    await change("user_10006", { profile_picture: { id: await upload(brokenInside(jane)) } });
    await change("hostile_0", { name: `<b>\u202ebold</b>` });
    await ask("POST", "/accounts", { email: "other@shop.test", title: `<u>Another "shop"</u>`, metadata: {} });

    // And somebody edits the manifest.
    const edited = example
      .replace("name: Jane Holloway", "name: Jane Holloway-Smith")
      .replace("avatar: examples/avatars/jane.png", "avatar: examples/avatars/xiaoyu.jpeg")
      .replace("email: ase@example.com", "email: ase.nordstrom@example.com")
      .replace("tier: platinum", "tier: gold")
      .replace("name: ليلى حداد", "name: ليلى الحداد")
      .replace("avatar: examples/avatars/aarav.jpg", "avatar: examples/avatars/nikos.jpg");
    const fresh = `  - { id: user_20001, email: new@shop.test, name: "New <i>Person</i>", avatar: examples/avatars/on.png }\n`;
    writeFileSync(manifest, edited + hostile + fresh);
    sync(["plan", ...on, "--report", "plan.html", "--report", "plan.json"], 0);
    sync(["plan", ...on, "--report", "again.html"], 0);
    writeFileSync(manifest, "guardrails: { max_updates: 1 }\n" + edited + hostile + fresh);
    sync(["plan", ...on, "--report", "refused.html"], 3);

    // Many.
    const many = Array.from(
      { length: 8_000 },
      (_, at) => `  - { id: "m${at}", email: "m${at}@shop.test", name: "Person ${at}", avatar: examples/avatars/${["on.png", "jane.png", "nikos.jpg"][at % 3]} }\n`,
    ).join("");
    writeFileSync(join(folder, "many.yaml"), `version: 1\ncompany: ${COMPANY}\nusers:\n${many}`);
    sync(["plan", "-f", "many.yaml", "--server", "emulator", "-q", "--report", "many.html"], 0);
  } finally {
    emulator.kill("SIGINT");
    await new Promise((resolve) => emulator.once("exit", resolve));
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
