"""telemed-admin backup and restore."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
from stack import BUILD, Stack, User, both, call, wait_until

ADMIN = BUILD / "admin/telemed-admin"


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        s.doctor(), s.patient()
        yield s


def backup(stack, path):
    return stack.admin_json("backup", path)


def restore(stack, *words, code=0, **settings):
    got, out, err = stack.admin("restore", *words, **settings)
    assert got == code, (got, out, err)
    return out + err


class Elsewhere:
    """A place with nothing in it but the audit trail's key, and a telemed that can be started there."""

    def __init__(self, stack, folder):
        self.stack = Stack()
        self.stack.data = folder / "elsewhere"
        self.stack.data.mkdir(mode=0o700)
        shutil.copy(stack.data / "audit.key", self.stack.data)

    def __enter__(self):
        return self.stack

    def __exit__(self, *_):
        if (Path(self.stack.dir.name) / "log").exists():
            Stack.__exit__(self.stack)
        else:  # it was never started
            self.stack.dir.cleanup()


@pytest.fixture
def elsewhere(stack, tmp_path):
    with Elsewhere(stack, tmp_path) as s:
        yield s


async def test_a_backup_under_load_is_restored_elsewhere(tmp_path):
    with Stack() as stack:
        p, d = await both(stack)
        await call(p, d, "in-the-history")
        await d.send("call_end")
        await p.wait("call_end")
        stop, made = threading.Event(), []

        def load():
            while not stop.is_set():
                made.append(stack.patient())
                stack.login(d.user)
        threads = [threading.Thread(target=load) for _ in range(2)]
        for t in threads:
            t.start()
        wait_until(lambda: len(made) > 10, "load")
        before = [u.id for u in list(made)]
        got = backup(stack, tmp_path / "backup.db")
        wait_until(lambda: len(made) > len(before) + 10, "load")
        stop.set()
        for t in threads:
            t.join()
        assert stack.admin("audit", "verify")[0] == 0
        assert os.listdir(tmp_path) == ["backup.db"]
        assert (tmp_path / "backup.db").stat().st_mode & 0o777 == 0o600 and got["bytes"] == (tmp_path / "backup.db").stat().st_size
        with Elsewhere(stack, tmp_path) as other:
            restore(other, tmp_path / "backup.db", "--anchor", f"{got['last']['line']}:{got['last']['mac']}")
            assert sorted(os.listdir(other.data)) == ["audit.head", "audit.key", "run", "telemed.db"]
            assert other.admin("audit", "verify")[0] == 0
            other.start()
            there = {row[0] for row in other.sql("SELECT id FROM user")}
            assert set(before) <= there
            for user in (p.user, d.user, *made[:3]):
                status, answer = other.login(user)
                assert status == 200 and answer["user"]["id"] == user.id
            token = other.login(p.user)[1]["token"]
            (c,) = other.rest("GET", "/calls", token=token)[1]["calls"]
            assert (c["callId"], c["reason"], c["peer"]["id"]) == ("in-the-history", "hangup", d.user.id)
            new = await User(other, p.user.id, p.user.name, "PATIENT", token).connect()
            await new.barrier()
            assert other.admin("audit", "verify")[0] == 0
            assert " admin restore " in other.admin("audit", "list")[1] and " admin backup " in other.admin("audit", "list")[1]


