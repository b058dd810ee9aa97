#!/usr/bin/python3
"""Holds what goes over the wire to docs/openapi.yaml and docs/asyncapi.yaml. A test tells rest() of each request and its answer, and a
Connection of each message; take() says what does not agree, a sentence each. What a client sends may be anything, but what the server
takes must be allowed there, and what it calls bad must not.

contract.py does the same for what others have recorded, and fails where it finds something.
--records FILE: a JSON object a line, of a request {method, target, body, status, headers, answer} (headers: pairs), of a WebSocket
    {connection, v1}, or of a message on it {connection, sent} or {connection, received}.
--fields FILE: each request as seven fields, with a NUL behind each: method, target, 1 where the body is known, body, status, the
    answer's head, its body.

What was seen of both documents goes into a file in the folder CONTRACT_SEEN, where there is one, for tests/contract/coverage."""

import atexit
import json
import os
import posixpath
import re
import sys
import tempfile
from collections import deque
from pathlib import Path
from urllib.parse import unquote

import fastjsonschema
import yaml

ROOT = Path(__file__).resolve().parents[2]

# What HTTP itself is made of, and TLS, and who says that it is lighttpd.
TRANSPORT = {"connection", "content-length", "content-type", "date", "keep-alive", "server", "strict-transport-security",
             "transfer-encoding"}

# The page and its files, and a certificate authority's challenges, which are no part of the contract: as in lighttpd.conf.
PAGE = re.compile(r"/([A-Za-z0-9_-]*[A-Za-z]\.(html|js|css|svg|png)|\.well-known/acme-challenge/[A-Za-z0-9_-]+)?")

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}

FOUND_MAX = 20

found = []
seen = set()


def take():
    """What has been found since the last time; of very much, the first."""
    taken = list(dict.fromkeys(found))
    found.clear()
    return taken[:FOUND_MAX] + ([f"and {len(taken) - FOUND_MAX} more"] if len(taken) > FOUND_MAX else [])


@atexit.register
def write_seen():
    folder = os.environ.get("CONTRACT_SEEN")
    if folder and seen:
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".seen", delete=False) as file:
            file.writelines(f"{key}\n" for key in sorted(seen))


class Document:
    """One of the two files, with all that it refers to put in its place."""

    def __init__(self, name):
        self.name = f"docs/{name}"
        with open(ROOT / self.name, encoding="utf-8") as file:
            self.root = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.targets = {}  # by reference
        self.whole = self.resolve(self.root)
        self.validators = {}

    def resolve(self, node):
        if isinstance(node, list):
            return [self.resolve(item) for item in node]
        if not isinstance(node, dict):
            return node
        rest = {key: self.resolve(value) for key, value in node.items() if key != "$ref"}
        if "$ref" not in node:
            return rest
        target = self.target(node["$ref"])
        return {**target, **rest} if rest else target

    def target(self, reference):
        """What it refers to, with the last word of the reference as its "$ref"."""
        if reference not in self.targets:
            node = self.root
            for step in reference.removeprefix("#/").split("/"):
                node = node[step.replace("~1", "/").replace("~0", "~")]
            self.targets[reference] = {**self.resolve(node), "$ref": reference.rpartition("/")[2]}
        return self.targets[reference]

    def trouble(self, schema, value):
        """Why VALUE does not fit SCHEMA, a part of `whole`; None: it does."""
        validator = self.validators.get(id(schema))
        if validator is None:
            validator = self.validators[id(schema)] = fastjsonschema.compile(without_refs(schema))
        try:
            validator(value)
        except fastjsonschema.JsonSchemaException as e:
            return e.message
        return None


def without_refs(node):
    if isinstance(node, list):
        return [without_refs(item) for item in node]
    if isinstance(node, dict):
        return {key: without_refs(value) for key, value in node.items() if key != "$ref"}
    return node


def alternatives(schema):
    """The schemas of which one must fit, with what all of them share put into each, as far as members go."""
    ways = [{}]
    for part in [{"properties": schema.get("properties", {})}, *schema.get("allOf", [])]:
        own = alternatives(part) if "allOf" in part or "anyOf" in part else [part.get("properties", {})]
        ways = [{**way, **{k: {**way.get(k, {}), **v} for k, v in more.items()}} for way in ways for more in own]
    if "anyOf" in schema:
        ways = [{**way, **{k: {**way.get(k, {}), **v} for k, v in more.items()}} for way in ways
                for option in schema["anyOf"] for more in alternatives(option)]
    return ways


def values(schema):
    """Those that an enum or a const allows."""
    return schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else []


def strictly(text):
    """JSON, or ValueError."""
    def no_constant(name):
        raise ValueError(name)
    return json.loads(text, parse_constant=no_constant)


