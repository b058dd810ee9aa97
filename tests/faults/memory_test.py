"""One allocation fails, for each in turn: that request gets 503 or that connection is closed, nothing crashes, and the next is served."""

import itertools
import json
import os
import random
import signal
import subprocess

import pytest
import websockets
from stack import BUILD, NOBODY, Client, wait_until
from trouble import Shim, ShimmedStack, is_ready

FAR = 1 << 40
NUMBERS = itertools.count()
def some(count, most):
    """MOST of the allocations, others each time, where they are too many for all."""
    return sorted(random.sample(range(1, count + 1), min(count, most)))


@pytest.fixture(scope="module")
def stack():
    with ShimmedStack(TELEMED_CALL_GRACE=1, TELEMED_PRESENCE_GRACE=1, TELEMED_TURN_URLS="stun:a:1,turn:b:2",
                      TELEMED_TURN_SECRET="hush-hush-hush-hush") as s:
        yield s


def pids(stack):
    return stack.pids("ws-relay") + stack.pids("fcgi-api")


REQUESTS = {
    "registration": (201, lambda s: ("POST", "/auth/register", {"name": "n", "email": f"m{next(NUMBERS)}@example.org",
                                                                "password": "password", "role": "DOCTOR"})),
    "login": (200, lambda s: ("POST", "/auth/login", {"email": "user1@example.org", "password": "password"})),
    "doctors": (200, lambda s: ("GET", "/doctors", None, s.somebody.token)),
    "status": (200, lambda s: ("POST", "/doctors/status", {"status": "BUSY"}, s.somebody.token)),
    "me": (200, lambda s: ("GET", "/auth/me", None, s.somebody.token)),
    "refresh": (200, lambda s: ("POST", "/auth/refresh", b"", s.somebody.token)),
    "calls": (200, lambda s: ("GET", "/calls", None, s.somebody.token)),
    "turn": (200, lambda s: ("GET", "/turn", None, s.somebody.token)),
    "logout": (204, lambda s: ("POST", "/auth/logout", b"", s.sign(s.somebody.id, "DOCTOR", 600, sid=os.urandom(8).hex()))),
    "metrics": (200, lambda s: ("GET", "/metrics",)),
    "not found": (404, lambda s: ("GET", "/nothing")),
}


class Asker:
    """Asks one thing, with an allocation of fcgi-api's that fails."""

    def __init__(self, stack, what):
        if not hasattr(stack, "somebody"):
            stack.somebody = stack.doctor()
        self.stack, self.shim = stack, stack.shims["fcgi-api"]
        self.wanted, self.make = REQUESTS[what]
        for _ in range(40):
            self.ask(0)  # so that each worker has prepared its statements
        self.used = max(self.ask(FAR)[1] for _ in range(10))

    def ask(self, n):
        """(the answer, how many allocations there were)"""
        self.request = self.make(self.stack)
        self.shim.fail_allocation(n)
        status, self.problem = answer_of(self.stack, *self.request)
        left = self.shim.get(0)
        self.shim.fail_allocation(0)
        return status, n - left

    def libfcgi_ended(self, status, said):
        """It ends the worker where it has no memory for the head of a request, and lighttpd answers 500."""
        return status == 500 and "fcgiapp.c" in self.stack.log_text()[said:]


@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_without_memory(stack, what):
    """From the last allocation to the first; what comes before ours is libfcgi's."""
    asker, before, got = Asker(stack, what), pids(stack), {}
    for n in range(asker.used, 0, -1):
        said = len(stack.log_text())
        status, _ = asker.ask(n)
        got[status] = got.get(status, 0) + 1
        if asker.libfcgi_ended(status, said):
            break
        assert status in (asker.wanted, 503), f"allocation {n} of {asker.used} fails: {status}"
        assert pids(stack) == before, f"allocation {n} of {asker.used} fails: a process has ended"
        if what == "registration" and status == 503:  # it has not happened
            assert not stack.sql("SELECT 1 FROM user WHERE email = ?", asker.request[2]["email"]), f"allocation {n} of {asker.used}"
    wait_until(lambda: asker.ask(0)[0] == asker.wanted, "the answer")
    wait_until(lambda: len(pids(stack)) == len(before), "another worker")
    print(f"# {what}: {asker.used} allocations, {got}")
    assert got[503] > 0 and n < 60


def test_a_request_without_memory_for_its_head(stack):
    """libfcgi aborts there. Who asked is told 500, the log that a worker died and of which signal, and another takes its place."""
    asker = Asker(stack, "not found")
    for n in range(1, asker.used + 1):
        said, before = len(stack.log_text()), pids(stack)
        status, _ = asker.ask(n)
        if not asker.libfcgi_ended(status, said):
            break
        assert asker.problem["code"] == "internal" and asker.problem["instance"] == "lighttpd"
        wait_until(lambda: '"event":"worker_died"' in stack.log_text()[said:], "the log to tell of it")
        assert f'"signal":{signal.SIGABRT:d}' in stack.log_text()[said:]
        wait_until(lambda: len(pids(stack)) == len(before) and pids(stack) != before, "another worker")
        wait_until(lambda: asker.ask(0)[0] == asker.wanted, "the next answer")
    assert status in (asker.wanted, 503) and n > 1


def answer_of(stack, method, path, body=None, token=None):
    if path == "/metrics":  # no JSON
        run = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", stack.http + path], capture_output=True, text=True)
        return int(run.stdout), None
    return stack.rest(method, path, body, token)


