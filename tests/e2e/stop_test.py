"""A stop in the middle of a start."""

import fcntl
import json
import os
import signal
import subprocess

import pytest
from stack import BUILD, PATIENCE, wait_until


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
    [started] = [line for line in map(json.loads, (tmp_path / "log").read_text().splitlines()) if line["event"] == "started"]
    assert (started["visibility"], started["doctor_signup"]) == ("scoped", "approve")
