"""/readyz says which check fails, and answers whatever is wrong. (A full disk is in rest_disk_full.sh.)"""

import os
import resource
import signal
import socket
import sqlite3
from contextlib import contextmanager

import pytest
from stack import Stack, wait_until

WELL = {"database": "ok", "disk": "ok", "relay": "ok"}


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        yield s


def says(stack, **checks):
    """Waits until these checks fail, each in this way, and no other; and the metrics say the same."""
    wanted = {**WELL, **checks}
    answer = [None]

    def right():
        answer[0] = stack.rest("GET", "/readyz")
        return answer[0] == ((503, {"status": "unavailable", "checks": wanted}) if checks else
                             (200, {"status": "ok", "checks": wanted}))
    try:
        wait_until(right, f"{checks}")
    except AssertionError:
        raise AssertionError(f"not {checks} but {answer[0]}")
    shown = stack.metrics()
    assert {check: shown[f'telemed_check_ok{{check="{check}"}}'] for check in WELL} == \
        {check: float(word == "ok") for check, word in wanted.items()}
    assert stack.rest("GET", "/livez")[0] == 200


@contextmanager
def stopped(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_all_is_well(stack):
    says(stack)


def test_the_database_is_locked(stack):
    db = sqlite3.connect(stack.data / "telemed.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    says(stack, database="locked")
    db.execute("ROLLBACK")
    db.close()
    says(stack)


def test_the_database_is_gone(stack):
    names = [p for p in stack.data.iterdir() if p.name.startswith("telemed.db")]
    away = stack.data / "away"
    away.mkdir()
    for p in names:
        p.rename(away / p.name)
    says(stack, database="gone")
    for p in names:
        (away / p.name).rename(p)
    says(stack)


def test_the_database_belongs_to_a_newer_version(stack):
    db = sqlite3.connect(stack.data / "telemed.db", isolation_level=None)
    [(version,)] = db.execute("PRAGMA user_version")
    db.execute("PRAGMA user_version = 99")
    says(stack, database="newer")
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    says(stack)


def test_the_relay_is_away(stack):
    with stopped([stack.process.pid]):  # who would start it again
        [relay] = stack.pids("ws-relay")
        os.kill(relay, signal.SIGKILL)
        says(stack, relay="away")
    says(stack)


def test_the_relay_is_stuck(stack):
    with stopped(stack.pids("ws-relay")):
        says(stack, relay="stuck")
    says(stack)


def test_the_relay_is_stuck_and_its_queue_is_full(stack):
    """Whoever waits for room in it waits for ever."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 10000), before[1]))
    waiting = []
    try:
        with stopped(stack.pids("ws-relay")):
            while True:
                s = socket.socket(socket.AF_UNIX)
                s.setblocking(False)
                waiting.append(s)
                try:
                    s.connect(str(stack.relay_socket))
                except BlockingIOError:
                    break
            assert len(waiting) > 100
            says(stack, relay="stuck")
            for s in waiting:
                s.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    says(stack)


def test_all_that_fails_is_named(stack):
    db = sqlite3.connect(stack.data / "telemed.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with stopped(stack.pids("ws-relay")):
        says(stack, database="locked", relay="stuck")
    db.execute("ROLLBACK")
    db.close()
    says(stack)
