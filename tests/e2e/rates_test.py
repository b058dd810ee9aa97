"""What a message costs its sender, and that what a call needs fits."""

import json
import time

import pytest
from stack import NOBODY, Stack, both, call, ring
from wire import Closed, Wire, frame

BURST = 4  # at a rate of one


@pytest.fixture(scope="module")
def slow():
    with Stack(TELEMED_WS_RATE=1) as s:
        yield s


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        yield s


COSTS = {
    # message, what it costs, what it gets where it is looked at
    "chat": ({"type": "chat", "to": NOBODY, "data": {"message": "x"}}, 1, "not_found"),
    "signal": ({"type": "signal", "to": NOBODY, "data": {"signalType": "ice-candidate", "sdpOrIce": "x"}}, 1, "not_found"),
    "call_start": ({"type": "call_start", "to": NOBODY, "data": {"callId": "c"}}, 2, "not_found"),
    "call_end": ({"type": "call_end", "data": {"callId": "c"}}, 1, "no_call"),
    "call_accept": ({"type": "call_accept", "data": {"callId": "c"}}, 1, "no_call"),
    "call_reject": ({"type": "call_reject", "data": {"callId": "c"}}, 1, "no_call"),
    "call_resume": ({"type": "call_resume", "data": {"callId": "c"}}, 1, "no_call"),
    "set_status": ({"type": "set_status", "data": {"status": "BUSY"}}, 2, "forbidden"),
    "token_refresh": ({"type": "token_refresh", "data": {"token": "x"}}, 4, "forbidden"),
    "a chat with a member missing": ({"type": "chat", "data": {}}, 1, "bad_message"),
    "a set_status with a member missing": ({"type": "set_status", "data": {}}, 2, "bad_message"),
    "an unknown type": ({"type": "x"}, 1, "unknown_type"),
    "no message": ("x", 1, "bad_json"),
}


async def test_what_is_no_call_start_but_in_name_has_an_error_past_the_rate_too(slow):
    patient = await slow.patient().connect()
    while True:
        await patient.send("call_start", id="to nobody")
        answer = await patient.wait("error")
        if answer["code"] != "bad_message":
            break
    assert answer["code"] == "rate_limited", answer


@pytest.mark.parametrize("row", COSTS)
def test_what_a_message_costs(slow, row):
    message, cost, looked_at = COSTS[row]
    started = time.monotonic()
    with Wire.open(slow.patient()) as wire:
        many = BURST // cost + BURST  # one more refusal would be a flood
        wire.send(frame(json.dumps(message)) * many)
        got = []
        while len(got) < many:
            answer = json.loads(wire.next())
            if answer["type"] == "error":
                got.append(answer["code"])
            elif answer["type"] == "call_response":
                got.append(answer["data"]["reason"])
    taken = got.count(looked_at)
    assert got.count("rate_limited") == many - taken  # what needs a look-up is answered behind the others
    assert BURST // cost <= taken <= (BURST + time.monotonic() - started) // cost


def test_who_floods_on_is_cut_at_any_cost(slow):
    for row in COSTS:
        with Wire.open(slow.patient()) as wire:
            try:
                wire.send(frame(json.dumps(COSTS[row][0])) * 100)
                while True:
                    wire.next()
            except Closed as end:
                assert end.code == 4103, row
            except ConnectionError:
                pass  # it did not read to the end


async def test_the_candidates_of_a_call_fit(stack):
    """An offer and 64 candidates, and all of it again after an ICE restart, as fast as they can be written, either way."""
    p, d = await both(stack)
    await call(p, d)
    for a, b in ((p, d), (d, p)):
        for i in range(130):
            kind = "offer" if i % 65 == 0 else "ice-candidate"
            await a.send("signal", to=b.user, id=f"s{i}", signalType=kind, sdpOrIce=f"{a.user.id} {i}")
    for a, b in ((p, d), (d, p)):
        await a.until(lambda a=a: len([m for m in a.all("ack") if m["id"][0] == "s"]) == 130, "last ack")
        await b.until(lambda a=a, b=b: [m["data"]["sdpOrIce"] for m in b.all("signal", lambda m, a=a: m["from"] == a.user.id)][-130:]
                      == [f"{a.user.id} {i}" for i in range(130)], "last signal")
        assert a.count("error") == 0


async def test_the_candidates_of_a_ringing_call_fit(stack):
    p, d = await both(stack)
    await ring(p, d)
    for i in range(65):
        kind = "ice-candidate" if i else "offer"
        await p.send("signal", to=d.user, id=f"s{i}", signalType=kind, sdpOrIce=str(i))
    await d.until(lambda: [m["data"]["sdpOrIce"] for m in d.all("signal")] == [str(i) for i in range(65)], "last signal")
    assert p.count("error") == 0
