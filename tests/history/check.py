#!/usr/bin/python3
"""check.py FILE...: reads the histories of one run (history.py) and prints a line for each promise of docs/protocol.md that was
broken; exit code 1 if there is one. What is promised, and therefore looked at:

Messages
  lost            what an ack counted as delivered came on no connection that can account for it: each connection of the recipient
                  that was open before it was sent, and proves by a barrier that it lived on after the ack, has it; and the ack
                  counts no more than those that have it and those that ended too soon to tell
  miscounted      more connections have it than the ack counted
  doubled         it came twice on one connection
  reordered       on one connection, two of one sender's connection came the other way round (chats to one, chats to all, and
                  signals each have an order of their own)
  misdirected     it came to somebody else than it was for, under another name than its sender's, or back to the sending connection
  invented        nobody has sent it
  undone          it was answered with an error, and yet delivered
  unanswered      a message was not answered, on a connection that proves by a barrier that it was handled
  answered-twice
What is not acknowledged may be lost, and nothing is sent again after a reconnect: both are as promised.

Calls
  two-calls       a connection was put into a call before the end of the one it was in; or the table has one user in two at a time
  no-end          a call is not ENDED in the table when all is quiet, or is not in the table although its caller was told ok
  not-told        a connection that was in the call, and lived on, did not hear of its end
  ended-twice     a connection heard of one end twice
  disagree        two that were told of the end were told another reason or another originator, or the table has another reason
  stale-busy      somebody was shown BUSY, by GET /doctors or in a connection's newest list, and was in no call (any more)
  free-in-call    GET /doctors showed a doctor who was in a call as free

Sessions and connections
  let-in          a connection was opened with a token whose logout had been answered
  after-logout    a message reached a connection after the logout of its session, or the connection lived on
  unearned-close  a close code that this client gave no reason for
  forgotten       a registration that was answered 201 is not in the table"""

import sys
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path

from history import parse_mark, read

# For how long a connection that has gone may be counted: the server's minute of silence, a ping before it, and a busy machine.
GONE_S = 90
# A logout reaches open connections within a second, a user list within a tenth. The rest is for a busy machine.
LOGOUT_S = 10
LIST_S = 3
# From the time that the table has for an end to its commit: twice as long as a writer waits, and a second.
COMMIT_S = 5

# Whose act it is.
BY_CALLER, BY_CALLEE = ("cancelled",), ("rejected", "no_answer")
# Close codes that a client like ours earns without doing anything about it.
EARNED = {None, 1000, 1001, 1005, 1006, 4100, 4101, 4505}

INFINITE = float("inf")


class Conn:
    def __init__(self, name, user, session, t):
        self.name, self.user, self.session, self.dialled = name, user, session, t
        self.opened, self.ended, self.code = INFINITE, INFINITE, None
        self.proof = -INFINITE  # what was done before this has been handled on it
        self.got = []           # (t, message)
        self.views = []         # of the user list: (since, t, who is BUSY) at each barrier
        self.marks = set()
        self.requests = {}      # id: (t, message)

    def lived_through(self, since, until):
        return self.opened <= since and self.proof >= until

    def may_be_counted(self, since, until):
        return self.dialled <= until and self.ended + GONE_S >= since


class Sent:
    """A chat or a signal."""

    def __init__(self, t, conn, m):
        self.t, self.conn, self.to, self.answer = t, conn, m.get("to"), None
        self.kind = m["type"] if self.to is not None else "all"
        self.conns = []  # on which it came


class Call:
    def __init__(self, call_id, caller, callee, t):
        self.id, self.caller, self.callee, self.begun = call_id, caller, callee, t
        self.ok = INFINITE        # the caller is told that it rings
        self.end_asked = INFINITE
        self.over = INFINITE      # somebody knows that it is over
        self.ends = {}            # (reason, from): the name of a connection that was told so
        self.row = None

    def parties(self):
        return {self.caller, self.callee}

    def may_live(self, since, until):
        return self.begun <= until and self.over >= since


