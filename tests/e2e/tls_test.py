"""TLS by lighttpd, with a certificate of the moment: https and wss, what comes without it, and a renewal."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from stack import BUILD, PATIENCE, ROOT, SLOW, Stack, free_port
from wire import TEXT, Wire, head

YEAR = "max-age=31536000"
CHALLENGE = "/.well-known/acme-challenge/"


def make_pem(path, key=None):
    """A key and a certificate for this machine that it signs itself, in one file."""
    work = path.parent
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=telemed", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", work / "key", "-out", work / "cert"],
                   check=True, capture_output=True, timeout=PATIENCE)
    path.with_suffix(".new").write_bytes((key or (work / "key")).read_bytes() + (work / "cert").read_bytes())
    path.with_suffix(".new").rename(path)
    return (work / "cert").read_text()


class TlsStack(Stack):
    """Stack, with the clients on the side of TLS."""

    def __init__(self, work, **settings):
        self.pem = work / "tls.pem"
        self.cert = make_pem(self.pem)
        self.trusted = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(work / "cert")  # urllib and websockets look there
        super().__init__(TELEMED_TLS_PEM=self.pem, TELEMED_TLS_PORT=free_port(), **settings)
        self.tls_port = int(self.settings["TELEMED_TLS_PORT"])

    def __exit__(self, *error):
        del os.environ["SSL_CERT_FILE"]
        if self.trusted:
            os.environ["SSL_CERT_FILE"] = self.trusted
        super().__exit__(*error)

    @property
    def http(self):
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def ws(self):
        return f"wss://127.0.0.1:{self.tls_port}/ws"

    def offers(self):
        """The certificate that a new connection is shown."""
        return ssl.get_server_certificate(("127.0.0.1", self.tls_port), timeout=PATIENCE)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with TlsStack(tmp_path_factory.mktemp("tls")) as s:
        yield s


def curl(stack, path, *options, plain=False):
    """(status, headers by lower-case name, body) of what curl gets, which trusts the stack's certificate alone."""
    url = f"http://127.0.0.1:{stack.port}" if plain else stack.http
    got = subprocess.run(["curl", "-sS", "-i", "--http1.1", "--cacert", stack.pem.parent / "cert", *options, url + path],
                         capture_output=True, timeout=PATIENCE, check=True).stdout
    top, body = got.split(b"\r\n\r\n", 1)
    status, *lines = top.decode().split("\r\n")
    return int(status.split()[1]), {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}, body


def plainly(stack, request):
    """What is answered to a request head on the port without TLS."""
    with Wire(stack.port) as wire:
        return wire.ask(request)


def test_https_serves_all_of_it(stack):
    status, headers, body = curl(stack, "/")
    assert status == 200 and b"telemed.js" in (ROOT / "www/app.js").read_bytes() and b"<html" in body
    assert headers["strict-transport-security"] == YEAR
    assert "default-src 'none'" in headers["content-security-policy"] and headers["referrer-policy"] == "no-referrer"
    assert curl(stack, "/readyz")[0] == 200
    user = stack.patient()
    assert stack.rest("GET", "/auth/me", token=user.token)[0] == 200


@pytest.mark.parametrize("path, wanted", [("/doctors", 401), ("/nothing", 404), ("/nothing.js", 404), ("/ws", 426), ("/livez", 200)])
def test_every_answer_says_https_only(stack, path, wanted):
    status, headers, _ = curl(stack, path)
    assert (status, headers.get("strict-transport-security")) == (wanted, YEAR)


async def test_wss_carries_a_call(stack):
    doctor, patient = stack.doctor(), stack.patient()
    d, p = await doctor.connect(), await patient.connect()
    await p.wait_status(doctor, "ONLINE")
    await p.send("call_start", to=doctor, callId="by-tls")
    await d.wait("incoming_call")
    await d.send("call_accept", callId="by-tls", id="yes")
    assert (await d.answer("yes"))["type"] == "ack"
    await p.send("call_end", callId="by-tls")
    assert (await d.wait("call_end"))["data"]["reason"] == "hangup"


