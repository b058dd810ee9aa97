"""telemed-admin status, config check and token explain."""

import base64
import json
import os
import subprocess
import time

import pytest
from stack import Stack, call, both

SECRET = "a secret of thirty-two bytes or more"


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_JWT_SECRET=SECRET) as s:
        yield s


# --- status ---

async def test_status_counts_what_there_is():
    with Stack(TELEMED_DOCTOR_SIGNUP="approve") as stack:
        got = stack.admin_json("status")
        assert got["relayRuns"] is got["apiRuns"] is True
        assert got["users"] == {"patients": 0, "doctors": 0, "pending": 0, "disabled": 0, "erased": 0}
        p, d = await both(stack)
        stack.admin("users", "approve", d.user.id)
        waits, out, gone = stack.doctor(), stack.patient(), stack.patient()
        stack.admin("users", "disable", out.id)
        stack.admin("users", "erase", gone.id, "--yes")
        await p.wait_status(d.user, "ONLINE")
        await call(p, d)
        await p.barrier()
        got = stack.admin_json("status")
        assert got["users"] == {"patients": 1, "doctors": 1, "pending": 1, "disabled": 1, "erased": 1}
        assert (got["sessions"], got["connected"], got["calls"]) == (3, 2, {"ringing": 0, "active": 1})
        assert got["database"]["bytes"] + got["database"]["logBytes"] > 0
        assert got["auditLine"] == stack.sql("SELECT max(seq) FROM audit")[0][0]
        code, text, err = stack.admin("status")
        assert (code, err) == (0, "") and "ws-relay     runs\n" in text and "1 ringing" not in text and "1 active" in text
        assert "patients 1, doctors 1;" in text
        for word in (waits.name, p.user.name, "example.org"):
            assert word not in text
        stack.stop()
        got = stack.admin_json("status", code=1)
        assert got["relayRuns"] is got["apiRuns"] is False
        assert "ws-relay     does not run\n" in stack.admin("status")[1]
        assert stack.admin("status", "all")[0] == 64


# --- config check ---

def findings(stack, code=0, **settings):
    got = stack.admin_json("config", "check", code=code, **settings)
    return {(c["check"], c["outcome"]): c["says"] for c in got["checks"]}


def test_config_check_of_a_running_telemed(stack):
    got = findings(stack)
    assert {what for what, outcome in got if outcome == "ok"} >= {"settings", "data directory", "secret", "audit key", "database"}
    assert {what for what, outcome in got if outcome == "note"} == {"visibility", "doctors", "turn", "logins"}
    quiet = findings(stack, TELEMED_VISIBILITY="scoped", TELEMED_DOCTOR_SIGNUP="approve", TELEMED_AUTH_RATE="30",
                     TELEMED_TURN_URLS="stun:turn.example")
    assert {outcome for _, outcome in quiet} == {"ok"}
    code, out, _ = stack.admin("config", "check")
    assert code == 0 and "TELEMED_VISIBILITY=scoped" in out and SECRET not in out
    for bind, proxy, noted in (("0.0.0.0", "", True), ("::", "", True), ("0.0.0.0", "203.0.113.7", False), ("127.0.0.2", "", False),
                               ("::1", "", False)):
        assert (("tls", "note") in findings(stack, TELEMED_BIND=bind, TELEMED_TRUSTED_PROXY=proxy)) == noted, bind


@pytest.mark.parametrize("what,settings", [
    ("settings", {"TELEMED_VISIBILITY": "most"}), ("settings", {"TELEMED_VISIBILTY": "all"}), ("settings", {"TELEMED_DATA_DIR": "x" * 1020}),
    ("secret", {"TELEMED_JWT_SECRET": "short"}), ("secret", {"TELEMED_JWT_SECRET": "", "TELEMED_JWT_SECRET_FILE": "/nonexistent"}),
    ("audit key", {"TELEMED_AUDIT_KEY_FILE": "/nonexistent"}), ("settings", {"TELEMED_TURN_URLS": "turn:turn.example"}),
    ("tls port", {"TELEMED_TLS_PEM": "/nonexistent", "TELEMED_TLS_PORT": "8080", "TELEMED_PORT": "8080"})])
