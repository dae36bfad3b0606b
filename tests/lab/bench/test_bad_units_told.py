"""The units that are set wrong: that they are safe the long run shows, and here that their owner is told."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tinybms_bridge.battery.advice import Advice, advise
from tinybms_bridge.battery.limits import Chemistry, Evidence, RemarkCode, remarks_on
from tinybms_bridge.config.battery import chemistry_remark
from tinybms_bridge.config.configuration import Configuration
from tinybms_lab.bench.controllers import EngineController
from tinybms_lab.bench.loop import play
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios import SCENARIOS
from tinybms_lab.bench.weather import Pulses


def told(name: str, *, measured: bool = False) -> dict[int, Advice]:
    """Return what the owner of the battery of a scenario is told, by register."""
    battery = SCENARIOS[name].battery
    ratings = replace(battery.ratings(), least_current_a=SCENARIOS[name].sensors.idle_a)
    capacity_ah = battery.capacity_ah if measured else None
    advice = advise(ratings, Chemistry(battery.chemistry), firmware=254, capacity_ah=capacity_ah)
    return {each.register: each for each in advice}


@pytest.mark.parametrize(
    ("name", "registers"),
    [
        ("factory-balancing", {303, 308}),
        ("full-at-370", {300}),
        ("cold-unguarded", {318, 320}),
        ("cold-li-ion", {320}),
        ("single-port-sale", {340}),
        ("unseen-loads", {501}),
    ],
)
def test_a_bad_setting_is_told_with_what_is_better(name: str, registers: set[int]) -> None:
    """Each with the value and the command, or as a note where no setting mends it."""
    advice = told(name)
    assert registers <= set(advice)
    assert {register for register in registers if not advice[register].command} <= {340, 501}


def found(scenario: Scenario, hours: float) -> tuple[Mapping[RemarkCode, tuple[int, ...]], Evidence]:
    """Return what is told of the battery of a scenario by then, and what that rests on."""
    controller = EngineController(scenario.settings, scenario.longest_step_s)
    play(scenario.shortened(hours), controller)
    controller.restart()  # what was found survives it
    evidence, ratings = controller.evidence, scenario.battery.ratings()
    return {each.code: each.cells for each in remarks_on(evidence, ratings)}, evidence


@pytest.mark.parametrize("name", ["capacity-too-high", "capacity-too-low"])
def test_a_capacity_that_is_wrong_is_told_once_it_was_measured(name: str) -> None:
    """30 % off in either direction: a cloudy day and the sunny one after it are enough to measure it."""
    assert 306 not in told(name)
    codes, evidence = found(SCENARIOS[name], 86.5)
    assert set(codes) == {RemarkCode.CAPACITY_WRONG}
    assert evidence.capacity_ah == pytest.approx(0.98 * 280.0, rel=0.02), "that of the weakest cell"
    assert told(name, measured=True)[306].advised == 280.0


def test_cells_of_mixed_age_are_told() -> None:
    """Which, and how much less they hold, after the second cloudy day; and that no load has taught the resistance."""
    codes, evidence = found(SCENARIOS["mixed-age"], 134.0)
    assert codes == {
        RemarkCode.WEAK_CELL: (4, 8, 12, 16),
        RemarkCode.CAPACITY_WRONG: (),
        RemarkCode.RESISTANCE_NOT_LEARNED: (),
    }
    assert evidence.capacity_ah == pytest.approx(0.75 * 280.0, rel=0.03)


_KETTLE = Pulses(600.0, 2800.0, 20 * 3600.0, 86400.0, 600.0)
"""A load that comes and goes once a day."""


def test_a_worn_cell_is_told_as_soon_as_loads_have_shown_it() -> None:
    """Three times the resistance of the others."""
    scenario = replace(SCENARIOS["weak-cell"], load=replace(_KETTLE, start_s=34_200.0, period_s=1200.0))
    codes, _ = found(scenario, 2.0)
    assert codes == {RemarkCode.RESISTIVE_CELL: (10,)}


def test_a_good_battery_is_told_nothing() -> None:
    """The same weather, loads that teach, and cells that differ by 2 %, with the noise and errors of its sensors."""
    house = SCENARIOS["capacity-too-high"]
    battery = replace(house.battery, stated_capacity=1.0)
    codes, evidence = found(replace(house, battery=battery, load=_KETTLE), 134.0)
    assert codes == {}
    assert evidence.capacity_ah == pytest.approx(0.98 * 280.0, rel=0.02), "it was measured"
    assert evidence.cells == pytest.approx((1.0,) * 16, abs=0.05), "and so was each cell, twice"
    assert len(evidence.factors) == 16


def test_a_full_charge_at_370_is_told_as_a_question_while_the_chemistry_is_open() -> None:
    """It may be a careful Li-ion: the owner is asked to say which."""
    ratings = SCENARIOS["full-at-370"].battery.ratings()
    remark = chemistry_remark(Configuration(), ratings.fully_charged_cell_v, Chemistry.LTO)
    assert "may be lfp or li-ion" in str(remark)
    assert 300 not in {each.register for each in advise(ratings, None)}