class History:
    """All events of a run, put in relation."""

    def __init__(self):
        self.conns, self.sent, self.calls = {}, {}, {}
        self.accounts, self.chosen_busy, self.logouts, self.samples, self.faults = set(), set(), {}, [], []
        self.users, self.rows = None, []
        self.ends = {}  # who asked for an end: [when, when it was answered, user, callId or None]
        self.open_in, self.killed, self.busy = defaultdict(set), {}, {}

    def load(self, events, file=""):
        for e in events:
            getattr(self, "on_" + e["ev"])(e, file)

    def finish(self):
        for file, t in self.killed.items():
            for name in self.open_in[file]:
                self.conns[name].ended = t
        for conn in self.conns.values():
            for t, m in conn.got:
                self.relate(conn, t, m)
        for t, answered, user, call_id in self.ends.values():
            for call in [self.calls.get(call_id)] if call_id else self.calls.values():
                if call is not None and user in call.parties() and answered >= call.begun:
                    call.end_asked = min(call.end_asked, max(t, call.begun))
        for row in self.rows:
            call = self.calls.get(row["callId"])
            if call is not None:
                call.row = row
                if row["ended"] is not None and call.over == INFINITE:  # nobody was there to be told
                    call.over = row["ended"] + COMMIT_S
        for call in self.calls.values():
            if call.row is None and call.ok == INFINITE and self.users is not None:
                call.over = call.begun  # it was refused
        return self

    def on_account(self, e, file):
        self.accounts.add(e["user"])

    def on_status(self, e, file):
        if e["status"] == "BUSY":
            self.chosen_busy.add(e["user"])

    def on_dial(self, e, file):
        self.conns[e["conn"]] = Conn(e["conn"], e["user"], e["session"], e["t"])
        self.open_in[file].add(e["conn"])

    def on_open(self, e, file):
        self.conns[e["conn"]].opened = e["t"]

    def on_refused(self, e, file):
        self.conns[e["conn"]].ended = e["t"]
        self.open_in[file].discard(e["conn"])

    def on_close(self, e, file):
        conn = self.conns[e["conn"]]
        conn.ended = e["t"]
        conn.code = e["code"] if e["by"] == "server" else None
        self.open_in[file].discard(e["conn"])

    def on_send(self, e, file):
        conn, m, t = self.conns[e["conn"]], e["m"], e["t"]
        data = m.get("data", {})
        conn.requests[m["id"]] = (t, m)
        if m["type"] in ("chat", "signal"):
            mark = data.get("message", data.get("sdpOrIce"))
            if parse_mark(mark):
                self.sent[mark] = Sent(t, conn, m)
        elif m["type"] == "call_start":
            self.calls.setdefault(data["callId"], Call(data["callId"], conn.user, m["to"], t))
        elif m["type"] in ("call_end", "call_reject"):
            self.ends[conn.name, m["id"]] = [t, INFINITE, conn.user, data.get("callId")]
        elif m["type"] == "set_status" and data["status"] == "BUSY":
            self.chosen_busy.add(conn.user)

    def on_got(self, e, file):
        self.conns[e["conn"]].got.append((e["t"], e["m"]))

    def on_busy(self, e, file):
        self.busy[e["conn"]] = frozenset(e["users"])

    def on_barrier(self, e, file):
        conn = self.conns[e["conn"]]
        conn.proof = max(conn.proof, e["since"])
        conn.views.append((e["since"], e["t"], self.busy.get(conn.name, frozenset())))

    def on_logout(self, e, file):
        if e["code"] == 204:
            self.logouts[e["session"]] = e["t"]
        else:
            self.logouts.setdefault(e["session"], INFINITE)  # it may have taken effect

    def on_doctors(self, e, file):
        self.samples.append((e["since"], e["t"], frozenset(e["busy"]), frozenset(e["free"])))

    def on_fault(self, e, file):
        self.faults.append((e["since"], e["t"], e["what"]))

    def on_killed(self, e, file):
        self.killed[e["file"]] = e["t"]

    def on_end(self, e, file):
        self.users, self.rows = set(e["users"]), e["calls"]

    def relate(self, conn, t, m):
        """What a message that came says about what was sent."""
        data = m.get("data", {})
        _, request = conn.requests.get(m.get("id"), (None, None))
        if request is not None and request["type"] in ("chat", "signal"):
            sent = self.sent.get(request["data"].get("message", request["data"].get("sdpOrIce")))
            if sent is not None and sent.answer is None:
                sent.answer = (t, m)
        if (conn.name, m.get("id")) in self.ends:
            self.ends[conn.name, m["id"]][1] = t
        call = self.calls.get(data.get("callId"))
        if call is None:
            return
        if m["type"] == "call_response" and data["ok"]:
            call.ok = min(call.ok, t)
        elif m["type"] == "call_end" and data["reason"] != "answered_elsewhere":
            call.over = min(call.over, t)
            call.ends.setdefault((data["reason"], m["from"]), conn.name)
        elif m["type"] == "ack" and request is not None and request["type"] in ("call_end", "call_reject"):
            call.over = min(call.over, t)

    def waited(self, since, until):
        """How long it was from one time to the other, without the faults between and the second after each."""
        off = sorted((max(f[0], since), min(f[1] + 1, until)) for f in self.faults)
        length, at = until - since, since
        for begin, end in off:
            if end > max(begin, at):
                length -= end - max(begin, at)
                at = end
        return length


