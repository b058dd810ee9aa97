"""kill -9 anywhere: what was acknowledged is there, what was not is there or not, and the rest heals by itself."""

import asyncio
import os
import random
import signal
import threading
import time

import pytest
from stack import Stack, call, call_end, ring, wait_until
from trouble import Sampler, Strace, integrity, is_ready, restarted

ROUNDS = 200
WORKERS = os.sysconf("SC_NPROCESSORS_ONLN") + 8  # those that hash passwords, and the others


def workers(stack):
    return stack.pids("fcgi-api")[1:]


class Clients:
    """They register without pause, and note who was told 201 before they go on."""

    def __init__(self, stack, count=4):
        self.stack, self.told, self.answers, self.stop = stack, set(), {}, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(count)]

    def run(self, n):
        i = 0
        while not self.stop.is_set():
            i += 1
            email = f"c{n}-{i}@example.org"
            try:
                status, _ = self.stack.rest("POST", "/auth/register",
                                            {"name": "c", "email": email, "password": "password", "role": "PATIENT"})
            except (OSError, ValueError):
                status = None
            self.answers[status] = self.answers.get(status, 0) + 1
            if status == 201:
                self.told.add(email)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def assert_kept(self):
        stored = {email for email, in self.stack.sql("SELECT email FROM user")}
        assert self.told <= stored, f"lost: {self.told - stored}"
        assert integrity(self.stack) == [("ok",)]
        assert set(self.answers) <= {201, 500, 503, None}, self.answers
        print(f"# {self.answers}")


