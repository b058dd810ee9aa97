"""SIGHUP: settings and secrets are read again by programs that run, and nobody who is connected or logged in notices."""

import asyncio
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
import websockets
from stack import PATIENCE, ROOT, SLOW, Stack, call, wait_until
from wire import Wire, head

V1 = {"subprotocols": ["telemed.v1"]}
PROGRAMS = ("ws-relay", "fcgi-api")


class FileStack(Stack):
    """A stack whose settings are in a file, but for those that a test has no use for."""

    def __init__(self, *lines):
        super().__init__()
        self.settings.pop("TELEMED_AUTH_RATE")
        self.file = Path(self.dir.name) / "settings"
        self.settings["TELEMED_SETTINGS_FILE"] = str(self.file)
        self.write(*lines)

    def write(self, *lines):
        """The settings LINES; and no rate for logins, unless they have one."""
        if not any(line.startswith("TELEMED_AUTH_RATE=") for line in lines):
            lines = (*lines, "TELEMED_AUTH_RATE=0")
        self.file.write_text("".join(f"{line}\n" for line in lines))

    def said(self, program):
        """What PROGRAM has said of its reloads, one after another."""
        lines = [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line["program"] == program and line["event"] in ("reloaded", "reload_refused")]

    def reload(self, *lines):
        """With the settings LINES; what each program says of it."""
        self.write(*lines)
        before = {p: len(self.said(p)) for p in PROGRAMS}
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: all(len(self.said(p)) > before[p] for p in PROGRAMS), "both programs to have read their settings")
        assert all(len(self.said(p)) == before[p] + 1 for p in PROGRAMS)
        return [self.said(p)[-1] for p in PROGRAMS]


@pytest.fixture(scope="module")
def stack():
    with FileStack() as s:
        yield s


def origin(stack, token, name):
    """(status of a handshake from a page of this origin, whether REST lets it read the answer)."""
    with Wire(stack.port) as wire:
        status, _, _ = wire.ask(head(f"/ws?token={token}", f"Origin: {name}"))
    with Wire(stack.port) as wire:
        _, headers, _ = wire.ask(f"GET /livez HTTP/1.1\r\nHost: x\r\nOrigin: {name}\r\n\r\n".encode())
    return status, "access-control-allow-origin" in headers


async def test_rates_count_on_connections_that_are_open(stack):
    p = await stack.patient().connect(**V1)
    for i in range(40):
        await p.send("chat", id=f"before-{i}", message="x")
    assert {(await p.answer(f"before-{i}"))["type"] for i in range(40)} == {"ack"}
    stack.reload("TELEMED_WS_RATE=1")
    for i in range(6):
        await p.send("chat", id=f"after-{i}", message="x")
    answers = [await p.answer(f"after-{i}") for i in range(6)]
    assert "rate_limited" in {a.get("code") for a in answers}
    new = await stack.patient().connect(**V1)
    assert (await new.wait("welcome"))["limits"]["messagesPerSecond"] == 1
    stack.reload("TELEMED_WS_RATE=0")
    for i in range(100):
        await new.send("chat", id=f"free-{i}", message="x")
    assert {(await new.answer(f"free-{i}"))["type"] for i in range(100)} == {"ack"}


