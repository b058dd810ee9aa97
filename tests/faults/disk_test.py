"""The disk: full, failing, read-only, held by another; a database that is damaged or of a newer version. The rest of it, for REST:
tests/e2e/rest_disk_full.sh, rest_faults.sh; for the files alone: tests/unit/store_refuse_test.c."""

import asyncio
import fcntl
import functools
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import websockets
from stack import BUILD, NOBODY, ROOT, Stack, call, free_port, ring, wait_until
from trouble import Strace, integrity


@pytest.fixture()
def stack():
    with Stack(TELEMED_CALL_GRACE=2, TELEMED_PRESENCE_GRACE=1, TELEMED_WS_RATE=0) as s:
        yield s


def mounted(kind, path, *options):
    run = subprocess.run(["mount", *options, "-t", kind, kind, path], capture_output=True, text=True)
    if run.returncode != 0:
        pytest.skip("this may not mount: " + run.stderr.strip())


async def assert_writes_fail(stack, patient, doctor, disk):
    """P and D are connections; the relay and REST refuse what must be stored, whole, and go on with all else. DISK: what /readyz
    says of it."""
    p, d = patient, doctor
    users = stack.sql("SELECT count(*) FROM user")
    for n in range(3):
        await p.send("call_start", to=d.user, callId=f"no{n}", id=f"s{n}")
        assert (await p.answer(f"s{n}"))["data"] == {"callId": f"no{n}", "ok": False, "reason": "unavailable"}
        await d.send("set_status", status="BUSY", id=f"b{n}")
        assert (await d.answer(f"b{n}"))["code"] == "unavailable"
        await p.send("chat", to=d.user, message="still there?", id=f"c{n}")
        assert (await p.answer(f"c{n}"))["data"] == {"delivered": 1}
        status, got = stack.rest("POST", "/auth/register", {"name": "x", "email": f"x{n}@example.org", "password": "password",
                                                            "role": "PATIENT"})
        assert (status, got["code"]) == (503, "unavailable")
        assert stack.rest("POST", "/doctors/status", {"status": "BUSY"}, d.user.token)[0] == 503
        assert stack.status_of(d.user) == "ONLINE"
    assert stack.live_calls() == [] and stack.sql("SELECT count(*) FROM user") == users
    status, got = stack.rest("GET", "/readyz")
    assert (status, got["checks"]) == (200 if disk == "ok" else 503, {"database": "ok", "disk": disk, "relay": "ok"})


async def assert_healed(stack, p, d):
    deadline = time.monotonic() + 20
    while stack.rest("POST", "/doctors/status", {"status": "ONLINE"}, d.user.token)[0] != 200:
        assert time.monotonic() < deadline, "writes go on to fail"
        await asyncio.sleep(0.1)
    p.seen["call_response"] = len(p.got)
    await call(p, d, "yes")
    await p.send("call_end")
    await d.wait("call_end")
    await p.wait_status(d.user, "ONLINE")
    assert integrity(stack) == [("ok",)]