async def test_what_was_is_kept_and_all_log_in_again(tmp_path):
    with Stack() as stack:
        user, gone = stack.patient(), stack.patient()
        early = stack.login(user)[1]["token"]
        last = backup(stack, tmp_path / "backup.db")["last"]["line"]
        stack.rest("POST", "/auth/logout", token=early)
        stack.admin("users", "disable", gone.id)
        late = stack.patient()
        lines = stack.sql("SELECT count(*) FROM audit")[0][0]
        stack.stop()
        out = restore(stack, tmp_path / "backup.db")
        assert "log in again" in out and "disabled" in out
        assert stack.admin("audit", "verify")[0] == 0
        stack.start()
        for token in (early, user.token, gone.token, late.token):
            assert stack.rest("GET", "/auth/me", token=token)[0] == 401
        assert [stack.login(u)[0] for u in (user, gone, late)] == [200, 200, 401]
        (kept,) = stack.data.glob("telemed.db.before-*[0-9]Z")
        db = sqlite3.connect(kept)
        assert db.execute("SELECT count(*) FROM audit").fetchone() == (lines,)
        assert db.execute("SELECT disabled FROM user WHERE id = ?", (gone.id,)).fetchone() == (1,)
        db.close()
        assert len(list(stack.data.glob("audit.head.before-*"))) == 1
        assert str(kept) in out
        # What has happened in between, which is to be done again.
        code, told, _ = stack.admin("audit", "list", kept, "--since", last)
        assert code == 0 and f" admin disable peer={gone.id} " in told and " registered " in told
        assert all(int(line.split()[0]) > last for line in told.splitlines())
        assert " disable " not in stack.admin("audit", "list", tmp_path / "backup.db")[1]
        # A second one goes as well, back to where it was.
        stack.stop()
        got = json.loads(restore(stack, kept, "--json"))
        assert got["file"] == str(kept) and got["kept"] != str(kept)
        assert stack.admin("audit", "verify")[0] == 0
        stack.start()
        assert [stack.login(u)[0] for u in (user, gone, late)] == [200, 401, 200]


def test_it_refuses_while_telemed_runs(stack, tmp_path):
    backup(stack, tmp_path / "backup.db")
    before = sorted(os.listdir(stack.data))
    for pause in (False, True):
        if pause:  # without scripts/run, as under systemd
            (stack.data / "run/run.lock").rename(stack.data / "run/away")
        assert "Telemed runs" in restore(stack, tmp_path / "backup.db", code=65)
        if pause:
            (stack.data / "run/away").rename(stack.data / "run/run.lock")
    assert sorted(os.listdir(stack.data)) == before
    stack.patient()


def test_it_refuses_while_a_part_of_telemed_runs(stack, tmp_path):
    """fcgi-api holds no lock."""
    backup(stack, tmp_path / "backup.db")
    (tmp_path / "data/run").mkdir(parents=True)
    log = tmp_path / "log"
    with open(log, "w") as file:
        api = subprocess.Popen([BUILD / "fcgi-api/fcgi-api"], stdin=subprocess.DEVNULL, stderr=file,
                               env={**os.environ, "TELEMED_DATA_DIR": str(tmp_path / "data"), "TELEMED_JWT_SECRET": "x" * 32})
    try:
        wait_until(lambda: '"event":"started"' in log.read_text(), "it to start")
        before = (tmp_path / "data/telemed.db").read_bytes()
        assert "Telemed runs" in restore(stack, tmp_path / "backup.db", code=65, TELEMED_DATA_DIR=str(tmp_path / "data"))
        assert (tmp_path / "data/telemed.db").read_bytes() == before
    finally:
        api.terminate()
        assert api.wait(20) == 0


def test_a_backup_is_a_new_file(stack, tmp_path):
    there, part = tmp_path / "there", tmp_path / "new.part"
    there.write_text("something")
    assert "already" in stack.admin("backup", there)[2]
    assert stack.admin("backup", there)[0] == 65 and there.read_text() == "something"
    part.write_text("half")
    code, _, err = stack.admin("backup", tmp_path / "new")
    assert code == 65 and f"{part}-journal" in err and not (tmp_path / "new").exists()
    assert stack.admin("backup", tmp_path / "none/new")[0] == 65
    for words in ((), ("a", "b"), ("--json",)):
        assert stack.admin("backup", *words)[0] == 64
    assert sorted(os.listdir(tmp_path)) == ["new.part", "there"]
    plain = stack.admin("backup", tmp_path / "odd name?%20#")
    assert plain[0] == 0 and "checked" in plain[1] and (tmp_path / "odd name?%20#").exists()


