"""/metrics counts what happens, each under its name, and goes on counting over restarts."""

import asyncio
import fcntl
import json
import os
import re
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from stack import NOBODY, Stack, both, call, ring, wait_until
from wire import Wire, frame, head


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_WS_RATE=0, TELEMED_PRESENCE_GRACE=1, TELEMED_RING_TIMEOUT=2) as s:
        yield s


class Growth:
    """What has been added to series since it was made."""

    def __init__(self, stack):
        self.stack, self.before = stack, stack.metrics()

    def __getitem__(self, series):
        return self.stack.metrics()[series] - self.before[series]

    def until(self, series, value):
        wait_until(lambda: self[series] == value, f"{series} to grow by {value}, not {self[series]}")


async def grows(growth, series, value):
    """Waits, off the loop, so that the clients go on."""
    await asyncio.get_running_loop().run_in_executor(None, growth.until, series, value)


def test_rest_by_route_and_code(stack):
    patient, doctor = stack.patient(), stack.doctor()
    g = Growth(stack)
    wanted = {}
    for method, path, body, user, route, code in [
            ("GET", "/doctors", None, patient, "/doctors", 200),
            ("GET", "/doctors", None, None, "/doctors", 401),
            ("GET", "/auth/me", None, patient, "/auth/me", 200),
            ("GET", "/calls", None, patient, "/calls", 200),
            ("GET", "/calls?limit=0", None, patient, "/calls", 400),
            ("GET", "/turn", None, patient, "/turn", 200),
            ("POST", "/doctors/status", {"status": "ONLINE"}, doctor, "/doctors/status", 200),
            ("POST", "/doctors/status", {"status": "ONLINE"}, patient, "/doctors/status", 403),
            ("POST", "/auth/refresh", b"", patient, "/auth/refresh", 200),
            ("POST", "/auth/login", {"email": "user1@example.org", "password": "wrong-password"}, None, "/auth/login", 401),
            ("POST", "/auth/register", b"{", None, "/auth/register", 400),
            ("POST", "/auth/logout", b"", stack.patient(), "/auth/logout", 204),
            ("GET", "/livez", None, None, "/livez", 200),
            ("GET", "/readyz", None, None, "/readyz", 200),
            ("GET", f"/secret-{patient.id}", None, None, "other", 404),
            ("PUT", "/doctors", b"", None, "/doctors", 405)]:
        status, _ = stack.rest(method, path, body, user and user.token)
        assert status == code, (method, path, status)
        series = f'telemed_http_requests_total{{route="{route}",code="{code}"}}'
        wanted[series] = wanted.get(series, 0) + 1
    grown = {series: g[series] for series in wanted}
    assert grown == wanted
    assert g['telemed_http_request_duration_seconds_count{route="/turn"}'] == 1
    assert g['telemed_http_request_duration_seconds_bucket{route="/turn",le="+Inf"}'] == 1
    assert g['telemed_http_request_duration_seconds_sum{route="/turn"}'] > 0


def test_accounts_and_passwords(stack):
    g = Growth(stack)
    patient = stack.patient()
    email = f"user{stack.users}@example.org"
    assert stack.rest("POST", "/auth/login", {"email": email, "password": "password"})[0] == 200
    assert stack.rest("POST", "/auth/login", {"email": "nobody@example.org", "password": "password"})[0] == 401
    assert stack.rest("POST", "/auth/register", {"name": "x", "email": email, "password": "password", "role": "PATIENT"})[0] == 409
    assert (g["telemed_registrations_total"], g["telemed_logins_total"], g["telemed_logins_refused_total"]) == (1, 1, 1)
    assert g["telemed_password_hash_seconds_count"] == 3  # that the email is taken is found out before
    assert g["telemed_password_hash_seconds_sum"] > 0
    assert patient.id


def test_logins_that_wait():
    """More at once than there are workers: one a core."""
    with Stack(TELEMED_BCRYPT_COST=10) as other:
        other.patient()
        g = Growth(other)
        body = {"email": "user1@example.org", "password": "password"}

        def storm():
            with ThreadPoolExecutor(4 * os.cpu_count()) as pool:
                got = list(pool.map(lambda _: other.rest("POST", "/auth/login", body)[0], range(8 * os.cpu_count())))
            assert set(got) == {200}
            return g["telemed_auth_waited_total"] > 0
        wait_until(storm, "a login to wait")
        assert other.metric("telemed_auth_waiting") == 0