def test_workers_are_killed_in_the_midst_of_registrations():
    with Stack() as stack:
        with Clients(stack) as clients:
            for n in range(ROUNDS):
                wait_until(lambda: len(clients.told) > n // 2, "somebody to be registered")
                time.sleep(random.uniform(0, 0.05))
                alive = workers(stack)  # fewer than were there just now, where those of a dead parent end
                for pid in random.sample(alive, min(3, len(alive))) if n % 10 else stack.pids("fcgi-api")[:1]:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                wait_until(lambda: len(workers(stack)) > 3, "new workers")
        clients.assert_kept()
        assert len(clients.told) > ROUNDS // 2


@pytest.mark.parametrize("syscall", ["fdatasync", "pwrite64"])
def test_a_worker_is_killed_as_it_stores(syscall):
    """At the Nth of these calls, so that nothing of the commit, some of it, or all of it is in the log."""
    with Stack() as stack:
        with Clients(stack) as clients:
            for n in range(1, 21):
                wait_until(lambda: len(workers(stack)) == WORKERS and is_ready(stack), "all workers")
                before = set(stack.pids("fcgi-api"))
                with Strace(workers(stack), f"{syscall}:signal=KILL:when={n}"):
                    wait_until(lambda: before - set(stack.pids("fcgi-api")), "a worker to be killed", 60)
        clients.assert_kept()
        assert clients.told


@pytest.fixture()
def stack():
    with Stack(TELEMED_CALL_GRACE=3, TELEMED_PRESENCE_GRACE=2) as s:
        yield s


def kill_relay(stack):
    before = stack.pids("ws-relay")[0]
    os.kill(before, signal.SIGKILL)
    restarted(stack, "ws-relay", before)


async def come_back(*users, v1=False):
    return [await u.reconnect() for u in users]


async def test_the_relay_is_killed_idle(stack):
    patient, doctor = stack.patient(), stack.doctor()
    await doctor.connect()
    with Sampler(stack) as seen:
        for _ in range(5):
            await asyncio.get_running_loop().run_in_executor(None, kill_relay, stack)
            p, d = await come_back(patient, doctor)
            await p.wait_status(doctor, "ONLINE")
    assert not any(busy for _, _, busy in seen.busy)
    await call(p, d)


@pytest.mark.parametrize("begin, live", [(ring, False), (call, True)], ids=["ringing", "active"])
async def test_the_relay_is_killed_with_a_call(stack, begin, live):
    """One that rings is over; an answered one goes on, without a moment in which GET /doctors shows her free."""
    patient, doctor = stack.patient(), stack.doctor()
    with Sampler(stack) as seen:
        for n in range(5):
            p, d = await come_back(patient, doctor)
            await begin(p, d, f"c{n}")
            began = time.monotonic()
            await asyncio.get_running_loop().run_in_executor(None, kill_relay, stack)
            p, d = await come_back(patient, doctor)
            if live:
                await p.wait_status(doctor, "BUSY")
                done = time.monotonic()
                await d.send("call_end", callId=f"c{n}")
                assert await p.wait("call_end") == call_end(doctor, "hangup", f"c{n}")
                assert all(doctor.id in busy for busy in seen.between(began, done))
            await p.wait_status(doctor, "ONLINE")
            over = time.monotonic()
            wait_until(lambda: len(seen.between(over, time.monotonic())) > 3, "GET /doctors to be asked")
            assert not any(doctor.id in busy for busy in seen.between(over, time.monotonic()))
            await p.drop()
            await d.drop()
    assert stack.live_calls() == []


@pytest.mark.parametrize("move", ["start", "answer", "end"])
async def test_the_relay_is_killed_between_its_commit_and_what_it_says(stack, move):
    """It dies of its first write to a client (libwebsockets' send() is sendto), which comes after the commit or never."""
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    if move != "start":
        await ring(p, d)
    if move == "end":
        await d.send("call_accept", callId="c1", id="a")
        await d.wait("ack")
    for client in (p, d):
        await client.newest_list()  # nothing else is on its way
        await client.barrier()
    before = stack.pids("ws-relay")[0]
    with Strace([before], "sendto:signal=KILL:when=1"):
        await {"start": lambda: p.send("call_start", to=doctor, callId="c1"),
               "answer": lambda: d.send("call_accept", callId="c1", id="a"),
               "end": lambda: p.send("call_end", callId="c1", id="e")}[move]()
        wait_until(lambda: before not in stack.pids("ws-relay"), "the relay to die")
    state = stack.sql("SELECT state, reason FROM call WHERE call_id = 'c1'")
    restarted(stack, "ws-relay", before)
    assert p.count("call_response") == (move != "start") and p.count("call_end") == 0
    if move == "start":
        assert state in ([("RINGING", None)], [("ENDED", "server_restart")])
        p, d = await come_back(patient, doctor)
        await p.wait_status(doctor, "ONLINE")
        wait_until(lambda: stack.sql("SELECT state, reason FROM call WHERE call_id = 'c1'") == [("ENDED", "server_restart")], "its end")
    elif move == "answer":
        assert state == [("ACTIVE", None)]
        p, d = await come_back(patient, doctor)
        await p.wait_status(doctor, "BUSY")
        await p.send("call_end", callId="c1")
        assert await d.wait("call_end") == call_end(patient, "hangup")
    else:
        assert state == [("ENDED", "hangup")]
        p, d = await come_back(patient, doctor)
        await p.wait_status(doctor, "ONLINE")
    assert stack.live_calls() == []
    await p.wait_status(doctor, "ONLINE")
    await call(p, d, "next")


def grow_log(stack):
    """Makes the log longer than a checkpoint waits for (4 MiB), by statuses that change."""
    doctors = [stack.doctor() for _ in range(4)]
    wal = stack.data / "telemed.db-wal"

    def change(doctor):
        i = 0
        while wal.stat().st_size < 5 << 20:
            i += 1
            stack.rest("POST", "/doctors/status", {"status": ("ONLINE", "BUSY")[i % 2]}, doctor.token)
    threads = [threading.Thread(target=change, args=(d,)) for d in doctors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return doctors


def test_both_are_killed_in_a_checkpoint():
    """It writes few pages, for it is few that have changed so often; then it syncs."""
    with Stack() as stack:
        for syscall, n in (("pwrite64", 1), ("pwrite64", 2), ("pwrite64", 3), ("fdatasync", 1), ("fdatasync", 2)):
            before = stack.pids("ws-relay")[0]
            os.kill(before, signal.SIGSTOP)  # nothing is checkpointed meanwhile
            grow_log(stack)
            with Strace([before], f"{syscall}:signal=KILL:when={n}"):
                os.kill(before, signal.SIGCONT)
                wait_until(lambda: before not in stack.pids("ws-relay"), "the checkpoint")
                os.kill(stack.pids("fcgi-api")[0], signal.SIGKILL)
            restarted(stack, "ws-relay", before)
            assert integrity(stack) == [("ok",)]
            users = stack.sql("SELECT count(*) FROM user")
            stack.patient()
            assert stack.sql("SELECT count(*) FROM user") == [(users[0][0] + 1,)]


def test_writers_and_checkpoints_of_both_programs_lose_nothing():
    """The log is checkpointed while REST and the relay write, again and again: SQLite 3.40 could lose pages there."""
    with Stack(TELEMED_PRESENCE_GRACE=0) as stack:
        checkpoints, stop = [0], threading.Event()
        database = stack.data / "telemed.db"

        def watch():
            seen = database.stat().st_mtime_ns
            while not stop.wait(0.01):
                now = database.stat().st_mtime_ns
                checkpoints[0] += now != seen
                seen = now

        async def come_and_go(users):
            while not stop.is_set():
                for user in users:
                    client = await user.reconnect()
                    await client.close()
        users = [stack.doctor() for _ in range(10)]
        threads = [threading.Thread(target=watch)] + [
            threading.Thread(target=lambda u=u: asyncio.run(come_and_go(u))) for u in (users[:5], users[5:])]
        for thread in threads:
            thread.start()
        with Clients(stack, 2) as clients:
            for _ in range(3):
                before = checkpoints[0]
                grow_or_wrap(stack, users[0], lambda: checkpoints[0] > before)
        stop.set()
        for thread in threads:
            thread.join()
        clients.assert_kept()
        assert checkpoints[0] >= 3


def grow_or_wrap(stack, doctor, done):
    """Statuses until there has been a checkpoint."""
    deadline = time.monotonic() + 180
    i = 0
    while not done():
        assert time.monotonic() < deadline, "there was no checkpoint"
        i += 1
        stack.rest("POST", "/doctors/status", {"status": ("ONLINE", "BUSY")[i % 2]}, doctor.token)
