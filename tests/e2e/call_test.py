"""A consultation, and who may do what to it."""

import re

import pytest
from stack import NOBODY, Stack, assert_free, assert_no_call, both, call, call_end, ring


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        yield s


async def test_from_call_start_to_call_end(stack):
    p, d = await both(stack)
    await call(p, d, "first")
    await p.wait_status(d.user, "BUSY")
    await p.wait_status(p.user, "BUSY")
    assert stack.status_of(d.user) == "BUSY"
    await d.send("call_end", callId="first")
    for client in (p, d):
        assert await client.wait("call_end") == {"type": "call_end", "from": d.user.id,
                                                 "data": {"callId": "first", "reason": "hangup"}}
    await assert_free(p, d)


async def test_while_it_rings_both_are_busy_for_everybody(stack):
    p, d = await both(stack)
    watcher = await stack.patient().connect()
    await ring(p, d)
    for client in (p, d, watcher):
        await client.wait_status(p.user, "BUSY")
        await client.wait_status(d.user, "BUSY")
    assert stack.status_of(d.user) == "BUSY"


async def test_the_answer_and_the_ringing_say_who_it_is(stack):
    p, d = await both(stack)
    await p.send("call_start", to=d.user, id="m", callId="A.z_0:9-")
    assert await p.wait("call_response") == {"type": "call_response", "from": d.user.id, "id": "m",
                                             "data": {"callId": "A.z_0:9-", "ok": True, "iceServers": []}}
    got = await d.wait("incoming_call")
    assert 0 < got["data"].pop("expiresInMs") <= 45000
    assert got == {"type": "incoming_call", "from": p.user.id,
                   "data": {"callId": "A.z_0:9-", "name": p.user.name, "iceServers": []}}


async def test_the_server_makes_the_call_id_where_none_is_given(stack):
    p, d = await both(stack)
    for start in ('{"type":"call_start","to":%d}', '{"type":"call_start","to":%d,"data":{}}'):
        await p.send_text(start % d.user.id)
        answer = await p.wait("call_response")
        call_id = answer["data"]["callId"]
        assert answer["data"]["ok"] and re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", call_id)
        assert (await d.wait("incoming_call"))["data"]["callId"] == call_id
        await d.send("call_accept", callId=call_id, id=call_id)
        assert (await d.wait("ack"))["data"] == {"callId": call_id}
        await p.send("call_end", callId=call_id)
        assert (await d.wait("call_end"))["data"] == {"callId": call_id, "reason": "hangup"}
    assert len({m["data"]["callId"] for m in d.all("incoming_call")}) == 2


async def refused(client, to, reason, call_id="c1"):
    """Asserts that this call_start of CLIENT's gets one answer, REASON, and that no call comes of it."""
    before = client.count("call_response")
    await client.send("call_start", to=to, id=f"for {reason}", callId=call_id)
    answer = await client.wait("call_response")
    assert answer["data"]["ok"] is False and answer["data"]["reason"] == reason, answer
    assert answer["id"] == f"for {reason}"
    await client.barrier()
    assert client.count("call_response") == before + 1


async def test_refused_not_a_patient(stack):
    p, d = await both(stack)
    other = await stack.doctor().connect()
    for to in (other.user, d.user, p.user, NOBODY):
        await refused(d, to, "not_a_patient")
    await other.barrier()
    assert other.count("incoming_call") == 0


async def test_refused_not_a_doctor(stack):
    p, offline = await stack.patient().connect(), stack.patient()
    other = await stack.patient().connect()
    for to in (other.user, p.user, offline):
        await refused(p, to, "not_a_doctor")
    await other.barrier()
    assert other.count("incoming_call") == 0


async def test_refused_not_found(stack):
    await refused(await stack.patient().connect(), NOBODY, "not_found")


async def test_refused_offline(stack):
    p, d = await both(stack)
    never, by_rest, left = stack.doctor(), stack.doctor(), await stack.doctor().connect()
    by_rest.set_status("ONLINE")
    await p.wait_status(by_rest, "ONLINE")
    await left.drop()
    await p.reach(left.user, 0)
    await d.send("set_status", id="s", status="OFFLINE")
    await d.wait("ack")
    for to in (never, by_rest, left.user, d.user):
        await refused(p, to, "offline")
    await d.barrier()
    assert d.count("incoming_call") == 0


async def test_refused_busy_by_choice(stack):
    p, d = await both(stack)
    await d.send("set_status", id="s", status="BUSY")
    await d.wait("ack")
    await refused(p, d.user, "busy")
    d.user.set_status("ONLINE")
    await p.wait_status(d.user, "ONLINE")
    await ring(p, d)


async def test_refused_busy_in_a_call(stack):
    p, d = await both(stack)
    other = await stack.patient().connect()
    await ring(p, d)
    await refused(other, d.user, "busy")
    await d.send("call_accept", callId="c1", id="a")
    await d.wait("ack")
    await refused(other, d.user, "busy")
    await d.barrier()
    assert d.count("incoming_call") == 1
    await p.send("call_end")
    await d.wait("call_end")
    await ring(other, d)


