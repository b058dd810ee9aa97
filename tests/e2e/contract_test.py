"""docs/openapi.yaml and docs/asyncapi.yaml: what they say of each other and of the code, and what they are held against (contract.py):
all that a test sees. Here that is made up, so that it is seen to be found."""

import json
import re

import contract
import pytest

ROOT = contract.ROOT
OWN = [("X-Request-Id", "0123456789abcdef"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
       ("Referrer-Policy", "no-referrer"), ("Server", "telemed"), ("Content-Length", "9")]
JSON = [*OWN, ("Content-Type", "application/json")]
PROBLEM = [*OWN, ("Content-Type", "application/problem+json")]
BY_LIGHTTPD = [*OWN[2:], ("Content-Type", "application/problem+json")]
USER = {"id": 7, "name": "Ann", "role": "PATIENT", "status": "ONLINE"}
SELF = {**USER, "email": "ann@example.org"}
ANN = {"name": "Ann", "email": "ann@example.org", "password": "correct horse", "role": "PATIENT"}
SESSION = {"token": "a.b.c", "user": SELF}


def problem(status, code, instance="0123456789abcdef", **more):
    return {"type": "about:blank", "title": "t", "status": status, "detail": "d", "code": code, "instance": instance, **more}


def faults(*fields):
    return problem(400, "validation_failed", errors=[{"field": f, "code": "out_of_bounds", "detail": "d"} for f in fields])


@pytest.fixture(autouse=True)
def nothing_is_kept():
    """What is made up here has not been seen."""
    before = set(contract.seen)
    contract.take()
    yield
    contract.take()
    contract.seen.clear()
    contract.seen.update(before)


def exchanged(method, target, status, headers, answer, body=None):
    data = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    contract.rest(method, target, body if body is None else json.dumps(body).encode(), status, headers, data)
    return contract.take()


GOOD = [
    ("GET", "/auth/me", 200, JSON, {"user": SELF}),
    ("GET", "/auth/../auth//%6de?x=y", 200, JSON, {"user": {**SELF, "role": "DOCTOR", "pending": True}}),
    ("HEAD", "/auth/me", 401, PROBLEM + [("WWW-Authenticate", 'Bearer realm="telemed"')], None),
    ("GET", "/calls?limit=100", 200, JSON, {"calls": []}),
    ("POST", "/auth/logout", 204, OWN, None),
    ("POST", "/auth/register", 201, JSON, SESSION, ANN),
    ("POST", "/auth/register", 201, JSON, SESSION, {**ANN, "name": f" {100 * 'ä'}\t", "password": "ääää", "x": 1}),
    ("POST", "/auth/register", 400, PROBLEM, faults("password"), {**ANN, "password": 73 * "x"}),
    ("POST", "/auth/register", 400, PROBLEM, faults("password"), {**ANN, "password": 37 * "ä"}),
    ("POST", "/auth/register", 400, PROBLEM, faults("name"), {**ANN, "name": f" {101 * 'x'} "}),
    ("POST", "/auth/login", 429, PROBLEM + [("Retry-After", "7")], problem(429, "rate_limited")),
    ("POST", "/auth/login", 503, PROBLEM + [("Retry-After", "2")], problem(503, "unavailable")),
    ("POST", "/auth/login", 503, BY_LIGHTTPD, problem(503, "unavailable", "lighttpd")),
    ("POST", "/auth/login", 411, BY_LIGHTTPD, problem(411, "length_required", "lighttpd")),
    ("DELETE", "/auth/login", 405, PROBLEM + [("Allow", "POST, OPTIONS")], problem(405, "method_not_allowed")),
    ("GET", "/nothing", 404, PROBLEM, problem(404, "not_found")),
    ("GET", "/app.js", 200, [("Content-Type", "text/javascript")], b"of the page"),
]

BAD = [
    # what it must say, and the exchange
    ("answered 418", ("GET", "/auth/me", 418, JSON, {"user": SELF})),
    ("application/problem+json", ("GET", "/auth/me", 418, JSON, {"user": SELF})),
    ("GET '/nothing' was answered 200", ("GET", "/nothing", 200, JSON, {})),
    ("DELETE '/auth/me' was answered 200", ("DELETE", "/auth/me", 200, JSON, {})),
    ("it has no Retry-After", ("POST", "/auth/login", 429, PROBLEM, problem(429, "rate_limited"))),
    ("it has no Retry-After", ("POST", "/auth/login", 503, PROBLEM, problem(503, "unavailable"))),
    ("it has no WWW-Authenticate", ("GET", "/auth/me", 401, PROBLEM, problem(401, "invalid_token"))),
    ("it has no Allow", ("DELETE", "/auth/login", 405, PROBLEM, problem(405, "method_not_allowed"))),
    ("its Retry-After is '-1'", ("POST", "/auth/login", 429, PROBLEM + [("Retry-After", "-1")], problem(429, "rate_limited"))),
    ("its Cache-Control is 'public'", ("GET", "/auth/me", 200, [*JSON, ("Cache-Control", "public")], {"user": SELF})),
    ("x-powered-by is not documented", ("GET", "/auth/me", 200, [*JSON, ("X-Powered-By", "us")], {"user": SELF})),
    ("'shoe'", ("GET", "/auth/me", 200, JSON, {"user": {**SELF, "shoe": 42}})),
    ("'email'", ("GET", "/auth/me", 200, JSON, {"user": USER})),
    ("status", ("GET", "/auth/me", 200, JSON, {"user": {**SELF, "status": "AWAY"}})),
    ("one of", ("GET", "/auth/me", 401, PROBLEM + [("WWW-Authenticate", 'Bearer realm="telemed"')], problem(401, "teapot"))),
    ("must be same as const definition: 503", ("POST", "/auth/login", 503, PROBLEM + [("Retry-After", "2")], problem(403, "unavailable"))),
    ("its body says that it is 411", ("POST", "/auth/login", 417, BY_LIGHTTPD, problem(411, "length_required", "lighttpd"))),
    ("its Content-Type is 'text/html'", ("GET", "/auth/me", 200, [*OWN, ("Content-Type", "text/html")], {"user": SELF})),
    ("it is not JSON", ("GET", "/auth/me", 200, JSON, b'{"user":NaN}')),
    ("it has a body", ("POST", "/auth/logout", 204, OWN, {})),
    ("has taken what it does not allow", ("POST", "/auth/register", 201, JSON, SESSION, {**ANN, "role": "ADMIN"})),
    ("has taken what it does not allow", ("POST", "/auth/register", 201, JSON, SESSION, {**ANN, "password": "1234567"})),
    ("has taken what it does not allow", ("GET", "/calls?limit=101", 200, JSON, {"calls": []})),
    ("has refused what it allows", ("POST", "/auth/register", 400, PROBLEM, faults("name"), ANN)),
    ("has refused what it allows", ("GET", "/calls?limit=100", 400, PROBLEM, faults("limit"))),
]


@pytest.mark.parametrize("exchange", GOOD, ids=lambda e: f"{e[0]} {e[1]} {e[2]}")
def test_takes_what_is_documented(exchange):
    assert exchanged(*exchange) == []


@pytest.mark.parametrize("says, exchange", BAD, ids=lambda e: e if isinstance(e, str) else e[1])
def test_tells_of_what_is_not(says, exchange):
    sentences = exchanged(*exchange)
    assert any(says in sentence for sentence in sentences), sentences
    assert all(sentence.startswith("docs/openapi.yaml: ") for sentence in sentences)


CHAT = {"type": "chat", "to": 7, "data": {"message": "hello"}}
ERROR = {"type": "error", "code": "not_found", "message": "m", "re": "chat"}
MESSAGES = [
    # what it must say ("": nothing), whether of telemed.v1, what the client sends, and what the server
    ("", False, None, {"type": "users", "users": [USER]}),
    ("", True, None, {"type": "users", "users": [], "rev": 1}),
    ("users.v1 was sent on a connection of seed", False, None, {"type": "users", "users": [], "rev": 1}),
    ("presence was sent on a connection of seed", False, None, {"type": "presence", "set": [], "del": [], "rev": 1}),
    ("'nonsense', which is not documented", True, None, {"type": "nonsense"}),
    ("None, which is not documented", True, None, {}),
    ("no JSON object", True, None, []),
    ("'shoe'", False, None, {"type": "users", "users": [{**USER, "shoe": 42}]}),
    ("'shoe'", False, None, {"type": "users", "users": [], "shoe": 42}),
    ("'ts'", False, None, {"type": "chat", "from": 7, "data": {"message": "hello"}}),
    ("", False, {**CHAT, "id": "m"}, {"type": "ack", "id": "m", "data": {"delivered": 1}}),
    ("", False, {**CHAT, "to": "7", "id": "m", "x": {}}, {"type": "ack", "id": "m", "data": {"delivered": 1}}),
    ("", False, {**CHAT, "id": "m"}, {**ERROR, "id": "m"}),
    ("a chat was answered with ack.call", False, {**CHAT, "id": "m"}, {"type": "ack", "id": "m", "data": {"callId": "c"}}),
    ("a chat was answered with the error no_call", False, {**CHAT, "id": "m"}, {**ERROR, "code": "no_call", "id": "m"}),
    ("a chat was answered with the error no_call", False, None, {**ERROR, "code": "no_call"}),
    ("must be one of", False, None, {**ERROR, "code": "teapot"}),
    ("", False, None, {**ERROR, "code": "unknown_type", "re": "nonsense"}),
    ("a chat was taken that is not allowed", False, {**CHAT, "to": "07", "id": "m"}, {"type": "ack", "id": "m", "data": {"delivered": 1}}),
    ("a chat was taken that is not allowed", False, {**CHAT, "data": {"message": 4001 * "x"}, "id": "m"},
     {"type": "ack", "id": "m", "data": {"delivered": 1}}),
    ("", False, {**CHAT, "data": {"message": ""}, "id": "m"}, {**ERROR, "code": "bad_message", "id": "m"}),
    ("a chat was refused that is allowed", False, {**CHAT, "data": {"message": 4000 * "x"}, "id": "m"},
     {**ERROR, "code": "bad_message", "id": "m"}),
    ("", False, {"type": "call_start", "to": 7, "data": {"callId": "a b"}, "id": "m"},
     {"type": "call_response", "from": 7, "data": {"ok": False, "reason": "bad_call_id"}, "id": "m"}),
    ("must be one of", False, None, {"type": "call_response", "from": 7, "data": {"ok": False, "reason": "no"}}),
]


@pytest.mark.parametrize("says, v1, sent, received", MESSAGES, ids=range(len(MESSAGES)))
def test_holds_messages_to_what_is_documented(says, v1, sent, received):
    connection = contract.Connection(v1)
    if sent is not None:
        connection.sent(json.dumps(sent))
    connection.received(json.dumps(received))
    sentences = contract.take()
    assert any(says in sentence for sentence in sentences) if says else sentences == [], sentences
    assert all(sentence.startswith("docs/asyncapi.yaml: ") for sentence in sentences)


def test_tells_of_a_close_code_that_is_not_documented():
    contract.Connection(True).closed(4100)
    assert contract.take() == []
    contract.Connection(True).closed(4999)
    assert "4999" in contract.take()[0]


# The documents and the code ---------------------------------------------------------------------------------------------------

OPENAPI, ASYNCAPI = contract.rest_document().document, contract.socket().document


def test_they_are_of_this_version():
    version = (ROOT / "VERSION").read_text().strip()
    assert OPENAPI.root["info"]["version"] == ASYNCAPI.root["info"]["version"] == version


def test_what_both_define_is_the_same():
    a, b = OPENAPI.whole["components"]["schemas"], ASYNCAPI.whole["components"]["schemas"]
    assert {"User", "IceServers", "CallId"} <= a.keys() & b.keys()
    for name in a.keys() & b.keys():
        assert a[name] == b[name], name


def test_openapi_has_every_route_and_no_other():
    rows = set(re.findall(r'\{ HTTP_(\w+), "([^"]+)"', (ROOT / "fcgi-api/routes.c").read_text()))
    assert rows | {("GET", "/ws")} == {(method.upper(), path) for path, item in OPENAPI.root["paths"].items()
                                       for method in item.keys() & {"get", "post"}}


def test_each_path_has_options_and_each_get_has_head():
    for path, item in OPENAPI.root["paths"].items():
        assert path == "/ws" or "options" in item, path
        assert path == "/ws" or ("head" in item) == ("get" in item), path


def test_asyncapi_has_every_message_of_a_client_and_what_it_costs():
    shapes = re.findall(r'\[MESSAGE_\w+\] = \{ "(\w+)", (\d), ', (ROOT / "ws-relay/message.c").read_text())
    messages = ASYNCAPI.root["components"]["messages"]
    assert {name: int(cost) for name, cost in shapes} == {
        message["name"]: message["x-cost"] for name, message in messages.items() if name.startswith("client.")}
    assert {name for name, _ in shapes} == set(contract.socket().operations)


def source(*patterns):
    return "\n".join(path.read_text() for pattern in patterns for path in sorted(ROOT.glob(pattern)))


def problems(*responses):
    """(status, code) of each problem that they have, without lighttpd's own for whatever was asked."""
    schemas = [r["content"]["application/problem+json"]["schema"] for r in responses if "application/problem+json" in r.get("content", {})]
    ways = [way for schema in schemas for way in contract.alternatives(schema)]
    return {(str(s), c) for way in ways for s in contract.values(way["status"]) for c in contract.values(way["code"])} - {("400", "bad_request")}


def test_openapi_has_every_problem_of_fcgi_api_and_no_other():
    written = set(re.findall(r'\[PROBLEM_\w+\] = \{ (\d+), "(\w+)"', source("fcgi-api/problem.c")))
    rest = [r for path, item in OPENAPI.whole["paths"].items() if path != "/ws" for o in item.values() for status, r in o["responses"].items()
            if status != "default"]
    assert len(written) > 10 and written == problems(*rest, OPENAPI.whole["x-other-paths"], OPENAPI.whole["x-other-methods"])


def test_openapi_has_every_problem_of_the_relay_and_no_other():
    """But for those of its own door, where lighttpd never knocks: another path, and a head that comes in parts."""
    written = set(re.findall(r'(?:verdict\(|\(struct verdict\)\s*\{\s*)(\d{3}),\s*"(\w+)"', source("ws-relay/*.c")))
    own = {("404", "not_found"), ("408", "timeout")}
    told = [r for status, r in OPENAPI.whole["paths"]["/ws"]["get"]["responses"].items() if status != "default"]
    assert own < written and written - own == problems(*told, OPENAPI.whole["x-other-methods"])


def test_openapi_has_what_lighttpd_says():
    """Its own problems, which are files."""
    files = {(str(p["status"]), p["code"]) for p in map(json.loads, (f.read_text() for f in (ROOT / "fcgi-api/errors").iterdir()))}
    assert problems(OPENAPI.whole["components"]["responses"]["Lighttpd"]) | {("400", "bad_request")} <= files


def test_asyncapi_has_every_error_close_code_and_reason_and_no_other():
    schemas = {name: m["payload"]["properties"] for name, m in ASYNCAPI.whole["components"]["messages"].items()}
    relay = source("ws-relay/*.c")
    errors = set(re.findall(r'\b(?:send_error|frame_error|bad|turn_down)\(\s*(?:[^;"]*?,\s*)?"([a-z_]+)"', relay))
    assert errors == set(schemas["error"]["code"]["enum"])
    assert set(re.findall(r"CLOSE_\w+ = (\d{4})", source("ws-relay/*.h"))) == set(contract.socket().close_codes)
    refusals = set(schemas["call_response.refused"]["data"]["properties"]["reason"]["enum"])
    in_calls = set(re.findall(r'return "(\w+)"', re.search(r"^start_refusal\(.*?^}", relay, re.S | re.M)[0]))
    assert len(in_calls) > 7 and in_calls | {"rate_limited", "unavailable"} == refusals
    ends = set(re.findall(r'\[CALL_\w+\] = "([a-z_]+)"', source("shared/domain/call.c")))
    assert ends == set(schemas["call_end"]["data"]["properties"]["reason"]["enum"])
    past = set(OPENAPI.whole["components"]["schemas"]["Call"]["properties"]["reason"]["enum"])
    assert past == ends - {"answered_elsewhere"} | {None}
    kinds = re.findall(r'\[FRAME_\w+\] = "(\w+)"', source("ws-relay/frame.c"))
    assert set(kinds) == {m["name"] for name, m in ASYNCAPI.whole["components"]["messages"].items() if not name.startswith("client.")}


def test_the_metrics_count_each_of_them_by_its_own_name():
    """And not among all others."""
    def words(name):
        return re.findall(r'"([^"]+)"', re.search(rf"#define {name} .*?\)\n", source("shared/metrics/metrics_table.c"), re.S)[0])
    schemas = {name: m["payload"]["properties"] for name, m in ASYNCAPI.whole["components"]["messages"].items()}
    assert set(words("REFUSALS")) == {*schemas["call_response.refused"]["data"]["properties"]["reason"]["enum"], "other"}
    assert set(words("REASONS")) == {*schemas["call_end"]["data"]["properties"]["reason"]["enum"], "other"} - {"answered_elsewhere"}
    assert set(words("CLOSE_CODES")) >= set(contract.socket().close_codes)
    assert set(words("HANDSHAKE_CODES")) >= OPENAPI.whole["paths"]["/ws"]["get"]["responses"].keys() - {"default"}
    assert set(words("ROUTES")) >= {path for _, path in re.findall(r'\{ HTTP_(\w+), "([^"]+)"', source("fcgi-api/routes.c"))} - {
        "/openapi.yaml", "/asyncapi.yaml"}  # lighttpd's
    answered = set(re.findall(r"reply\.status = (\d+)|reply_begin\(q, (?:ok \? )?(\d+)|= \{ (\d{3}), \"", source("fcgi-api/*.c")))
    assert set(words("CODES")) >= {"201", *(one for found in answered for one in found if one)}


def test_each_message_is_in_the_channel_and_is_sent_or_answers():
    names = set(ASYNCAPI.root["components"]["messages"])
    assert names == set(ASYNCAPI.root["channels"]["socket"]["messages"])
    used = {m["$ref"] for o in ASYNCAPI.whole["operations"].values() for m in o["messages"] + o.get("reply", {}).get("messages", [])}
    assert names == used


def test_each_component_is_used():
    for document in (OPENAPI, ASYNCAPI):
        text = (ROOT / document.name).read_text()
        for kind in document.root["components"].keys() - {"securitySchemes"}:
            for name in document.root["components"][kind]:
                assert f"'#/components/{kind}/{name}'" in text, name


def test_the_examples_are_allowed():
    for name, message in ASYNCAPI.whole["components"]["messages"].items():
        for example in message.get("examples", []):
            assert contract.socket().trouble(name, example["payload"]) is None, name
    for item in OPENAPI.whole["paths"].values():
        for content in item.get("post", {}).get("requestBody", {}).get("content", {}).values():
            assert OPENAPI.trouble(content["schema"], content["example"]) is None


def test_no_schema_of_what_the_server_sends_is_open():
    """But for what is passed on."""
    def objects(node, path):
        if isinstance(node, dict):
            if node.get("type") == "object" and node.get("$ref") != "Signal":
                yield path, node
            for key, value in node.items():
                yield from objects(value, f"{path}/{key}")
        elif isinstance(node, list):
            for i, item in enumerate(node):
                yield from objects(item, f"{path}/{i}")
    sent = {name: m["payload"] for name, m in ASYNCAPI.whole["components"]["messages"].items() if not name.startswith("client.")}
    answers = [item[method]["responses"] for item in OPENAPI.whole["paths"].values() for method in item]
    for path, node in objects([sent, answers], ""):
        assert node.get("additionalProperties") is False, path
