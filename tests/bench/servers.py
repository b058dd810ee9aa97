"""For the bench: ours, the peers and lighttpd, each started on its own, with its processes by name and a file of its users."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/bench"
INSTALLED = ROOT / "build/bench/peers"
PATIENCE = 60
# For all servers: what would be measured otherwise is bcrypt, and limits of ours that the peers have none of. The peers hash at
# this cost too. And nobody waits for a drain.
ENV = {"TELEMED_BCRYPT_COST": "4", "TELEMED_AUTH_RATE": "0", "TELEMED_WS_RATE": "0", "TELEMED_DRAIN_TIME": "0"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


TICKS = os.sysconf("SC_CLK_TCK")


def busy_s():
    """What the processors have worked so far, for whomever."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def sessions():
    """{session: [(pid, name, processor time of it and of its children that have ended)]} of all that runs."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
        found.setdefault(int(rest[3]), []).append((int(stat.parent.name), name, sum(map(int, rest[11:15])) / TICKS))
    return found


class Process:
    """A program in a session of its own, that ends with this one."""

    def __init__(self, command, log, ready=None, cwd=None, **env):
        self.log = Path(log)
        self.out = open(self.log, "wb")
        self.child = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, command)], env={**os.environ, **env}, cwd=cwd,
                                      stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out, start_new_session=True)
        if ready is not None:
            self.wait(ready)

    def wait(self, ready):
        deadline = time.monotonic() + PATIENCE
        while not ready(self):
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.child.args} does not start: {self.log.read_text()[-1000:]}")
            time.sleep(0.005)

    def says(self, word):
        return word in self.log.read_text(errors="replace")

    def pids(self):
        """{name: [pid]}"""
        found = {}
        for pid, name, _ in sessions().get(self.child.pid, []):
            found.setdefault(name, []).append(pid)
        return found

    def cpu_s(self):
        return sum(cpu for _, _, cpu in sessions().get(self.child.pid, []))

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            pass
        for pid, _, _ in sessions().get(self.child.pid, []):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.child.wait(10)
        self.out.close()


class Users:
    """Who has been made on a server: each line is one of the load generator's."""

    def __init__(self, bench, to):
        self.bench, self.to = bench, to
        self.lines = {}

    def make(self, role, count):
        if count > 0:
            self.lines[role] = self.bench.load("users", "--to", self.to, "--connections", count, "--role", role,
                                               "--name", role[0].lower(), "--timeout", PATIENCE).splitlines()

    def take(self, patients, doctors, where):
        """A file with so many of them, the doctors last."""
        path = where / "users"
        path.write_text("\n".join(self.lines.get("PATIENT", [])[:patients] + self.lines.get("DOCTOR", [])[:doctors]) + "\n")
        return path


class Server:
    """What a scenario runs against: where to connect, which processes to charge, who the users are."""

    def __init__(self, bench, patients, doctors):
        self.bench, self.patients, self.doctors = bench, patients, doctors
        self.dir = Path(tempfile.mkdtemp(prefix="bench.", dir=bench.work))
        self.processes = []
        self.commands = []
        self.said = ""  # by all of its programs, when it has ended

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop()
        self.said = "".join(process.log.read_text(errors="replace") for process in self.processes)
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, *command, **options):
        env = [f"{name}={value}" for name, value in options.items() if name.isupper()]
        self.commands.append(" ".join([*env, *map(str, command)]))
        process = Process(command, self.dir / f"log{len(self.processes)}", **options)
        self.processes.append(process)
        return process

    def groups(self):
        """The load generator's --server options."""
        found = {}
        for process in self.processes:
            for name, pids in process.pids().items():
                if name not in ("bash", "sed", "setpriv", "run"):  # scripts/run itself
                    found.setdefault(name, []).extend(pids)
        return [word for name, pids in found.items() for word in ("--server", f"{name}={','.join(map(str, pids))}")]


