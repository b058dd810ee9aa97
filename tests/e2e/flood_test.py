"""While one client does its worst, two others who have nothing to do with it go on: every chat is delivered and acknowledged, every call
comes about and ends, the list is answered. How much longer it takes them is written to the log; how long that may be, no clock here
decides."""

import http.client
import itertools
import json
import multiprocessing
import socket
import statistics
import time

import pytest
from stack import PATIENCE, Stack
from wire import CONT, PING, TEXT, Closed, Wire, frame, head, question

ROUNDS = 60  # of a chat each way; in every tenth a call
LONG = 6 * PATIENCE
fork = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_BCRYPT_COST=10) as s:
        yield s


# What a flood does, again and again, until its process is ended. Each thing that it has done is counted.

def every_wire(user, pour):
    """POUR(wire), which ends with a close of the server's, on one connection after another."""
    while True:
        try:
            with Wire.open(user) as wire:
                yield from pour(wire)
        except (Closed, EOFError, OSError, AssertionError):
            yield  # cut: that is what it is there for


def bad_messages(stack, user):
    def pour(wire):
        while True:
            wire.send(frame("[" * 1000) * 10)
            yield
            wire.next()
    return every_wire(user, pour)


def large_messages(stack, user):
    large = frame(question("large", 64 << 10))

    def pour(wire):
        while True:
            wire.send(large)
            yield
    return every_wire(user, pour)


def too_large_messages(stack, user):
    def pour(wire):
        wire.send(frame(b"x" * (1 << 20)))
        yield
        wire.closed()
    return every_wire(user, pour)


def pings(stack, user):
    def pour(wire):
        wire.socket.settimeout(0.01)
        while True:
            wire.send(frame(b"x" * 125, PING) * 500)
            yield
            try:
                wire.read_some()
            except TimeoutError:
                pass
    return every_wire(user, pour)


def crumbs(stack, user):
    """Messages in fragments of nothing."""
    nothing = frame(b"", TEXT, False) + frame(b"", CONT, False) * 2000 + frame(b"{}", CONT)

    def pour(wire):
        while True:
            wire.send(nothing)
            yield
            wire.next()
    return every_wire(user, pour)


def chats_to_all(stack, user):
    """As fast as they are taken, and all the pair gets them."""
    told = frame(json.dumps({"type": "chat", "data": {"message": "x" * 4000}}))

    def pour(wire):
        while True:
            wire.send(told)
            time.sleep(0.02)  # a rate that is just allowed: faster is refused
            yield
    return every_wire(user, pour)


def a_slow_reader(stack, user):
    """Somebody who writes to her own other connection, which does not read."""
    told = frame(json.dumps({"type": "signal", "to": user.id, "data": {"signalType": "offer", "sdpOrIce": "x" * 60000}}))

    def pour(wire):
        with Wire.open(user):
            for _ in range(150):
                wire.send(told)
                time.sleep(0.02)
                yield
    return every_wire(user, pour)


def many_connects(stack, user):
    """Half of them say nothing, the others half of what they should."""
    held = []
    for n in itertools.count():
        held.append(socket.create_connection(("127.0.0.1", stack.port), LONG))
        if n % 2:
            held[-1].sendall(head(f"/ws?token={user.token}")[:-10])
        if len(held) > 200:
            held.pop(0).close()
        yield


def bad_handshakes(stack, user):
    while True:
        with Wire(stack.port) as wire:
            wire.socket.settimeout(LONG)
            wire.ask(head(f"/ws?token={user.token}x"))
        yield


def come_and_go(stack, user):
    def pour(wire):
        yield
    return every_wire(user, pour)


def logins(stack, user):
    """Each some 50 ms of a core's time, and as many at once as there are connections."""
    body = json.dumps({"email": "nobody@example.org", "password": "password"}).encode()
    request = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    asked = []
    while True:
        if len(asked) == 60:
            with asked.pop(0) as first:
                while first.recv(1 << 16):
                    pass
            yield
        asked.append(socket.create_connection(("127.0.0.1", stack.port), LONG))
        asked[-1].sendall(request)


def bad_bodies(stack, user):
    client = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=LONG)
    while True:
        client.request("POST", "/auth/login", b"[" * 16000)
        client.getresponse().read()
        yield


