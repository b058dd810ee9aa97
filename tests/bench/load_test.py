"""The load generator notices what a server does wrong: a fake one that is honest passes, and each fault of it is told of."""

import asyncio
import json
import os
from pathlib import Path

from fake import Fake

LOAD = Path(os.environ.get("TELEMED_BUILD", "build/gcc")) / "tests/bench/load/load"
THIRD = 3  # what comes third is what a fault is about


async def run_load(fault, users, scenario, *options):
    """(what it printed, what it complained of, its exit code)"""
    async with fault() as server:
        load = await asyncio.create_subprocess_exec(
            str(LOAD), scenario, "--to", f"tcp:{server.port}", "--users", str(users), "--connections", str(server.count), "--warm", "0.1",
            "--run", "0.3", *map(str, options), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE)
        out, err = await load.communicate()
        return json.loads(out) if out else {}, err.decode(errors="replace"), load.returncode


async def check(tmp_path, scenario, options, faults):
    """FAULTS: what the generator says of each: a member of its line that is not what it is for an honest server, or a complaint."""
    users = tmp_path / "users"
    users.write_text("".join(f"{i} {'DOCTOR' if i == Fake.count else 'PATIENT'} user{i} {i}\n" for i in range(1, Fake.count + 1)))
    good, complaint, code = await run_load(Fake, users, scenario, *options, "--timeout", 60)
    assert code == 0, f"{good} {complaint}"
    # All at once: some end only when nothing has come for so long.
    runs = await asyncio.gather(*(run_load(fault, users, scenario, *options, "--timeout", 5) for fault, _ in faults))
    for (fault, told), (got, complaint, code) in zip(faults, runs):
        assert code != 0, (fault.__name__, got)
        assert told in complaint or (told in good and got.get(told) != good[told]), (fault.__name__, told, got, complaint)


class Loses(Fake):
    def relay(self, to, text):
        return [] if self.relayed == THIRD else [(to, text)]


class Doubles(Fake):
    def relay(self, to, text):
        return [(to, text)] * (2 if self.relayed == THIRD else 1)


class Reorders(Fake):
    held = None

    def relay(self, to, text):
        if self.relayed == THIRD:
            self.held = to, text
            return []
        if self.held and self.held[0] == to:
            held, self.held = self.held, None
            return [(to, text), held]
        return [(to, text)]


class Misdirects(Fake):
    def relay(self, to, text):
        return [(to % self.count + 1, text)] if self.relayed == THIRD else [(to, text)]


class Spoils(Fake):
    def spoiled(self, text):
        raise NotImplementedError

    def relay(self, to, text):
        return [(to, self.spoiled(text) if self.relayed == THIRD else text)]


class SpoilsTheText(Spoils):
    def spoiled(self, text):
        return text[:50] + "y" + text[51:]


class SpoilsTheEnd(Spoils):
    def spoiled(self, text):
        return text[:-1] + "y"


class SpoilsTheTime(Spoils):
    def spoiled(self, text):
        return text[:31] + ("0" if text[31] != "0" else "1") + text[32:]


class Cuts(Spoils):
    def spoiled(self, text):
        return text[:-1]


class Lengthens(Spoils):
    def spoiled(self, text):
        return text + "x"


class Closes(Fake):
    def relay(self, to, text):
        if self.relayed == THIRD:
            self.clients[to].close()
        return [(to, text)]


class Refuses(Fake):
    def accept(self, whom):
        return self.ok({}, "503 Service Unavailable") if whom == THIRD else super().accept(whom)


async def test_chat(tmp_path):
    await check(tmp_path, "chat", ("--pairs", 2, "--in-flight", 4), [
        (Loses, "missing"), (Doubles, "wrong"), (Reorders, "wrong"), (Misdirects, "wrong"), (SpoilsTheText, "wrong"), (SpoilsTheEnd, "wrong"),
        (SpoilsTheTime, "wrong"), (Cuts, "wrong"), (Lengthens, "wrong"), (Closes, "lost"), (Refuses, "503")])