class Ours(Server):
    """scripts/run on a copy of a data directory that has its users already."""

    through = "relay"  # straight at the relay's socket
    more = {}

    def start(self):
        data = self.dir / "data"
        shutil.copytree(self.bench.data(self.patients, self.doctors), data)
        self.port = free_port()
        self.run(ROOT / "scripts/run", self.bench.build, ready=lambda p: p.says("telemed: ready"),
                 TELEMED_PORT=str(self.port), TELEMED_DATA_DIR=str(data), **ENV, **self.more)
        self.users = self.bench.our_users.take(self.patients, self.doctors, self.dir)
        self.to = f"unix:{data}/run/relay.sock"
        if self.through == "lighttpd":
            self.to = f"tcp:{self.port}"


class OursThroughLighttpd(Ours):
    through = "lighttpd"


class OursThroughTwo(OursThroughLighttpd):
    """In two processes, for one has too few descriptors."""
    more = {"TELEMED_HTTP_WORKERS": "2"}


def start_lighttpd(server, data):
    """Ours, with the sockets of another data directory; the port."""
    port = free_port()
    conf = server.dir / "lighttpd.conf"
    conf.write_text("\n".join([f'include "{ROOT}/lighttpd.conf"', f'server.pid-file := "{server.dir}/lighttpd.pid"',
                               f'accesslog.filename := "{server.dir}/access.log"']) + "\n")
    server.run(lighttpd(), "-D", "-f", conf, ready=lambda _: answers(port), TELEMED_PORT=str(port),
               TELEMED_LIGHTTPD_BIND="127.0.0.1", TELEMED_DATA_DIR=str(data), TELEMED_ROOT=str(ROOT),
               TELEMED_LIGHTTPD_PROXY="0.0.0.0/32", TELEMED_LIGHTTPD_WORKERS="0",
               TELEMED_LIGHTTPD_FDS="20000", TELEMED_LIGHTTPD_CONNECTIONS="10000")
    return port


def lighttpd():
    return shutil.which("lighttpd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Static(Server):
    """lighttpd and a file of the size of a list of doctors."""

    def start(self):
        port = free_port()
        (self.dir / "doctors").write_text("x" * self.bench.doctors_bytes)
        self.run(lighttpd(), "-D", "-f", HERE / "static.conf", ready=lambda _: answers(port), BENCH_PORT=str(port),
                 BENCH_DIR=str(self.dir))
        self.to, self.users = f"tcp:{port}", None


class Peer(Server):
    listen = "unix"
    env = {}

    def command(self, at):
        raise NotImplementedError

    def start(self):
        (self.dir / "run").mkdir()
        self.to = f"unix:{self.dir}/run/relay.sock" if self.listen == "unix" else f"tcp:{free_port()}"
        self.run(*self.command(self.to), ready=lambda p: p.says("ready"), NODE_ENV="production", **self.env)
        users = Users(self.bench, self.to)
        users.make("PATIENT", self.patients)
        users.make("DOCTOR", self.doctors)
        self.users = users.take(self.patients, self.doctors, self.dir)


class Node(Peer):
    def command(self, at):
        return "node", INSTALLED / "node.js", at


class NodeTcp(Node):
    listen = "tcp"


class NodeTcpPlain(NodeTcp):
    """As most write it (peers/js/contract.js)."""
    env = {"PEER_PLAIN": "1"}


class NodeThroughLighttpd(Node):
    """Node's socket in the place of the relay's."""

    def start(self):
        super().start()
        (self.dir / "log").mkdir()
        self.to = f"tcp:{start_lighttpd(self, self.dir)}"


class Bun(Peer):
    def command(self, at):
        return INSTALLED / "node_modules/.bin/bun", INSTALLED / "bun.js", at


class BunTcp(Bun):
    listen = "tcp"


class BunTcpPlain(BunTcp):
    env = NodeTcpPlain.env


class Limit(Peer):
    options = ()

    def command(self, at):
        return self.bench.build / "tests/bench/peers/limit/limit", at, *self.options

    def start(self):
        self.patients = self.doctors = 0
        super().start()
        self.users.write_text("".join(f"{i} PATIENT p{i} {i}\n" for i in range(2000)))  # a token is one connection's


class LimitTcp(Limit):
    listen = "tcp"


class LimitBroadcast(Limit):
    options = ("--broadcast",)