def test_config_check_says_what_is_wrong(stack, what, settings):
    got = findings(stack, 78, **settings)
    assert (what, "wrong") in got, got
    assert SECRET not in json.dumps(list(got.values()))


def test_config_check_of_a_place_where_nothing_was_started(tmp_path):
    stack = Stack(TELEMED_DATA_DIR=str(tmp_path / "new"))
    got = stack.admin("config", "check", "--json", TELEMED_DATA_DIR=str(tmp_path / "new"))
    outcomes = {c["check"]: c["outcome"] for c in json.loads(got[1])["checks"]}
    assert got[0] == 0 and outcomes["database"] == outcomes["audit key"] == outcomes["secret"] == outcomes["data directory"] == "note"
    assert list(tmp_path.iterdir()) == []
    stack.dir.cleanup()


def test_config_check_looks_at_files(stack, tmp_path):
    secret, key = tmp_path / "secret", tmp_path / "key"
    for file in (secret, key):
        file.write_bytes(os.urandom(32))
        file.chmod(0o644)
    got = findings(stack, 78, TELEMED_JWT_SECRET="", TELEMED_JWT_SECRET_FILE=str(secret), TELEMED_AUDIT_KEY_FILE=str(key))
    assert ("secret", "note") in got and "chmod" in got["audit key", "wrong"]
    (tmp_path / "long").mkdir()
    long = tmp_path / ("x" * 120)
    long.mkdir(mode=0o700)
    assert ("sockets", "wrong") in findings(stack, 78, TELEMED_DATA_DIR=str(long))
    (long / "telemed.db").write_bytes(os.urandom(9000))
    code, out, _ = stack.admin("config", "check", TELEMED_DATA_DIR=str(long))
    assert code == 78 and [line for line in out.splitlines() if line.startswith("wrong") and "damaged" in line]


def test_config_check_of_a_secret_in_the_settings_file(tmp_path):
    """It counts as well as one of the environment, and wants a file that is nobody else's."""
    stack = Stack()
    file = tmp_path / "settings"
    file.write_text(f"TELEMED_JWT_SECRET={SECRET}\n")
    stack.data.mkdir(mode=0o700)
    for mode, told in ((0o600, False), (0o644, True)):
        file.chmod(mode)
        got = findings(stack, TELEMED_SETTINGS_FILE=str(file))
        assert ("secret", "ok") in got and (("settings file", "note") in got) == told, got
        assert SECRET not in json.dumps(list(got.values()))
    stack.dir.cleanup()


def test_config_check_looks_at_the_second_secret(stack):
    second = stack.data / "secret.second"
    second.write_bytes(os.urandom(32))
    for mode, outcome in ((0o600, "ok"), (0o644, "note")):
        second.chmod(mode)
        assert ("second secret", outcome) in findings(stack)
    second.unlink()
    assert not [what for what, _ in findings(stack) if what == "second secret"]


def certificate(folder, name, days):
    """Its key and itself, one file."""
    key, wish, cert, pem = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.crt", folder / name
    for command in (["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout", key,
                     "-out", wish], ["x509", "-req", "-in", wish, "-signkey", key, "-days", str(days), "-out", cert]):
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60)
    pem.write_bytes(key.read_bytes() + cert.read_bytes())
    pem.chmod(0o600)
    return pem


def test_config_check_looks_at_the_certificate(stack, tmp_path):
    def look(path, code=0):
        got = findings(stack, code, TELEMED_TLS_PEM=str(path))
        return {outcome for what, outcome in got if what == "tls"}, {says for (what, _), says in got.items() if what == "certificate"}
    good, soon, over = (certificate(tmp_path, name, days) for name, days in (("good", 30), ("soon", 3), ("over", -1)))
    assert look(good)[0] == look(soon)[0] == look(over)[0] == {"ok"}
    assert "more than two weeks" in look(good)[1].pop()
    assert look(soon)[1] == {"It runs out within two weeks."}
    assert "has run out" in look(over)[1].pop()
    good.chmod(0o644)
    assert look(good)[0] == {"note"}
    other = tmp_path / "other"
    other.write_bytes((tmp_path / "good.key").read_bytes() + (tmp_path / "soon.crt").read_bytes())
    (tmp_path / "text").write_text("no key\n")
    locked = tmp_path / "locked"
    subprocess.run(["openssl", "ec", "-in", tmp_path / "good.key", "-aes128", "-passout", "pass:word", "-out", locked], check=True,
                   capture_output=True, timeout=60)
    locked.write_bytes(locked.read_bytes() + (tmp_path / "good.crt").read_bytes())
    for path in (locked, other, tmp_path / "text", tmp_path / "good.crt", tmp_path / "good.key", tmp_path / "none"):
        assert look(path, 78) == ({"wrong"}, set()), path


