"""Going out of service: at SIGTERM, which ends in an exit, and at an operator's word, which does not."""

import asyncio
import json
import os
import signal
import threading
import time

import pytest
from stack import PATIENCE, Stack, call, wait_until
from wire import Wire, head

V1 = {"subprotocols": ["telemed.v1"]}
LONG = 120  # seconds of a drain that no test waits for: a second signal ends it


def ready(stack):
    """(status of /readyz, what it says of the relay)."""
    status, got = stack.rest("GET", "/readyz")
    return status, got.get("checks", {}).get("relay")


def drains(stack):
    wait_until(lambda: ready(stack) == (503, "draining"), "the relay to drain")


async def refused(caller, doctor, call_id):
    await caller.send("call_start", to=doctor, callId=call_id, id=call_id)
    answer = await caller.wait("call_response", lambda m: m.get("id") == call_id)
    assert not answer["data"]["ok"]
    return answer["data"]["reason"]


def next_relay(stack, before):
    wait_until(lambda: stack.pids("ws-relay") not in ([], before) and ready(stack) == (200, "ok"), "the next relay")


async def test_a_stop_is_told_before_it_is_done():
    with Stack(TELEMED_DRAIN_TIME=LONG) as stack:
        p, d = await stack.patient().connect(**V1), await stack.doctor().connect(**V1)
        seeds = [await stack.patient().connect() for _ in range(3)]
        late, busy = await stack.patient().connect(**V1), await stack.doctor().connect(**V1)
        await call(p, d, "goes-on")
        stack.process.send_signal(signal.SIGTERM)
        drains(stack)
        # Nothing is closed yet, and who is connected goes on as before; but nothing begins.
        slots = [(await c.wait("goaway"))["data"]["reconnectInMs"] for c in (p, d, late, busy)]
        assert len(set(slots)) == 4 and min(slots) > LONG * 1000
        assert await refused(late, busy.user, "new") == "draining"
        with Wire(stack.port) as wire:
            status, _, body = wire.ask(head(f"/ws?token={late.user.token}"))
            assert (status, json.loads(body)["code"]) == (503, "draining")
        with Wire(stack.port) as wire:
            assert wire.ask(head("/ws?token=x"))[0] == 401
        await p.send("signal", to=d.user, signalType="offer", sdpOrIce="still here")
        assert (await d.wait("signal"))["data"]["sdpOrIce"] == "still here"
        assert stack.rest("GET", "/doctors", token=p.user.token)[0] == 200
        assert all(c.socket.open for c in (p, d, late, busy, *seeds))
        # A second signal does not wait.
        began = time.monotonic()
        stack.process.send_signal(signal.SIGINT)
        assert [await c.closed() for c in (p, d, late, busy, *seeds)] == [1001] * 7
        assert await asyncio.get_running_loop().run_in_executor(None, stack.process.wait, LONG / 2) == 0
        assert time.monotonic() - began < LONG / 2
        stack.settings["TELEMED_DRAIN_TIME"] = "0"
        stack.start()
        p, d = await p.user.connect(), await d.user.connect()
        await p.send("call_end", callId="goes-on")
        assert (await d.wait("call_end"))["data"] == {"callId": "goes-on", "reason": "hangup"}


async def test_connections_are_closed_one_after_another():
    with Stack(TELEMED_DRAIN_TIME=16) as stack:
        wires = [Wire.open(stack.patient()) for _ in range(8)]
        relay = stack.pids("ws-relay")
        os.kill(relay[0], signal.SIGTERM)
        ends = {}

        def wait_for(i):
            ends[i] = (wires[i].closed(), len(ends))
        for wire in wires:
            wire.socket.settimeout(PATIENCE * 4)
        threads = [threading.Thread(target=wait_for, args=(i,)) for i in range(len(wires))]
        for thread in threads:
            thread.start()
        # Eight seconds go by from the first to the last.
        wait_until(lambda: ends, "the first to be closed", 60)
        assert len(ends) < len(wires) / 2
        wait_until(lambda: len(ends) == len(wires), "the last to be closed", 60)
        assert [code for code, _ in ends.values()] == [1001] * len(wires)
        for thread in threads:
            thread.join()
        next_relay(stack, relay)
        assert "ws-relay ended with 0" in stack.log_text()


async def test_who_is_alone_is_not_waited_for():
    with Stack(TELEMED_DRAIN_TIME=LONG) as stack:
        c = await stack.patient().connect(**V1)
        stack.settings["TELEMED_DRAIN_TIME"] = "0"
        stack.process.send_signal(signal.SIGTERM)
        await c.wait("goaway")
        await c.close()
        assert await asyncio.get_running_loop().run_in_executor(None, stack.process.wait, LONG / 2) == 0
        stack.start()


async def test_no_time_to_drain():
    with Stack(TELEMED_DRAIN_TIME=0) as stack:
        c = await stack.patient().connect(**V1)
        assert await asyncio.get_running_loop().run_in_executor(None, stack.stop) == 0
        assert await c.closed() == 1001 and c.count("goaway") == 1


