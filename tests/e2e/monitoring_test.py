"""Prometheus takes what /metrics says; the alerts in ops/ do as they should; and /metrics, docs/monitoring.md, the alerts and the
dashboard know the same names."""

import asyncio
import json
import re
import shutil
import subprocess
import urllib.request

import contract
import pytest
from stack import PATIENCE, ROOT, Stack, both, call

ALERTS = ROOT / "ops/alerts.yml"
GUIDE = (ROOT / "docs/monitoring.md").read_text()
NAME = re.compile(r"\btelemed_[a-z_]+")
OF_A_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


@pytest.fixture(scope="module")
def text():
    """Of a stack in which something has happened."""
    async def go_through(stack):
        await call(*await both(stack))
    with Stack() as stack:
        asyncio.run(go_through(stack))
        stack.rest("GET", "/doctors")
        with urllib.request.urlopen(stack.http + "/metrics", timeout=PATIENCE) as answer:
            yield answer.read().decode()


def families(text):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def used_in(expressions, text):
    """The families that they name; a name that is none of them stays as it is."""
    shown = families(text)
    return {name if name in shown else OF_A_HISTOGRAM.sub("", name) for name in NAME.findall(expressions)}


def promtool(*words, **options):
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool")
    got = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, timeout=PATIENCE * 9, **options)
    assert got.returncode == 0, got.stdout + got.stderr
    return got.stdout + got.stderr


def test_prometheus_has_nothing_to_say_against_the_metrics(text):
    assert promtool("check", "metrics", input=text) == ""


def test_every_family_is_whole(text):
    """Its help, its type, and its series, all in one place and each once."""
    told, seen, family = set(), set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert len(line.split()) > 3 and family not in told
            told.add(family)
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
        else:
            series, _, value = line.rpartition(" ")
            name = series.partition("{")[0]
            histogram = families(text)[family] == "histogram"
            assert (OF_A_HISTOGRAM.sub("", name) if histogram else name) == family, line
            assert series not in seen and float(value) >= 0, line
            seen.add(series)


def test_the_alerts_are_in_order():
    assert "FAILED" not in promtool("check", "rules", ALERTS)


def test_each_alert_fires_when_it_should_and_not_before():
    promtool("test", "rules", "alerts_test.yml", cwd=ALERTS.parent)
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    tests = (ALERTS.parent / "alerts_test.yml").read_text()
    tested = re.findall(r"alertname: (\w+)(, exp_alerts: \[\])?", tests)
    assert {a for a, silent in tested if silent} == {a for a, silent in tested if not silent} == alerts


def test_each_name_in_an_alert_is_in_the_metrics(text):
    used = used_in(" ".join(re.findall(r"expr: (.*(?:\n {10}.*)*)", ALERTS.read_text())), text)
    assert used - families(text).keys() == set() and len(used) > 10


def test_each_name_in_the_dashboard_is_in_the_metrics(text):
    dashboard = json.loads((ROOT / "ops/grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    used = used_in(" ".join(expressions), text)
    assert used - families(text).keys() == set()
    assert families(text).keys() - used == set(), "this is shown nowhere"


def test_the_dashboard_asks_what_prometheus_understands():
    dashboard = json.loads((ROOT / "ops/grafana-dashboard.json").read_text())
    rules = {"groups": [{"name": "dashboard", "rules": [
        {"record": f"panel:{panel['id']}_{target['refId']}", "expr": target["expr"].replace("$__rate_interval", "5m")}
        for panel in dashboard["panels"] for target in panel.get("targets", [])]}]}
    promtool("check", "rules", "/dev/stdin", input=json.dumps(rules))  # JSON is YAML


def test_each_metric_is_documented_and_nothing_else(text):
    table = GUIDE.partition("## The metrics")[2].partition("## The alerts")[0]
    assert set(NAME.findall(table)) == families(text).keys()
    labels = {name: set(re.findall(r"(\w+)=", " ".join(re.findall(rf"^{name}(?:_bucket|_sum|_count)?{{(.*)}} ", text, re.MULTILINE)))) - {"le"}
              for name in families(text)}
    for row in table.splitlines():
        for name in NAME.findall(row.split("|")[1] if row.startswith("| `") else ""):
            assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == labels[name], row


def test_each_word_of_the_readiness_is_documented_and_nothing_else():
    """In docs/monitoring.md, as in docs/openapi.yaml."""
    checks = contract.rest_document().paths["/readyz"]["get"]["responses"]["503"]["content"]["application/json"]["schema"]["properties"]["checks"]
    wanted = {(check, word) for check, words in checks["properties"].items() for word in words["enum"] if word != "ok"}
    told, check = set(), None
    for row in re.findall(r"^\|(.*?)\|(.*?)\|", GUIDE.partition("## Readiness")[2].partition("## Logs")[0], re.MULTILINE):
        check = row[0].strip(" `") or check
        told |= {(check, word) for word in re.findall("`(\\w+)`", row[1])}
    assert told == wanted


def test_each_alert_is_documented_and_nothing_else():
    table = GUIDE.partition("## The alerts")[2]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == re.findall(r"- alert: (\w+)", ALERTS.read_text())