async def test_connections_and_how_they_end(stack):
    wait_until(lambda: stack.metric("telemed_connections") == 0, "those of other tests to be gone")
    g = Growth(stack)
    p, d = await both(stack)
    d2 = await d.user.connect()
    assert (g['telemed_connections{role="patient"}'], g['telemed_connections{role="doctor"}']) == (1, 2)
    assert g['telemed_handshakes_total{code="101"}'] == 3
    with Wire(stack.port) as wire:
        assert wire.ask(head("/ws?token=x"))[0] == 401
        assert wire.ask(head("/ws", "Origin: http://foreign.example"))[0] == 403
    assert (g['telemed_handshakes_total{code="401"}'], g['telemed_handshakes_total{code="403"}']) == (1, 1)
    await d2.close()
    await grows(g, 'telemed_closes_total{by="client",code="1000"}', 1)
    await d.drop()
    await grows(g, 'telemed_closes_total{by="network",code="1006"}', 1)
    await p.socket.send(b"binary")
    assert await p.closed() == 1003
    await grows(g, 'telemed_closes_total{by="server",code="1003"}', 1)
    await grows(g, 'telemed_connections{role="patient"}', 0)
    await grows(g, 'telemed_connections{role="doctor"}', 0)
    user = stack.patient()
    many = [await user.open() for _ in range(9)]
    assert await many[8].closed() == 4505
    await grows(g, 'telemed_closes_total{by="server",code="4505"}', 1)
    assert stack.rest("POST", "/auth/logout", b"", user.token)[0] == 204
    for client in many[:8]:
        assert await client.closed() == 4501
    await grows(g, 'telemed_closes_total{by="server",code="4501"}', 8)
    await grows(g, "telemed_connections{role=\"patient\"}", 0)
    ended = sum(v for k, v in stack.metrics().items() if k.startswith("telemed_closes_total"))
    opened = stack.metric('telemed_handshakes_total{code="101"}')
    assert opened - ended == stack.metric("telemed_connections") == 0


async def test_messages_by_type_both_ways(stack):
    patient, doctor = stack.patient(), stack.doctor()
    d = await doctor.connect(subprotocols=["telemed.v1"])
    p = await patient.connect()
    await p.barrier()
    g = Growth(stack)
    n = {"in": {}, "out": {}}

    def counted(way, type, times=1):
        n[way][type] = n[way].get(type, 0) + times

    await p.send("chat", to=doctor, message="hello", id="1")
    await d.wait("chat")
    await p.answer("1")
    counted("in", "chat"), counted("out", "chat"), counted("out", "ack")
    await p.send("set_status", status="ONLINE", id="2")
    await p.answer("2")
    counted("in", "set_status"), counted("out", "error")
    await p.send("nonsense", id="3")
    await p.answer("3")
    counted("in", "unknown"), counted("out", "error")
    await p.send("token_refresh", token="x", id="4")
    await p.answer("4")
    counted("in", "token_refresh"), counted("out", "error")
    for type in ("call_accept", "call_reject", "call_resume"):
        await p.send(type, callId="none", id=type)
        await p.answer(type)
        counted("in", type), counted("out", "error")
    await ring(p, d)
    counted("in", "call_start"), counted("out", "call_response"), counted("out", "incoming_call")
    await d.wait("call_state")
    counted("out", "call_state")
    await p.send("signal", to=doctor, signalType="offer", sdpOrIce="o", id="5")
    await d.wait("signal")
    await p.answer("5")
    counted("in", "signal"), counted("out", "signal"), counted("out", "ack")
    await p.send("call_end", id="6")
    await d.wait("call_end")
    await p.wait("call_end")
    await p.answer("6")
    await d.wait("call_state")
    counted("in", "call_end"), counted("out", "call_end", 2), counted("out", "ack"), counted("out", "call_state")
    got = {way: {type: g[f'telemed_messages_{word}_total{{type="{type}"}}'] for type in n[way]}
           for way, word in (("in", "received"), ("out", "sent"))}
    assert got == n
    await p.newest_list()
    await d.wait("presence")
    assert g['telemed_messages_sent_total{type="presence"}'] > 0 and g['telemed_messages_sent_total{type="users"}'] > 0
    await d.user.connect(subprotocols=["telemed.v1"])
    assert g['telemed_messages_sent_total{type="welcome"}'] == 1
    assert g['telemed_messages_refused_total{reason="bad_message"}'] == 1
    assert g["telemed_message_bytes_sent_total"] > 100


async def test_relayed_messages_have_a_latency(stack):
    p, d = await both(stack)
    g = Growth(stack)
    for i in range(20):
        await p.send("chat", to=d.user, message="hello", id=f"m{i}")
        await d.wait("chat")
    await p.send("chat", to=NOBODY, message="Is anybody there?", id="nobody")
    await p.answer("nobody")
    assert g["telemed_relay_latency_seconds_count"] == 21
    assert 0 < g["telemed_relay_latency_seconds_sum"] < 60