async def test_origins_logins_and_turn(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    stack.reload()
    assert origin(stack, patient.token, "https://clinic.example") == (403, False)
    assert stack.rest("GET", "/turn", token=patient.token) == (200, {"iceServers": []})
    stack.reload("TELEMED_AUTH_RATE=2", "TELEMED_ALLOWED_ORIGINS=https://clinic.example",
                 "TELEMED_TURN_URLS=turn:turn.example", "TELEMED_TURN_SECRET=a-secret-of-some-length")
    assert origin(stack, patient.token, "https://clinic.example") == (101, True)
    (server,) = stack.rest("GET", "/turn", token=patient.token)[1]["iceServers"]
    assert server["urls"] == ["turn:turn.example"]
    await p.send("call_start", to=doctor, callId="turn")
    assert len((await d.wait("incoming_call"))["data"]["iceServers"]) == 1
    body = {"email": "nobody@example.org", "password": "password"}
    assert [stack.rest("POST", "/auth/login", body)[0] for _ in range(3)] == [401, 401, 429]
    stack.reload()
    assert stack.rest("POST", "/auth/login", body)[0] == 401
    await d.send("call_accept", callId="turn", id="a")
    assert (await d.answer("a"))["type"] == "ack"
    await p.close()
    await d.close()


def test_the_level_of_the_log(stack):
    def lines():
        return stack.log_text().count('"event":"http_request"')
    stack.reload("TELEMED_LOG_LEVEL=error")
    before = lines()
    assert [stack.rest("GET", "/livez")[0] for _ in range(5)] == [200] * 5
    assert lines() == before
    stack.reload()
    wait_until(lambda: stack.rest("GET", "/livez")[0] == 200 and lines() > before, "requests to be in the log again")


@pytest.mark.parametrize("bad, says", [
    ("TELEMED_AUTH_RATE=many", "TELEMED_AUTH_RATE must be"),
    ("TELEMED_ADDRESS_CONNECTIONS=-1", "TELEMED_ADDRESS_CONNECTIONS must be"),
    ("TELEMED_LOG_LEVEL=hush", "TELEMED_LOG_LEVEL must be"),
    ("TELEMED_JWT_SECRET=hush", "TELEMED_JWT_SECRET must have"),
    ("TELEMED_TURN_SECRET=hush", "TELEMED_TURN_SECRET must be"),
    ("TELEMED_ALLOWED_ORIGINS=hush", "TELEMED_ALLOWED_ORIGINS must be"),
    ("TELEMED_JWT_SECRET_FILE=/nowhere", "TELEMED_JWT_SECRET_FILE must name"),
    ("TELEMED_WSRATE=7", "TELEMED_WSRATE is not a setting"),
    ("hush=hush", "TELEMED_SETTINGS_FILE must not have a line 2"),
])
async def test_what_is_bad_changes_nothing(stack, bad, says):
    stack.reload("TELEMED_WS_RATE=3")
    p = await stack.patient().connect(**V1)
    for last in stack.reload("TELEMED_WS_RATE=9", bad):
        assert last["event"] == "reload_refused" and says in last["why"] and "hush" not in last["why"]
    new = await stack.patient().connect(**V1)
    assert (await new.wait("welcome"))["limits"]["messagesPerSecond"] == 3
    await p.barrier()
    assert stack.rest("GET", "/auth/me", token=p.user.token)[0] == 200
    for last in stack.reload():
        assert last["event"] == "reloaded"


async def test_of_what_comes_with_it_nothing_is_taken_over(stack):
    """Neither secrets nor rates nor origins nor the level of the log: one bad secret, and all of them stay."""
    stack.reload("TELEMED_WS_RATE=3", "TELEMED_ALLOWED_ORIGINS=https://clinic.example")
    user, first, second = stack.patient(), stack.data / "secret", stack.data / "secret.second"
    old = first.read_bytes()
    first.write_bytes(b"another secret of some forty bytes or so")
    second.write_bytes(b"too short")
    for last in stack.reload("TELEMED_WS_RATE=9", "TELEMED_ALLOWED_ORIGINS=https://other.example", "TELEMED_LOG_LEVEL=error"):
        assert last["event"] == "reload_refused" and "TELEMED_JWT_SECRET_SECOND_FILE must name" in last["why"]
        assert "(it is shorter)" in last["why"]
    before = stack.log_text().count('"event":"http_request"')
    assert stack.rest("GET", "/auth/me", token=user.token)[0] == 200
    wait_until(lambda: stack.log_text().count('"event":"http_request"') > before, "the request to be in the log")
    assert origin(stack, user.token, "https://clinic.example") == (101, True)
    assert origin(stack, user.token, "https://other.example") == (403, False)
    assert (await (await user.connect(**V1)).wait("welcome"))["limits"]["messagesPerSecond"] == 3
    first.write_bytes(old)
    second.unlink()
    for last in stack.reload():
        assert last["event"] == "reloaded"
    assert stack.rest("GET", "/auth/me", token=user.token)[0] == 200


async def test_what_wants_a_restart_is_named(stack):
    relay, api = (stack.pids(p)[0] for p in PROGRAMS)
    p = await stack.patient().connect()
    for last in stack.reload("TELEMED_RING_TIMEOUT=9", "TELEMED_VISIBILITY=scoped", "TELEMED_WS_RATE=60"):
        assert (last["event"], last["level"]) == ("reloaded", "warn")
        assert last["restart_for"] == "TELEMED_RING_TIMEOUT, TELEMED_VISIBILITY"
    for last in stack.reload():
        assert (last["event"], last["restart_for"]) == ("reloaded", "")
    await p.barrier()
    assert [stack.pids(p)[0] for p in PROGRAMS] == [relay, api]


def test_where_it_listens_wants_a_restart():
    with FileStack() as stack:
        at = stack.port
        stack.stop()
        env = {**stack.settings, "TELEMED_DATA_DIR": str(stack.data)}
        stack.write(f"TELEMED_PORT={at}")
        with open(Path(stack.dir.name) / "other", "wb") as log:
            process = subprocess.Popen([ROOT / "scripts/run", stack.build], env={**os.environ, **env}, stdout=log,
                                       stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                text = Path(log.name).read_text
                wait_until(lambda: f"ready on http://127.0.0.1:{at}" in text(), "the stack to be ready")
                stack.write(f"TELEMED_PORT={at + 1}")
                process.send_signal(signal.SIGHUP)
                wait_until(lambda: "TELEMED_PORT has changed" in text() and text().count('"reloaded"') == 2, "it to say so")
                assert text().count('"restart_for":"TELEMED_PORT"') == 2
                assert stack.rest("GET", "/readyz")[0] == 200
                stack.write("TELEMED_PORT=80800")
                process.send_signal(signal.SIGHUP)
                wait_until(lambda: text().count('"reload_refused"') == 2, "it to refuse what is no port")
                assert stack.rest("GET", "/readyz")[0] == 200
            finally:
                process.terminate()
                assert process.wait(PATIENCE * 2) == 0


def test_lighttpd_opens_its_log_again(stack):
    access = stack.data / "log/access.log"
    access.rename(access.with_suffix(".1"))
    stack.reload()
    wait_until(lambda: stack.rest("GET", "/livez")[0] == 200 and access.exists() and '"path":"/livez"' in access.read_text(),
               "a new access log")


@pytest.mark.parametrize("workers", [0, 2])
async def test_lighttpd_restarts_itself_and_serves_on(workers):
    """What SIGUSR1 to lighttpd does, or lighttpd of its own accord: WebSockets come back, and what it logs is still without a query."""
    with Stack(TELEMED_HTTP_WORKERS=workers) as stack:
        p, lighttpd = await stack.patient().connect(), stack.pids("lighttpd")[0]
        for times in (1, 2):
            os.kill(lighttpd, signal.SIGUSR1)
            await p.closed()
            p = await p.user.reconnect()
            assert stack.rest("GET", "/livez")[0] == 200 and stack.pids("lighttpd")[0] == lighttpd
        (stack.data / "run/relay.sock").unlink()
        with pytest.raises(websockets.InvalidStatusCode):
            await p.user.open()
        wait_until(lambda: "/ws?[redacted]" in stack.log_text(), "lighttpd to complain")
        assert p.user.token not in stack.log_text() and "lighttpd ended" not in stack.log_text()


def test_requests_that_run_are_finished():
    """Logins, which take long, while the workers are replaced again and again: each has its answer."""
    with FileStack() as stack:
        stack.settings["TELEMED_BCRYPT_COST"] = "11" if SLOW == 1 else "6"  # they have five seconds to end
        stack.stop()
        stack.start()
        stack.patient()
        body, answers, stop = {"email": f"user{stack.users}@example.org", "password": "password"}, [], threading.Event()

        def log_in():
            while not stop.is_set():
                answers.append(stack.rest("POST", "/auth/login", body)[0])

        def ask():
            while not stop.is_set():
                answers.append(stack.rest("GET", "/livez")[0])
        threads = [threading.Thread(target=f) for f in [log_in] * 4 + [ask] * 4]
        for thread in threads:
            thread.start()
        for _ in range(5):
            before = len(answers)
            stack.reload()
            wait_until(lambda: len(answers) > before + 20, "answers")
        stop.set()
        for thread in threads:
            thread.join()
        assert set(answers) == {200}


def commands(n):
    """The commands of the Nth step in docs/operations.md, in a shell that knows of `make run`."""
    text = (ROOT / "docs/operations.md").read_text()
    return "".join(re.search(rf"<!-- rotate {part} -->\n(.*?)<!-- /rotate -->", text, re.S)[1] for part in ("run", n))


class Crowd:
    """Users who log in, renew their tokens, ask and connect all the while, with tokens old and new."""

    def __init__(self, stack):
        self.stack, self.stop, self.wrong, self.done = stack, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.run, args=(stack.patient(),)) for _ in range(6)]

    def expect(self, what, got, wanted):
        self.done += 1
        if got != wanted:
            self.wrong.append((what, got))

    def connects(self, token):
        with Wire(self.stack.port) as wire:
            return wire.ask(head("/ws", f"Authorization: Bearer {token}"))[0]

    def run(self, user):
        body = {"email": f"user{user.id}@example.org", "password": "password"}
        newest = user.token
        while not self.stop.is_set():
            self.expect("me", self.stack.rest("GET", "/auth/me", token=user.token)[0], 200)
            status, got = self.stack.rest("POST", "/auth/refresh", token=newest)
            self.expect("refresh", status, 200)
            newest = got["token"] if status == 200 else newest
            self.expect("connect", self.connects(newest), 101)
            status, got = self.stack.rest("POST", "/auth/login", body)
            self.expect("login", status, 200)
            if status == 200:
                self.expect("me after login", self.stack.rest("GET", "/auth/me", token=got["token"])[0], 200)
                self.expect("connect after login", self.connects(got["token"]), 101)
        user.newest = newest
        self.users.append(user)

    def __enter__(self):
        self.users = []
        for thread in self.threads:
            thread.start()
        return self

    def more(self):
        """Waits until all of them have been through all of it."""
        enough = self.done + 100
        wait_until(lambda: self.done > enough or self.wrong, "the crowd")

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def follow(stack, n):
    """Does as the operator is told, in a folder that has var/."""
    before = {p: len(stack.said(p)) for p in PROGRAMS}
    subprocess.run(["bash", "-euc", commands(n)], cwd=stack.data.parent, check=True, stdin=subprocess.DEVNULL)
    wait_until(lambda: all(len(stack.said(p)) > before[p] for p in PROGRAMS), "both programs to have read their secrets")
    assert all(stack.said(p)[-1]["event"] == "reloaded" for p in PROGRAMS)


