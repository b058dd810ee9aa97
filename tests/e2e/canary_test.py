"""What users and operators keep to themselves is marked, everything is done with it that can go right or wrong, and then it is
looked for wherever it must not be."""

import asyncio
import json
import os
import re
import resource
import signal
import sqlite3
import stat
import subprocess
import threading
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import websockets
from findings import findings
from stack import BUILD, PATIENCE, ROOT, Stack, User, wait_until
from wire import BINARY, Wire, fragments, frame, head

V1 = {"subprotocols": ["telemed.v1"]}

pytestmark = pytest.mark.skipif("valgrind" in BUILD.name, reason="there, what is aborted on purpose has failed")


class Marks:
    """Words that nobody else has. What is made of letters and digits alone stays itself in JSON, URLs and SQL."""

    def __init__(self):
        self.words = {}

    def __call__(self, kind):
        return self.words.setdefault(kind, f"zq{kind}{os.urandom(6).hex()}")

    def add(self, kind, word):
        self.words[f"{kind} {len(self.words)}"] = word

    def token(self, token):
        """Each of its parts but the first, which is the same in all."""
        for part in token.split(".")[1:]:
            self.add("token", part)

    def seen_in(self, text, kinds=None):
        return sorted(kind for kind, word in self.words.items() if (kinds is None or kind in kinds) and word in text)


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def private_root(directory, lines):
    """A folder for scripts/run with a .env of LINES."""
    directory.mkdir(parents=True)
    for name in ("scripts", "www", "fcgi-api", "lighttpd.conf"):
        (directory / name).symlink_to(ROOT / name)
    (directory / ".env").write_text("".join(f"{line}\n" for line in lines))
    yield directory


def account(mark, who, role):
    return {"name": mark(f"name{who}"), "email": f"{mark(f'mail{who}')}@example.org", "password": mark(f"password{who}"),
            "role": role}


def register(stack, mark, who, role):
    mine = account(mark, who, role)
    status, got = stack.rest("POST", "/auth/register", mine)
    assert status == 201, got
    mark.token(got["token"])
    return User(stack, got["user"]["id"], mine["name"], role, got["token"])


