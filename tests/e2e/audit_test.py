"""The audit trail: each event's line, through the real programs, and what the command says of it."""

import asyncio
import hashlib
import hmac
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading

import pytest
from stack import BUILD, ROOT, Stack, call, wait_until
from wire import Wire, frame, head

ADMIN = BUILD / "admin/telemed-admin"
FIELDS = "seq, at_ms, event, outcome, user_id, peer_id, call, left_out, source, mac"


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_CALL_GRACE=3, TELEMED_PRESENCE_GRACE=1) as s:
        yield s


def admin(data, *words, **env):
    return subprocess.run([ADMIN, "audit", *words], env={**os.environ, "TELEMED_DATA_DIR": str(data), **env},
                          capture_output=True, text=True, timeout=60, check=False)


def report(data, *words):
    """(exit code, what verify says as JSON)."""
    got = admin(data, "verify", "--json", *words)
    return got.returncode, json.loads(got.stdout)


def last_line(stack):
    return stack.sql("SELECT coalesce(max(seq), 0) FROM audit")[0][0]


def lines(stack, since):
    """(event, outcome, user, peer) of the lines behind SINCE."""
    return stack.sql("SELECT event, outcome, user_id, peer_id FROM audit WHERE seq > ? ORDER BY seq", since)


def login(stack, n, password="password"):
    return stack.rest("POST", "/auth/login", {"email": f"user{n}@example.org", "password": password})


def number_of(stack, call_id):
    return stack.sql("SELECT id FROM call WHERE call_id = ?", call_id)[0][0]


def test_every_rest_event_leaves_one_line(stack):
    since = last_line(stack)
    doctor = stack.doctor()
    n = stack.users
    patient = stack.patient()
    _, got = login(stack, n)
    assert login(stack, n, "not the password")[0] == 401
    assert stack.rest("POST", "/auth/login", {"email": "nobody@example.org", "password": "password"})[0] == 401
    doctor.set_status("BUSY")
    doctor.set_status("BUSY")  # which changes nothing
    assert stack.rest("POST", "/doctors/status", {"status": "ONLINE"}, patient.token)[0] == 403
    assert stack.rest("POST", "/auth/logout", token=got["token"], body=b"")[0] == 204
    assert stack.rest("GET", "/auth/me", token=got["token"])[0] == 401
    # What tells of nobody who is known, and what is no event.
    assert stack.rest("GET", "/auth/me", token="x.y.z")[0] == 401
    assert stack.rest("GET", "/auth/me", token=stack.sign(doctor.id, "DOCTOR", -5))[0] == 401
    assert stack.rest("GET", "/auth/me", token=doctor.token)[0] == 200
    assert stack.rest("POST", "/auth/register", {"name": "x", "email": f"user{n}@example.org", "password": "password",
                                                 "role": "PATIENT"})[0] == 409
    assert lines(stack, since) == [
        ("registered", "DOCTOR", doctor.id, 0),
        ("registered", "PATIENT", patient.id, 0),
        ("login", "ok", doctor.id, 0),
        ("login_failed", "wrong_password", doctor.id, 0),
        ("login_failed", "unknown_account", 0, 0),
        ("status", "BUSY", doctor.id, 0),
        ("denied", "doctors_only", patient.id, 0),
        ("logout", "ok", doctor.id, 0),
        ("denied", "invalid_token", doctor.id, 0),
    ]
    assert {row[0] for row in stack.sql("SELECT source FROM audit WHERE seq > ?", since)} == {"127.0.0.1"}


