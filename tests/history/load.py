#!/usr/bin/python3
"""Clients that use telemed at random and write down what they see (history.py): patients and doctors on several devices each, some of
the seed's dialect and some of telemed.v1, that chat, call, take calls up again, set a status, log out, and come back whenever they
lose a connection.

SIGTERM: they begin nothing new, end their calls, and it says "quiet" on standard output when there is nothing left. A second SIGTERM:
they prove that all that was acknowledged has come, say goodbye, and it ends with 0."""

import argparse
import asyncio
import base64
import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import websockets

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "support")]

import contract  # noqa: E402
from history import Recorder, mark  # noqa: E402

NOBODY = 2**53 - 1
# As many look-ups, one after another, have the longest chain of things to be stored behind them: a message to somebody who must be
# looked up, a call's start, and its end.
BARRIER = 4
PATIENCE = 60  # seconds: what is longer in coming than any fault lasts comes no more


class Load:
    """All people of this process."""

    def __init__(self, args):
        self.base, self.rng, self.stem = args.base, random.Random(args.seed), Path(args.history).stem
        self.recorder = Recorder(args.history)
        self.threads = ThreadPoolExecutor(32)
        self.ending = asyncio.Event()  # begin nothing new
        self.leaving = asyncio.Event()
        self.names = 0
        self.people = []

    def record(self, ev, **members):
        self.recorder.write(ev, **members)

    def new_name(self, user):
        self.names += 1
        return f"{self.stem}.{user}.{self.names}"

    async def rest(self, method, path, body=None, token=None):
        """(status, JSON), or (None, None): no answer."""
        def ask():
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            data = json.dumps(body).encode() if body is not None else b"" if method == "POST" else None
            request = urllib.request.Request(self.base + path, data=data, method=method, headers=headers)
            try:
                try:
                    answer = urllib.request.urlopen(request, timeout=PATIENCE)
                except urllib.error.HTTPError as refusal:
                    answer = refusal
                with answer:
                    text = answer.read()
                contract.rest(method, path, data, answer.status, answer.headers.items(), text)
                return answer.status, json.loads(text) if text and answer.status < 300 else None
            except (OSError, ValueError):
                return None, None
        return await asyncio.get_running_loop().run_in_executor(self.threads, ask)

    async def rest_until(self, wanted, *request):
        """Asks again until the answer is one of WANTED."""
        while True:
            status, got = await self.rest(*request)
            if status in wanted:
                return status, got
            await asyncio.sleep(self.rng.uniform(0.1, 1))

    async def run(self, accounts, quiet):
        for n, (email, role) in enumerate(accounts):
            self.people.append(Person(self, n, email, role))
        await asyncio.gather(*(p.begin() for p in self.people))
        devices = [asyncio.ensure_future(d.run()) for p in self.people for d in p.devices]
        await self.ending.wait()
        await asyncio.gather(*(p.wind_up() for p in self.people))
        quiet()
        keeping = asyncio.ensure_future(self.keep_quiet())
        await asyncio.gather(*devices)
        keeping.cancel()

    async def keep_quiet(self):
        """A call that was being started when there was none may come about after all."""
        while True:
            await asyncio.gather(*(device.end_any_call() for p in self.people for device in p.devices))
            await asyncio.sleep(0.5)


class Person:
    def __init__(self, load, n, email, role):
        self.load, self.rng, self.email, self.role = load, random.Random(load.rng.random()), email, role
        self.statuses = ["ONLINE"] * 3 + ["OFFLINE"] + ["BUSY"] * (n % 4 == 0)  # what she chooses from
        self.id, self.token, self.session = None, None, None
        self.entering = asyncio.Lock()
        self.call = None  # (callId, the other's id): the one that she knows of
        self.devices = [Device(self, v1=self.rng.random() < 0.5) for _ in range(self.rng.choice((1, 1, 2, 3)))]

    def admit(self, got):
        self.id, token = got["user"]["id"], got["token"]
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self.token, self.session = token, claims["sid"]

    async def begin(self):
        """A new account, or the one of this email."""
        body = {"name": self.email.split("@")[0], "email": self.email, "password": "password", "role": self.role}
        status, got = await self.load.rest_until((201, 409), "POST", "/auth/register", body)
        if status == 201:
            self.admit(got)
            self.load.record("account", user=self.id, role=self.role)
        else:
            await self.log_in()

    async def log_in(self):
        async with self.entering:
            if self.token is None:
                _, got = await self.load.rest_until((200,), "POST", "/auth/login", {"email": self.email, "password": "password"})
                self.admit(got)

    async def log_out(self):
        token, session, since = self.token, self.session, time.monotonic()
        if token is None:
            return
        self.token = None
        status, _ = await self.load.rest("POST", "/auth/logout", token=token)
        self.load.record("logout", session=session, since=since, code=status)

    async def choose_status(self):
        status = self.rng.choice(self.statuses)
        self.load.record("status", user=self.id, status=status)
        await self.load.rest("POST", "/doctors/status", {"status": status}, self.token)

    async def wind_up(self):
        """Until all her devices are connected, and none of them can end a call."""
        while True:
            over = all([await device.end_any_call() for device in self.devices])
            if over:
                return
            await asyncio.sleep(0.1)


