"""``/metrics`` of the whole program on a simulated BMS: what it tells, and what it tells while the core is away."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tinybms_lab.testing.running_bridge import RunningBridge, until

Values = Mapping[str, Mapping[str, float]]
"""By name, then by the values of the labels."""


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    """Core and services as two processes of which neither is the other's child."""
    bridge = RunningBridge.prepare(tmp_path, {}, "--profile", "600:+20", "--soc", "50")
    socket = str(tmp_path / "s")
    try:
        bridge.begin("core", "run-core", "-c", str(bridge.config), "--socket", socket)
        bridge.begin("services", "run-services", "--socket", socket)
        yield bridge
    finally:
        bridge.end()


def text(bridge: RunningBridge) -> str:
    """Return the metrics; empty while nobody answers."""
    try:
        with urllib.request.urlopen(f"{bridge.url}/metrics", timeout=60.0) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError:
        raise
    except OSError:
        return ""


def values(bridge: RunningBridge) -> Values:
    """Return what is told now."""
    return {
        metric.samples[0].name: {" ".join(sample.labels.values()): sample.value for sample in metric.samples}
        for metric in text_string_to_metric_families(text(bridge))
    }


def test_the_whole_program_tells_what_it_does(bridge: RunningBridge) -> None:
    """A charged battery in volts and joules; a core that is killed takes what it told along, and only that."""
    until(lambda: values(bridge).get("tinybms_battery_freshness", {}).get("FRESH"), "there are fresh data")
    until(lambda: values(bridge)["tinybms_can_frames_sent_total"]["can"] > 20, "frames were sent")
    until(lambda: values(bridge)["tinybms_line_replies_total"]["main"] > 10, "the BMS has answered often")
    until(lambda: values(bridge)["tinybms_history_working"][""] == 1.0, "the history works")
    until(lambda: set(values(bridge)["tinybms_process_resident_memory_bytes"]) == {"core", "services"}, "both told")
    found = values(bridge)
    assert 0.4 < found["tinybms_battery_soc_ratio"][""] < 0.6
    assert found["tinybms_battery_current_amperes"][""] > 15.0
    assert len(found["tinybms_cell_voltage_volts"]) == 16
    assert all(2.5 < each < 3.7 for each in found["tinybms_cell_voltage_volts"].values())
    assert found["tinybms_limit_cvl_volts"][""] > 50.0
    assert sum(found["tinybms_charge_state"].values()) == 1.0
    assert found["tinybms_line_up"] == {"main": 1.0}
    assert found["tinybms_gx_present"] == {"can": 0.0}
    assert found["tinybms_service_condition"]["working metrics"] == 1.0
    assert found["tinybms_part_running"]["uart"] == found["tinybms_part_running"]["web"] == 1.0
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text(bridge), text=True, check=False)
        assert done.returncode == 0

    with urllib.request.urlopen(f"{bridge.url}/api/services", timeout=60.0) as answer:
        (metrics,) = (each for each in json.load(answer)["services"] if each["name"] == "metrics")
    assert (metrics["condition"], metrics["where"]) == ("working", "/metrics")
    assert metrics["counters"]["scrapes"] >= 5

    core = bridge.processes.pop("core")
    core.kill()
    core.wait()
    until(lambda: values(bridge)["tinybms_core_up"][""] == 0.0, "the core is missed")
    until(lambda: values(bridge)["tinybms_battery_freshness"]["SILENT"] == 1.0, "its data are too old")
    found = values(bridge)
    gone = ("tinybms_battery_voltage_volts", "tinybms_limit_ccl_amperes", "tinybms_line_up", "tinybms_can_up")
    assert not found.keys() & set(gone)
    assert sorted(found["tinybms_alarm"].values()) == [0.0, 1.0]
    assert set(found["tinybms_process_resident_memory_bytes"]) == {"services"}
    assert found["tinybms_battery_sample_age_seconds"][""] > 1.0