@pytest.mark.parametrize("origin, wanted", [("https://{}", 101), ("http://{}", 403), ("https://elsewhere.example", 403)])
def test_a_pages_own_origin_is_https(stack, origin, wanted):
    host = f"127.0.0.1:{stack.tls_port}"
    request = head(f"/ws?token={stack.patient().token}", f"Host: {host}", f"Origin: {origin.format(host)}", without=("Host",))
    with Wire(stack.tls_port, ssl.create_default_context()) as wire:
        assert wire.ask(request)[0] == wanted
        assert wanted != 101 or b'"users"' in wire.next(TEXT)


@pytest.mark.parametrize("request_line, wanted", [("GET /", "/"), ("GET /doctors?x=1&y=%20", "/doctors?x=1&y=%20"),
                                                  ("POST /auth/login", "/auth/login"), ("GET /app.js", "/app.js")])
def test_what_comes_without_tls_is_sent_to_it(stack, request_line, wanted):
    request = f"{request_line} HTTP/1.1\r\nHost: 127.0.0.1:{stack.port}\r\nContent-Length: 0\r\n\r\n"
    status, headers, _ = plainly(stack, request.encode())
    assert (status, headers["location"]) == (308, f"https://127.0.0.1:{stack.tls_port}{wanted}")
    assert "strict-transport-security" not in headers


def test_a_websocket_without_tls_is_not_opened(stack):
    status, headers, _ = plainly(stack, head(f"/ws?token={stack.patient().token}"))
    assert status == 308 and headers["location"].startswith("https://127.0.0.1:")


@pytest.mark.parametrize("host, wanted", [("clinic.example", "clinic.example"), ("clinic.example:80", "clinic.example"),
                                          ("[::1]:80", "[::1]")])
def test_it_is_sent_to_the_name_that_it_asked_for(stack, host, wanted):
    _, headers, _ = plainly(stack, f"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert headers["location"] == f"https://{wanted}:{stack.tls_port}/x"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_what_this_machine_asks_needs_no_tls(stack, path):
    status, headers, _ = curl(stack, path, plain=True)
    assert status == 200 and "strict-transport-security" not in headers


def put_challenge(stack, name, text):
    place = stack.data / ("acme" + CHALLENGE)
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)


def test_a_certificate_authority_finds_its_challenge(stack):
    put_challenge(stack, "Abc_-9", "Abc_-9.thumb")
    put_challenge(stack, ".hidden", "no")
    for plain in (True, False):
        assert curl(stack, CHALLENGE + "Abc_-9", plain=plain)[::2] == (200, b"Abc_-9.thumb")
        for other in ("other", ".hidden", "", "../../../secret", "..%2f..%2f..%2fsecret"):
            assert curl(stack, CHALLENGE + other, "--path-as-is", plain=plain)[0] in (308, 400, 404)
        assert curl(stack, CHALLENGE + "Abc_-9", "-d", "", plain=plain)[0] == 404


def context(**versions):
    """A client that would take anything between these."""
    tls = ssl.create_default_context()
    tls.set_ciphers("ALL:@SECLEVEL=0")
    for name, version in versions.items():
        setattr(tls, name, version)
    return tls


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_modern_protocols(stack, version):
    with Wire(stack.tls_port, context(minimum_version=version, maximum_version=version)) as wire:
        name, _, _ = wire.socket.cipher()
        assert wire.socket.version() == version.name.replace("_", ".") and ("GCM" in name or "CHACHA20" in name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_protocols_are_refused(stack):
    with pytest.raises(ssl.SSLError, match="protocol version|no protocols"):
        Wire(stack.tls_port, context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1))


def test_old_ciphers_are_refused(stack):
    tls = context(maximum_version=ssl.TLSVersion.TLSv1_2)
    tls.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM:AES:!AESGCM:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="handshake failure"):
        Wire(stack.tls_port, tls)