def rest_goes_wrong(stack, mark, user):
    """Every refusal of REST, with something in it that was meant for somebody."""
    mine = account(mark, "patient", "PATIENT")
    word = mark("inbody")
    text = json.dumps(mine)

    def post(path, body, want, **more):
        got, _ = stack.rest("POST", path, body, **more)
        assert got in want, (path, body, got)

    post("/auth/register", mine, [409])
    post("/auth/login", {**mine, "password": mark("wrongpassword")}, [401])
    post("/auth/login", {"email": f"{mark('nobody')}@example.org", "password": mark("wrongpassword")}, [401])
    for bad in (text[:-1], text + "x", f'["{word}"]', f'"{word}"', text[:-1] + f',"name":"{word}"}}', f'{{"{word}":' * 20,
                text.replace(mine["password"], mine["password"] + "\\u0000"), text.encode().replace(b"zq", b"\xff\xfezq")):
        for path in ("/auth/register", "/auth/login"):
            post(path, bad if isinstance(bad, bytes) else bad.encode(), [400])
    for field in mine:
        for value in ([word], {word: word}, word * 100, f"{word}\n\x1b[31m", "", 7):
            post("/auth/register", {**mine, "email": word, field: value}, [400])
    post("/auth/register", {**mine, "name": word * 1000}, [400, 413])
    post("/doctors/status", {"status": word}, [403], token=user.token)
    for token in (user.token[:-2], user.token.replace(".", f".{word}", 1), word, f"{user.token} {word}", word * 200):
        got, _ = stack.rest("GET", "/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert got in (400, 401, 431), got
    for query in (f"token={user.token}", f"email={mine['email']}&x={word}", f"before={word}&limit={word}", f"%zz{word}"):
        for path in ("/doctors", "/calls", "/auth/me", "/nothing", "/readyz"):
            stack.rest("GET", f"{path}?{query}", token=user.token)
            stack.rest("GET", f"{path}?{query}")
    for header in ("User-Agent", "Referer", "Cookie", "Origin", "X-Forwarded-For", "X-Request-Id", "If-None-Match", "X-Any"):
        stack.rest("GET", "/doctors", token=user.token, headers={header: f"{word} {user.token}"})
    for request in (f"BREW /doctors?{word} HTTP/1.1\r\nHost: x\r\n\r\n", f"GET /doctors?{word} HTTP/1.1\r\n{word}\r\n\r\n",
                    f"GET /?{word} HTTP/7\r\n\r\n", f"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: {word}\r\n\r\n",
                    f"POST /auth/login?{word} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{text}"):
        with Wire(stack.port) as wire:  # the last is left in the middle
            wire.send(request.encode())


async def handshakes_go_wrong(stack, mark, user):
    word = mark("inhead")
    tokens = (user.token[:-2], word, f"%zz{word}", f"{user.token}&token={user.token}", word * 300)
    for door in (stack.port, stack.relay_socket):
        for request in (*(head(f"/ws?token={t}") for t in tokens),
                        head(f"/wsx?token={user.token}"), head(f"/ws?token={user.token}", method="POST"),
                        head(f"/ws?token={user.token}", without=("Upgrade",)),
                        head(f"/ws?token={user.token}", f"Origin: https://{word}.example"),
                        head("/ws", f"Authorization: Bearer {word}"),
                        head("/ws", f"Sec-WebSocket-Protocol: telemed.v1, bearer.{user.token}{word}"),
                        head("/ws", f"Authorization: Bearer {user.token}", f"Sec-WebSocket-Protocol: bearer.{user.token}"),
                        head(f"/ws?token={user.token}", f"{word} {word}")):
            with Wire(door) as wire:
                assert wire.ask(request)[0] >= 400, request
        with Wire(door) as wire:
            wire.send(head(f"/ws?token={user.token}")[:-2])
    # And right, in the other two places for it.
    for options in ({"extra_headers": {"Authorization": f"Bearer {user.token}"}},
                    {"subprotocols": ["telemed.v1", f"bearer.{user.token}"]}):
        socket = await websockets.connect(stack.ws, open_timeout=PATIENCE, **options)
        await socket.close()


def frames_go_wrong(mark, user):
    """Each on a connection of its own, for most of them end it."""
    text = mark("chatbad")
    chat = json.dumps({"type": "chat", "data": {"message": text}})
    for data in (frame(chat, BINARY), frame(chat, reserved=4), frame(chat, opcode=3), frame(chat.encode() + b"\xff"),
                 frame(chat, claim=1 << 40), frame(json.dumps({"type": "chat", "data": {"message": text * 8000}})),
                 fragments(chat[:5], chat[5:9]) + frame(chat, opcode=0), frame(b"\x03\xe8" + text.encode() + b"\xff", opcode=8),
                 frame(b"\x0f\xa1" + text.encode(), opcode=8)):
        with Wire.open(user) as wire:
            wire.send(data)
            wire.send(frame(b"", opcode=8))
            wire.closed()
    with Wire.open(user) as wire:  # 4103
        wire.send(frame(chat) * 1500)
        wire.closed()
    with Wire.open(user) as wire:  # 4506
        wire.send(frame(chat[:-1]) * 30)
        wire.closed()


async def messages_go_wrong(mark, client, other):
    word = mark("messagebad")
    for text in (word, json.dumps([word]), json.dumps({"type": word}), json.dumps({"type": "chat", "to": word, "data": word}),
                 json.dumps({"type": "chat", "to": 1, "data": {"message": [word]}}), json.dumps({"type": "set_status", "data": word}),
                 json.dumps({"type": "chat", "data": {"message": word * 300}}), '{"type":"chat","type":"' + word + '"}',
                 json.dumps({"type": "signal", "to": other.user.id, "data": {"signalType": word, "sdpOrIce": word}}),
                 json.dumps({"type": "call_start", "to": other.user.id, "data": {"callId": word + " "}}),
                 json.dumps({"type": "token_refresh", "data": {"token": word}}), json.dumps({"type": "call_end", "data": {"callId": word}})):
        await client.send_text(text)
    await client.barrier()


async def consult(mark, p, d, call_id):
    """Chat, and a call with all that it takes."""
    await p.send("chat", to=d.user, id=mark("id"), message=mark("chat"))
    await d.wait("chat")
    await d.send("chat", message=mark("broadcast"))
    await p.wait("chat")
    await p.send("call_start", to=d.user, callId=call_id)
    for message in (await p.wait("call_response"), await d.wait("incoming_call")):
        for server in message["data"]["iceServers"]:
            if "credential" in server:
                mark.add("credential", server["credential"])
    sdp = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\na=ice-pwd:{mark('sdp')}\r\n"
    await p.send("signal", to=d.user, signalType="offer", sdpOrIce=sdp)
    await d.wait("signal")
    await d.send("signal", to=p.user, signalType="answer", sdpOrIce=sdp)
    await p.wait("signal")
    for a, b in ((p, d), (d, p)):
        await a.send("signal", to=b.user, signalType="ice-candidate", sdpOrIce={"candidate": mark("ice")}, more=mark("extra"))
        await b.wait("signal")


def disturb(stack, mark, user):
    """Faults, while requests with a query go on: lighttpd says which one it was that failed."""
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            for path in (f"/doctors?token={user.token}&q={mark('query')}", f"/ws?token={user.token}"):
                try:
                    stack.rest("GET", path, token=user.token)
                except (OSError, ValueError):
                    pass

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for program in ("ws-relay", "fcgi-api"):
        before = stack.pids(program)
        for pid in before:
            os.kill(pid, signal.SIGABRT)
        wait_until(lambda: stack.pids(program) and not set(before) & set(stack.pids(program)), f"a new {program}")
        wait_until(lambda: is_ready(stack), "the stack to be ready again")
    stop.set()
    for asker in askers:
        asker.join()
    db = sqlite3.connect(stack.data / "telemed.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    mine = account(mark, "late", "PATIENT")
    assert stack.rest("POST", "/auth/register", mine)[0] == 503
    db.execute("ROLLBACK")
    db.close()


def is_ready(stack):
    try:
        return stack.rest("GET", "/readyz")[0] == 200
    except (OSError, ValueError):
        return False


def processes(stack):
    """What /proc shows of all that the stack has started: {"PID NAME FILE": text}."""
    pids = subprocess.run(["pgrep", "-s", str(stack.process.pid)], capture_output=True, text=True).stdout.split()
    shown = {}
    for pid in pids:
        for name in ("cmdline", "environ", "comm"):
            try:
                shown[f"{pid} {name}"] = Path(f"/proc/{pid}/{name}").read_text(errors="replace")
            except OSError:  # it has ended, or may not be looked into
                pass
    return shown


def files_below(directory):
    return [path for path in sorted(directory.rglob("*")) if path.is_file() and not path.is_symlink()]


def tells(mark, texts, kinds=None):
    """Where it is told what."""
    return {name: seen for name, text in texts.items() if (seen := mark.seen_in(text, kinds))}


@pytest.fixture(scope="module", params=["000", "022"])
def stopped(request, tmp_path_factory):
    """A stack that has been through all of it, with what was seen while it ran."""
    mark = Marks()
    here = tmp_path_factory.mktemp("canary")
    env = [f"TELEMED_JWT_SECRET={mark('jwtsecret')}{'x' * 32}", f"TELEMED_TURN_SECRET={mark('turnsecret')}",
           "TELEMED_TURN_URLS=turn:127.0.0.1:3478"]
    with private_root(here / "root", env) as root, umask(int(request.param, 8)):
        stack = Stack(TELEMED_LOG_LEVEL="debug", TELEMED_AUTH_RATE=300, TELEMED_PRESENCE_GRACE=2)
        stack.root = root
        before = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        os.chdir(here)  # where a core would go
        try:
            stack.start()
            asyncio.run(go_through(stack, mark))
            stack.seen = processes(stack)
            stack.shown = urllib.request.urlopen(f"{stack.http}/metrics", timeout=PATIENCE).read().decode()
            stack.modes = {p: stat.S_IMODE(p.lstat().st_mode) for p in [stack.data, *stack.data.rglob("*")]}
        finally:
            stack.stop()
            os.chdir(ROOT)
            resource.setrlimit(resource.RLIMIT_CORE, before)
    stack.written = {str(p.relative_to(stack.dir.name)): p.read_bytes().decode(errors="replace")
                     for p in files_below(Path(stack.dir.name))}
    stack.cores = [str(p) for p in files_below(here) if p.name.startswith("core") or p.stat().st_size > 1 << 20]
    return stack, mark


async def go_through(stack, mark):
    patient, doctor = register(stack, mark, "patient", "PATIENT"), register(stack, mark, "doctor", "DOCTOR")
    p, d = await patient.connect(), await doctor.connect(**V1)
    await consult(mark, p, d, "canary")
    await messages_go_wrong(mark, p, d)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, rest_goes_wrong, stack, mark, patient)
    await handshakes_go_wrong(stack, mark, patient)
    await loop.run_in_executor(None, frames_go_wrong, mark, register(stack, mark, "rough", "PATIENT"))
    await loop.run_in_executor(None, disturb, stack, mark, patient)
    d = await doctor.connect(**V1)
    _, got = stack.rest("POST", "/auth/refresh", token=doctor.token)
    mark.token(got["token"])
    await d.send("token_refresh", id="renewed", token=got["token"])
    assert (await d.answer("renewed"))["type"] == "ack"
    await d.send("token_refresh", id="another's", token=patient.token)
    assert (await d.answer("another's"))["type"] == "error"
    assert stack.rest("POST", "/auth/logout", token=got["token"])[0] == 204
    assert await d.closed() == 4501
    while stack.rest("POST", "/auth/login", account(mark, "late", "PATIENT"))[0] != 429:
        pass
    for client in (p, d):
        await client.drop()


def test_no_log_tells(stopped):
    stack, mark = stopped
    logs = {name: text for name, text in stack.written.items() if name in ("log", "out") or name.startswith("data/log/")}
    assert set(logs) == {"log", "out", "data/log/access.log"}
    assert '"level":"debug"' in logs["log"] and "[redacted]" in logs["log"] and "/auth/login" in logs["data/log/access.log"]
    assert tells(mark, logs) == {}
    assert findings("".join(logs.values())) == []


def test_no_file_tells(stopped):
    """Names and addresses of mail are the database's, and ids of calls."""
    stack, mark = stopped
    database = {name: text for name, text in stack.written.items() if name.startswith("data/telemed.db")}
    others = {name: text for name, text in stack.written.items() if name not in database}
    assert mark.seen_in("".join(database.values()), ["namepatient", "mailpatient"]) == ["mailpatient", "namepatient"]
    assert tells(mark, others) == {}
    private = [k for k in mark.words if not re.match("name|mail|nobody", k)]
    assert tells(mark, database, private) == {}


def test_no_metric_tells(stopped):
    stack, mark = stopped
    assert "telemed_messages_received_total" in stack.shown and mark.seen_in(stack.shown) == []


def test_no_process_tells(stopped):
    stack, mark = stopped
    assert {"ws-relay\n", "fcgi-api\n", "lighttpd\n"} <= set(stack.seen.values())
    assert tells(mark, stack.seen) == {}


def test_no_core_is_left(stopped):
    """All were ended with SIGABRT, where a core would have been allowed."""
    stack, _ = stopped
    assert "started again" in stack.written["log"] and stack.cores == []


def test_what_is_in_the_data_directory_is_its_owners_alone(stopped):
    stack, _ = stopped
    kinds = {stack.data / name for name in ("telemed.db", "telemed.db-wal", "telemed.db-shm", "run/relay.sock", "run/api.sock",
                                            "run/auth.sock", "run/doorbell.sock", "run/metrics", "run/store.lock", "run/relay.lock",
                                            "log/access.log", "run", "log")}
    assert kinds <= set(stack.modes)
    assert {str(p): oct(mode) for p, mode in stack.modes.items() if mode & 0o077} == {}


@pytest.mark.parametrize("program", ["ws-relay", "fcgi-api"])
def test_a_crash_leaves_no_core(tmp_path, program):
    """By the kernel's own word, whatever it does with cores."""
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    (tmp_path / "run").mkdir()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    env = {**os.environ, "TELEMED_DATA_DIR": str(tmp_path), "TELEMED_JWT_SECRET_FILE": str(secret)}
    with umask(0):
        child = subprocess.Popen([BUILD / program / program], env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    while '"started"' not in (line := child.stderr.readline()):
        assert line, "it does not start"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*") if p not in (secret, tmp_path / "run")}
    os.kill(child.pid, signal.SIGABRT)
    _, status = os.waitpid(child.pid, 0)
    child.returncode = status
    child.stderr.close()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    assert not list(tmp_path.glob("core*"))
    # Nor do files of the program's own making need anybody's umask.
    assert "telemed.db" in modes and {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
