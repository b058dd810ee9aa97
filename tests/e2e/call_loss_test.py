"""A call whose parties, or whose relay, go away: it goes on for those who come back in time, and ends for the others."""

import signal

import pytest
from stack import Stack, assert_free, assert_no_call, both, call, call_end, ring, wait_until

# Long enough to come back in on a busy machine.
LONG = 60


@pytest.fixture(scope="module")
def patient_stack():
    """A stack that waits for who has gone."""
    with Stack(TELEMED_CALL_GRACE=LONG, TELEMED_PRESENCE_GRACE=LONG) as s:
        yield s


@pytest.fixture(scope="module")
def hasty_stack():
    """A stack that waits for a second."""
    with Stack(TELEMED_CALL_GRACE=1, TELEMED_PRESENCE_GRACE=1) as s:
        yield s


def ended(call_id, client):
    return client.count("call_end", lambda m: m["data"]["callId"] == call_id)


async def assert_goes_on(p, d):
    """The call c1 is between these two connections, and can be ended."""
    for client in (p, d):
        await client.wait_status(p.user, "BUSY")
        await client.wait_status(d.user, "BUSY")
    await p.send("signal", to=d.user, signalType="offer", sdpOrIce="again")
    await d.wait("signal", lambda m: m["data"]["sdpOrIce"] == "again")
    await d.send("signal", to=p.user, signalType="answer", sdpOrIce="yes")
    await p.wait("signal", lambda m: m["data"]["sdpOrIce"] == "yes")
    assert ended("c1", p) == ended("c1", d) == 0
    await d.send("call_end", callId="c1")
    for client in (p, d):
        assert await client.wait("call_end") == call_end(d.user, "hangup")
    await assert_free(p, d)


@pytest.mark.parametrize("state, who", [("ringing", "patient"), ("active", "patient"), ("active", "doctor")])
async def test_who_does_not_come_back_ends_the_call(hasty_stack, state, who):
    p, d = await both(hasty_stack)
    await (call if state == "active" else ring)(p, d)
    lost, left = (p, d) if who == "patient" else (d, p)
    await lost.drop()
    assert await left.wait("call_end") == call_end(lost.user, "disconnected")
    back = await lost.user.connect()
    await (assert_free(back, left) if who == "patient" else assert_free(left, back))


async def test_a_call_rings_on_for_a_doctor_who_may_come_back(patient_stack):
    p, d = await both(patient_stack)
    await ring(p, d)
    await p.send("signal", to=d.user, signalType="offer", sdpOrIce="o")
    await d.drop()
    await p.reach(d.user, 0)
    d = await d.user.connect()
    await d.wait("incoming_call", lambda m: m["data"]["callId"] == "c1")
    await d.wait("signal")
    await d.send("call_accept", callId="c1", id="a")
    await d.wait("ack")
    await assert_goes_on(p, d)


async def test_a_doctor_who_goes_while_it_rings_and_stays_away_does_not_answer():
    with Stack(TELEMED_RING_TIMEOUT=2, TELEMED_CALL_GRACE=1, TELEMED_PRESENCE_GRACE=0) as stack:
        p, d = await both(stack)
        await ring(p, d)
        await d.drop()
        end = await p.wait("call_end")
        assert end == call_end(d.user, "no_answer")
        await p.wait_status(p.user, "ONLINE")
        await p.wait_status(d.user, None)
        assert stack.live_calls() == []


async def test_both_go_and_nobody_stays_busy(hasty_stack):
    watcher = await hasty_stack.patient().connect()
    p, d = await both(hasty_stack)
    await call(p, d)
    await watcher.wait_status(d.user, "BUSY")
    await p.drop()
    await d.drop()
    await watcher.wait_status(p.user, None)
    await watcher.wait_status(d.user, None)
    wait_until(lambda: hasty_stack.status_of(d.user) == "OFFLINE", "the doctor to be OFFLINE")
    assert hasty_stack.live_calls() == []


@pytest.mark.parametrize("who", ["patient", "doctor", "both"])
async def test_a_reload_does_not_end_the_call(patient_stack, who):
    p, d = await both(patient_stack)
    watcher = await patient_stack.patient().connect()
    await call(p, d)
    await watcher.wait_status(d.user, "BUSY")
    start = len(watcher.got)
    for client in (p, d):
        if who == "both" or client.user.role.lower() == who:
            await client.drop()
            await watcher.reach(client.user, 0)
    assert ended("c1", p) == ended("c1", d) == 0
    p = p if who == "doctor" else await p.user.connect()
    d = d if who == "patient" else await d.user.connect()
    await watcher.newest_list()
    assert set(watcher.statuses(p.user, start)) | set(watcher.statuses(d.user, start)) <= {"BUSY"}
    await assert_goes_on(p, d)


