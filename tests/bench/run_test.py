"""What the bench itself makes of runs that fail: it tells of each, takes no figure from it, and ends with 1."""

import argparse
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import table  # noqa: E402
from cases import Against, Case  # noqa: E402
from servers import Ours  # noqa: E402

spec = spec_from_loader("bench_run", SourceFileLoader("bench_run", str(HERE / "run")))
bench_run = module_from_spec(spec)
spec.loader.exec_module(bench_run)

CALM = {"seconds": 2.0, "cpu_us": 5.0, "foreign_cpu_s": 0.0}
NOISY = {**CALM, "cpu_us": 9.0, "foreign_cpu_s": 1000.0}
LOST = '{"seconds": 2.0, "cpu_us": 1.0, "missing": 5, "foreign_cpu_s": %d}\n'


def bench(monkeypatch, *outcomes, repeat=1):
    """(results, what the table says) of runs with these OUTCOMES, one after the other."""
    args = argparse.Namespace(build="build/gcc", repeat=repeat, seconds=2, patience=1000, smoke=False)
    case = Case("chat", "chat", {"ours": Ours}, ("cpu_us", "us", 1), wanted=[Against("cpu_us", 6)])
    waiting = list(outcomes)

    def once(_, case, label):
        got = waiting.pop(0)
        if isinstance(got, Exception):
            raise got
        return dict(got)
    monkeypatch.setattr(bench_run.Bench, "once", once)
    with monkeypatch.context() as m:
        m.setattr(bench_run.tempfile, "mkdtemp", lambda prefix: "unused")
        results = bench_run.run_cases(bench_run.Bench(args, [case]), [case], lambda *_: None)
    assert not waiting
    return results


def said(capsys, results, repeat=1):
    table.show_cases(results, repeat)
    return capsys.readouterr().out


def test_all_is_well(monkeypatch, capsys):
    results = bench(monkeypatch, CALM)
    text = said(capsys, results)
    assert table.sound(results) and "FAILED" not in text and "1 met, 0 missed; runs that failed: 0" in text


def test_a_calm_run_does_not_hide_one_that_lost(monkeypatch, capsys):
    results = bench(monkeypatch, bench_run.Failed("lost 5 messages", LOST % 1000), CALM)
    text = said(capsys, results)
    assert not table.sound(results)
    assert "FAILED: lost 5 messages" in text and "runs that failed: 1" in text and "cpu_us = 5" in text, text


def test_what_failed_is_no_figure(monkeypatch, capsys):
    results = bench(monkeypatch, bench_run.Failed("lost 5 messages", LOST % 0), CALM, CALM, repeat=3)
    text = said(capsys, results, repeat=3)
    assert not table.sound(results)
    assert "the figure is of 2 of 3 runs" in text and "FAILED: lost 5 messages" in text and "(5 to 5" in text, text


def test_a_run_without_a_result_is_told_of(monkeypatch, capsys):
    for failure in (bench_run.Failed("storm took more than 120 s"), RuntimeError("it does not start")):
        results = bench(monkeypatch, CALM, failure, CALM, repeat=3)
        text = said(capsys, results, repeat=3)
        assert not table.sound(results)
        assert f"FAILED: {failure}" in text and "of 2 of 3 runs" in text, text


def test_nothing_was_measured(monkeypatch, capsys):
    results = bench(monkeypatch, bench_run.Failed("refused"))
    text = said(capsys, results)
    assert not table.sound(results) and "MISSED cpu_us: not measured" in text and "FAILED: refused" in text, text


def test_of_noisy_runs_the_calmest(monkeypatch, capsys):
    results = bench(monkeypatch, NOISY, NOISY, {**NOISY, "cpu_us": 7.0, "foreign_cpu_s": 900.0})
    assert table.sound(results) and "cpu_us = 7" in said(capsys, results)


def test_a_mistyped_case_is_an_error():
    done = subprocess.run([sys.executable, HERE / "run", "build/gcc", "strom"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "'strom'" in done.stderr and "storm of 5,000" in done.stderr, done.stderr