async def test_refused_caller_busy(stack):
    p, d = await both(stack)
    second, other = await p.user.connect(), await stack.doctor().connect()
    await ring(p, d)
    for client in (p, second):
        await refused(client, other.user, "caller_busy")
        await refused(client, d.user, "caller_busy", "c2")
    await d.send("call_accept", callId="c1")
    await other.barrier()
    await d.barrier()
    assert other.count("incoming_call") == 0 and d.count("incoming_call") == 1


@pytest.mark.parametrize("call_id", ["", "x" * 65, "a b", "ä", "a/b", "a\n", "'", 5, 1.5, True, None, [], {}])
async def test_refused_bad_call_id(stack, call_id):
    p, d = await both(stack)
    await refused(p, d.user, "bad_call_id", call_id)
    await d.barrier()
    assert d.count("incoming_call") == 0
    await assert_free(p, d)


async def test_a_call_id_of_64_characters_is_taken(stack):
    p, d = await both(stack)
    await ring(p, d, "x" * 64)


async def test_one_call_start_sent_twice_is_one_call(stack):
    p, d = await both(stack)
    for i in range(2):
        await p.send("call_start", to=d.user, id=f"m{i}", callId="same")
    await p.until(lambda: p.count("call_response") == 2, "second answer")
    await d.wait("incoming_call")
    await d.send("call_accept", callId="same", id="a")
    await d.wait("ack")
    await p.send("call_start", to=d.user, id="m2", callId="same")
    await p.until(lambda: p.count("call_response") == 3, "third answer")
    for i, answer in enumerate(p.all("call_response")):
        assert answer == {"type": "call_response", "from": d.user.id, "id": f"m{i}",
                          "data": {"callId": "same", "ok": True, "iceServers": []}}
    await d.barrier()
    assert d.count("incoming_call") == 1
    assert stack.sql("SELECT count(*) FROM call WHERE caller_id = ?", p.user.id) == [(1,)]


