"""The alarms of a fleet, carried out by vmalert itself on ten minutes of VictoriaMetrics."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tinybms_lab.testing.running_bridge import free_port

RULES = Path(__file__).parents[3] / "examples" / "fleet" / "rules.yml"
SCRAPE = RULES.with_name("scrape.yml")
STEP_S = 15
BEGIN_S = int(time.time()) // STEP_S * STEP_S - 3600
STEPS = 60
END_S = BEGIN_S + STEPS * STEP_S
PATIENCE_S = 120.0

pytestmark = [
    pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is missing: apt install victoria-metrics")
    for name in ("victoria-metrics", "vmalert")
]


def fetched(url: str, body: bytes | None = None) -> bytes:
    """Return what the database answers."""
    with urllib.request.urlopen(url, body, timeout=PATIENCE_S) as answer:
        return bytes(answer.read())


@contextmanager
def victoria(folder: Path, *words: str) -> Iterator[str]:
    """Run a database on a free port of loopback; yield its address."""
    address = f"127.0.0.1:{free_port()}"
    command = ["victoria-metrics", f"-storageDataPath={folder / 'data'}", f"-httpListenAddr={address}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "-search.latencyOffset=0s", *words], stdout=log, stderr=log)
        try:
            end_s = time.monotonic() + PATIENCE_S
            while True:
                try:
                    fetched(f"http://{address}/health")
                    break
                except OSError:
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < end_s
                    time.sleep(0.05)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def samples() -> Iterator[str]:
    """Yield ten minutes and more of a fleet: `good` is well, every other site has what its name says."""
    for at_s in range(BEGIN_S - 3600, END_S + 1, STEP_S):
        yield f'tinybms_fleet_dropped_total{{site="good",reason="clock"}} 7 {at_s * 1000}'
    for step in range(STEPS + 1):
        at_s = BEGIN_S + step * STEP_S

        def line(name: str, value: float, at_s: int = at_s, **labels: str) -> str:
            words = ",".join(f'{key}="{word}"' for key, word in labels.items())
            return f"{name}{{{words}}} {value} {at_s * 1000}"

        heard = {"good": at_s, "silent": min(at_s, BEGIN_S + 120), "never": 0}
        for site, last_s in heard.items():
            yield line("tinybms_fleet_site_last_seen_seconds", last_s, site=site, instance="one")
        yield line("tinybms_fleet_site_last_seen_seconds", BEGIN_S, site="good", instance="two")
        for site, soc in {"good": 80, "low": 10, "dip": 10 if 20 <= step < 30 else 50}.items():
            yield line("tinybms_battery_soc_percent", soc, site=site)
        for site, level in {"good": 0, "alarm": 2 if step >= 20 else 0, "warning": 1, "flicker": step % 2}.items():
            yield line("tinybms_battery_level", level, site=site)
        for site, freshness in {"good": 0, "held": 1, "short": int(step == 30)}.items():
            yield line("tinybms_battery_freshness", freshness, site=site)
        yield line("tinybms_fleet_stream_replicas", 3 if step < 40 else 2, instance="one")
        yield line("tinybms_fleet_lag_messages", 100, instance="one")
        yield line("tinybms_fleet_dropped_total", max(30, step), site="dirty", reason="clock")
        yield line("tinybms_fleet_window_saved", int(step < 20), instance="one")
        if step < 40:
            yield line("up", 1, job="fleet-consumer", instance="one")


@pytest.fixture(name="alerts", scope="module")
def fixture_alerts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], int]:
    """Return after how many steps each alert fired first, by its name and site."""
    with victoria(tmp_path_factory.mktemp("victoria")) as url:
        fetched(f"{url}/api/v1/import/prometheus", "\n".join(samples()).encode())
        fetched(f"{url}/internal/force_flush")
        words = [f"-rule={RULES}", f"-datasource.url={url}", f"-remoteWrite.url={url}", "-replay.rulesDelay=20ms"]
        words.append(f"-datasource.queryStep={STEP_S}s")
        period = [f"-replay.time{name}={datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
                  for name, at_s in (("From", BEGIN_S), ("To", END_S))]  # fmt: skip
        listen = "-httpListenAddr=127.0.0.1:0"
        done = subprocess.run(
            ["vmalert", *words, *period, listen], check=False, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stderr
        fetched(f"{url}/internal/force_flush")
        query = urlencode({"match[]": 'ALERTS{alertstate="firing"}'})
        found = {}
        for series in map(json.loads, fetched(f"{url}/api/v1/export?{query}").splitlines()):
            labels = series["metric"]
            first = (min(series["timestamps"]) // 1000 - BEGIN_S) // STEP_S
            found[labels["alertname"], labels.get("site", "")] = first
    return found


def test_every_alert_fires_for_its_reason_and_for_nothing_else(alerts: dict[tuple[str, str], int]) -> None:
    """Sites that are well, a dip, a flicker and a short gap give no alarm; nothing fires before it should."""
    assert alerts.keys() == {
        ("SiteSilent", "silent"),
        ("SiteSilent", "never"),
        ("BatteryAlarm", "alarm"),
        ("BatteryWarning", "warning"),
        ("StateOfChargeLow", "low"),
        ("BatteryNotMeasured", "held"),
        ("ConsumerDown", ""),
        ("NodeDown", ""),
        ("MessagesDropped", "dirty"),
        ("WindowNotSaved", ""),
    }
    assert alerts["BatteryAlarm", "alarm"] == 20
    assert alerts["SiteSilent", "silent"] in (19, 20)
    assert alerts["StateOfChargeLow", "low"] >= 20
    assert alerts["NodeDown", ""] >= 44
    assert alerts["ConsumerDown", ""] >= 44


def test_the_rules_have_no_mistake() -> None:
    """As vmalert reads them, with the fields of each text."""
    done = subprocess.run(["vmalert", "-dryRun", f"-rule={RULES}"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_database_takes_the_scrape_configuration(tmp_path: Path) -> None:
    """It would not start with a mistake in it."""
    wanted, found = {"fleet-consumer", "victoria-metrics"}, set[str]()
    with victoria(tmp_path, f"-promscrape.config={SCRAPE}", "-promscrape.config.strictParse") as url:
        end_s = time.monotonic() + PATIENCE_S
        while found != wanted:  # it answers before it has read the configuration
            assert time.monotonic() < end_s, found
            targets = json.loads(fetched(f"{url}/api/v1/targets"))["data"]["activeTargets"]
            found = {target["labels"]["job"] for target in targets}
            time.sleep(0.02)
