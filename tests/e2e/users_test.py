"""Who is there, and how it goes with them: what the user lists show, to everybody."""

import pytest
from stack import Stack, call, wait_until

GRACE = 1


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        yield s


@pytest.fixture(scope="module")
def hasty():
    """A stack where who has gone is soon OFFLINE."""
    with Stack(TELEMED_PRESENCE_GRACE=GRACE) as s:
        yield s


def stored(doctor, status):
    """Waits for what GET /doctors shows: presence is told at once, and stored a moment later."""
    wait_until(lambda: doctor.stack.status_of(doctor) == status, f"{doctor.name} to be stored as {status}")


async def test_the_first_message_is_the_list_and_shows_oneself(stack):
    doctor = stack.register("DOCTOR", 'Dr. "Ünïcode" \\ 😀')
    d = await doctor.connect()
    assert d.got[0]["type"] == "users"
    assert {"id": doctor.id, "name": 'Dr. "Ünïcode" \\ 😀', "role": "DOCTOR", "status": "ONLINE"} in d.got[0]["users"]
    assert set(d.got[0]) == {"type", "users"}


async def test_an_arrival_reaches_everybody_who_is_there(stack):
    d, p = await stack.doctor().connect(), await stack.patient().connect()
    for newcomer in (stack.patient(), stack.doctor()):
        n = await newcomer.connect()
        for client in (d, p, n):
            await client.wait_status(newcomer, "ONLINE")
            await client.wait_status(d.user, "ONLINE")


async def test_who_has_left_is_offline_after_the_grace(hasty):
    watcher, p, d = await hasty.patient().connect(), await hasty.patient().connect(), await hasty.doctor().connect()
    await watcher.wait_status(p.user, "ONLINE")
    await watcher.wait_status(d.user, "ONLINE")
    await p.close()
    await d.drop()
    await watcher.wait_status(p.user, None)
    await watcher.wait_status(d.user, None)
    stored(d.user, "OFFLINE")


async def test_who_comes_back_within_the_grace_was_never_gone(stack):
    watcher, d, p = await stack.patient().connect(), await stack.doctor().connect(), await stack.patient().connect()
    await watcher.wait_status(d.user, "ONLINE")
    await watcher.wait_status(p.user, "ONLINE")
    start = len(watcher.got)
    for client in (d, p):
        await client.drop()
        await watcher.reach(client.user, 0)
        await client.user.connect()
    await watcher.newest_list()
    assert set(watcher.statuses(d.user, start)) <= {"ONLINE"}
    assert set(watcher.statuses(p.user, start)) <= {"ONLINE"}


async def test_who_has_come_back_stays(hasty):
    watcher, d, other = await hasty.patient().connect(), await hasty.doctor().connect(), await hasty.doctor().connect()
    await watcher.wait_status(other.user, "ONLINE")
    await d.drop()
    await watcher.reach(d.user, 0)
    await d.user.connect()
    await other.drop()
    await watcher.wait_status(other.user, None)  # so the grace that began before hers is over too
    assert watcher.statuses(d.user)[-1] == "ONLINE"


async def test_one_connection_of_several_is_enough(hasty):
    watcher, doctor, other = await hasty.patient().connect(), hasty.doctor(), hasty.doctor()
    first, second = await doctor.connect(), await doctor.connect()
    o = await other.connect()
    await watcher.wait_status(other, "ONLINE")
    await first.drop()
    await watcher.reach(doctor, 1)
    await o.drop()
    await watcher.wait_status(other, None)  # so her grace, had it begun when the first connection went, is over too
    assert watcher.statuses(doctor)[-1] == "ONLINE"
    await second.drop()
    await watcher.wait_status(doctor, None)


async def test_connecting_makes_an_offline_user_online(hasty):
    watcher, doctor = await hasty.patient().connect(), hasty.doctor()
    d = await doctor.connect()
    await watcher.wait_status(doctor, "ONLINE")
    await d.drop()
    await watcher.wait_status(doctor, None)
    stored(doctor, "OFFLINE")
    await doctor.connect()
    await watcher.wait_status(doctor, "ONLINE")
    stored(doctor, "ONLINE")


async def test_a_status_set_over_rest_reaches_everybody(stack):
    doctor = stack.doctor()
    clients = [await u.connect() for u in (doctor, stack.patient(), stack.doctor())]
    for status in ("BUSY", "OFFLINE", "ONLINE", "BUSY"):
        doctor.set_status(status)
        for client in clients:
            await client.wait_status(doctor, status)


async def test_a_doctor_who_is_not_connected_is_listed_unless_offline(stack):
    doctor, watcher = stack.doctor(), await stack.patient().connect()
    assert doctor.id not in await watcher.newest_list()
    for status, shown in (("ONLINE", "ONLINE"), ("BUSY", "BUSY"), ("OFFLINE", None)):
        doctor.set_status(status)
        await watcher.wait_status(doctor, shown)


async def test_a_status_that_was_chosen_outlives_a_reload(stack):
    watcher, doctor = await stack.patient().connect(), stack.doctor()
    d = await doctor.connect()
    doctor.set_status("BUSY")
    await watcher.wait_status(doctor, "BUSY")
    await d.drop()
    await watcher.reach(doctor, 0)
    d = await doctor.connect()
    assert (await d.newest_list())[doctor.id] == "BUSY"
    assert stack.status_of(doctor) == "BUSY"


async def test_who_is_offline_by_choice_is_online_with_the_next_connection(stack):
    doctor = stack.doctor()
    d = await doctor.connect()
    await d.send("set_status", id="s", status="OFFLINE")
    await d.wait_status(doctor, "OFFLINE")  # she is connected, and so on the list
    await doctor.connect()
    await d.wait_status(doctor, "ONLINE")


