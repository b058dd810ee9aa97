"""Who is let in at /ws, and what everybody else is told."""

import json
import time

import pytest
import websockets
from stack import PATIENCE, Client, Stack
from wire import Wire, head


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        yield s


@pytest.fixture(scope="module")
def patient(stack):
    return stack.patient()


@pytest.fixture(params=["lighttpd", "relay"])
def door(request, stack):
    """The two doors to the relay: what a client sees, and what is behind it, where lighttpd might have answered itself."""
    return stack.port if request.param == "lighttpd" else stack.relay_socket


def refused(door, request, status, code):
    """Asserts that REQUEST gets this answer; returns the answer's headers."""
    with Wire(door) as wire:
        got, headers, body = wire.ask(request)
        assert got == status, (got, body)
        assert headers["content-type"] == "application/problem+json"
        problem = json.loads(body)
        assert (problem["status"], problem["code"]) == (status, code), problem
        return headers


def admitted(door, request):
    """Asserts that REQUEST opens a WebSocket; returns the answer's headers."""
    with Wire(door) as wire:
        status, headers, body = wire.ask(request)
        assert status == 101, (status, body)
        assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # of RFC 6455's own example
        assert wire.next(type="users")
        return headers


def test_takes_the_token_from_the_query(door, patient):
    admitted(door, head(f"/ws?token={patient.token}"))
    admitted(door, head(f"/ws?a=b&token={patient.token}&c"))


def test_takes_the_token_percent_encoded(door, patient):
    admitted(door, head("/ws?token=" + patient.token.replace(".", "%2e")))


def test_takes_the_token_from_the_authorization_header(door, patient):
    admitted(door, head("/ws", f"Authorization: Bearer {patient.token}"))
    admitted(door, head("/ws", f"authorization: bearer {patient.token}"))


def test_takes_the_token_from_the_subprotocol_list(door, patient):
    headers = admitted(door, head("/ws", f"Sec-WebSocket-Protocol: telemed.v1, bearer.{patient.token}"))
    assert headers["sec-websocket-protocol"] == "telemed.v1"


def test_chooses_no_subprotocol_where_its_own_is_not_offered(door, patient):
    for offer in ([], ["Sec-WebSocket-Protocol: soap, telemed.v2"]):
        headers = admitted(door, head(f"/ws?token={patient.token}", *offer))
        assert "sec-websocket-protocol" not in headers
    headers = admitted(door, head("/ws", f"Sec-WebSocket-Protocol: bearer.{patient.token}"))
    assert "sec-websocket-protocol" not in headers


LISTS = {
    # Instead of the line of this name: one that says the same.
    "Connection": ["Connection: keep-alive, Upgrade", "Connection: upgrade", "Connection:Upgrade", "Connection: \tUPGRADE \t"],
    "Upgrade": ["Upgrade: WebSocket", "Upgrade: websocket, foo", "Upgrade: foo,websocket", "UPGRADE: websocket"],
    "Sec-WebSocket-Protocol": ["Sec-WebSocket-Protocol: ", "Sec-WebSocket-Protocol: ,,, ;\"()", "Sec-WebSocket-Protocol: bearer.",
                               "Sec-WebSocket-Protocol: " + ",".join(f"p{i}" for i in range(200))],
    "Nothing": ["Content-Length: 0", "Cookie: token=x", "X: " + "x" * 3000],
}


@pytest.mark.parametrize("name", LISTS)
def test_header_lists_are_read_as_lists(door, patient, name):
    for line in LISTS[name]:
        headers = admitted(door, head(f"/ws?token={patient.token}", line, without=[name]))
        assert "sec-websocket-protocol" not in headers
    for line in ("Sec-WebSocket-Protocol: telemed.v1, telemed.v1", "Sec-WebSocket-Protocol:\t x ,\ttelemed.v1"):
        assert admitted(door, head(f"/ws?token={patient.token}", line))["sec-websocket-protocol"] == "telemed.v1"


@pytest.mark.parametrize("offer", ["permessage-deflate", "permessage-deflate; client_max_window_bits", "x-webkit-deflate-frame",
                                   "x; y=1; z=\"2\", permessage-deflate", ","])
def test_takes_no_extension(door, patient, offer):
    """RFC 6455 9: so each of the reserved bits is a breach."""
    assert "sec-websocket-extensions" not in admitted(door, head(f"/ws?token={patient.token}", f"Sec-WebSocket-Extensions: {offer}"))


