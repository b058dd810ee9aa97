"""Signals: to whom they pass, when they are kept, and that they arrive as they were sent."""

import json

import pytest
from stack import NOBODY, Stack, assert_no_call, both, call, ring


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_WS_RATE=0) as s:
        yield s


def signals(client):
    return [m["data"]["sdpOrIce"] for m in client.all("signal")]


async def offer(client, to, sdp, **more):
    await client.send("signal", to=to, signalType="offer", sdpOrIce=sdp, **more)


async def candidate(client, to, text, **more):
    await client.send("signal", to=to, signalType="ice-candidate", sdpOrIce=text, **more)


async def test_without_a_call_a_signal_passes_as_a_direct_chat_does(stack):
    p, d = await both(stack)
    second, q = await d.user.connect(), await stack.patient().connect()
    for sender, to, receivers in ((p, d, (d, second)), (d, p, (p,)), (p, q, (q,))):
        for kind in ("offer", "answer", "ice-candidate"):
            data = {"signalType": kind, "sdpOrIce": {"candidate": "x"}, "more": [1]}
            await sender.send("signal", to=to.user, id="m", **data)
            for receiver in receivers:
                assert await receiver.wait("signal") == {"type": "signal", "from": sender.user.id, "data": data}
            assert (await sender.wait("ack"))["data"] == {"delivered": len(receivers)}


async def test_without_a_call_to_nobody(stack):
    p, offline = await stack.patient().connect(), stack.doctor()
    for to, code in ((NOBODY, "not_found"), (offline, "recipient_offline"), (p.user, "recipient_offline")):
        await offer(p, to, "o", id="m")
        error = await p.wait("error")
        assert (error["code"], error["re"], error["id"]) == (code, "signal", "m")


RAW = [
    '{"signalType":"offer","sdpOrIce":"v=0\\r\\n"}',
    '{ "signalType" : "offer" ,\t"sdpOrIce" : "x"\n}',
    '{"signalType":"offer","sdpOrIce":{"a":1.0,"b":1e2,"c":-0,"d":1E-7,"e":12345678901234567890123,"f":0.1e+1}}',
    '{"sdpOrIce":[true,false,null,[],{}],"signalType":"offer"}',
    '{"signalType":"offer","sdpOrIce":"\\u00e9\\/\\ud83d\\ude00\\b\\u007f é😀"}',
    '{"signalType":"offer","sdpOrIce":null,"unknown":{"x":1.50,"y":"\\u0041"},"callId":7,"from":1}',
    '{"z":1,"signalType":"offer","a":2,"sdpOrIce":{"}":"]\\"{","data":{"data":1}}}',
    '{"signalType":"offer","sdpOrIce":%s}' % ('{"a":' * 13 + "1" + "}" * 13),
    '{"signalType":"offer","sdpOrIce":"%s"}' % ("x" * 60000),
]


@pytest.mark.parametrize("data", RAW, ids=range(len(RAW)))
async def test_data_is_relayed_byte_for_byte(stack, data):
    p, d = await both(stack)
    for where in ("outside a call", "in a call"):
        if where == "in a call":
            await call(p, d)
        await p.send_text('{"x":{"data":1},"data":%s,"to":%d,"type":"signal","from":5}' % (data, d.user.id))
        await d.wait("signal")
        text = next(t for t in reversed(d.texts) if '"type":"signal"' in t)
        assert text == '{"type":"signal","from":%d,"data":%s}' % (p.user.id, data)


async def test_while_it_rings_signals_go_to_all_the_doctors_connections(stack):
    p, d = await both(stack)
    second = await d.user.connect()
    await ring(p, d)
    await offer(p, d.user, "o", id="m")
    assert (await p.wait("ack"))["data"] == {"delivered": 2}
    for client in (d, second):
        assert (await client.wait("signal"))["data"]["sdpOrIce"] == "o"
    await candidate(d, p.user, "from the doctor")
    assert (await p.wait("signal"))["data"]["sdpOrIce"] == "from the doctor"


async def test_what_rings_is_kept_for_a_connection_that_opens_meanwhile(stack):
    p, d = await both(stack)
    await ring(p, d)
    await offer(p, d.user, "o")
    for i in range(5):
        await candidate(p, d.user, f"c{i}")
    await p.barrier()
    late = await d.user.connect()
    await late.until(lambda: late.count("signal") == 6, "candidates")
    assert signals(late) == ["o", "c0", "c1", "c2", "c3", "c4"]
    assert [m["type"] for m in late.got if m["type"] != "users"][0] == "incoming_call"
    await candidate(p, d.user, "c5")
    for client in (d, late):
        await client.wait("signal", lambda m: m["data"]["sdpOrIce"] == "c5")
    assert signals(d) == signals(late)
    # It can be answered there, and no later one hears of it.
    await late.send("signal", to=p.user, signalType="answer", sdpOrIce="a")
    assert (await p.wait("signal"))["data"]["sdpOrIce"] == "a"
    later = await d.user.connect()
    await later.barrier()
    assert later.count("signal") == later.count("incoming_call") == 0