async def test_set_status_reaches_everybody_and_is_acknowledged(stack):
    doctor = stack.doctor()
    d, p = await doctor.connect(), await stack.patient().connect()
    for i, status in enumerate(("BUSY", "OFFLINE", "ONLINE")):
        await d.send("set_status", id=f"s{i}", status=status)
        assert await d.wait("ack") == {"type": "ack", "id": f"s{i}", "data": {"status": status}}
        assert stack.status_of(doctor) == status  # it was stored before it was acknowledged
        await d.wait_status(doctor, status)
        await p.wait_status(doctor, status)


async def test_set_status_without_an_id_is_not_acknowledged(stack):
    d = await stack.doctor().connect()
    await d.send("set_status", status="BUSY")
    await d.wait_status(d.user, "BUSY")
    await d.barrier()
    assert d.count("ack") == 0


async def test_a_patient_has_no_status_to_set(stack):
    p = await stack.patient().connect()
    await p.send("set_status", id="s", status="BUSY")
    error = await p.wait("error")
    assert (error["code"], error["re"], error["id"]) == ("forbidden", "set_status", "s")
    assert (await p.newest_list())[p.user.id] == "ONLINE"
    assert stack.rest("POST", "/doctors/status", {"status": "BUSY"}, p.user.token)[0] == 403


async def test_the_role_is_the_databases_and_not_the_tokens(stack):
    patient = stack.patient()
    patient.token = stack.sign(patient.id, "DOCTOR", 60)
    p = await patient.connect()
    await p.send("set_status", id="s", status="BUSY")
    assert (await p.wait("error"))["code"] == "forbidden"
    assert [u["role"] for u in p.got[0]["users"] if u["id"] == patient.id] == ["PATIENT"]


async def test_after_many_changes_everybody_has_the_newest_list(stack):
    doctor = stack.doctor()
    clients = [await u.connect() for u in (doctor, stack.patient(), stack.patient())]
    d = clients[0]
    for i in range(60):
        await d.send("set_status", id=f"s{i}", status=("ONLINE", "OFFLINE", "BUSY")[i % 3])
    await d.wait("ack", lambda m: m["id"] == "s59")
    for client in clients:
        assert (await client.newest_list())[doctor.id] == "BUSY"
    assert stack.status_of(doctor) == "BUSY"


async def test_busy_in_a_call_whatever_else_is_chosen(stack):
    doctor, watcher = stack.doctor(), await stack.patient().connect()
    p, d = await stack.patient().connect(), await doctor.connect()
    await call(p, d)
    await watcher.wait_status(doctor, "BUSY")
    start = len(watcher.got)
    for i, status in enumerate(("ONLINE", "OFFLINE")):
        await d.send("set_status", id=f"s{i}", status=status)
        await d.wait("ack")
    assert stack.status_of(doctor) == "BUSY"
    await watcher.newest_list()
    assert set(watcher.statuses(doctor, start)) <= {"BUSY"}
    await d.send("call_end")
    await watcher.wait_status(doctor, "OFFLINE")
    await watcher.wait_status(p.user, "ONLINE")


async def test_a_busy_that_was_chosen_survives_a_call(stack):
    for choose in ("set_status", "rest"):
        doctor = stack.doctor()
        p, d = await stack.patient().connect(), await doctor.connect()
        await call(p, d)
        await p.wait_status(p.user, "BUSY")
        if choose == "rest":
            doctor.set_status("BUSY")
        else:
            await d.send("set_status", id="s", status="BUSY")
            await d.wait("ack")
        await p.send("call_end", id="e")
        await p.wait("ack")
        await p.wait_status(p.user, "ONLINE")
        assert p.statuses(doctor)[-1] == "BUSY"
        assert stack.status_of(doctor) == "BUSY"


async def test_without_the_doorbell_a_change_over_rest_arrives_all_the_same():
    with Stack() as stack:
        doctor, watcher = stack.doctor(), await stack.patient().connect()
        (stack.data / "run/doorbell.sock").unlink()
        for status in ("ONLINE", "BUSY"):
            doctor.set_status(status)
            await watcher.wait_status(doctor, status)


async def test_what_changes_while_the_relay_is_dead_is_shown_when_it_is_back():
    with Stack() as stack:
        doctor, gone, here, patient = stack.doctor(), stack.doctor(), stack.doctor(), stack.patient()
        p, h = await patient.connect(), await here.connect()
        gone.set_status("ONLINE")
        await p.wait_status(gone, "ONLINE")
        stack.kill("ws-relay")
        doctor.set_status("BUSY")
        gone.set_status("OFFLINE")
        here.set_status("BUSY")
        assert await p.closed() == 1006
        p, h = await patient.reconnect(), await here.reconnect()
        for client in (p, h):
            await client.wait_status(doctor, "BUSY")
            await client.wait_status(gone, None)
            await client.wait_status(here, "BUSY")
            await client.wait_status(patient, "ONLINE")
        doctor.set_status("ONLINE")
        for client in (p, h):
            await client.wait_status(doctor, "ONLINE")


async def test_who_does_not_come_back_to_a_relay_that_died_is_offline():
    with Stack(TELEMED_PRESENCE_GRACE=GRACE) as stack:
        doctor, patient, watcher = stack.doctor(), stack.patient(), stack.patient()
        for user in (doctor, patient, watcher):
            await user.connect()
        stack.kill("ws-relay")
        w = await watcher.reconnect()
        await w.wait_status(doctor, None)
        await w.wait_status(patient, None)
        assert w.statuses(watcher)[-1] == "ONLINE"
        stored(doctor, "OFFLINE")
