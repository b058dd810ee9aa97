"""What a bad message is told, and where the limits of a connection are."""

import asyncio
import json
import signal

import pytest
from stack import NOBODY, SANITIZED, Stack, both
from wire import Wire, frame


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        yield s


@pytest.fixture(scope="module")
def unlimited():
    with Stack(TELEMED_WS_RATE=0) as s:
        yield s


SLOW_CLOSES = 'telemed_closes_total{by="server",code="4101"}'

CHAT = '{"type":"chat","id":"m","to":%s,"data":{"message":"x"}}'
DEEP = '{"type":"chat","id":"m","to":%d,"data":{"message":"x"},"pad":%%s}' % NOBODY

BAD = [
    # text, code, re, id
    *((text, "bad_json", None, None) for text in (
        "", " ", "{", "}", "[]", "null", '"x"', "1", "true", "hello", '{"type":"chat"', '{"type":"chat"}}', '{"type":"chat"}{}',
        '{"type":"chat",}', "{'type':'chat'}", '{"type":"chat"}x', '\ufeff{"type":"call_end"}', '{"type":"call_end"}\0',
        '{"type":"call_end","x":007}', '{"type":"call_end","x":1e999}', '{"type":"call_end","x":NaN}',
        '{"type":"call_end","x":+1}', '{"type":"call_end","x":"\t"}',
        '{"type":"call_end","x":"\\u0000"}', '{"type":"call_end","x":"\\ud800"}', '{"type":"call_end","x":"\\udc00\\ud800"}',
        '{"type":"call_end","x":"\\x41"}', '{"type":"call_end","type":"call_end"}', '{"type":"call_end","t\\u0079pe":"call_end"}',
        '{"type":"call_end","x":-1E400}', '{"type":"call_end","x":01}', '{"type":"call_end","x":.5}', '{"type":"call_end","x":0x7}',
        '{"type":"call_end\\u0000"}', '{"type":"chat","to":"7\\u0000","data":{"message":"x"}}', '{"\\u0000":1,"type":"call_end"}',
        '{"type":"call_end","data":{"callId":"c","call\\u0049d":"d"}}', '{"type":"call_end","__proto__":1,"__proto__":2}',
        '{"type":"call_end"}\n{"type":"call_end"}', '{"type":"call_end"/**/}', ' ' * 65536, '"' + "x" * 65534 + '"',
        '{"type":"call_end","x":{"a":1,"b":2,"a":1}}', "[" * 16000, '{"a":' * 10000, DEEP % ("[" * 16 + "]" * 16),
    )),
    *((text, "bad_message", None, None) for text in (
        "{}", '{"type":null}', '{"type":5}', '{"type":["chat"]}', '{"Type":"call_end"}', '{"__proto__":{"type":"call_end"}}',
        '{"type":{"type":"call_end"}}', '{"type":true}',
    )),
    *((text, "bad_message", "call_end", None) for text in (
        '{"type":"call_end","id":5}', '{"type":"call_end","id":""}', '{"type":"call_end","id":null}',
        '{"type":"call_end","id":"%s"}' % ("i" * 65), '{"type":"call_end","id":"%s"}' % ("\U0001F600" * 65),
        '{"type":"call_end","id":{"a":1}}', '{"type":"call_end","id":true}', '{"type":"call_end","id":["a"]}',
    )),
    ('{"id":"m"}', "bad_message", None, "m"),
    *(('{"type":"%s","id":"m"}' % type, "unknown_type", type, "m") for type in (
        "", "CHAT", "chat ", "users", "welcome", "hello", "__proto__", "constructor", "toString", "ack", "error", "x" * 64,
    )),
    ('{"type":"%s","id":"m"}' % ("x" * 65), "unknown_type", None, "m"),
    *((CHAT % to, "bad_message", "chat", "m") for to in (
        "0", "-1", "1.5", "5e-1", "null", "true", "[]", "{}", '""', '"07"', '"7 "', '" 7"', '"+7"', '"-7"', '"7.0"', '"0x7"',
        '"0"',
        "-0", "0.0", "1e-1", "1e300", "-7", "[1]", '{"id":1}', '"1e0"', '"1.5"', '"1\\n"', '"\uff17"', '"\u0667"', '"\\ud83d\\ude00"',
        str(2**63 - 1), str(2**63), str(2**64 + 1), f'"{2**63}"', f'"{2**64 + 1}"',
        '"ab"', str(2**53), str(2**53 + 1), f'"{2**53}"', "12345678901234567890", '"12345678901234567890"',
    )),
    *(('{"type":"chat","id":"m","data":%s}' % data, "bad_message", "chat", "m") for data in (
        "null", "5", '"x"', "[]", "{}", '{"message":null}', '{"message":5}', '{"message":["x"]}', '{"message":""}',
        '{"Message":"x"}',
    )),
    ('{"type":"chat","id":"m"}', "bad_message", "chat", "m"),
    ('{"type":"chat","id":"m","message":"x"}', "bad_message", "chat", "m"),
    *(('{"type":"signal","id":"m","to":1,"data":%s}' % data, "bad_message", "signal", "m") for data in (
        "null", "{}", '{"signalType":"offer"}', '{"sdpOrIce":"x"}', '{"signalType":"bye","sdpOrIce":"x"}',
        '{"signalType":1,"sdpOrIce":"x"}',
        '{"signalType":"OFFER","sdpOrIce":"x"}', '["offer"]',
    )),
    ('{"type":"signal","id":"m","to":1}', "bad_message", "signal", "m"),
    ('{"type":"signal","id":"m","data":{"signalType":"offer","sdpOrIce":"x"}}', "bad_message", "signal", "m"),
    ('{"type":"call_start","id":"m"}', "bad_message", "call_start", "m"),
    ('{"type":"call_start","id":"m","to":"x","data":{}}', "bad_message", "call_start", "m"),
    ('{"type":"call_start","id":"m","to":1,"data":null}', "bad_message", "call_start", "m"),
    ('{"type":"call_start","id":"m","to":1,"data":"c1"}', "bad_message", "call_start", "m"),
    *(('{"type":"%s","id":"m","data":%s}' % (type, data), "bad_message", type, "m")
      for type in ("call_end", "call_accept", "call_reject", "call_resume")
      for data in ("5", '{"callId":5}', '{"callId":""}', '{"callId":"a b"}', '{"callId":null}')),
    *(('{"type":"%s","id":"m"}' % type, "bad_message", type, "m") for type in ("call_accept", "call_reject", "call_resume", "set_status", "token_refresh")),
    ('{"type":"call_end","id":"m","data":{"reason":5}}', "bad_message", "call_end", "m"),
    *(('{"type":"token_refresh","id":"m","data":%s}' % data, "bad_message", "token_refresh", "m") for data in ("{}", '{"token":5}')),
    *(('{"type":"set_status","id":"m","data":%s}' % data, "bad_message", "set_status", "m") for data in (
        "{}", "null", '{"status":"online"}', '{"status":"AWAY"}', '{"status":1}', '{"status":null}', '{"status":"BUSY "}')),
]


