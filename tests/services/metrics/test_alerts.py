"""The alert rules: each can be read, asks for what there is, fires when it should and not before."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with schemathesis, without types

from tinybms_bridge.battery.alarms import AlarmName
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.link.state import ServiceCondition
from tinybms_bridge.services.metrics.families import FAMILIES

ROOT = Path(__file__).parents[3]
GRAFANA = ROOT / "docs" / "grafana"
TRIALS = sorted(Path(__file__).parent.glob("alerts_*test.yml"))
CASES: list[dict[str, Any]] = [
    case for path in TRIALS for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
]
GROUPS = yaml.safe_load((GRAFANA / "alerts.yml").read_text(encoding="utf-8"))["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
LABELS = {each.shown_name: set(each.labels) for each in FAMILIES}
VALUES: dict[str, set[str]] = {
    "kind": {"alarm", "notice"},
    "level": {"warning", "alarm"},
    "name": {*AlarmName, *NoticeName},
    "state": set(Freshness),
    "condition": set(ServiceCondition),
}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian package prometheus)"
)


def promtool(*words: str, cwd: Path = GRAFANA) -> tuple[int, str]:
    """Return exit code and output of promtool."""
    done = subprocess.run(["promtool", *words], cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@needs_promtool
def test_promtool_can_read_the_rules() -> None:
    """``promtool check rules`` knows mistakes of PromQL and of the file."""
    code, said = promtool("check", "rules", "alerts.yml")
    assert code == 0, said
    assert f"SUCCESS: {len(RULES)} rules found" in said


@needs_promtool
@pytest.mark.parametrize("trial", TRIALS, ids=lambda path: path.stem)
def test_every_rule_fires_when_it_should(tmp_path: Path, trial: Path) -> None:
    """``promtool test rules``: quiet while all is well and before its time, firing with its words, quiet again."""
    code, said = promtool("test", "rules", str(trial), cwd=tmp_path)
    assert code == 0, said
    assert "SUCCESS" in said


@needs_promtool
@pytest.mark.parametrize(
    ("alert", "before", "after"),
    [
        ("TinybmsSocLow", "< 0.15", "< 0.05"),
        ("TinybmsSocLow", "is nearly empty", "is empty"),
        ("TinybmsLineErrors", "> 0.02", "> 0.001"),
        ("TinybmsGxLost", "for: 2m", "for: 1m"),
        ("TinybmsSecondBms", 'name="second_bms"', 'name="third_bms"'),
    ],
)
def test_a_rule_that_is_wrong_would_be_found(tmp_path: Path, alert: str, before: str, after: str) -> None:
    """The test of the test above: other thresholds, times, names and words."""
    text = (GRAFANA / "alerts.yml").read_text(encoding="utf-8")
    assert before in text
    (case,) = (case for case in CASES if case["name"] == alert)
    trial = {"rule_files": ["alerts.yml"], "evaluation_interval": "15s", "tests": [case]}
    (tmp_path / "trial.yml").write_text(yaml.safe_dump(trial), encoding="utf-8")
    for rules, good in ((text, True), (text.replace(before, after), False)):
        (tmp_path / "alerts.yml").write_text(rules, encoding="utf-8")
        code, said = promtool("test", "rules", "trial.yml", cwd=tmp_path)
        assert (code == 0) is good, said


def test_no_rule_is_without_a_trial() -> None:
    """Each has one of its own, in which it is quiet, fires and is quiet again."""
    assert sorted(case["name"] for case in CASES) == sorted(rule["alert"] for rule in RULES)
    for case in CASES:
        assert {trial["alertname"] for trial in case["alert_rule_test"]} == {case["name"]}
        assert [bool(trial["exp_alerts"]) for trial in case["alert_rule_test"]] == [False, True, False], case["name"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_says_what_it_is(rule: dict[str, Any]) -> None:
    """How bad, in one line, and what it means; what it names are labels that its series have."""
    assert re.fullmatch(r"Tinybms[A-Z]\w+", rule["alert"])
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert "{{ $labels.instance }}" in summary
    assert not summary.endswith(".")
    assert description.endswith(".")
    named = set(re.findall(r"\$labels\.(\w+)", summary + description)) - {"instance"}
    families = re.findall(r"tinybms_\w+", rule["expr"])
    known = set().union(*(LABELS[name] for name in families)) if families else set()
    assert named <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    """A family, a label or a value that was renamed would make a rule that never fires."""
    for name, selector in re.findall(r"(tinybms_\w+)(?:\{([^}]*)\})?", rule["expr"]):
        assert name in LABELS
        for label, how, value in re.findall(r'(\w+)(=~?)"([^"]*)"', selector):
            assert label in LABELS[name]
            assert set(value.split("|") if how == "=~" else [value]) <= VALUES[label]


@needs_promtool
def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    """``promtool check config``, with the rules and the file of the token beside it."""
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(GRAFANA / name, tmp_path)
    (tmp_path / "tinybms-bridge.token").write_text("a-token-of-32-characters-in-all-1", encoding="utf-8")
    code, said = promtool("check", "config", "prometheus.yml", cwd=tmp_path)
    assert code == 0, said
    found = yaml.safe_load((GRAFANA / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = found["scrape_configs"]
    (rule,) = (rule for rule in RULES if rule["alert"] == "TinybmsBridgeDown")
    assert f'job="{job["job_name"]}"' in rule["expr"]
    assert json.dumps(job["metrics_path"]) == '"/metrics"'
