#!/usr/bin/python3
"""make soak: the real stack under clients that act at random (load.py), with a fault every few seconds and quiet in between. In the end
nothing may be left behind: no call, nobody BUSY, no descriptor, no memory that grows; the database is whole, and the histories of all
clients keep every promise (check.py). Prints what was done; exit code 1 where something was wrong, and then the histories stay."""

import argparse
import fcntl
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from check import check  # noqa: E402
from history import Recorder, read  # noqa: E402
from stack import Stack, wait_until  # noqa: E402

PROGRAMS = ("ws-relay", "fcgi-api", "lighttpd")
CROWDS, PATIENTS, DOCTORS = 4, 6, 4  # processes of clients, and people in each
PATIENCE = 90
# What the last third may have more than the second one, by the median of each: noise of a heap, and of who is connected just then.
SLACK, SLACK_BYTES, SLACK_FDS = 1.25, 8 << 20, 40
SETTINGS = {"TELEMED_RING_TIMEOUT": 4, "TELEMED_CALL_GRACE": 5, "TELEMED_PRESENCE_GRACE": 3, "TELEMED_DRAIN_TIME": 2}


class Crowd:
    """A process of clients, which may be killed and begun again with the same people."""

    def __init__(self, soak, n):
        self.soak, self.n, self.lives = soak, n, 0
        self.accounts = soak.dir / f"crowd{n}.accounts"
        self.accounts.write_text("".join(f"{role[0].lower()}{n}-{i}@example.org {role}\n"
                                         for role, count in (("PATIENT", PATIENTS), ("DOCTOR", DOCTORS)) for i in range(count)))
        self.start()

    def start(self):
        self.lives += 1
        self.file = f"crowd{self.n}.{self.lives}.history"
        with open(self.soak.dir / f"crowd{self.n}.errors", "ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "load.py", "--base", self.soak.stack.http, "--history", self.soak.dir / self.file,
                 "--accounts", self.accounts, "--seed", str(self.soak.rng.getrandbits(32))],
                stdout=subprocess.PIPE, stderr=errors, text=True)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.soak.recorder.write("killed", file=self.file)
        self.start()

    def check_lives(self):
        assert self.process.poll() is None, f"crowd {self.n} has ended: " + (self.soak.dir / f"crowd{self.n}.errors").read_text()[-2000:]


