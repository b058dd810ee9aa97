"""Histories: what clients saw, written by them as it happens and read afterwards by check.py.

A file belongs to one process and holds one JSON object a line. `ev` says what happened; `t` is when, in seconds of
CLOCK_MONOTONIC, which all processes of a machine share. What a client sends is written before it is sent, and what it gets after it
came, so that the span between two lines is never shorter than what it spans. A process may be killed: its last line may be cut short.

    account   user, role                        registered: 201 was answered
    status    user, status                      a doctor is about to ask for a status over REST
    dial      conn, user, session               a connection is begun; conn is its name, one of its own in all files
    open      conn                              the server has answered 101
    refused   conn, code                        it has answered something else
    send      conn, m                           m, a message as it goes out
    got       conn, m                           m, a message as it came, but for user lists
    busy      conn, users                       the user list that this connection has now shows these as BUSY
    barrier   conn, since                       what was sent on conn before `since` has been handled, and stored where it is to be
    close     conn, code, by                    it is over; by "client" or "server"
    logout    session, since, code              POST /auth/logout, asked at `since`; code None: no answer
    doctors   since, busy, free                 GET /doctors, asked at `since`
    fault     what, since                       something was done to the programs, from `since` to `t`
    killed    file                              the process that wrote `file` was
    end       calls, users                      the tables, when all is quiet: a call is {callId, caller, callee, state, reason,
                                                started, ended}, its times in the history's clock

Every message that is sent has an `id`, and every call_start a callId, which no other call of the run has. The text of a chat, and the sdpOrIce of a signal, is a mark: the connection's name, a slash, a
number that counts up, so that who reads it knows from whom it comes and what came before."""

import json
import time


class Recorder:
    """Writes one file, each event whole: a kill loses nothing that was written."""

    def __init__(self, path):
        self.file = open(path, "ab", buffering=0)

    def write(self, ev, **members):
        self.file.write(json.dumps({"t": time.monotonic(), "ev": ev, **members}, separators=(",", ":")).encode() + b"\n")


def read(path):
    """The events of a file. A last line without its end is passed over."""
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def mark(conn, n):
    return f"{conn}/{n}"


def parse_mark(text):
    """(name of the connection, number), or None: nobody has written this."""
    conn, slash, n = text.rpartition("/") if isinstance(text, str) else ("", "", "")
    return (conn, int(n)) if slash and n.isdecimal() else None
