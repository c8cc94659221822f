#!/bin/sh
# Lets a real editor's language server complete and check what `init` writes.
# Needs node and npm, and fetches yaml-language-server from npm into a
# temporary folder; so it is not part of `cargo test`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cargo build --quiet --manifest-path "$root/Cargo.toml"
target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit yaml-language-server >/dev/null
cat >ask.js <<'JS'
// Opens users.yaml, prints what is wrong with it and what can stand at a place.
const { spawn } = require('child_process'), fs = require('fs'), path = require('path');
const file = path.resolve('users.yaml'), uri = 'file://' + file, text = fs.readFileSync(file, 'utf8');
const server = spawn('node', ['node_modules/yaml-language-server/bin/yaml-language-server', '--stdio']);
const send = (message) => {
  const body = JSON.stringify({ jsonrpc: '2.0', ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
};
const end = (status) => { server.kill(); process.exit(status); };
let problems = [];
const on = (message) => {
  if (message.method === 'workspace/configuration') send({ id: message.id, result: message.params.items.map(() => null) });
  else if (message.method && message.id !== undefined) send({ id: message.id, result: null });
  else if (message.method === 'textDocument/publishDiagnostics')
    problems = message.params.diagnostics.map((d) => `${d.range.start.line + 1}: ${d.message}`);
  else if (message.id === 0) {
    send({ method: 'initialized', params: {} });
    send({ method: 'textDocument/didOpen', params: { textDocument: { uri, languageId: 'yaml', version: 1, text } } });
    const position = { line: +process.argv[2], character: +process.argv[3] };
    const ask = () => send({ id: 1, method: 'textDocument/completion', params: { textDocument: { uri }, position } });
    setTimeout(ask, 2500);
  } else if (message.id === 1) {
    problems.forEach((problem) => console.log('problem', problem));
    console.log('offers', (message.result.items || message.result || []).map((item) => item.label).join(' '));
    end(0);
  }
};
let buffer = Buffer.alloc(0);
server.stdout.on('data', (data) => {
  buffer = Buffer.concat([buffer, data]);
  for (;;) {
    const head = buffer.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = +/Length: (\d+)/.exec(buffer.slice(0, head))[1];
    if (buffer.length < head + 4 + length) return;
    const message = JSON.parse(buffer.slice(head + 4, head + 4 + length));
    buffer = buffer.slice(head + 4 + length);
    on(message);
  }
});
send({ id: 0, method: 'initialize', params: { processId: null, rootUri: 'file://' + process.cwd(), capabilities: {} } });
setTimeout(() => end(1), 30000);
JS
expect() { # what it says about the manifest, and a line that must or must not be there
  said=$(node ask.js "$1" "$2")
  echo "$said"
  echo "$said" | grep -q "$3" || { echo "FAILED: no line like: $3" >&2; exit 1; }
}
"$target/debug/whop-sync" init >/dev/null
expect 10 0 '^offers .*guardrails'
! node ask.js 10 0 | grep -q '^problem' || { echo "FAILED: the first manifest has problems" >&2; exit 1; }
printf '%s\n' "$(head -1 users.yaml)" 'version: 1' 'company: biz_p' 'users:' '  - id: 007' '    nmae: Jane' '    ' >users.yaml
expect 6 4 '^problem 6: Property nmae is not allowed'
expect 6 4 '^offers .*email.*name'
echo "ok: completed and checked"
