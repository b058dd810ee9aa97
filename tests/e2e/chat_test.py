"""Chat: to one, to all, and what becomes of what cannot be delivered."""

import json
import re

import pytest
from stack import NOBODY, Stack


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_WS_RATE=0) as s:
        yield s


def texts(client):
    return [m["data"]["message"] for m in client.all("chat")]


async def test_to_one_user_and_nobody_else(stack):
    p, d, other = await stack.patient().connect(), await stack.doctor().connect(), await stack.patient().connect()
    await p.send("chat", to=d.user, message="Good morning")
    got = await d.wait("chat")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", got.pop("ts"))
    assert got == {"type": "chat", "from": p.user.id, "to": d.user.id, "data": {"message": "Good morning"}}
    for client in (p, other):
        await client.barrier()
        assert client.count("chat") == 0


async def test_to_all_the_connections_of_a_user(stack):
    p, doctor = await stack.patient().connect(), stack.doctor()
    connections = [await doctor.connect() for _ in range(3)]
    await p.send("chat", to=doctor, message="hello", id="m")
    for d in connections:
        await d.wait("chat")
    assert await p.wait("ack") == {"type": "ack", "id": "m", "data": {"delivered": 3}}


async def test_without_to_it_goes_to_everybody_but_the_sending_connection(stack):
    patient = stack.patient()
    p, second = await patient.connect(), await patient.connect()
    d, other = await stack.doctor().connect(), await stack.patient().connect()
    await p.send("chat", message="Hello, everybody", id="m")
    for client in (second, d, other):
        got = await client.wait("chat", lambda m: m["from"] == patient.id)
        del got["ts"]
        assert got == {"type": "chat", "from": patient.id, "data": {"message": "Hello, everybody"}}
    assert (await p.wait("ack"))["data"]["delivered"] >= 3  # who is just leaving counts for a moment
    await p.barrier()
    assert p.count("chat") == 0


async def test_to_oneself_it_goes_to_ones_other_connections(stack):
    patient = stack.patient()
    p, second = await patient.connect(), await patient.connect()
    await p.send("chat", to=patient, message="note", id="m")
    assert (await second.wait("chat"))["from"] == patient.id
    assert (await p.wait("ack"))["data"] == {"delivered": 1}
    await p.barrier()
    assert p.count("chat") == 0


async def test_to_oneself_without_another_connection(stack):
    p = await stack.patient().connect()
    await p.send("chat", to=p.user, message="note", id="m")
    error = await p.wait("error")
    assert (error["code"], error["re"], error["id"]) == ("recipient_offline", "chat", "m")


@pytest.mark.parametrize("form", ['%d', '"%d"', '%d.0', '%de0'])
async def test_an_id_may_be_written_as(stack, form):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.send_text('{"type":"chat","to":%s,"data":{"message":"hello"}}' % (form % d.user.id))
    assert (await d.wait("chat"))["to"] == d.user.id


async def test_a_forged_sender_is_not_passed_on(stack):
    p, d, victim = await stack.patient().connect(), await stack.doctor().connect(), stack.patient()
    await p.send_text(json.dumps({"type": "chat", "from": victim.id, "to": d.user.id, "ts": "1999", "name": "x",
                                  "data": {"message": "hello", "from": victim.id}}))
    got = await d.wait("chat")
    assert got["from"] == p.user.id and got["ts"] > "2000" and got["data"] == {"message": "hello"}
    assert set(got) == {"type", "from", "to", "data", "ts"}


async def test_to_a_user_who_does_not_exist(stack):
    p = await stack.patient().connect()
    for id in (NOBODY, 999999):
        await p.send("chat", to=id, message="hello", id=str(id))
        error = await p.wait("error")
        assert (error["code"], error["re"], error["id"]) == ("not_found", "chat", str(id))


async def test_to_a_user_who_is_not_connected(stack):
    p, doctor, listed, gone = await stack.patient().connect(), stack.doctor(), stack.doctor(), await stack.doctor().connect()
    listed.set_status("ONLINE")
    await p.wait_status(listed, "ONLINE")
    await gone.drop()
    await p.reach(gone.user, 0)
    for user in (doctor, listed, gone.user):
        await p.send("chat", to=user, message="hello", id=f"to {user.id}")
        error = await p.wait("error", lambda m: m["id"] == f"to {user.id}")
        assert (error["code"], error["re"]) == ("recipient_offline", "chat")


async def test_without_an_id_there_is_no_acknowledgement(stack):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.send("chat", to=d.user, message="hello")
    await p.send("chat", message="hello")
    await d.wait("chat")
    await p.barrier()
    assert p.count("ack") == 0 and p.count("error", lambda m: not m["id"].startswith("barrier")) == 0


