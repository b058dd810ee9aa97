"""Tokens over their life: renewal, logout, the end."""

import base64
import fcntl
import json
import os
import signal
import threading
import time

import pytest
import websockets
from stack import PATIENCE, SLOW, Stack, call, wait_until

V1 = {"subprotocols": ["telemed.v1"]}


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_TOKEN_TTL=62, TELEMED_SESSION_MAX=600) as s:
        yield s


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def refused(stack, token):
    try:
        await websockets.connect(f"{stack.ws}?token={token}", open_timeout=PATIENCE)
    except websockets.InvalidStatusCode as e:
        return e.status_code
    return None


def test_refresh_gives_a_fresh_token_of_the_same_session(stack):
    user = stack.patient()
    time.sleep(1.1)  # exp counts seconds
    status, got = stack.rest("POST", "/auth/refresh", token=user.token)
    assert status == 200 and got["user"]["id"] == user.id and got["user"]["email"]
    old, new = claims(user.token), claims(got["token"])
    assert new["jti"] != old["jti"] and new["sid"] == old["sid"] and new["exp"] > old["exp"]
    assert stack.rest("GET", "/auth/me", token=got["token"])[0] == 200


def test_refresh_wants_a_token(stack):
    assert stack.rest("POST", "/auth/refresh")[0] == 401


def test_the_chain_of_renewals_ends():
    with Stack(TELEMED_TOKEN_TTL=100, TELEMED_SESSION_MAX=50) as stack:
        user = stack.patient()
        _, got = stack.rest("POST", "/auth/refresh", token=user.token)
        assert claims(got["token"])["exp"] == claims(user.token)["iat"] + 50


async def test_logout_kills_the_token_and_its_sockets(stack):
    user = stack.patient()
    c = await user.connect()
    assert stack.rest("POST", "/auth/logout", token=user.token) == (204, None)
    assert await c.closed() == 4501
    status, got = stack.rest("GET", "/auth/me", token=user.token)
    assert (status, got["code"]) == (401, "invalid_token")
    assert stack.rest("POST", "/auth/logout", token=user.token)[0] == 401
    assert await refused(stack, user.token) == 401


def answers(stack, token):
    """What a token is answered with, by every worker."""
    return {stack.rest("GET", "/doctors", token=token)[0] for _ in range(60)}


def test_a_token_that_every_worker_has_seen_is_refused_with_the_next_request(stack):
    user = stack.patient()
    short = stack.sign(user.id, user.role, 3 * SLOW)
    ends = time.time() + 3 * SLOW
    assert answers(stack, user.token) == answers(stack, short) == {200}
    assert stack.rest("POST", "/auth/logout", token=user.token)[0] == 204
    assert answers(stack, user.token) == {401}
    time.sleep(max(0, ends - time.time()))
    assert answers(stack, short) == {401}


def test_a_logout_counts_for_the_tokens_of_longer_sessions_too():
    """The setting was lowered meanwhile. What is noted of a logout may go when the last token of its session has ended."""
    with Stack(TELEMED_TOKEN_TTL=100, TELEMED_SESSION_MAX=5000) as stack:
        user = stack.patient()
        began = claims(user.token)["iat"]
        stack.stop()
        stack.settings.update(TELEMED_TOKEN_TTL="50", TELEMED_SESSION_MAX="50")
        stack.start()
        assert stack.rest("POST", "/auth/logout", token=user.token)[0] == 204
        assert stack.sql("SELECT expires_s FROM revocation") == [(began + 5000,)]


def test_a_session_that_is_over_is_not_renewed(stack):
    """Its last token may be good for longer, where the setting has been lowered."""
    user = stack.patient()
    now = int(time.time())
    for began, status in ((now - 500, 200), (now - 600, 401), (0, 401)):
        token = stack.sign(user.id, user.role, 60, auth_time=began)
        assert stack.rest("GET", "/auth/me", token=token)[0] == 200
        got, answer = stack.rest("POST", "/auth/refresh", token=token)
        assert got == status and answer.get("code") == (None if status == 200 else "invalid_token"), answer


def test_a_logout_counts_as_long_as_a_token_that_outlives_its_session(stack):
    user = stack.patient()
    token = stack.sign(user.id, user.role, 6000, sid="long")
    assert stack.rest("POST", "/auth/logout", token=token)[0] == 204
    assert stack.sql("SELECT expires_s FROM revocation WHERE session = 'long'") == [(claims(token)["exp"],)]


