"""What is told of scenarios with several packs."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tinybms_lab.bench.plots import page
from tinybms_lab.bench.report import document, flows, markdown, show
from tinybms_lab.bench.runner import ScenarioResult, play_scenario
from tinybms_lab.bench.scenarios import PACKS, SCENARIOS


@pytest.fixture(scope="module")
def result() -> ScenarioResult:
    """Some minutes in which the weak pack is silent, by the engine and the plain sum."""
    return play_scenario(replace(PACKS["packs-silent-weak"], hours=0.25))


def test_the_terminal_shows_packs_beside_the_battery(result: ScenarioResult) -> None:
    """The table of every scenario, that of the packs, and what its words mean."""
    out = StringIO()
    show([result], Console(file=out, width=220))
    text = out.getvalue()

    assert text.count("packs-silent-weak") >= 2
    assert "Above its own limit" in text
    assert text.count("plain sum") == 2
    assert "least full: the pack that gets least full" in text


def test_the_page_has_a_row_with_both(result: ScenarioResult) -> None:
    """Engine first, what it does not hold last."""
    line = next(line for line in markdown([result]).splitlines() if line.startswith("| `packs-silent-weak` |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]

    assert len(cells) == 8
    assert cells[3].split(" / ")[0] in {"0 s", "1 s", "2 s", "3 s"}
    assert "own limit" in cells[-1].split(" / ")[1]


def test_the_page_of_pictures_has_the_table_too(result: ScenarioResult) -> None:
    """As HTML."""
    assert "Above its own limit" in page([result])


def test_bounds_name_whom_they_are_told_of(result: ScenarioResult) -> None:
    """A table of both kinds of scenarios has both baselines in its heading."""
    one = play_scenario(replace(SCENARIOS["count-empty"], hours=0.1))

    assert "| engine | firmware or plain sum |" in flows([one, result])[0]


def test_a_program_gets_every_pack(result: ScenarioResult) -> None:
    """With its trips and its largest currents, as JSON."""
    told = json.loads(json.dumps(document([result])))
    packs = told["scenarios"][0]["controllers"]["engine"]["packs"]

    assert [pack["name"] for pack in packs["packs"]] == ["a", "b", "c", "d"]
    assert packs["rises"] == []
    assert packs["dark_s"] == 0.0


def test_a_battery_of_one_pack_has_no_such_table() -> None:
    """Nothing changes for it."""
    assert "Above its own limit" not in markdown([])
