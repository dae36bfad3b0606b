"""Results as tables and documents, and the table of the long run."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from tinybms_lab.bench.changes import Rise
from tinybms_lab.bench.criteria import CriterionViolation
from tinybms_lab.bench.flows import FlowFinding
from tinybms_lab.bench.lives import Life
from tinybms_lab.bench.plots import page
from tinybms_lab.bench.report import (
    HEADINGS,
    LIFE_HEADINGS,
    comparison,
    document,
    failures,
    flows,
    legend,
    life_row,
    lived,
    lives,
    markdown,
    row,
    show,
)
from tinybms_lab.bench.runner import ScenarioOutcome, ScenarioResult, play_scenario
from tinybms_lab.bench.scenario import Scenario


@pytest.fixture(name="result")
def _result(calm: Scenario) -> ScenarioResult:
    """Return a result with both controllers."""
    return play_scenario(replace(calm, hours=0.2))


def printed(results: list[ScenarioResult], width: int = 200) -> str:
    """Return what a terminal shows."""
    text = io.StringIO()
    show(results, Console(file=text, width=width))
    return text.getvalue()


def with_metrics(result: ScenarioResult, **changes: object) -> ScenarioOutcome:
    """Return the engine's outcome with some measures changed."""
    return replace(result.engine, metrics=replace(result.engine.metrics, **changes))  # type: ignore[arg-type]  # by name


def cell(outcome: ScenarioOutcome, heading: str) -> str:
    """Return one value of a row."""
    return row(outcome)[HEADINGS.index(heading)]


def test_a_row_has_a_value_for_every_heading(result: ScenarioResult) -> None:
    """No column is empty."""
    for outcome in result.outcomes:
        assert len(row(outcome)) == len(HEADINGS)
        assert all(row(outcome))


def test_units_stand_beside_the_numbers(result: ScenarioResult) -> None:
    """Volts of the highest cell, millivolts to the cutoff, percent of the sun."""
    outcome = with_metrics(
        result,
        highest_cell_v=3.6321,
        headroom_mv=117.9,
        overshoot_mv=32.1,
        energy_lost_wh=123.0,
        energy_lost_percent=1.04,
        unserved_wh=456.0,
        reversals_per_h=1.0,
        reversals=17,
    )

    assert cell(outcome, "highest") == "3.632 V"
    assert cell(outcome, "to cut-off") == "118 mV"
    assert cell(outcome, "over full") == "32 mV"
    assert cell(outcome, "lost") == "0.12 kWh 1.0 %"
    assert cell(outcome, "unserved") == "0.46 kWh"
    assert (cell(outcome, "turns/h"), cell(outcome, "turns")) == ("1", "17")


@pytest.mark.parametrize(
    ("to_float_s", "shown"),
    [(None, "never"), (0.0, "0:00 h"), (59.0, "0:00 h"), (4980.0, "1:23 h"), (367_800.0, "102:10 h")],
)
def test_time_to_float_is_in_hours_and_minutes(result: ScenarioResult, to_float_s: float | None, shown: str) -> None:
    """Also beyond a day."""
    assert cell(with_metrics(result, time_to_float_s=to_float_s), "to float") == shown


def test_states_are_minutes_with_letters(result: ScenarioResult) -> None:
    """Moments are left out."""
    outcome = with_metrics(result, state_s={"-": 8.0, "BULK": 600.0, "FLOAT": 3600.0, "IMBALANCE_HOLD": 90.0})

    assert cell(outcome, "minutes in state") == "B10 F60 H2"


def test_protections_are_counted(result: ScenarioResult) -> None:
    """A dash where none tripped."""
    assert cell(with_metrics(result, trips={}), "protections") == "-"
    assert cell(with_metrics(result, trips={"over-voltage": 2, "cold charge": 1}), "protections") == (
        "2 over-voltage, 1 cold charge"
    )


def test_the_verdict_names_what_does_not_hold(result: ScenarioResult) -> None:
    """Short words, or ok."""
    broken = (CriterionViolation("turns", "CVL turned"), CriterionViolation("floor", "CVL low"))

    assert cell(replace(result.engine, violations=()), "verdict") == "ok"
    assert cell(replace(result.engine, violations=broken), "verdict") == "turns, floor"


def test_the_table_shows_both_controllers(result: ScenarioResult) -> None:
    """Side by side, with the name of the scenario once."""
    shown = printed([result])

    assert shown.count("calm") == 2  # in the table, and where its failure is told
    assert "engine" in shown
    assert "firmware" in shown


def test_the_table_is_never_too_narrow_to_read(result: ScenarioResult) -> None:
    """A narrow terminal gets long lines rather than columns of single letters."""
    assert "minutes in state" in printed([result], width=60)


def test_what_the_engine_does_not_hold_is_told_in_sentences(result: ScenarioResult) -> None:
    """Below the table; what the firmware does not hold is not our failure."""
    assert failures([result])[0] == "calm: FLOAT was not reached with a battery that is nearly full"
    assert "calm: FLOAT was not reached with a battery that is nearly full" in printed([result])


def test_markdown_has_the_same_rows(result: ScenarioResult) -> None:
    """For the documentation."""
    lines = markdown([result]).splitlines()

    assert lines[0] == "| " + " | ".join(HEADINGS) + " |"
    assert lines[2] == "| " + " | ".join(row(result.engine)) + " |"
    assert "- calm: FLOAT was not reached with a battery that is nearly full" in lines


