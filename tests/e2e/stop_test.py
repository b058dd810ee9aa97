"""Ends: in the middle of a start, of what does not want to end, and with something unfinished. And starts that are none."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from stack import BUILD, PATIENCE, Stack, wait_until
from wire import Wire, head


def waits_for(process, name):
    """It has opened the file of this name."""
    try:
        return any(os.readlink(f.path).endswith(name) for f in os.scandir(f"/proc/{process.pid}/fd"))
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", ["fcgi-api", "ws-relay"])
def test_a_stop_while_it_starts_is_a_stop_as_any(tmp_path, program, stop):
    """It waits for the database, which somebody else holds, and has no handler yet."""
    (tmp_path / "run").mkdir()
    env = {**os.environ, "TELEMED_DATA_DIR": str(tmp_path), "TELEMED_JWT_SECRET": "x" * 32, "TELEMED_VISIBILITY": "scoped",
           "TELEMED_DOCTOR_SIGNUP": "approve"}
    with open(tmp_path / "run/store.lock", "w") as lock, open(tmp_path / "log", "w") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen([BUILD / program / program], env=env, stdin=subprocess.DEVNULL, stderr=log)
        try:
            wait_until(lambda: waits_for(process, "/store.lock"), "it to open the database")
            process.send_signal(stop)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.wait(PATIENCE) == 0, (tmp_path / "log").read_text()
        finally:
            process.kill()
            process.wait()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]  # not valgrind's
    [started] = [line for line in lines if line["event"] == "started"]
    assert (started["visibility"], started["doctor_signup"]) == ("scoped", "approve")


@pytest.mark.parametrize("times", [1, 2])
def test_a_worker_that_does_not_end_is_ended(times):
    """Five seconds after the word to stop, or at once at the second; who waits for its answer is told."""
    with Stack() as stack:
        api, *workers = stack.pids("fcgi-api")
        answers = []
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        asker = threading.Thread(target=lambda: answers.append(stack.rest("GET", "/livez")))
        asker.start()
        os.kill(api, signal.SIGTERM)
        if times == 2:
            wait_until(lambda: stops(stack.data / "run/api.sock"), "it to take no more requests")
            os.kill(api, signal.SIGTERM)
        wait_until(lambda: stack.pids("fcgi-api")[:1] not in ([], [api]), "another fcgi-api")
        asker.join()
        assert answers[0][0] in (200, 500, 503), answers
        wait_until(lambda: stack.rest("GET", "/livez")[0] == 200, "an answer")
        assert not {w for w in workers if Path(f"/proc/{w}").exists()}
        assert stack.log_text().count('"event":"worker_died"') == len(workers)
        assert "fcgi-api ended with 0," in stack.log_text()


def stops(path):
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(str(path))
            return False
        except ConnectionRefusedError:
            return True


def test_a_handshake_that_is_not_finished_ends_with_the_relay():
    with Stack() as stack:
        with Wire(stack.relay_socket) as begun, Wire(stack.relay_socket) as silent:
            begun.send(head("/ws?token=x")[:-10])
            with Wire(stack.relay_socket) as other:  # accepted behind these two
                assert other.ask(head("/ws?token=x"))[0] == 401
            stack.kill("ws-relay", signal.SIGTERM)
            for wire in (begun, silent):
                assert wire.socket.recv(1) == b""
        assert "ws-relay ended with 0," in stack.log_text()


async def test_what_an_end_finds_unwritten_is_told():
    """Refusals whose line in the audit trail nobody can write before the end."""
    with Stack() as stack:
        c = await stack.patient().connect()
        await c.barrier()
        with open(stack.data / "run/store.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for i in range(3):
                await c.send("set_status", id=f"s{i}", status="ONLINE")
                assert (await c.answer(f"s{i}"))["code"] == "forbidden"
            await asyncio.get_running_loop().run_in_executor(None, stack.kill, "ws-relay", signal.SIGTERM)
        assert '"event":"audit_lines_lost","lines":3}' in stack.log_text()


@pytest.mark.parametrize("program", ["fcgi-api", "ws-relay"])
@pytest.mark.parametrize("length,says", [(150, "too long for a Unix socket"), (1020, "is too long."), (1100, "shorter than 1024")])
def test_a_data_directory_whose_name_is_too_long(tmp_path, program, length, says):
    """For a socket; for the names of what is in it; for a setting."""
    data = str(tmp_path)
    while len(data) < length:
        data += "/" + "x" * min(length - len(data) - 1, 200)
    os.makedirs(data + "/run")
    run = subprocess.run([BUILD / program / program], capture_output=True, text=True, timeout=3 * PATIENCE, stdin=subprocess.DEVNULL,
                         env={**os.environ, "TELEMED_DATA_DIR": data, "TELEMED_JWT_SECRET": "x" * 32}, check=False)
    said = [line for line in run.stderr.splitlines() if line.startswith(program)]
    assert run.returncode == 100 and len(said) == 1 and says in said[0], run