class Soak:
    STACK = Stack

    def __init__(self, seconds, seed, directory, only):
        self.seconds, self.rng, self.dir = seconds, random.Random(seed), directory
        self.faults = [(weight, f) for weight, f in self.FAULTS if not only or f.__name__ in only]
        self.stack = self.STACK(**SETTINGS)
        self.recorder = Recorder(directory / "soak.history")
        self.stop = threading.Event()
        self.usage = {p: [] for p in PROGRAMS}  # (time, bytes, descriptors)
        self.faults_done = {}

    # What is watched

    def sample_doctors(self, token):
        while not self.stop.wait(0.1):
            since = time.monotonic()
            try:
                status, got = self.stack.rest("GET", "/doctors", token=token)
            except (OSError, ValueError):
                continue
            if status == 200:
                shown = {d["id"]: d["status"] for d in got["doctors"]}
                self.recorder.write("doctors", since=since, busy=[i for i, s in shown.items() if s == "BUSY"],
                                    free=[i for i, s in shown.items() if s != "BUSY"])

    def sample_usage(self):
        while not self.stop.wait(1):
            for program in PROGRAMS:
                try:
                    self.usage[program].append((time.monotonic(), self.memory(program), self.descriptors(program)))
                except (OSError, StopIteration):
                    pass  # it is being killed

    def memory(self, program):
        total = 0
        for pid in self.stack.pids(program):
            with open(f"/proc/{pid}/status") as status:
                total += next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS:"))
        return total

    def descriptors(self, program):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.stack.pids(program))

    # What is done to it

    def is_back(self):
        try:
            return self.stack.rest("GET", "/readyz")[0] == 200
        except (OSError, ValueError):
            return False

    def signal_one(self, program, sig, youngest=False):
        for pid in self.stack.pids(program)[-1 if youngest else 0:][:1]:
            os.kill(pid, sig)

    def kill_relay(self):
        self.signal_one("ws-relay", signal.SIGKILL)

    def end_relay(self):
        self.signal_one("ws-relay", signal.SIGTERM)

    def upgrade(self):
        """Both programs anew, one after the other."""
        before = {p: self.stack.pids(p)[:1] for p in ("ws-relay", "fcgi-api")}
        self.stack.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: all(self.stack.pids(p)[:1] not in ([], old) for p, old in before.items()), "other programs", PATIENCE)

    def reload(self):
        self.stack.process.send_signal(signal.SIGHUP)

    def kill_worker(self):
        self.signal_one("fcgi-api", signal.SIGKILL, youngest=True)

    def kill_api(self):
        self.signal_one("fcgi-api", signal.SIGKILL)

    def kill_lighttpd(self):
        self.signal_one("lighttpd", signal.SIGKILL)

    def kill_both(self):
        self.kill_relay()
        self.kill_api()

    def stop_relay(self):
        pids = self.stack.pids("ws-relay")[:1]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(self.rng.uniform(1, 6))
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def hold_lock(self):
        with open(self.stack.data / "run/store.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            time.sleep(self.rng.uniform(1, 6))

    def hold_transaction(self):
        db = sqlite3.connect(self.stack.data / "telemed.db", isolation_level=None, timeout=PATIENCE)
        db.execute("BEGIN IMMEDIATE")
        time.sleep(self.rng.uniform(1, 6))
        db.execute("ROLLBACK")
        db.close()

    def take_doorbell(self):
        (self.stack.data / "run/doorbell.sock").unlink(missing_ok=True)

    def stop_crowd(self):
        process = self.rng.choice(self.crowds).process
        process.send_signal(signal.SIGSTOP)
        time.sleep(self.rng.uniform(2, 8))
        process.send_signal(signal.SIGCONT)

    def kill_crowd(self):
        self.rng.choice(self.crowds).kill()

    FAULTS = [(4, kill_relay), (2, end_relay), (2, upgrade), (2, reload), (2, kill_worker), (1, kill_api), (1, kill_lighttpd),
              (1, kill_both), (2, stop_relay), (2, hold_lock), (1, hold_transaction), (1, take_doorbell), (1, stop_crowd), (2, kill_crowd)]

    def fault(self):
        act, since = self.rng.choices([f for _, f in self.faults], [w for w, _ in self.faults])[0], time.monotonic()
        act(self)
        wait_until(self.is_back, f"the stack to be back after {act.__name__}", PATIENCE)
        self.recorder.write("fault", what=act.__name__, since=since)
        self.faults_done[act.__name__] = self.faults_done.get(act.__name__, 0) + 1

    def shake(self):
        """Faults a few seconds apart, and a quiet quarter of each minute."""
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            quiet = time.monotonic() + min(15, self.seconds / 4)
            while time.monotonic() < min(quiet, deadline):
                time.sleep(0.2)
            noisy = time.monotonic() + 45
            while time.monotonic() < min(noisy, deadline):
                self.fault()
                for crowd in self.crowds:
                    crowd.check_lives()
                time.sleep(self.rng.uniform(0.5, 5))

    # How it ends

    def wind_up(self):
        wait_until(self.is_back, "the stack to be ready", PATIENCE)
        for crowd in self.crowds:
            crowd.process.send_signal(signal.SIGTERM)
        for crowd in self.crowds:
            said = crowd.process.stdout.readline()
            assert said == "quiet\n", f"crowd {crowd.n} says {said!r}"
        wait_until(lambda: not self.stack.live_calls(), "every call to end", PATIENCE)
        for crowd in self.crowds:
            crowd.process.send_signal(signal.SIGTERM)
        for crowd in self.crowds:
            assert crowd.process.wait(PATIENCE) == 0, f"crowd {crowd.n} did not end well"

    def assert_nothing_is_left(self, before):
        wait_until(lambda: self.stack.metric("telemed_connections") == 0, "every connection to be forgotten", PATIENCE)
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM presence") == [(0,)], "everybody to be absent", PATIENCE)
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM user WHERE role = 'DOCTOR' AND status <> 'OFFLINE'") == [(0,)],
                   "every doctor to be OFFLINE", PATIENCE)
        for program in PROGRAMS:
            wait_until(lambda: self.descriptors(program) <= before[program] + 4, f"the descriptors of {program} to be closed", PATIENCE)

    def write_end(self):
        offset = time.time() - time.monotonic()
        rows = self.stack.sql("SELECT call_id, caller_id, callee_id, state, reason, started_ms, ended_ms FROM call")
        self.recorder.write("end", users=[id for id, in self.stack.sql("SELECT id FROM user")], calls=[
            {"callId": c, "caller": p, "callee": d, "state": state, "reason": reason, "started": begun / 1000 - offset,
             "ended": None if ended is None else ended / 1000 - offset} for c, p, d, state, reason, begun, ended in rows])

    def growth(self):
        """What grew from the second third of the time to the last, in a soak of two minutes and more; and a line for each program."""
        wrong, lines = [], []
        for program, samples in self.usage.items():
            third = len(samples) // 3
            if third < 30:
                continue  # too short to tell growth from who is connected just then
            parts = [[statistics.median(s[i] for s in samples[k * third:(k + 1) * third]) for i in (1, 2)] for k in range(3)]
            lines.append(f"  {program}: " + ", ".join(f"{b / (1 << 20):.1f} MiB {int(fds)} descriptors" for b, fds in parts))
            (bytes, fds), (bytes_later, fds_later) = parts[1:]
            if bytes_later > bytes * SLACK + SLACK_BYTES or fds_later > fds * SLACK + SLACK_FDS:
                wrong.append(f"{program} grows")
        return wrong, lines

    def run(self):
        wrong = []
        with self.stack:
            watcher = self.stack.patient()
            before = {p: self.descriptors(p) for p in PROGRAMS}
            watching = [threading.Thread(target=self.sample_doctors, args=(watcher.token,), daemon=True),
                        threading.Thread(target=self.sample_usage, daemon=True)]
            self.crowds = [Crowd(self, n) for n in range(CROWDS)]
            try:
                for thread in watching:
                    thread.start()
                self.shake()
                self.wind_up()
                self.stop.set()
                for thread in watching:
                    thread.join()
                self.assert_nothing_is_left(before)
                self.write_end()
            except (AssertionError, subprocess.TimeoutExpired) as e:
                wrong.append(str(e))
            finally:
                self.stop.set()
                for crowd in self.crowds:
                    crowd.process.kill()
                shutil.copy(Path(self.stack.dir.name) / "log", self.dir / "log")
            if self.stack.stop() != 0:
                wrong.append("the stack did not end with 0")
            db = sqlite3.connect(self.stack.data / "telemed.db")
            if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                wrong.append("the database is damaged")
            db.close()
        return wrong

    def report(self):
        """What was done, in lines; for a soak in which hardly anything was done has shown nothing."""
        done = {}
        for file in self.dir.glob("*.history"):
            for e in read(file):
                kind = e["ev"] if e["ev"] not in ("send", "got") else f"{e['ev']} {e['m']['type']}"
                done[kind] = done.get(kind, 0) + 1
        return done, ["  faults: " + ", ".join(f"{n} {what}" for what, n in sorted(self.faults_done.items())),
                      "  events: " + ", ".join(f"{n} {what}" for what, n in sorted(done.items()))]


# How many of each there must be, whatever the seed.
WANTED = {"got chat": 100, "got ack": 100, "got incoming_call": 5, "got call_end": 5, "open": 40, "barrier": 40, "doctors": 20}


def soak(seconds, seed, directory, only=(), kind=Soak):
    """A list of what was wrong. ONLY: the names of the faults, where it is not all of them; KIND: Soak, or one with other faults."""
    s = kind(seconds, seed, directory, only)
    wrong = s.run()
    done, lines = s.report()
    print("\n".join(lines))
    grown, lines = s.growth()
    print("\n".join(lines))
    wrong += grown + [f"{name}: {text}" for name, text in check(sorted(directory.glob("*.history")))]
    return wrong + [f"only {done.get(what, 0)} times: {what}" for what, n in WANTED.items() if done.get(what, 0) < n]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="telemed-soak."))
    print(f"soak: {args.seconds:.0f} s, seed {args.seed}", flush=True)
    wrong = soak(args.seconds, args.seed, directory)
    for line in wrong[:100]:
        print(f"WRONG {line}")
    print(f"soak: {len(wrong)} things wrong" + (f"; the histories are in {directory}" if wrong else ""))
    if not wrong:
        shutil.rmtree(directory)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
