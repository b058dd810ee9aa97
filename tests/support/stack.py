"""For the end-to-end tests: a stack of the real three programs of one's own, REST calls, and WebSocket clients."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import websockets

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TELEMED_BUILD", ROOT / "build/gcc"))

# Generous: a busy machine must not fail a test.
PATIENCE = 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, seconds=PATIENCE):
    """Waits until CONDITION() is true, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        got = condition()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


class Stack:
    """scripts/run with settings of its own; `with Stack(TELEMED_RING_TIMEOUT=2) as stack:`"""

    def __init__(self, **settings):
        self.dir = tempfile.TemporaryDirectory(prefix="telemed-test.")
        self.data = Path(self.dir.name) / "data"
        self.port = free_port()
        self.http = f"http://127.0.0.1:{self.port}"
        self.ws = f"ws://127.0.0.1:{self.port}/ws"
        self.settings = {"TELEMED_BCRYPT_COST": "4", "TELEMED_AUTH_RATE": "0"}
        self.settings.update({k: str(v) for k, v in settings.items()})
        self.process = None
        self.users = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.dir.cleanup()

    def start(self):
        env = {**os.environ, **self.settings, "TELEMED_PORT": str(self.port), "TELEMED_DATA_DIR": str(self.data)}
        self.log = open(Path(self.dir.name) / "log", "ab")
        self.out = open(Path(self.dir.name) / "out", "wb")
        self.process = subprocess.Popen([ROOT / "scripts/run", BUILD], env=env, stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=self.log, start_new_session=True)
        out = Path(self.dir.name) / "out"
        wait_until(lambda: b"telemed: ready" in out.read_bytes(), "the stack to be ready", 30)

    def stop(self):
        if self.process is None:
            return None
        self.process.terminate()
        code = self.process.wait(30)
        self.process = None
        self.log.close()
        self.out.close()
        return code

    def log_text(self):
        return (Path(self.dir.name) / "log").read_text(errors="replace")

    def pids(self, program):
        """The processes of PROGRAM, the oldest first."""
        got = subprocess.run(["pgrep", "-s", str(self.process.pid), "-x", program], capture_output=True, text=True)
        return [int(p) for p in got.stdout.split()]

    def kill(self, program, sig=signal.SIGKILL):
        os.kill(self.pids(program)[0], sig)

    def rest(self, method, path, body=None, token=None, headers=None):
        """(status, JSON or None) of one request."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.http + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as answer:
            text = answer.read()
            return answer.code, json.loads(text) if text else None

    def register(self, role, name=None):
        """A new user: its id, name, role, and token."""
        self.users += 1
        name = name or f"{role.lower()} {self.users}"
        status, got = self.rest("POST", "/auth/register", {"name": name, "email": f"user{self.users}@example.org",
                                                           "password": "password", "role": role})
        assert status == 201, got
        return User(self, got["user"]["id"], name, role, got["token"])

    def patient(self):
        return self.register("PATIENT")

    def doctor(self):
        return self.register("DOCTOR")

    def status_of(self, doctor):
        _, got = self.rest("GET", "/doctors", token=doctor.token)
        return next(d["status"] for d in got["doctors"] if d["id"] == doctor.id)


class User:
    def __init__(self, stack, id, name, role, token):
        self.stack, self.id, self.name, self.role, self.token = stack, id, name, role, token

    async def connect(self, **options):
        """A connection that has had its first user list."""
        socket = await websockets.connect(f"{self.stack.ws}?token={self.token}", open_timeout=PATIENCE, ping_interval=None, max_size=None,
                                          **options)
        client = Client(self, socket)
        await client.wait("users")
        return client


class Client:
    """One connection. What comes is kept in order in `got`; waiting looks at what came since the last wait for that type."""

    open = []  # by the test that runs

    def __init__(self, user, socket):
        self.user, self.socket = user, socket
        Client.open.append(self)
        self.got = []
        self.seen = {}
        self.changed = asyncio.Event()
        self.reader = asyncio.ensure_future(self.read())

    async def read(self):
        try:
            async for text in self.socket:
                self.got.append(json.loads(text))
                self.changed.set()
        except websockets.ConnectionClosed:
            pass
        self.changed.set()

    async def send(self, type, to=None, id=None, **data):
        message = {"type": type}
        if to is not None:
            message["to"] = to.id if isinstance(to, User) else to
        if id is not None:
            message["id"] = id
        if data:
            message["data"] = data
        await self.socket.send(json.dumps(message))

    async def send_text(self, text):
        await self.socket.send(text)

    def find(self, type, match, start):
        for i in range(start, len(self.got)):
            if self.got[i]["type"] == type and match(self.got[i]):
                return i
        return None

    async def wait(self, type, match=lambda m: True, seconds=PATIENCE):
        """The next message of TYPE that matches; those of the type before it are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            self.changed.clear()
            i = self.find(type, match, self.seen.get(type, 0))
            if i is not None:
                self.seen[type] = i + 1
                return self.got[i]
            left = deadline - time.monotonic()
            assert left > 0 and not self.reader.done(), \
                f"no {type} came" + ("" if left > 0 else f" in {seconds} s") + f"; got {self.got[-8:]}, closed {self.socket.close_code}"
            try:
                await asyncio.wait_for(self.changed.wait(), left)
            except asyncio.TimeoutError:
                pass

    async def barrier(self):
        """Waits until the relay has handled all that was sent before on this connection."""
        self.barriers = getattr(self, "barriers", 0) + 1
        id = f"barrier-{self.barriers}"
        await self.send("signal", to=self.user.id, id=id)  # refused, and so without effect
        await self.wait("error", lambda m: m.get("id") == id)

    def count(self, type, match=lambda m: True):
        return sum(1 for m in self.got if m["type"] == type and match(m))

    async def wait_status(self, user, status):
        """Until a user list shows USER with STATUS (None: not at all). Looks at the newest list first."""
        def shows(m):
            shown = {u["id"]: u["status"] for u in m["users"]}
            return shown.get(user.id) == status
        lists = [m for m in self.got if m["type"] == "users"]
        if lists and shows(lists[-1]):
            return lists[-1]
        return await self.wait("users", shows)

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


async def call(patient, doctor, call_id="c1"):
    """patient and doctor are connections; returns when the call is ACTIVE for both."""
    await patient.send("call_start", to=doctor.user, callId=call_id)
    answer = await patient.wait("call_response")
    assert answer["data"] == {"callId": call_id, "ok": True}, answer
    await doctor.wait("incoming_call", lambda m: m["data"]["callId"] == call_id)
    await patient.send("signal", to=doctor.user, signalType="offer", sdpOrIce="o")
    await doctor.wait("signal")
    await doctor.send("signal", to=patient.user, signalType="answer", sdpOrIce="a")
    await patient.wait("signal")
