"""The board for Grafana, as a document: complete, without overlap, with names that there are, made from its script."""

import json
import re
import runpy
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.model import ChargeState
from tinybms_bridge.link.state import ServiceCondition
from tinybms_bridge.services.metrics.families import FAMILIES

ROOT = Path(__file__).parents[3]
PATH = ROOT / "docs" / "grafana" / "tinybms-bridge.json"
BOARD = json.loads(PATH.read_text(encoding="utf-8"))
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "grafana_board.py"))
LABELS = {each.shown_name: {*each.labels, "instance", "job"} for each in FAMILIES}
UNITS = {
    *("none", "volt", "amp", "watt", "percentunit", "s", "celsius", "kwatth", "bytes"),
    *("cps", "reqps"),
}
"""Ids that Grafana knows; one that it does not know would be shown behind each number."""
KINDS = {"timeseries", "stat", "gauge", "bargauge", "state-timeline", "status-history", "table"}
"""What every Grafana has without a plugin."""


def panels(rows: bool = False) -> Iterator[Any]:
    """Yield every panel, those within closed rows too."""
    for each in BOARD["panels"]:
        yield from each["panels"] if each["type"] == "row" else ()
        if rows or each["type"] != "row":
            yield each


PANELS = list(panels())
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def test_it_is_as_its_script_makes_it() -> None:
    """Else: ``scripts/grafana_board.py``; what is changed in Grafana belongs into the script."""
    assert SCRIPT["text"]() == PATH.read_text(encoding="utf-8")


def test_the_script_writes_where_it_is_told(tmp_path: Path) -> None:
    """A copy is the same board."""
    SCRIPT["main"](tmp_path / "board.json")
    assert json.loads((tmp_path / "board.json").read_text(encoding="utf-8")) == BOARD


def test_it_can_be_imported_anywhere() -> None:
    """No number of a data base of another Grafana, the data source is a variable, and it has a name that stays."""
    assert BOARD["uid"] == "tinybms-bridge"
    assert "id" not in BOARD
    sources = {json.dumps(found) for found in sources_of(BOARD)}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
    assert [each["name"] for each in BOARD["templating"]["list"]] == ["datasource", "bridge", "pack"]
    assert BOARD["templating"]["list"][0]["query"] == "prometheus"