def test_what_is_no_tls_at_all_is_dropped(stack):
    with Wire(stack.tls_port) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" not in (wire.socket.recv(100) or b"")
    assert curl(stack, "/livez")[0] == 200


def test_a_handshake_that_is_not_finished_is_cut(stack):
    """As a request is: nothing, the beginning of a hello, a hello and no more, a handshake and nothing behind it."""
    context = ssl.create_default_context()
    hello, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(hello, out, server_hostname="127.0.0.1").do_handshake()
    first = out.read()
    plain = [socket.create_connection(("127.0.0.1", stack.tls_port), PATIENCE) for _ in range(3)]
    for s, start in zip(plain, (b"", first[:20], first)):
        s.sendall(start)
    done = context.wrap_socket(socket.create_connection(("127.0.0.1", stack.tls_port), PATIENCE), server_hostname="127.0.0.1")
    for s in (*plain, done):
        s.settimeout(20 + 2 * PATIENCE)
        try:
            while s.recv(1 << 14):
                pass
        except ConnectionError:
            pass
        s.close()
    assert stack.rest("GET", "/livez")[0] == 200


async def test_a_renewed_certificate_is_taken_by_the_next_lighttpd(tmp_path):
    """And clients come back by themselves, where they find their session."""
    with TlsStack(tmp_path) as stack:
        user = stack.patient()
        await user.connect()
        before = stack.offers()
        assert before == stack.cert
        after = make_pem(stack.pem)
        assert stack.offers() == before != after
        stack.kill("lighttpd", signal.SIGTERM)
        assert (await user.reconnect()).got[0]["type"] == "users"
        assert stack.offers() == after


def test_without_tls_nothing_says_https():
    with Stack() as stack, Wire(stack.port) as wire:
        status, headers, _ = wire.ask(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n\r\n")
        assert status == 200 and "strict-transport-security" not in headers
        put_challenge(stack, "one", "1")
        assert wire.ask(f"GET {CHALLENGE}one HTTP/1.1\r\nHost: x\r\n\r\n".encode())[::2] == (200, b"1")


def broken(work, how):
    pem = work / "tls.pem"
    make_pem(pem)
    if how == "gone":
        pem.unlink()
    elif how == "empty":
        pem.write_text("")
    elif how == "no key":
        shutil.copy(work / "cert", pem)
    elif how == "no certificate":
        shutil.copy(work / "key", pem)
    elif how == "another key":
        shutil.copy(work / "key", work / "other")
        make_pem(pem, work / "other")
    elif how == "a folder":
        pem.unlink()
        pem.mkdir()
    return pem


def refused(work, pem, **more):
    """The sentence of a start that is refused for good."""
    env = {**os.environ, "TELEMED_DATA_DIR": str(work / "data"), "TELEMED_PORT": str(free_port()),
           "TELEMED_TLS_PEM": str(pem), "TELEMED_TLS_PORT": str(free_port()), **more}
    got = subprocess.run([ROOT / "scripts/run", BUILD], env=env, capture_output=True, text=True, timeout=60 * SLOW, check=False,
                         stdin=subprocess.DEVNULL)
    assert got.returncode == 100, got.stderr
    assert not Path(work / "data/run/relay.sock").exists()
    return got.stderr


@pytest.mark.parametrize("how", ["gone", "empty", "no key", "no certificate", "another key", "a folder"])
def test_a_certificate_that_is_none_stops_the_start(tmp_path, how):
    assert "TELEMED_TLS_PEM" in refused(tmp_path, broken(tmp_path, how))


def test_one_port_cannot_be_both(tmp_path):
    pem = broken(tmp_path, "it is not")
    port = str(free_port())
    assert "TELEMED_TLS_PORT" in refused(tmp_path, pem, TELEMED_PORT=port, TELEMED_TLS_PORT=port)