class Device:
    """A place from which a person is connected, one connection after another."""

    def __init__(self, person, v1):
        self.person, self.load, self.rng, self.v1 = person, person.load, person.rng, v1
        self.socket = None  # None: there is no connection
        self.sent = 0
        self.awake = asyncio.Event()
        self.awake.set()

    def record(self, ev, **members):
        self.load.record(ev, conn=self.name, **members)

    async def run(self):
        tries = 0
        while not self.load.leaving.is_set():
            began = time.monotonic()
            code = await self.connect()
            tries = 0 if time.monotonic() - began > 5 else tries + 1
            if code in (401, 4501):
                if self.person.session == self.session:
                    self.person.token = None
                await self.person.log_in()
            await asyncio.sleep(self.rng.uniform(0.05, min(3, 0.1 * 2 ** min(tries, 8))))

    def options(self):
        """The token goes in one of its three places."""
        token, url = self.person.token, self.load.base.replace("http", "ws", 1) + "/ws"
        if self.v1:
            return url, {"subprotocols": ["telemed.v1", f"bearer.{token}"]}
        if self.rng.random() < 0.5:
            return url, {"extra_headers": {"Authorization": f"Bearer {token}"}}
        return f"{url}?token={token}", {}

    async def connect(self):
        """One connection, from its beginning to its end; returns the code that it ended with, HTTP's or WebSocket's."""
        await self.person.log_in()
        self.name, self.session = self.load.new_name(self.person.id), self.person.session
        self.sent, self.answers, self.view, self.shown, self.closing = 0, {}, {}, [], False
        self.record("dial", user=self.person.id, session=self.session)
        url, options = self.options()
        try:
            socket = await websockets.connect(url, open_timeout=PATIENCE, ping_interval=None, close_timeout=10, max_size=None, **options)
        except Exception as e:  # whatever a server that is being killed says
            code = getattr(e, "status_code", None)
            self.record("refused", code=code)
            return code
        self.record("open")
        self.contract = contract.Connection(self.v1)
        self.socket = socket
        acting = asyncio.ensure_future(self.act())
        try:
            await self.read(socket)
        finally:
            self.socket = None
            acting.cancel()
            for waiting in self.answers.values():
                if not waiting.done():
                    waiting.set_result(None)
            self.record("close", code=socket.close_code, by="client" if self.closing else "server")
        return socket.close_code

    # What comes

    async def read(self, socket):
        try:
            async for text in socket:
                self.contract.received(text)
                self.take(json.loads(text))
                await self.awake.wait()
        except (websockets.ConnectionClosed, OSError):
            pass

    def take(self, m):
        if m["type"] in ("users", "presence"):
            self.take_list(m)
            return
        m.get("data", {}).pop("iceServers", None)
        self.record("got", m=m)
        waiting = self.answers.pop(m.get("id"), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(m)
        react = getattr(self, "on_" + m["type"], None)
        if react is not None:
            react(m)

    def take_list(self, m):
        if m["type"] == "users":
            self.view = {}
        for user in m.get("users", m.get("set")):
            self.view[user["id"]] = (user["role"], user["status"])
        for id in m.get("del", ()):
            self.view.pop(id, None)
        busy = sorted(id for id, (_, status) in self.view.items() if status == "BUSY")
        if busy != self.shown:
            self.shown = busy
            self.record("busy", users=busy)

    def later(self, seconds, what):
        """WHAT(), a coroutine function, if this connection is still there then."""
        socket = self.socket

        async def wait():
            await asyncio.sleep(seconds)
            if self.socket is socket:
                await what()
        task = asyncio.ensure_future(wait())
        task.add_done_callback(lambda t: t.cancelled() or t.exception())

    def on_welcome(self, m):
        active = m.get("activeCall")
        if active is None or (active["direction"] == "in" and active["state"] == "RINGING"):
            return
        self.person.call = (active["callId"], active["peer"])
        if self.rng.random() < 0.8:
            self.later(0, lambda: self.send("call_resume", callId=active["callId"]))
            self.later(self.rng.uniform(0, 3), self.hang_up)

    def on_incoming_call(self, m):
        call_id, caller, luck = m["data"]["callId"], m["from"], self.rng.random()

        async def accept():
            answer = await self.ask("call_accept", callId=call_id)
            if answer is not None and answer["type"] == "ack":
                self.person.call = (call_id, caller)
                await self.signals(caller)
                if self.rng.random() < 0.4:
                    self.later(self.rng.uniform(0, 3), self.hang_up)

        async def answer():
            self.person.call = (call_id, caller)
            await self.send("signal", caller, signalType="answer", sdpOrIce=self.mark())
            await self.signals(caller)

        async def reject():
            await self.send("call_reject", callId=call_id)
        if luck < 0.9:
            self.later(self.rng.uniform(0, 1.5), accept if luck < 0.5 else answer if luck < 0.75 else reject)

    def on_call_response(self, m):
        call_id, doctor = m["data"].get("callId"), m["from"]
        if not m["data"]["ok"]:
            return
        self.person.call = (call_id, doctor)

        async def offer():
            await self.send("signal", doctor, signalType="offer", sdpOrIce=self.mark())
            await self.signals(doctor)
        self.later(0, offer)
        self.later(self.rng.uniform(0, 6), self.hang_up)

    def on_call_end(self, m):
        if self.person.call is not None and self.person.call[0] == m["data"]["callId"] and m["data"]["reason"] != "answered_elsewhere":
            self.person.call = None

    # What is sent

    def mark(self):
        self.sent += 1
        return mark(self.name, self.sent)

    async def send(self, type, to=None, **data):
        """Returns the id; None: the connection is gone."""
        self.sent += 1
        m = {"type": type, "id": f"{self.name}:{self.sent}", "data": data}
        if to is not None:
            m["to"] = to
        if self.socket is None:
            return None
        self.record("send", m=m)
        try:
            self.contract.sent(json.dumps(m))
            await self.socket.send(json.dumps(m))
        except (websockets.ConnectionClosed, OSError):
            return None
        return m["id"]

    async def ask(self, type, to=None, **data):
        """The answer to a message; None: none came."""
        id = f"{self.name}:{self.sent + 1}"
        waiting = self.answers[id] = asyncio.get_running_loop().create_future()
        if await self.send(type, to, **data) is None:
            self.answers.pop(id, None)
            return None
        try:
            return await asyncio.wait_for(waiting, PATIENCE)
        except asyncio.TimeoutError:
            return None

    async def barrier(self):
        """True: what was sent before has been handled, and stored."""
        name, since = self.name, time.monotonic()
        for _ in range(BARRIER):
            if await self.ask("chat", NOBODY, message="Is anybody there?") is None or self.name != name:
                return False
        self.record("barrier", since=since)
        return True

    async def signals(self, to):
        for _ in range(self.rng.randrange(4)):
            await self.send("signal", to, signalType="ice-candidate", sdpOrIce=self.mark())

    async def hang_up(self):
        """Ends the call that she knows of, or one that she is shown to be in."""
        if self.person.call is not None:
            call_id, peer = self.person.call
            await self.send("call_end", peer, callId=call_id)
        elif self.view.get(self.person.id, (None, None))[1] == "BUSY":
            await self.send("call_end")

    async def end_any_call(self):
        """True: there was none that could be ended from here."""
        answer = await self.ask("call_end")
        return answer is not None and answer["type"] == "error" and answer["code"] == "no_call"

    def somebody(self, role=None, status=None):
        """Of those whom the list shows; now and then anybody."""
        ids = [id for id, (r, s) in self.view.items() if role in (None, r) and status in (None, s)]
        return self.rng.choice(ids) if ids else self.person.id

    async def act(self):
        """What a person does of her own accord, until the connection ends."""
        acts = [(40, self.chat), (3, self.tell_all), (12, self.barrier), (3, self.signal), (2, self.hang_up), (2, self.reload),
                (2, self.drop), (2, self.doze), (1, self.log_out)]
        acts += [(14, self.call)] if self.person.role == "PATIENT" else [(3, self.set_status), (2, self.person.choose_status)]
        while not self.load.ending.is_set():
            await asyncio.sleep(self.rng.expovariate(1.5))
            await self.rng.choices([a for _, a in acts], [w for w, _ in acts])[0]()
        await self.load.leaving.wait()
        while not await self.barrier():
            await asyncio.sleep(0.1)
        await self.reload()

    async def chat(self):
        await self.send("chat", self.somebody() if self.rng.random() < 0.9 else self.rng.randrange(1, 200), message=self.mark())

    async def tell_all(self):
        await self.send("chat", message=self.mark())

    async def signal(self):
        await self.send("signal", self.somebody(), signalType="ice-candidate", sdpOrIce=self.mark())

    async def call(self):
        self.sent += 1
        await self.send("call_start", self.somebody("DOCTOR", "ONLINE" if self.rng.random() < 0.9 else None),
                        callId=f"{self.name}-{self.sent}")

    async def set_status(self):
        await self.send("set_status", status=self.rng.choice(self.person.statuses))

    async def log_out(self):
        await asyncio.shield(self.person.log_out())  # which ends this connection

    async def reload(self):
        self.closing = True
        await self.socket.close()

    async def drop(self):
        """Away without a word."""
        self.closing = True
        self.socket.transport.abort()

    async def doze(self):
        """Reads nothing for a while."""
        self.awake.clear()
        try:
            await asyncio.sleep(self.rng.uniform(1, 6))
        finally:
            self.awake.set()


async def main():
    parser = argparse.ArgumentParser()
    for name in ("base", "history", "accounts"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    load = Load(args)

    def told():
        (load.leaving if load.ending.is_set() else load.ending).set()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told)
    await load.run([line.split() for line in Path(args.accounts).read_text().splitlines()], lambda: print("quiet", flush=True))
    load.threads.shutdown(wait=False)
    contract.write_seen()
    sentences = contract.take()
    print("\n".join(sentences), file=sys.stderr, flush=True)
    os._exit(bool(sentences))


if __name__ == "__main__":
    asyncio.run(main())
