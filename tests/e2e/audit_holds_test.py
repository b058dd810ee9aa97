"""The audit trail while the database is held by somebody else, while it is archived, and when a program or the disk fails."""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest
from stack import BUILD, PATIENCE, Stack, wait_until
from trouble import Strace

ADMIN = BUILD / "admin/telemed-admin"
MANY = 100000  # what an archive takes


@contextlib.contextmanager
def held(stack):
    """Somebody else writes meanwhile."""
    with open(stack.data / "run/store.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lines(stack):
    return stack.sql("SELECT event, user_id, left_out FROM audit ORDER BY seq")


def refused(stack, user):
    """A patient has no status to set."""
    return stack.rest("POST", "/doctors/status", {"status": "ONLINE"}, user.token)[0]


async def test_refusals_that_cannot_be_written_are_written_later():
    """More of them than wait for that: each has its line, or is counted."""
    with Stack(TELEMED_WS_RATE=0) as stack:
        first, second = stack.patient(), stack.patient()
        p, q = await first.connect(), await second.connect()
        await p.barrier()
        before = time.time()
        with held(stack):
            for i in range(300):
                await p.send("set_status", id=f"s{i}", status="ONLINE")
            for i in range(300):
                assert (await p.answer(f"s{i}"))["code"] == "forbidden"
            after = time.time()
            wait_until(lambda: '"event":"batch_failed"' in stack.log_text(), "a transaction to fail")
        wait_until(lambda: ("denied", first.id, 0) in lines(stack), "a line, with nothing else to be written")
        assert [l for l in lines(stack)[2:] if l[1] == first.id] == [("denied", first.id, 0)] * 20
        for (at_ms,) in stack.sql("SELECT at_ms FROM audit WHERE event = 'denied'"):
            assert int(before * 1000) <= at_ms <= after * 1000  # when it was, not when it was written
        await q.barrier()  # the relay knows that there is room again
        await q.send("set_status", id="s", status="ONLINE")
        wait_until(lambda: lines(stack)[-1] == ("denied", second.id, 280), "the others to be counted")
        assert stack.admin("audit", "verify")[0] == 0
        assert "audit_lines_lost" not in stack.log_text()


def test_a_refusal_that_has_no_line_waits_for_nobody():
    with Stack() as stack:
        user, other = stack.patient(), stack.patient()
        assert [refused(stack, user) for _ in range(20)] == [403] * 20
        with held(stack):
            assert [refused(stack, user) for _ in range(30)] == [403] * 30
            assert refused(stack, other) == 503  # its line cannot be written
        assert refused(stack, other) == 403
        assert len([l for l in lines(stack) if l[0] == "denied"]) == 21


def test_a_login_past_its_rate_waits_for_nobody():
    with Stack(TELEMED_AUTH_RATE=1) as stack:
        def attempt():
            return stack.rest("POST", "/auth/login", {"email": "nobody@example.org", "password": "password"})[0]
        assert [attempt() for _ in range(22)] == [401] + [429] * 21
        with held(stack):
            assert [attempt() for _ in range(30)] == [429] * 30


def test_the_head_is_on_the_disk_before_the_answer_goes_out():
    """A program that cannot see to that tells nobody of success; the line is there, as after any other end."""
    with Stack() as stack:
        stack.patient()
        strace = Strace(stack.pids("fcgi-api"), "fdatasync:signal=KILL")
        strace.command[1:1] = ["-P", str(stack.data / "audit.head")]
        with strace:
            assert stack.rest("POST", "/auth/login", {"email": "user1@example.org", "password": "password"})[0] == 500
        assert [l[0] for l in lines(stack)] == ["registered", "login"]
        wait_until(lambda: stack.rest("GET", "/readyz")[0] == 200, "it to serve")
        assert stack.admin("audit", "verify")[0] == 0


@pytest.fixture(scope="module")
def trail(tmp_path_factory):
    """A data directory whose trail has MANY lines and some, made as docs/audit.md says."""
    data = tmp_path_factory.mktemp("trail")
    (data / "run").mkdir()
    with Stack() as stack:
        stack.patient()
        with sqlite3.connect(f"file:{stack.data}/telemed.db?mode=ro", uri=True) as live:
            with sqlite3.connect(data / "telemed.db") as copy:
                live.backup(copy)
        for name in ("audit.key", "audit.head"):
            shutil.copy(stack.data / name, data)
    key = (data / "audit.key").read_bytes()
    [mac] = copy.execute("SELECT mac FROM audit").fetchone()
    rows = []
    for seq in range(2, MANY + 11):
        fields = (seq, seq, "login", "ok", 1, 0, 0, 0, "192.0.2.1")
        mac = hmac.digest(key, b"line\n" + mac + "".join(f"{f}\n" for f in fields).encode(), hashlib.sha256)
        rows.append((*fields, mac))
    with copy:
        copy.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    for db in (live, copy):
        db.close()
    return data


@pytest.fixture
def data(trail, tmp_path):
    return shutil.copytree(trail, tmp_path / "data")


def admin(data, *words, before=()):
    env = {**os.environ, "TELEMED_DATA_DIR": str(data)}
    if before:  # leaks cannot be looked for under strace
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return subprocess.run([*before, ADMIN, "audit", *map(str, words)], env=env,
                          capture_output=True, text=True, timeout=10 * PATIENCE, check=False, stdin=subprocess.DEVNULL)


def begin(data, *words):
    return subprocess.Popen([ADMIN, "audit", *map(str, words)], env={**os.environ, "TELEMED_DATA_DIR": str(data)},
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def bounds(data):
    """(what was archived, the first line that is left)"""
    db = sqlite3.connect(f"file:{data}/telemed.db?mode=ro", uri=True, timeout=PATIENCE)
    try:
        return db.execute("SELECT coalesce((SELECT seq FROM audit_base), 0), (SELECT min(seq) FROM audit)").fetchone()
    finally:
        db.close()


def is_finished(file):
    with open(file, "rb") as f:
        f.seek(max(0, file.stat().st_size - 300))
        return b'{"to":' in f.read()


def test_others_write_while_an_archive_is_made(data, tmp_path):
    """While the file is being written, and while the lines leave. What is left begins behind what was archived, all the while."""
    file = tmp_path / "archive"
    seen, writing = set(), 0
    with open(data / "run/store.lock", "w") as lock:
        process = begin(data, "archive", file, "--until", MANY)
        while process.poll() is None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            writing += file.exists() and file.stat().st_size > 0 and not is_finished(file)
            archived, first = bounds(data)
            assert first == archived + 1
            seen.add(archived)
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(0.001)
    assert process.returncode == 0 and writing > 0 and len(seen) > 10, (writing, seen)
    assert bounds(data) == (MANY, MANY + 1)
    assert admin(data, "verify").returncode == admin(data, "verify", file).returncode == 0


def test_an_archive_that_is_killed_on_the_way(data, tmp_path):
    """What has left the database is in the file, and the rest in both; another one goes on from where the database begins."""
    file, rest = tmp_path / "archive", tmp_path / "rest"
    process = begin(data, "archive", file, "--until", MANY)
    wait_until(lambda: bounds(data)[0] > 0, "the first lines to leave")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    archived, first = bounds(data)
    assert first == archived + 1 <= MANY
    for words in ((), (file,)):
        got = admin(data, "verify", *words)
        assert got.returncode == 0, got
    assert admin(data, "archive", rest, "--until", MANY).returncode == 0
    assert json.loads(rest.read_text().splitlines()[0])["from"] == archived
    assert bounds(data) == (MANY, MANY + 1)
    for words in ((), (file,), (rest,)):
        assert admin(data, "verify", *words).returncode == 0


def test_two_archives_at_once_lose_no_line(data, tmp_path):
    files = [tmp_path / name for name in ("one", "two")]
    both = [begin(data, "archive", file, "--until", MANY) for file in files]
    codes = [process.wait(10 * PATIENCE) for process in both]
    assert 0 in codes and set(codes) <= {0, 65, 75}, codes
    assert bounds(data) == (MANY, MANY + 1)
    made = [f for f in files if f.exists()]
    for words in ((), *((file,) for file in made)):
        assert admin(data, "verify", *words).returncode == 0
    told = {json.loads(line).get("line") for file in made for line in file.read_text().splitlines()[1:-1]}
    assert told == set(range(1, MANY + 1))


def test_the_file_stays_where_the_commit_may_have_happened(data, tmp_path):
    """A cut of power could bring to light that the lines have left after all."""
    file = tmp_path / "archive"
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"]
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    got = admin(data, "archive", file, "--until", 1500, before=strace)
    if "not permitted" in got.stderr:
        pytest.skip("strace may not trace here")
    assert got.returncode == 74 and f"up to 1500 are in {file}, which stays" in got.stderr, got
    assert admin(data, "verify", file).returncode == admin(data, "verify").returncode == 0
    assert bounds(data) == (0, 1)
    assert admin(data, "archive", tmp_path / "again", "--until", 1500).returncode == 0
