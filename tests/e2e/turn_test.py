"""iceServers in what a call begins with: each party's own, and in no log."""

import base64
import hashlib
import hmac
import time

import pytest
from stack import Stack, both, call, ring

STUN = "stun:127.0.0.1:3478"
TURN = ["turn:127.0.0.1:3478?transport=udp", "turns:turn.example:5349?transport=tcp"]
SECRETS = ["the-old-secret-of-the-two", "the-new-secret-of-the-two"]


SETTINGS = {"TELEMED_TURN_URLS": ",".join([STUN, *TURN]), "TELEMED_TURN_SECRET": ",".join(SECRETS)}


@pytest.fixture(scope="module")
def stack():
    with Stack(**SETTINGS) as s:
        yield s


def assert_ice(message, user):
    """The iceServers of MESSAGE are USER's, and good for longer than the longest call."""
    stun, *turn = message["data"]["iceServers"]
    assert stun == {"urls": [STUN]}
    assert len(turn) == len(SECRETS)
    for server, secret in zip(turn, SECRETS):
        expiry, name = server["username"].split(":")
        assert name == str(user.id) and abs(int(expiry) - time.time() - 6 * 3600) < 120
        mac = hmac.digest(secret.encode(), server["username"].encode(), hashlib.sha1)
        assert server == {"urls": TURN, "username": server["username"], "credential": base64.b64encode(mac).decode()}


async def test_each_party_gets_her_own(stack):
    p, d = await both(stack)
    second = await d.user.connect()
    got = await ring(p, d)
    assert_ice(p.all("call_response")[0], p.user)
    assert_ice(got, d.user)
    assert_ice(await second.wait("incoming_call"), d.user)


async def test_so_does_who_asks_again_or_comes_late(stack):
    p, d = await both(stack)
    await ring(p, d)
    await p.send("call_start", to=d.user, id="again", callId="c1")
    assert_ice(await p.answer("again"), p.user)
    late = await d.user.connect()
    assert_ice(await late.wait("incoming_call"), d.user)
    other = await d.user.connect(subprotocols=["telemed.v1"])
    assert_ice(await other.wait("incoming_call"), d.user)


async def test_a_refusal_has_none(stack):
    p, d = await both(stack)
    other = await stack.patient().connect()
    await ring(p, d)
    await other.send("call_start", to=d.user, callId="c2")
    assert (await other.wait("call_response"))["data"] == {"callId": "c2", "ok": False, "reason": "busy"}


async def test_the_frames_and_rest_say_the_same(stack):
    p, d = await both(stack)
    await call(p, d)
    for client in (p, d):
        code, got = stack.rest("GET", "/turn", token=client.user.token)
        assert code == 200
        assert_ice({"data": got}, client.user)


async def test_no_log_says_a_secret_or_a_credential():
    with Stack(TELEMED_LOG_LEVEL="debug", **SETTINGS) as stack:
        p, d = await both(stack)
        rung = await ring(p, d)
        words = [server["credential"] for m in (rung, *p.all("call_response")) for server in m["data"]["iceServers"][1:]]
        assert len(set(words)) == 4
        stack.stop()  # then the logs are whole
        log = stack.log_text() + (stack.data / "log/access.log").read_text()
        assert '"program":"ws-relay"' in log and "/ws" in log
        assert not [word for word in words + SECRETS if word in log]