def test_other_spellings_of_the_path_that_lighttpd_undoes(stack, patient):
    for path in ("//ws", "/./ws", "/x/../ws", "/%77s", f"http://127.0.0.1:{stack.port}/ws"):
        admitted(stack.port, head(f"{path}?token={patient.token}", f"Host: 127.0.0.1:{stack.port}", without=["Host"]))
    admitted(stack.port, head(f"/ws?%74oken={patient.token}"))
    for path in ("/ws;x", "/ws%2f", "/ws%3f", "/ws."):
        refused(stack.port, head(f"{path}?token={patient.token}"), 404, "not_found")


def test_other_names_for_the_token_are_none(door, patient):
    for query in ("TOKEN={}", "token[]={}", "a=b;token={}", "xtoken={}", "?token={}", "token", "access_token={}"):
        refused(door, head("/ws?" + query.format(patient.token)), 401, "unauthenticated")
    for query in ("token=+{}", "token={}%20", "token=%20{}", "token={};", "token=\"{}\""):
        refused(door, head("/ws?" + query.format(patient.token)), 401, "invalid_token")
    for line in ("Cookie: token={}", "X-Authorization: Bearer {}", "Authorization: {}", "Authorization: Token {}", "Authorization: Bearer"):
        refused(door, head("/ws", line.format(patient.token)), 401, "unauthenticated")
    admitted(door, head("/ws", f"Authorization: BEARER   {patient.token}"))


async def test_a_client_library_gets_in_each_way(stack, patient):
    ways = [dict(uri=f"{stack.ws}?token={patient.token}"),
            dict(uri=stack.ws, extra_headers={"Authorization": f"Bearer {patient.token}"}),
            dict(uri=stack.ws, subprotocols=["telemed.v1", f"bearer.{patient.token}"])]
    for way in ways:
        client = Client(patient, await websockets.connect(**way, open_timeout=PATIENCE))
        await client.wait("users")
        assert client.socket.subprotocol == ("telemed.v1" if "subprotocols" in way else None)
        await client.close()


def test_without_a_token_401(door):
    for request in (head(), head("/ws?tok=x&xtoken=y"), head("/ws", "Sec-WebSocket-Protocol: telemed.v1"),
                    head("/ws", "Authorization: Basic YTpi")):
        headers = refused(door, request, 401, "unauthenticated")
        assert headers["www-authenticate"].startswith("Bearer")
        assert "error=" not in headers["www-authenticate"]


def bad_tokens(stack, patient):
    first, second, signature = patient.token.split(".")
    return {
        "empty": "",
        "not a token": "x",
        "bad percent encoding": "%zz",
        "of another signature": f"{first}.{second}.{signature[:-8]}AAAAAAAA",
        "unsigned": f"{first}.{second}.",
        "cut": patient.token[:-1],
        "expired": stack.sign(patient.id, "PATIENT", -10),
        "of the future": stack.sign(patient.id, "PATIENT", 3600, iat=int(time.time()) + 3600),
        "of an unknown user": stack.sign(patient.id + 1000, "PATIENT", 60),
        "of no user": stack.sign("", "PATIENT", 60),
        "of 4095 bytes": "x" * 4095,
    }


def test_with_a_bad_token_401(door, stack, patient):
    for what, token in bad_tokens(stack, patient).items():
        headers = refused(door, head(f"/ws?token={token}"), 401, "invalid_token")
        assert 'error="invalid_token"' in headers["www-authenticate"], what
        if token and "%" not in token:
            refused(door, head("/ws", f"Authorization: Bearer {token}"), 401, "invalid_token")
            refused(door, head("/ws", f"Sec-WebSocket-Protocol: telemed.v1, bearer.{token}"), 401, "invalid_token")


def test_the_relay_itself_takes_no_nul_for_the_end_of_a_token(stack, patient):
    refused(stack.relay_socket, head(f"/ws?token={patient.token}%00"), 401, "invalid_token")


def test_takes_a_token_that_the_stack_could_have_signed(door, stack, patient):
    admitted(door, head(f"/ws?token={stack.sign(patient.id, 'PATIENT', 60)}"))


def test_with_two_tokens_400(door, patient):
    token = patient.token
    for request in (head(f"/ws?token={token}&token={token}"),
                    head(f"/ws?token={token}", f"Authorization: Bearer {token}"),
                    head(f"/ws?token={token}", f"Sec-WebSocket-Protocol: bearer.{token}"),
                    head(f"/ws?token=&token={token}"),
                    head("/ws", f"Authorization: Bearer {token}", f"Authorization: Bearer {token}"),
                    head("/ws", f"Authorization: Bearer {token}, Bearer {token}"),
                    head("/ws", f"Authorization: Basic YTpi, Bearer {token}"),
                    head("/ws", f"Sec-WebSocket-Protocol: bearer.{token}, bearer.{token}")):
        refused(door, request, 400, "invalid_request")