def test_markdown_says_so_when_everything_holds(result: ScenarioResult) -> None:
    """An empty list would look like a mistake."""
    good = replace(result, engine=replace(result.engine, violations=()))

    assert "The engine holds every criterion in every scenario." in markdown([good])


def test_the_document_is_json(result: ScenarioResult) -> None:
    """What is infinite or never happened is null."""
    outcome = with_metrics(result, ccl_rise=Rise(9.0, float("inf"), 0.1), time_to_float_s=None)
    text = json.dumps(document([replace(result, engine=outcome)]), allow_nan=False)
    scenario = json.loads(text)["scenarios"][0]

    assert (scenario["name"], scenario["simulated_s"]) == ("calm", pytest.approx(720.0))
    assert scenario["controllers"]["engine"]["ccl_rise"] == {"fastest": 9.0, "ramp": None, "tolerance": 0.1}
    assert scenario["controllers"]["engine"]["time_to_float_s"] is None
    assert [violation["name"] for violation in scenario["controllers"]["engine"]["violations"]] == ["no float"]
    assert set(scenario["controllers"]) == {"engine", "firmware"}


def test_the_legend_explains_every_letter() -> None:
    """Nobody has to guess what A is."""
    for letter in ("B BULK", "T TRANSITION", "A FLOAT_APPROACH", "F FLOAT", "H IMBALANCE_HOLD", "S SUSTAIN"):
        assert letter in legend()


def test_what_flowed_stands_beside_what_had_to(result: ScenarioResult) -> None:
    """A row for each bound, a column for each controller; what is outside is bold."""
    kept, broken = (
        FlowFinding("CCL at least 90 A", 90.0, "A", 0.0, True),
        FlowFinding("CCL at least 90 A", 0.0, "A", 9.0, False),
    )
    assert result.baseline is not None
    both = replace(
        result,
        engine=with_metrics(result, findings=(kept, kept)),
        baseline=with_metrics(result, findings=(broken, kept)),
    )
    lines = flows([result, both])

    assert lines[2:] == [
        "| `calm` | CCL at least 90 A | 90.0 A | **0.0 A (9 s outside)** |",
        "|  | CCL at least 90 A | 90.0 A | 90.0 A |",
    ]
    assert lines[0] in markdown([both])
    assert flows([result]) == []


def test_the_page_tells_what_flowed(result: ScenarioResult) -> None:
    """What is outside is marked."""
    broken = FlowFinding("CCL at least 90 A", 0.0, "A", 9.0, kept=False)
    told = page([replace(result, engine=with_metrics(result, findings=(broken,)), baseline=None)])

    assert '<td>calm</td><td>CCL at least 90 A</td><td class="broken">0.0 A (9 s outside)</td>' in told
    assert "CCL at least" not in page([result])


def test_the_short_table_holds_engine_and_firmware(result: ScenarioResult) -> None:
    """The table of the document, which is written beside the long one."""
    ours = with_metrics(result, highest_cell_v=3.5, reversals_per_h=1.0, reversals=2, trips={"cold charge": 3})
    assert result.baseline is not None
    firmware = replace(result.baseline, violations=(CriterionViolation("turns", ""), CriterionViolation("jump", "")))
    lines = comparison([replace(result, engine=ours, baseline=firmware)])

    assert lines[2].startswith("| `calm` | 3.500 V / ")
    assert " | 1 / " in lines[2]
    assert "; 2 / " in lines[2]
    assert lines[2].endswith("| 3 cold charge / - | turns, jump |")
    assert comparison([replace(result, baseline=None)]) == []


def named(result: ScenarioResult, name: str) -> ScenarioResult:
    """Return a result under the name of a scenario."""
    return replace(result, scenario=name)


def test_a_row_of_the_long_run_has_a_value_for_every_heading(result: ScenarioResult) -> None:
    """No column is empty."""
    for outcome in result.outcomes:
        assert len(life_row(outcome.metrics)) == len(LIFE_HEADINGS)
        assert all(life_row(outcome.metrics))


def test_units_stand_beside_the_numbers_of_the_long_run(result: ScenarioResult) -> None:
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
    values = dict(zip(LIFE_HEADINGS, life_row(replace(result.engine.metrics, life=life)), strict=True))

    assert values["high h/day"] == "0.46"
    assert (values["spread Ah"], values["alike after"]) == ("8.4 > 1.2", "15 d")
    assert (values["SOC off"], values["plating"]) == ("2.3 %", "13 min")
    assert (values["energy out"], values["BMS full"]) == ("1.23 kWh", "3 d")


def test_cells_that_never_agree_say_so(result: ScenarioResult) -> None:
    """In place of a day."""
    assert "never" in life_row(replace(result.engine.metrics, life=Life(balanced_after_days=None)))


@pytest.mark.parametrize(("name", "told"), [("calm", False), ("empty-grid", True), ("drift-low", True)])
def test_only_the_long_run_is_told(result: ScenarioResult, name: str, told: bool) -> None:
    """A scenario of a day and more, or one that demands something of a life."""
    assert bool(lived([named(result, name)])) is told
    assert bool(lives([named(result, name)])) is told


def test_page_and_markdown_have_the_table(result: ScenarioResult) -> None:
    """With what its words mean."""
    shown = [named(result, "drift-low")]

    assert "| high h/day |" in markdown(shown)
    assert "<th>high h/day</th>" in page(shown)
    assert "more current than cold cells take" in page(shown)
