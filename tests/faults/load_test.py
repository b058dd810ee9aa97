"""Clients that act at random, under one kind of fault again and again; their histories are checked (tests/history). Every kind that the
other tests here bring about one by one is here too."""

import os
import resource
import sys
import time
from pathlib import Path

import pytest
from trouble import ShimmedStack, Strace

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "history"))

from soak import Soak, soak  # noqa: E402


class Harsher(Soak):
    """With the faults that want root, or something between the programs and the C library."""

    STACK = ShimmedStack

    def victim(self):
        """The relay, or a worker of fcgi-api."""
        return self.rng.choice(self.stack.pids("ws-relay") + self.stack.pids("fcgi-api")[1:][-2:])

    def for_a_while(self, done=lambda: False):
        deadline = time.monotonic() + self.rng.uniform(1, 5)
        while time.monotonic() < deadline and not done():
            time.sleep(0.02)

    def disk_fails(self):
        """The log cannot be written, or not be synced."""
        what = self.rng.choice(["fdatasync:error=EIO", "fdatasync:error=ENOSPC", "pwrite64:error=ENOSPC", "pwrite64:error=EIO"])
        with Strace(self.stack.pids("ws-relay") + self.stack.pids("fcgi-api"), what):
            self.for_a_while()

    def accept_fails(self):
        with Strace(self.stack.pids("ws-relay"), "accept4:error=EMFILE"), \
                Strace(self.stack.pids("fcgi-api")[1:], "accept:error=EMFILE"):
            self.for_a_while()

    def killed_as_it_stores(self):
        """Of one of the first writes or syncs from now, so that all, some or nothing of a commit is in the log."""
        pid, syscall = self.victim(), self.rng.choice(["fdatasync", "pwrite64"])
        with Strace([pid], f"{syscall}:signal=KILL:when={self.rng.randrange(1, 12)}"):
            self.for_a_while(lambda: not Path(f"/proc/{pid}").exists())

    def killed_as_it_speaks(self):
        """The relay, of what it writes to a client: behind the commit that it is about, or of what has none."""
        [pid] = self.stack.pids("ws-relay")[:1]
        with Strace([pid], f"sendto:signal=KILL:when={self.rng.randrange(1, 40)}"):
            self.for_a_while(lambda: not Path(f"/proc/{pid}").exists())

    def descriptors_run_out(self):
        """The relay has none left for another client, or, as often, none at all."""
        [pid] = self.stack.pids("ws-relay")[:1]
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        left = self.rng.choice([0, 64])
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + left, limit[1]))
        self.for_a_while()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)

    def memory_fails(self):
        """One allocation, of whatever comes."""
        shim = self.stack.shims[self.rng.choice(["ws-relay", "fcgi-api"])]
        shim.fail_allocation(self.rng.randrange(1, 2000))
        self.for_a_while(shim.has_failed)
        shim.fail_allocation(0)

    def clock_jumps(self):
        """An hour ahead, and back again."""
        for ahead_s in (3600, 0):
            for shim in self.stack.shims.values():
                shim.set_clock(ahead_s)
            self.for_a_while()

    FAULTS = [(1, f) for f in (disk_fails, accept_fails, killed_as_it_stores, killed_as_it_speaks, descriptors_run_out, memory_fails,
                               clock_jumps)]


def run(kind, faults, directory):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    assert soak(40, seed, directory, faults, kind) == []


@pytest.mark.parametrize("faults", [("kill_relay",), ("end_relay",), ("upgrade",), ("kill_worker", "kill_api"), ("stop_relay",),
                                    ("hold_lock", "hold_transaction"), ("kill_lighttpd", "kill_both"), ("kill_crowd", "stop_crowd"),
                                    ("take_doorbell",)],
                         ids="+".join)
def test_no_promise_is_broken(tmp_path, faults):
    run(Soak, faults, tmp_path)


@pytest.mark.parametrize("fault", [f.__name__ for _, f in Harsher.FAULTS])
def test_nor_by_what_is_harsher(tmp_path, fault):
    run(Harsher, (fault,), tmp_path)