def fill(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(fd, bytes(4096)):
            pass
    except OSError:
        pass
    os.close(fd)


async def test_a_full_disk():
    """Two megabytes, and something else that fills them."""
    stack = Stack(TELEMED_CALL_GRACE=2)
    stack.data.mkdir()
    mounted("tmpfs", stack.data, "-o", "size=2m")
    try:
        stack.start()
        p, d = await stack.patient().connect(), await stack.doctor().connect()
        await p.wait_status(d.user, "ONLINE")
        await p.barrier()
        fill(stack.data / "ballast")
        await assert_writes_fail(stack, p, d, disk="full")
        (stack.data / "ballast").unlink()
        await assert_healed(stack, p, d)
        assert stack.stop() == 0
    finally:
        stack.stop()
        subprocess.run(["umount", stack.data], capture_output=True)
        stack.dir.cleanup()


@pytest.mark.parametrize("what", ["fdatasync:error=EIO", "fdatasync:error=ENOSPC", "pwrite64:error=ENOSPC", "pwrite64:error=EIO"])
async def test_a_disk_that_fails(stack, what):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.wait_status(d.user, "ONLINE")
    await p.barrier()
    with Strace(stack.pids("ws-relay") + stack.pids("fcgi-api"), what):
        await assert_writes_fail(stack, p, d, disk="ok")
    await assert_healed(stack, p, d)


async def status_of_handshake(user):
    try:
        return await (await user.open()).closed()
    except websockets.InvalidStatusCode as e:
        return e.status_code


async def test_a_disk_that_cannot_be_read(stack):
    """What has to be looked up is not; nothing is taken for gone that only cannot be read."""
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.wait_status(d.user, "ONLINE")
    await p.barrier()

    def another_hand_writes():
        """So that nobody can go by what he has read before."""
        with sqlite3.connect(stack.data / "telemed.db", timeout=60) as db:
            db.execute("UPDATE user SET created_ms = created_ms + 1")
        db.close()
    with Strace(stack.pids("ws-relay") + stack.pids("fcgi-api"), "pread64:error=EIO"):
        another_hand_writes()
        for _ in range(30):  # more than there are workers
            status, got = stack.rest("GET", "/doctors", token=p.user.token)
            assert (status, got["code"]) == (503, "unavailable")
        for method, path, body in (("GET", "/auth/me", None), ("GET", "/calls", None), ("POST", "/auth/logout", b""),
                                   ("POST", "/auth/login", {"email": p.user.email, "password": "password"}),
                                   ("POST", "/auth/login", {"email": "nobody@example.org", "password": "password"})):
            assert stack.rest(method, path, body, p.user.token)[0] == 503, path
        assert await status_of_handshake(p.user) == 503
        await p.send("chat", to=NOBODY, message="is there anybody?", id="who")
        assert (await p.answer("who"))["code"] == "unavailable"
        await p.send("token_refresh", token=p.user.token, id="renew")
        assert (await p.answer("renew"))["code"] == "unavailable"
        await p.send("call_start", to=d.user, callId="no", id="call")
        assert (await p.answer("call"))["data"]["reason"] == "unavailable"
        await p.send("chat", to=d.user, message="still there?", id="chat")
        assert (await p.answer("chat"))["data"] == {"delivered": 1}
    another_hand_writes()
    await assert_healed(stack, p, d)
    assert stack.rest("GET", "/auth/me", token=p.user.token)[0] == 200
    await (await p.user.connect()).barrier()


async def test_an_end_waits_for_the_disk(stack):
    """A call that ends while nothing can be stored is over for both as soon as it can."""
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await call(p, d)
    with Strace(stack.pids("ws-relay"), "fdatasync:error=EIO"):
        await p.send("call_end", callId="c1", id="e")
        assert (await p.answer("e"))["code"] == "unavailable"
        assert d.count("call_end") == 0
    for client in (p, d):
        assert (await client.wait("call_end"))["data"] == {"callId": "c1", "reason": "hangup"}
    assert stack.live_calls() == []


@pytest.mark.parametrize("holder", ["another program", "our lock"])
async def test_a_writer_that_holds_on_for_ten_seconds(stack, holder):
    """What must be stored is refused meanwhile; what is only relayed does not wait: the loop is not the thread that writes."""
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await p.wait_status(d.user, "ONLINE")
    await p.barrier()
    if holder == "our lock":
        lock = open(stack.data / "run/store.lock")
        fcntl.flock(lock, fcntl.LOCK_EX)
    else:
        db = sqlite3.connect(stack.data / "telemed.db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    await p.send("call_start", to=d.user, callId="late", id="s")
    chats = 0
    while not any(m.get("id") == "s" for m in p.got):  # as long as the call waits for the disk
        chats += 1
        await p.send("chat", to=d.user, message="x", id=f"x{chats}")
        await p.answer(f"x{chats}")
    assert (await p.answer("s"))["data"]["reason"] == "unavailable" and chats > 10
    while time.monotonic() - began < 10:
        await asyncio.get_running_loop().run_in_executor(None, lambda: stack.rest("GET", "/doctors", token=p.user.token))
        assert stack.rest("POST", "/doctors/status", {"status": "BUSY"}, d.user.token)[0] == 503
    another = await p.user.connect()  # nor does one who comes
    await another.close()
    if holder == "our lock":
        lock.close()
    else:
        db.execute("ROLLBACK")
        db.close()
    await assert_healed(stack, p, d)


def remounted(stack, mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", stack.data], check=True)


async def test_a_file_system_that_becomes_read_only():
    """As the kernel makes one that has failed. It must not be written to for that: what is open for writing hinders a remount, so
    it is a bind mount that changes."""
    stack = Stack()
    stack.data.mkdir()
    mounted("tmpfs", stack.data)
    try:
        stack.start()
        doctor = stack.doctor()
        assert stack.stop() == 0
        remounted(stack, "ro")
        before = (stack.data / "telemed.db").read_bytes()
        for program in ("fcgi-api", "ws-relay"):
            run = run_alone(program, stack.data)
            assert run.returncode in (100, 111) and len(said(run)) == 1 and "cannot be" in said(run)[0], run
        assert (stack.data / "telemed.db").read_bytes() == before
        remounted(stack, "rw")
        stack.start()
        assert stack.status_of(doctor) == "OFFLINE"
        stack.stop()
    finally:
        stack.stop()
        subprocess.run(["umount", stack.data], capture_output=True)
        stack.dir.cleanup()


def run_alone(program, data):
    return subprocess.run([BUILD / program / program], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**os.environ, "TELEMED_DATA_DIR": str(data), "TELEMED_JWT_SECRET": "x" * 32})


@pytest.mark.parametrize("program", ["fcgi-api", "ws-relay"])
def test_a_database_that_may_not_be_written(tmp_path, program):
    """As a user who is not root, whom no mode stops."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become nobody")
    data = prepared(tmp_path)
    subprocess.run(["chown", "-R", "nobody", data], check=True)
    (data / "telemed.db").chmod(0o400)
    shutil.copy(BUILD / program / program, data / "program")
    run = subprocess.run(["unshare", "-m", "sh", "-c", "mount --bind \"$1\" /mnt && exec setpriv --reuid=nobody --clear-groups /mnt/program",
                          "sh", data], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                         env={**os.environ, "TELEMED_DATA_DIR": "/mnt", "TELEMED_JWT_SECRET": "x" * 32})
    assert run.returncode == 111 and said(run) == [f"{program}: The database cannot be opened for writing."], run


def said(run):
    """What a program says besides its log."""
    return [line for line in run.stderr.splitlines() if not line.startswith("{")]


@functools.cache
def served():
    """A data directory as programs leave it that are killed: all is in the log."""
    folder = tempfile.TemporaryDirectory(prefix="telemed-test.")
    data = Path(folder.name) / "data"
    with Stack() as stack:
        for _ in range(5):
            stack.doctor()
        with open(stack.data / "run/store.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            shutil.copytree(stack.data, data, ignore=shutil.ignore_patterns("*.sock", "telemed.db-shm"))
    assert (data / "telemed.db").stat().st_size == 4096 < (data / "telemed.db-wal").stat().st_size
    return folder


def prepared(tmp_path):
    """A copy of it."""
    return shutil.copytree(Path(served().name) / "data", tmp_path / "work/data")


def checkpointed(data):
    with sqlite3.connect(data / "telemed.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def flip(data, at, size=64):
    content = bytearray(data.read_bytes())
    content[at:at + size] = bytes(b ^ 0xA5 for b in content[at:at + size])
    data.write_bytes(bytes(content))


def new_version(data):
    with sqlite3.connect(data / "telemed.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


DAMAGE = {
    "the first page": (lambda data: flip(data / "telemed.db", 0), "damaged"),
    "a page in the middle": (lambda data: flip(data / "telemed.db", 4096, 4096), "damaged"),
    "cut in half": (lambda data: os.truncate(data / "telemed.db", (data / "telemed.db").stat().st_size // 2), "damaged"),
    "a newer version": (new_version, "newer version"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_start_on_what_is_not_in_order(tmp_path, what):
    """One sentence, code 100, and the file as it was."""
    data = prepared(tmp_path)
    checkpointed(data)
    damage, sentence = DAMAGE[what]
    damage(data)
    before = (data / "telemed.db").read_bytes()
    for program in ("fcgi-api", "ws-relay"):
        run = run_alone(program, data)
        assert run.returncode == 100 and len(said(run)) == 1 and sentence in said(run)[0], run
        assert (data / "telemed.db").read_bytes() == before
        assert not list(data.glob("telemed.db-wal")) or (data / "telemed.db-wal").stat().st_size == 0
    run = subprocess.run([ROOT / "scripts/run", BUILD], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                         env={**os.environ, "TELEMED_DATA_DIR": str(data), "TELEMED_PORT": str(free_port())})
    assert run.returncode == 100 and sentence in run.stderr, run
    assert (data / "telemed.db").read_bytes() == before


def half(path):
    os.truncate(path, path.stat().st_size // 2)


def dropped(kind, name):
    def drop(data):
        with sqlite3.connect(data / "telemed.db") as db:
            db.execute(f"DROP {kind} {name}")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
    return drop


# Name: whether all is in the database or most of it in the log, what happens to it, and what is said.
LOSS = {
    "the log cut in half": (False, lambda data: half(data / "telemed.db-wal"), "audit.head"),
    "the log's last byte gone": (False, lambda data: os.truncate(data / "telemed.db-wal", (data / "telemed.db-wal").stat().st_size - 1),
                                 "audit.head"),
    "a byte in the middle of the log": (False, lambda data: flip(data / "telemed.db-wal", (data / "telemed.db-wal").stat().st_size // 2, 1),
                                        "audit.head"),
    "the log emptied": (False, lambda data: os.truncate(data / "telemed.db-wal", 0), "audit.head"),
    "the log removed": (False, lambda data: (data / "telemed.db-wal").unlink(), "audit.head"),
    "the database emptied, and a log": (False, lambda data: os.truncate(data / "telemed.db", 0), "audit.head"),
    "one byte of the database, and a log": (False, lambda data: os.truncate(data / "telemed.db", 1), "audit.head"),
    "the database removed, and a log": (False, lambda data: (data / "telemed.db").unlink(), "audit.head"),
    "the database emptied": (True, lambda data: os.truncate(data / "telemed.db", 0), "audit.head"),
    "one byte of the database": (True, lambda data: os.truncate(data / "telemed.db", 1), "audit.head"),
    "the database removed": (True, lambda data: (data / "telemed.db").unlink(), "audit.head"),
    "a table dropped": (True, dropped("TABLE", "revocation"), "damaged"),
    "an index dropped": (True, dropped("INDEX", "call_by_caller"), "damaged"),
    "the trail dropped": (True, dropped("TABLE", "audit"), "damaged"),
    "a trigger dropped": (True, dropped("TRIGGER", "user_changed"), "damaged"),
}


def files_of(data):
    """What there is besides what SQLite makes up anew, and locks."""
    return {f.name: f.read_bytes() for f in data.iterdir() if f.is_file() and not f.name.endswith("-shm")}


def are_as(data, before):
    """The files of BEFORE are as they were, and there are no more, but an empty log that who reads may make."""
    return {name: content for name, content in files_of(data).items() if name in before or name != "telemed.db-wal" or content} == before


def serves_all(data, users):
    """A stack on a copy of DATA has that many, and takes one more."""
    stack = Stack()
    shutil.copytree(data, stack.data)
    with stack:
        assert integrity(stack) == [("ok",)] and stack.sql("SELECT count(*) FROM user") == [(users,)]
        stack.users = 100
        stack.doctor()
        return stack.admin("audit", "verify")


@pytest.mark.parametrize("what", LOSS)
def test_a_start_on_less_than_was_acknowledged(tmp_path, what):
    """One sentence, code 100, and all files as they were: what can still be saved is still there."""
    settled, damage, sentence = LOSS[what]
    data = prepared(tmp_path)
    if settled:
        checkpointed(data)
    shutil.copytree(data, tmp_path / "good")
    damage(data)
    before = files_of(data)
    for program in ("fcgi-api", "ws-relay"):
        run = run_alone(program, data)
        assert run.returncode == 100 and len(said(run)) == 1 and sentence in said(run)[0], run
        assert files_of(data) == before
    words = [BUILD / "admin/telemed-admin", "drain"]
    run = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, "TELEMED_DATA_DIR": str(data)})
    assert run.returncode in (66, 74) and files_of(data) == before, run
    for words in (["audit", "verify"], ["users", "list"], ["config", "check"]):
        look = subprocess.run([BUILD / "admin/telemed-admin", *words], capture_output=True, timeout=60,
                              env={**os.environ, "TELEMED_DATA_DIR": str(data)})
        assert are_as(data, before), words
    assert look.returncode == 78, look
    run = subprocess.run([ROOT / "scripts/run", BUILD], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                         env={**os.environ, "TELEMED_DATA_DIR": str(data), "TELEMED_PORT": str(free_port())})
    assert run.returncode == 100 and sentence in run.stderr, run
    assert are_as(data, before)
    code, out, _ = serves_all(tmp_path / "good", 5)
    assert code == 0, out


@pytest.mark.parametrize("left", [0.0, 0.3, 0.7, 0.99])
def test_going_on_without_what_was_lost(tmp_path, left):
    """Somebody who has read the sentence takes the head away: every commit up to the cut is there, and the trail tells of it."""
    data = prepared(tmp_path)
    wal = data / "telemed.db-wal"
    os.truncate(wal, int(wal.stat().st_size * left))
    assert run_alone("ws-relay", data).returncode == 100
    (data / "audit.head").rename(tmp_path / "audit.head")
    stack = Stack()
    shutil.copytree(data, stack.data)
    with stack:
        assert integrity(stack) == [("ok",)] and stack.sql("SELECT count(*) FROM user")[0][0] < 5
        stack.users = 100
        stack.doctor()
        assert stack.sql("SELECT count(*) FROM audit WHERE event = 'head_lost'") == [(1,)]
    shutil.rmtree(data)


def test_a_log_that_ends_in_the_middle_of_a_commit(tmp_path):
    """As by a power cut: nobody was told of that one, and the start takes it for what it is."""
    data = prepared(tmp_path)
    with open(data / "telemed.db-wal", "ab") as wal:
        wal.write((data / "telemed.db-wal").read_bytes()[32:32 + 4096])
    code, out, _ = serves_all(data, 5)
    assert code == 0, out


def test_a_head_that_is_behind(tmp_path):
    """As by a kill between the commit and the head."""
    data = prepared(tmp_path)
    with Stack() as stack:
        stack.stop()
        shutil.rmtree(stack.data)
        shutil.copytree(data, stack.data)
        head = (stack.data / "audit.head").read_bytes()
        stack.start()
        stack.users = 100
        stack.doctor()
        stack.stop()
        assert (stack.data / "audit.head").read_bytes() != head
        (stack.data / "audit.head").write_bytes(head)
        stack.start()
        assert stack.sql("SELECT count(*) FROM user") == [(6,)]


def test_after_a_stop_the_database_is_one_file(tmp_path):
    with Stack() as stack:
        for _ in range(5):
            stack.doctor()
        stack.stop()
        wal = stack.data / "telemed.db-wal"
        assert not wal.exists() or wal.stat().st_size == 0
        shutil.copy(stack.data / "telemed.db", tmp_path)
        db = sqlite3.connect(tmp_path / "telemed.db")
        assert db.execute("SELECT count(*) FROM user").fetchall() == [(5,)]
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.close()
        for name in ("telemed.db-wal", "telemed.db-shm"):
            (stack.data / name).unlink(missing_ok=True)
        stack.start()
        assert stack.sql("SELECT count(*) FROM user") == [(5,)]


async def test_a_ringing_call_that_cannot_be_stored_as_answered(stack):
    p, d = await stack.patient().connect(), await stack.doctor().connect()
    await ring(p, d)
    with Strace(stack.pids("ws-relay"), "fdatasync:error=EIO"):
        await d.send("call_accept", callId="c1", id="a")
        assert (await d.answer("a"))["code"] == "unavailable"
    await d.send("call_accept", callId="c1", id="b")
    assert (await d.answer("b"))["type"] == "ack"
    wait_until(lambda: [row[3] for row in stack.live_calls()] == ["ACTIVE"], "the call to be ACTIVE")
