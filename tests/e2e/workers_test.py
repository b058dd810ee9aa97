"""lighttpd in several processes (TELEMED_HTTP_WORKERS), with as many descriptors as TELEMED_HTTP_DESCRIPTORS leaves them."""

import os
import signal
from pathlib import Path

from stack import Stack, wait_until

WORKERS, DESCRIPTORS = 3, 2048


def soft_limit(pid):
    line = next(line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max open files"))
    return int(line.split()[3])


def sockets(pid):
    """How many descriptors of PID are sockets."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    return sum(os.readlink(link).startswith("socket:") for link in links)


async def test_workers_share_the_port_and_none_outlives_its_master():
    with Stack(TELEMED_HTTP_WORKERS=WORKERS, TELEMED_HTTP_DESCRIPTORS=DESCRIPTORS) as stack:
        before = stack.pids("lighttpd")
        assert len(before) == 1 + WORKERS
        assert {soft_limit(pid) for pid in before} == {DESCRIPTORS}
        idle = sum(map(sockets, before[1:]))
        patients = [stack.patient() for _ in range(4)]
        clients = [await patient.connect() for patient in patients]
        # Each costs whichever worker has it two.
        wait_until(lambda: sum(map(sockets, before[1:])) >= idle + 2 * len(clients), "the workers to have them")
        assert sockets(before[0]) <= idle // WORKERS
        await clients[0].send("chat", to=patients[3], message="hello")
        assert (await clients[3].wait("chat"))["data"]["message"] == "hello"

        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: not set(before) & set(stack.pids("lighttpd")), "the dead master's workers to be gone")
        wait_until(lambda: len(stack.pids("lighttpd")) == 1 + WORKERS, "others to serve")
        await patients[0].reconnect()
        session = stack.process.pid
        assert stack.stop() == 0
    wait_until(lambda: not any(in_session(stat, session) for stat in Path("/proc").glob("[0-9]*/stat")), "all of them to be gone")


def in_session(stat, session):
    try:
        return int(stat.read_text().rpartition(")")[2].split()[3]) == session
    except OSError:
        return False


def test_by_default_it_is_one_process():
    with Stack() as stack:
        assert len(stack.pids("lighttpd")) == 1
