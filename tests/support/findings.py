#!/usr/bin/python3
"""What must not stand in what the programs have written: reports of sanitizers and of valgrind, and what only users may know.
findings.py FILE... prints it, of those files that are there, and fails where there is some."""

import re
import sys
from pathlib import Path

SANITIZER = re.compile(r"Sanitizer|runtime error")

VALGRIND = re.compile(r"^==(\d+)== ?(.*)$", re.MULTILINE)

# Descriptors that are held until the end: those of who started the program, the sockets that it listens at, and the relay's lock.
HELD = re.compile(r"<inherited from parent>|: (unix_bind|lock_try) \(")

# A program that is told to stop before it can listen to that.
TOLD_TO_STOP = re.compile(r"Process terminating with default action of signal (2|15) ")

# In every test, names of what it registers aside: (a part of) a token, an address of mail, a password, an SDP.
SECRET = re.compile(r"eyJ[\w-]{8,}|[\w.+-]+@[\w-]+\.[a-z]+|password|sdpOrIce|\bv=0\b", re.IGNORECASE)


def valgrind_blocks(text):
    """Its paragraphs. Several processes may have written at once."""
    lines = {}
    for pid, line in VALGRIND.findall(text):
        lines.setdefault(pid, []).append(line)
    return [block for of_one in lines.values() for block in "\n".join(of_one).split("\n\n")]


def is_report(block):
    if not block.strip() or TOLD_TO_STOP.search(block):
        return False
    # The first of the descriptors stands in the paragraph of their headline.
    block = re.sub(r"^\s*FILE DESCRIPTORS: .*", "", block).strip()
    return bool(block) and not (block.startswith("Open ") and HELD.search(block))


def findings(text):
    found = [text[at.start():at.start() + 8000] for at in [SANITIZER.search(text)] if at]
    found += filter(is_report, valgrind_blocks(text))
    return found + [line for line in text.splitlines() if SECRET.search(line)]


if __name__ == "__main__":
    files = [Path(name) for name in sys.argv[1:]]
    found = [f for file in files if file.exists() for f in findings(file.read_text(errors="replace"))]
    print("\n".join(found))
    sys.exit(bool(found))