async def test_the_secret_is_changed_under_load():
    with FileStack() as stack:
        (stack.data.parent / "var").symlink_to(stack.data)
        old = (stack.data / "secret").read_bytes()
        p, d = await stack.patient().connect(**V1), await stack.doctor().connect(**V1)
        await call(p, d, "goes-on")
        loop = asyncio.get_running_loop()
        crowd = Crowd(stack)
        with crowd:
            await loop.run_in_executor(None, crowd.more)
            for step in (1, 2):
                await loop.run_in_executor(None, follow, stack, step)
                await loop.run_in_executor(None, crowd.more)
        assert crowd.wrong == []
        assert (stack.data / "secret").read_bytes() != old == (stack.data / "secret.second").read_bytes()
        assert oct((stack.data / "secret").stat().st_mode & 0o777) == "0o600"
        follow(stack, 3)
        for user in crowd.users:
            assert stack.rest("GET", "/auth/me", token=user.token)[0] == 401  # though it was known before
            assert stack.rest("GET", "/auth/me", token=user.newest)[0] == 200
            assert (crowd.connects(user.token), crowd.connects(user.newest)) == (401, 101)
        # A connection goes on, and so does its call; what it renews its token with must be of the new secret.
        await p.send("signal", to=d.user, signalType="offer", sdpOrIce="still here")
        assert (await d.wait("signal"))["data"]["sdpOrIce"] == "still here"
        await p.send("token_refresh", id="old", token=p.user.token)
        assert (await p.answer("old"))["code"] == "forbidden"


def test_a_secret_that_has_leaked_is_replaced_at_once():
    with FileStack() as stack:
        user = stack.patient()
        assert stack.rest("GET", "/auth/me", token=user.token)[0] == 200
        (stack.data / "secret").write_bytes(b"another secret of some forty bytes or so")
        stack.reload()
        assert stack.rest("GET", "/auth/me", token=user.token)[0] == 401
        with Wire(stack.port) as wire:
            assert wire.ask(head(f"/ws?token={user.token}"))[0] == 401
        _, got = stack.rest("POST", "/auth/login", {"email": f"user{stack.users}@example.org", "password": "password"})
        assert stack.rest("GET", "/auth/me", token=got["token"])[0] == 200
