"""A stand-in for the comment and issue parts of GitHub's and GitLab's APIs:
real HTTP, real pages, everything kept in memory and shown at /state. A path
below /api/v4 is GitLab's."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ENTRIES = {}  # list path -> [entry]
NEXT = [1]
# Whose a token is. The first one is the token of a workflow, which may not ask
# GitHub who it is.
OWNERS = {"token-1": "github-actions[bot]", "token-robot": "robot", "token-mallory": "mallory"}


class Platform(BaseHTTPRequestHandler):
    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_one(self):
        parts = urlsplit(self.path)
        path, query = parts.path, {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if path == "/state":
            return self.answer(200, ENTRIES)
        gitlab = path.startswith("/api/v4/")
        token = self.headers.get("PRIVATE-TOKEN") if gitlab else (self.headers.get("Authorization") or "")[7:]
        if token not in OWNERS:
            return self.answer(401, {"message": "no token"})
        owner = OWNERS[token]
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        if self.command == "GET" and path in ("/user", "/api/v4/user"):
            if owner.endswith("[bot]") and not gitlab:
                return self.answer(403, {"message": "Resource not accessible by integration"})
            return self.answer(200, {"username" if gitlab else "login": owner})
        if self.command == "GET":
            entries = [e for e in ENTRIES.get(path, []) if query.get("state", e["state"]) == e["state"]]
            if gitlab and query.get("sort", "desc") == "desc":
                entries.reverse()
            size = min(int(query.get("per_page", 20 if gitlab else 30)), 100)
            begin = (int(query.get("page", 1)) - 1) * size
            return self.answer(200, entries[begin:begin + size])
        if self.command == "POST":
            who = {"author": {"username": owner}} if gitlab else {"user": {"login": owner}}
            entry = {"id": NEXT[0], "number": NEXT[0], "state": "open", "edits": 0, **who, **body}
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
