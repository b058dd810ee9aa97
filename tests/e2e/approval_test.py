"""TELEMED_DOCTOR_SIGNUP=approve: who registers as a doctor is one when an operator has said so, in the running system too."""

import fcntl
import json
import signal
import sqlite3

import pytest
from stack import NOBODY, Stack, call, wait_until

V1 = {"subprotocols": ["telemed.v1"]}


@pytest.fixture(scope="module", params=["all", "scoped"])
def stack(request):
    with Stack(TELEMED_VISIBILITY=request.param, TELEMED_DOCTOR_SIGNUP="approve", TELEMED_WS_RATE=0) as s:
        yield s


def approve(doctor):
    """A relay that starts holds the database's lock, under valgrind for longer than anybody waits: code 75, try again."""
    code, out, _ = wait_until(lambda: next((got for got in [doctor.stack.admin("users", "approve", doctor.id)] if got[0] != 75), None),
                              "the lock")
    assert (code, out) == (0, f"{doctor.id} is approved\n")


def approved(stack):
    doctor = stack.doctor()
    approve(doctor)
    return doctor


def listed(stack, doctor, asker):
    _, got = stack.rest("GET", "/doctors", token=asker.token)
    return doctor.id in [d["id"] for d in got["doctors"]]


def told_of(client, user):
    """Is USER in anything that CLIENT was sent of who is there?"""
    return any(user.id in [u["id"] for u in m.get("users", []) + m.get("set", [])] + m.get("del", []) for m in client.got)


def last_of(client, user):
    """How CLIENT was shown USER last."""
    return next((u for m in reversed(client.got) for u in m.get("users", []) + m.get("set", []) if u["id"] == user.id), None)


async def test_registers_logs_in_and_is_nobody_yet(stack):
    doctor, patient = stack.doctor(), stack.patient()
    code, got = stack.rest("POST", "/auth/login", {"email": f"user{stack.users - 1}@example.org", "password": "password"})
    assert code == 200 and got["user"]["pending"] is True
    assert stack.rest("GET", "/auth/me", token=doctor.token)[1]["user"]["pending"] is True
    assert "pending" not in stack.rest("GET", "/auth/me", token=patient.token)[1]["user"]
    assert not listed(stack, doctor, patient) and not listed(stack, doctor, doctor)
    code, got = stack.rest("POST", "/doctors/status", {"status": "ONLINE"}, doctor.token)
    assert (code, got["code"]) == (403, "approval_pending")
    assert stack.sql("SELECT status FROM user WHERE id = ?", doctor.id) == [("OFFLINE",)]


async def test_a_client_cannot_set_it(stack):
    for value in (False, 0, None):
        code, got = stack.rest("POST", "/auth/register", {"name": "Dr. No", "email": f"{value}@no.example", "password": "password",
                                                          "role": "DOCTOR", "pending": value, "approved": True})
        assert code == 201 and got["user"]["pending"] is True


async def test_is_shown_to_herself_alone(stack):
    seed, v1, colleague = await stack.patient().connect(), await stack.patient().connect(**V1), await approved(stack).connect()
    doctor = stack.doctor()
    for options in ({}, V1):
        d = await doctor.connect(**options)
        assert last_of(d, doctor) == {"id": doctor.id, "name": doctor.name, "role": "DOCTOR", "status": "ONLINE", "pending": True}
    later = await approved(stack).connect()
    for client in (seed, v1, colleague):
        await client.until(lambda c=client: last_of(c, later.user), "list with who came later")
        assert not told_of(client, doctor)


async def test_reaches_nobody(stack):
    patient, colleague = await stack.patient().connect(), await approved(stack).connect()
    d = await stack.doctor().connect(**V1)
    before = [len(c.got) for c in (patient, colleague)]
    answers = []
    for to in (patient.user.id, colleague.user.id, NOBODY, d.user.id):
        for n, message in enumerate(({"type": "chat", "data": {"message": "hello"}},
                                     {"type": "signal", "data": {"signalType": "offer", "sdpOrIce": "v=0"}})):
            await d.send_text(json.dumps({**message, "to": to, "id": f"{to} {n}"}))
            answers.append(await d.answer(f"{to} {n}"))
    await d.send("chat", message="hello, all", id="all")
    await d.send("set_status", status="BUSY", id="status")
    answers += [await d.answer("all"), await d.answer("status")]
    assert {(a["type"], a["code"], a["message"]) for a in answers} == {("error", "forbidden", "The account waits for approval")}
    await d.send("call_start", to=colleague.user, id="call")
    assert (await d.answer("call"))["data"]["reason"] == "not_a_patient"
    for client, start in zip((patient, colleague), before):
        await client.barrier()
        assert {m["type"] for m in client.got[start:]} <= {"error", "users"}
    assert stack.sql("SELECT status FROM user WHERE id = ?", d.user.id) == [("ONLINE",)]