def test_rest_answers_what_came_before_the_stop():
    """Logins that wait and run while fcgi-api is told to stop: each is answered, or was refused before it was taken."""
    with Stack(TELEMED_BCRYPT_COST=10) as stack:
        stack.patient()
        body, answers = {"email": "user1@example.org", "password": "password"}, []

        def log_in():
            answers.append(stack.rest("POST", "/auth/login", body)[0])
        for _ in range(3):
            threads = [threading.Thread(target=log_in) for _ in range(10)]
            before, api = len(answers), stack.pids("fcgi-api")[0]
            for thread in threads:
                thread.start()
            wait_until(lambda: len(answers) > before, "one of them to be answered")
            stack.kill("fcgi-api", signal.SIGTERM)
            for thread in threads:
                thread.join()
            assert set(answers[before:]) <= {200, 503} and answers[before:].count(200) > 2, stack.log_text()[-3000:]
            wait_until(lambda: stack.pids("fcgi-api")[:1] not in ([], [api]) and ready(stack)[0] == 200, "another fcgi-api")
        assert "fcgi-api ended with 0" in stack.log_text() and "worker_died" not in stack.log_text()


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_CALL_GRACE=60) as s:
        yield s


async def test_an_operator_drains(stack):
    p, d = await stack.patient().connect(**V1), await stack.doctor().connect(**V1)
    late, busy = await stack.patient().connect(), await stack.doctor().connect()
    await call(p, d, "lives")
    assert ready(stack) == (200, "ok")
    assert stack.admin("drain") == (0, "New calls are refused. Live calls: 1\n", "")
    assert ready(stack) == (503, "draining") and stack.metric("telemed_draining") == 1
    assert stack.metrics()['telemed_check_ok{check="relay"}'] == 1  # nobody is woken by what was meant
    assert await refused(late, busy.user, "refused") == "draining"
    assert await refused(late, late.user, "no-doctor") == "not_a_doctor"
    # Who is there goes on, and may come and go; nobody is told to leave.
    p2 = await p.user.connect(**V1)
    await p2.send("call_resume", callId="lives", id="r")
    assert (await p2.answer("r"))["type"] == "ack"
    await p2.send("signal", to=d.user, signalType="offer", sdpOrIce="on")
    assert (await d.wait("signal"))["data"]["sdpOrIce"] == "on"
    await p2.send("call_end", callId="lives")
    await d.wait("call_end")
    assert p.count("goaway") == p2.count("goaway") == 0
    code, out, _ = stack.admin("drain", "--json")
    assert (code, json.loads(out)) == (0, {"draining": True, "calls": 0})
    assert stack.admin("drain", "--end") == (0, "New calls are taken again.\n", "")
    assert ready(stack) == (200, "ok") and stack.metric("telemed_draining") == 0
    await call(late, busy, "again")
    lines = [json.loads(line) for line in stack.admin("audit", "list", "--json")[1].splitlines()]
    assert [line["outcome"] for line in lines if line["event"] == "admin"] == ["drain", "drain", "drain_end"]
    for c in (p, p2, d, late, busy):
        await c.close()


async def test_what_rings_may_be_answered_in_a_drain(stack):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.send("call_start", to=d.user, callId="rings", id="s")
    await d.wait("incoming_call")
    assert stack.admin("drain")[0] == 0
    await p.send("call_start", to=d.user, callId="rings", id="again")
    assert (await p.answer("again"))["data"]["ok"]  # it is the same
    await d.send("call_accept", callId="rings", id="a")
    assert (await d.answer("a"))["type"] == "ack"
    await p.send("call_end", callId="rings")
    await d.wait("call_end")
    assert stack.admin("drain", "--end")[0] == 0
    await p.close()
    await d.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_a_drain_ends_with_the_relay(stack, end):
    assert stack.admin("drain")[0] == 0
    relay = stack.pids("ws-relay")
    stack.kill("ws-relay", end)
    next_relay(stack, relay)
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await call(p, d, f"after-{end.name}")
    await p.close()
    await d.close()


def test_a_drain_outlives_the_other_program(stack):
    assert stack.admin("drain")[0] == 0
    api = stack.pids("fcgi-api")[0]
    stack.kill("fcgi-api")
    wait_until(lambda: stack.pids("fcgi-api")[:1] not in ([], [api]), "another fcgi-api")
    drains(stack)
    assert stack.admin("drain", "--end")[0] == 0
    assert ready(stack) == (200, "ok")


def test_without_a_relay_there_is_nothing_to_drain():
    with Stack() as stack:
        stack.stop()
        code, out, err = stack.admin("drain")
        assert (code, out, err) == (69, "", "telemed-admin: No relay runs here. Nothing was changed.\n")
        stack.start()
        assert ready(stack) == (200, "ok")
        assert stack.admin("drain", "--now")[0] == 64