class Checker:
    def __init__(self, history):
        self.h, self.found = history, []
        # Where memory fails, a connection is given up.
        self.earned = EARNED | {1011} if any(what.startswith("memory") for _, _, what in history.faults) else EARNED

    def complain(self, name, text):
        self.found.append((name, text))

    def check(self):
        for conn in self.h.conns.values():
            self.messages_on(conn)
            self.answers_on(conn)
            self.calls_on(conn)
            self.session_of(conn)
        self.deliveries()
        for call in self.h.calls.values():
            self.call(call)
        self.rows()
        self.busy()
        if self.h.users is not None:
            for user in sorted(self.h.accounts - self.h.users):
                self.complain("forgotten", f"user {user} was registered and is not in the table")
        return self.found

    # Messages

    def messages_on(self, conn):
        newest = {}  # (sender's connection, kind): number
        for t, m in conn.got:
            if m["type"] not in ("chat", "signal"):
                continue
            mark = m["data"].get("message", m["data"].get("sdpOrIce"))
            sent = self.h.sent.get(mark)
            if sent is None:
                self.complain("invented", f"{conn.name} got a {m['type']} that nobody sent: {str(mark)[:80]!r}")
                continue
            name, n = parse_mark(mark)
            if mark in conn.marks and not self.asked_again(conn, m):
                self.complain("doubled", f"{conn.name} got {mark} twice")
            elif mark not in conn.marks and n < newest.get((name, sent.kind), -1):
                self.complain("reordered", f"{conn.name} got {mark} after number {newest[name, sent.kind]}")
            meant = self.meant_for(sent, conn)
            if not meant or m["from"] != sent.conn.user or m.get("to", sent.to) != sent.to:
                self.complain("misdirected", f"{conn.name} of user {conn.user} got {mark}, of user {sent.conn.user} to "
                              f"{sent.to or 'all'}, as from {m['from']} to {m.get('to')}")
            newest[name, sent.kind] = max(n, newest.get((name, sent.kind), -1))
            if meant and mark not in conn.marks:
                sent.conns.append(conn)
            conn.marks.add(mark)

    @staticmethod
    def asked_again(conn, m):
        """call_resume asks for what was kept of a call that rings."""
        return m["type"] != "chat" and any(r["type"] == "call_resume" for _, r in conn.requests.values())

    @staticmethod
    def meant_for(sent, conn):
        return conn is not sent.conn and (sent.to is None or sent.to == conn.user)

    def answers_on(self, conn):
        answers = defaultdict(int)
        for _, m in conn.got:
            if m.get("id") is not None and m["type"] in ("ack", "error", "call_response"):
                answers[m["id"]] += 1
        for id, (t, m) in conn.requests.items():
            if answers[id] > 1:
                self.complain("answered-twice", f"{m['type']} {id} of {conn.name}")
            elif answers[id] == 0 and t < conn.proof:
                self.complain("unanswered", f"{m['type']} {id} of {conn.name}, which was in order later")

    def deliveries(self):
        conns = sorted(self.h.conns.values(), key=lambda c: c.dialled)
        begins, by_user = [c.dialled for c in conns], defaultdict(list)
        for conn in conns:
            by_user[conn.user].append(conn)
        for mark, sent in self.h.sent.items():
            t, answer = sent.answer or (None, None)
            if answer is None:
                continue
            if answer["type"] == "error":
                if sent.conns:
                    self.complain("undone", f"{mark} was answered {answer['code']}, and {sent.conns[0].name} got it")
                continue
            if "delivered" in answer["data"]:
                near = conns[:bisect_left(begins, t)] if sent.to is None else by_user[sent.to]
                self.delivery(mark, sent, t, answer["data"]["delivered"], [c for c in near if self.meant_for(sent, c)])

    def delivery(self, mark, sent, acked, delivered, candidates):
        has = set(sent.conns)
        must = [c for c in candidates if c.lived_through(sent.t, acked)]
        lacking = [c for c in must if c not in has]
        if lacking and sent.kind != "signal":  # a signal may be for one of a user's connections
            self.complain("lost", f"{mark} was acknowledged and did not come on {lacking[0].name}")
            return
        doubtful = sum(c not in has and c not in must and c.may_be_counted(sent.t, acked) for c in candidates)
        if delivered > len(has) + doubtful:
            self.complain("lost", f"{mark} was acknowledged as delivered to {delivered}; {len(has)} got it, and {doubtful} ended")
        elif delivered < len(has) and sent.kind != "signal":  # one to a call that rings is kept for connections that open later
            self.complain("miscounted", f"{mark} was acknowledged as delivered to {delivered}; {len(has)} got it")

    # Calls

    def calls_on(self, conn):
        inside, told, rung, ends = None, {}, set(), defaultdict(int)
        for t, m in conn.got:
            call_id = m.get("data", {}).get("callId")
            if m["type"] == "incoming_call" or (m["type"] == "call_response" and m["data"]["ok"]):
                self.party(conn, m)
                if inside not in (None, call_id):
                    self.complain("two-calls", f"{conn.name} of user {conn.user} was put into {call_id} while in {inside}")
                if m["type"] == "incoming_call" and call_id in rung and not self.asked_again(conn, m):
                    self.complain("doubled", f"{conn.name} got incoming_call of {call_id} twice")
                inside = call_id
                told.setdefault(call_id, t)
                rung.add(call_id)
            elif m["type"] == "call_end":
                self.party(conn, m)
                inside = None if inside == call_id else inside
                told.pop(call_id, None)
                ends[call_id] += m["data"]["reason"] != "answered_elsewhere"
        for call_id, n in ends.items():
            if n > 1:
                self.complain("ended-twice", f"{conn.name} heard {n} times that {call_id} is over")
        for call_id, t in told.items():
            call = self.h.calls.get(call_id)
            if call is not None and call.over <= conn.proof:
                self.complain("not-told", f"{conn.name} was in {call_id}, lived on, and did not hear of its end")

    def party(self, conn, m):
        call = self.h.calls.get(m["data"]["callId"])
        if call is None:
            self.complain("invented", f"{conn.name} got {m['type']} of {m['data']['callId']}, which nobody began")
            return
        who = {"incoming_call": {call.callee}, "call_response": {call.caller}}.get(m["type"], call.parties())
        by = {"incoming_call": {call.caller}, "call_response": {call.callee}}.get(m["type"], call.parties())
        if conn.user not in who or m["from"] not in by:
            self.complain("misdirected", f"{conn.name} of user {conn.user} got {m['type']} of {call.id}, from {m['from']}; it is "
                          f"between {call.caller} and {call.callee}")

    def call(self, call):
        if len(call.ends) > 1:
            self.complain("disagree", f"{call.id} was ended so: " + "; ".join(
                f"{reason} by {by} (told to {name})" for (reason, by), name in call.ends.items()))
        for (reason, by), name in call.ends.items():
            if (reason in BY_CALLER and by != call.caller) or (reason in BY_CALLEE and by != call.callee):
                self.complain("disagree", f"{call.id} was {reason} by {by}, {name} was told")
            if call.row is not None and call.row["state"] == "ENDED" and call.row["reason"] != reason:
                self.complain("disagree", f"{call.id} was ended by {reason}, {name} was told; the table has {call.row['reason']}")
        if self.h.users is not None and call.row is None and call.ok < INFINITE:
            self.complain("no-end", f"{call.id} was begun, and is not in the table")

    def rows(self):
        clock = any(what.startswith("clock") for _, _, what in self.h.faults)
        last = {}
        for row in sorted(self.h.rows, key=lambda r: r["started"]):
            if row["state"] != "ENDED":
                self.complain("no-end", f"{row['callId']} is {row['state']} when all is quiet")
            for user in (row["caller"], row["callee"]):
                before = last.get(user)
                if before is not None and not clock and (before["ended"] is None or before["ended"] > row["started"] + 1e-4):
                    self.complain("two-calls", f"user {user} was in {before['callId']} and {row['callId']} at once, says the table")
                last[user] = row

    def busy(self):
        by_user = defaultdict(list)
        for call in self.h.calls.values():
            for user in call.parties():
                by_user[user].append(call)

        def in_call(user, since, until):
            return user in self.h.chosen_busy or any(c.may_live(since, until) for c in by_user[user])

        for since, t, busy, free in self.h.samples:
            for user in busy:
                if not in_call(user, since, t):
                    self.complain("stale-busy", f"GET /doctors at {t:.3f} showed {user} BUSY, who was in no call")
            for user in free:
                for call in by_user[user]:
                    acted = call.row is not None and call.row["reason"] in ("hangup", "cancelled", "rejected")
                    if acted and call.ok <= since and t <= call.end_asked:
                        self.complain("free-in-call", f"GET /doctors at {t:.3f} showed {user} free, who was in {call.id}")
        for conn in self.h.conns.values():
            for since, t, busy in conn.views:
                for user in busy:
                    if not in_call(user, since - LIST_S, t):
                        self.complain("stale-busy", f"the list of {conn.name} at {t:.3f} shows {user} BUSY, who is in no call")

    # Sessions and connections

    def session_of(self, conn):
        out = self.h.logouts.get(conn.session)
        if conn.code == 4501 and out is None:
            self.complain("unearned-close", f"{conn.name} was closed with 4501, and nobody had logged out")
        elif conn.code not in self.earned and conn.code != 4501:
            self.complain("unearned-close", f"{conn.name} was closed with {conn.code}")
        if out is None or out == INFINITE:
            return
        if conn.dialled > out and conn.opened < INFINITE:
            self.complain("let-in", f"{conn.name} was opened {conn.dialled - out:.3f} s after its session was logged out")
            return
        for t, m in conn.got:
            sent = self.h.sent.get(m.get("data", {}).get("message"))
            if sent is not None and self.h.waited(out, sent.t) > LOGOUT_S:
                self.complain("after-logout", f"{conn.name} got what was sent {sent.t - out:.3f} s after its logout")
                return
        if conn.proof > out and self.h.waited(out, conn.proof) > LOGOUT_S:
            self.complain("after-logout", f"{conn.name} was served {conn.proof - out:.3f} s after its logout")


def check(files):
    """[(name, sentence)] for the histories of a run."""
    history = History()
    for file in files:
        history.load(read(file), Path(file).name)
    return Checker(history.finish()).check()


def main(files):
    if not files:
        sys.exit("usage: check.py FILE...")
    found = check(files)
    for name, text in found:
        print(f"{name}: {text}")
    print(f"{len(files)} histories, {len(found)} broken promises")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(sys.argv[1:])
