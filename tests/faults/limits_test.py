"""Descriptors, clocks, pauses, ends: what a program's surroundings do to it."""

import asyncio
import os
import resource
import select
import signal
import subprocess
import threading
import time

import pytest
import websockets
from stack import BUILD, Client, Stack, call, ring, wait_until
from trouble import ShimmedStack, Strace, cpu_seconds, integrity, is_ready
from wire import Wire, head


def limit(pid, descriptors):
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, most))


def open_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


async def status_of_handshake(user):
    try:
        await user.open()
        return 101
    except websockets.InvalidStatusCode as e:
        return e.status_code


async def test_the_relay_out_of_descriptors():
    """It refuses who comes with 503, without spinning, serves who is there, and takes others when some have gone."""
    with Stack(TELEMED_PRESENCE_GRACE=0) as stack:
        p, d = await stack.patient().connect(), await stack.doctor().connect()
        relay = stack.pids("ws-relay")[0]
        limit(relay, open_descriptors(relay) + 66)  # 64 of them are kept for what is not a client
        users = [stack.patient() for _ in range(20)]
        got = [await status_of_handshake(u) for u in users]
        assert set(got) == {101, 503} and got == sorted(got), got
        used, began = cpu_seconds(relay), time.monotonic()
        await p.reach(d.user, 1)
        await call(p, d)
        await asyncio.sleep(2)
        assert cpu_seconds(relay) - used < (time.monotonic() - began) / 2, "it spins"
        await Client.drop_all()
        assert await until_let_in(users[-1])
        assert stack.pids("ws-relay") == [relay]


async def until_let_in(user):
    for _ in range(200):
        if await status_of_handshake(user) == 101:
            return True
        await asyncio.sleep(0.1)
    return False


def half_open(stack, count):
    """So many handshakes of which half a head has come. They are accepted in this order."""
    wires = [Wire(stack.relay_socket) for _ in range(count)]
    for wire in wires:
        try:
            wire.send(head("/ws?token=x")[:-10])
        except ConnectionError:
            pass  # it is answered already
    return wires


def is_answered(wire):
    poll = select.poll()
    poll.register(wire.socket, select.POLLIN)
    return poll.poll(0) != []


def assert_refused_past(stack, wires, least):
    """The first LEAST, or a few more, wait for the other half; all others are told 503; and when these have gone there is room."""
    wires[-1].read_until(b"\r\n\r\n")
    waiting = [is_answered(w) for w in wires[:-1]].index(True)
    assert least <= waiting < len(wires) - 1, waiting
    for wire in wires[waiting:-1]:
        answer = wire.read_until(b"}")
        assert answer.startswith(b"HTTP/1.1 503 ") and b'"code":"unavailable"' in answer
    for wire in wires:
        wire.socket.close()

    def has_room():
        with Wire(stack.relay_socket) as wire:
            return wire.ask(head("/ws?token=x"))[0] == 401
    wait_until(has_room, "room again")


def test_handshakes_take_descriptors_too():
    """Or they would leave nothing of what is kept for the database and the log."""
    with Stack() as stack:
        relay = stack.pids("ws-relay")[0]
        limit(relay, 64 + 10)
        assert_refused_past(stack, half_open(stack, 30), 9)
        assert stack.pids("ws-relay") == [relay]


