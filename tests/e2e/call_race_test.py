"""What crosses on its way: whichever comes first, there is one truth, and both sides hear it once."""

import asyncio
import sqlite3

import pytest
from stack import PATIENCE, Stack, assert_free, both, call, ring

ROUNDS = 15


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_WS_RATE=0) as s:
        yield s


def answers(client):
    return [m["data"].get("reason", "ok") for m in client.all("call_response")]


async def test_of_a_hundred_callers_at_once_one_gets_through(stack):
    d = await stack.doctor().connect()
    callers = [await stack.patient().connect() for _ in range(100)]
    await asyncio.gather(*(p.send("call_start", to=d.user, callId=f"c{i}") for i, p in enumerate(callers)))
    for p in callers:
        await p.wait("call_response")
    for client in [*callers, d]:
        await client.barrier()
    assert sorted(sum(map(answers, callers), [])) == ["busy"] * 99 + ["ok"]
    winner = next(p for p in callers if answers(p) == ["ok"])
    assert [m["from"] for m in d.all("incoming_call")] == [winner.user.id]
    assert [row[1:] for row in stack.live_calls()] == [(winner.user.id, d.user.id, "RINGING")]
    assert stack.status_of(d.user) == "BUSY"
    await d.wait_status(winner.user, "BUSY")
    shown = await d.newest_list()
    assert {shown[p.user.id] for p in callers if p is not winner} == {"ONLINE"}
    await winner.send("call_end")
    await d.wait("call_end")
    await assert_free(callers[0], d)


async def test_of_two_calls_of_one_patient_at_once_one_gets_through(stack):
    for _ in range(ROUNDS):
        patient, doctors = stack.patient(), [await stack.doctor().connect() for _ in range(2)]
        tabs = [await patient.connect() for _ in range(2)]
        await asyncio.gather(*(tab.send("call_start", to=d.user, callId="c") for tab, d in zip(tabs, doctors)))
        for tab in tabs:
            await tab.wait("call_response")
        assert sorted(answers(tabs[0]) + answers(tabs[1])) == ["caller_busy", "ok"]
        for client in [*tabs, *doctors]:
            await client.barrier()
        rung = doctors[answers(tabs[1]) == ["ok"]]
        assert [d.count("incoming_call") for d in doctors] == [d is rung for d in doctors]
        for client in [*tabs, *doctors]:
            await client.close()


async def test_one_call_start_from_two_connections_at_once_is_one_call(stack):
    for _ in range(ROUNDS):
        p, d = await both(stack)
        second = await p.user.connect()
        await asyncio.gather(*(tab.send("call_start", to=d.user, callId="same") for tab in (p, second)))
        for client in (p, second):
            assert (await client.wait("call_response"))["data"] == {"callId": "same", "ok": True, "iceServers": []}
        await d.wait("incoming_call")
        await d.barrier()
        assert d.count("incoming_call") == 1
        await p.send("call_end")
        await d.wait("call_end")


async def ended_once(p, d, *others):
    """Both heard of one end, once, and of the same; returns its reason."""
    ends = [await client.wait("call_end") for client in (p, d)]
    assert ends[0] == ends[1]
    for client in (p, d, *others):
        await client.barrier()
    assert p.count("call_end") == d.count("call_end") == 1
    reason = ends[0]["data"]["reason"]
    assert p.user.stack.sql("SELECT state, reason FROM call WHERE caller_id = ?", p.user.id) == [("ENDED", reason)]
    return reason


async def test_a_cancel_that_crosses_the_answer(stack):
    for i in range(ROUNDS):
        p, d = await both(stack)
        await ring(p, d)
        sends = [p.send("call_end", callId="c1"), d.send("call_accept", callId="c1", id="a")]
        await asyncio.gather(*(sends if i % 2 else reversed(sends)))
        reason = await ended_once(p, d)
        answer = await d.answer("a")
        if answer["type"] == "ack":  # answered, and then the end came
            assert reason == "hangup"
        else:
            assert reason == "cancelled" and answer["code"] == "no_call"
        await assert_free(p, d)


