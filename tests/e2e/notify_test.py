"""What a service manager is told (sd_notify(3)): that a program serves, that it stops, and that the relay's loop is not stuck."""

import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import termios

import pytest
from stack import BUILD, PATIENCE, wait_until
from wire import Wire

RELAY, API = "ws-relay/ws-relay", "fcgi-api/fcgi-api"


class Manager:
    """A service manager of one PROGRAM, on a data directory of its own; DEAF: one that does not read the program's log."""

    def __init__(self, work, program, deaf=False, **settings):
        self.data = work / "data"
        (self.data / "run").mkdir(parents=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(work / "notify"))
        self.socket.settimeout(PATIENCE)
        read, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        self.log = open(read, "rb", buffering=0)
        os.set_blocking(read, False)
        env = {**os.environ, "NOTIFY_SOCKET": str(work / "notify"), "TELEMED_DATA_DIR": str(self.data),
               "TELEMED_JWT_SECRET": "s" * 32, **settings}
        self.process = subprocess.Popen([BUILD / program], env=env, stdin=subprocess.DEVNULL, stderr=write if deaf else None)
        os.close(write)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.socket.close()

    def is_deaf(self):
        """Is there no room for another line in the log, which it does not read?"""
        waiting = fcntl.ioctl(self.log, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(waiting, sys.byteorder) > 4096 - 140

    def hears(self):
        return self.socket.recv(100).decode()

    def has_heard(self):
        """Is there a word that waits? Takes it."""
        return self.hears() if select.select([self.socket], [], [], 0)[0] else None


@pytest.mark.parametrize("program, door, last", [(RELAY, "relay.sock", "STOPPING=1"), (API, "api.sock", None)])
def test_ready_is_said_when_it_serves_and_the_end_when_it_ends(tmp_path, program, door, last):
    with Manager(tmp_path, program) as manager:
        assert manager.hears() == "READY=1"
        Wire(manager.data / "run" / door).socket.close()
        manager.process.send_signal(signal.SIGTERM)
        assert manager.process.wait(PATIENCE) == 0
        assert manager.has_heard() == last
        assert manager.has_heard() is None


@pytest.mark.parametrize("program", [RELAY, API])
def test_what_does_not_start_is_not_ready(tmp_path, program):
    with Manager(tmp_path, program, TELEMED_PORT="0") as manager:
        assert manager.process.wait(PATIENCE) == 100
        assert manager.has_heard() is None


def test_a_loop_that_is_stuck_is_not_alive(tmp_path):
    """It gets stuck where it writes its log, into a pipe that nobody reads."""
    with Manager(tmp_path, RELAY, deaf=True, WATCHDOG_USEC="20000000", TELEMED_LOG_LEVEL="debug") as manager:
        assert [manager.hears() for _ in range(3)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
        for _ in range(64):
            with Wire(manager.data / "run/relay.sock") as wire:
                wire.send(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(manager.is_deaf, "the log to be full")
        # One word may still be on its way; what is stuck falls silent.
        manager.socket.settimeout(3)
        with pytest.raises(TimeoutError):
            for _ in range(5):
                manager.hears()
        manager.socket.settimeout(PATIENCE)
        log = manager.log.read(4096)
        assert b"handshake_refused" in log
        wait_until(lambda: (manager.log.read(4096), manager.has_heard())[1] == "WATCHDOG=1", "it to be alive again")
