"""For the end-to-end tests: a stack of the real three programs of one's own, REST calls, and WebSocket clients."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import contract
import websockets
from findings import findings

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TELEMED_BUILD", ROOT / "build/gcc"))

SANITIZED = "sanitize" in BUILD.name or "valgrind" in BUILD.name

# How many times as long as usual everything may take.
SLOW = int(os.environ.get("TELEMED_TEST_SLOW", 1))

# Generous: a busy machine must not fail a test.
PATIENCE = 20 * SLOW

# An id that is in order and nobody's.
NOBODY = 2**53 - 1


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, seconds=PATIENCE):
    """Waits until CONDITION() is true, and returns what it returned."""
    deadline = time.monotonic() + max(seconds, PATIENCE)
    while time.monotonic() < deadline:
        got = condition()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Stack:
    """scripts/run with settings of its own; `with Stack(TELEMED_RING_TIMEOUT=2) as stack:`"""

    def __init__(self, **settings):
        self.dir = tempfile.TemporaryDirectory(prefix="telemed-test.")
        self.data = Path(self.dir.name) / "data"
        self.port = free_port()
        self.settings = {"TELEMED_BCRYPT_COST": "4", "TELEMED_AUTH_RATE": "0", "TELEMED_DRAIN_TIME": "0"}
        self.settings.update({k: str(v) for k, v in settings.items()})
        self.process = None
        self.root = ROOT  # where scripts/run is, and .env
        self.users = 0
        self.build = BUILD

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        found = contract.take() + findings(self.log_text())
        access = self.data / "log/access.log"
        if access.exists():
            found += findings(access.read_text(errors="replace"))
        self.dir.cleanup()
        assert not found, "\n".join(found)

    def start(self):
        self.log = open(Path(self.dir.name) / "log", "ab")
        self.out = open(Path(self.dir.name) / "out", "wb")
        for tries in range(5):
            env = {**os.environ, **self.settings, "TELEMED_PORT": str(self.port), "TELEMED_DATA_DIR": str(self.data)}
            self.process = subprocess.Popen([self.root / "scripts/run", self.build], env=env, stdin=subprocess.DEVNULL,
                                            stdout=self.out, stderr=self.log, start_new_session=True)
            wait_until(lambda: self.is_ready() or self.process.poll() is not None, "the stack to be ready", 30 * SLOW)
            if self.process.poll() is None:
                return
            self.port = free_port()  # somebody else was quicker
        raise AssertionError("the stack does not start: " + self.log_text()[-500:])

    def is_ready(self):
        return b"telemed: ready" in (Path(self.dir.name) / "out").read_bytes()

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self):
        return f"ws://127.0.0.1:{self.port}/ws"

    def stop(self):
        if self.process is None:
            return None
        self.process.terminate()
        code = self.process.wait(30 * SLOW)
        self.process = None
        self.log.close()
        self.out.close()
        return code

    def log_text(self):
        return (Path(self.dir.name) / "log").read_text(errors="replace")

    def pids(self, program):
        """The processes of PROGRAM, the one that has started the others first. (A lower number may be younger: they begin anew.)"""
        got = subprocess.run(["ps", "-o", "pid=,ppid=,comm=", "-s", str(self.process.pid)], capture_output=True, text=True)
        rows = [line.split(None, 2) for line in got.stdout.splitlines()]
        parent = {int(pid): int(ppid) for pid, ppid, name in rows if name == program}
        return sorted(parent, key=lambda pid: parent[pid] in parent)

    def kill(self, program, sig=signal.SIGKILL):
        """Returns when it is gone; it is started again."""
        pid = self.pids(program)[0]
        os.kill(pid, sig)
        wait_until(lambda: pid not in self.pids(program), f"{program} to be gone")

    def memory(self, program, kind="VmRSS"):
        """What PROGRAM takes, in bytes."""
        with open(f"/proc/{self.pids(program)[0]}/status") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith(kind + ":"))

    @property
    def relay_socket(self):
        return self.data / "run/relay.sock"

    def metrics(self):
        """All of /metrics, by name and labels: {'telemed_calls': 0.0, 'telemed_connections{role="doctor"}': 1.0, ...}"""
        with urllib.request.urlopen(self.http + "/metrics", timeout=PATIENCE) as answer:
            text = answer.read()
            contract.rest("GET", "/metrics", None, answer.status, answer.headers.items(), text)
            lines = text.decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def metric(self, name):
        """A number of /metrics; where only a family is named, the sum of its series."""
        found = [value for series, value in self.metrics().items() if series == name or series.startswith(name + "{")]
        assert found, f"/metrics has no {name}"
        return sum(found)

    def sql(self, query, *values):
        """The rows of a question to the database."""
        db = sqlite3.connect(f"file:{self.data}/telemed.db?mode=ro", uri=True, timeout=PATIENCE)
        try:
            return db.execute(query, values).fetchall()
        finally:
            db.close()

    def live_calls(self):
        return self.sql("SELECT call_id, caller_id, callee_id, state FROM call WHERE state <> 'ENDED'")

    def sign(self, id, role, ttl, **claims):
        """A token as the stack's own, for TTL seconds from now."""
        now = int(time.time())
        payload = {"sub": str(id), "role": role, "iat": min(now, now + ttl), "exp": now + ttl, "jti": os.urandom(8).hex(),
                   **claims}
        parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, payload)]
        secret = (self.data / "secret").read_bytes()
        parts.append(base64url(hmac.digest(secret, ".".join(parts).encode(), hashlib.sha256)))
        return ".".join(parts)

    def rest(self, method, path, body=None, token=None, headers=None):
        """(status, JSON or None) of one request."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.http + path, data=data, method=method, headers=headers)
        try:
            answer = urllib.request.urlopen(request, timeout=PATIENCE)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            text = answer.read()
        contract.rest(method, path, data, answer.status, answer.headers.items(), text)
        return answer.status, json.loads(text) if text else None

    def admin(self, *words, typed="", **settings):
        """telemed-admin with WORDS, and TYPED as its standard input: (exit code, standard output, standard error)."""
        env = {**os.environ, **self.settings, "TELEMED_DATA_DIR": str(self.data), **settings}
        got = subprocess.run([BUILD / "admin/telemed-admin", *map(str, words)], env=env, capture_output=True,
                             input=typed.encode() if isinstance(typed, str) else typed, timeout=3 * PATIENCE)
        return got.returncode, got.stdout.decode(), got.stderr.decode()

    def admin_json(self, *words, typed="", code=0, **settings):
        """What it answers with --json, and with this exit code and no complaint."""
        got, out, err = self.admin(*words, "--json", typed=typed, **settings)
        assert (got, err) == (code, ""), (words, got, out, err)
        return json.loads(out)

    def login(self, user, password="password"):
        """(status, answer), on the account of a user that register() made."""
        return self.rest("POST", "/auth/login", {"email": user.email, "password": password})

    def register(self, role, name=None, headers=None):
        """A new user: its id, name, role, and token."""
        self.users += 1
        name = name or f"{role.lower()} {self.users}"
        status, got = self.rest("POST", "/auth/register", {"name": name, "email": f"user{self.users}@example.org",
                                                           "password": "password", "role": role}, headers=headers)
        assert status == 201, got
        user = User(self, got["user"]["id"], name, role, got["token"])
        user.email = got["user"]["email"]
        return user

    def patient(self):
        return self.register("PATIENT")

    def doctor(self):
        return self.register("DOCTOR")

    def status_of(self, doctor):
        _, got = self.rest("GET", "/doctors", token=doctor.token)
        return next(d["status"] for d in got["doctors"] if d["id"] == doctor.id)


class Writer:
    """`with Writer(stack):` somebody else's transaction, for which every write waits (two seconds, and is given up)."""

    def __init__(self, stack):
        self.db = sqlite3.connect(stack.data / "telemed.db", timeout=PATIENCE, isolation_level=None)

    def __enter__(self):
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self.db.execute("ROLLBACK")
        self.db.close()