def test_so_many_handshakes_at_a_time_and_no_more():
    most = 4096
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * most:
        pytest.skip(f"only {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * most, hard))
    try:
        with Stack() as stack:
            assert_refused_past(stack, half_open(stack, most + 20), most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_the_relay_at_the_very_last_descriptor():
    """Not even the accept succeeds: it neither ends nor spins for long, and heals."""
    with Stack() as stack:
        p, d = await stack.patient().connect(), await stack.doctor().connect()
        relay = stack.pids("ws-relay")[0]
        limit(relay, open_descriptors(relay))
        waiting = [asyncio.ensure_future(status_of_handshake(stack.patient())) for _ in range(5)]
        used, began = cpu_seconds(relay), time.monotonic()
        await p.reach(d.user, 1)
        await asyncio.sleep(3)
        spent, took = cpu_seconds(relay) - used, time.monotonic() - began
        limit(relay, 1024)
        got = await asyncio.gather(*waiting)
        assert stack.pids("ws-relay") == [relay] and set(got) <= {101, 500, 502, 503, 504}, got
        assert spent < took / 2, f"it spins: {spent} s of {took}"
        assert await until_let_in(stack.patient())


def test_fcgi_api_out_of_descriptors():
    """Nobody can be answered while no worker can take a connection, and all is well when one can."""
    with Stack() as stack:
        doctor = stack.doctor()
        wait_until(lambda: all(stack.rest("GET", "/doctors", token=doctor.token)[0] == 200 for _ in range(30)), "answers")
        workers = stack.pids("fcgi-api")[1:]
        for pid in workers:
            limit(pid, open_descriptors(pid))
        answers = []

        def ask():
            answers.append(stack.rest("GET", "/doctors", token=doctor.token)[0])
        threads = [threading.Thread(target=ask) for _ in range(20)]
        used, began = sum(map(cpu_seconds, workers)), time.monotonic()
        for thread in threads:
            thread.start()
        time.sleep(2)
        assert sum(map(cpu_seconds, workers)) - used < time.monotonic() - began, "they spin"
        for pid in workers:
            limit(pid, 1024)
        for thread in threads:
            thread.join()
        assert set(answers) <= {200, 503}, answers
        wait_until(lambda: stack.rest("GET", "/doctors", token=doctor.token)[0] == 200, "an answer")
        assert stack.pids("fcgi-api")[1:] == workers


# What accept(2) may say for a while: no descriptor is left to the process, to the machine; no memory; the client has gone again.
ACCEPT_ERRORS = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ECONNABORTED"]


def for_how_long(error):
    """strace stands in the kernel's place, and takes nobody out of the queue who has gone: after a hundred they are through."""
    return ":when=1..100" if error == "ECONNABORTED" else ""


def assert_tries(log, most, began):
    """Not much more than MOST a second since BEGAN: it does not spin."""
    tries, took = log.read_text().count("(INJECTED)"), time.monotonic() - began
    assert 0 < tries < 5 * most * (took + 1), f"{tries} tries in {took} s"


@pytest.mark.parametrize("error", ACCEPT_ERRORS)
async def test_a_relay_that_may_not_accept(tmp_path, error):
    """Who comes waits in the kernel's queue, and is let in when it goes again; who is there is served meanwhile, without spinning."""
    log = tmp_path / "calls"
    with Stack(TELEMED_CALL_GRACE=2) as stack:
        p, d = await stack.patient().connect(), await stack.doctor().connect()
        late = [stack.patient() for _ in range(5)]
        relay = stack.pids("ws-relay")
        with Strace(relay, f"accept4:error={error}{for_how_long(error)}", log=log):
            waiting = [asyncio.ensure_future(status_of_handshake(u)) for u in late]
            began = time.monotonic()
            await call(p, d)
            await p.reach(d.user, 1)
            await asyncio.sleep(2)
            if error != "ECONNABORTED":
                assert not any(w.done() for w in waiting)
                assert_tries(log, 1, began)
        assert await asyncio.gather(*waiting) == [101] * len(late)
        assert stack.pids("ws-relay") == relay
        await p.send("call_end", callId="c1")
        assert (await d.wait("call_end"))["data"]["reason"] == "hangup"


@pytest.mark.parametrize("error", ACCEPT_ERRORS)
def test_workers_that_may_not_accept(tmp_path, error):
    """A request waits until one of them may, and is answered then; none of them ends or spins."""
    log = tmp_path / "calls"
    with Stack() as stack:
        doctor = stack.doctor()
        workers = stack.pids("fcgi-api")[1:]
        answers = []

        def ask():
            answers.append(stack.rest("GET", "/doctors", token=doctor.token)[0])
        threads = [threading.Thread(target=ask) for _ in range(10)]
        with Strace(workers, f"accept:error={error}{for_how_long(error)}", log=log):
            began = time.monotonic()
            for thread in threads:
                thread.start()
            time.sleep(2)
            if error != "ECONNABORTED":
                assert answers == []
                assert_tries(log, 20 * len(workers), began)
        for thread in threads:
            thread.join()
        assert answers == [200] * len(threads)
        assert stack.pids("fcgi-api")[1:] == workers


@pytest.mark.parametrize("hours", [1, 24, -1, -24])
async def test_a_clock_that_jumps(hours):
    """What waits goes by the time that passes; tokens end by the clock, and nothing else does, lighttpd and its WebSockets neither."""
    with ShimmedStack(TELEMED_CALL_GRACE=60, TELEMED_RING_TIMEOUT=60, TELEMED_PRESENCE_GRACE=60, TELEMED_AUTH_RATE=30) as stack:
        p, d = await stack.patient().connect(), await stack.doctor().connect()
        q, e, gone = await stack.patient().connect(), await stack.doctor().connect(), await stack.doctor().connect()
        await call(p, d)
        await ring(q, e, "c2")
        await gone.drop()
        lighttpd = stack.pids("lighttpd")
        for shim in stack.shims.values():
            shim.set_clock(hours * 3600)
        wait_until(lambda: "clock jumped" in stack.log_text(), "lighttpd to have seen it")
        if hours == 24:  # past the end of every token
            assert [await c.closed(60) for c in (p, d, q, e)] == [4100] * 4
            assert stack.rest("GET", "/doctors", token=p.user.token)[0] == 401
            assert len(stack.live_calls()) == 2  # they may come back, with another token
            for shim in stack.shims.values():
                shim.set_clock(0)
            p, d, q, e = [await c.user.connect() for c in (p, d, q, e)]
        else:
            await asyncio.sleep(10)  # left to itself lighttpd restarts five seconds after it has seen it
            assert all(not c.reader.done() for c in (p, d, q, e))
        assert stack.sql("SELECT status FROM user WHERE id = ?", gone.user.id) == [("ONLINE",)] and len(stack.live_calls()) == 2
        await d.send("call_end", callId="c1")
        await e.send("call_accept", callId="c2", id="a")
        assert (await p.wait("call_end"))["data"]["reason"] == "hangup"
        assert (await e.answer("a"))["type"] == "ack"
        await q.send("call_end", callId="c2")
        assert (await e.wait("call_end", lambda m: m["data"]["callId"] == "c2"))["data"]["reason"] == "hangup"
        assert stack.live_calls() == []
        assert stack.pids("lighttpd") == lighttpd and "graceful" not in stack.log_text()
        # The rate goes by the clock; set back, it refuses for no longer than it ever does.
        new = {"name": "n", "email": "new@example.org", "password": "password", "role": "PATIENT"}
        wait_until(lambda: stack.rest("POST", "/auth/register", new)[0] == 201, "a registration")


@pytest.mark.parametrize("hours", [1, 24, -1, -24])
async def test_a_logout_outlives_a_clock_that_jumps(hours):
    """Whoever logs out sweeps away the logouts of tokens that have ended: by the clock of then."""
    with ShimmedStack(TELEMED_TOKEN_TTL=3600, TELEMED_SESSION_MAX=3600) as stack:
        gone = stack.patient()
        assert stack.rest("POST", "/auth/logout", token=gone.token)[0] == 204
        for ahead_s in (hours * 3600, 0):
            for shim in stack.shims.values():
                shim.set_clock(ahead_s)
            another = stack.patient()
            assert stack.rest("POST", "/auth/logout", token=another.token)[0] == 204
            assert stack.rest("GET", "/auth/me", token=gone.token)[0] == 401
            assert await status_of_handshake(gone) == 401


@pytest.mark.parametrize("years,at_ms", [(-60, 0), (9000, 253402300799999)])
async def test_a_clock_that_nobody_has_set(years, at_ms):
    """Before 1970, or past what can be written: it counts as the first or the last moment, and is recorded as that."""
    with ShimmedStack() as stack:
        p = await stack.patient().connect()
        pids = stack.pids("fcgi-api") + stack.pids("ws-relay")
        for shim in stack.shims.values():
            shim.set_clock(years * 31556952)
        user = stack.patient()
        if years < 0:  # else every token has ended, or ends where there is no time
            assert stack.rest("GET", "/auth/me", token=user.token)[0] == 200
            await p.send("set_status", id="s", status="ONLINE")
            assert (await p.answer("s"))["code"] == "forbidden"
            await p.barrier()
        else:
            assert await p.closed(60) == 4100
        want = [("registered", at_ms)] + [("denied", at_ms)] * (years < 0)
        wait_until(lambda: stack.sql("SELECT event, at_ms FROM audit WHERE seq > 1 ORDER BY seq") == want, "the lines")
        assert stack.pids("fcgi-api") + stack.pids("ws-relay") == pids
        assert stack.admin("audit", "verify")[0] == 0


async def test_a_pause_of_ten_seconds():
    """Longer than every grace here: nobody who is still connected is taken for gone."""
    with Stack(TELEMED_CALL_GRACE=2, TELEMED_PRESENCE_GRACE=2) as stack:
        p, d = await stack.patient().connect(), await stack.doctor().connect()
        others = [await stack.doctor().connect() for _ in range(20)]
        await call(p, d)
        relay = stack.pids("ws-relay")[0]
        start = {c: len(c.got) for c in others}
        os.kill(relay, signal.SIGSTOP)
        began = time.monotonic()
        while time.monotonic() - began < 10:
            assert stack.rest("POST", "/doctors/status", {"status": "ONLINE"}, others[0].user.token)[0] == 200
            await asyncio.sleep(0.5)
        status, got = stack.rest("GET", "/readyz")
        assert (status, got["checks"]) == (503, {"database": "ok", "disk": "ok", "relay": "stuck"})
        os.kill(relay, signal.SIGCONT)
        for c in [p, d, *others]:
            await c.barrier()
        assert stack.pids("ws-relay") == [relay]
        for c in others:
            for other in others:
                assert set(c.statuses(other.user, start[c])) <= {"ONLINE"}
        assert stack.status_of(d.user) == "BUSY"
        await p.send("call_end", callId="c1")
        assert (await d.wait("call_end"))["data"]["reason"] == "hangup"


@pytest.mark.parametrize("what", ["removed", "refused"])
async def test_a_doorbell_that_does_not_ring(what):
    """REST answers as before, and the relay sees what changed all the same."""
    with Stack() as stack:
        doctor = stack.doctor()
        p = await stack.patient().connect()
        bell = stack.data / "run/doorbell.sock"
        bell.unlink()
        if what == "refused":
            bell.write_bytes(b"")  # no socket
        for status in ("ONLINE", "BUSY", "OFFLINE", "ONLINE"):
            doctor.set_status(status)
            await p.wait_status(doctor, None if status == "OFFLINE" else status)


async def test_an_end_under_load():
    """SIGTERM while messages fly: every client is told 1001, everything exits, with 0."""
    with Stack(TELEMED_WS_RATE=0) as stack:
        clients = [await stack.patient().connect() for _ in range(30)]

        async def chatter(c, n):
            try:
                while True:
                    await c.send("chat", message="x" * 500)
                    await asyncio.sleep(0.05)
            except websockets.ConnectionClosed:
                pass
        talk = [asyncio.ensure_future(chatter(c, n)) for n, c in enumerate(clients)]
        asks = threading.Event()

        def ask():
            while not asks.is_set():
                try:
                    stack.rest("GET", "/doctors", token=clients[0].user.token)
                except (OSError, ValueError):
                    return
        thread = threading.Thread(target=ask)
        thread.start()
        await clients[0].until(lambda: clients[0].count("chat") > 200, "talk")
        session = stack.process.pid
        code = await asyncio.get_running_loop().run_in_executor(None, stack.stop)
        asks.set()
        thread.join()
        assert code == 0
        assert [await c.closed() for c in clients] == [1001] * len(clients)
        await asyncio.gather(*talk)
        wait_until(lambda: subprocess.run(["pgrep", "-s", str(session)], capture_output=True).returncode == 1, "every process to end")
        stack.start()  # __exit__ ends one that runs
        assert integrity(stack) == [("ok",)]


async def test_twenty_relays_on_the_same_data():
    """All but the one that is there end before they touch anything."""
    with Stack() as stack:
        p, d = await stack.patient().connect(), await stack.doctor().connect()
        await call(p, d)
        relay = stack.pids("ws-relay")[0]
        sockets = {name: (stack.data / "run" / name).stat().st_ino for name in ("relay.sock", "doorbell.sock")}
        env = {**os.environ, "TELEMED_DATA_DIR": str(stack.data)}
        others = [subprocess.Popen([BUILD / "ws-relay/ws-relay"], env={**env, "TELEMED_JWT_SECRET": "x" * 32}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(20)]
        for other in others:
            said = other.communicate(timeout=60)[1]
            assert other.returncode == 111 and said == "ws-relay: Another ws-relay serves this data directory.\n", said
        assert sockets == {name: (stack.data / "run" / name).stat().st_ino for name in sockets}
        assert stack.pids("ws-relay") == [relay] and is_ready(stack)
        await p.reach(d.user, 1)
        assert stack.live_calls()[0][3] == "ACTIVE"


def test_twenty_relays_at_once_and_one_serves(tmp_path):
    (tmp_path / "run").mkdir()
    env = {**os.environ, "TELEMED_DATA_DIR": str(tmp_path), "TELEMED_JWT_SECRET": "x" * 32}
    log = tmp_path / "log"
    with open(log, "ab") as file:
        relays = [subprocess.Popen([BUILD / "ws-relay/ws-relay"], env=env, stdin=subprocess.DEVNULL, stderr=file) for _ in range(20)]
    wait_until(lambda: sum(r.poll() is not None for r in relays) == 19, "nineteen to end", 60)
    wait_until(lambda: log.read_bytes().count(b'"event":"started"') == 1, "one to serve")
    assert sorted(r.poll() or 0 for r in relays) == [0] + [111] * 19
    [served] = [r for r in relays if r.poll() is None]
    served.terminate()
    assert served.wait(20) == 0


async def test_a_client_that_is_stopped_is_gone_in_the_end():
    """Half-open: its machine answers no more, and says nothing. What it had is over within the server's silence and the grace."""
    with Stack(TELEMED_CALL_GRACE=2, TELEMED_PRESENCE_GRACE=2) as stack:
        patient, doctor = stack.patient(), stack.doctor()
        p = await patient.connect()
        script = ("import asyncio, sys, websockets\n"
                  "async def main():\n"
                  "    async with websockets.connect(sys.argv[1], ping_interval=None) as s:\n"
                  "        async for m in s: pass\n"
                  "asyncio.run(main())\n")
        client = subprocess.Popen(["/usr/bin/python3", "-c", script, f"{stack.ws}?token={doctor.token}"], stdin=subprocess.DEVNULL)
        try:
            await p.wait_status(doctor, "ONLINE")
            await p.reach(doctor, 1)
            await p.send("call_start", to=doctor, callId="c1")
            assert (await p.wait("call_response"))["data"]["ok"]
            client.send_signal(signal.SIGSTOP)
            await p.wait("call_end", seconds=120)
            await p.until(lambda: p.statuses(doctor)[-1:] == [None], "the doctor to be gone", 120)
            wait_until(lambda: stack.status_of(doctor) == "OFFLINE", "her to be OFFLINE")
            assert stack.live_calls() == []
        finally:
            client.kill()
            client.wait()
