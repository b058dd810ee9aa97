"""Calls and presence when the relay is killed, at whatever moment."""

import asyncio
import random
import threading
import time

import pytest
from stack import SLOW, Stack, call, wait_until

V1 = {"subprotocols": ["telemed.v1"]}


@pytest.fixture()
def stack():
    with Stack(TELEMED_CALL_GRACE=3 * SLOW, TELEMED_PRESENCE_GRACE=2 * SLOW) as s:
        yield s


def kill_relay(stack):
    """kill -9, and the next one serves."""
    before = stack.pids("ws-relay")
    stack.kill("ws-relay")
    wait_until(lambda: stack.pids("ws-relay") not in ([], before) and stack.rest("GET", "/readyz")[0] == 200, "the next relay")


async def test_killed_while_it_rings(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await p.send("call_start", to=doctor, callId="rang")
    await d.wait("incoming_call")
    kill_relay(stack)
    p, d = await patient.connect(), await doctor.connect(**V1)
    for c in (p, d):
        end = await c.wait("call_end")
        assert end["data"] == {"callId": "rang", "reason": "server_restart"}
    assert (await d.wait("call_state"))["data"] == {"callId": "rang", "state": "ENDED", "peer": patient.id}
    await p.wait_status(doctor, "ONLINE")
    assert stack.status_of(doctor) == "ONLINE" and stack.live_calls() == []
    await call(p, d, "again")


async def test_killed_in_a_call_that_goes_on(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await call(p, d, "goes-on")
    kill_relay(stack)
    assert stack.status_of(doctor) == "BUSY"
    p, d = await patient.connect(), await doctor.connect()
    await p.wait_status(doctor, "BUSY")
    await p.send("signal", to=doctor, signalType="offer", sdpOrIce="again")
    assert (await d.wait("signal"))["data"]["sdpOrIce"] == "again"
    await d.send("call_end")
    assert (await p.wait("call_end"))["data"] == {"callId": "goes-on", "reason": "hangup"}
    await p.wait_status(doctor, "ONLINE")


async def test_killed_in_a_call_to_which_one_returns(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await call(p, d, "half")
    kill_relay(stack)
    d = await doctor.connect()
    end = await d.wait("call_end")
    assert (end["from"], end["data"]["reason"]) == (patient.id, "disconnected")
    await d.wait_status(doctor, "ONLINE")


async def test_killed_and_nobody_returns(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await call(p, d, "nobody")
    kill_relay(stack)
    wait_until(lambda: stack.status_of(doctor) == "OFFLINE", "the doctor to be free")
    assert stack.live_calls() == []
    late = await stack.patient().connect()
    await late.wait_status(patient, None)


async def test_both_reload_at_once(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await call(p, d, "both")
    await asyncio.gather(p.drop(), d.drop())
    p, d = await asyncio.gather(patient.connect(), doctor.connect())
    await p.send("signal", to=doctor, signalType="offer", sdpOrIce="restart")
    assert (await d.wait("signal"))["data"]["sdpOrIce"] == "restart"
    await p.send("call_end")
    await d.wait("call_end")


async def test_a_planned_restart_keeps_the_call(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await call(p, d, "planned")
    await asyncio.gather(p.drop(), d.drop())
    assert stack.stop() == 0
    stack.start()
    p, d = await patient.connect(), await doctor.connect()
    await p.send("call_end", callId="planned")
    assert (await d.wait("call_end"))["data"]["reason"] == "hangup"


async def test_nothing_stays_busy_whenever_it_is_killed(stack):
    """Calls are made, answered and ended without pause; the relay is killed at random moments of it, and nobody returns from the
    last. While it goes on, a sampler looks for a doctor whom GET /doctors shows BUSY and whom no live call holds, neither
    before nor after it asked."""
    pairs = [(stack.patient(), stack.doctor()) for _ in range(4)]
    wrong, stop = [], threading.Event()

    def in_calls():
        return {row[0] for row in stack.sql("SELECT callee_id FROM call WHERE state <> 'ENDED'")}

    def sample():
        while not stop.is_set():
            before = in_calls()
            _, got = stack.rest("GET", "/doctors", token=pairs[0][0].token)
            # One that began and ended in between has left its row behind; so little happens in so short a time.
            busy = {d["id"] for d in got["doctors"] if d["status"] == "BUSY"} - before - in_calls()
            if busy:
                began = {row[0] for row in stack.sql("SELECT callee_id FROM call WHERE ended_ms > ?", (time.time() - 5) * 1000)}
                wrong.extend(busy - began)

    async def consult(patient, doctor, n):
        try:
            p, d = await patient.connect(), await doctor.connect()
            for i in range(50):
                await call(p, d, f"k{n}-{i}")
                await random.choice((p, d)).send("call_end")
                await asyncio.gather(p.wait("call_end"), d.wait("call_end"))
        except Exception:  # the relay has gone
            pass

    sampler = threading.Thread(target=sample)
    sampler.start()
    for n in range(4):
        work = [asyncio.ensure_future(consult(p, d, n)) for p, d in pairs]
        await asyncio.sleep(random.uniform(0.05, 0.6))
        await asyncio.get_running_loop().run_in_executor(None, kill_relay, stack)
        for w in work:
            w.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    stop.set()
    sampler.join()
    assert wrong == []
    wait_until(lambda: stack.live_calls() == [], "every call to end")
    wait_until(lambda: all(stack.status_of(d) == "OFFLINE" for _, d in pairs), "every doctor to be free")


async def test_sixty_callers_for_one_doctor(stack):
    doctor = stack.doctor()
    d = await doctor.connect()
    callers = [await stack.patient().connect() for _ in range(60)]
    await asyncio.gather(*(c.send("call_start", to=doctor, callId=f"q{i}") for i, c in enumerate(callers)))
    answers = [await c.wait("call_response") for c in callers]
    assert sum(a["data"]["ok"] for a in answers) == 1
    assert {a["data"].get("reason") for a in answers} == {None, "busy"}
    await d.wait("incoming_call")
    assert d.count("incoming_call") == 1 and len(stack.live_calls()) == 1
