"""fcgi-api's own door, behind lighttpd: requests that lighttpd would have answered itself, and what is no FastCGI."""

import json
import os
import socket
import struct

import pytest
from stack import PATIENCE, Stack

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, GET_VALUES = 1, 2, 3, 4, 5, 6, 9
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        yield s


@pytest.fixture(autouse=True)
def workers_stay(stack):
    """Whatever comes, nothing dies of it, and the next is answered."""
    before = stack.pids("fcgi-api")
    yield
    for _ in range(3 * len(before)):
        assert stack.rest("GET", "/livez")[0] == 200
    assert stack.pids("fcgi-api") == before and "worker_died" not in stack.log_text()


def record(kind, content=b"", version=1, id=1, claim=None, padding=0):
    """CLAIM: the length that its header says, where that is not the content's."""
    return struct.pack("!BBHHBx", version, kind, id, len(content) if claim is None else claim, padding) + content + bytes(padding)


def begin(role=RESPONDER):
    return record(BEGIN, struct.pack("!HB5x", role, 0))


def pair(name, value):
    def length(n):
        return struct.pack("!B", n) if n < 128 else struct.pack("!I", n | 1 << 31)
    return length(len(name)) + length(len(value)) + name + value


def pairs(**params):
    return b"".join(pair(n.encode(), v if isinstance(v, bytes) else str(v).encode()) for n, v in params.items())


def asked(**params):
    """As lighttpd puts it, but for PARAMS; None takes one away."""
    usual = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/livez", "PATH_INFO": "", "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1",
             "HTTP_HOST": "x", "REQUEST_SCHEME": "http", "SERVER_PROTOCOL": "HTTP/1.1"}
    return pairs(**{n: v for n, v in {**usual, **params}.items() if v is not None})


def stream(kind, content):
    """Records of at most 60,000 bytes, and the empty one that ends them."""
    return b"".join(record(kind, content[i:i + 60000]) for i in range(0, len(content), 60000)) + record(kind)