async def test_too_many_messages_are_counted():
    with Stack(TELEMED_WS_RATE=1) as other:
        p = await other.patient().connect()
        g = Growth(other)
        for i in range(6):
            await p.send("chat", message="hello", id=f"m{i}")
            await p.answer(f"m{i}")
        assert g['telemed_messages_refused_total{reason="rate_limited"}'] == p.count(
            "error", lambda m: m["code"] == "rate_limited") > 0
        reason = None
        while reason != "rate_limited":  # a call costs two tokens, which take two seconds to come back
            await p.send("call_start", to=p.user)
            reason = (await p.wait("call_response"))["data"]["reason"]
        assert g['telemed_calls_refused_total{reason="rate_limited"}'] == 1


async def test_calls_by_how_they_end(stack):
    p, d = await both(stack)
    g = Growth(stack)
    await ring(p, d, "one")
    await grows(g, "telemed_calls", 1)
    await p.send("call_end")
    await d.wait("call_end")
    await ring(p, d, "two")
    await d.send("call_reject", callId="two")
    await p.wait("call_end", lambda m: m["data"]["callId"] == "two")
    await ring(p, d, "three")
    await p.wait("call_end", lambda m: m["data"]["callId"] == "three")
    await call(p, d, "four")
    await d.send("call_end", callId="four")
    await p.wait("call_end", lambda m: m["data"]["callId"] == "four")
    await grows(g, "telemed_calls", 0)
    ends = {r: g[f'telemed_calls_ended_total{{reason="{r}"}}'] for r in ("cancelled", "rejected", "no_answer", "hangup", "other")}
    assert ends == {"cancelled": 1, "rejected": 1, "no_answer": 1, "hangup": 1, "other": 0}
    assert g["telemed_calls_started_total"] == 4
    assert g["telemed_call_answer_seconds_count"] == 1
    assert 0 <= g["telemed_call_answer_seconds_sum"] < 60


async def test_refused_calls_by_reason(stack):
    """The hub's refusals; and the relay's own, ahead of it."""
    reasons = ["caller_busy", "busy", "offline", "not_found", "not_a_doctor", "not_a_patient", "bad_call_id", "draining", "rate_limited", "other"]
    p, d = await both(stack)
    late, away = await stack.patient().connect(), stack.doctor()

    async def refused(caller, to, call_id="one-more"):
        await caller.send("call_start", to=to, callId=call_id, id=call_id)
        return (await caller.wait("call_response", lambda m: m.get("id") == call_id))["data"]["reason"]
    await call(p, d, "lives")
    g = Growth(stack)
    got = [await refused(p, away), await refused(late, d.user), await refused(late, away), await refused(late, NOBODY),
           await refused(late, p.user), await refused(d, away), await refused(late, d.user, "a b")]
    assert stack.admin("drain")[0] == 0
    got.append(await refused(late, away))
    assert stack.admin("drain", "--end")[0] == 0
    await p.send("call_end", callId="lives")
    await d.wait("call_end")
    assert got == reasons[:8]
    assert [g[f'telemed_calls_refused_total{{reason="{r}"}}'] for r in reasons] == [1] * 8 + [0, 0]
    assert g["telemed_calls_started_total"] == 0


async def test_what_the_relay_stores(stack):
    g = Growth(stack)
    d = await stack.doctor().connect()
    await d.send("set_status", status="BUSY", id="s")
    await d.answer("s")
    batches = g["telemed_store_batches_total"]
    assert batches >= 1
    assert g["telemed_store_batch_jobs_count"] >= batches and g["telemed_store_batch_lag_seconds_count"] >= batches
    assert g["telemed_store_batch_jobs_sum"] >= 2 and g["telemed_store_batch_lag_seconds_sum"] > 0
    assert g["telemed_store_lookups_total"] >= 1
    assert stack.metric("telemed_wal_bytes") > 0 and stack.metric("telemed_database_bytes") > 0
    assert stack.metric("telemed_disk_free_bytes") > 0