@pytest.mark.parametrize("role", ["PATIENT", "DOCTOR"])
async def test_is_answered_for_as_nobody_is(stack, role):
    asker = await (stack.patient() if role == "PATIENT" else approved(stack)).connect()
    there, away = await stack.doctor().connect(), stack.doctor()

    async def ask(to, message):
        before, start = stack.metric("telemed_store_lookups_total"), len(asker.texts)
        await asker.send_text(json.dumps({**message, "to": to, "id": "q"}))
        await asker.until(lambda: any('"id":"q"' in t for t in asker.texts[start:]), "answer")
        answer = next(t for t in asker.texts[start:] if '"id":"q"' in t)
        return answer.replace(str(to), "TO"), stack.metric("telemed_store_lookups_total") - before

    await asker.barrier()
    for message in ({"type": "chat", "data": {"message": "hello"}}, {"type": "call_start", "data": {"callId": "c"}},
                    {"type": "signal", "data": {"signalType": "offer", "sdpOrIce": "v=0"}}, {"type": "call_end"}):
        right = await ask(NOBODY, message)
        assert right[1] == 1
        for who in (there.user, away):
            assert await ask(who.id, message) == right
    await asker.send("chat", message="hello, all", id="all")
    await asker.answer("all")
    await there.barrier()
    assert there.count("chat") == there.count("incoming_call") == there.count("signal") == 0


async def test_approval_while_all_are_connected(stack):
    doctor = stack.doctor()
    d, d1 = await doctor.connect(), await doctor.connect(**V1)
    seed, v1, colleague = await stack.patient().connect(), await stack.patient().connect(**V1), await approved(stack).connect(**V1)
    await seed.send("call_start", to=doctor, id="early")
    assert (await seed.wait("call_response"))["data"]["reason"] == "not_found"
    approve(doctor)
    right = {"id": doctor.id, "name": doctor.name, "role": "DOCTOR", "status": "ONLINE"}
    for client in (seed, v1, colleague, d, d1):
        await client.until(lambda c=client: last_of(c, doctor) == right, "the approved doctor")
    for client in (d, d1):  # she sees what a doctor does
        await client.until(lambda c=client: seed.user.id in [u["id"] for u in c.all("users")[-1]["users"]], "list with a patient")
    revisions = [m["rev"] for m in d1.got if "rev" in m]
    assert revisions == sorted(set(revisions))
    assert listed(stack, doctor, seed.user)
    assert "pending" not in stack.rest("GET", "/auth/me", token=doctor.token)[1]["user"]
    doctor.set_status("BUSY")
    await seed.wait_status(doctor, "BUSY")
    await d.send("set_status", status="ONLINE")
    await seed.wait_status(doctor, "ONLINE")
    await call(seed, d)
    # And goes on as any other does.
    late = await stack.patient().connect()
    for client in (d, d1):
        if stack.settings["TELEMED_VISIBILITY"] == "scoped":
            await client.until(lambda c=client: last_of(c, late.user), "a patient who came later")


async def test_one_whose_approval_is_taken_back(stack):
    """No command does that yet; what the database says counts all the same."""
    doctor, patient = approved(stack), stack.patient()
    d, p, seed = await doctor.connect(**V1), await patient.connect(**V1), await stack.patient().connect()
    await d.until(lambda: last_of(d, patient), "the patient")
    await p.until(lambda: last_of(p, doctor), "the doctor")
    with open(stack.data / "run/store.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        db = sqlite3.connect(stack.data / "telemed.db", isolation_level=None, timeout=20)
        db.execute("UPDATE user SET pending = 1 WHERE id = ?", (doctor.id,))
        db.close()
    await p.until(lambda: any(doctor.id in m["del"] for m in p.all("presence")), "end of the doctor")
    await seed.wait_status(doctor, None)
    await d.until(lambda: last_of(d, doctor).get("pending"), "list that says so")
    if stack.settings["TELEMED_VISIBILITY"] == "scoped":
        assert patient.id not in [u["id"] for u in d.all("users")[-1]["users"]]
    approve(doctor)
    await d.until(lambda: "pending" not in last_of(d, doctor), "list without it")
    assert patient.id in [u["id"] for u in d.all("users")[-1]["users"]]
    for client in (d, p):
        revisions = [m["rev"] for m in client.got if "rev" in m]
        assert revisions == sorted(set(revisions))
    await p.send("call_start", to=doctor, id="call")
    assert (await p.answer("call"))["data"]["ok"] is True


async def test_approval_while_the_relay_is_away(stack):
    doctor, patient = stack.doctor(), stack.patient()
    p, d = await patient.connect(), await doctor.connect()
    stack.kill("ws-relay", signal.SIGKILL)
    approve(doctor)
    p, d = await patient.reconnect(), await doctor.reconnect()
    await p.wait_status(doctor, "ONLINE")
    await call(p, d)


async def test_approval_of_one_who_is_away(stack):
    doctor, p = stack.doctor(), await stack.patient().connect()
    approve(doctor)
    await p.send("call_start", to=doctor, id="call")
    assert (await p.wait("call_response"))["data"]["reason"] == "offline"
    d = await doctor.connect()
    await p.wait_status(doctor, "ONLINE")
    await call(p, d)


async def test_what_the_setting_was_at_registration_counts(stack):
    first = stack.doctor()
    stack.stop()
    stack.settings["TELEMED_DOCTOR_SIGNUP"] = "open"
    stack.start()
    try:
        second, patient = stack.doctor(), stack.patient()
        assert listed(stack, second, patient) and not listed(stack, first, patient)
    finally:
        stack.stop()
        stack.settings["TELEMED_DOCTOR_SIGNUP"] = "approve"
        stack.start()
    assert listed(stack, second, patient) and not listed(stack, first, patient)
    approve(first)
    wait_until(lambda: listed(stack, first, patient), "the approved doctor to be listed")