async def test_a_bad_message_is_told_what_is_wrong_with_it(stack):
    for start in range(0, len(BAD), 20):  # as many as a connection may send in a minute
        doctor = stack.doctor()
        d = await doctor.connect()
        for text, code, re, id in BAD[start:start + 20]:
            await d.send_text(text)
            error = await d.wait("error")
            assert error.pop("message"), text
            wanted = {"type": "error", "code": code, "re": re, "id": id}
            assert error == {k: v for k, v in wanted.items() if v is not None}, text
        await d.barrier()
        assert d.count("error", lambda m: not str(m.get("id")).startswith("barrier")) == len(BAD[start:start + 20])
        assert d.statuses(doctor)[-1] == "ONLINE" and d.count("ack") == d.count("call_response") == 0
        await d.close()


async def test_bad_bytes_in_a_message_are_named(stack):
    p = await stack.patient().connect()
    for text, named in (('{"type":"chat","to":"x","data":{"message":"x"}}', "to"),
                        ('{"type":"chat","data":{"message":5}}', "data.message"),
                        ('{"type":"signal","to":1,"data":{"signalType":"x"}}', "data.signalType"),
                        ('{"type":"set_status","data":{"status":"x"}}', "data.status"),
                        ('{"type":"call_accept","data":{}}', "data.callId")):
        await p.send_text(text)
        assert named in (await p.wait("error"))["message"]