# --- token explain ---

def explain(stack, token, code=1, **settings):
    got, out, err = stack.admin("token", "explain", "--json", typed=token, **settings)
    assert (got, err) == (code, ""), (got, out, err)
    plain = stack.admin("token", "explain", typed=token, **settings)
    assert plain[0] == code
    for part in token.split(".")[1:]:
        assert len(part) < 8 or part not in out + plain[1] + plain[2]
    answer = json.loads(out)
    assert answer["says"] in plain[1] and answer["good"] is (code == 0)
    return answer


def signed(stack, id, ttl, secret=SECRET.encode(), **claims):
    (stack.data / "secret").write_bytes(secret)
    try:
        return stack.sign(id, "PATIENT", ttl, **claims)
    finally:
        (stack.data / "secret").unlink()


def test_a_good_token_is_explained(stack):
    user = stack.patient()
    got = explain(stack, user.token + "\n", 0)
    assert got["found"] == "good" and got["token"]["user"] == user.id and got["token"]["role"] == "PATIENT"
    (session,) = stack.admin_json("sessions", "list", "--user", user.id)["sessions"]
    assert got["token"]["session"] == session["session"]
    assert stack.admin("token", "explain", typed=user.token)[1].startswith("It is good.\nuser       ")


def test_why_a_token_is_no_good(stack):
    user = stack.patient()
    header, payload, signature = user.token.split(".")
    other = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token, found in ((signed(stack, user.id, -5), "expired"), (signed(stack, user.id, 100, b"x" * 32), "signature"),
                         (f"{header}.{payload}.{signature[:-2]}AA", "signature"), (f"{other}.{payload}.{signature}", "header"),
                         (f"{header}.{payload}", "malformed"), ("x" * 5000, "malformed"), ("hello", "malformed"), ("\n", "malformed"),
                         (signed(stack, "01", 100), "claims"), (signed(stack, user.id, 9000, iat=int(time.time()) + 3600), "early"),
                         (signed(stack, 999999, 100), "no_user")):
        got = explain(stack, token)
        assert got["found"] == found, (got, found)
        assert found in ("malformed", "header", "claims") or got["token"]["user"] in (user.id, 999999)
    assert explain(stack, user.token + "\0x")["found"] == "malformed"


def test_what_became_of_its_session(stack):
    out, kicked, disabled = stack.patient(), stack.patient(), stack.patient()
    stack.rest("POST", "/auth/logout", token=out.token)
    stack.admin("sessions", "kick", "--user", kicked.id)
    stack.admin("users", "disable", disabled.id)
    for user, found in ((out, "logged_out"), (kicked, "ended"), (disabled, "disabled")):
        got = explain(stack, user.token)
        assert got["found"] == found and got["token"]["user"] == user.id


def test_a_token_is_no_word_of_a_command_line(stack):
    user = stack.patient()
    code, out, err = stack.admin("token", "explain", user.token)
    assert (code, out) == (64, "") and user.token not in err
    assert stack.admin("token", "explain")[0] == 64
    assert stack.admin("token", "explain", typed=user.token, TELEMED_JWT_SECRET="short")[0] == 78


def test_a_session_of_somebody_else_s_words_is_tamed(stack):
    user = stack.patient()
    text = stack.admin("token", "explain", typed=signed(stack, user.id, 100, jti="\x1b[31m"))[1]
    assert "\x1b" not in text and "[31m" in text