def sources_of(part: Any) -> Iterator[Any]:
    """Yield every data source that is named anywhere."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "datasource":
                yield value
            else:
                yield from sources_of(value)
    elif isinstance(part, list):
        for each in part:
            yield from sources_of(each)


def test_every_number_is_used_once() -> None:
    """Grafana takes two panels of one number for one."""
    numbers = Counter(each["id"] for each in panels(rows=True))
    assert [number for number, count in numbers.items() if count > 1] == []
    assert len(numbers) > 50


@each_panel
def test_every_panel_is_complete(panel: Any) -> None:
    """A title of its own, a unit and a kind that Grafana knows, and something that it asks."""
    assert panel["type"] in KINDS
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert re.fullmatch(r"[A-Z].{1,60}", panel["title"])
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFG")[: len(panel["targets"])]
    assert panel["targets"]
    assert Counter(each["title"] for each in PANELS)[panel["title"]] == 1 or panel["type"] in ("stat", "timeseries")
    assert not panel.get("description") or panel["description"].endswith(".")


@each_panel
def test_every_line_of_a_chart_has_a_name(panel: Any) -> None:
    """What tells two series apart is in the legend: all labels of their family but those that are chosen above."""
    for target in panel["targets"]:
        if panel["type"] in ("stat", "gauge", "table"):
            continue
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        grouped = re.findall(r"(?:sum|max|min|count) by \(([^)]*)\)", target["expr"])
        named = re.findall(r"tinybms_\w+", target["expr"])
        merged = re.match(r"(?:\d+ \* )?(?:sum|max|min)\(", target["expr"])
        own = set(grouped[0].split(", ")) if grouped else set() if merged else LABELS[named[0]] - {"instance", "job"}
        assert own <= shown, target["expr"]


def test_no_two_panels_overlap_and_none_leaves_the_board() -> None:
    """Neither among those that are seen at once nor within a closed row; and none is too small to be read."""
    seen = list(BOARD["panels"])
    for group in (seen, *(each["panels"] for each in seen if each["type"] == "row")):
        for one, other in combinations([each["gridPos"] for each in group], 2):
            apart = (
                one["x"] + one["w"] <= other["x"]
                or other["x"] + other["w"] <= one["x"]
                or one["y"] + one["h"] <= other["y"]
                or other["y"] + other["h"] <= one["y"]
            )
            assert apart, (one, other)
    for panel in PANELS:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
        assert place["w"] >= 3
        assert place["h"] >= 4


def test_no_line_of_the_board_has_a_hole() -> None:
    """Between the first and the last panel of a row every place is taken: a hole looks like a panel that is broken."""
    for row in BOARD["panels"]:
        if row["type"] != "row":
            continue
        places = [each["gridPos"] for each in row["panels"] or panels_below(row)]
        top, bottom = min(each["y"] for each in places), max(each["y"] + each["h"] for each in places)
        assert sum(each["w"] * each["h"] for each in places) == 24 * (bottom - top), row["title"]


def panels_below(row: Any) -> list[Any]:
    """Return the panels of an open row: those that follow it."""
    after: list[Any] = BOARD["panels"][BOARD["panels"].index(row) + 1 :]
    ends = next((index for index, each in enumerate(after) if each["type"] == "row"), len(after))
    return after[:ends]


def questions() -> Iterator[str]:
    """Yield everything that is asked: by panels, variables and marks."""
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])
    yield from (each["definition"] for each in BOARD["templating"]["list"] if each["type"] == "query")
    yield from (each["expr"] for each in BOARD["annotations"]["list"])


def test_every_name_and_label_is_one_that_the_bridge_tells() -> None:
    """A family or a label that was renamed leaves an empty panel, which nobody misses until it is needed."""
    for text in questions():
        for name, selector in re.findall(r"(tinybms_\w+)(?:\{([^}]*)\})?", text):
            assert name in LABELS, text
            labels = set(re.findall(r"(\w+)=~?\"", selector))
            assert labels <= LABELS[name], text
            assert "instance" in labels or text.startswith("label_values(tinybms_core_up"), text


def test_what_the_bridge_measures_is_shown() -> None:
    """A new family gets its place on the board, or a reason why not."""
    shown = {name for text in questions() for name in re.findall(r"tinybms_\w+", text)}
    elsewhere = {
        "tinybms_battery_readings_frozen": "an alarm tells it",
        "tinybms_battery_temperature_celsius": "by pack",
        "tinybms_battery_cell_voltage_min_volts": "by pack",
        "tinybms_battery_cell_voltage_max_volts": "by pack",
        "tinybms_battery_cell_voltage_spread_volts": "by pack",
        "tinybms_battery_sample_age_seconds": "by pack",
        "tinybms_battery_full": "the charge state tells it",
        "tinybms_battery_charged_coulombs_total": "as energy",
        "tinybms_battery_discharged_coulombs_total": "as energy",
        "tinybms_inhibited": "the rule TinybmsStoppedByHand",
        "tinybms_pack_status": "the charge state is what counts",
        "tinybms_core_unheard_seconds": "the rule TinybmsCoreUnreachable",
        "tinybms_core_last_end_info": "the rule TinybmsCoreRestarts",
        "tinybms_history_working": "the rule TinybmsHistoryNotWritten",
        "tinybms_watchdog_part_hanging": "the rule TinybmsPathHangs",
    }
    of_packs = re.compile(r"tinybms_pack_(?:voltage|current|power|soc|soh|time)_\w+")
    details = re.compile(r"tinybms_(?:line|can|bms|gx)_\w+")
    left = set(LABELS) - shown - set(elsewhere)
    assert [name for name in sorted(left) if not of_packs.fullmatch(name) and not details.fullmatch(name)] == []
    assert not set(elsewhere) & shown


def test_every_state_has_a_word_and_a_colour() -> None:
    """A state that comes one day would be a number in the middle of words."""
    assert set(SCRIPT["FRESHNESS"]) == set(Freshness)
    assert set(SCRIPT["CHARGE_STATES"]) == set(ChargeState)
    assert set(SCRIPT["CONDITIONS"]) == set(ServiceCondition)
    numbers = [number for codes in (SCRIPT["FRESHNESS"], SCRIPT["CHARGE_STATES"]) for number, _ in codes.values()]
    assert len(set(numbers)) == len(numbers), "both are in one panel"
