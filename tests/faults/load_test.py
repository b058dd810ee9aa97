"""Clients that act at random, under one kind of fault again and again; their histories are checked (tests/history)."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "history"))

from soak import soak  # noqa: E402


@pytest.mark.parametrize("faults", [("kill_relay",), ("end_relay",), ("upgrade",), ("kill_worker", "kill_api"), ("stop_relay",),
                                    ("hold_lock", "hold_transaction"), ("kill_lighttpd", "kill_both"), ("kill_crowd", "stop_crowd")],
                         ids="+".join)
def test_no_promise_is_broken(tmp_path, faults):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    assert soak(40, seed, tmp_path, faults) == []