def test_no_backup_of_a_damaged_database(stack, tmp_path):
    backup(stack, tmp_path / "good.db")
    data = tmp_path / "data"
    (data / "run").mkdir(parents=True)
    shutil.copy(stack.data / "audit.key", data)
    shutil.copy(stack.data / "audit.head", data)
    good = bytearray((tmp_path / "good.db").read_bytes())
    found = good.rfind(b"example.org")
    good[found - 300:found + 300] = b"\xa5" * 600
    (data / "telemed.db").write_bytes(good)
    code, out, err = stack.admin("backup", tmp_path / "bad.db", TELEMED_DATA_DIR=str(data))
    assert (code, out) == (74, "") and "damaged" in err
    assert not (tmp_path / "bad.db").exists() and not (tmp_path / "bad.db.part").exists()


def test_a_backup_on_a_full_disk_leaves_nothing(stack, tmp_path):
    """The limit of a file's size stands for the disk's."""
    env = {**os.environ, **stack.settings, "TELEMED_DATA_DIR": str(stack.data)}
    got = subprocess.run(["bash", "-c", 'ulimit -f 40; trap "" XFSZ; exec "$0" "$@"', ADMIN, "backup", tmp_path / "full.db"], env=env,
                         capture_output=True, text=True)
    assert got.returncode == 74 and os.listdir(tmp_path) == []


@pytest.mark.parametrize("what", ["nothing", "empty", "text", "noise", "sqlite", "newer", "cut", "folder"])
def test_what_is_no_backup_is_refused(stack, elsewhere, tmp_path, what):
    file = tmp_path / "backup.db"
    if what == "folder":
        file.mkdir()
    elif what == "empty":
        file.write_bytes(b"")
    elif what == "text":
        file.write_text("no database " * 1000)
    elif what == "noise":
        file.write_bytes(os.urandom(20000))
    elif what == "sqlite":
        db = sqlite3.connect(file)
        db.execute("CREATE TABLE user (id INTEGER PRIMARY KEY)")
        db.close()
    elif what in ("newer", "cut"):
        backup(stack, file)
        if what == "newer":
            db = sqlite3.connect(file)
            db.execute("PRAGMA user_version = 99")
            db.close()
        else:
            file.write_bytes(file.read_bytes()[:-8192])
    code = {"nothing": 66, "newer": 78, "folder": 74}.get(what, 65)
    got = elsewhere.admin("restore", file)
    assert got[0] == code and got[1] == "" and got[2], got
    assert sorted(os.listdir(elsewhere.data)) == ["audit.key", "run"]


def test_a_trail_that_is_not_whole_is_refused_unless_it_may_be(stack, elsewhere, tmp_path):
    file = tmp_path / "backup.db"
    backup(stack, file)
    db = sqlite3.connect(file)
    db.execute("DROP TRIGGER audit_is_not_edited")
    db.execute("UPDATE audit SET outcome = 'OTHER' WHERE seq = 2")
    db.commit()
    db.close()
    code, out, err = elsewhere.admin("restore", file)
    assert code == 1 and "Line 2 was edited" in out and "--broken-trail" in err
    assert elsewhere.admin_json("restore", file, "--after", "2")["file"] == str(file)
    assert elsewhere.admin("audit", "verify", "--after", "2")[0] == 0
    restore(elsewhere, file, "--broken-trail")
    text = elsewhere.admin("audit", "list")[1]
    assert " head_lost found" in text and " admin restore " in text
    assert elsewhere.admin("audit", "verify")[0] == 1
    elsewhere.start()
    assert elsewhere.rest("GET", "/readyz")[0] == 200


def test_without_the_key_there_is_no_restore(stack, elsewhere, tmp_path):
    backup(stack, tmp_path / "backup.db")
    (elsewhere.data / "audit.key").rename(tmp_path / "key")
    assert "key is gone" in restore(elsewhere, tmp_path / "backup.db", code=78)
    (elsewhere.data / "audit.key").write_bytes(os.urandom(32))
    (elsewhere.data / "audit.key").chmod(0o600)
    assert elsewhere.admin("restore", tmp_path / "backup.db")[0] == 1
    assert sorted(os.listdir(elsewhere.data)) == ["audit.key", "run"]
    restore(elsewhere, tmp_path / "backup.db", TELEMED_AUDIT_KEY_FILE=str(tmp_path / "key"))


