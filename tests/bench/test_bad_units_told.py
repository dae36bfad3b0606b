"""The units that are set wrong: that they are safe the long run shows, and here that their owner is told."""

from dataclasses import replace

import pytest

from tinybms_bridge.battery.advice import Advice, advise
from tinybms_bridge.battery.limits import Chemistry
from tinybms_bridge.bench.scenarios import SCENARIOS
from tinybms_bridge.config.battery import chemistry_remark
from tinybms_bridge.config.configuration import Configuration


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


@pytest.mark.parametrize("name", ["capacity-too-high", "capacity-too-low"])
def test_a_capacity_that_is_wrong_is_told_once_it_was_measured(name: str) -> None:
    """30 % off in either direction."""
    assert 306 not in told(name)
    assert told(name, measured=True)[306].advised == 280.0


def test_a_full_charge_at_370_is_told_as_a_question_while_the_chemistry_is_open() -> None:
    """It may be a careful Li-ion: the owner is asked to say which."""
    ratings = SCENARIOS["full-at-370"].battery.ratings()
    assert "may be lfp or li-ion" in chemistry_remark(Configuration(), ratings.fully_charged_cell_v, Chemistry.LTO)
    assert 300 not in {each.register for each in advise(ratings, None)}
