"""A real Prometheus server reads bridges as docs/grafana says, and answers every question of board and rules."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.limits.model import ChargeState
from tinybms_lab.testing.link_place import PATIENCE_S
from tinybms_lab.testing.running_bridge import free_port

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (Debian package prometheus)"
)

GRAFANA = Path(__file__).parents[3] / "docs" / "grafana"
BOARD = json.loads((GRAFANA / "tinybms-bridge.json").read_text(encoding="utf-8"))
TOKEN = "the-token-of-the-prometheus-of-the-tests"
DAY_S = 86_400


class Server:
    """A Prometheus server on the loopback."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **parameters: object) -> Any:
        """Return the data of an answer of its API. Raises AssertionError with what it says is wrong."""
        query = urllib.parse.urlencode({name: str(value) for name, value in parameters.items()}, doseq=True)
        try:
            with urllib.request.urlopen(f"{self._url}{path}?{query}", timeout=PATIENCE_S) as answer:
                document = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        assert document["status"] == "success", document
        assert not document.get("warnings"), document
        return document["data"]

    def ready(self) -> bool:
        """Tell whether it answers."""
        with suppress(OSError), urllib.request.urlopen(f"{self._url}/-/ready", timeout=5.0) as answer:
            return bool(answer.status == 200)
        return False

    def ask(self, text: str) -> list[Any]:
        """Return the series of a question now."""
        found: list[Any] = self.get("/api/v1/query", query=text)["result"]
        return found

    def ask_over(self, text: str, span_s: int, step_s: int) -> list[Any]:
        """Return the series of a question over time, at moments that are multiples of the step as Grafana has it."""
        end_s = int(time.time()) // step_s * step_s
        found: list[Any] = self.get(
            "/api/v1/query_range", query=text, start=end_s - span_s, end=end_s + step_s, step=step_s
        )["result"]
        return found


