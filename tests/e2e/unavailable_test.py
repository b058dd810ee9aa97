"""The relay while the database cannot take anything: what is to be stored is refused, and what only waits is bounded."""

import time

import pytest
from stack import NOBODY, PATIENCE, Stack, Writer, both, ring

MANY = 1100  # more than PARKED_MAX and PARKED_USER_MAX


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_WS_RATE=0, TELEMED_RING_TIMEOUT=600) as s:
        yield s


async def refused(client, type, **members):
    """Asserts that the message is answered with unavailable."""
    await client.send(type, id=type, **members)
    error = await client.wait("error", lambda m: m.get("id") == type)
    assert (error["code"], error["re"]) == ("unavailable", type), error


async def test_what_cannot_be_stored_is_refused_and_nothing_has_changed(stack):
    p, d = await both(stack)
    with Writer(stack):
        await refused(d, "set_status", status="BUSY")
        await p.send("call_start", to=d.user, callId="c1", id="s")
        response = await p.wait("call_response")
        assert response["data"] == {"callId": "c1", "ok": False, "reason": "unavailable"} and response["id"] == "s"
    assert d.count("incoming_call") == 0
    await ring(p, d, "c2")
    with Writer(stack):
        await refused(d, "call_accept", callId="c2")
        await refused(p, "call_end")
        await refused(d, "call_reject", callId="c2")
    # Who has left a call is gone whatever the disk says: the end is stored as soon as it can be.
    for c in (p, d):
        assert (await c.wait("call_end"))["data"] == {"callId": "c2", "reason": "cancelled"}
    assert (await d.newest_list())[d.user.id] == "ONLINE"
    await ring(p, d, "c3")


async def test_an_end_that_waits_to_be_tried_again_is_tried_when_asked_for_again(stack):
    p, d = await both(stack)
    await ring(p, d, "c1")
    with Writer(stack):
        await refused(p, "call_end")
    await p.send("call_end", id="again")
    for i in range(4):  # the database is asked who that is, in its turn behind what is stored
        await p.send("chat", to=NOBODY, id=f"behind {i}", message="x")
        await p.answer(f"behind {i}")
    assert [m["type"] for m in p.got if m.get("id") == "again"] == ["ack"]


async def test_what_waits_for_the_database_is_bounded(stack):
    p, d = await both(stack)
    last = {
        "chat": dict(to=NOBODY, message="x"),
        "signal": dict(to=NOBODY, signalType="offer", sdpOrIce="x"),
        "call_start": dict(to=NOBODY, callId="c1"),
        "call_accept": dict(to=NOBODY, callId="c1"),
        "call_reject": dict(to=NOBODY, callId="c1"),
        "call_end": dict(to=NOBODY, callId="c1"),
        "call_resume": dict(to=NOBODY, callId="c1"),
        "token_refresh": dict(token=p.user.token),
    }
    unavailable = set()
    deadline = time.monotonic() + PATIENCE
    with Writer(stack):
        # While the store thread waits for its turn to write; it gives up after two seconds, so a slow machine may want another round.
        for turn in range(1000):
            await d.send("set_status", id=f"status {turn}", status="BUSY")
            for i in range(MANY):
                await p.send("chat", to=NOBODY, id=f"{turn} {i}", message="x")
            for type, members in last.items():
                await p.send(type, id=f"{turn} {type}", **members)
            for type in last:
                answer = await p.answer(f"{turn} {type}")
                if "unavailable" in (answer.get("code"), answer["data"].get("reason") if "data" in answer else None):
                    unavailable.add(type)
            if unavailable == set(last):
                break
            assert time.monotonic() < deadline, f"only {unavailable} were refused"
    await p.until(lambda: p.count("error", lambda m: m["re"] == "chat") == (turn + 1) * (MANY + 1), "the last answer")
    assert {m["code"] for m in p.all("error", lambda m: m["re"] == "chat")} == {"not_found", "unavailable"}
    await p.barrier()


@pytest.mark.parametrize("what", ["chat", "token_refresh"])
async def test_what_one_user_has_waiting_does_not_take_the_room_of_others(stack, what):
    p, d = await both(stack)
    members = {"chat": dict(to=NOBODY, message="x"), "token_refresh": dict(token=p.user.token)}[what]
    deadline = time.monotonic() + PATIENCE
    with Writer(stack):
        for turn in range(1000):  # as above
            await d.send("set_status", id=f"status {turn}", status="BUSY")
            for i in range(MANY):
                await p.send(what, id=f"{turn} {i}", **members)
            full = (await p.answer(f"{turn} {MANY - 1}")).get("code") == "unavailable"
            await d.send("chat", to=NOBODY, id=f"{turn} other", message="x")
            assert (await d.answer(f"{turn} other"))["code"] == "not_found"
            if full:
                break
            assert time.monotonic() < deadline, "nothing was refused"
    await p.barrier()
