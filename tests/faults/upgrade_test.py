"""New binaries under load: the programs are replaced by others, again and again, as docs/operations.md says, and every call that was
answered goes on. (What is acknowledged meanwhile is load_test.py's, under "upgrade".)"""

import asyncio
import os
import shutil
import signal

import pytest

from stack import BUILD, Stack, call, wait_until
from trouble import integrity, is_ready

PROGRAMS = ("ws-relay", "fcgi-api")
V1 = {"subprotocols": ["telemed.v1"]}


class UpgradedStack(Stack):
    """Its programs are in a folder of its own, where each can be replaced."""

    def __init__(self, **settings):
        super().__init__(TELEMED_DRAIN_TIME=2, **settings)
        self.build = self.data.parent / "build"
        self.install()

    def install(self):
        for program in PROGRAMS:
            at = self.build / program / program
            at.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(BUILD / program / program, at.with_suffix(".new"))
            os.replace(at.with_suffix(".new"), at)

    def upgrade(self):
        before = [self.pids(p)[0] for p in PROGRAMS]
        self.install()
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: all(self.pids(p)[:1] not in ([], [b]) for p, b in zip(PROGRAMS, before)), "other programs")
        wait_until(lambda: is_ready(self), "the stack to be ready")


async def resume(user, call_id, v1):
    """On a connection as soon as there can be one."""
    if not v1:
        return await user.reconnect()
    while True:
        try:
            c = await user.connect(**V1)
            break
        except Exception:  # nothing to connect to, yet
            await asyncio.sleep(0.05)
    await c.send("call_resume", callId=call_id, id="resume")
    assert (await c.answer("resume"))["type"] == "ack"
    return c


@pytest.mark.parametrize("times", [4])
async def test_calls_go_on_over_upgrades(times):
    with UpgradedStack(TELEMED_CALL_GRACE=60) as stack:
        loop = asyncio.get_running_loop()
        pairs = [(stack.patient(), stack.doctor()) for _ in range(6)]
        talkers = [await stack.patient().connect() for _ in range(6)]
        ends = [(await p.connect(**(V1 if n % 2 else {})), await d.connect(**(V1 if n % 3 else {}))) for n, (p, d) in enumerate(pairs)]
        for n, (p, d) in enumerate(ends):
            await call(p, d, f"call-{n}")

        async def chatter(c):
            i = 0
            while True:
                i += 1
                try:
                    await c.send("chat", to=pairs[i % len(pairs)][0], id=f"{i}", message=f"{i}")
                    await asyncio.sleep(0.01)
                except Exception:
                    c = await c.user.reconnect()
        load = [asyncio.ensure_future(chatter(c)) for c in talkers]
        for round in range(times):
            upgrading = loop.run_in_executor(None, stack.upgrade)
            for p, d in ends:
                assert [await p.closed(), await d.closed()] == [1001, 1001]
            ends = [tuple(await asyncio.gather(resume(p, f"call-{n}", n % 2), resume(d, f"call-{n}", n % 3)))
                    for n, (p, d) in enumerate(pairs)]
            await upgrading
            live = {(row[0], row[3]) for row in stack.live_calls()}
            assert live == {(f"call-{n}", "ACTIVE") for n in range(len(pairs))}
            for n, (p, d) in enumerate(ends):
                await p.send("signal", to=pairs[n][1], signalType="offer", sdpOrIce=f"{round}")
                await d.wait("signal", lambda m: m["data"]["sdpOrIce"] == f"{round}")
                await d.send("signal", to=pairs[n][0], signalType="answer", sdpOrIce=f"{round}")
                await p.wait("signal", lambda m: m["data"]["sdpOrIce"] == f"{round}")
                assert stack.status_of(pairs[n][1]) == "BUSY"
        for task in load:
            task.cancel()
        for n, (p, d) in enumerate(ends):
            await p.send("call_end", callId=f"call-{n}")
            assert (await d.wait("call_end"))["data"] == {"callId": f"call-{n}", "reason": "hangup"}
        log = stack.log_text()
        assert log.count("ws-relay ended") == log.count("fcgi-api ended") == 0  # but for the upgrades
        assert integrity(stack) == [("ok",)]