def test_a_locked_database_is_counted(stack):
    doctor = stack.doctor()
    g = Growth(stack)
    db = sqlite3.connect(stack.data / "telemed.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    assert stack.rest("POST", "/doctors/status", {"status": "ONLINE"}, doctor.token)[0] == 503
    db.execute("ROLLBACK")
    db.close()
    assert g["telemed_store_busy_total"] >= 1
    assert g['telemed_http_requests_total{route="/doctors/status",code="503"}'] == 1


async def test_what_the_relay_cannot_store_is_counted(stack):
    d = await stack.doctor().connect()
    await d.barrier()
    g = Growth(stack)
    db = sqlite3.connect(stack.data / "telemed.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    await d.send("set_status", status="BUSY", id="s")
    assert (await d.answer("s"))["code"] == "unavailable"
    db.execute("ROLLBACK")
    db.close()
    assert g["telemed_store_batches_failed_total"] >= 1 and g["telemed_store_busy_total"] >= 1


def test_who_waits_for_another_writer_is_counted(stack):
    doctor = stack.doctor()
    g = Growth(stack)
    with open(stack.data / "run/store.lock", "w") as lock, ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = pool.submit(stack.rest, "POST", "/doctors/status", {"status": "BUSY"}, doctor.token)
        wait_until(lambda: g["telemed_store_lock_waits_total"] >= 1, "a writer to wait")
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert answer.result()[0] == 200


def test_logins_that_come_too_fast_are_counted():
    with Stack(TELEMED_AUTH_RATE=2) as other:
        g = Growth(other)
        body = {"email": "nobody@example.org", "password": "password"}
        assert [other.rest("POST", "/auth/login", body)[0] for _ in range(4)] == [401, 401, 429, 429]
        assert g["telemed_auth_rate_limited_total"] == 2


def test_the_relay_tells_how_far_it_has_read(stack):
    doctor = stack.doctor()
    doctor.set_status("BUSY")
    [(newest,)] = stack.sql("SELECT max(rev) FROM user")
    wait_until(lambda: stack.metric("telemed_feed_revision") >= newest, "the relay to have read it")


def test_what_the_relay_has_not_read_is_its_lag(stack):
    doctor = stack.doctor()
    wait_until(lambda: stack.metric("telemed_revision_lag") == 0, "the relay to have read all")
    [relay] = stack.pids("ws-relay")
    os.kill(relay, signal.SIGSTOP)
    try:
        for status in ("BUSY", "ONLINE", "BUSY"):
            doctor.set_status(status)
        assert stack.metric("telemed_revision_lag") == 3
    finally:
        os.kill(relay, signal.SIGCONT)
    wait_until(lambda: stack.metric("telemed_revision_lag") == 0, "the relay to have read all")


async def test_what_waits_for_a_slow_reader(stack):
    slow, p = stack.patient(), await stack.doctor().connect()
    loop = asyncio.get_running_loop()
    wire = await loop.run_in_executor(None, Wire.open, slow)
    text = "x" * 4000
    deadline = time.monotonic() + 60
    while await loop.run_in_executor(None, stack.metric, "telemed_outbox_high_water_bytes") < 4000:
        assert time.monotonic() < deadline
        for _ in range(200):
            await p.send("chat", to=slow, message=text)
    wire.socket.close()


def test_the_programs_themselves(stack):
    shown = stack.metrics()
    for program in ("fcgi-api", "ws-relay"):
        of = f'{{program="{program}"}}'
        assert abs(shown["telemed_process_start_time_seconds" + of] - time.time()) < 3600
        assert shown["telemed_process_resident_memory_bytes" + of] > 1 << 20
        assert 3 < shown["telemed_process_open_fds" + of] < shown["telemed_process_max_fds" + of]
    version = (stack.root / "VERSION").read_text().strip()
    assert shown[f'telemed_build_info{{version="{version}"}}'] == 1


def test_counters_outlive_the_relay_and_gauges_do_not(stack):
    with Wire.open(stack.patient()):
        before = stack.metrics()
        assert stack.metric("telemed_connections") > 0
        stack.kill("ws-relay")
        wait_until(lambda: stack.rest("GET", "/readyz")[0] == 200, "the relay to be back")
    after = stack.metrics()
    for series in before:
        if "_total" in series or "_count" in series:
            assert after[series] >= before[series], series
    assert stack.metric("telemed_connections") == 0
    relay = 'telemed_process_start_time_seconds{program="ws-relay"}'
    assert after[relay] >= before[relay]


def test_no_label_says_who(stack):
    """Each is one of a few words that stand in the program; the number of series does not grow with what clients do."""
    before = set(stack.metrics())
    values = {value for series in before for value in re.findall(r'="([^"]*)"', series)}
    assert all(re.fullmatch(r"[a-z_]+|ws-relay|fcgi-api|/[a-z/]+|\d[\d.]*|\+Inf", value) for value in values), values
    for i in range(30):
        stack.rest("GET", f"/nothing/{i}", headers={"User-Agent": f"agent-{i}", "Host": f"host-{i}"})
        stack.rest("POST", "/auth/login", {"email": f"who{i}@example.org", "password": "password"})
    with Wire.open(stack.patient()) as wire:
        for i in range(10):
            wire.send(frame(json.dumps({"type": f"type-{i}", "data": {}})))
            wire.next(type="error")
    assert set(stack.metrics()) == before