async def test_an_offer_and_64_candidates_are_kept(stack):
    p, d = await both(stack)
    await ring(p, d)
    await offer(p, d.user, "o")
    for i in range(70):
        await candidate(p, d.user, f"c{i}", id=f"m{i}")
    await p.wait("ack", lambda m: m["id"] == "m69")
    await d.until(lambda: d.count("signal") == 71, "all of them where it rings already")
    late = await d.user.connect()
    await late.barrier()
    assert signals(late) == ["o"] + [f"c{i}" for i in range(64)]


async def test_a_call_is_answered_with_a_signal(stack):
    p, d = await both(stack)
    second = await d.user.connect()
    await ring(p, d)
    await offer(p, d.user, "o")
    await second.wait("signal")
    await second.send("signal", to=p.user, signalType="answer", sdpOrIce="a", id="m")
    await candidate(second, p.user, "c0")
    await p.until(lambda: p.count("signal") == 2, "answer and candidate")
    assert signals(p) == ["a", "c0"]
    assert (await second.wait("ack"))["id"] == "m"
    assert (await d.wait("call_end"))["data"]["reason"] == "answered_elsewhere"
    assert [row[3] for row in stack.live_calls() if row[1] == p.user.id] == ["ACTIVE"]


async def test_once_answered_signals_pass_between_two_connections_only(stack):
    p, d = await both(stack)
    p2, d2 = await p.user.connect(), await d.user.connect()
    await call(p, d)
    for sender, receiver in ((p, d), (d, p)):
        for text in ("1", "2", "3"):
            await candidate(sender, receiver.user, text, id=text)
            assert (await sender.wait("ack", lambda m: m["id"] == text))["data"] == {"delivered": 1}
        await receiver.wait("signal", lambda m: m["data"]["sdpOrIce"] == "3")
        assert signals(receiver)[-3:] == ["1", "2", "3"]
    before = len(signals(p)), len(signals(d))
    for bystander, to in ((p2, d.user), (d2, p.user)):
        for kind in ("offer", "answer", "ice-candidate"):
            await assert_no_call(bystander, "signal", to=to, signalType=kind, sdpOrIce="x")
    for client in (p, d, p2, d2):
        await client.barrier()
    assert (len(signals(p)), len(signals(d))) == before
    assert signals(p2) == [] and signals(d2) == ["o"]  # while it rang


async def test_who_is_in_a_call_exchanges_signals_with_nobody_else(stack):
    p, d = await both(stack)
    q, e = await both(stack)
    await ring(p, d)
    for state in ("ringing", "active"):
        if state == "active":
            await d.send("call_accept", callId="c1", id="a")
            await d.wait("ack")
        for kind in ("offer", "answer", "ice-candidate"):
            for one in (p, d):
                for other in (q, e):
                    await assert_no_call(one, "signal", to=other.user, signalType=kind, sdpOrIce="x")
                    await assert_no_call(other, "signal", to=one.user, signalType=kind, sdpOrIce="x")
            await assert_no_call(p, "signal", to=NOBODY, signalType=kind, sdpOrIce="x")
    for client in (p, d, q, e):
        await client.barrier()
        assert signals(client) == []
    await d.send("call_end")
    await p.wait("call_end")
    await offer(p, q.user, "after the call")
    await q.wait("signal")


async def test_chat_passes_whoever_is_in_a_call(stack):
    p, d = await both(stack)
    q = await stack.patient().connect()
    await call(p, d)
    for sender, receiver in ((p, d), (d, p), (q, d), (p, q)):
        await sender.send("chat", to=receiver.user, message="hello")
        assert (await receiver.wait("chat"))["from"] == sender.user.id


async def test_signals_of_a_call_arrive_once_and_in_order(stack):
    p, d = await both(stack)
    await call(p, d)
    many = 500
    for i in range(many):
        await candidate(p, d.user, i)
        await candidate(d, p.user, json.dumps(i))
    for client in (p, d):
        await client.until(lambda: client.count("signal") == many + 1, "last signal")
    assert signals(d)[1:] == list(range(many))
    assert signals(p)[1:] == [str(i) for i in range(many)]
