"""The table of the long run."""

from dataclasses import replace

import pytest

from tinybms_bridge.bench.lives import Life
from tinybms_bridge.bench.page import page
from tinybms_bridge.bench.report import markdown
from tinybms_bridge.bench.report_lives import HEADINGS, lived, lives, row
from tinybms_bridge.bench.runner import Result, play_scenario
from tinybms_bridge.bench.scenario import Scenario


@pytest.fixture(name="result")
def _result(calm: Scenario) -> Result:
    """Return a result of twelve minutes with both controllers."""
    return play_scenario(replace(calm, hours=0.2))


def named(result: Result, name: str) -> Result:
    """Return a result under the name of a scenario."""
    return replace(result, scenario=name)


def test_a_row_has_a_value_for_every_heading(result: Result) -> None:
    """No column is empty."""
    for outcome in result.outcomes:
        assert len(row(outcome.metrics)) == len(HEADINGS)
        assert all(row(outcome.metrics))


def test_units_stand_beside_the_numbers(result: Result) -> None:
    """Hours, ampere hours, percent, minutes."""
    life = Life(
        high_h_per_day=0.456,
        spread_begin_ah=8.4,
        spread_end_ah=1.25,
        balanced_after_days=14.6,
        count_error_percent=2.34,
        plating_min=13.0,
        discharged_wh=1234.0,
        bms_full_days=3,
    )
    values = dict(zip(HEADINGS, row(replace(result.engine.metrics, life=life)), strict=True))

    assert values["high h/day"] == "0.46"
    assert (values["spread Ah"], values["alike after"]) == ("8.4 > 1.2", "15 d")
    assert (values["SOC off"], values["plating"]) == ("2.3 %", "13 min")
    assert (values["energy out"], values["BMS full"]) == ("1.23 kWh", "3 d")


def test_cells_that_never_agree_say_so(result: Result) -> None:
    """In place of a day."""
    assert "never" in row(replace(result.engine.metrics, life=Life(balanced_after_days=None)))


@pytest.mark.parametrize(("name", "told"), [("calm", False), ("empty-grid", True), ("drift-low", True)])
def test_only_the_long_run_is_told(result: Result, name: str, told: bool) -> None:
    """A scenario of a day and more, or one that demands something of a life."""
    assert bool(lived([named(result, name)])) is told
    assert bool(lives([named(result, name)])) is told


def test_page_and_markdown_have_the_table(result: Result) -> None:
    """With what its words mean."""
    shown = [named(result, "drift-low")]

    assert "| high h/day |" in markdown(shown)
    assert "<th>high h/day</th>" in page(shown)
    assert "more current than cold cells take" in page(shown)
