"""The checker itself: a good history has nothing in it to complain of, and each fault that is put into it is found and named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from check import Checker, History, check  # noqa: E402
from history import Recorder, parse_mark, read  # noqa: E402

PAT, DOC, QUIN = 1, 2, 3  # two patients and a doctor


class Story:
    """Events, a millisecond apart."""

    def __init__(self):
        self.events, self.now = [], 100.0

    def add(self, ev, **members):
        self.now += 0.001
        self.events.append({"t": round(self.now, 4), "ev": ev, **members})

    def wait(self, seconds):
        self.now += seconds

    def open(self, conn, user, session=None):
        self.add("dial", conn=conn, user=user, session=session or f"session of {conn}")
        self.add("open", conn=conn)

    def send(self, conn, type, to=None, **data):
        id = f"{conn}:{len(self.events)}"
        self.add("send", conn=conn, m={"type": type, "id": id, **({"to": to} if to else {}), "data": data})
        return id

    def got(self, conn, type, **members):
        self.add("got", conn=conn, m={"type": type, **members})

    def ack(self, conn, id, **data):
        self.got(conn, "ack", id=id, data=data)

    def barrier(self, *conns):
        since = round(self.now, 4)
        for conn in conns:
            self.add("barrier", conn=conn, since=since)

    def chat(self, conn, by, n, to, conns, delivered=None):
        text = f"{conn}/{n}"
        id = self.send(conn, "chat", to, message=text)
        for c in conns:
            self.got(c, "chat", **{"from": by}, data={"message": text}, **({"to": to} if to else {}))
        self.ack(conn, id, delivered=len(conns) if delivered is None else delivered)

    def sample(self, busy=(), free=()):
        since = round(self.now, 4)
        self.add("doctors", since=since, busy=list(busy), free=list(free))

    def lists(self, busy, *conns):
        for conn in conns:
            self.add("busy", conn=conn, users=busy)

    def call(self, call_id, p, d, reason="hangup"):
        """It rings, is answered, and ended by the patient; p and d are the connections."""
        begun = self.now
        start = self.send(p, "call_start", DOC, callId=call_id)
        self.got(p, "call_response", **{"from": DOC}, id=start, data={"callId": call_id, "ok": True})
        self.got(d, "incoming_call", **{"from": PAT}, data={"callId": call_id, "name": "Pat"})
        self.lists([PAT, DOC], p, d)
        self.sample(busy=[DOC])
        self.ack(d, self.send(d, "call_accept", callId=call_id), callId=call_id)
        mark = f"{p}/{len(self.events)}"
        offer = self.send(p, "signal", DOC, signalType="offer", sdpOrIce=mark)
        self.got(d, "signal", **{"from": PAT}, data={"signalType": "offer", "sdpOrIce": mark})
        self.ack(p, offer, delivered=1)
        end = self.send(p, "call_end", DOC, callId=call_id)
        ended = self.now
        for conn in (p, d):
            self.got(conn, "call_end", **{"from": PAT}, data={"callId": call_id, "reason": reason})
        self.ack(p, end, callId=call_id)
        self.lists([], p, d)
        self.sample(free=[DOC])
        return {"callId": call_id, "caller": PAT, "callee": DOC, "state": "ENDED", "reason": reason, "started": begun, "ended": ended}


def good():
    """Everything that is promised happens once: chats to one and to all, two calls, a logout, a connection that is lost."""
    s = Story()
    for user in (PAT, DOC, QUIN):
        s.add("account", user=user, role="DOCTOR" if user == DOC else "PATIENT")
    s.open("p", PAT)
    s.open("d", DOC)
    s.open("q", QUIN)
    s.open("late", QUIN)
    s.chat("p", PAT, 1, DOC, ["d"])
    s.chat("p", PAT, 2, DOC, ["d"])
    s.chat("p", PAT, 3, None, ["d", "q", "late"])
    s.chat("q", QUIN, 4, QUIN, ["late"])
    refused = s.send("p", "chat", 99, message="p/5")
    s.got("p", "error", id=refused, code="not_found", re="chat")
    rows = [s.call("c1", "p", "d"), s.call("c2", "p", "d")]
    s.add("close", conn="late", code=1006, by="server")
    s.chat("p", PAT, 6, QUIN, ["q"], delivered=2)  # the lost one was counted
    since = s.now
    s.add("logout", session="session of q", since=since, code=204)
    s.add("close", conn="q", code=4501, by="server")
    s.wait(20)
    s.chat("p", PAT, 7, None, ["d"])
    s.barrier("p", "d")
    s.add("end", users=[PAT, DOC, QUIN], calls=rows)
    return s


def verdict(story):
    history = History()
    history.load(story.events, "file")
    return Checker(history.finish()).check()


def names(story):
    return {name for name, _ in verdict(story)}


def find(story, ev, **like):
    """The index of the first event that is like this; members of m are looked for as well."""
    for i, e in enumerate(story.events):
        members = {**e.get("m", {}).get("data", {}), **e.get("m", {}), **e}
        if e["ev"] == ev and all(members.get(k) == v for k, v in like.items()):
            return i
    raise AssertionError(like)


def without(story, ev, **like):
    del story.events[find(story, ev, **like)]
    return story


def changed(story, ev, change, **like):
    """CHANGE, a function, is applied to the event."""
    event = json.loads(json.dumps(story.events[find(story, ev, **like)]))
    change(event)
    story.events[find(story, ev, **like)] = event
    return story


def repeated(story, ev, **like):
    i = find(story, ev, **like)
    story.events.insert(i + 1, story.events[i])
    return story


def put(story, where, ev, **members):
    """An event right behind the place WHERE, at its time."""
    story.events.insert(where + 1, {"t": story.events[where]["t"], "ev": ev, **members})
    return story


def swapped(story, i, j):
    story.events[i], story.events[j] = story.events[j], story.events[i]
    return story


def set_in(path, value):
    *way, last = path.split(".")

    def change(event):
        for key in way:
            event = event[key]
        event[last] = value
    return change


def end(story, **row):
    """The second call's row in the table is different."""
    story.events[-1]["calls"][1].update(row)
    return story