async def test_what_is_deep_but_not_too_deep_is_taken(stack):
    p = await stack.patient().connect()
    await p.send_text(DEEP % ("[" * 15 + "]" * 15))
    assert (await p.wait("error"))["code"] == "not_found"


async def test_members_that_nobody_knows_are_ignored(stack):
    p, d = await both(stack)
    await p.send_text('{"x":1,"Type":"call_end","type":"chat","to":%d,"from":1,"data":{"message":"hello","Message":5,"x":{}},'
                      '"ID":7}' % d.user.id)
    assert (await d.wait("chat"))["data"] == {"message": "hello"}


async def test_the_21st_bad_message_of_a_minute_4506(stack):
    p = await stack.patient().connect()
    for _ in range(20):
        await p.send_text("bad")
        await p.wait("error")
    await p.barrier()  # what cannot be done is not bad
    await p.send_text("bad")
    assert await p.closed() == 4506
    await (await p.user.connect()).barrier()


def chat(i, to):
    return json.dumps({"type": "chat", "id": f"m{i}", "to": to.id, "data": {"message": f"m{i}"}})


async def test_200_messages_at_once_and_then_50_a_second(stack):
    p, d = await both(stack)
    many = 350
    for i in range(many):
        await p.send_text(chat(i, d.user))
    await p.until(lambda: p.count("ack") + p.count("error") == many, "last answer")
    taken, refused = [m["id"] for m in p.all("ack")], [m["id"] for m in p.all("error")]
    assert taken[:200] == [f"m{i}" for i in range(200)]
    assert refused and sorted(taken + refused, key=lambda id: int(id[1:])) == [f"m{i}" for i in range(many)]
    assert {(m["code"], m["re"]) for m in p.all("error")} == {("rate_limited", "chat")}
    await d.until(lambda: d.count("chat") == len(taken), "last chat")
    await d.barrier()
    assert [m["data"]["message"] for m in d.all("chat")] == taken
    await p.reach(d.user, 1)  # with time, there is room again


async def test_who_goes_on_after_that_4103(stack):
    d, patient, q = await stack.doctor().connect(), stack.patient(), await stack.patient().connect()
    wire = Wire.open(patient)
    try:
        wire.send(b"".join(frame(chat(i, d.user)) for i in range(3000)))
    except ConnectionError:
        pass  # it does not read to the end
    assert wire.closed() == 4103
    wire.socket.close()
    await d.barrier()
    assert [m["data"]["message"] for m in d.all("chat")][:200] == [f"m{i}" for i in range(200)]
    assert d.count("chat") < 3000
    await q.send("chat", to=d.user, message="from another")
    await d.wait("chat", lambda m: m["from"] == q.user.id)
    await (await patient.connect()).barrier()


async def test_a_call_start_over_the_limit_has_its_answer_too():
    with Stack(TELEMED_WS_RATE=1) as stack:
        p, d = await both(stack)
        for i in range(6):
            await p.send("call_start", to=NOBODY, id=f"m{i}", callId=f"c{i}")
        await p.until(lambda: p.count("call_response") == 6, "last answer")
        answers = p.all("call_response")
        assert sorted(m["id"] for m in answers) == [f"m{i}" for i in range(6)]
        assert {m["data"]["reason"] for m in answers if m["id"] in ("m0", "m1")} == {"not_found"}
        over = [m for m in answers if m["data"]["reason"] == "rate_limited"]
        assert over
        for m in over:
            assert m["from"] == NOBODY and m["data"]["callId"] == "c" + m["id"][1:] and not m["data"]["ok"]


async def test_the_9th_connection_of_a_user_4505(stack):
    patient, other = stack.patient(), stack.patient()
    eight = [await patient.connect() for _ in range(8)]
    ninth = await patient.open()
    assert await ninth.closed() == 4505
    assert ninth.got == []
    o = await other.connect()
    await o.reach(patient, 8)
    for client in eight:
        await client.barrier()
    await eight[3].close()
    await o.reach(patient, 7)
    await (await patient.connect()).barrier()


def in_a_thread(fn, *args):
    return asyncio.get_running_loop().run_in_executor(None, fn, *args)