async def test_every_event_of_the_socket_leaves_one_line(stack):
    patient, doctor, other = stack.patient(), stack.doctor(), stack.patient()
    p, d, o = await patient.connect(), await doctor.connect(), await other.connect()
    since = last_line(stack)
    await call(p, d, "a-name-that-a-client-chose")
    await o.send("call_end", id="third", callId="a-name-that-a-client-chose")
    assert (await o.answer("third"))["code"] == "no_call"
    await d.send("call_end")
    await p.wait("call_end")
    await d.send("call_start", to=patient, id="wrong", callId="x")
    await d.answer("wrong")
    await o.send("call_start", to=patient, id="wrong", callId="x")
    await o.answer("wrong")
    await o.send("set_status", id="s", status="ONLINE")
    assert (await o.answer("s"))["code"] == "forbidden"
    await o.send("token_refresh", id="t", token=doctor.token)
    assert (await o.answer("t"))["code"] == "forbidden"
    await d.send("set_status", id="s", status="BUSY")
    await d.answer("s")
    await d.send("set_status", id="s2", status="BUSY")
    await d.answer("s2")
    for c in (p, d, o):
        await c.barrier()
    number = number_of(stack, "a-name-that-a-client-chose")
    assert lines(stack, since) == [
        ("call_started", "ringing", patient.id, doctor.id),
        ("call_answered", "active", doctor.id, patient.id),
        ("denied", "no_call", other.id, 0),
        ("call_ended", "hangup", doctor.id, patient.id),
        ("denied", "not_a_patient", doctor.id, patient.id),
        ("denied", "not_a_doctor", other.id, patient.id),
        ("denied", "forbidden", other.id, 0),
        ("denied", "forbidden", other.id, 0),
        ("status", "BUSY", doctor.id, 0),
    ]
    rows = stack.sql("SELECT event, call, source FROM audit WHERE seq > ? ORDER BY seq", since)
    assert {r[2] for r in rows} == {"127.0.0.1"}
    assert {r[1] for r in rows if r[0].startswith("call_")} == {number}


