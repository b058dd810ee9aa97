"""What an operator does to accounts, sessions and calls, while they are in use."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import termios
import threading

import pytest
import websockets
from stack import BUILD, PATIENCE, Stack, assert_free, both, call, call_end, ring, wait_until

V1 = {"subprotocols": ["telemed.v1"]}


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_DOCTOR_SIGNUP="open", TELEMED_WS_RATE=0) as s:
        yield s


def last_line(stack):
    return stack.sql("SELECT coalesce(max(seq), 0) FROM audit")[0][0]


def lines(stack, since, event="admin"):
    """(outcome, user, peer, call) of the lines behind SINCE."""
    return stack.sql("SELECT outcome, user_id, peer_id, call FROM audit WHERE seq > ? AND event = ? ORDER BY seq", since, event)


async def refused(stack, token):
    """The status that a handshake with TOKEN is refused with."""
    try:
        socket = await websockets.connect(f"{stack.ws}?token={token}", open_timeout=PATIENCE)
    except websockets.InvalidStatusCode as e:
        return e.status_code
    await socket.close()
    return None


async def assert_dead(stack, token):
    status, got = stack.rest("GET", "/auth/me", token=token)
    assert (status, got["code"]) == (401, "invalid_token")
    assert stack.rest("POST", "/auth/refresh", token=token)[0] == 401
    assert await refused(stack, token) == 401


def shown(client, user):
    """Is USER in the newest that CLIENT knows?"""
    state = None
    for m in client.got:
        if m["type"] == "users":
            state = user.id in [u["id"] for u in m["users"]]
        elif m["type"] == "presence":
            if user.id in m["del"]:
                state = False
            if user.id in [u["id"] for u in m["set"]]:
                state = True
    return state


# --- users add ---

def add(stack, *words, typed, **settings):
    return stack.admin("users", "add", *words, typed=typed, **settings)


def test_adds_an_account_that_can_log_in(stack):
    since = last_line(stack)
    code, out, err = add(stack, "PATIENT", typed="Ann Doe\nAnn.Doe@example.org\ncorrect horse\n")
    id = int(out.split()[0])
    assert (code, out, err) == (0, f"{id} is added\n", "")
    assert lines(stack, since) == [("add", 0, id, 0)]
    status, got = stack.rest("POST", "/auth/login", {"email": "ann.doe@example.org", "password": "correct horse"})
    assert status == 200 and got["user"] == {"id": id, "name": "Ann Doe", "email": "Ann.Doe@example.org", "role": "PATIENT",
                                             "status": "OFFLINE"}


def test_a_doctor_who_is_added_waits_for_nobody():
    with Stack(TELEMED_DOCTOR_SIGNUP="approve") as stack:
        got = json.loads(add(stack, "DOCTOR", "--json", typed="Dr. Who\nwho@example.org\ncorrect horse")[1])
        assert got == {"id": got["id"], "act": "add", "changed": True}
        assert stack.rest("POST", "/auth/login", {"email": "who@example.org", "password": "correct horse"})[1]["user"].get("pending") is None


@pytest.mark.parametrize("words,typed,code,says", [
    ((), "", 64, "PATIENT or a DOCTOR"),
    (("NURSE",), "", 64, "PATIENT or a DOCTOR"),
    (("PATIENT", "Ann"), "", 64, "PATIENT or a DOCTOR"),
    (("PATIENT",), "", 64, "name is missing"),
    (("PATIENT",), "Ann\n", 64, "email is missing"),
    (("PATIENT",), "Ann\nann@example.org\n", 64, "password is missing"),
    (("PATIENT",), "\nann@example.org\ncorrect horse\n", 64, "name must not be empty"),
    (("PATIENT",), "Ann\nann\ncorrect horse\n", 64, "email must be an address"),
    (("PATIENT",), "Ann\nann@example.org\nshort\n", 64, "password must have at least 8 bytes"),
    (("PATIENT",), "Ann\nann@example.org\n" + "x" * 73 + "\n", 64, "password must have at most 72 bytes"),
    (("PATIENT",), "Ann\nann@example.org\n" + "x" * 100000 + "\n", 64, "password is too long"),
    (("PATIENT",), b"Ann\nann@example.org\ncorrect\0horse\n", 64, "password must be UTF-8"),
    (("PATIENT",), b"\xff\xfe\nann@example.org\ncorrect horse\n", 64, "name must be UTF-8"),
], ids=range(13))
def test_adds_nobody_who_breaks_a_rule(stack, words, typed, code, says):
    before = stack.sql("SELECT count(*) FROM user")
    got, out, err = add(stack, *words, typed=typed)
    assert (got, out) == (code, "") and says in err and "horse" not in err
    assert stack.sql("SELECT count(*) FROM user") == before


def test_adds_no_email_twice(stack):
    user = stack.patient()
    code, out, err = add(stack, "PATIENT", typed=f"Other\n{user.email.upper()}\ncorrect horse\n")
    assert (code, out) == (65, "") and "email" in err and "@" not in err


def type_in(stack, words, answers):
    """On a terminal: waits for each prompt, and types what stands behind it. (exit code, all that the terminal showed)"""
    ours, theirs = pty.openpty()
    env = {**os.environ, **stack.settings, "TELEMED_DATA_DIR": str(stack.data)}
    process = subprocess.Popen([BUILD / "admin/telemed-admin", *words], env=env, stdin=theirs, stdout=theirs, stderr=theirs,
                               start_new_session=True)
    os.close(theirs)
    seen = b""

    def read():
        try:
            return os.read(ours, 4096)
        except OSError:  # nobody has it open any more
            return b""
    for prompt, answer in answers:
        start = len(seen)
        while prompt.encode() not in seen[start:]:
            got = read()
            assert got, seen
            seen += got
        os.write(ours, answer.encode() + b"\n")
    while got := read():
        seen += got
    os.close(ours)
    return process.wait(PATIENCE), seen.decode()


def test_a_password_that_is_typed_is_not_shown(stack):
    code, seen = type_in(stack, ["users", "add", "PATIENT"],
                         [("Name: ", "Typed"), ("Email: ", "typed@example.org"), ("Password: ", "correct horse"),
                          ("Password, once more: ", "correct horse")])
    assert code == 0 and "Typed" in seen and "horse" not in seen
    assert stack.rest("POST", "/auth/login", {"email": "typed@example.org", "password": "correct horse"})[0] == 200
    user = stack.patient()
    code, seen = type_in(stack, ["users", "reset-password", str(user.id)],
                         [("Password: ", "correct horse"), ("Password, once more: ", "another horse")])
    assert code == 64 and "not the same twice" in seen and "horse" not in seen.replace("another", "")
    assert stack.login(user)[0] == 200


@pytest.mark.parametrize("key,sig", [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
def test_who_thinks_better_of_it_at_the_password_has_a_terminal_as_before(stack, key, sig):
    user = stack.patient()
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(sig, signal.SIG_DFL)  # it is ignored where the tests run in the background
        os.execve(BUILD / "admin/telemed-admin", ["telemed-admin", "users", "reset-password", str(user.id)],
                  {**os.environ, **stack.settings, "TELEMED_DATA_DIR": str(stack.data)})
    seen = b""
    while b"Password: " not in seen:
        seen += os.read(terminal, 4096)
    assert not termios.tcgetattr(terminal)[3] & termios.ECHO
    os.write(terminal, b"half a pass" + key)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == sig
    assert termios.tcgetattr(terminal)[3] & termios.ECHO
    os.close(terminal)
    assert stack.login(user)[0] == 200


# --- users disable, enable ---

async def test_a_disabled_user_is_out_within_a_moment(stack):
    doctor, patient, other = stack.doctor(), stack.patient(), stack.patient()
    _, second = stack.login(doctor)
    seed, v1 = await patient.connect(), await other.connect(**V1)
    mine = [await doctor.connect(), await doctor.connect(**V1), await doctor.connect(token=second["token"])]
    await v1.until(lambda: shown(v1, doctor), "the doctor")
    since = last_line(stack)
    assert stack.admin("users", "disable", doctor.id) == (0, f"{doctor.id} is disabled\n", "")
    for client in mine:
        assert await client.closed() == 4501
    for token in (doctor.token, second["token"]):
        await assert_dead(stack, token)
    await seed.until(lambda: shown(seed, doctor) is False, "list without her")
    await v1.until(lambda: shown(v1, doctor) is False, "word that she is gone")
    assert doctor.id not in [d["id"] for d in stack.rest("GET", "/doctors", token=patient.token)[1]["doctors"]]
    assert lines(stack, since) == [("disable", 0, doctor.id, 0)]
    assert stack.admin_json("users", "disable", doctor.id) == {"id": doctor.id, "act": "disable", "changed": False}
    assert lines(stack, since) == [("disable", 0, doctor.id, 0)]


def test_a_disabled_user_is_answered_as_with_a_wrong_password(stack):
    user = stack.patient()
    stack.admin("users", "disable", user.email)
    since = last_line(stack)
    right, wrong = stack.login(user), stack.login(user, "wrong password")
    for _, got in (right, wrong):
        got.pop("instance")
    assert right == wrong and right[0] == 401 and right[1]["code"] == "bad_credentials"
    assert lines(stack, since, "login_failed") == [("disabled", user.id, 0, 0), ("wrong_password", user.id, 0, 0)]
    assert stack.rest("POST", "/auth/register", {"name": "x", "email": user.email, "password": "password", "role": "PATIENT"})[0] == 409
    # Enabled, she logs in; what she had before stays dead.
    assert stack.admin("users", "enable", user.id) == (0, f"{user.id} is enabled\n", "")
    assert stack.admin("users", "enable", user.id) == (0, f"{user.id} was not disabled\n", "")
    assert stack.rest("GET", "/auth/me", token=user.token)[0] == 401
    status, got = stack.login(user)
    assert status == 200 and stack.rest("GET", "/auth/me", token=got["token"])[0] == 200


async def test_a_disabled_user_is_nobody_to_others(stack):
    doctor, away = stack.doctor(), stack.patient()
    p, d = await stack.patient().connect(), await doctor.connect()
    for user in (doctor, away):
        stack.admin("users", "disable", user.id)
    assert await d.closed() == 4501
    for user in (doctor, away):
        await p.send("chat", to=user, id=f"chat {user.id}", message="Are you there?")
        assert (await p.answer(f"chat {user.id}"))["code"] == "not_found"
        await p.send("call_start", to=user, id=f"call {user.id}")
        assert (await p.wait("call_response"))["data"]["reason"] == "not_found"
    # Enabled and back, she is there as before.
    stack.admin("users", "enable", doctor.id)
    token = stack.login(doctor)[1]["token"]
    d = await doctor.connect(token=token)
    await p.wait_status(doctor, "ONLINE")
    await call(p, d, "afterwards")


@pytest.mark.parametrize("who", ["patient", "doctor"])
async def test_the_call_of_a_disabled_user_ends(stack, who):
    p, d = await both(stack)
    out, stays = (p, d) if who == "patient" else (d, p)
    await call(p, d)
    stack.admin("users", "disable", out.user.id)
    assert await out.closed() == 4501
    assert await stays.wait("call_end") == call_end(out.user, "revoked")
    await stays.wait_status(stays.user, "ONLINE")
    assert stack.live_calls() == [] or stays.user.id not in [i for c in stack.live_calls() for i in c[1:3]]
    other = await (stack.patient() if who == "patient" else stack.doctor()).connect()
    pair = (other, stays) if who == "patient" else (stays, other)
    await call(*pair, "the-next")


@pytest.mark.parametrize("who", ["patient", "doctor"])
async def test_a_call_that_rings_ends_with_the_account_of_either(stack, who):
    p, d = await both(stack)
    out, stays = (p, d) if who == "patient" else (d, p)
    await ring(p, d)
    stack.admin("users", "disable", out.user.id)
    assert await stays.wait("call_end") == call_end(out.user, "revoked")
    await stays.wait_status(stays.user, "ONLINE")


async def test_so_does_one_whose_party_is_away(stack):
    p, d = await both(stack)
    await call(p, d)
    await p.drop()
    stack.admin("users", "disable", p.user.id)
    assert await d.wait("call_end") == call_end(p.user, "revoked")
    await d.wait_status(d.user, "ONLINE")


async def test_disabled_while_nothing_runs():
    with Stack(TELEMED_CALL_GRACE=60) as stack:
        p, d = await both(stack)
        await call(p, d, "over")
        stack.stop()
        assert stack.admin("users", "disable", d.user.id)[0] == 0
        stack.start()
        wait_until(lambda: not stack.live_calls(), "the end of the call")
        got = stack.rest("GET", "/calls", token=p.user.token)[1]["calls"][0]
        assert (got["callId"], got["state"], got["reason"]) == ("over", "ENDED", "revoked")
        await assert_dead(stack, d.user.token)
        p = await p.user.connect()
        assert not shown(p, d.user)


async def test_no_login_gets_past_a_disable(stack):
    """Who is just logging in when she is disabled has a dead token, or none."""
    user = stack.patient()
    got, stop = [], threading.Event()

    def log_in():
        while not stop.is_set():
            got.append(stack.login(user))
    threads = [threading.Thread(target=log_in) for _ in range(4)]
    for t in threads:
        t.start()
    wait_until(lambda: len(got) > 8, "logins")
    assert stack.admin("users", "disable", user.id)[0] == 0
    n = len(got)
    wait_until(lambda: len(got) > n + 8, "logins")
    stop.set()
    for t in threads:
        t.join()
    statuses = [status for status, _ in got]
    assert set(statuses) == {200, 401}
    for status, answer in got:
        if status == 200:
            assert stack.rest("GET", "/auth/me", token=answer["token"])[0] == 401
    assert stack.sql("SELECT count(*) FROM session WHERE user_id = ?", user.id) == [(0,)]


async def test_a_call_that_just_begins_ends_when_its_callee_is_disabled(stack):
    p = await stack.patient().connect()
    for n in range(6):
        d = await stack.doctor().connect()
        await p.until(lambda d=d: shown(p, d.user), "the doctor")
        env = {**os.environ, **stack.settings, "TELEMED_DATA_DIR": str(stack.data)}
        process = subprocess.Popen([BUILD / "admin/telemed-admin", "users", "disable", str(d.user.id)], env=env,
                                   stdout=subprocess.DEVNULL)
        await asyncio.sleep(0.002 * n)
        await p.send("call_start", to=d.user, callId=f"race{n}", id=f"race{n}")
        answer = await p.answer(f"race{n}")
        assert process.wait(PATIENCE) == 0
        assert await d.closed() == 4501
        if answer["data"]["ok"]:
            assert await p.wait("call_end", lambda m, n=n: m["data"]["callId"] == f"race{n}") == call_end(d.user, "revoked", f"race{n}")
        else:
            assert answer["data"]["reason"] == "not_found"
    await p.wait_status(p.user, "ONLINE")


# --- users reset-password ---

async def test_a_new_password_ends_all_sessions(stack):
    p, d = await both(stack)
    await call(p, d)
    _, second = stack.login(d.user)
    other = await d.user.connect(token=second["token"])
    since = last_line(stack)
    assert stack.admin("users", "reset-password", d.user.id, typed="another horse\n") == (0, f"{d.user.id} has a new password\n", "")
    assert await d.closed() == await other.closed() == 4501
    assert await p.wait("call_end") == call_end(d.user, "revoked")
    for token in (d.user.token, second["token"]):
        await assert_dead(stack, token)
    assert stack.login(d.user)[0] == 401
    status, got = stack.login(d.user, "another horse")
    assert status == 200 and lines(stack, since) == [("reset_password", 0, d.user.id, 0)]
    d = await d.user.connect(token=got["token"])  # in the same second, and it stays
    await d.barrier()
    await p.wait_status(d.user, "ONLINE")
    await call(p, d, "the-next")


def test_a_password_that_breaks_the_rule_changes_nothing(stack):
    user = stack.patient()
    for typed in ("", "\n", "short\n", "x" * 73 + "\n"):
        assert stack.admin("users", "reset-password", user.id, typed=typed)[0] == 64
    assert stack.admin("users", "reset-password", 999999, typed="another horse\n")[0] == 67
    assert stack.login(user)[0] == 200 and stack.rest("GET", "/auth/me", token=user.token)[0] == 200


def test_no_login_with_the_old_password_gets_past():
    """bcrypt takes a while: the account is another one by then."""
    with Stack(TELEMED_BCRYPT_COST="8") as stack:
        user = stack.patient()
        got, stop = [], threading.Event()

        def log_in():
            while not stop.is_set():
                got.append(stack.login(user))
        threads = [threading.Thread(target=log_in) for _ in range(4)]
        for t in threads:
            t.start()
        for n in range(3):
            start = len(got)
            wait_until(lambda start=start: len(got) > start + 4, "logins")
            assert stack.admin("users", "reset-password", user.id, typed=f"{'password' if n == 1 else 'another horse'}\n")[0] == 0
            tokens = [answer["token"] for status, answer in got if status == 200]
            alive = [stack.rest("GET", "/auth/me", token=t)[0] for t in tokens]
            assert n == 1 or set(alive) == {401}  # after the second the password is the old one again
        stop.set()
        for t in threads:
            t.join()


# --- users erase ---

async def test_who_is_erased_while_connected_is_gone(stack):
    doctor = stack.register("DOCTOR", "Dr. Unforgettable")
    p, d = await stack.patient().connect(), await doctor.connect()
    await call(p, d, "with-somebody")
    since = last_line(stack)
    assert stack.admin("users", "erase", doctor.id)[0] == 64
    assert stack.rest("GET", "/auth/me", token=doctor.token)[0] == 200
    assert stack.admin("users", "erase", doctor.id, "--yes") == (0, f"{doctor.id} is erased\n", "")
    assert await d.closed() == 4501
    assert await p.wait("call_end") == call_end(doctor, "revoked", "with-somebody")
    await p.until(lambda: shown(p, doctor) is False, "list without her")
    await assert_dead(stack, doctor.token)
    assert lines(stack, since) == [("erase", 0, doctor.id, 0)]
    got = stack.rest("GET", "/calls", token=p.user.token)[1]["calls"][0]
    assert got["peer"] == {"id": doctor.id, "name": "Erased", "role": "DOCTOR"} and got["reason"] == "revoked"
    (row,) = [u for u in stack.admin_json("users", "list")["users"] if u["id"] == doctor.id]
    assert row == {"id": doctor.id, "name": "Erased", "email": f"erased {doctor.id}", "role": "DOCTOR", "status": "OFFLINE",
                   "pending": False, "disabled": True, "erased": True, "createdAt": row["createdAt"]}
    assert stack.login(doctor)[0] == 401
    # There is no way back, and the email is free.
    for words, typed in ((("enable",), ""), (("reset-password",), "another horse\n")):
        assert stack.admin("users", *words, doctor.id, typed=typed)[0] == 65
    assert stack.admin("users", "erase", doctor.id, "--yes") == (0, f"{doctor.id} was erased before\n", "")
    status, new = stack.rest("POST", "/auth/register", {"name": "New", "email": doctor.email, "password": "password", "role": "PATIENT"})
    assert status == 201 and new["user"]["id"] != doctor.id
    assert stack.rest("GET", "/calls", token=new["token"])[1]["calls"] == []


def test_the_files_forget_who_was_erased():
    with Stack(TELEMED_AUTH_RATE=1000) as stack:
        user = stack.register("PATIENT", "Jane Zqnameonce")
        stack.login(user, "wrong password")
        assert stack.sql("SELECT count(*) FROM auth_attempt WHERE bucket LIKE '%' || ?", user.email) == [(1,)]
        stack.patient()
        assert stack.admin("users", "erase", user.id, "--yes") == (0, f"{user.id} is erased\n", "")
        assert stack.sql("SELECT count(*) FROM auth_attempt WHERE bucket LIKE '%' || ?", user.email) == [(0,)]
        for name in ("telemed.db", "telemed.db-wal"):
            data = (stack.data / name).read_bytes()
            assert b"Zqnameonce" not in data and user.email.encode() not in data, name
        assert stack.admin("audit", "verify")[0] == 0


# --- sessions ---

def sessions(stack, user):
    return stack.admin_json("sessions", "list", "--user", user.id)["sessions"]


async def test_sessions_are_listed_from_login_to_logout(stack):
    user = stack.patient()
    (first,) = sessions(stack, user)
    assert first == {"session": first["session"], "user": user.id, "beganAt": first["beganAt"], "endsAt": first["endsAt"],
                     "from": "127.0.0.1"} and first["beganAt"] < first["endsAt"]
    _, second = stack.login(user)
    stack.rest("POST", "/auth/refresh", token=second["token"])  # which is the same session
    assert len(sessions(stack, user)) == 2 and first in sessions(stack, user)
    assert first in stack.admin_json("sessions", "list")["sessions"]
    stack.rest("POST", "/auth/logout", token=user.token)
    assert len(sessions(stack, user)) == 1 and first not in sessions(stack, user)
    code, out, _ = stack.admin("sessions", "list", "--user", user.email)
    assert code == 0 and out.splitlines()[1].split()[1] == str(user.id) and "127.0.0.1" in out
    stack.rest("POST", "/auth/logout", token=second["token"])
    assert stack.admin("sessions", "list", "--user", user.id) == (0, "Nobody is logged in.\n", "")


async def test_one_session_is_ended_and_the_other_goes_on(stack):
    user = stack.patient()
    (first,) = sessions(stack, user)
    _, second = stack.login(user)
    mine, other = await user.connect(), await user.connect(token=second["token"])
    since = last_line(stack)
    got = stack.admin_json("sessions", "kick", first["session"])
    assert got == {"user": user.id, "session": first["session"], "act": "kick"}
    assert await mine.closed() == 4501
    await assert_dead(stack, user.token)
    await other.barrier()
    assert stack.rest("GET", "/auth/me", token=second["token"])[0] == 200
    assert lines(stack, since) == [("kick", 0, user.id, 0)] and len(sessions(stack, user)) == 1
    for session in (first["session"], "nothing"):
        code, out, err = stack.admin("sessions", "kick", session)
        assert (code, out) == (67, "") and "session" in err


async def test_all_sessions_of_a_user_are_ended_also_unnoted_ones(stack):
    user = stack.patient()
    unnoted = stack.sign(user.id, user.role, 3600)
    mine, other = await user.connect(), await user.connect(token=unnoted)
    assert stack.admin("sessions", "kick", "--user", user.id) == (0, f"All sessions of {user.id} are over\n", "")
    assert await mine.closed() == await other.closed() == 4501
    for token in (user.token, unnoted):
        await assert_dead(stack, token)
    assert sessions(stack, user) == []
    status, got = stack.login(user)
    assert status == 200
    again = await user.connect(token=got["token"], **V1)
    await again.barrier()
    assert len(sessions(stack, user)) == 1
    # A renewed token takes the connection over, and its session's end reaches it.
    _, renewed = stack.rest("POST", "/auth/refresh", token=got["token"])
    await again.send("token_refresh", id="t", token=renewed["token"])
    await again.wait("ack")
    await again.send("token_refresh", id="dead", token=user.token)
    assert (await again.answer("dead"))["code"] == "forbidden"
    stack.admin("sessions", "kick", "--user", user.email)
    assert await again.closed() == 4501


async def test_sessions_are_ended_over_a_restart_of_the_relay(stack):
    user = stack.patient()
    c = await user.connect()
    await c.barrier()
    relay = stack.pids("ws-relay")[0]
    os.kill(relay, signal.SIGSTOP)
    try:
        assert stack.admin("sessions", "kick", "--user", user.id)[0] == 0
    finally:
        os.kill(relay, signal.SIGKILL)
    await c.closed()
    wait_until(lambda: stack.pids("ws-relay") not in ([], [relay]) and stack.rest("GET", "/readyz")[0] == 200, "the relay")
    await assert_dead(stack, user.token)


@pytest.mark.parametrize("words", [("kick",), ("kick", "a", "b"), ("kick", "a", "--user", "1"), ("kick", "--user"), ("list", "x"),
                                   ("kick", "--user", "x"), ("list", "--user", "0")])
def test_a_wrong_command_line_about_sessions(stack, words):
    code, out, err = stack.admin("sessions", *words)
    assert (code, out) == (64, "") and "telemed-admin sessions" in err
    assert stack.admin("sessions", "list", "--user", "999999")[0] == 67


# --- calls ---

def live(stack, *parties):
    return [c for c in stack.admin_json("calls", "list")["calls"] if c["caller"] in [p.user.id for p in parties]]


@pytest.mark.parametrize("state", ["RINGING", "ACTIVE"])
async def test_a_call_is_ended_by_an_operator(stack, state):
    p, d = await both(stack)
    v1 = await p.user.connect(**V1)
    await (call if state == "ACTIVE" else ring)(p, d, "long")
    (row,) = live(stack, p)
    assert row == {"number": row["number"], "callId": "long", "caller": p.user.id, "callee": d.user.id, "state": state,
                   "startedAt": row["startedAt"], "answeredAt": row["answeredAt"], "endedAt": None, "reason": None}
    assert (row["answeredAt"] is None) == (state == "RINGING")
    since = last_line(stack)
    assert stack.admin("calls", "end", row["number"]) == (0, f"Call {row['number']} is over\n", "")
    for client in (p, d):
        assert await client.wait("call_end") == call_end(p.user, "revoked", "long")
    assert (await v1.wait("call_state", lambda m: m["data"]["state"] == "ENDED"))["data"]["callId"] == "long"
    assert live(stack, p) == []
    (row,) = [c for c in stack.admin_json("calls", "list", "--all")["calls"] if c["number"] == row["number"]]
    assert (row["state"], row["reason"]) == ("ENDED", "revoked") and row["endedAt"]
    assert lines(stack, since) == [("end_call", 0, 0, row["number"])]
    assert lines(stack, since, "call_ended") == [("revoked", p.user.id, d.user.id, row["number"])]
    code, out, err = stack.admin("calls", "end", row["number"])
    assert (code, out, err) == (65, "", "telemed-admin: The call is over.\n")
    await assert_free(p, d)


async def test_a_call_is_ended_when_the_relay_is_back(stack):
    p, d = await both(stack)
    await call(p, d, "waits")
    await p.barrier()
    (row,) = live(stack, p)
    relay = stack.pids("ws-relay")[0]
    os.kill(relay, signal.SIGSTOP)
    try:
        assert stack.admin_json("calls", "end", row["number"]) == {"number": row["number"], "act": "end_call", "over": False}
        assert live(stack, p) == [row]
    finally:
        os.kill(relay, signal.SIGCONT)
    for client in (p, d):
        assert await client.wait("call_end") == call_end(p.user, "revoked", "waits")


async def test_a_call_that_was_to_end_ends_after_a_restart(stack):
    p, d = await both(stack)
    await call(p, d, "restarted")
    await p.barrier()
    (row,) = live(stack, p)
    relay = stack.pids("ws-relay")[0]
    os.kill(relay, signal.SIGSTOP)
    try:
        assert stack.admin_json("calls", "end", row["number"])["over"] is False
    finally:
        os.kill(relay, signal.SIGKILL)
    wait_until(lambda: live(stack, p) == [], "the end of the call")
    # And a later one of the same name is not touched.
    p, d = await p.user.reconnect(), await d.user.reconnect()
    await p.wait_status(d.user, "ONLINE")
    await call(p, d, "restarted")
    await p.barrier()
    assert len(live(stack, p)) == 1 and p.count("call_end") == 0


@pytest.mark.parametrize("words,code", [(("end",), 64), (("end", "x"), 64), (("end", "0"), 64), (("end", "1", "2"), 64), (("list", "x"), 64),
                                        (("end", "999999"), 67)])
def test_a_wrong_command_line_about_calls(stack, words, code):
    got, out, err = stack.admin("calls", *words)
    assert (got, out) == (code, "") and err


async def test_lists_calls_for_a_person():
    with Stack() as stack:
        assert stack.admin("calls", "list") == (0, "There is no call.\n", "")
        assert stack.admin("calls", "list", "--all") == (0, "There were no calls.\n", "")
        p, d = await both(stack)
        await call(p, d)
        code, out, _ = stack.admin("calls", "list")
        assert code == 0 and out.splitlines()[1].split()[:4] == ["1", str(p.user.id), str(d.user.id), "ACTIVE"]
        assert p.user.name not in out


# --- the trail ---

def test_every_act_has_a_line_without_a_name(stack):
    text = stack.admin("audit", "list")[1]
    for word in ("add", "disable", "enable", "reset_password", "erase", "kick", "end_call"):
        assert f" admin {word} " in text, word
    for word in ("example.org", "Unforgettable", "horse"):
        assert word not in text
    assert stack.admin("audit", "verify")[0] == 0