ENDINGS = {
    # who ends it, with what, when: for which reason
    "the caller while it rings": ("patient", "call_end", False, "cancelled"),
    "the doctor while it rings": ("doctor", "call_end", False, "rejected"),
    "the doctor, who declines": ("doctor", "call_reject", False, "rejected"),
    "the caller in the call": ("patient", "call_end", True, "hangup"),
    "the doctor in the call": ("doctor", "call_end", True, "hangup"),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_ended_by(stack, ending):
    who, message, answered, reason = ENDINGS[ending]
    p, d = await both(stack)
    await (call if answered else ring)(p, d)
    ender = p if who == "patient" else d
    await p.wait_status(d.user, "BUSY")
    await p.wait_status(p.user, "BUSY")
    await ender.send(message, id="e", callId="c1", reason="a reason of one's own")
    assert await ender.wait("ack") == {"type": "ack", "id": "e", "data": {"callId": "c1"}}
    for client in (p, d):
        assert await client.wait("call_end") == call_end(ender.user, reason)
    await assert_free(p, d)
    for client in (p, d):
        await client.barrier()
        assert client.count("call_end", lambda m: m["data"]["callId"] == "c1") == 1
    assert stack.sql("SELECT state, reason FROM call WHERE call_id = 'c1' AND caller_id = ?", p.user.id) == [("ENDED", reason)]


@pytest.mark.parametrize("form", ['{"type":"call_end"}', '{"type":"call_end","data":{}}', '{"type":"call_end","to":%d}',
                                  '{"type":"call_end","to":"%d"}'])
async def test_call_end_needs_to_name_nothing(stack, form):
    p, d = await both(stack)
    await call(p, d)
    await p.send_text(form % d.user.id if "%" in form else form)
    assert (await d.wait("call_end"))["data"]["reason"] == "hangup"
    await assert_free(p, d)


async def test_call_end_of_another_call_ends_nothing(stack):
    p, d = await both(stack)
    await assert_no_call(p, "call_end")
    await call(p, d)
    for client in (p, d):
        await assert_no_call(client, "call_end", callId="c2")
        await assert_no_call(client, "call_end", to=NOBODY)
        await assert_no_call(client, "call_end", to=client.user, callId="c1")
        assert client.count("call_end") == 0
    await d.send("call_end")
    await p.wait("call_end")
    await assert_no_call(p, "call_end", callId="c1")


async def test_a_call_is_answered_with_call_accept(stack):
    p, d = await both(stack)
    await ring(p, d)
    await assert_no_call(d, "call_accept", callId="c2")
    for _ in range(2):  # once more, by a client that has not seen the answer
        await d.send("call_accept", id="a", callId="c1")
        assert await d.wait("ack") == {"type": "ack", "id": "a", "data": {"callId": "c1"}}
    assert stack.live_calls().count(("c1", p.user.id, d.user.id, "ACTIVE")) == 1
    await p.send("call_end")
    assert (await d.wait("call_end"))["data"]["reason"] == "hangup"
    await assert_no_call(d, "call_accept", callId="c1")


async def test_the_caller_can_neither_accept_nor_reject(stack):
    p, d = await both(stack)
    await ring(p, d)
    await assert_no_call(p, "call_accept", callId="c1")
    await assert_no_call(p, "call_reject", callId="c1")
    await d.send("call_accept", callId="c1", id="a")
    await d.wait("ack")
    await assert_no_call(d, "call_reject", callId="c1")
    assert p.count("call_end") == d.count("call_end") == 0


async def third_parties(stack, p, d):
    for outsider in (await stack.patient().connect(), await stack.doctor().connect()):
        for call_id in ({"callId": "c1"}, {}):
            await assert_no_call(outsider, "call_end", **call_id)
        for to in (p.user, d.user):
            await assert_no_call(outsider, "call_end", to=to, callId="c1")
            await assert_no_call(outsider, "signal", to=to, signalType="offer", sdpOrIce="x")
            await assert_no_call(outsider, "signal", to=to, signalType="answer", sdpOrIce="x")
        await assert_no_call(outsider, "call_accept", callId="c1")
        await assert_no_call(outsider, "call_reject", callId="c1")
        await assert_no_call(outsider, "call_resume", callId="c1")
        for client in (p, d):
            await assert_no_call(client, "signal", to=outsider.user, signalType="offer", sdpOrIce="x")
        assert outsider.count("signal") == 0


async def test_third_parties_change_nothing(stack):
    p, d = await both(stack)
    await ring(p, d)
    await third_parties(stack, p, d)
    await d.send("call_accept", callId="c1", id="a")
    await d.wait("ack")
    await third_parties(stack, p, d)
    for client in (p, d):
        await client.barrier()
        assert client.count("call_end") == client.count("signal") == 0
        await client.wait_status(d.user, "BUSY")
    await d.send("call_end")
    await p.wait("call_end")
    await assert_free(p, d)


async def test_a_call_id_is_the_callers_own(stack):
    """Another may give her call the same, at the same time, and each ends her own with it; so may the same caller, later."""
    (p, d), (q, e) = await both(stack), await both(stack)
    for _ in range(2):
        await ring(p, d, "the-same")
        await ring(q, e, "the-same")
        for doctor in (d, e):
            await doctor.send("call_accept", callId="the-same", id="a")
            await doctor.wait("ack")
        await p.send("call_end", callId="the-same")
        assert await d.wait("call_end") == call_end(p.user, "hangup", "the-same")
        await q.barrier()
        assert q.count("call_end") == e.count("call_end")
        await assert_no_call(p, "call_end", callId="the-same")
        await assert_no_call(d, "call_accept", callId="the-same")
        await q.send("call_end", callId="the-same")
        assert await e.wait("call_end") == call_end(q.user, "hangup", "the-same")
        await q.wait("call_end")
        await p.wait("call_end")


async def test_it_rings_on_all_the_doctors_connections_and_one_answers(stack):
    p, d = await both(stack)
    others = [await d.user.connect(), await d.user.connect()]
    await ring(p, d)
    for other in others:
        assert (await other.wait("incoming_call"))["data"]["callId"] == "c1"
    await others[0].send("call_accept", callId="c1", id="a")
    await others[0].wait("ack")
    for client in (d, others[1]):
        assert await client.wait("call_end") == call_end(d.user, "answered_elsewhere")
        await assert_no_call(client, "call_accept", callId="c1")
        await assert_no_call(client, "call_reject", callId="c1")
        await assert_no_call(client, "call_end", callId="c1")
        await assert_no_call(client, "signal", to=p.user, signalType="answer", sdpOrIce="x")
    for client in (p, others[0]):
        await client.barrier()
        assert client.count("call_end") == client.count("signal") == 0
    await others[0].send("call_end", callId="c1")
    assert (await p.wait("call_end"))["data"]["reason"] == "hangup"


async def test_it_rings_on_a_connection_that_opens_meanwhile(stack):
    p, d = await both(stack)
    await ring(p, d)
    late = await d.user.connect()
    got = await late.wait("incoming_call")
    assert got["from"] == p.user.id and got["data"]["callId"] == "c1" and got["data"]["name"] == p.user.name
    await late.send("call_reject", callId="c1")
    for client in (p, d, late):
        assert (await client.wait("call_end"))["data"]["reason"] == "rejected"
    await assert_free(p, d)


async def test_a_call_that_nobody_answers_ends():
    with Stack(TELEMED_RING_TIMEOUT=2) as stack:
        p, d = await both(stack)
        second = await d.user.connect()
        assert (await ring(p, d))["data"]["expiresInMs"] <= 2000
        await p.until(lambda: "BUSY" in p.statuses(p.user), "BUSY")
        for client in (p, d, second):
            assert await client.wait("call_end") == call_end(d.user, "no_answer")
        await assert_free(p, d)
        # One that is answered does not: its time would be over before the next one's.
        await call(p, d, "answered")
        q, e = await both(stack)
        await ring(q, e)
        await q.wait("call_end")
        await p.barrier()
        assert p.count("call_end", lambda m: m["data"]["callId"] == "answered") == 0