async def test_a_call_that_nobody_answers_or_comes_back_to(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    since = last_line(stack)
    await call(p, d, "left")
    await p.drop()
    await d.wait("call_end")
    assert lines(stack, since)[-1] == ("call_ended", "disconnected", patient.id, doctor.id)


async def test_a_dead_session_at_the_door(stack):
    user = stack.patient()
    assert stack.rest("POST", "/auth/logout", token=user.token, body=b"")[0] == 204
    since = last_line(stack)
    with Wire(stack.port) as wire:
        assert wire.ask(head(f"/ws?token={user.token}"))[0] == 401
    wait_until(lambda: lines(stack, since) == [("denied", "invalid_token", user.id, 0)], "the line of it")


def test_no_header_of_a_client_changes_where_it_comes_from(stack):
    since = last_line(stack)
    lies = {"X-Forwarded-For": "198.51.100.9", "Forwarded": "for=198.51.100.9", "X-Real-IP": "198.51.100.9"}
    stack.rest("POST", "/auth/login", {"email": "nobody@example.org", "password": "password"}, headers=lies)
    doctor = stack.doctor()
    with Wire(stack.port) as wire:
        assert wire.ask(head(f"/ws?token={doctor.token}", *(f"{k}: {v}" for k, v in lies.items()),
                             "X-Forwarded-For: 198.51.100.10"))[0] == 101
        wire.send(frame(json.dumps({"type": "set_status", "id": "s", "data": {"status": "BUSY"}})))
        wire.next(type="ack")
    assert lines(stack, since)[-1][0] == "status"
    assert {row[0] for row in stack.sql("SELECT source FROM audit WHERE seq > ?", since)} == {"127.0.0.1"}


def check_by_hand(stack):
    """docs/audit.md says how a line's MAC is made; this does it again, with nothing of ours."""
    key = (stack.data / "audit.key").read_bytes()
    previous = bytes(32)
    want = 1
    for row in stack.sql(f"SELECT {FIELDS} FROM audit ORDER BY seq"):
        text = "".join(f"{field}\n" for field in row[:-1]).encode()
        assert row[0] == want and row[-1] == hmac.digest(key, b"line\n" + previous + text, hashlib.sha256), row
        previous, want = row[-1], want + 1
    number, mac, seal = (stack.data / "audit.head").read_text().split()
    assert (int(number), bytes.fromhex(mac)) == (want - 1, previous)
    assert bytes.fromhex(seal) == hmac.digest(key, f"head\n{want - 1}\n{mac}\n".encode(), hashlib.sha256)
    return want - 1


def test_the_trail_is_whole_by_the_command_and_by_hand(stack):
    n = check_by_hand(stack)
    code, got = report(stack.data)
    assert code == 0 and got["whole"] and got["lines"] == n == got["last"]["line"], got
    assert admin(stack.data, "verify").returncode == 0
    anchor = f"{got['last']['line']}:{got['last']['mac']}"
    assert report(stack.data, "--anchor", anchor)[0] == 0
    assert report(stack.data, "--anchor", f"{n}:{'0' * 64}")[1]["found"] == "not_the_anchor"


def test_nobody_s_words_are_in_it(stack):
    text = admin(stack.data, "list").stdout
    told = [json.loads(line) for line in admin(stack.data, "list", "--json").stdout.splitlines()]
    assert len(text.splitlines()) == len(told) == last_line(stack)
    for word in ("example.org", "password\n", "patient 1", "doctor 1", "patient 2", "a-name-that", "not the"):
        assert word not in text + json.dumps(told)
    assert {key for line in told for key in line} == {"line", "at_ms", "event", "outcome", "user", "peer", "call", "left_out",
                                                      "source", "mac"}
    since = admin(stack.data, "list", "--since", str(len(told) - 2)).stdout
    assert since == "".join(line + "\n" for line in text.splitlines()[-2:])


@pytest.mark.parametrize("words", [("verify", "--after"), ("verify", "--after", "x"), ("verify", "--anchor", "5"),
                                   ("verify", "--anchor", "5:ab"), ("list", "--since", "-1"), ("list", "--anchor", f"1:{'0' * 64}"),
                                   ("verify", "one", "more"), ("list", "one", "more"), ("verify", "--after", "5", "--anchor", f"4:{'0' * 64}"),
                                   ("archive",), ("archive", "x"),
                                   ("archive", "--until", "5"), ("forget",)])
def test_a_wrong_command_line(stack, words):
    got = admin(stack.data, *words)
    assert got.returncode == 64 and got.stdout == "" and got.stderr


def test_where_there_is_no_trail(stack, tmp_path):
    got = admin(tmp_path, "verify")
    assert got.returncode == 66 and f"no database in {tmp_path} " in got.stderr
    assert admin(stack.data, "verify", tmp_path / "no-archive").returncode == 66
    (tmp_path / "telemed.db").write_bytes(os.urandom(9000))
    assert admin(tmp_path, "verify").returncode == 74
    assert admin(stack.data, "verify", TELEMED_AUDIT_KEY_FILE="/nonexistent/key").returncode == 78
    assert list(tmp_path.iterdir()) == [tmp_path / "telemed.db"]


@pytest.fixture(scope="module")
def copy(stack, tmp_path_factory):
    """Makes copies of the data, which tests spoil."""
    made = tmp_path_factory.mktemp("copies")
    stack.patient()
    assert login(stack, stack.users, "wrong password")[0] == 401
    while last_line(stack) < 20:
        stack.patient()

    def make():
        to = made / str(random.getrandbits(60))
        to.mkdir()
        with sqlite3.connect(f"file:{stack.data}/telemed.db?mode=ro", uri=True) as live:
            with sqlite3.connect(to / "telemed.db") as other:
                live.backup(other)
            other.close()
        live.close()
        for name in ("audit.key", "audit.head"):
            shutil.copy(stack.data / name, to)
        return to
    return make


def spoil(data, statements):
    drop = "DROP TRIGGER IF EXISTS audit_is_not_edited; DROP TRIGGER IF EXISTS audit_is_not_deleted; "
    subprocess.run(["sqlite3", data / "telemed.db", drop + statements], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("statements,found,line,to", [
    ("UPDATE audit SET user_id = user_id + 1 WHERE seq = 4", "edited", 4, 4),
    ("DELETE FROM audit WHERE seq = 4", "deleted", 4, 4),
    ("DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4", "deleted_and_renumbered", 4, 4),
    ("UPDATE audit SET seq = -1 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 6; UPDATE audit SET seq = 6 WHERE seq = -1",
     "swapped", 4, 6),
    ("DELETE FROM audit WHERE seq > 4", "cut", 5, None),
    ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", "cut", None, None),
    ("DELETE FROM audit", "cut", 1, None),
    ("DELETE FROM audit WHERE seq <= 3", "deleted", 1, 3),
    # As if they had been archived.
    ("INSERT INTO audit_base SELECT 1, seq, mac, mac FROM audit WHERE seq = 3; DELETE FROM audit WHERE seq <= 3", "no_base", 1, 1),
    ("UPDATE audit SET at_ms = at_ms - 3600000 WHERE seq = 4", "edited", 4, 4),
    ("UPDATE audit SET mac = zeroblob(32) WHERE seq = 4", "edited", 4, 4),
    ("UPDATE audit SET mac = x'78' WHERE seq = 4", "edited", 4, 4),
    ("UPDATE audit SET event = event || char(10) || '0' WHERE seq = 4", "edited", 4, 4),
    ("UPDATE audit SET source = source || char(0) || 'x' WHERE seq = 4", "edited", 4, 4),
    # Put in: what stands there moves on; what comes before the first is none.
    ("UPDATE audit SET seq = -seq WHERE seq > 4; UPDATE audit SET seq = 1 - seq WHERE seq < 0; INSERT INTO audit SELECT 5, at_ms, event, "
     "outcome, user_id, peer_id, call, left_out, source, mac FROM audit WHERE seq = 4", "swapped", 5, 6),
    ("INSERT INTO audit SELECT 0, at_ms, event, outcome, user_id, peer_id, call, left_out, source, mac FROM audit WHERE seq = 4",
     "edited", 1, 1),
    ("INSERT INTO audit SELECT max(seq) + 1, 0, 'login', 'ok', 1, 0, 0, 0, '', zeroblob(32) FROM audit", "edited", None, None),
])
def test_what_the_sqlite_shell_does_is_found(stack, copy, statements, found, line, to):
    data = copy()
    assert report(data)[0] == 0
    spoil(data, statements)
    code, got = report(data)
    assert (code, got["whole"], got["found"]) == (1, False, found), got
    last = last_line(stack) + (found == "edited" and line is None)
    assert (got["line"], got["to"]) == (line or last, to or last), got
    plain = admin(data, "verify")
    assert plain.returncode == 1 and str(got["line"]) in plain.stdout


def test_under_another_key_nothing_is_what_was_written(copy):
    data = copy()
    for key in (bytes(32), os.urandom(32), (data / "audit.key").read_bytes() + b"\n"):
        (data / "audit.key").write_bytes(key)
        code, got = report(data)
        assert (code, got["found"], got["line"], got["lines"]) == (1, "edited", 1, 0), got
    for key, mode in ((b"", 0o600), (bytes(31), 0o600), (bytes(1025), 0o600), (bytes(32), 0o644), (bytes(32), 0o620)):
        (data / "audit.key").write_bytes(key)
        (data / "audit.key").chmod(mode)
        got = admin(data, "verify")
        assert got.returncode == 78 and got.stdout == "" and "TELEMED_AUDIT_KEY_FILE" in got.stderr, got
    (data / "audit.key").unlink()
    got = admin(data, "verify")
    assert got.returncode == 78 and "key is gone" in got.stderr and not (data / "audit.key").exists(), got


def test_a_trail_whose_table_is_gone_is_not_called_whole(copy):
    for table in ("audit", "audit_base"):
        data = copy()
        subprocess.run(["sqlite3", data / "telemed.db", f"DROP TABLE {table}"], check=True, capture_output=True, timeout=60)
        got = admin(data, "verify")
        assert got.returncode == 74 and got.stdout == "" and got.stderr, got


def test_what_sed_does_is_found(copy):
    data = copy()
    subprocess.run(["sed", "-i", "s/wrong_password/wrong_passw0rd/", data / "telemed.db"], check=True, timeout=60)
    code, got = report(data)
    assert code == 1 and got["found"] == "edited", got
    data = copy()
    subprocess.run(["sed", "-i", "s/^0/1/", data / "audit.head"], check=True, timeout=60)
    assert report(data)[1]["found"] == "no_head"
    (data / "audit.head").unlink()
    assert report(data)[1]["found"] == "no_head"


def test_old_lines_are_archived_and_the_chain_goes_on(copy, tmp_path):
    data = copy()
    (data / "run").mkdir()
    before = admin(data, "list", "--json").stdout.splitlines()
    first, second = tmp_path / "first", tmp_path / "second"
    assert admin(data, "archive", first, "--until", "5").returncode == 0
    assert admin(data, "archive", first, "--until", "7").returncode == 65  # never over another
    assert admin(data, "archive", second, "--until", "5").returncode == 65 and not second.exists()
    got = admin(data, "archive", second, "--until", "9", "--json")
    assert (got.returncode, json.loads(got.stdout)) == (0, {"file": str(second), "until": 9, "more": False})
    left = [json.loads(line) for line in admin(data, "list", "--json").stdout.splitlines()]
    assert [line["line"] for line in left] == list(range(10, len(before) + 3))
    assert [(line["event"], line["source"]) for line in left[-2:]] == [("archived", f"uid:{os.getuid()}")] * 2
    assert [f.stat().st_mode & 0o777 for f in (first, second)] == [0o600] * 2
    assert first.read_text().splitlines()[1:-1] == before[:5] and second.read_text().splitlines()[1:-1] == before[5:9]
    assert first.read_text().splitlines()[-1].replace("to", "from") == second.read_text().splitlines()[0]
    assert report(data)[0] == report(data, first)[0] == report(data, second)[0] == 0
    # What is archived is guarded as what is not.
    spoil(data, "DELETE FROM audit WHERE seq = 10")
    assert report(data)[1]["found"] == "deleted"


def sed(path, *script):
    subprocess.run(["sed", "-i", *script, path], check=True, timeout=60)


@pytest.mark.parametrize("script,found,line", [
    ("2s/registered/denied/", "edited", 1),
    ("4d", "deleted", 3),
    ("4p", "edited", 4),
    ("4iwhat somebody put between", "edited", 3),
    ("4{h;d};6{G}", "swapped", 3),
    ("4,$d", "ends_early", 2),
    ("$d", "ends_early", 9),
    ("4,10d", "cut", 3),
    ("1d", "no_base", 1),
    ("1s/0/1/", "no_base", 1),
    ("$s/9/8/", "no_head", 9),
    ("4s/^/x/", "edited", 3),
    ("4s/$/" + "x" * 2000 + "/", "edited", 3),
    ("4s/.*//", "edited", 3),
])
def test_what_is_done_to_an_archive_is_found(copy, tmp_path, script, found, line):
    data, file = copy(), tmp_path / "archive"
    (data / "run").mkdir()
    assert admin(data, "archive", file, "--until", "9").returncode == 0 and report(data, file)[0] == 0
    sed(file, script)
    code, got = report(data, file)
    assert (code, got["found"], got["line"]) == (1, found, line), got


@pytest.fixture
def archived(copy, tmp_path):
    """(data, an archive of its lines up to 9, the anchor of each line)"""
    data, file = copy(), tmp_path / "archive"
    (data / "run").mkdir()
    told = [json.loads(line) for line in admin(data, "list", "--json").stdout.splitlines()]
    assert admin(data, "archive", file, "--until", "9").returncode == 0
    return data, file, {line["line"]: f"{line['line']}:{line['mac']}" for line in told}


def test_an_anchor_is_compared_where_its_line_is(archived):
    data, file, anchors = archived

    def verify(anchor, *words):
        code, got = report(data, "--anchor", anchor, *words)
        return code, got["found"]
    wrong = "0" * 64
    for n, here, there in ((3, False, True), (9, True, True), (10, True, False), (12, True, False)):
        for is_there, words in ((here, ()), (there, (file,))):
            want = (0, "whole") if is_there else (65, "anchor_elsewhere")
            assert verify(anchors[n], *words) == want, (n, words)
            want = (1, "not_the_anchor") if is_there else (65, "anchor_elsewhere")
            assert verify(f"{n}:{wrong}", *words) == want, (n, words)
    assert verify(anchors[12], "--after", "12") == (0, "whole")
    assert verify(f"12:{wrong}", "--after", "12") == (1, "not_the_anchor")
    assert verify(f"5000:{wrong}")[1] == "cut"
    plain = admin(data, "verify", "--anchor", anchors[3])
    assert plain.returncode == 65 and "not checked" in plain.stdout and "line 3 " in plain.stdout and "archive" in plain.stdout
    assert report(data, "--anchor", anchors[3])[1]["whole"] is False


def test_there_is_nothing_behind_a_line_that_is_not_there(archived):
    data, file, _ = archived
    for words, last in (((), last_of(data)), ((file,), 9)):
        assert report(data, "--after", str(last), *words)[0] == 0
        code, got = report(data, "--after", str(last + 1), *words)
        assert (code, got["whole"], got["found"], got["line"]) == (1, False, "no_such_line", last + 1), got
        assert f"There is no line {last + 1} " in got["says"]


def last_of(data):
    return json.loads(admin(data, "list", "--json").stdout.splitlines()[-1])["line"]


def test_how_to_go_on_behind_a_gap(copy):
    data = copy()
    spoil(data, "DELETE FROM audit WHERE seq IN (4, 5)")
    plain = admin(data, "verify").stdout
    assert "Lines 4 to 5 were deleted." in plain and "--after 6" in plain and "3 lines in order" in plain
    assert report(data)[1]["after"] == 6 and report(data, "--after", "6")[0] == 0
    spoil(copied := copy(), "DELETE FROM audit WHERE seq = 2")
    plain = admin(copied, "verify").stdout
    assert "Line 2 was deleted." in plain and "\n1 line in order" in plain


def test_why_nothing_was_archived(archived, tmp_path):
    data, file, _ = archived
    last, new = last_of(data), tmp_path / "new"

    def says(path, until):
        got = admin(data, "archive", path, "--until", str(until))
        assert got.returncode == 65 and got.stdout == "" and not new.exists()
        return got.stderr
    assert f"There is a file {file} already." in says(file, 12)
    assert f"There is no line {last + 1}: the last before it is {last}." in says(new, last + 1)
    for n in (4, 9):
        assert f"Line {n} is archived already, as all up to 9 are." in says(new, n)
    assert f"{tmp_path}/none/new cannot be made: No such file" in says(tmp_path / "none/new", 12)
    assert last_of(data) == last and report(data)[0] == 0


def test_an_archive_takes_a_bounded_number_and_says_so(copy, tmp_path):
    data = copy()
    (data / "run").mkdir()
    spoil(data, "WITH RECURSIVE n(i) AS (SELECT max(seq) + 1 FROM audit UNION ALL SELECT i + 1 FROM n WHERE i < 100001) "
          "INSERT INTO audit SELECT i, 1, 'login', 'ok', 1, 0, 0, 0, '', zeroblob(32) FROM n")
    kept = shutil.copytree(data, tmp_path / "kept")
    got = admin(data, "archive", tmp_path / "archive", "--until", "100001")
    assert got.returncode == 0 and "Lines up to 100000 are in" in got.stdout and "make another" in got.stdout, got
    assert admin(data, "list").stdout.startswith("100001 ")
    got = admin(kept, "archive", tmp_path / "another", "--until", "100001", "--json")
    assert (got.returncode, json.loads(got.stdout)) == (0, {"file": str(tmp_path / "another"), "until": 100000, "more": True})


def test_an_archive_is_listed_and_the_list_tells_of_it(archived):
    data, file, anchors = archived
    text = file.read_text().splitlines()[1:-1]
    got = admin(data, "list", "--json", file, TELEMED_AUDIT_KEY_FILE="/nonexistent/key")
    assert got.returncode == 0 and got.stdout.splitlines() == text and got.stderr == ""
    got = admin(data, "list", "--since", "7", file)
    assert [line.split()[0] for line in got.stdout.splitlines()] == ["8", "9"]
    for words in ((), ("--since", "1"), ("--since", "8")):
        got = admin(data, "list", *words)
        assert got.returncode == 0 and "Lines up to 9 are archived" in got.stderr and got.stdout.startswith("10 ")
    assert admin(data, "list", "--since", "9").stderr == ""


def test_what_is_no_archive_and_what_is_not_all_of_one(archived, tmp_path):
    data, file, _ = archived
    whole = file.read_bytes()
    junk = tmp_path / "junk"
    for text in (b"", b"\n", b"hello\nworld\n", os.urandom(5000), b"\0" * 5000, whole[:40], b"{}\n" + whole):
        junk.write_bytes(text)
        for verb in ("verify", "list"):
            got = admin(data, verb, junk)
            assert got.returncode == 65 and f"{junk} is no archive of telemed's" in got.stderr and got.stdout == "", text[:50]
    for path in (tmp_path, tmp_path / "none"):
        assert admin(data, "verify", path).returncode == 66
    # Its last newline alone is no loss.
    junk.write_bytes(whole[:-1])
    assert report(data, junk)[0] == 0
    ends = [i for i, byte in enumerate(whole) if byte == 10]
    for size in (ends[0] + 1, ends[3] + 1, ends[3] + 50, ends[4], ends[8] + 9, ends[9] + 1, ends[9] + 30, len(whole) - 2):
        junk.write_bytes(whole[:size])
        code, got = report(data, junk)
        lines_left = max(sum(end < size for end in ends) - 1, 0)
        assert (code, got["found"], got["line"]) == (1, "ends_early", lines_left), (size, got)
        assert "The archive ends before its last line" in got["says"]


def test_verifying_changes_nothing(copy):
    data = copy()
    before = {f.name: f.read_bytes() for f in data.iterdir()}
    assert report(data)[0] == 0 and admin(data, "list").returncode == 0
    after = {f.name: f.read_bytes() for f in data.iterdir() if not f.name.endswith(("-wal", "-shm"))}
    assert before == after


def test_the_key_is_private_and_the_start_says_so_where_it_is_not():
    with Stack() as stack:
        stack.patient()
        assert [(stack.data / name).stat().st_mode & 0o777 for name in ("audit.key", "audit.head")] == [0o600, 0o600]
        key = stack.data / "audit.key"
        assert len(key.read_bytes()) == 32
        stack.stop()
        away = key.read_bytes()

        def start():
            env = {**os.environ, **stack.settings, "TELEMED_PORT": str(stack.port), "TELEMED_DATA_DIR": str(stack.data)}
            return subprocess.run([ROOT / "scripts/run", BUILD], env=env, capture_output=True, text=True, timeout=60, check=False,
                                  stdin=subprocess.DEVNULL)
        key.chmod(0o644)
        got = start()
        assert got.returncode == 100 and "TELEMED_AUDIT_KEY_FILE" in got.stderr, got
        key.unlink()
        got = start()
        assert got.returncode == 100 and "key is gone" in got.stderr and not key.exists(), got
        # Put back, it goes on where it was.
        key.write_bytes(away)
        key.chmod(0o600)
        stack.start()
        stack.patient()
        assert check_by_hand(stack) == 2 and report(stack.data)[0] == 0


def test_a_key_somewhere_else(tmp_path):
    with Stack(TELEMED_AUDIT_KEY_FILE=tmp_path / "elsewhere") as stack:
        stack.patient()
        assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o600 and not (stack.data / "audit.key").exists()
        assert admin(stack.data, "verify", TELEMED_AUDIT_KEY_FILE=str(tmp_path / "elsewhere")).returncode == 0


def test_an_approval_is_an_act_of_whoever_gave_the_command():
    with Stack(TELEMED_DOCTOR_SIGNUP="approve") as stack:
        doctor = stack.doctor()
        assert stack.rest("POST", "/doctors/status", {"status": "ONLINE"}, doctor.token)[0] == 403
        for _ in range(2):  # the second has nothing to do
            subprocess.run([ADMIN, "users", "approve", str(doctor.id)], check=True, capture_output=True, timeout=60,
                           env={**os.environ, **stack.settings, "TELEMED_DATA_DIR": str(stack.data)})
        assert [(e, u, p) for e, _, u, p in lines(stack, 0)] == [("registered", doctor.id, 0), ("denied", doctor.id, 0),
                                                                 ("admin", 0, doctor.id)]
        assert stack.sql("SELECT outcome, source FROM audit WHERE event = 'admin'") == [("approve", f"uid:{os.getuid()}")]
        assert report(stack.data)[0] == 0


def test_no_line_that_is_broken_is_archived(copy, tmp_path):
    data = copy()
    (data / "run").mkdir()
    spoil(data, "UPDATE audit SET event = 'what?' WHERE seq = 4")
    got = admin(data, "archive", tmp_path / "archive", "--until", "9")
    assert got.returncode == 1 and "not whole" in got.stderr and not (tmp_path / "archive").exists(), got
    assert len(admin(data, "list").stdout.splitlines()) == last_of(data)
    # Behind one whose MAC is none it cannot be told whether the next is the right one.
    spoil(data, "UPDATE audit SET mac = x'78' WHERE seq = 4")
    code, got = report(data, "--after", "4")
    assert (code, got.get("found"), got.get("line"), got.get("after")) == (1, "edited", 4, 5), got
    assert report(data, "--after", "5")[0] == 0


def test_while_the_head_cannot_be_read_nothing_is_written():
    with Stack() as stack:
        stack.patient()
        head_file = stack.data / "audit.head"
        head_file.rename(stack.data / "away")
        head_file.mkdir()
        for n in range(3):
            status, got = stack.rest("POST", "/auth/register", {"name": "x", "email": f"x{n}@example.org", "password": "password",
                                                                "role": "PATIENT"})
            assert (status, got["code"]) == (503, "unavailable")
        assert stack.sql("SELECT count(*) FROM user") == [(1,)] and last_line(stack) == 1
        head_file.rmdir()
        (stack.data / "away").rename(head_file)
        stack.patient()
        assert report(stack.data)[0] == 0 and last_line(stack) == 2


def test_a_head_that_was_taken_away_while_it_runs():
    with Stack() as stack:
        stack.patient()
        (stack.data / "audit.head").unlink()
        stack.patient()
        assert [e for e, *_ in lines(stack, 0)] == ["registered", "head_lost", "registered"]
        code, got = report(stack.data)
        assert (code, got["found"], got["line"]) == (1, "head_was_lost", 2)
        assert report(stack.data, "--after", "2")[0] == 0


def test_a_flood_of_refusals_is_bounded_and_counted():
    with Stack(TELEMED_AUTH_RATE=10) as stack:
        answers = [stack.rest("POST", "/auth/login", {"email": f"user{i % 4}@example.org", "password": "password"})[0]
                   for i in range(120)]
        assert set(answers) == {401, 429}
        rows = stack.sql("SELECT event, sum(left_out), count(*) FROM audit GROUP BY event")
        assert sum(n for _, _, n in rows) == 20 and stack.sql("SELECT DISTINCT user_id FROM audit") == [(0,)], rows
        assert report(stack.data)[0] == 0


async def test_a_flood_on_the_socket_has_two_lines():
    with Stack(TELEMED_WS_RATE=5) as stack:
        user = stack.patient()
        c = await user.connect()
        since = last_line(stack)
        for i in range(100):
            await c.send("chat", message=str(i))
        assert await c.closed() == 4103
        wait_until(lambda: len(lines(stack, since)) == 2, "both lines")
        assert lines(stack, since) == [("rate_limited", "messages", user.id, 0), ("rate_limited", "flood", user.id, 0)]


async def test_nothing_acknowledged_is_without_its_line_whenever_they_are_killed():
    """Logins and calls go on in both programs, which are killed again and again. What was acknowledged is noted by who got the
    answer; each has its one line afterwards, and the chain is one."""
    with Stack(TELEMED_CALL_GRACE=1, TELEMED_PRESENCE_GRACE=1) as stack:
        patients, doctors = [stack.patient() for _ in range(3)], [stack.doctor() for _ in range(3)]
        names = {u.id: n for n, u in enumerate([*patients, *doctors], 1)}
        stop = threading.Event()
        tokens, calls, answered, ended = [], [], [], []

        def log_in(user):
            while not stop.is_set():
                try:
                    status, got = login(stack, names[user.id])
                except (OSError, ValueError):
                    continue
                if status == 200:
                    tokens.append(user.id)

        async def consult(patient, doctor, n):
            i = 0
            while not stop.is_set():
                try:
                    p, d = await patient.connect(), await doctor.connect()
                    while not stop.is_set():
                        i += 1
                        name = f"k{n}-{i}"
                        await p.send("call_start", to=doctor, callId=name)
                        got = await p.wait("call_response", seconds=5)
                        if not got["data"]["ok"]:
                            await asyncio.sleep(0.1)
                            continue
                        calls.append(name)
                        await d.wait("incoming_call", seconds=5)
                        await d.send("call_accept", id=name, callId=name)
                        if (await d.answer(name))["type"] == "ack":
                            answered.append(name)
                        await p.send("call_end", id=name, callId=name)
                        if (await p.answer(name))["type"] == "ack":
                            ended.append(name)
                except Exception:  # it has gone
                    await asyncio.sleep(0.05)

        threads = [threading.Thread(target=log_in, args=(u,)) for u in (*patients, *doctors)]
        for t in threads:
            t.start()
        work = [asyncio.ensure_future(consult(p, d, n)) for n, (p, d) in enumerate(zip(patients, doctors))]
        loop = asyncio.get_running_loop()
        for n in range(12):
            await asyncio.sleep(random.uniform(0.2, 0.7))
            program = ("ws-relay", "fcgi-api")[n % 2]
            pids = stack.pids(program)
            for pid in pids[1:3] if program == "fcgi-api" and n % 4 == 1 else pids[:1]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            code, got = await loop.run_in_executor(None, report, stack.data)
            assert code == 0, got
        stop.set()
        await asyncio.gather(*work)
        for t in threads:
            t.join()
        wait_until(lambda: stack.rest("GET", "/readyz")[0] == 200, "it to serve again")
        wait_until(lambda: stack.live_calls() == [], "every call to end")
        assert len(tokens) > 20 and len(calls) > 5 and answered and ended
        check_by_hand(stack)
        assert report(stack.data)[0] == 0
        told = [row[0] for row in stack.sql("SELECT user_id FROM audit WHERE event = 'login'")]
        for user in set(tokens):
            assert told.count(user) >= tokens.count(user)

        def with_line(event):
            return [row[0] for row in stack.sql("SELECT c.call_id FROM audit AS a JOIN call AS c ON c.id = a.call WHERE a.event = ?",
                                                event)]
        # Of a call's moves, what is in the table of calls and what is in the trail are the same.
        for event, noted, column in (("call_started", calls, "started_ms"), ("call_answered", answered, "answered_ms"),
                                     ("call_ended", ended, "ended_ms")):
            got = with_line(event)
            assert len(got) == len(set(got)) and set(noted) <= set(got)
            assert set(got) == {row[0] for row in stack.sql(f"SELECT call_id FROM call WHERE {column} IS NOT NULL")}
