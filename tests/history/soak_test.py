"""A soak of half a minute (make soak: longer). Its seed stands in the log."""

import os
import subprocess
import sys
from pathlib import Path


def test_nothing_is_lost_and_nothing_is_left():
    run = subprocess.run([sys.executable, Path(__file__).with_name("soak.py"), "--seconds", "30"], stdin=subprocess.DEVNULL,
                         env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.returncode == 0, run.stdout
