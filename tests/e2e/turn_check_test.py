"""telemed-admin turn check: against coturn, and against servers that answer as none should."""

import json
import os
import signal
import socket
import struct
import subprocess
import threading

import pytest
from stack import SLOW, Stack, free_port, wait_until

SECRET = "the-secret-of-both-of-us"
COOKIE = b"\x21\x12\xa4\x42"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key", "-out",
                    folder / "cert"], check=True, capture_output=True, timeout=60)
    return folder


class Coturn:
    def __init__(self, folder, certificate, *more):
        self.port, self.tls_port = free_port(), free_port()
        self.log = open(folder / "coturn.log", "wb")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "turnserver", "-n", "--no-cli", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1",
             f"--listening-port={self.port}", f"--tls-listening-port={self.tls_port}", f"--cert={certificate}/cert",
             f"--pkey={certificate}/key", "--realm=telemed", f"--userdb={folder}/db", f"--pidfile={folder}/pid", "--log-file=stdout",
             "--allow-loopback-peers", *more], stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        for port in (self.port, self.tls_port):
            wait_until(lambda port=port: self.takes(port), "coturn", 30 * SLOW)

    def takes(self, port):
        assert self.process.poll() is None, "coturn does not start"
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


@pytest.fixture(scope="module")
def coturn(certificate, tmp_path_factory):
    c = Coturn(tmp_path_factory.mktemp("coturn"), certificate, "--use-auth-secret", f"--static-auth-secret={SECRET}")
    yield c
    c.stop()


@pytest.fixture(scope="module")
def stack():
    """Nothing runs: the command wants settings alone."""
    s = Stack()
    yield s
    s.dir.cleanup()


def check(stack, urls, secret=SECRET, code=0, **settings):
    if secret:
        settings["TELEMED_TURN_SECRET"] = secret
    got = stack.admin_json("turn", "check", code=code, TELEMED_TURN_URLS=",".join(urls), **settings)
    assert [s["url"] for s in got["servers"]] == list(urls)
    return got["servers"]


def test_coturn_is_good_every_way(stack, coturn, certificate):
    ways = [f"stun:127.0.0.1:{coturn.port}", f"turn:127.0.0.1:{coturn.port}", f"turn:localhost:{coturn.port}?transport=udp",
            f"turn:127.0.0.1:{coturn.port}?transport=tcp", f"stuns:localhost:{coturn.tls_port}",
            f"turns:localhost:{coturn.tls_port}?transport=tcp", f"turns:127.0.0.1:{coturn.tls_port}"]
    for server in check(stack, ways, SSL_CERT_FILE=str(certificate / "cert")):
        assert server["good"] and server["checked"], server
        place = server.get("mapped" if server["url"].startswith("stun") else "relayed")
        assert place.startswith("127.0.0.1:"), server
    code, out, err = stack.admin("turn", "check", TELEMED_TURN_URLS=",".join(ways[:2]), TELEMED_TURN_SECRET=SECRET)
    assert (code, err) == (0, "") and out.count("good") == 2 and SECRET not in out


def test_during_a_rotation_either_secret_will_do(stack, coturn):
    for secrets in (f"{SECRET},another-secret-of-16", f"another-secret-of-16,{SECRET}"):
        (server,) = check(stack, [f"turn:127.0.0.1:{coturn.port}"], secrets)
        assert server["good"]


def test_a_wrong_secret_is_told(stack, coturn):
    for way in ("", "?transport=tcp"):
        (server,) = check(stack, [f"turn:127.0.0.1:{coturn.port}{way}"], "another-secret-of-16", 1)
        assert not server["good"] and "refuses our credentials" in server["says"] and "another" not in server["says"]


def test_a_server_that_relays_for_anybody_is_told(stack, certificate, tmp_path):
    c = Coturn(tmp_path, certificate, "--no-auth")
    try:
        (server,) = check(stack, [f"turn:127.0.0.1:{c.port}"], code=1)
        assert "anybody" in server["says"]
    finally:
        c.stop()


