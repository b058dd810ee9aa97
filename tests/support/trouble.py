"""For the tests of faults: a stack whose programs can be made to fail, and who watches it meanwhile."""

import mmap
import os
import shutil
import signal
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from stack import BUILD, Stack, wait_until

SHIM = BUILD / "tests/faults/shim.so"


class Shim:
    """What tests/faults/shim.c does in all programs that were started with env()."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(32))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 32)

    def env(self):
        return {"LD_PRELOAD": str(SHIM), "FAULT_SHIM": str(self.path)}

    def get(self, i):
        return struct.unpack_from("q", self.map, 8 * i)[0]

    def put(self, i, value):
        struct.pack_into("q", self.map, 8 * i, value)

    def fail_allocation(self, n, own=False):
        """The Nth from now, of all processes; 0: none. OWN: those of libraries do not count."""
        self.put(1, 0)
        self.put(3, own)
        self.put(0, n)

    def has_failed(self):
        return self.get(1) > 0

    def set_clock(self, ahead_s):
        self.put(2, ahead_s)


class ShimmedStack(Stack):
    """The three programs are run with a shim each: shims[PROGRAM]."""

    def __init__(self, **settings):
        super().__init__(**settings)
        base = Path(self.dir.name)
        self.shims = {}
        self.build = base / "build"
        for program in ("fcgi-api", "ws-relay"):
            self.wrap(BUILD / program / program, self.build / program)
        path = os.environ["PATH"]
        self.wrap(shutil.which("lighttpd", path=path + ":/usr/sbin"), base / "bin")
        self.settings["PATH"] = f"{base / 'bin'}:{path}"

    def wrap(self, real, folder):
        """FOLDER is where the program is looked for."""
        program = Path(real).name
        folder.mkdir(parents=True)
        self.shims[program] = Shim(folder.parent / f"{program}.shim")
        variables = " ".join(f"{name}='{value}'" for name, value in self.shims[program].env().items())
        wrapper = folder / program
        wrapper.write_text(f"#!/bin/sh\n{variables} exec {real} \"$@\"\n")
        wrapper.chmod(0o755)


class Strace:
    """`with Strace(pids, "fdatasync:error=EIO"):` what strace injects into these processes meanwhile. LOG: where it notes each call."""

    def __init__(self, pids, *injections, log="/dev/null"):
        if shutil.which("strace") is None:
            pytest.skip("there is no strace")
        names = ",".join(i.split(":")[0] for i in injections)
        self.command = ["strace", "-q", "-f", "-o", str(log), "-e", f"trace={names}"]
        for injection in injections:
            self.command += ["-e", f"inject={injection}"]
        for pid in pids:
            self.command += ["-p", str(pid)]
        self.pids = pids

    def is_attached(self):
        """To every thread; or what was to happen has happened."""
        if self.process.poll() is not None:
            return True
        try:
            return all(f"TracerPid:\t{self.process.pid}\n" in (task / "status").read_text()
                       for pid in self.pids for task in Path(f"/proc/{pid}/task").iterdir())
        except FileNotFoundError:
            return True

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True)
        wait_until(self.is_attached, "strace to attach")
        if self.process.poll() not in (None, 0, -signal.SIGKILL):  # it ends as what it watches has
            said = self.process.stderr.read()
            if "not permitted" in said:
                pytest.skip("strace may not attach here")
            raise AssertionError(said)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)  # it detaches; or they are dead, and it has ended
        self.process.wait()


class Sampler:
    """`with Sampler(stack) as seen:` GET /doctors all the while, ten times a second. seen.busy: [(since, until, who is BUSY)]."""

    def __init__(self, stack):
        self.stack, self.busy, self.stop = stack, [], threading.Event()
        self.token = stack.patient().token
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.wait(0.1):
            since = time.monotonic()
            try:
                status, got = self.stack.rest("GET", "/doctors", token=self.token)
            except (OSError, ValueError):
                continue
            if status == 200:
                self.busy.append((since, time.monotonic(), {d["id"] for d in got["doctors"] if d["status"] == "BUSY"}))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def between(self, begin, end):
        """Every answer to a question asked past BEGIN and answered by END."""
        return [busy for since, t, busy in self.busy if begin <= since and t <= end]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def restarted(stack, program, before):
    """PROGRAM has a new process in the place of BEFORE, and the stack is ready."""
    wait_until(lambda: stack.pids(program)[:1] not in ([], [before]), f"another {program}")
    wait_until(lambda: is_ready(stack), "the stack to be ready")


def is_ready(stack):
    try:
        return stack.rest("GET", "/readyz")[0] == 200
    except (OSError, ValueError):
        return False


def integrity(stack):
    return stack.sql("PRAGMA integrity_check")