async def test_a_new_connection_that_is_there_before_the_old_is_lost_takes_the_call_over(patient_stack):
    p, d = await both(patient_stack)
    await call(p, d)
    d2 = await d.user.connect()
    await d.drop()
    await p.reach(d.user, 1)
    await assert_goes_on(p, d2)


async def test_another_device_that_was_there_before_can_take_the_call_over(patient_stack):
    for act in ("signal", "call_end"):
        doctor = patient_stack.doctor()
        phone, p, d = await doctor.connect(), await patient_stack.patient().connect(), await doctor.connect()
        await call(p, d)
        await assert_no_call(phone, "call_end", callId="c1")
        await d.drop()
        await p.reach(doctor, 1)
        if act == "signal":
            await phone.send("signal", to=p.user, signalType="offer", sdpOrIce="from the phone")
            await p.wait("signal", lambda m: m["data"]["sdpOrIce"] == "from the phone")
            await p.send("signal", to=doctor, signalType="answer", sdpOrIce="to the phone")
            await phone.wait("signal", lambda m: m["data"]["sdpOrIce"] == "to the phone")
        await phone.send("call_end", callId="c1")
        for client in (p, phone):
            await client.wait("call_end", lambda m: m == call_end(doctor, "hangup"))


async def test_signals_to_who_is_away_wait_for_her(patient_stack):
    p, d = await both(patient_stack)
    await call(p, d)
    await d.drop()
    await p.reach(d.user, 0)
    for i in range(3):
        await p.send("signal", to=d.user, id=f"m{i}", signalType="ice-candidate", sdpOrIce=i)
        assert (await p.wait("ack", lambda m: m["id"] == f"m{i}"))["data"] == {"delivered": 0}
    d = await d.user.connect()
    await d.until(lambda: d.count("signal") == 3, "signals")
    assert [m["data"]["sdpOrIce"] for m in d.all("signal")] == [0, 1, 2]
    await assert_goes_on(p, d)


async def test_who_is_left_can_end_the_call(patient_stack):
    p, d = await both(patient_stack)
    await call(p, d)
    await d.drop()
    await p.reach(d.user, 0)
    await p.send("call_end", callId="c1")
    assert (await p.wait("call_end"))["data"]["reason"] == "hangup"
    d = await d.user.connect()
    await assert_free(p, d)
    assert ended("c1", d) == 0


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM], ids=lambda s: s.name)
async def test_a_call_outlives_the_relay(patient_stack, sig):
    p, d = await both(patient_stack)
    await call(p, d)
    patient_stack.kill("ws-relay", sig)
    assert await p.closed() == (1001 if sig == signal.SIGTERM else 1006)
    p, d = await p.user.reconnect(), await d.user.reconnect()
    assert patient_stack.status_of(d.user) == "BUSY"
    await assert_goes_on(p, d)


async def test_a_call_outlives_the_whole_stack(patient_stack):
    p, d = await both(patient_stack)
    await call(p, d)
    assert patient_stack.stop() == 0
    patient_stack.start()
    p, d = await p.user.reconnect(), await d.user.reconnect()
    await assert_goes_on(p, d)


async def test_after_the_relay_has_died_the_call_ends_for_who_comes_back_alone():
    with Stack(TELEMED_CALL_GRACE=4, TELEMED_PRESENCE_GRACE=4) as stack:
        pairs = [await both(stack), await both(stack)]
        for p, d in pairs:
            await call(p, d)
        stack.kill("ws-relay")
        (p, d), (q, e) = pairs
        for back, away in ((await p.user.reconnect(), d.user), (await e.user.reconnect(), q.user)):
            if back.statuses(back.user)[0] == "BUSY":  # and not so late that it is over already
                assert await back.wait("call_end") == call_end(away, "disconnected")
            await back.wait_status(back.user, "ONLINE")
            await back.wait_status(away, None)
        assert stack.live_calls() == []


async def test_after_the_relay_has_died_and_nobody_comes_back_nobody_stays_busy(hasty_stack):
    p, d = await both(hasty_stack)
    q, e = await both(hasty_stack)
    await call(p, d)
    await ring(q, e)
    hasty_stack.kill("ws-relay")
    wait_until(lambda: [hasty_stack.status_of(x.user) for x in (d, e)] == ["OFFLINE"] * 2, "the doctors to be OFFLINE")
    assert hasty_stack.live_calls() == []
    watcher = await hasty_stack.patient().reconnect()
    assert not {u["id"] for u in watcher.got[0]["users"]} & {p.user.id, d.user.id, q.user.id, e.user.id}


async def test_a_call_that_rang_when_the_relay_died_is_over(patient_stack):
    p, d = await both(patient_stack)
    await ring(p, d)
    patient_stack.kill("ws-relay")
    p, d = await p.user.reconnect(), await d.user.reconnect()
    question = "SELECT state, reason FROM call WHERE caller_id = ?"
    wait_until(lambda: patient_stack.sql(question, p.user.id) == [("ENDED", "server_restart")], "the end to be stored")
    await assert_free(p, d)