def statuses(stack, user):
    """Each is written, and told to everybody; as many at once as there are workers, and more wait."""
    token = stack.doctor().token  # made by this process, which counts the users

    def pour():
        wires = [socket.create_connection(("127.0.0.1", stack.port), LONG) for _ in range(16)]
        for n in itertools.count():
            for i, wire in enumerate(wires):
                body = json.dumps({"status": ("BUSY", "ONLINE")[(n + i) % 2]})
                wire.sendall(f"POST /doctors/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            for wire in wires:
                got = b""
                while b"}}" not in got:
                    got += wire.recv(1 << 16)
                assert got.startswith(b"HTTP/1.1 200 "), got
                yield
    return pour()


FLOODS = [bad_messages, large_messages, too_large_messages, pings, crumbs, chats_to_all, a_slow_reader, many_connects, bad_handshakes,
          come_and_go, bad_bodies, statuses, logins]  # the last leaves a queue behind it


class Flood:
    """`with Flood(kind, stack, user) as flood:` a process that does it. flood.done.value: how often."""

    def __init__(self, kind, stack, user):
        self.done = fork.Value("q", 0)
        self.process = fork.Process(target=self.run, args=(kind(stack, user),), daemon=True)

    def run(self, flood):
        for _ in flood:
            self.done.value += 1

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        assert self.process.is_alive(), "the flood has run dry"
        self.process.terminate()
        self.process.join()


class Pair:
    """A patient and a doctor on a connection each. What is sent is answered, in order, or this waits in vain."""

    def __init__(self, stack):
        self.stack = stack
        self.patient, self.doctor = stack.patient(), stack.doctor()
        self.p, self.d = Wire.open(self.patient), Wire.open(self.doctor)
        for wire in (self.p, self.d):
            wire.socket.settimeout(LONG)
        self.rest = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=LONG)
        self.sent = 0

    def say(self, wire, type, id, to=None, **data):
        wire.send(frame(json.dumps({"type": type, "id": id, "data": data, **({"to": to.id} if to else {})})))

    @staticmethod
    def next(wire, type, sender):
        """The next of TYPE that is from SENDER (or from nobody)."""
        while True:
            m = wire.next(type=type)
            if m.get("from", sender.id) == sender.id:
                return m

    def chat(self, a, b, wire_a, wire_b):
        self.sent += 1
        text = f"number {self.sent}"
        began = time.perf_counter()
        self.say(wire_a, "chat", text, to=b, message=text)
        assert self.next(wire_b, "chat", a)["data"] == {"message": text}
        took = time.perf_counter() - began
        ack = wire_a.next(type="ack")
        assert (ack["id"], ack["data"]) == (text, {"delivered": 1})
        return took

    def call(self):
        self.sent += 1
        call_id = f"call-{self.sent}"
        began = time.perf_counter()
        self.say(self.p, "call_start", call_id, to=self.doctor, callId=call_id)
        answer = self.next(self.p, "call_response", self.doctor)
        assert answer["id"] == call_id and answer["data"]["ok"], answer
        assert self.next(self.d, "incoming_call", self.patient)["data"]["callId"] == call_id
        self.say(self.d, "call_accept", call_id, callId=call_id)
        assert self.d.next(type="ack")["data"] == {"callId": call_id}
        self.say(self.p, "call_end", "end", callId=call_id)
        assert self.next(self.d, "call_end", self.patient)["data"] == {"callId": call_id, "reason": "hangup"}
        told = {}
        while not {"ack", "call_end"} <= set(told):
            m = json.loads(self.p.next())
            told[m["type"]] = m["data"] if "data" in m else None
        assert told["ack"] == {"callId": call_id} and told["call_end"] == {"callId": call_id, "reason": "hangup"}
        return time.perf_counter() - began

    def list(self):
        began = time.perf_counter()
        self.rest.request("GET", "/doctors", headers={"Authorization": f"Bearer {self.patient.token}"})
        answer = self.rest.getresponse()
        assert answer.status == 200 and answer.read()
        return time.perf_counter() - began

    def rounds(self, go_on=lambda: False):
        """{what: median of what it took}, of ROUNDS, and of more as long as GO_ON()."""
        took = {"chat": [], "call": [], "list": []}
        deadline = time.monotonic() + LONG
        for n in itertools.count():
            if n >= ROUNDS and not go_on():
                return {what: statistics.median(times) for what, times in took.items()}
            assert n < ROUNDS or time.monotonic() < deadline, "the flood does not come to anything"
            time.sleep(0.05 if n >= ROUNDS else 0)  # the first are within a burst, the others within the rate
            took["chat"].append(self.chat(self.patient, self.doctor, self.p, self.d))
            took["chat"].append(self.chat(self.doctor, self.patient, self.d, self.p))
            took["list"].append(self.list())
            if n % 10 == 0:
                took["call"].append(self.call())


@pytest.mark.parametrize("kind", FLOODS, ids=lambda f: f.__name__)
def test_others_go_on(stack, kind):
    pids = [stack.pids(program) for program in ("ws-relay", "fcgi-api")]
    quiet, pair = Pair(stack).rounds(), Pair(stack)
    with Flood(kind, stack, stack.patient()) as flood:
        beside = pair.rounds(lambda: flood.done.value < 20)
        done = flood.done.value
    print(f"# {kind.__name__}, {done} times: " + ", ".join(
        f"{what} {beside[what] * 1e3:.1f} ms, {beside[what] / quiet[what]:.1f} times as long as without" for what in quiet))
    assert pids == [stack.pids(program) for program in ("ws-relay", "fcgi-api")]