async def test_a_cancel_that_crosses_an_answer_by_signal(stack):
    for i in range(ROUNDS):
        p, d = await both(stack)
        await ring(p, d)
        sends = [p.send("call_end"), d.send("signal", to=p.user, signalType="answer", sdpOrIce="a")]
        await asyncio.gather(*(sends if i % 2 else reversed(sends)))
        reason = await ended_once(p, d)
        assert reason in ("cancelled", "hangup")
        await assert_free(p, d)


async def test_two_who_hang_up_at_once(stack):
    for _ in range(ROUNDS):
        p, d = await both(stack)
        await call(p, d)
        await asyncio.gather(p.send("call_end", callId="c1"), d.send("call_end", callId="c1"))
        assert await ended_once(p, d) == "hangup"
        await assert_free(p, d)


async def test_a_cancel_that_crosses_a_reject(stack):
    for _ in range(ROUNDS):
        p, d = await both(stack)
        await ring(p, d)
        await asyncio.gather(p.send("call_end", callId="c1"), d.send("call_reject", callId="c1"))
        assert await ended_once(p, d) in ("cancelled", "rejected")
        await assert_free(p, d)


async def test_a_call_that_is_ended_before_it_is_answered_for(stack):
    for _ in range(ROUNDS):
        p, d = await both(stack)
        await asyncio.gather(p.send("call_start", to=d.user, callId="c1"), p.send("call_end", callId="c1"))
        assert (await p.wait("call_response"))["data"] == {"callId": "c1", "ok": True, "iceServers": []}
        assert await ended_once(p, d) == "cancelled"
        assert d.count("incoming_call") == 1
        await assert_free(p, d)


async def test_two_devices_of_a_doctor_answer_at_once(stack):
    for _ in range(ROUNDS):
        p, d = await both(stack)
        devices = [d, await d.user.connect()]
        await ring(p, d)
        await asyncio.gather(*(device.send("call_accept", callId="c1", id="a") for device in devices))
        got = [await device.answer("a") for device in devices]
        assert sorted(m["type"] for m in got) == ["ack", "error"]
        winner, loser = devices if got[0]["type"] == "ack" else reversed(devices)
        assert (await loser.wait("call_end"))["data"]["reason"] == "answered_elsewhere"
        await p.send("signal", to=d.user, signalType="offer", sdpOrIce="x")
        await winner.wait("signal")
        await loser.barrier()
        await p.barrier()
        assert loser.count("signal") == winner.count("call_end") == p.count("call_end") == 0
        await p.send("call_end")
        await winner.wait("call_end")


async def test_a_device_that_declines_while_another_answers(stack):
    for i in range(ROUNDS):
        p, d = await both(stack)
        second = await d.user.connect()
        await ring(p, d)
        sends = [d.send("call_accept", callId="c1", id="a"), second.send("call_reject", callId="c1", id="r")]
        await asyncio.gather(*(sends if i % 2 else reversed(sends)))
        accepted = await d.answer("a")
        rejected = await second.answer("r")
        assert {accepted["type"], rejected["type"]} == {"ack", "error"}
        if accepted["type"] == "ack":
            assert rejected["code"] == "no_call"
            await p.barrier()
            assert p.count("call_end") == 0
            await d.send("call_end")
            assert await ended_once(p, d) == "hangup"
        else:
            assert await ended_once(p, d) == "rejected"


async def test_what_the_database_does_not_allow_is_refused(stack):
    """A live call that the relay does not know of, which another hand has put there: its index has the last word."""
    p, d, other = await stack.patient().connect(), await stack.doctor().connect(), stack.patient()
    for caller, callee in ((other.id, d.user.id), (p.user.id, stack.doctor().id)):
        with sqlite3.connect(stack.data / "telemed.db", timeout=PATIENCE) as db:
            db.execute("INSERT INTO call (call_id, caller_id, callee_id, state, started_ms) VALUES ('x', ?, ?, 'RINGING', 1)",
                       (caller, callee))
        await p.send("call_start", to=d.user, callId=f"no-{callee}")
        assert (await p.wait("call_response"))["data"]["reason"] == "busy"
        await p.barrier()
        assert d.count("incoming_call") == 0
        with sqlite3.connect(stack.data / "telemed.db", timeout=PATIENCE) as db:
            db.execute("DELETE FROM call WHERE call_id = 'x'")
    await call(p, d, "yes")