def test_with_a_token_of_4_kib_431(door):
    refused(door, head("/ws?token=" + 4096 * "x"), 431, "too_large")
    refused(door, head("/ws", f"Authorization: Bearer {4096 * 'x'}"), 431, "too_large")
    refused(door, head("/ws?token=" + 20000 * "x"), 431, "too_large")


def origins(host):
    """(Origin lines, are they let in), of a client that asks for HOST."""
    return [
        ([f"http://{host}"], True),
        ([f"https://{host}"], False),
        (["null"], False),
        ([""], False),
        (["http://foreign.example"], False),
        ([f"http://{host}.foreign.example"], False),
        ([f"http://foreign.example/{host}"], False),
        ([f"http://user@{host}"], False),
        ([f"http://{host}0"], False),
        ([f"http://{host}/"], False),
        ([f"xhttp://{host}"], False),
        ([f"http://{host}", f"http://{host}"], False),
        ([f"http://{host}", "http://foreign.example"], False),
    ]


def test_lets_in_its_own_origin_and_no_other(door, stack, patient):
    host = f"127.0.0.1:{stack.port}"
    for lines, ok in origins(host):
        request = head(f"/ws?token={patient.token}", f"Host: {host}", *(f"Origin: {o}" for o in lines), without=["Host"])
        if ok:
            admitted(door, request)
        elif lines != [""] or door != stack.port:  # lighttpd takes an empty header away
            refused(door, request, 403, "forbidden")


def test_tells_a_foreign_origin_nothing_of_the_token(door):
    refused(door, head("/ws?token=x", "Origin: http://foreign.example"), 403, "forbidden")
    refused(door, head("/ws", "Origin: http://foreign.example"), 403, "forbidden")


def test_lets_in_the_origins_of_the_setting():
    with Stack(TELEMED_ALLOWED_ORIGINS="https://clinic.example,https://other.example:8443") as stack:
        token = stack.patient().token
        for door in (stack.port, stack.relay_socket):
            for origin in ("https://clinic.example", "https://other.example:8443"):
                admitted(door, head(f"/ws?token={token}", f"Origin: {origin}"))
            for origin in ("http://clinic.example", "https://clinic.example:8443", "https://other.example",
                           "https://x.clinic.example", "https://clinic.example,https://other.example:8443", "https://clinic.exampl",
                           "null"):
                refused(door, head(f"/ws?token={token}", f"Origin: {origin}"), 403, "forbidden")


def test_other_addresses_404(door, patient):
    for path in ("/wsx", "/ws/", "/ws/x", "/WS", "/x"):
        refused(door, head(f"{path}?token={patient.token}"), 404, "not_found")


def test_other_methods_405(door, patient):
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        request = head(f"/ws?token={patient.token}", "Content-Length: 0", method=method)
        headers = refused(door, request, 405, "method_not_allowed")
        assert headers["allow"] == "GET"