@pytest.mark.parametrize("id", ["x", "i" * 64, "\U0001F600" * 64, " ", "\"\\\n"])
async def test_an_acknowledgement_carries_the_id_as_it_was_sent(stack, id):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.send("chat", to=d.user, message="hello", id=id)
    assert (await p.wait("ack"))["id"] == id


@pytest.mark.parametrize("text", [
    "x", " ", "\n\t\r", "\"quoted\" \\ / \b\f \x7f \x01", "Grüße, Ärztin", "\u200f\u202e\ufeff",
    "\U0001F469\u200D\u2695\uFE0F", "<b>&amp;%s%n</b>", "'; DROP TABLE user; --", "\ud7ff\ue000\uffff\U0010ffff",
])
async def test_a_text_arrives_as_it_was_sent(stack, text):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    for ascii in (True, False):
        await p.send_text(json.dumps({"type": "chat", "to": d.user.id, "data": {"message": text}}, ensure_ascii=ascii))
        assert (await d.wait("chat"))["data"]["message"] == text


def escaped(text):
    """A JSON string of TEXT, each of its characters written as an escape."""
    return '"%s"' % "".join(f"\\u{ord(c):04x}" for c in text)


@pytest.mark.parametrize("more", ["", ",".join(f'"m{i}":{i}' for i in range(40)) + ","])
async def test_how_a_key_or_a_word_is_escaped_does_not_matter(stack, more):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.send_text("{%s%s:%s,%s:%s,%s:%s,%s:{%s%s:%s}}" % (
        more, escaped("type"), escaped("chat"), escaped("to"), escaped(str(d.user.id)), escaped("id"), escaped("m\n"),
        escaped("data"), more, escaped("message"), escaped("hello \"you\"")))
    assert (await d.wait("chat"))["data"] == {"message": "hello \"you\""}
    assert await p.wait("ack") == {"type": "ack", "id": "m\n", "data": {"delivered": 1}}
    await p.send_text('{"type":"chat",%s"t\\u0079pe":"chat","data":{"message":"x"}}' % more)
    assert (await p.wait("error"))["code"] == "bad_json"


@pytest.mark.parametrize("letter", ["a", "ä", "€", "\U0001F600"])
async def test_a_text_has_at_most_4000_characters(stack, letter):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    for ascii in (True, False):
        for length in (4001, 4000):
            message = {"type": "chat", "to": d.user.id, "id": str(length), "data": {"message": letter * length}}
            await p.send_text(json.dumps(message, ensure_ascii=ascii))
        error = await p.wait("error")
        assert (error["code"], error["re"], error["id"]) == ("bad_message", "chat", "4001")
        assert "data.message" in error["message"]
        assert (await p.wait("ack"))["id"] == "4000"
        assert (await d.wait("chat"))["data"]["message"] == letter * 4000


async def test_escapes_make_no_text_longer_for_who_receives_it(stack):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    for text in ("\U0001F600" * 4000, "a" * 4000):
        escapes = "".join(f"\\u{ord(c):04x}" if c == "a" else "\\ud83d\\ude00" for c in text)
        await p.send_text('{"type":"chat","to":%d,"data":{"message":"%s"}}' % (d.user.id, escapes))
        got = await d.wait("chat")
        assert got["data"]["message"] == text
        assert max(len(t.encode()) for t in d.texts) < 16_500, "bytes of a frame"


async def test_an_empty_text_is_refused(stack):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.send("chat", to=d.user, message="", id="m")
    assert (await p.wait("error"))["code"] == "bad_message"
    await p.send("chat", message="", id="n")
    assert (await p.wait("error"))["code"] == "bad_message"
    await p.barrier()
    await d.barrier()
    assert d.count("chat", lambda m: m["from"] == p.user.id) == 0


async def test_many_messages_arrive_once_and_in_order(stack):
    p, q, d = await stack.patient().connect(), await stack.patient().connect(), await stack.doctor().connect()
    many = 1000
    for i in range(many):
        await p.send("chat", to=d.user, message=f"p{i}", id=f"i{i}")
        await q.send("chat", **({"to": d.user} if i % 2 else {}), message=f"q{i}")
    await d.until(lambda: d.count("chat") == 2 * many, "last message")
    for name in ("p", "q"):
        assert [t for t in texts(d) if t.startswith(name)] == [f"{name}{i}" for i in range(many)]
    await p.wait("ack", lambda m: m["id"] == f"i{many - 1}")
    assert [m["id"] for m in p.all("ack")] == [f"i{i}" for i in range(many)]