# REST ---------------------------------------------------------------------------------------------------------------------

class Rest:
    def __init__(self):
        self.document = Document("openapi.yaml")
        self.paths = self.document.whole["paths"]
        self.refusals = self.document.whole["components"]["responses"]["Lighttpd"]

    def responses_for(self, method, path, status):
        """(what this operation is called, the operation or None, its responses)."""
        if status == 308:
            return "x-without-tls", None, {"308": self.document.whole["x-without-tls"]}
        item = self.paths.get(path)
        others = {"503": self.document.whole["components"]["responses"]["Unavailable"], "default": self.refusals}
        if item is None:
            return "x-other-paths", None, {"404": self.document.whole["x-other-paths"], **others}
        if method == "HEAD" and "head" in item:
            method = "GET"
        operation = item.get(method.lower())
        if operation is None:
            return "x-other-methods", None, {"405": self.document.whole["x-other-methods"], **others}
        return f"{method} {path}", operation, operation["responses"]

    def exchange(self, method, target, body, status, headers, answer):
        path = normalised(target)
        if PAGE.fullmatch(path):
            return
        name, operation, responses = self.responses_for(method, path, status)
        response = responses.get(str(status)) or responses["default"]
        for sentence in self.check_answer(response, method, status, headers, answer):
            found.append(f"{self.document.name}: {method} {path!a} was answered {status}: {sentence}")
        if method != "HEAD":
            self.note(name, str(status) in responses, status, answer)
        if operation is not None:
            self.check_request(operation, target, body, status, answer)

    def check_answer(self, response, method, status, headers, answer):
        """The sentences for what is wrong with it."""
        headers = {name.lower(): value for name, value in headers}
        kind = headers.get("content-type", "")
        problem = read(answer) if kind == "application/problem+json" else None
        by_lighttpd = problem is not None and problem.get("instance") == "lighttpd"
        for name, header in response.get("headers", {}).items():
            value = headers.get(name.lower())
            if value is None:
                # To HEAD nobody says who has answered.
                if header.get("required") or header.get("x-required-but-of-lighttpd") and not by_lighttpd and method != "HEAD":
                    yield f"it has no {name}"
            elif self.document.trouble(header["schema"], value):
                yield f"its {name} is {value!r}: {self.document.trouble(header['schema'], value)}"
        for name in headers.keys() - TRANSPORT - {name.lower() for name in response.get("headers", {})}:
            yield f"the header field {name} is not documented"
        yield from self.check_content(response, method, status, kind, answer)

    def check_content(self, response, method, status, kind, answer):
        content = response.get("content", {})
        if method == "HEAD" or not content:
            if answer:
                yield f"it has a body: {answer[:200]!r}"
            return
        if kind not in content:
            yield f"its Content-Type is {kind!r}, not {' or '.join(content)}"
            return
        value = read(answer) if kind.endswith("json") else answer.decode("utf-8", "replace")
        if value is None:
            yield f"it is not JSON: {answer[:200]!r}"
            return
        trouble = self.document.trouble(content[kind]["schema"], value)
        if trouble:
            yield f"{trouble}: {answer[:500]!r}"
        elif kind == "application/problem+json" and value["status"] != status:
            yield f"its body says that it is {value['status']}"

    def note(self, name, by_its_status, status, answer):
        problem = read(answer)
        code = problem.get("code") if isinstance(problem, dict) else None
        code = f" {code}" if code else ""
        if code and problem.get("instance") == "lighttpd":
            seen.add(f"lighttpd {status}{code}")
        if by_its_status:
            seen.add(f"{name} {status}{code}")

    def check_request(self, operation, target, body, status, answer):
        """What was taken must be allowed; what was called bad must not."""
        problem = read(answer) if status == 400 else None
        refused = isinstance(problem, dict) and problem.get("code") == "validation_failed"
        if body is None and "requestBody" in operation or not 200 <= status < 300 and not refused:
            return
        trouble = self.trouble_of_query(operation, target) or self.trouble_of_body(operation, body)
        if trouble and not refused:
            found.append(f"{self.document.name}: {operation['operationId']} has taken what it does not allow: {trouble}")
        elif refused and not trouble and body_is_ascii(body):
            found.append(f"{self.document.name}: {operation['operationId']} has refused what it allows: {problem['errors']}")

    def trouble_of_body(self, operation, body):
        if "requestBody" not in operation:
            return None
        value = read(body)
        if value is None:
            return "the body is not JSON"
        return self.document.trouble(operation["requestBody"]["content"]["application/json"]["schema"], value)

    def trouble_of_query(self, operation, target):
        given = [part.partition("=")[::2] for part in target.partition("?")[2].split("&")]
        for parameter in operation.get("parameters", []):
            for name, value in given:
                if parameter["in"] == "query" and name == parameter["name"]:
                    number = int(value) if re.fullmatch("0|[1-9][0-9]*", value) else value
                    trouble = self.document.trouble(parameter["schema"], number)
                    if trouble:
                        return f"{name}={value}: {trouble}"
        return None

    def documented(self):
        """The keys of `seen` that there can be."""
        keys = set()
        for path, item in self.paths.items():
            for method in METHODS & item.keys() - {"head"}:
                keys |= keys_of(f"{method.upper()} {path}", item[method]["responses"])
        keys |= keys_of("x-other-paths", {"404": self.document.whole["x-other-paths"]})
        keys |= keys_of("x-other-methods", {"405": self.document.whole["x-other-methods"]})
        keys |= keys_of("x-without-tls", {"308": self.document.whole["x-without-tls"]})
        for way in alternatives(self.refusals["content"]["application/problem+json"]["schema"]):
            keys |= {f"lighttpd {status} {code}" for status in values(way["status"]) for code in values(way["code"])}
        return keys


