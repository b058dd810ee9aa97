"""telemed-admin: what it lists and does, and how it ends where it cannot."""

import fcntl
import json
import os
import sqlite3
import subprocess

import pytest
from stack import BUILD, Stack


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_DOCTOR_SIGNUP="approve") as s:
        yield s


def users(stack, *options):
    code, out, err = stack.admin("users", "list", "--json", *options)
    assert (code, err) == (0, "")
    return json.loads(out)["users"]


def test_lists_accounts_by_id(stack):
    doctor, patient = stack.register("DOCTOR", 'Dr. "É" \\'), stack.patient()
    got = users(stack)
    assert [u["id"] for u in got] == sorted(u["id"] for u in got)
    (d,), (p,) = ([u for u in got if u["id"] == who.id] for who in (doctor, patient))
    assert d.pop("createdAt").endswith("Z") and p.pop("createdAt").endswith("Z")
    assert d == {"id": doctor.id, "name": 'Dr. "É" \\', "email": f"user{stack.users - 1}@example.org", "role": "DOCTOR",
                 "status": "OFFLINE", "pending": True, "disabled": False, "erased": False}
    assert p["pending"] is False and p["role"] == "PATIENT"
    pending = users(stack, "--pending")
    assert doctor.id in [u["id"] for u in pending] and patient.id not in [u["id"] for u in pending]


def test_lists_accounts_for_a_person(stack):
    doctor, patient = stack.doctor(), stack.patient()
    code, out, _ = stack.admin("users", "list")
    lines = {line.split()[0]: line.split() for line in out.splitlines()}
    assert code == 0 and lines["ID"] == ["ID", "ROLE", "STATUS", "EMAIL", "NAME"]
    assert lines[str(doctor.id)][1:4] == ["DOCTOR", "pending", f"user{stack.users - 1}@example.org"]
    assert lines[str(patient.id)][1:3] == ["PATIENT", "OFFLINE"]
    assert str(patient.id) not in [line.split()[0] for line in stack.admin("users", "list", "--pending")[1].splitlines()]


def test_tells_a_person_who_is_out(stack):
    disabled, erased = stack.patient(), stack.patient()
    assert stack.admin("users", "disable", disabled.id)[0] == stack.admin("users", "erase", erased.id, "--yes")[0] == 0
    lines = {line.split()[0]: line.split()[1:] for line in stack.admin("users", "list")[1].splitlines()}
    assert lines[str(disabled.id)][:2] == ["PATIENT", "disabled"]
    assert lines[str(erased.id)] == ["PATIENT", "erased", "erased", str(erased.id), "Erased"]


def test_approves_by_id_and_by_email(stack):
    first, second = stack.doctor(), stack.doctor()
    assert stack.admin("users", "approve", first.id) == (0, f"{first.id} is approved\n", "")
    assert stack.admin("users", "approve", f"USER{stack.users}@Example.org") == (0, f"{second.id} is approved\n", "")
    assert stack.admin("users", "approve", first.id) == (0, f"{first.id} was approved before\n", "")
    assert not {first.id, second.id} & {u["id"] for u in users(stack, "--pending")}


def test_says_that_nobody_waits():
    with Stack() as stack:
        assert stack.admin("users", "list", "--pending") == (0, "No doctor waits for approval.\n", "")
        assert stack.admin("users", "list") == (0, "There are no users.\n", "")
        assert users(stack) == []
        doctor = stack.doctor()
        assert stack.admin("users", "approve", doctor.id) == (0, f"{doctor.id} was approved before\n", "")


@pytest.mark.parametrize("words", [(), ("users",), ("users", "eat"), ("user", "list"), ("users", "list", "--all"),
                                   ("users", "approve"), ("users", "approve", "1", "2"), ("users", "approve", "Ann"),
                                   ("users", "approve", "0"), ("users", "approve", "-1"), ("users", "approve", "7x"),
                                   ("users", "approve", "9" * 30)])
def test_a_wrong_command_line_is_64(stack, words):
    code, out, err = stack.admin(*words)
    assert (code, out) == (64, "") and "telemed-admin users" in err


def test_help_names_every_command_and_code(stack):
    for words in (("--help",), ("users", "list", "--help"), ("-h",)):
        code, out, err = stack.admin(*words)
        assert (code, err) == (0, "")
        for text in ("users list [--pending] [--json]", "users approve ID|EMAIL", "64", "75"):
            assert text in out


def test_a_patient_is_65_and_nobody_67(stack):
    patient = stack.patient()
    assert stack.admin("users", "approve", patient.id)[0] == 65
    for who in ("999999", "nobody@example.org"):
        code, out, err = stack.admin("users", "approve", who)
        assert (code, out, err) == (67, "", "telemed-admin: There is no such user.\n")


def test_no_database_is_66_and_makes_none(stack, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        code, out, _ = stack.admin("users", "list", TELEMED_DATA_DIR=str(folder), TELEMED_JWT_SECRET="x" * 32)
        assert (code, out) == (66, "")
    assert list(tmp_path.iterdir()) == []


def test_a_bad_setting_is_78(stack):
    code, _, err = stack.admin("users", "list", TELEMED_DOCTOR_SIGNUP="closed")
    assert code == 78 and "TELEMED_DOCTOR_SIGNUP" in err


def test_a_locked_database_is_75_and_changes_nothing(stack):
    doctor = stack.doctor()
    with open(stack.data / "run/store.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, out, err = stack.admin("users", "approve", doctor.id)
    assert (code, out) == (75, "") and "locked" in err
    assert doctor.id in [u["id"] for u in users(stack, "--pending")]


def test_a_list_that_nobody_can_read_has_failed(stack):
    env = {**os.environ, **stack.settings, "TELEMED_DATA_DIR": str(stack.data)}
    with open("/dev/full", "w") as full:
        got = subprocess.run([BUILD / "admin/telemed-admin", "users", "list"], env=env, stdout=full, stderr=subprocess.PIPE,
                             text=True)
    assert got.returncode == 74 and "Standard output" in got.stderr


def test_works_while_nothing_runs_and_leaves_what_is_not_its_own():
    with Stack(TELEMED_DOCTOR_SIGNUP="approve") as stack:
        doctor = stack.doctor()
        stack.stop()
        assert stack.admin("users", "approve", doctor.id)[0] == 0
        db = sqlite3.connect(stack.data / "telemed.db")
        db.execute("PRAGMA user_version = 99")
        db.close()
        code, _, err = stack.admin("users", "list")
        assert code == 78 and "newer" in err
        (stack.data / "telemed.db").write_bytes(b"no database" * 1000)
        for name in ("telemed.db-wal", "telemed.db-shm"):
            (stack.data / name).unlink(missing_ok=True)
        code, _, err = stack.admin("users", "list")
        assert code == 74 and "damaged" in err
