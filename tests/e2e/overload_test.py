"""More requests than are worked on, and more than can wait: each has an answer, and what comes later is as if nothing had been."""

import collections
import json
import os
import resource
import select
import signal
import socket

import pytest
from stack import PATIENCE, Stack, wait_until

WAITING = 1024  # for each pool
MORE = 300


@pytest.fixture(scope="module")
def stack():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4 * (WAITING + MORE):
        pytest.skip(f"only {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Stack() as s:
        yield s
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Asker:
    """A request whose answer is read as it comes."""

    def __init__(self, port, text):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.sendall(text)
        self.got = b""
        self.open = True

    def read(self):
        more = self.socket.recv(1 << 16)
        self.got += more
        self.open = bool(more)
        if not self.open:
            self.socket.close()

    def answer(self):
        head, _, body = self.got.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


def read_all(askers, done, seconds=3 * PATIENCE):
    """Until DONE(answered so far)."""
    waiting = {a.socket.fileno(): a for a in askers if a.open}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)

    def step():
        for fd, _ in poll.poll(100):
            waiting[fd].read()
            if not waiting[fd].open:
                poll.unregister(fd)
                del waiting[fd]
        return done(len(askers) - len(waiting))

    wait_until(step, "the answers", seconds)


@pytest.mark.parametrize("path", ["/livez", "/auth/login"])
def test_of_more_than_can_wait_each_has_an_answer(stack, path):
    body = b"{}" if path == "/auth/login" else b""
    text = b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        b"POST" if body else b"GET", path.encode(), len(body), body)
    served = 400 if body else 200
    workers = stack.pids("fcgi-api")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        askers = [Asker(stack.port, text) for _ in range(WAITING + MORE)]
        read_all(askers, lambda answered: answered > 0)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    read_all(askers, lambda answered: answered == len(askers))
    got = collections.Counter(a.answer()[0] for a in askers)
    assert set(got) == {served, 500} and got[served] >= WAITING, got
    refused = [a.answer()[1] for a in askers if a.answer()[0] == 500]
    assert {(p["status"], p["code"]) for p in refused} == {(500, "internal")}
    for _ in range(20):
        assert stack.rest("GET", "/livez")[0] == 200
    assert stack.rest("POST", "/auth/login", {})[0] == 400
    assert workers == stack.pids("fcgi-api")
