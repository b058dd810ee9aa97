"""A party who goes away while her move is being stored: nobody else of hers has the call for that, and it ends if she stays away."""

import time

import pytest
from stack import PATIENCE, Stack, Writer, assert_free, call_end, ring

V1 = {"subprotocols": ["telemed.v1"]}


@pytest.fixture(scope="module")
def hasty_stack():
    with Stack(TELEMED_CALL_GRACE=1, TELEMED_PRESENCE_GRACE=1, TELEMED_RING_TIMEOUT=600) as s:
        yield s


@pytest.fixture(scope="module")
def patient_stack():
    with Stack(TELEMED_CALL_GRACE=600, TELEMED_PRESENCE_GRACE=600, TELEMED_RING_TIMEOUT=600) as s:
        yield s


async def say_and_vanish(client, peer, others, *words, **members):
    """CLIENT says this and is lost before it is stored; OTHERS of its user's are left, as PEER sees."""
    with Writer(client.user.stack):
        await client.send(*words, callId="c1", id="move", **members)
        await client.reach(peer.user, 1)
        assert not [m for m in client.got if m.get("id") == "move"]
        await client.drop()
        await peer.reach(client.user, others)
    await peer.barrier()


async def answer_and_vanish(p, doctor, others):
    """P's call c1 is answered so on one more device of the doctor's."""
    deadline = time.monotonic() + PATIENCE
    while True:
        d = await doctor.connect()
        await d.wait("incoming_call")
        await say_and_vanish(d, p, others, "call_accept")
        if [row[3] for row in doctor.stack.live_calls()] == ["ACTIVE"]:
            return
        assert time.monotonic() < deadline, "the answer was always given up"  # by a machine too slow for two seconds


async def test_who_answers_and_is_gone_is_missing_and_no_other_device_has_the_call(hasty_stack):
    doctor = hasty_stack.doctor()
    devices = [await doctor.connect(), await doctor.connect(**V1)]
    p = await hasty_stack.patient().connect(**V1)
    await ring(p, devices[0])
    await answer_and_vanish(p, doctor, len(devices))
    for d in devices:
        assert await d.wait("call_end") == call_end(doctor, "answered_elsewhere")
    active = await p.wait("call_state", lambda m: m["data"]["state"] == "ACTIVE")
    assert active["data"]["missing"] == doctor.id and active["data"]["resumeInMs"] <= 1000
    assert await p.wait("call_end") == call_end(doctor, "disconnected")
    await assert_free(await hasty_stack.patient().connect(), devices[0])


async def test_who_answers_and_is_back_in_time_goes_on(patient_stack):
    doctor, p = patient_stack.doctor(), await patient_stack.patient().connect()
    other = await doctor.connect()
    await ring(p, other)
    await answer_and_vanish(p, doctor, 1)
    assert await other.wait("call_end") == call_end(doctor, "answered_elsewhere")
    d = await doctor.connect()
    await p.send("signal", to=doctor, signalType="offer", sdpOrIce="again")
    assert (await d.wait("signal"))["data"]["sdpOrIce"] == "again"
    await d.send("call_end", callId="c1")
    for client in (p, d):
        assert await client.wait("call_end") == call_end(doctor, "hangup")
    await assert_free(p, d)
    assert other.count("signal", lambda m: m["data"]["sdpOrIce"] == "again") == 0


async def test_who_calls_and_is_gone_ends_the_call(hasty_stack):
    patient, d = hasty_stack.patient(), await hasty_stack.doctor().connect()
    other = await patient.connect()
    deadline = time.monotonic() + PATIENCE
    while not d.count("incoming_call"):
        assert time.monotonic() < deadline, "the call was always given up"  # as above
        await say_and_vanish(await patient.connect(**V1), d, 1, "call_start", d.user)
    assert await d.wait("call_end") == call_end(patient, "disconnected")
    assert other.count("call_end") == other.count("call_response") == 0
    await assert_free(other, d)