def until(condition: Callable[[], object], what: str) -> Any:
    """Wait until something is true, and return it: on a busy machine a scrape may be late, or fail once."""
    end_s = time.monotonic() + 2 * PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end_s, what
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def server(served: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Prometheus with the configuration and the rules of the documentation, which reads each bridge every 2 s."""
    folder = tmp_path_factory.mktemp("prometheus")
    text = (GRAFANA / "prometheus.yml").read_text(encoding="utf-8")
    targets = "\n".join(f"          - {address}" for address in served.values())
    assert "          - bridge.lan:8080\n" in text
    text = text.replace("          - bridge.lan:8080\n", f"{targets}\n").replace("15s", "2s")
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    (folder / "tinybms-bridge.token").write_text(f"{TOKEN}\n", encoding="utf-8")
    shutil.copy(GRAFANA / "alerts.yml", folder)
    port = free_port()
    words = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [*words, f"--web.listen-address=127.0.0.1:{port}"], cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )
    try:
        found = Server(port)
        until(lambda: found.ready() or process.poll() is not None, "Prometheus is up")
        assert process.poll() is None, (folder / "log").read_text()
        wanted = len(served)
        until(
            lambda: len(found.ask("count_over_time(tinybms_core_up[1m]) >= 4")) == wanted,
            "Prometheus has read each bridge some times",
        )
        yield found
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        log.close()


def panels() -> Iterator[Any]:
    """Yield every panel that asks something, those of closed rows too."""
    for each in BOARD["panels"]:
        yield from each.get("panels", ())
        if each["type"] != "row":
            yield each


def filled(text: str, bridge: str) -> str:
    """Put in what Grafana puts in: a bridge, all packs, and the times of a board over an hour."""
    values = {"bridge": bridge, "pack": ".*", "__rate_interval": "1m", "__range": "1h", "__interval": "15s"}
    for name, value in sorted(values.items(), key=lambda each: -len(each[0])):
        text = text.replace(f"${name}", value)
    assert "$" not in text.replace('"0$1"', ""), text
    return text


QUESTIONS = [
    pytest.param(panel, target, id=f"{panel['title']} {target['refId']}")
    for panel in panels()
    for target in panel["targets"]
]


def answer(server: Server, panel: Any, target: Any, bridge: str) -> list[Any]:
    """Return what a panel shows for one of its questions."""
    text = filled(target["expr"], bridge)
    if target["instant"]:
        return server.ask(text)
    return server.ask_over(text, 31 * DAY_S, DAY_S) if "timeFrom" in panel else server.ask_over(text, 300, 15)


@pytest.mark.parametrize(("panel", "target"), QUESTIONS)
def test_every_panel_shows_something_of_a_bridge_that_is_well(
    server: Server, served: Mapping[str, str], panel: Any, target: Any
) -> None:
    """Each question is understood and has an answer: no name, label or value in it is one that nobody tells."""
    until(lambda: answer(server, panel, target, served["well"]), f"{panel['title']}: {target['expr']}")


@pytest.mark.parametrize("state", ["held", "away"])
def test_no_panel_fails_for_a_bridge_in_trouble(server: Server, served: Mapping[str, str], state: str) -> None:
    """What is not known is a gap, never an error."""

    def shown() -> set[str]:
        return {
            f"{panel['title']} {target['refId']}"
            for panel in panels()
            for target in panel["targets"]
            if answer(server, panel, target, served[state])
        }

    limits = {"Voltage below its limit B"} if state == "held" else set()
    told = {"Data A", "Core A", "Alarms A", "Services A", "Versions A", *limits}
    until(lambda: shown() >= told, "why there is nothing to see is told")
    measured = {"State of charge A", "Voltage A", "Power A", "Each cell now A", "Temperatures A", "Coldest A"}
    assert not shown() & (measured if limits else measured | {"Voltage below its limit B"})


def test_states_are_told_as_numbers_that_the_panels_know(server: Server, served: Mapping[str, str]) -> None:
    """Each number of a state has its word, and it is the right one."""
    known = {panel["title"]: panel for panel in panels()}
    for title, state, word in (
        ("Data", "well", "FRESH"),
        ("Data", "held", "HOLD"),
        ("Data", "away", "SILENT"),
        ("Charge state", "well", ChargeState.BULK.value),
    ):
        panel = known[title]
        (series,) = until(lambda: answer(server, panel, panel["targets"][0], served[state]), title)  # noqa: B023 -- now
        number = series["value"][1]
        assert panel["fieldConfig"]["defaults"]["mappings"][0]["options"][number]["text"] == word, (title, state)


def test_every_variable_and_annotation_finds_something(server: Server, served: Mapping[str, str]) -> None:
    """The choices above the board, and the marks in its charts."""
    variables = {each["name"]: each for each in BOARD["templating"]["list"]}
    for name, wanted in (("bridge", set(served.values())), ("pack", {"port", 'the "other" one'})):
        text = filled(variables[name]["definition"], served["well"])
        inner, label = text.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        assert set(server.get(f"/api/v1/label/{label}/values", **{"match[]": inner})) == wanted
    (mark,) = BOARD["annotations"]["list"]
    until(lambda: server.ask_over(filled(mark["expr"], served["well"]), 60, 1), "a start of the core is marked")


def test_a_scrape_is_whole(server: Server, served: Mapping[str, str]) -> None:
    """With the token of the documentation's file; Prometheus keeps every value, and throws none away as double."""

    def targets() -> Any:
        found = server.get("/api/v1/targets")["activeTargets"]
        return found if {(each["health"], each["lastError"]) for each in found} == {("up", "")} else None

    found = until(targets, "each bridge can be read")
    assert {each["discoveredLabels"]["__address__"] for each in found} == set(served.values())
    well = f'instance="{served["well"]}"'
    whole = f'count({{{well}, __name__=~"tinybms_.*"}}) == on () scrape_samples_scraped{{{well}}}'
    (count,) = until(lambda: server.ask(whole), "all that was scraped is kept")
    assert int(count["value"][1]) > 300


def test_types_and_helps_arrive(server: Server) -> None:
    """What the completion of a query shows."""
    told = server.get("/api/v1/metadata", metric="tinybms_battery_charged_joules_total")
    if not told:  # Prometheus 2 files what it reads as OpenMetrics under the name of the family
        told = server.get("/api/v1/metadata", metric="tinybms_battery_charged_joules")
    ((found,),) = told.values()
    assert (found["type"], found["help"][:6]) == ("counter", "Energy")


def test_every_rule_is_evaluated(server: Server, served: Mapping[str, str]) -> None:
    """Without an error, on real series; what must fire for these bridges does, or waits for its time."""

    def looked_at() -> Any:
        found = [rule for group in server.get("/api/v1/rules")["groups"] for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else None

    rules = until(looked_at, "Prometheus has looked at every rule")
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
    assert len(rules) > 30

    def raised() -> dict[str, set[str]]:
        alerts = server.get("/api/v1/alerts")["alerts"]
        return {
            state: {each["labels"]["alertname"] for each in alerts if each["labels"].get("instance") == address}
            for state, address in served.items()
        }

    wanted = {
        "away": {"TinybmsCoreUnreachable"},
        "held": {"TinybmsNoFreshData", "TinybmsLineDown", "TinybmsStoppedByHand"},
        "well": {"TinybmsServiceInTrouble", "TinybmsPartNotRunning", "TinybmsWarning", "TinybmsCanFault"},
    }
    until(lambda: all(names <= raised()[state] for state, names in wanted.items()), "the alerts are raised")
    until(lambda: "TinybmsBridgeDown" not in set().union(*raised().values()), "each bridge can be read")
    found = raised()
    assert found["away"] - {"TinybmsBridgeDown"} == {"TinybmsCoreUnreachable", "TinybmsServiceInTrouble"}
    assert not found["well"] & {"TinybmsNoFreshData", "TinybmsSilent", "TinybmsGxLost", "TinybmsSocLow"}
