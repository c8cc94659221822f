"""Holds recorded exchanges against the API's description, by openapi-core.

    judge.py EXCHANGES.jsonl…

Every answer of the emulator's is judged, and every request that whop-sync made
(those that tests write by hand are wrong on purpose). A fault's answers are
made up and left out. Of exchanges that differ in nothing but ids, times,
digests and numbered names one is judged for all.

What whop-sync sends is held against more than the description demands of
anybody: nothing but listed fields and parameters, a version on every request,
and the place for the platform's id that belongs to the version.

Prints a table by operation. Exits with 1 for anything that does not fit, and
for an operation of the client's that was never seen."""

import collections
import copy
import json
import multiprocessing
import re
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import yaml
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

DESCRIPTION = Path(__file__).with_name("whop-openapi.yaml")
HOST = "https://api.whop.com"

# The one parameter that is unknown on purpose (`doctor --probe`).
PROBE = "whop_sync_probe"

# What differs between exchanges that are alike. Each is replaced by another
# text of the same kind, so that what is judged was said, up to these.
ALIKE = [
    (re.compile(r"\b(biz|user|file|req)_[A-Za-z0-9]{6,}"), r"\1_x0000000"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "2026-10-20T09:00:00.000Z"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+\d\d:\d\d"), "2026-10-20T11:00:00+02:00"),
    (re.compile(r"(/pictures/placeholder\?name=)[\w-]+"), r"\1x"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:1"),
    (re.compile(r"(/pictures/\w+)/\w+(\?v=\d+)?"), r"\1/x"),
    (re.compile(r"\b[0-9a-f]{8,64}\b"), "0000000000000000"),
    (re.compile(r"\b(u|face|user|shop|Shop )-?\d+"), r"\g<1>1"),
]

# The operations of the client's, by the names that it and the emulator use.
OURS = """list_accounts create_account retrieve_account update_account
list_companies create_company retrieve_company update_company
retrieve_user update_user create_file list_files retrieve_file upload_file list_permissions""".split()

# Paths that the emulator has besides the description's, as the official SDKs do.
UNDESCRIBED = {"suspend_account", "search_accounts", "list_scopes"}

# The oldest dated version whose shapes the description gives; between it and
# the stable one nothing is described.
FLOOR = "2026-08-21-1"
STABLE = "2025-01-01"


def alike(text):
    for pattern, same in ALIKE:
        text = pattern.sub(same, text)
    return text


def form(line):
    """What an exchange comes down to; `None` for a line that a killed process tore."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    headers = said["headers"]
    version = headers.get("api-version-date")
    ours = headers.get("user-agent", "").startswith("whop-sync/")
    request = (
        said["operation"], said["method"], alike(said["path"]), version, alike(said["body"]), said["keyed"], ours,
        headers.get("content-type"), alike(headers.get("idempotency-key") or ""),
    )
    if said["answer"] is None:
        return request, None
    answered = said["answer_headers"]
    kept = tuple((name, answered[name]) for name in ("content-type", "idempotent-replayed") if name in answered)
    tag = "etag" in answered
    return request, (said["status"], kept, tag, alike(said["answer"]))


def forms(path_and_part):
    """Counts the forms in one part of a file."""
    path, begin, end = path_and_part
    counted, torn = collections.Counter(), 0
    with open(path, "rb") as file:
        file.seek(begin)
        if begin:
            file.readline()
        while file.tell() <= end and (line := file.readline()):
            found = form(line)
            if found is None:
                torn += 1
            else:
                counted[found] += 1
    return counted, torn


def parts(path):
    """A file in as many parts as there are processors; a line belongs to where it begins."""
    size, count = Path(path).stat().st_size, multiprocessing.cpu_count()
    bounds = [size * n // count for n in range(count + 1)]
    return [(path, begin, end) for begin, end in zip(bounds, bounds[1:])]


class Request:
    """What openapi-core asks of a request."""

    def __init__(self, form):
        _, method, path, version, body, keyed, _, kind, key = form
        split = urlsplit(path)
        headers = {"Api-Version-Date": version, "Idempotency-Key": key or None,
                   "Authorization": "Bearer x" if keyed else None}
        self.host_url = HOST
        self.path = split.path
        self.method = method.lower()
        self.body = body.encode() or None
        self.content_type = kind or "application/json"
        self.query = parse_qsl(split.query, keep_blank_values=True)
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(self.query),
            header=Headers({name: value for name, value in headers.items() if value is not None}),
            cookie=ImmutableMultiDict({}),
        )


class Answer:
    """What openapi-core asks of an answer."""

    def __init__(self, form):
        self.status_code, headers, _, text = form
        self.headers = Headers(list(headers))
        self.content_type = self.headers.get("content-type", "").split(";")[0]
        self.data = text.encode()


def strict(document, legacy, ours, closed=True):
    """The description of one of the two generations, with nothing but listed
    fields unless `closed` is false; if `ours`, as whop-sync has to keep it, which
    always sends the version and, where it counts, an idempotency key."""

    def close(node):
        if isinstance(node, dict):
            if node.get("x-client-sends-only-listed"):
                node["additionalProperties"] = False
            for value in node.values():
                close(value)
        elif isinstance(node, list):
            for value in node:
                close(value)

    document = copy.deepcopy(document)
    if closed:
        close(document)
    else:
        # It is unknown there, and unknown fields are ignored.
        del document["components"]["schemas"]["UpdateUser"]["properties"]["company_id"]
    if ours:
        document["components"]["parameters"]["ApiVersionDate"]["required"] = True
        document["components"]["parameters"]["IdempotencyKey"]["required"] = True
    user = document["paths"]["/users/{id}"]
    # Profiles are public.
    user["get"]["security"] = [{"bearerAuth": []}, {}]
    body = user["patch"]["requestBody"]["content"]["application/json"]
    body["schema"] = {"$ref": f"#/components/schemas/UpdateUser{'Legacy' if legacy else ''}"}
    if legacy:
        user["patch"]["parameters"] = []
        if not ours:
            # Left out by anybody else it names the person's global profile, which the API allows.
            del document["components"]["schemas"]["UpdateUserLegacy"]["required"]
        # Idempotency keys are ignored there, whatever they are.
        key = {"$ref": "#/components/parameters/IdempotencyKey"}
        for path in document["paths"].values():
            for operation in (path[method] for method in ("post",) if method in path):
                operation["parameters"] = [p for p in operation.get("parameters", []) if p != key]
    else:
        user["patch"]["parameters"][0]["required"] = True
    stale = "account_id" if legacy else "company_id"
    user["get"]["parameters"] = [p for p in user["get"]["parameters"] if p["name"] != stale]
    other = "current" if legacy else "legacy"
    for path in document["paths"].values():
        for method in [name for name, value in path.items() if isinstance(value, dict)]:
            # New endpoints are there in every version, and the older generation
            # has none of its own for this question.
            is_asked = ours and path[method].get("operationId") == "retrieveOwnAccount"
            if path[method].get("x-generation") == other and not is_asked:
                del path[method]
    return document


class Judge:
    def __init__(self):
        document = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
        self.everybody = OpenAPI.from_dict(document)
        self.ours = {legacy: OpenAPI.from_dict(strict(document, legacy, True)) for legacy in (False, True)}
        self.document = document

    def names(self, request):
        """The query parameters that the operation has."""
        names = set()
        for template, item in self.document["paths"].items():
            pattern = "/api/v1" + re.sub(r"\{\w+\}", "[^/]+", template)
            if re.fullmatch(pattern, request.path) and request.method in item:
                listed = item.get("parameters", []) + item[request.method].get("parameters", [])
                for parameter in listed:
                    if "$ref" in parameter:
                        parameter = self.document["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
                    if parameter["in"] == "query":
                        names.add(parameter["name"])
        return names

    def request(self, form):
        """Why a request of ours does not fit, or `None`."""
        request = Request(form)
        stray = {name for name, _ in request.query} - self.names(request) - {PROBE}
        if stray:
            return f"unlisted parameters {sorted(stray)}"
        try:
            self.ours[form[3] == STABLE].validate_request(request)
        except Exception as error:  # openapi-core has many kinds; each is a misfit
            return told(error)
        return None

    def answer(self, request, answer):
        """Why an answer does not fit, or `None`."""
        try:
            self.everybody.validate_response(Request(request), Answer(answer))
        except Exception as error:
            return told(error)
        return None


def told(error):
    causes = [str(cause) for cause in getattr(error, "schema_errors", None) or []]
    cause = error.__cause__
    if cause is not None:
        causes += [str(inner.message) for inner in getattr(cause, "schema_errors", None) or []] or [str(cause)]
    return " ".join(f"{type(error).__name__} {error}: {'; '.join(causes)}".split())[:700]


def upload(request, answer):
    """Storage is no part of the API's paths: the description gives it as a path
    item of its own, which is held against by hand."""
    status, _, tag, _ = answer
    if status == 200 and (request[5] or not request[7] or not tag):
        return "an upload with a key, without its type, or answered without an ETag"
    return None


def described(version):
    return version in (None, STABLE) or version_key(version) >= version_key(FLOOR)


def version_key(version):
    """A place in the order of versions. Only for those that the emulator knows, whose order is that of their text."""
    day, _, count = version[:10], version[10:11], version[11:]
    return day, int(count or 0)


def main(paths):
    counted, torn = collections.Counter(), 0
    with multiprocessing.Pool() as pool:
        for part, lost in pool.imap_unordered(forms, [part for path in paths for part in parts(path)]):
            counted += part
            torn += lost
    judge = Judge()
    table = collections.defaultdict(lambda: [0, 0, 0, 0])
    failures, left, verdicts = [], collections.Counter(), {}
    for (request, answer), count in sorted(counted.items(), key=repr):
        operation, version = request[0], request[3]
        if operation is None:
            left["paths that the API does not have"] += count
            continue
        if operation in UNDESCRIBED:
            left["answers at paths that are not described"] += count
            continue
        row = table[operation]
        ours = request[6] if operation != "upload_file" else answer is not None and answer[0] == 200
        if ours:
            if request not in verdicts:
                verdicts[request] = None if operation == "upload_file" else judge.request(request)
                row[1] += 1
            row[0] += count
            if verdicts[request]:
                failures.append((operation, "request", verdicts[request], request[2] + " " + request[4][:300]))
        if answer is None:
            left["answers that a fault made up or swallowed"] += count
            continue
        # An unknown version is refused before there is a shape to speak of.
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(-\d+)?", version or STABLE) or not described(version):
            left["answers in versions that are not described"] += count
            continue
        row[2] += count
        row[3] += 1
        why = upload(request, answer) if operation == "upload_file" else judge.answer(request, answer)
        if why:
            failures.append((operation, f"answer {answer[0]}", why, f"{request[1]} {request[2]} {answer[3][:300]}"))
    for operation, what, why, shown in failures[:40]:
        print(f"MISFIT {operation}, {what}: {why}\n       {shown}")
    if len(failures) > 40:
        print(f"… and {len(failures) - 40} more")
    print(f"{'operation':20} {'requests':>9} {'forms':>6} {'answers':>9} {'forms':>6}")
    for operation, (requests, request_forms, answers, answer_forms) in sorted(table.items()):
        print(f"{operation:20} {requests:9} {request_forms:6} {answers:9} {answer_forms:6}")
    for what, count in sorted(left.items()):
        print(f"left out: {count} {what}")
    if torn:
        print(f"left out: {torn} lines torn by a killed process")
    unseen = [operation for operation in OURS if 0 in (table[operation][0], table[operation][2])]
    for operation in unseen:
        print(f"UNSEEN {operation}: nothing was judged")
    return 1 if failures or unseen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