class Door:
    """A connection to one of the two sockets."""

    def __init__(self, stack, name="api"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(stack.data / f"run/{name}.sock"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except ConnectionError:
            pass  # it has closed already

    def rest(self):
        """All until it is closed."""
        got = b""
        try:
            while more := self.socket.recv(1 << 16):
                got += more
        except ConnectionError:
            pass
        return got


def output(got):
    """What the records of GOT hold for standard output."""
    out = b""
    while len(got) >= 8:
        _, kind, _, length, padding = struct.unpack_from("!BBHHB", got)
        out += got[8:8 + length] if kind == STDOUT else b""
        got = got[8 + length + padding:]
    return out


def answer(stack, body=b"", door="api", **params):
    """(status, JSON) of one request."""
    with Door(stack, door) as d:
        d.send(begin() + stream(PARAMS, asked(**params)) + stream(STDIN, body))
        head, _, text = output(d.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"Status: "), head
    return int(head.split()[1]), json.loads(text) if text else None


def post(path, body, **params):
    return {"REQUEST_METHOD": "POST", "SCRIPT_NAME": path, "CONTENT_LENGTH": len(body), "body": body, **params}


def test_it_is_a_door(stack):
    assert answer(stack)[0] == 200
    assert answer(stack, REQUEST_METHOD="HEAD") == (200, None)


@pytest.mark.parametrize("size", [16 << 10, (16 << 10) + 1, 1 << 20])
@pytest.mark.parametrize("path", ["/auth/login", "/auth/register"])
def test_a_body_is_bounded_here_too(stack, path, size):
    body = b"{}" + b" " * (size - 2)
    status, got = answer(stack, door="auth", **post(path, body))
    assert (status, got["code"]) == ((400, "validation_failed") if size == 16 << 10 else (413, "too_large"))


@pytest.mark.parametrize("length", [None, "", "0", "1", "5", "100000", "-1", "+2", "x", "18446744073709551618"])
def test_a_body_is_what_comes_whatever_its_length_says(stack, length):
    status, got = answer(stack, door="auth", **post("/auth/login", b'{"email":1}', CONTENT_LENGTH=length))
    assert (status, got["code"]) in ((400, "validation_failed"), (400, "bad_json")), got


PATHS = {"": 404, "/": 404, "livez": 404, "/livez/": 404, "/livez\0": 200, "/LIVEZ": 404, "/" + "x" * 300: 404, "/livez" + "/" * 300: 404,
         "/openapi.yaml": 404, "/asyncapi.yaml": 404, "/../livez": 404, "//livez": 404, "/%6civez": 404}


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_only_a_path_that_is_one_has_a_route(stack, path):
    assert answer(stack, SCRIPT_NAME=path)[0] == PATHS[path]
    assert answer(stack, SCRIPT_NAME="", PATH_INFO=path)[0] == PATHS[path]
    assert answer(stack, SCRIPT_NAME="/nothing", REQUEST_URI=path)[0] == 404


@pytest.mark.parametrize("method", [None, "", "get", "GET ", "POST", "PUT", "\xff", "G" * 9000])
def test_another_method_is_not_allowed(stack, method):
    status, got = answer(stack, REQUEST_METHOD=method)
    assert (status, got["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("address", [None, "", "127.0.0.1.", "127.0.0.1 ", "127.0.0.1:80", "localhost", "1.2.3.4", "::2", "::ffff:7f00:2",
                                     "127.1", "0177.0.0.1", "[::1]", "x" * 9000, "127.0.0.1,1.2.3.4"])
def test_who_is_not_known_to_be_of_this_machine_is_not(stack, address):
    wanted = 200 if address == "::ffff:7f00:2" else 403  # 127.0.0.2
    with Door(stack) as d:
        d.send(begin() + stream(PARAMS, asked(SCRIPT_NAME="/metrics", REMOTE_ADDR=address)) + stream(STDIN, b""))
        assert output(d.rest()).startswith(b"Status: %d\r\n" % wanted)


@pytest.mark.parametrize("params", [
    b"", pair(b"", b""), pair(b"", b"x"), pair(b"REQUEST_METHOD", b""), pair(b"=", b"="), pair(b"A" * 30000, b"b" * 30000),
    b"".join(pair(b"HTTP_X%d" % i, b"x") for i in range(5000)), pair(b"HTTP_AUTHORIZATION", b"Bearer " + b"x" * 60000),
    pair(b"HTTP_AUTHORIZATION", b"Bearer \xff\xfe\r\nX: y"), pair(b"HTTP_ORIGIN", b"http://x\r\nSet-Cookie: a=b"),
    pair(b"HTTP_X_REQUEST_ID", b"x\r\nSet-Cookie: a=b"), pair(b"HTTP_IF_NONE_MATCH", b"W/" * 20000), asked() + asked(SCRIPT_NAME="/x"),
], ids=lambda p: repr(p[:30]))
def test_odd_parameters_have_an_answer(stack, params):
    for more in (b"", asked(SCRIPT_NAME="/doctors")):
        with Door(stack) as d:
            d.send(begin() + stream(PARAMS, more + params) + stream(STDIN, b""))
            got = output(d.rest())
        assert got.startswith(b"Status: "), got[:200]
        head = got.partition(b"\r\n\r\n")[0]
        assert b"Set-Cookie" not in head and b"X: y" not in head


BROKEN = {
    "nothing": b"",
    "half a header": begin()[:5],
    "half a record": begin()[:12],
    "an HTTP request": b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "another version": record(BEGIN, struct.pack("!HB5x", RESPONDER, 0), version=2) + stream(PARAMS, asked()),
    "another role": begin(AUTHORIZER) + stream(PARAMS, asked()) + stream(STDIN, b""),
    "a role that is none": begin(99) + stream(PARAMS, asked()) + stream(STDIN, b""),
    "parameters without a beginning": stream(PARAMS, asked()) + stream(STDIN, b""),
    "parameters of another request": begin() + record(PARAMS, asked(), id=2) + record(PARAMS, id=2),
    "a beginning in the parameters": begin() + record(PARAMS, asked()) + begin() + record(PARAMS),
    "parameters that end in a name": begin() + stream(PARAMS, pair(b"REQUEST_METHOD", b"GET")[:8]),
    "parameters that end in a length": begin() + stream(PARAMS, b"\xff\xff"),
    "a name of two gigabytes": begin() + stream(PARAMS, struct.pack("!II", 0xffffffff, 0xffffffff) + b"x"),
    "a value of two gigabytes": begin() + stream(PARAMS, b"\x01" + struct.pack("!I", 0xffffffff) + b"x"),
    "a record that is shorter than it says": begin() + record(PARAMS, asked(), claim=65535),
    "an abort": begin() + stream(PARAMS, asked()) + record(ABORT),
    "an abort in the parameters": begin() + record(PARAMS, asked()[:20]) + record(ABORT),
    "an unknown kind": begin() + record(77, b"x" * 100) + stream(PARAMS, asked()) + stream(STDIN, b""),
    "a question about us": record(GET_VALUES, pair(b"FCGI_MPXS_CONNS", b""), id=0),
    "random bytes": os.urandom(5000),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_fastcgi_is_nothing(stack, what):
    """Its writer hangs up behind it, or hears no more."""
    for how in (socket.SHUT_WR, None):
        with Door(stack) as d:
            d.send(BROKEN[what])
            if how is not None:
                d.socket.shutdown(how)
                d.rest()


def test_who_does_not_hear_the_answer_holds_nobody_up(stack):
    workers = len(stack.pids("fcgi-api"))
    doors = [Door(stack) for _ in range(2 * workers)]
    for d in doors:
        d.send(begin() + stream(PARAMS, asked()) + stream(STDIN, b""))
        d.socket.close()