async def heard(client, type, id, to=None, **data):
    """The answer to a message; None where the connection is over. There is always one of the two."""
    try:
        await client.send(type, to, id, **data)
    except websockets.ConnectionClosed:
        return None
    await until_or_closed(client, lambda: any(m.get("id") == id for m in client.got))
    return next((m for m in client.got if m.get("id") == id), None)


async def until_or_closed(client, condition):
    def either():
        return condition() or client.reader.done()
    if not either():
        try:
            await client.until(either, "answer, nor an end")
        except AssertionError:
            assert client.reader.done(), "there is neither an answer nor an end"


async def in_fragments(client, id):
    text = json.dumps({"type": "chat", "id": id, "data": {"message": "x" * 3000}})
    try:
        await client.socket.send([text[:9], text[9:2000], text[2000:]])
    except websockets.ConnectionClosed:
        return
    await until_or_closed(client, lambda: any(m.get("id") == id for m in client.got))


async def consult(stack, patient, doctor):
    """A consultation in which anything may fail, and nothing is left unanswered."""
    try:
        d = await doctor.open(subprotocols=["telemed.v1"])
        p = await patient.open()
    except (websockets.InvalidHandshake, websockets.ConnectionClosed, OSError, EOFError):
        return
    await heard(p, "chat", "1", doctor, message="hello")
    await heard(p, "chat", "2", message="all")
    await heard(d, "chat", "3", patient, message="hello")
    await heard(p, "chat", "4", NOBODY, message="who?")
    await heard(d, "set_status", "5", status="ONLINE")
    await heard(d, "token_refresh", "6", token=doctor.token)
    answer = await heard(p, "call_start", "7", doctor, callId="c")
    if answer is not None and answer["data"]["ok"]:
        await heard(p, "signal", "8", doctor, signalType="offer", sdpOrIce="o" * 3000)
        await heard(d, "call_accept", "9", callId="c")
        await heard(d, "signal", "10", patient, signalType="answer", sdpOrIce="a")
        await heard(d, "call_resume", "11", callId="c")
        await heard(p, "call_end", "12", callId="c")
    await heard(p, "nonsense", "13")
    await in_fragments(p, "14")


@pytest.mark.parametrize("own", [True, False], ids=["its own, each", "any, some of them"])
async def test_a_relay_without_memory(stack, own):
    patient, doctor = stack.patient(), stack.doctor()
    shim = stack.shims["ws-relay"]

    async def round(n):
        shim.fail_allocation(n, own)
        await consult(stack, patient, doctor)
        left = shim.get(0)
        shim.fail_allocation(0)
        await Client.drop_all()
        return n - left
    used = await round(FAR)
    restarts = 0
    # Of the libraries' the first, OpenSSL's among them, and some.
    for n in range(1, used + 1) if own else sorted({*range(1, 61), *some(used, 60)}):
        before = stack.pids("ws-relay")
        await round(n)
        assert stack.pids("fcgi-api")
        if stack.pids("ws-relay") != before:  # it makes room by beginning anew, and says so
            restarts += 1
            wait_until(lambda: stack.pids("ws-relay") not in ([], before) and is_ready(stack), "the next relay")
            assert "ws-relay ended with 111" in stack.log_text().splitlines()[-1] or \
                stack.log_text().count("ws-relay ended with") == stack.log_text().count("ws-relay ended with 111"), \
                f"allocation {n} of {used}: " + stack.log_text()[-600:]
        wait_until(lambda: stack.live_calls() == [], f"every call to end, after allocation {n}")
        await (await patient.connect()).barrier()
        await Client.drop_all()
    print(f"# {used} allocations, {restarts} restarts")


@pytest.mark.parametrize("own", [True, False], ids=["its own, each", "any, some of them"])
@pytest.mark.parametrize("program", ["fcgi-api", "ws-relay"])
def test_a_start_without_memory(tmp_path, program, own):
    shim = Shim(tmp_path / "shim")
    data = tmp_path / "data"
    (data / "run").mkdir(parents=True)
    env = {**os.environ, **shim.env(), "TELEMED_DATA_DIR": str(data), "TELEMED_JWT_SECRET": "x" * 32}

    def start(n):
        """What became of it: 0, it has started; else its code."""
        shim.fail_allocation(n, own)
        log = tmp_path / "log"
        with open(log, "wb") as file:
            process = subprocess.Popen([BUILD / program / program], env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        wait_until(lambda: b'"event":"started"' in log.read_bytes() or process.poll() is not None, f"{program} to start or to end")
        left = shim.get(0)
        shim.fail_allocation(0)
        if process.poll() is None:
            process.terminate()
            assert process.wait(20) in (0, -signal.SIGTERM), f"allocation {n}: " + log.read_text()
            return 0, n - left
        return process.returncode, n - left
    start(0)  # makes the database
    _, used = start(FAR)
    codes = {}
    # Of the libraries' the first, OpenSSL's among them, and some.
    for n in range(1, used + 1) if own else sorted({*range(1, 61), *some(used, 60)}):
        code, _ = start(n)
        codes[code] = codes.get(code, 0) + 1
        assert code in (0, 100, 111), f"allocation {n} of {used}: " + (tmp_path / "log").read_text()[-600:]
    assert start(0)[0] == 0
    print(f"# {program}: {used} allocations, {codes}")