def test_two_logouts_at_once_are_one(stack):
    """Until both have been let in before either is written."""
    def log_out_twice():
        user, answers = stack.patient(), []
        threads = [threading.Thread(target=lambda: answers.append(stack.rest("POST", "/auth/logout", token=user.token)[0]))
                   for _ in range(2)]
        with open(stack.data / "run/store.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for thread in threads:
                thread.start()
            time.sleep(0.3)  # so that it is likely
        for thread in threads:
            thread.join()
        assert stack.sql("SELECT count(*) FROM audit WHERE event = 'logout' AND user_id = ?", user.id) == [(1,)]
        assert sorted(answers) in ([204, 204], [204, 401])
        return answers == [204, 204]
    wait_until(log_out_twice, "both to be let in")


def test_a_logout_that_cannot_be_written_is_none(stack):
    user = stack.patient()
    with open(stack.data / "run/store.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, got = stack.rest("POST", "/auth/logout", token=user.token)
        assert (status, got["code"]) == (503, "unavailable")
    assert stack.rest("GET", "/auth/me", token=user.token)[0] == 200
    assert stack.rest("POST", "/auth/logout", token=user.token)[0] == 204


async def test_logout_leaves_another_login_alone(stack):
    user = stack.patient()
    _, got = stack.rest("POST", "/auth/login", {"email": f"user{stack.users}@example.org", "password": "password"})
    c = await user.connect()
    other = await websockets.connect(f"{stack.ws}?token={got['token']}", open_timeout=PATIENCE)
    stack.rest("POST", "/auth/logout", token=user.token)
    assert await c.closed() == 4501
    assert stack.rest("GET", "/auth/me", token=got["token"])[0] == 200
    await (await other.ping())
    await other.close()


async def test_logout_reaches_all_tokens_of_the_session(stack):
    user = stack.patient()
    _, got = stack.rest("POST", "/auth/refresh", token=user.token)
    c = await user.connect()
    stack.rest("POST", "/auth/logout", token=got["token"])
    assert await c.closed() == 4501
    assert stack.rest("GET", "/auth/me", token=user.token)[0] == 401


async def test_logout_holds_over_a_restart_of_the_relay(stack):
    user = stack.patient()
    stack.rest("POST", "/auth/logout", token=user.token)
    before = stack.pids("ws-relay")
    stack.kill("ws-relay")
    wait_until(lambda: stack.pids("ws-relay") not in ([], before) and stack.rest("GET", "/readyz")[0] == 200, "the relay")
    assert await refused(stack, user.token) == 401


async def test_logout_while_the_relay_is_away(stack):
    user = stack.patient()
    c = await user.connect()
    await c.barrier()  # else it might be stopped with the store's lock in its hands
    relay = stack.pids("ws-relay")[0]
    os.kill(relay, signal.SIGSTOP)
    try:
        assert stack.rest("POST", "/auth/logout", token=user.token)[0] == 204
    finally:
        os.kill(relay, signal.SIGCONT)
    assert await c.closed() == 4501


async def test_logout_ends_the_call_on_that_connection(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await call(p, d, "out")
    stack.rest("POST", "/auth/logout", token=patient.token)
    end = await d.wait("call_end")
    assert end["from"] == patient.id and end["data"] == {"callId": "out", "reason": "revoked"}
    await d.wait_status(doctor, "ONLINE")


async def test_a_v1_client_is_warned_and_goes_on_with_a_new_token(stack):
    user = stack.patient()
    c = await user.connect(**V1)
    warning = await c.wait("token_expiring")
    assert 0 < warning["data"]["inMs"] <= 62000
    _, got = stack.rest("POST", "/auth/refresh", token=user.token)
    await c.send("token_refresh", id="t", token=got["token"])
    ack = await c.wait("ack")
    assert ack["id"] == "t" and ack["data"]["tokenExpiresAt"].endswith("Z")
    # It is the new token that counts from here: its logout closes the connection.
    stack.rest("POST", "/auth/logout", token=got["token"])
    assert await c.closed() == 4501


async def test_a_v1_client_whose_token_has_less_than_a_minute_is_warned_at_once(stack):
    user = stack.patient()
    c = await user.connect(token=stack.sign(user.id, user.role, 20), **V1)
    warning = await c.wait("token_expiring")
    assert 10000 < warning["data"]["inMs"] <= 20000
    # And again, where the next has no more.
    await c.send("token_refresh", id="t", token=stack.sign(user.id, user.role, 20))
    await c.wait("ack")
    assert 10000 < (await c.wait("token_expiring"))["data"]["inMs"] <= 20000


async def test_token_refresh_takes_no_token_of_a_session_that_was_ended(stack):
    user = stack.patient()
    c = await user.connect(**V1)
    _, other = stack.login(user)
    assert stack.rest("POST", "/auth/logout", token=other["token"])[0] == 204
    await c.send("token_refresh", id="ended", token=other["token"])
    assert (await c.answer("ended"))["code"] == "forbidden"
    await c.send("token_refresh", id="old", token=stack.sign(user.id, user.role, 60, epoch=7))
    assert (await c.answer("old"))["code"] == "forbidden"
    await c.barrier()
    assert stack.sql("SELECT outcome FROM audit WHERE event = 'denied' AND user_id = ?", user.id) == [("forbidden",)] * 2


async def test_token_refresh_takes_no_token_of_somebody_else(stack):
    c = await stack.patient().connect(**V1)
    for token in (stack.patient().token, "x", ""):
        await c.send("token_refresh", id="t", token=token)
        assert (await c.wait("error"))["code"] == "forbidden"