class User:
    def __init__(self, stack, id, name, role, token):
        self.stack, self.id, self.name, self.role, self.token = stack, id, name, role, token
        self.email = None

    async def open(self, token=None, **options):
        """A connection of which nothing is known yet."""
        url = f"{self.stack.ws}?token={token or self.token}"
        return Client(self, await websockets.connect(url, open_timeout=PATIENCE, ping_interval=None, max_size=None, **options))

    async def connect(self, **options):
        """A connection that has had its first user list."""
        client = await self.open(**options)
        await client.wait("users")
        return client

    async def reconnect(self):
        """A connection as soon as there is something to connect to again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await self.connect()
            except (websockets.InvalidStatusCode, websockets.InvalidMessage, OSError):
                assert time.monotonic() < deadline, "nothing to connect to came back"
                await asyncio.sleep(0.02)

    def set_status(self, status):
        """Over REST."""
        code, got = self.stack.rest("POST", "/doctors/status", {"status": status}, self.token)
        assert code == 200, got


class Client:
    """One connection. What comes is kept in order in `got`; waiting looks at what came since the last wait for that type."""

    open = []  # by the test that runs

    def __init__(self, user, socket):
        self.user, self.socket = user, socket
        self.contract = contract.Connection(socket.subprotocol == "telemed.v1")
        contract.rest("GET", "/ws", None, 101, socket.response_headers.raw_items(), b"")
        Client.open.append(self)
        self.got = []
        self.texts = []  # the same, as it came
        self.seen = {}
        self.changed = asyncio.Event()
        self.barriers = 0
        self.reader = asyncio.ensure_future(self.read())

    async def read(self):
        try:
            async for text in self.socket:
                self.texts.append(text)
                self.got.append(json.loads(text))
                self.contract.received(text)
                self.changed.set()
        except websockets.ConnectionClosed:
            pass
        if self.socket.close_rcvd and self.socket.close_rcvd_then_sent is not False:
            self.contract.closed(self.socket.close_rcvd.code)
        self.changed.set()

    async def send(self, type, to=None, id=None, **data):
        message = {"type": type}
        if to is not None:
            message["to"] = to.id if isinstance(to, User) else to
        if id is not None:
            message["id"] = id
        if data:
            message["data"] = data
        await self.send_text(json.dumps(message))

    async def send_text(self, text):
        self.contract.sent(text)
        await self.socket.send(text)

    def find(self, type, match, start):
        for i in range(start, len(self.got)):
            if self.got[i]["type"] == type and match(self.got[i]):
                return i
        return None

    async def until(self, condition, what, seconds=PATIENCE):
        """Waits until CONDITION() is true, looking whenever something has come, and returns what it returned."""
        deadline = time.monotonic() + seconds
        while True:
            self.changed.clear()
            got = condition()
            if got:
                return got
            left = deadline - time.monotonic()
            assert left > 0 and not self.reader.done(), \
                f"no {what} came{'' if left > 0 else f' in {seconds} s'}, but {self.last(8)}; closed: {self.socket.close_code}"
            try:
                await asyncio.wait_for(self.changed.wait(), left)
            except asyncio.TimeoutError:
                pass

    def last(self, n):
        """What came last, but for the user lists before the newest."""
        return [m for m in self.got if m["type"] != "users"][-n:] + self.all("users")[-1:]

    async def wait(self, type, match=lambda m: True, seconds=PATIENCE):
        """The next message of TYPE that matches; those of the type before it are passed over."""
        def next_one():
            i = self.find(type, match, self.seen.get(type, 0))
            if i is None:
                return None
            self.seen[type] = i + 1
            return self.got[i]
        return await self.until(next_one, type, seconds)

    async def barrier(self):
        """Waits until all that was sent before on this connection has been handled, and stored where it is to be stored: a
        look-up that is asked for when another has been answered comes behind all that was to be written before that one."""
        for _ in range(2):
            self.barriers += 1
            id = f"barrier-{self.barriers}"
            await self.send("chat", to=NOBODY, id=id, message="Is anybody there?")
            await self.wait("error", lambda m: m.get("id") == id)

    async def answer(self, id):
        """What is answered to the message of this id."""
        return await self.until(lambda: next((m for m in self.got if m.get("id") == id), None), f"answer to {id}")

    def all(self, type, match=lambda m: True):
        return [m for m in self.got if m["type"] == type and match(m)]

    def count(self, type, match=lambda m: True):
        return len(self.all(type, match))

    def statuses(self, user, since=0):
        """What the user lists showed of USER, one after another; None: nothing."""
        return [{u["id"]: u["status"] for u in m["users"]}.get(user.id) for m in self.got[since:] if m["type"] == "users"]

    async def wait_status(self, user, status):
        """Until the newest user list shows USER with STATUS (None: not at all)."""
        await self.until(lambda: self.statuses(user)[-1:] == [status], f"user list with {user.name} {status}")

    async def newest_list(self):
        """{id: status} of a user list that holds all that has changed before now: it holds a change that was made after that."""
        marker = self.user.stack.doctor()
        marker.set_status("ONLINE")
        await self.wait_status(marker, "ONLINE")
        return {u["id"]: u["status"] for u in self.all("users")[-1]["users"]}

    async def reach(self, user, connections):
        """Until USER has so many connections (besides this one)."""
        async def delivered():
            id = f"reach-{time.monotonic()}"
            await self.send("chat", to=user, id=id, message="Are you there?")
            answer = await self.answer(id)
            return answer["data"]["delivered"] if answer["type"] == "ack" else 0
        deadline = time.monotonic() + PATIENCE
        while await delivered() != connections:
            assert time.monotonic() < deadline, f"{user.name} does not have {connections} connections"
            await asyncio.sleep(0.05)

    async def closed(self, seconds=PATIENCE):
        """Waits for the end; the close code."""
        await asyncio.wait_for(self.socket.wait_closed(), seconds)
        return self.socket.close_code

    async def close(self):
        await self.socket.close()
        await self.reader

    @staticmethod
    async def drop_all():
        for client in Client.open:
            await client.drop()
        Client.open.clear()

    async def drop(self):
        """Goes away without a word."""
        self.socket.transport.abort()
        await self.reader


def call_end(by, reason, call_id="c1"):
    """The message."""
    return {"type": "call_end", "from": by.id, "data": {"callId": call_id, "reason": reason}}


async def both(stack):
    """A patient's and a doctor's connection."""
    return await stack.patient().connect(), await stack.doctor().connect()


async def ring(patient, doctor, call_id="c1"):
    """patient and doctor are connections; returns when the call rings, with the doctor's incoming_call."""
    await patient.send("call_start", to=doctor.user, callId=call_id)
    answer = await patient.wait("call_response")
    assert answer["data"] == {"callId": call_id, "ok": True, "iceServers": answer["data"].get("iceServers")}, answer
    return await doctor.wait("incoming_call", lambda m: m["data"]["callId"] == call_id)


async def call(patient, doctor, call_id="c1"):
    """Returns when the call is ACTIVE for both."""
    await ring(patient, doctor, call_id)
    await patient.send("signal", to=doctor.user, signalType="offer", sdpOrIce="o")
    await doctor.wait("signal")
    await doctor.send("signal", to=patient.user, signalType="answer", sdpOrIce="a")
    await patient.wait("signal")


async def assert_free(patient, doctor):
    """Both are shown as free, and they are: the next call comes about."""
    for client in (patient, doctor):
        shown = await client.newest_list()
        assert shown[patient.user.id] == shown[doctor.user.id] == "ONLINE", shown
    assert doctor.user.stack.status_of(doctor.user) == "ONLINE"
    await call(patient, doctor, "the-next-one")
    await patient.send("call_end")
    await doctor.wait("call_end", lambda m: m["data"]["callId"] == "the-next-one")


async def assert_no_call(client, type, **members):
    """This message is answered with no_call."""
    await client.send(type, id=f"no {type}", **members)
    error = await client.wait("error", lambda m: m.get("id") == f"no {type}")
    assert (error["code"], error["re"]) == ("no_call", type), error
