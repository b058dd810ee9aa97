"""One id names a request in every log that it passes: lighttpd's, fcgi-api's, and the relay's where it passes the change on."""

import json
import re
import urllib.request

import pytest
from stack import PATIENCE, Stack, wait_until
from wire import Wire, head

OURS = re.compile(r"[0-9a-f]{16}")
THEIRS = "a3bb189e-8bf9-4888-9912-ace4e6543002"
NOT_ONES = ["", "short", "0123456789abcdef0123456789abcdef01234", "0123456789abcdef; x", "eyJhbGciOiJIUzI1NiJ9", "correct horse battery"]


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_LOG_LEVEL="debug") as s:
        yield s


def lines(stack):
    """What all programs have logged, lighttpd's requests with it."""
    text = stack.log_text() + (stack.data / "log/access.log").read_text(errors="replace")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


def logged(stack, request, **members):
    """Waits for the line of this id and these members."""
    def found():
        return next((line for line in lines(stack) if line.get("request") == request and members.items() <= line.items()), None)
    return wait_until(found, f"{members} of {request}")


def ask(stack, path, token, body=None, offered=None, method=None):
    """The id that the answer carries."""
    headers = {"Authorization": f"Bearer {token}"}
    if offered is not None:
        headers["X-Request-Id"] = offered
    data = None if body is None else body.encode()
    request = urllib.request.Request(stack.http + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.headers["X-Request-Id"]


@pytest.mark.parametrize("offered", [None, THEIRS])
def test_a_status_has_one_id_from_lighttpd_to_the_relay(stack, offered):
    doctor = stack.doctor()
    id = ask(stack, "/doctors/status", doctor.token, '{"status":"ONLINE"}', offered)
    assert id == THEIRS if offered else OURS.fullmatch(id)
    assert logged(stack, id, program="lighttpd", path="/doctors/status")["status"] == 200
    assert logged(stack, id, program="fcgi-api", event="http_request", route="/doctors/status")["user"] == doctor.id
    assert logged(stack, id, program="ws-relay", event="push", what="user")["user"] == doctor.id
    assert stack.sql("SELECT request FROM user WHERE id = ? AND request_rev = rev", doctor.id) == [(id,)]


async def test_what_no_request_has_changed_names_none(stack):
    """A connection that opens is no request's doing, though one has changed the same user before."""
    doctor = stack.doctor()
    id = ask(stack, "/doctors/status", doctor.token, '{"status":"BUSY"}')
    logged(stack, id, program="ws-relay", event="push")
    client = await doctor.connect()
    await client.send("set_status", id="s", status="ONLINE")
    await client.answer("s")
    last = ask(stack, "/doctors/status", doctor.token, '{"status":"BUSY"}')
    logged(stack, last, program="ws-relay", event="push")
    named = [line["request"] for line in lines(stack) if line["event"] == "push" and line["user"] == doctor.id]
    assert named == [id, last]


async def test_a_logout_has_one_id_too(stack):
    patient = stack.patient()
    client = await patient.connect()
    id = ask(stack, "/auth/logout", patient.token, method="POST", body="")
    assert await client.closed() == 4501
    assert logged(stack, id, program="lighttpd", path="/auth/logout")["status"] == 204
    logged(stack, id, program="fcgi-api", route="/auth/logout")
    assert logged(stack, id, program="ws-relay", event="push", what="logout")["user"] == patient.id


@pytest.mark.parametrize("offered", NOT_ONES)
def test_what_is_no_id_is_not_taken(stack, offered):
    patient = stack.patient()
    id = ask(stack, "/auth/me", patient.token, offered=offered)
    assert OURS.fullmatch(id)
    logged(stack, id, program="lighttpd", path="/auth/me")
    assert not offered or offered not in json.dumps(lines(stack))


@pytest.mark.parametrize("path,status,code", [("/ws", 401, "unauthenticated"), ("/ws?token=x", 401, "invalid_token")])
@pytest.mark.parametrize("offered", [None, THEIRS, "not an id"])
def test_a_refused_handshake_has_one_id(stack, path, status, code, offered):
    with Wire(stack.port) as wire:
        got, headers, body = wire.ask(head(path, *([f"X-Request-Id: {offered}"] if offered else [])))
    id = headers["x-request-id"]
    assert got == status and json.loads(body)["instance"] == id
    assert id == THEIRS if offered == THEIRS else OURS.fullmatch(id)
    assert logged(stack, id, program="lighttpd", path="/ws")["status"] == status
    assert logged(stack, id, program="ws-relay", event="handshake_refused", code=code)


@pytest.mark.parametrize("offered", [None, THEIRS])
def test_a_handshake_that_succeeds_has_one_id(stack, offered):
    patient = stack.patient()
    with Wire(stack.port) as wire:
        status, headers, _ = wire.ask(head(f"/ws?token={patient.token}", *([f"X-Request-Id: {offered}"] if offered else [])))
        assert status == 101
        id = headers["x-request-id"]
        assert id == THEIRS if offered else OURS.fullmatch(id)
        assert logged(stack, id, program="ws-relay", event="connected", user=patient.id)
    assert logged(stack, id, program="lighttpd", path="/ws", status=101)  # when it is over


def test_a_handshake_without_a_head_is_logged_with_an_id(stack):
    with Wire(stack.relay_socket) as wire:
        wire.send(b"GET /ws HTTP/1.1\r\nX: \0\r\n\r\n")
        answer = wire.read_until(b"\r\n\r\n").decode()
    id = re.search(r"X-Request-Id: (\S+)", answer)[1]
    assert OURS.fullmatch(id) and logged(stack, id, event="handshake_refused")["status"] == 400


def test_a_problem_names_it_and_so_does_the_log(stack):
    status, problem = stack.rest("GET", "/nothing", headers={"X-Request-Id": THEIRS.upper()})
    assert (status, problem["instance"]) == (404, THEIRS.upper())
    logged(stack, THEIRS.upper(), program="fcgi-api", status=404)
    logged(stack, THEIRS.upper(), program="lighttpd", path="/nothing")