def test_a_certificate_that_no_browser_takes_is_told(stack, coturn, certificate):
    url = f"turns:127.0.0.1:{coturn.tls_port}?transport=tcp"
    (server,) = check(stack, [url], code=1)
    assert "certificate is refused" in server["says"]
    with socket.create_server(("127.0.0.1", 0)) as plain:
        def greet():
            with plain.accept()[0] as peer:
                peer.sendall(b"220 hello\r\n")
                peer.recv(1000)
        thread = threading.Thread(target=greet)
        thread.start()
        (server,) = check(stack, [f"turns:127.0.0.1:{plain.getsockname()[1]}?transport=tcp"], code=1)
        thread.join()
    assert "TLS" in server["says"]
    other = f"turns:ip6-localhost:{coturn.tls_port}?transport=tcp"  # the certificate is not for this name
    (server,) = check(stack, [other], code=1, SSL_CERT_FILE=str(certificate / "cert"))
    assert not server["good"]


def test_what_is_not_there_is_told(stack):
    port = free_port()
    servers = check(stack, [f"stun:127.0.0.1:{port}", f"turn:127.0.0.1:{port}?transport=tcp", "turn:no-such-name.invalid",
                            f"turns:127.0.0.1:{port}?transport=udp"], code=1)
    assert [s["good"] for s in servers] == [False] * 4 and [s["checked"] for s in servers] == [True] * 3 + [False]
    assert "cannot be reached" in servers[1]["says"] and "name" in servers[2]["says"] and "UDP" in servers[3]["says"]


def test_there_may_be_none(stack):
    assert stack.admin("turn", "check") == (0, "TELEMED_TURN_URLS names no servers.\n", "")
    assert stack.admin_json("turn", "check") == {"servers": []}
    assert stack.admin("turn", "check", "turn:example.org")[0] == 64


def attribute(type, value, length=None):
    return struct.pack("!HH", type, len(value) if length is None else length) + value + b"\0" * (-len(value) % 4)


def message(type, id, *attributes, length=None, cookie=COOKIE):
    body = b"".join(attributes)
    return struct.pack("!HH", type, len(body) if length is None else length) + cookie + id + body


@pytest.mark.parametrize("name,answer", [
    ("silence", lambda id: b""),
    ("another id", lambda id: message(0x0101, b"x" * 12, attribute(0x20, b"\0\1" + b"\0" * 6))),
    ("a request", lambda id: message(0x0001, id)),
    ("an indication", lambda id: message(0x0011, id)),
    ("cut short", lambda id: message(0x0101, id, attribute(0x20, b"\0\1" + b"\0" * 6))[:-3]),
    ("a length that lies", lambda id: message(0x0101, id, attribute(0x20, b"\0\1" + b"\0" * 6), length=4000)),
    ("an attribute that lies", lambda id: message(0x0101, id, attribute(0x20, b"\0\1" + b"\0" * 6, length=60000))),
    ("an address of no family", lambda id: message(0x0101, id, attribute(0x20, b"\0\7" + b"\0" * 6))),
    ("an address of three bytes", lambda id: message(0x0101, id, attribute(0x20, b"\0\1\0"))),
    ("no cookie", lambda id: message(0x0101, id, cookie=b"\0" * 4)),
    ("an error without a number", lambda id: message(0x0111, id, attribute(0x09, b"\0\0"))),
    ("noise", lambda id: os.urandom(1000)),
    ("an error", lambda id: message(0x0111, id, attribute(0x09, b"\0\0\5\0oops"))),
])
def test_what_no_server_should_say(stack, name, answer):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))

        def serve():
            while True:
                got, peer = s.recvfrom(4096)
                if got == b"stop":
                    return
                if reply := answer(got[8:20]):
                    s.sendto(reply, peer)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            (server,) = check(stack, [f"stun:127.0.0.1:{s.getsockname()[1]}"], None, 1)
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"stop", s.getsockname())
            thread.join()
        assert not server["good"]
        assert server["says"] == ("It answers with error 500." if name == "an error" else
                                  "It answers with error 0." if "address" in name else "It does not answer."), json.dumps(server)
