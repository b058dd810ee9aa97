"""What each command of telemed-admin says with --json is what its manual page says that it does."""

import json
import re

from stack import ROOT, Stack, both, call

PAGE = (ROOT / "docs/man/telemed-admin.1").read_text().partition("\n.Sh JSON\n")[2].partition("\n.Sh ")[0]
# By command: what may be there, and what must (the others have a question mark).
TOLD = {command: members.replace("\n", " ").strip().split(", ") for command, members in re.findall(r"\.It Cm ([a-z -]+)\n((?:[a-z].*\n)+)", PAGE)}


def members(value, at=""):
    """The paths of all that is in VALUE."""
    if isinstance(value, dict):
        return {path for key, item in value.items() for path in members(item, f"{at}.{key}" if at else key)}
    if isinstance(value, list):
        return {path for item in value for path in members(item, f"{at}[]")}
    return {at}


async def test_the_page_tells_of_every_member(tmp_path):
    said = {}
    with Stack(TELEMED_DOCTOR_SIGNUP="approve", TELEMED_TURN_URLS="stun:127.0.0.1:1") as stack:
        def says(command, *words, code=0, typed="", **settings):
            answer = stack.admin_json(*command.split(), *words, code=code, typed=typed, **settings)
            said[command] = said.get(command, set()) | members(answer)
            return answer
        waits = stack.doctor()
        says("users approve", waits.id)
        made = says("users add", "PATIENT", typed="Ann\nann@example.org\npassword\n")["id"]
        says("users disable", made)
        says("users enable", made)
        says("users reset-password", made, typed="password\n")
        says("users erase", made, "--yes")
        says("users list")
        p, d = await both(stack)
        assert stack.admin("users", "approve", d.user.id)[0] == 0
        await d.send("set_status", status="ONLINE", id="s")
        await d.answer("s")
        await call(p, d)
        says("status")
        number = says("calls list", "--all")["calls"][0]["number"]
        says("calls end", number)
        session = says("sessions list", "--user", p.user.id)["sessions"][0]["session"]
        says("sessions kick", session)
        said["sessions kick"] |= members(stack.admin_json("sessions", "kick", "--user", p.user.id))
        says("drain")
        says("drain", "--end")
        says("config check")
        says("turn check", code=1)
        says("token explain", typed=d.user.token)
        says("backup", tmp_path / "backup")
        listed = stack.admin("audit", "list", "--json")[1].splitlines()
        said["audit list"] = set().union(*(members(json.loads(line)) for line in listed))
        says("audit verify")
        says("audit archive", tmp_path / "archive", "--until", 3)
        stack.stop()
        says("restore", tmp_path / "backup", TELEMED_DATA_DIR=str(stack.data))
        stack.start()
    assert {command: told - said[command] for command, told in
            ((c, {m for m in told if not m.endswith("?")}) for c, told in TOLD.items()) if told - said[command]} == {}
    assert {command: got - {m.rstrip("?") for m in TOLD.get(command, [])} for command, got in said.items()
            if got - {m.rstrip("?") for m in TOLD.get(command, [])}} == {}
    assert said.keys() == TOLD.keys()