@pytest.mark.parametrize("how", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_body_is_bounded_as_elsewhere(stack, how):
    """lighttpd keeps a body before it asks the relay, and what has a body is no WebSocket."""
    with Wire(stack.port) as wire:
        wire.send(b"POST /ws HTTP/1.1\r\nHost: x\r\n" + how.encode() + b"\r\n\r\n")
        try:
            for _ in range(100):
                wire.send((b"2710\r\n" if "chunked" in how else b"") + b"x" * 10000 + b"\r\n")
        except OSError:
            pass  # it was answered and closed before the end
        assert wire.read_until(b"\r\n").startswith(b"HTTP/1.1 413 ")


def test_a_plain_get_426(door, patient):
    path = f"/ws?token={patient.token}"
    for request in (head(path, without=["Upgrade", "Connection", "Sec-"]), head(path, without=["Upgrade"]),
                    *(head(path, f"Upgrade: {other}", without=["Upgrade"])
                      for other in ("h2c", "foo", "TLS/1.0", "websocketx", "web socket", "websocket/13"))):
        headers = refused(door, request, 426, "upgrade_required")
        assert headers["upgrade"] == "websocket"


def test_another_version_426(door, patient):
    for version in ([], *([f"Sec-WebSocket-Version: {v}"] for v in ("8", "0", "14", "", "013", "+13", "13.0", "13, 8", "8, 13", "0xd")),
                    ["Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 14"]):
        request = head(f"/ws?token={patient.token}", *version, without=["Sec-WebSocket-Version"])
        headers = refused(door, request, 426, "upgrade_required")
        assert headers["sec-websocket-version"] == "13"


def test_a_bad_key_400(door, patient):
    for key in ([], ["AAAA"], ["dGhlIHNhbXBsZSBub25jZQ"], ["dGhlIHNhbXBsZSBub25jZR=="], ["dGhlIHNhbXBsZSBub25jZSE="], ["!" * 24],
                ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="], ["dGhlIHNhbXBsZSBub25jZQ== x"], ["dGhl IHNhbXBsZSBub25jZQ=="],
                ["dGhlIHNhbXBsZSBub25jZQ%3d%3d"], ["dGhlIHNhbXBsZSBub25j-_=="], ["x" * 5000]):
        lines = [f"Sec-WebSocket-Key: {k}" for k in key]
        refused(door, head(f"/ws?token={patient.token}", *lines, without=["Sec-WebSocket-Key"]), 400, "invalid_request")


def test_an_older_http_has_no_websocket(stack, patient):
    """RFC 6455 4.1"""
    request = head(f"/ws?token={patient.token}").replace(b"HTTP/1.1", b"HTTP/1.0")
    refused(stack.relay_socket, request, 400, "invalid_request")
    refused(stack.port, request, 400, "bad_request")


@pytest.mark.parametrize("how", ["Content-Length: 4", "Transfer-Encoding: chunked", "Content-Length: 4\r\nTransfer-Encoding: chunked"])
def test_a_handshake_has_no_body(stack, patient, how):
    """It would be what comes first on the WebSocket."""
    with Wire(stack.port) as wire:
        wire.send(head(f"/ws?token={patient.token}", how) + b"4\r\n\x81\x80\x00\x00\r\n0\r\n\r\n")
        assert wire.read_until(b"\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("request_head", [
    b"GET /ws HTTP/1.1\r\nHost: a\r\n Upgrade: websocket\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost a\r\n\r\n",
    b"GET /ws\r\n\r\n",
    b"GET  /ws HTTP/1.1\r\n\r\n",
    b"GET /ws HTTP/9.9\r\n\r\n",
    b"GET ws HTTP/1.1\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nX: \x00\r\n\r\n",
    b"\r\n\r\n",
    b"GET /ws HTTP/1.1 \r\nHost: a\r\n\r\n",
    b"GET /ws http/1.1\r\nHost: a\r\n\r\n",
    b"GET\t/ws\tHTTP/1.1\r\nHost: a\r\n\r\n",
    b"G\xffT /ws HTTP/1.1\r\nHost: a\r\n\r\n",
    b" GET /ws HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\nGET /ws HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/ws HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /ws HTTP/1.1\nHost: a\n\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /ws HTTP/1.1\r\n: a\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nH\xf6st: a\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nX: \x1b[31m\r\n\r\n",
])
def test_the_relay_itself_refuses_a_broken_head(stack, request_head):
    refused(stack.relay_socket, request_head, 400, "invalid_request")


def test_the_relay_itself_bounds_the_head(stack):
    refused(stack.relay_socket, b"GET /ws HTTP/1.1\r\n" + b"X: y\r\n" * 4000, 431, "too_large")


def test_the_relay_itself_takes_no_frames_before_its_answer(stack, patient):
    refused(stack.relay_socket, head(f"/ws?token={patient.token}") + b"\x81", 400, "invalid_request")


def test_a_request_that_is_not_finished_is_cut(stack, patient):
    """At once on both doors, for it takes a while: nothing, half a head, and, to lighttpd, a head and half a body."""
    half = head(f"/ws?token={patient.token}")[:-10]
    wires = [(Wire(door), start, door) for door in (stack.port, stack.relay_socket) for start in (b"", half)]
    wires.append((Wire(stack.port), b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", stack.port))
    for wire, start, _ in wires:
        wire.socket.settimeout(30 + PATIENCE)
        wire.send(start)
    for wire, _, door in wires:
        got = b""
        while more := wire.socket.recv(1 << 16):
            got += more
        if door != stack.port:
            assert got.startswith(b"HTTP/1.1 408 ") and b'"code":"timeout"' in got
        wire.socket.close()
    admitted(stack.port, head(f"/ws?token={patient.token}"))


def test_no_token_reaches_a_log():
    with Stack(TELEMED_LOG_LEVEL="debug") as other:
        user = other.patient()
        with Wire.open(user) as wire:
            wire.next(type="users")
        refused(other.port, head(f"/ws?token={user.token}x"), 401, "invalid_token")
        other.kill("ws-relay")
        with Wire(other.port) as wire:
            wire.ask(head(f"/ws?token={user.token}"))
        other.stop()
        logs = other.log_text() + "".join(f.read_text(errors="replace") for f in (other.data / "log").iterdir())
        assert "handshake_refused" in logs and "/ws" in logs
        assert user.token.split(".")[1] not in logs