class Echoes(Fake):
    def relay(self, to, text):
        return [(to, text), (1, text)]  # the first speaks


async def test_broadcast(tmp_path):
    await check(tmp_path, "broadcast", ("--in-flight", 2), [
        (Loses, "missing"), (Doubles, "wrong"), (Reorders, "wrong"), (SpoilsTheText, "wrong"), (Echoes, "wrong"), (Closes, "lost"), (Refuses, "503")])


class HidesOne(Fake):
    def list_for(self, whom):
        return [i for i in self.clients if whom != THIRD or i != 1]


class TakesBack(Fake):
    """When all have been told of all, one is told of fewer."""

    def announce(self):
        super().announce()
        if len(self.clients) == self.count:
            self.later(0.1, lambda: self.send(THIRD, self.list_text([1, 2])))


async def test_connect(tmp_path):
    await check(tmp_path, "connect", (), [(HidesOne, "complete"), (TakesBack, "complete"), (Refuses, "lost")])


class ForgetsOne(Fake):
    """One is not told of the last change."""
    changes = 0

    def changed(self):
        self.changes += 1
        self.announce()

    def list_for(self, whom):
        return None if whom == 1 and self.changes >= THIRD else super().list_for(whom)


class TakesTheLastBack(Fake):
    """All are right for a moment; then one is told what was so before."""

    def changed(self):
        before = self.list_text(self.clients).replace("BUSY", "was").replace("ONLINE", "BUSY").replace("was", "ONLINE")
        self.announce()
        for task in self.tasks:
            task.cancel()
        self.later(0.1, lambda: self.send(1, before))


async def test_flip(tmp_path):
    await check(tmp_path, "flip", (), [(ForgetsOne, "right"), (TakesTheLastBack, "right"), (Refuses, "503")])


class TellsNobody(Fake):
    def list_for(self, whom):
        return None


class TellsSomethingElse(TellsNobody):
    def accept(self, whom):
        self.later(0.05, lambda: self.send(whom, '{"type":"welcome","data":{}}'))
        return super().accept(whom)


async def test_storm(tmp_path):
    await check(tmp_path, "storm", (), [(TellsNobody, "heard"), (TellsSomethingElse, "heard"), (Refuses, "refused")])


class AnswersNoneOf(Fake):
    """One connection waits for ever."""

    def answer(self, connection, request):
        return None if connection == THIRD else super().answer(connection, request)


class StopsAnswering(Fake):
    def answer(self, connection, request):
        return None if connection == THIRD and request > 0 else super().answer(connection, request)


class AnswersAnother(Fake):
    def answer(self, connection, request):
        return self.ok({"doctors": {}}) if (connection, request) == (THIRD, 1) else super().answer(connection, request)


class AnswersWith(Fake):
    def answer(self, connection, request):
        return self.ok({"doctors": []}, "201 Created")


class AnswersTwice(Fake):
    def answer(self, connection, request):
        return super().answer(connection, request) * (2 if (connection, request) == (THIRD, 1) else 1)


class ClosesHttp(Fake):
    def answer(self, connection, request):
        return b"" if (connection, request) == (THIRD, 1) else super().answer(connection, request)


async def test_http(tmp_path):
    await check(tmp_path, "http", ("--path", "/doctors"), [
        (AnswersNoneOf, "unanswered"), (StopsAnswering, "unanswered"), (AnswersAnother, "wrong"), (AnswersWith, "status"),
        (AnswersTwice, "more than the answer came"), (ClosesHttp, "closed")])


class AnswersNobody(Fake):
    def answer(self, connection, request):
        return None


async def test_conditional(tmp_path):
    await check(tmp_path, "http", ("--path", "/doctors", "--conditional"), [(AnswersNobody, "no answer")])