def keys_of(name, responses):
    keys = set()
    for status, response in responses.items():
        if status == "default":
            continue
        contents = response.get("content") or {"": {"schema": {}}}
        for kind, content in contents.items():
            if kind != "application/problem+json":
                keys.add(f"{name} {status}")
                continue
            for way in alternatives(content["schema"]):
                # The one that lighttpd alone says, and of whatever was asked.
                keys |= {f"{name} {status} {code}" for code in values(way["code"]) if code != "bad_request"}
    return keys


def normalised(target):
    """The path as lighttpd takes it."""
    target = re.sub("^https?://[^/?]*", "", target)  # absolute-form (RFC 9112 3.2.2)
    path = re.sub("/+", "/", unquote(target.partition("?")[0], errors="replace"))
    clean = posixpath.normpath(path)
    return clean + "/" if path.endswith(("/", "/.", "/..")) and clean != "/" else clean


def read(data):
    """JSON; None where it is none."""
    try:
        return strictly(data)
    except (ValueError, TypeError, RecursionError):
        return None


def body_is_ascii(body):
    """Else bytes are counted, which a schema cannot do."""
    return body is None or json.dumps(read(body), ensure_ascii=False).isascii()


# The WebSocket --------------------------------------------------------------------------------------------------------------

class Socket:
    def __init__(self):
        self.document = Document("asyncapi.yaml")
        self.messages = self.document.whole["components"]["messages"]
        self.close_codes = self.document.whole["channels"]["socket"]["x-close-codes"]
        self.operations = {name: o for name, o in self.document.whole["operations"].items() if o["action"] == "receive"}
        self.replies = {name: {m["$ref"] for m in o["reply"]["messages"]} for name, o in self.operations.items()}
        self.by_type = {}
        self.choices = {}
        for name, message in self.messages.items():
            self.choices[name] = list(choices(message["payload"]))
            if not name.startswith("client."):
                self.by_type.setdefault(message["name"], []).append(name)

    def trouble(self, name, message):
        return self.document.trouble(self.messages[name]["payload"], message)

    def note(self, name, message):
        seen.add(f"message {name}")
        for path, _ in self.choices[name]:
            value = message
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            if value is not None:
                seen.add(f"message {name} {'.'.join(path)}={value}")

    def documented(self):
        keys = {f"message {name}" for name in self.messages}
        for name, all_choices in self.choices.items():
            keys |= {f"message {name} {'.'.join(path)}={value}" for path, possible in all_choices for value in possible}
        for name, operation in self.operations.items():
            keys |= {f"{name} answered {reply}" for reply in self.replies[name] - {"error"}}
            keys |= {f"{name} answered error {code}" for code in operation["x-error-codes"]}
        return keys | {f"close {code}" for code in self.close_codes}


def choices(schema, path=()):
    """(path, values) of each member that is one of several words."""
    for name, member in schema.get("properties", {}).items():
        if len(values(member)) > 1:
            yield (*path, name), values(member)
        yield from choices(member, (*path, name))


