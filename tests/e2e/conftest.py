"""pytest speaks TAP here, for tests/run; and coroutines run as tests."""

import asyncio
import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from stack import Client  # noqa: E402


def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters

    async def run():
        try:
            await pyfuncitem.obj(**{n: pyfuncitem.funcargs[n] for n in names})
        finally:
            await Client.drop_all()

    asyncio.run(run())
    return True


def pytest_runtest_logreport(report):
    if report.when == "call" or not report.passed:
        print(f"\n{'not ok' if report.failed else 'ok'} - {report.nodeid.split('::', 1)[-1]}{' # skip' if report.skipped else ''}")
        for line in report.capstdout.splitlines():
            if line.startswith("# "):  # what a test tells of how it went
                print(line)
