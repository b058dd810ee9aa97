"""GET /calls: what calls one has had."""

import pytest
from stack import Stack, call


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_RING_TIMEOUT=1) as s:
        yield s


def calls(stack, user, query=""):
    status, got = stack.rest("GET", "/calls" + query, token=user.token)
    assert status == 200, got
    return got


async def test_a_call_as_both_parties_see_it(stack):
    patient, doctor = stack.patient(), stack.doctor()
    assert calls(stack, patient) == {"calls": []}
    p, d = await patient.connect(), await doctor.connect()
    await call(p, d, "seen")
    live = calls(stack, doctor)["calls"][0]
    assert live["state"] == "ACTIVE" and live["endedAt"] is None and live["reason"] is None
    await p.send("call_end")
    await d.wait("call_end")
    for user, peer, direction in ((patient, doctor, "out"), (doctor, patient, "in")):
        got = calls(stack, user)
        assert "next" not in got and len(got["calls"]) == 1
        one = got["calls"][0]
        assert one["callId"] == "seen" and one["direction"] == direction
        assert one["peer"] == {"id": peer.id, "name": peer.name, "role": peer.role}
        assert (one["state"], one["reason"]) == ("ENDED", "hangup")
        assert one["startedAt"] <= one["answeredAt"] <= one["endedAt"]


async def test_a_missed_call(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await p.send("call_start", to=doctor, callId="missed")
    await d.wait("call_end")
    one = calls(stack, doctor)["calls"][0]
    assert one["reason"] == "no_answer" and one["answeredAt"] is None and one["endedAt"] is not None


async def test_pages_are_the_newest_first_and_miss_nothing(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    for i in range(7):
        await p.send("call_start", to=doctor, callId=f"n{i}")
        await d.wait("incoming_call")
        await p.send("call_end", id=f"e{i}")
        await p.wait("ack", lambda m, i=i: m["id"] == f"e{i}")
    seen, query = [], "?limit=3"
    while query:
        page = calls(stack, patient, query)
        assert len(page["calls"]) <= 3
        seen += [c["callId"] for c in page["calls"]]
        query = f"?limit=3&before={page['next']}" if "next" in page else None
    assert seen == [f"n{i}" for i in range(6, -1, -1)]


def test_others_calls_are_not_shown(stack):
    assert calls(stack, stack.patient()) == {"calls": []}
    assert calls(stack, stack.doctor()) == {"calls": []}


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?limit=x", "?before=-1", "?before=0", "?limit=", "?before=1e3"])
def test_a_bad_query_is_refused(stack, query):
    status, got = stack.rest("GET", "/calls" + query, token=stack.patient().token)
    assert (status, got["code"]) == (400, "validation_failed")
    assert got["errors"][0]["field"] in ("limit", "before")


def test_it_wants_a_token(stack):
    assert stack.rest("GET", "/calls")[0] == 401