class Connection:
    """One WebSocket, as its client sees it. V1: telemed.v1 was chosen."""

    def __init__(self, v1):
        self.dialect = "telemed.v1" if v1 else "seed"
        self.asked = {}  # by id: (operation, the message, why the document does not allow it), the oldest first

    def complain(self, sentence):
        found.append(f"{socket().document.name}: {sentence}")

    def sent(self, text):
        """What is no message is the client's own affair."""
        message = read(text)
        if not isinstance(message, dict) or str(message.get("type")) not in socket().operations:
            return
        operation = message["type"]
        trouble = socket().trouble(f"client.{operation}", message)
        if trouble is None:
            socket().note(f"client.{operation}", message)
        if isinstance(message.get("id"), str):
            self.asked.setdefault(message["id"], deque()).append((operation, message, trouble))

    def received(self, text):
        message = read(text)
        if not isinstance(message, dict):
            self.complain(f"the server has sent no JSON object: {text[:200]!r}")
            return
        names = socket().by_type.get(str(message.get("type")), [])
        if not names:
            self.complain(f"the server has sent a message of the type {message.get('type')!r}, which is not documented")
            return
        troubles = {name: socket().trouble(name, message) for name in names}
        name = next((n for n in names if troubles[n] is None), None)
        if name is None:
            why = "; ".join(f"as {n}, {trouble}" for n, trouble in troubles.items())
            self.complain(f"the server has sent a {message['type']} that is not documented: {why}: {text[:500]!r}")
            return
        socket().note(name, message)
        dialects = {tag["name"] for tag in socket().messages[name].get("tags", [])}
        if dialects and self.dialect not in dialects:
            self.complain(f"{name} was sent on a connection of {self.dialect}")
        self.check_reply(name, message)

    def check_reply(self, name, message):
        waiting = self.asked.get(message.get("id"))
        code = message.get("code") if name == "error" else None
        if waiting:
            operation, asked, trouble = waiting.popleft()
            self.check_match(operation, asked, trouble, name, message)
        else:
            operation = message.get("re")
        if operation not in socket().operations or not (waiting is not None or code):
            return
        seen.add(f"{operation} answered {name}" + (f" {code}" if code else ""))
        if name not in socket().replies[operation]:
            self.complain(f"a {operation} was answered with {name}")
        elif code and code not in socket().operations[operation]["x-error-codes"]:
            self.complain(f"a {operation} was answered with the error {code}")

    def check_match(self, operation, asked, trouble, name, message):
        reason = message.get("code") or message["data"].get("reason")
        if trouble and name not in ("error", "call_response.refused"):
            self.complain(f"a {operation} was taken that is not allowed: {trouble}")
        # The greatest id has 16 digits, which a pattern cannot tell from greater ones.
        elif not trouble and reason in ("bad_message", "bad_call_id") and len(str(asked.get("to", ""))) < 16:
            self.complain(f"a {operation} was refused that is allowed: {message}")

    def closed(self, code):
        """By the server, of its own accord."""
        if str(code) not in socket().close_codes:
            self.complain(f"the server has closed a connection with {code}, which is not documented")
        closing(code)


def closing(code):
    """The server has sent this close code, maybe in answer to the client's."""
    if str(code) in socket().close_codes:
        seen.add(f"close {code}")


# Read when they are wanted: it takes a moment.
loaded = {}


def rest_document():
    return loaded.get("rest") or loaded.setdefault("rest", Rest())


def socket():
    return loaded.get("socket") or loaded.setdefault("socket", Socket())


def rest(method, target, body, status, headers, answer):
    """One request to lighttpd and its answer. BODY: bytes, or None where it is not known; HEADERS: pairs; ANSWER: bytes."""
    rest_document().exchange(method, target, body, status, headers, answer)


def documented():
    return rest_document().documented() | socket().documented()


def records_of(data):
    return map(json.loads, data.splitlines())


def records_of_fields(data):
    fields = iter(data.decode("utf-8", "surrogateescape").split("\0")[:-1])
    for method, target, known, body, status, head, answer in zip(*[fields] * 7, strict=True):
        lines = [line.partition(":")[::2] for line in head.splitlines() if ":" in line]
        yield {"method": method, "target": target, "body": body if known == "1" else None, "status": int(status), "answer": answer,
               "headers": [(name.strip(), value.strip()) for name, value in lines]}


def as_bytes(text):
    return text if text is None else text.encode("utf-8", "surrogateescape")


def replay(records):
    connections = {}
    for r in records:
        if "method" in r:
            rest(r["method"], r["target"], as_bytes(r["body"]), r["status"], r["headers"], as_bytes(r["answer"]))
        elif "v1" in r:
            connections[r["connection"]] = Connection(r["v1"])
        elif "sent" in r:
            connections[r["connection"]].sent(r["sent"])
        else:
            connections[r["connection"]].received(r["received"])


if __name__ == "__main__":
    form, name = sys.argv[1:]
    replay({"--records": records_of, "--fields": records_of_fields}[form](Path(name).read_bytes()))
    sentences = take()
    print("\n".join(sentences))
    sys.exit(bool(sentences))