def test_an_anchor_finds_a_backup_that_was_cut(stack, elsewhere, tmp_path):
    got = backup(stack, tmp_path / "backup.db")
    anchor = f"{got['last']['line']}:{got['last']['mac']}"
    db = sqlite3.connect(tmp_path / "backup.db")
    db.execute("DROP TRIGGER audit_is_not_deleted")
    db.execute("DELETE FROM audit WHERE seq > 2")
    db.commit()
    db.close()
    assert "missing" in restore(elsewhere, tmp_path / "backup.db", "--anchor", anchor, code=1)
    restore(elsewhere, tmp_path / "backup.db")
    for words in (("--anchor", "x"), ("--after", "-1"), ("--after", "9", "--anchor", "3:" + "0" * 64), ("more",)):
        assert elsewhere.admin("restore", tmp_path / "backup.db", *words)[0] == 64


def test_a_copy_of_sqlite_s_own_shell_is_restored_too(stack, elsewhere, tmp_path):
    """It has the mark of a log on it, and none beside it."""
    (tmp_path / "read-only").mkdir()
    file = tmp_path / "read-only/shell.db"
    subprocess.run(["sqlite3", "-readonly", stack.data / "telemed.db", f".backup '{file}'"], check=True, timeout=60)
    user = stack.patient()
    restore(elsewhere, file)
    assert os.listdir(tmp_path / "read-only") == ["shell.db"]
    elsewhere.start()
    assert elsewhere.login(user)[0] == 401


def test_a_backup_of_an_older_version_is_brought_up(elsewhere, tmp_path):
    from stack import ROOT
    db = sqlite3.connect(tmp_path / "old.db")
    for file in sorted((ROOT / "shared/store/schema").glob("00[1-3]_*.sql")):
        db.executescript(file.read_text())
    db.execute("PRAGMA user_version = 3")
    db.execute("INSERT INTO user (name, email, password_hash, role, created_ms) VALUES ('Old', 'old@example.org', '', 'DOCTOR', 1)")
    db.commit()
    db.close()
    restore(elsewhere, tmp_path / "old.db")
    assert [u["email"] for u in elsewhere.admin_json("users", "list")["users"]] == ["old@example.org"]
    assert elsewhere.admin("audit", "verify")[0] == 0
    elsewhere.start()
    assert elsewhere.rest("GET", "/readyz")[0] == 200


async def test_nothing_is_lost_where_a_restore_is_killed(tmp_path):
    """Before each of its renames and removals; then it is done again."""
    with Stack() as stack:
        user = stack.patient()
        backup(stack, tmp_path / "backup.db")
        late = stack.patient()
        stack.stop()
        original = tmp_path / "original"
        shutil.copytree(stack.data, original, ignore=shutil.ignore_patterns("*.sock"))
        for call_name, nth in (("link", 1), ("link", 2), ("link", 3), ("rename", 1), ("unlink", 5), ("rename", 2)):
            shutil.rmtree(stack.data)
            shutil.copytree(original, stack.data)
            env = {**os.environ, **stack.settings, "TELEMED_DATA_DIR": str(stack.data)}
            got = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", f"trace={call_name}", "-e",
                                  f"inject={call_name}:signal=KILL:when={nth}", ADMIN, "restore", tmp_path / "backup.db"], env=env,
                                 capture_output=True)
            assert got.returncode in (-9, 0, 137), got
            stack.start()
            assert stack.login(user)[0] == 200, (call_name, nth)
            stack.stop()
            restore(stack, tmp_path / "backup.db")
            assert stack.admin("audit", "verify")[0] == 0, (call_name, nth)
            stack.start()
            assert [stack.login(u)[0] for u in (user, late)] == [200, 401]
            stack.stop()
        await asyncio.sleep(0)