def test_a_good_history_is_good():
    assert verdict(good()) == []


def got_chat(conn, mark, by, to=None):
    return {"conn": conn, "m": {"type": "chat", "from": by, "data": {"message": mark}, **({"to": to} if to else {})}}


def call_end(conn, call_id, by=PAT, reason="hangup"):
    return {"conn": conn, "m": {"type": "call_end", "from": by, "data": {"callId": call_id, "reason": reason}}}


def served_on(s):
    """After its logout q is not closed, and proves that it is served long after."""
    without(s, "close", conn="q")
    i = find(s, "send", message="p/7")
    return put(s, i, "barrier", conn="q", since=s.events[i]["t"] - 0.001)


def everywhere(s, call_id, reason):
    """All say that the call ended by REASON."""
    for conn in ("p", "d"):
        changed(s, "got", set_in("m.data.reason", reason), conn=conn, type="call_end", callId=call_id)
    next(row for row in s.events[-1]["calls"] if row["callId"] == call_id)["reason"] = reason
    return s


# What is planted: (what is found, how it is planted).
PLANTED = {
    "a chat to one is lost": ("lost", lambda s: without(s, "got", conn="d", type="chat", message="p/1")),
    "a chat to all is lost for one": ("lost", lambda s: without(s, "got", conn="d", message="p/3")),
    "more are counted than there were": (
        "lost", lambda s: changed(s, "got", set_in("m.data.delivered", 3), conn="p", type="ack", delivered=1)),
    "who was lost long ago is counted": (
        "lost", lambda s: changed(s, "close", set_in("t", 5.0), conn="late")),
    "a signal is lost": ("lost", lambda s: without(s, "got", conn="d", type="signal")),
    "fewer are counted than have it": (
        "miscounted", lambda s: changed(s, "got", set_in("m.data.delivered", 2), conn="p", type="ack", delivered=3)),
    "a chat comes twice": ("doubled", lambda s: repeated(s, "got", conn="d", message="p/2")),
    "a signal comes twice": ("doubled", lambda s: repeated(s, "got", conn="d", type="signal")),
    "a call rings twice": ("doubled", lambda s: repeated(s, "got", conn="d", type="incoming_call")),
    "two chats come the other way round": (
        "reordered", lambda s: swapped(s, find(s, "got", conn="d", message="p/1"), find(s, "got", conn="d", message="p/2"))),
    "a chat comes to somebody else": (
        "misdirected", lambda s: put(s, find(s, "got", conn="d", message="p/1"), "got", **got_chat("q", "p/1", PAT, DOC))),
    "a chat comes back to the connection that sent it": (
        "misdirected", lambda s: put(s, find(s, "got", conn="d", message="p/3"), "got", **got_chat("p", "p/3", PAT))),
    "a chat comes under another name": (
        "misdirected", lambda s: changed(s, "got", set_in("m.from", QUIN), conn="d", message="p/1")),
    "a call rings at somebody else's": (
        "misdirected", lambda s: put(s, find(s, "got", conn="d", type="incoming_call"), "got", conn="q",
                                     m={"type": "incoming_call", "from": PAT, "data": {"callId": "c1"}})),
    "somebody else hears of an end": (
        "misdirected", lambda s: put(s, find(s, "got", conn="d", type="call_end"), "got", **call_end("q", "c1"))),
    "a chat comes that nobody sent": (
        "invented", lambda s: put(s, find(s, "got", conn="d", message="p/1"), "got", **got_chat("d", "p/77", PAT, DOC))),
    "a call rings that nobody began": (
        "invented", lambda s: put(s, find(s, "got", conn="d", type="call_end", callId="c2"), "got", conn="d",
                                  m={"type": "incoming_call", "from": PAT, "data": {"callId": "c9"}})),
    "a chat was refused and came": (
        "undone", lambda s: changed(s, "got", set_in("m", {
            "type": "error", "id": s.events[find(s, "send", conn="p", message="p/1")]["m"]["id"], "code": "unavailable"}),
            conn="p", type="ack", delivered=1)),
    "a message is not answered": (
        "unanswered", lambda s: without(s, "got", conn="p", type="error")),
    "a call_start is not answered": (
        "unanswered", lambda s: put(s, find(s, "open", conn="late"), "send", conn="p",
                                    m={"type": "call_start", "id": "x", "to": DOC, "data": {"callId": "c0"}})),
    "a message is answered twice": (
        "answered-twice", lambda s: repeated(s, "got", conn="p", type="error")),
    "a connection is called before the last call's end": (
        "two-calls", lambda s: swapped(s, find(s, "got", conn="d", type="call_end", callId="c1"),
                                       find(s, "got", conn="d", type="incoming_call", callId="c2"))),
    "the table has a doctor in two calls at once": ("two-calls", lambda s: end(s, started=s.events[-1]["calls"][0]["ended"] - 0.01)),
    "a call is live in the end": ("no-end", lambda s: end(s, state="ACTIVE", reason=None, ended=None)),
    "a call is in no table": ("no-end", lambda s: s.events[-1]["calls"].pop() and s),
    "one party does not hear of the end": ("not-told", lambda s: without(s, "got", conn="d", type="call_end", callId="c2")),
    "one party hears of the end twice": ("ended-twice", lambda s: repeated(s, "got", conn="d", type="call_end", callId="c1")),
    "the parties hear different reasons": (
        "disagree", lambda s: changed(s, "got", set_in("m.data.reason", "disconnected"), conn="d", type="call_end", callId="c1")),
    "the parties hear different originators": (
        "disagree", lambda s: changed(s, "got", set_in("m.from", DOC), conn="d", type="call_end", callId="c1")),
    "a caller is said to have declined her own call": ("disagree", lambda s: everywhere(s, "c1", "rejected")),
    "the table has another reason": ("disagree", lambda s: end(s, reason="no_answer")),
    "GET /doctors shows BUSY after the end": (
        "stale-busy", lambda s: put(s, find(s, "barrier", conn="p") - 1, "doctors", since=s.now - 4, busy=[DOC], free=[])),
    "a list shows BUSY after the end": (
        "stale-busy", lambda s: put(s, find(s, "close", conn="late"), "busy", conn="p", users=[DOC])),
    "GET /doctors shows who is in a call as free": (
        "free-in-call", lambda s: changed(changed(s, "doctors", set_in("free", [DOC]), busy=[DOC]),
                                          "doctors", set_in("busy", []), free=[DOC], busy=[DOC])),
    "who has logged out is let in": (
        "let-in", lambda s: put(put(s, find(s, "close", conn="q"), "open", conn="q2"), find(s, "close", conn="q"), "dial",
                                conn="q2", user=QUIN, session="session of q")),
    "who has logged out is served": (
        "after-logout", lambda s: served_on(s)),
    "who has logged out gets a message": (
        "after-logout", lambda s: changed(put(s, find(s, "got", conn="d", message="p/7"), "got", **got_chat("q", "p/7", PAT)),
                                          "got", set_in("m.data.delivered", 2),
                                          id=s.events[find(s, "send", message="p/7")]["m"]["id"])),
    "a connection is closed for a fault of the server's": (
        "unearned-close", lambda s: changed(s, "close", set_in("code", 1011), conn="late")),
    "a connection is closed for a logout that was none": (
        "unearned-close", lambda s: without(s, "logout")),
    "a registration is lost": ("forgotten", lambda s: s.events[-1]["users"].remove(QUIN) or s),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_fault_is_found_and_named(what):
    name, plant = PLANTED[what]
    assert names(plant(good())) == {name}


@pytest.mark.parametrize("what, plant", {
    "what was not acknowledged may be lost": lambda s: without(
        without(without(s, "got", conn="d", message="p/2"), "barrier", conn="p"), "got", conn="p", type="ack",
        id=s.events[find(s, "send", message="p/2")]["m"]["id"]),
    "a connection that ended may not have it": lambda s: without(s, "got", conn="late", message="p/3"),
    "a connection without a barrier need not answer": lambda s: without(without(s, "barrier", conn="p"), "got", conn="p", type="error"),
    "a list may be late": lambda s: put(put(s, find(s, "got", conn="p", type="call_end", callId="c2"), "barrier", conn="p",
                                            since=s.events[find(s, "send", conn="p", type="call_end", callId="c2")]["t"]),
                                        find(s, "got", conn="p", type="call_end", callId="c2"), "busy", conn="p", users=[DOC]),
    "a doctor may choose to be BUSY": lambda s: put(put(s, find(s, "barrier", conn="p") - 1, "doctors", since=s.now - 4, busy=[DOC],
                                                        free=[]), 3, "status", user=DOC, status="BUSY"),
    "an end that was asked for without a callId may come late": lambda s: put(
        changed(changed(s, "doctors", set_in("free", [DOC]), busy=[DOC]), "doctors", set_in("busy", []), free=[DOC], busy=[DOC]),
        find(s, "open", conn="p"), "send", conn="q", m={"type": "call_end", "id": "e", "data": {}}) and changed(
            s, "send", set_in("conn", "p2"), id="e") and put(s, find(s, "open", conn="p"), "dial", conn="p2", user=PAT, session="s"),
    "a fault holds a logout up": lambda s: put(served_on(s), 0, "fault", what="stop relay", since=0) and changed(
        s, "fault", set_in("t", 1000)),
}.items())
def test_what_is_not_promised_is_not_asked_for(what, plant):
    assert verdict(plant(good())) == []


def test_what_a_killed_process_did_not_write_is_not_missed():
    s = good()
    kept = [e for e in s.events if not (e["t"] > s.events[find(s, "send", message="p/3")]["t"] and e.get("conn") in ("q", "late"))]
    rest = [e for e in kept if e.get("conn") not in ("q", "late")]
    killed = [e for e in kept if e.get("conn") in ("q", "late")]
    history = History()
    history.load(rest, "a")
    history.load(killed, "b")
    history.load([{"t": s.events[find(s, "send", message="p/3")]["t"] + 0.5, "ev": "killed", "file": "b"}], "c")
    assert Checker(history.finish()).check() == []


def test_a_history_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "h"
    recorder = Recorder(path)
    recorder.write("open", conn="a")
    recorder.write("close", conn="a", code=1000, by="client")
    with open(path, "ab") as file:
        file.write(b'{"t":1,"ev":"op')  # a kill
    events = list(read(path))
    assert [e["ev"] for e in events] == ["open", "close"]
    assert events[0]["t"] <= events[1]["t"]
    assert parse_mark("a/b/7") == ("a/b", 7) and parse_mark("hello") is None and parse_mark("a/x") is None


def test_the_program_says_what_is_wrong_and_fails(tmp_path):
    for story, code, said in ((good(), 0, "0 broken promises"), (PLANTED["a chat to one is lost"][1](good()), 1, "lost: p/1")):
        path = tmp_path / "h"
        path.write_text("".join(json.dumps(e) + "\n" for e in story.events))
        run = subprocess.run([sys.executable, HERE / "check.py", path], capture_output=True, text=True)
        assert run.returncode == code and said in run.stdout, run
        assert len(check([path])) == code
