"""A stand-in for the comment and issue parts of GitHub's and GitLab's APIs:
real HTTP, everything kept in memory and shown at /state."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ENTRIES = {}  # list path -> [entry]
NEXT = [1]


class Platform(BaseHTTPRequestHandler):
    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_one(self):
        path = urlsplit(self.path).path
        if path == "/state":
            return self.answer(200, ENTRIES)
        if "token-1" not in (self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""):
            return self.answer(401, {"message": "no token"})
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        if self.command == "GET":
            entries = ENTRIES.get(path, [])
            open_only = "state=open" in self.path
            return self.answer(200, [e for e in entries if not open_only or e["state"] == "open"])
        if self.command == "POST":
            login = self.headers.get("X-Login", "github-actions[bot]")
            entry = {"id": NEXT[0], "number": NEXT[0], "state": "open", "user": {"login": login}, "edits": 0, **body}
            NEXT[0] += 1
            ENTRIES.setdefault(path, []).append(entry)
            return self.answer(201, entry)
        number = int(path.rsplit("/", 1)[1])
        for entries in ENTRIES.values():
            for entry in entries:
                if entry["id"] == number:
                    entry.update(body)
                    entry["edits"] += 1
                    return self.answer(200, entry)
        return self.answer(404, {"message": "not found"})

    do_GET = do_POST = do_PATCH = do_PUT = handle_one

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
with open(sys.argv[1], "w", encoding="utf-8") as file:
    file.write(str(server.server_address[1]))
server.serve_forever()
