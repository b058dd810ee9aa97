"""telemed.v1: what a client gets that asks for it, and what one does not get that has not."""

import signal

import pytest
from stack import Stack, call, call_end

V1 = {"subprotocols": ["telemed.v1"]}
SEED = {"users", "chat", "signal", "incoming_call", "call_response", "call_end", "error", "ack"}


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_CALL_GRACE=3, TELEMED_PRESENCE_GRACE=1) as s:
        yield s


async def test_welcome_comes_first(stack):
    doctor = stack.doctor()
    d = await doctor.connect(**V1)
    welcome = d.got[0]
    assert welcome["type"] == "welcome"
    assert welcome["user"] == {"id": doctor.id, "name": doctor.name, "role": "DOCTOR", "status": "ONLINE"}
    assert welcome["connectionId"] and welcome["version"] and welcome["heartbeatMs"] > 0
    assert welcome["limits"]["messageBytes"] == 65536
    assert 0 < welcome["reconnect"]["minMs"] < welcome["reconnect"]["maxMs"]
    assert welcome["tokenExpiresAt"].endswith("Z")
    assert "activeCall" not in welcome


async def test_users_once_and_then_presence(stack):
    watcher, doctor = stack.patient(), stack.doctor()
    w = await watcher.connect(**V1)
    rev = w.got[1]["rev"]
    d = await doctor.connect()
    came = await w.wait("presence", lambda m: any(u["id"] == doctor.id for u in m["set"]))
    assert came["rev"] > rev
    assert {"id": doctor.id, "name": doctor.name, "role": "DOCTOR", "status": "ONLINE"} in came["set"]
    await d.close()
    gone = await w.wait("presence", lambda m: doctor.id in m["del"])
    assert gone["rev"] > came["rev"]
    assert w.count("users") == 1


async def test_presence_adds_up_to_the_list(stack):
    w = await stack.patient().connect(**V1)
    people = [stack.doctor() for _ in range(6)] + [stack.patient() for _ in range(6)]
    clients = [await p.connect() for p in people]
    for c in clients[::2]:
        await c.close()
    for doctor in people[1:6:2]:
        stack.rest("POST", "/doctors/status", {"status": "BUSY"}, doctor.token)
    seed = await stack.patient().connect()

    def known(got):
        users = {}
        for m in got:
            for u in m.get("users", []) + m.get("set", []):
                users[u["id"]] = u
            for id in m.get("del", []):
                users.pop(id, None)
        return users

    def agree():
        lists = [m for m in seed.got if m["type"] == "users"]
        shown = {u["id"]: u for u in lists[-1]["users"]}
        want = {p.id for p in people[1::2]}
        return shown == known(w.got) and want <= set(shown) and not any(p.id in shown for p in people[::2])

    await seed.until(agree, "the list that the presence adds up to")


async def test_call_state_on_every_transition(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(**V1), await doctor.connect(**V1)
    await call(p, d, "states")
    for c, peer in ((p, doctor), (d, patient)):
        for state in ("RINGING", "ACTIVE"):
            got = await c.wait("call_state")
            assert got["data"] == {"callId": "states", "state": state, "peer": peer.id}
    await p.drop()
    missing = await d.wait("call_state")
    assert missing["data"]["missing"] == patient.id and 0 < missing["data"]["resumeInMs"] <= 3000
    p = await patient.connect(**V1)
    assert p.got[0]["activeCall"] == {"callId": "states", "state": "ACTIVE", "peer": doctor.id, "direction": "out"}
    await p.send("call_resume", callId="states", id="r")
    assert (await p.wait("ack"))["data"] == {"callId": "states"}
    assert "missing" not in (await d.wait("call_state"))["data"]
    await d.send("signal", to=patient, signalType="ice-candidate", sdpOrIce="c")
    await p.wait("signal")
    await d.send("call_end")
    assert (await p.wait("call_end"))["data"]["reason"] == "hangup"
    assert (await p.wait("call_state", lambda m: m["data"]["state"] == "ENDED"))["data"]["peer"] == doctor.id


async def test_v1_takes_a_call_up_only_when_it_says_so(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(**V1), await doctor.connect()
    await call(p, d, "silent")
    await p.drop()
    p = await patient.connect(**V1)
    assert p.got[0]["activeCall"]["callId"] == "silent"
    assert (await d.wait("call_end"))["data"] == {"callId": "silent", "reason": "disconnected"}


async def test_resume_takes_the_call_over_from_another_connection(stack):
    patient, doctor = stack.patient(), stack.doctor()
    laptop, d = await patient.connect(**V1), await doctor.connect()
    await call(laptop, d, "moved")
    phone = await patient.connect(**V1)
    await phone.send("call_resume", callId="moved", id="r")
    await phone.wait("ack")
    assert await laptop.wait("call_end") == call_end(patient, "answered_elsewhere", "moved")
    await d.send("signal", to=patient, signalType="ice-candidate", sdpOrIce="c")
    await phone.wait("signal")
    await laptop.send("signal", to=doctor, id="old", signalType="ice-candidate", sdpOrIce="c")
    assert (await laptop.wait("error"))["code"] == "no_call"
    await phone.send("call_end")
    for c in (d, laptop):
        assert await c.wait("call_end") == call_end(patient, "hangup", "moved")


async def test_resume_of_no_call(stack):
    p = await stack.patient().connect(**V1)
    await p.send("call_resume", callId="none", id="r")
    error = await p.wait("error")
    assert (error["code"], error["re"], error["id"]) == ("no_call", "call_resume", "r")


async def test_a_seed_client_sees_only_the_seed_messages(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect(**V1)
    await call(p, d, "seed")
    await d.drop()
    d = await doctor.connect(**V1)
    await d.send("call_resume", callId="seed")
    await d.send("call_end", callId="seed")
    await p.wait("call_end")
    await p.barrier()
    assert {m["type"] for m in p.got} <= SEED
    assert all("rev" not in m for m in p.got)


async def test_goaway_gives_each_client_a_slot_of_its_own():
    with Stack() as stack:
        clients = [await stack.patient().connect(**V1) for _ in range(4)]
        seed = await stack.patient().connect()
        stack.kill("ws-relay", signal.SIGTERM)
        slots = [(await c.wait("goaway"))["data"]["reconnectInMs"] for c in clients]
        assert len(set(slots)) == 4 and min(slots) > 0
        assert await seed.closed() == 1001
        assert seed.count("goaway") == 0