async def fill(p, slow, until):
    """Sends large signals to SLOW, who does not read, until UNTIL(bytes so far) or 20 MB."""
    large, sent = "x" * 60000, 0
    while sent < 20 << 20:
        await p.send("signal", to=slow, signalType="offer", sdpOrIce=large, id=f"after {sent}")
        await p.wait("ack", lambda m: m["id"] == f"after {sent}")
        sent += len(large)
        if until(sent):
            return
    raise AssertionError("20 MB were not too much")


async def test_a_reader_who_stops_4101(unlimited):
    """Nobody waits for her, and the relay keeps little of what is sent to her."""
    slow, p = unlimited.patient(), await unlimited.doctor().connect()
    others = await both(unlimited)
    with await in_a_thread(Wire.open, slow) as wire:
        before = unlimited.memory("ws-relay")
        closed = unlimited.metric(SLOW_CLOSES)
        most = [0]

        def too_slow(sent):
            most.append(unlimited.memory("ws-relay") - before)
            return unlimited.metric(SLOW_CLOSES) > closed

        filling = asyncio.ensure_future(fill(p, slow, too_slow))
        while not filling.done():
            await others[0].send("chat", to=others[1].user, message="hello", id="m")
            await others[0].wait("ack")
            await others[1].wait("chat")
        await filling
        assert max(most) < (64 if SANITIZED else 4) << 20  # a sanitizer keeps for a while what was freed
        assert await in_a_thread(wire.closed) == 4101
    for client in (p, *others, await slow.connect()):
        await client.barrier()


async def test_for_a_reader_who_stops_the_newest_user_list_takes_the_place_of_the_others(unlimited):
    slow, doctor, p = unlimited.patient(), await unlimited.doctor().connect(), await unlimited.doctor().connect()
    with await in_a_thread(Wire.open, slow) as wire:
        written = [unlimited.metric("telemed_message_bytes_sent_total")]

        def waits(_):
            written.append(unlimited.metric("telemed_message_bytes_sent_total"))
            return written[-1] - written[-2] < 60000

        await fill(p, slow, waits)
        for i in range(12):
            await doctor.send("set_status", status=("BUSY", "ONLINE")[i % 2])
            await doctor.wait_status(doctor.user, ("BUSY", "ONLINE")[i % 2])
        await p.send("chat", to=slow, message="the last")

        def read():
            messages = []
            while not messages or messages[-1]["type"] != "chat":
                messages.append(json.loads(wire.next()))
            return messages
        messages = await in_a_thread(read)
        last_signal = max(i for i, m in enumerate(messages) if m["type"] == "signal")
        after = messages[last_signal + 1:-1]
        assert [m["type"] for m in after] == ["users"]
        assert {u["id"]: u["status"] for u in after[0]["users"]}[doctor.user.id] == "ONLINE"


async def test_a_token_that_runs_out_4100(stack):
    patient = stack.patient()
    p = await patient.open(token=stack.sign(patient.id, "PATIENT", 3))
    await p.wait("users")
    stays = await patient.connect()
    assert await p.closed() == 4100
    await stays.barrier()


async def test_when_the_relay_is_stopped_everybody_hears_1001():
    with Stack() as stack:
        p, d = await both(stack)
        wires = [Wire.open(stack.patient()) for _ in range(3)]
        stack.kill("ws-relay", signal.SIGTERM)
        assert [await p.closed(), await d.closed()] == [1001, 1001]
        assert [wire.closed() for wire in wires] == [1001] * 3


async def test_when_the_stack_is_stopped_everybody_hears_1001():
    with Stack() as stack:
        p, d = await both(stack)
        wire = Wire.open(stack.patient())
        assert await asyncio.get_running_loop().run_in_executor(None, stack.stop) == 0
        assert [await p.closed(), await d.closed()] == [1001, 1001]
        assert wire.closed() == 1001


async def test_a_token_that_runs_out_on_who_sends_long_messages_all_the_time_4100():
    with Stack(TELEMED_TOKEN_TTL=4) as stack:
        c = await stack.patient().connect()

        async def chatter():
            while c.socket.open:
                await c.send("chat", message="x" * 3000)
                await asyncio.sleep(0.5)

        talking = asyncio.ensure_future(chatter())
        assert await c.closed() == 4100
        talking.cancel()
