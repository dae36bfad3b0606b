"""Mutation check: with any one stage of the engine taken out, at least one named invariant breaks.

An invariant is a scenario with what has to hold in it. With the whole engine all of them hold.
"""

import ast
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import FreshnessMemory
from tinybms_bridge.battery.limits import (
    BalancingMemory,
    ChargeDefaults,
    ChargeProfile,
    ChargeState,
    Freshness,
    Inhibited,
    LimitSettings,
    PolicyMemory,
    PolicySettings,
    ProtectionMemory,
    Quantity,
    StateMemory,
    StateSettings,
    engine,
    stages,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Reason
from tinybms_bridge.battery.limits.readings import ReadingMemory
from tinybms_bridge.battery.limits.soc_count import next_rest
from tinybms_bridge.battery.snapshot import BmsStatus, Ratings

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeEngine = Callable[..., Any]
Scenario = Callable[[MakeEngine], None]


def target_is_that_of_the_bms(make_engine: MakeEngine) -> None:
    """CVL is register 300 × cells and CCL a share of register 318."""
    limits = make_engine().feed()
    assert (limits.cvl_v, limits.ccl_a) == pytest.approx((58.4, 54.0))


def an_open_switch_is_waited_for(make_engine: MakeEngine) -> None:
    """A charge that ends at once at register 300 is the charger switch: CVL goes to the voltage of the pack."""
    made = make_engine()
    made.last_for(60.0, cells_v=(3.649, *[3.45] * 15), current_a=40.0)
    assert made.feed(cells_v=(3.646, *[3.45] * 15), current_a=0.0).cvl_v <= 15 * 3.45 + 3.649


def li_ion_4() -> Ratings:
    """Return the settings of four Li-ion cells."""
    return Ratings(4, 4.15, 3.0, 4.25, 2.8, 60.0, 120.0, 150.0, 60.0, 0.0, 100.0)


def cells_apart(make_engine: MakeEngine) -> Any:
    """Return an engine that knows cells to be 3 Ah of 100 apart, charged by chemistry."""
    made = make_engine()
    made.settings = replace(made.settings, defaults=ChargeDefaults.BY_CHEMISTRY)
    made.memory = replace(made.memory, balancing=BalancingMemory(3.0, 3.0, day_at_lifetime_s=0))
    return made


def balancing_gets_done(make_engine: MakeEngine) -> None:
    """Where a cell is ahead of the others, a small current flows and CVL rises from the voltage of the pack."""
    made = cells_apart(make_engine)
    limits = made.last_for(60.0, cells_v=(3.45, *[3.35] * 15), current_a=1.3)
    assert limits.cvl_v <= 53.8
    assert limits.ccl_a == pytest.approx(1.2)
    assert limits.balancing.active


def a_bms_that_does_not_bleed_gets_more(make_engine: MakeEngine) -> None:
    """The hold current is raised until the BMS reads it, in a hold as well."""
    made = cells_apart(make_engine)
    wanted = {"wanted": (True, *[False] * 15), "balancing": (False,) * 16}
    limits = made.last_for(90.0, cells_v=(3.45, *[3.35] * 15), current_a=1.0, cell_bits=wanted)
    assert limits.state is ChargeState.IMBALANCE_HOLD
    assert limits.ccl_a == pytest.approx(1.5)


def full_battery_floats(make_engine: MakeEngine) -> None:
    """At 96 % the state is FLOAT, with its lower CVL and CCL."""
    limits = make_engine().feed(soc=96.0)
    assert limits.state is ChargeState.FLOAT
    assert (limits.cvl_v, limits.ccl_a) == pytest.approx((58.3, 5.0))


def full_by_voltage_floats_too(make_engine: MakeEngine) -> None:
    """A pack at full voltage with a tail current is full, whatever its counter says."""
    limits = make_engine().last_for(180.0, soc=85.5, max_cell_v=3.64, current_a=1.0)
    assert limits.full
    assert limits.state is ChargeState.FLOAT


def window_ends_charging(make_engine: MakeEngine) -> None:
    """Above the user's maximum there is no charge worth the name."""
    policy = PolicySettings(soc_max_percent=70.0, full_charge_interval_days=0.0)
    limits = make_engine(settings_before(policy=policy)).feed(soc=75.0)
    assert limits.ccl_a <= 1.0


def wishes_take_their_time(make_engine: MakeEngine) -> None:
    """CVL falls by 0.1 V at once for an SOC window, and not by volts."""
    policy = PolicySettings(soc_max_percent=70.0, full_charge_interval_days=0.0)
    made = make_engine(settings_before(policy=policy))
    assert made.feed(soc=60.0, max_cell_v=3.3).cvl_v - made.feed(soc=75.0, max_cell_v=3.3).cvl_v == pytest.approx(0.1)


def high_cell_lowers_cvl(make_engine: MakeEngine) -> None:
    """A cell above its threshold lowers CVL below the pack's voltage with the same sample."""
    limits = make_engine().feed(max_cell_v=3.69, delta_mv=5.0, pack={"voltage_v": 57.0})
    assert limits.cvl_v < 57.0


def lessons_outlive_the_sample(make_engine: MakeEngine) -> None:
    """A CVL that was too high does not come back with the first sample that is not."""
    made = make_engine()
    made.feed(max_cell_v=3.69, pack={"voltage_v": 57.0})
    assert made.feed(max_cell_v=3.6).cvl_v < 57.0


def cold_lowers_ccl(make_engine: MakeEngine) -> None:
    """At 5 °C a quarter of the current is left."""
    assert make_engine().feed(temperatures_c=(25.0, 5.0)).ccl_a == pytest.approx(13.5)


def frost_stops_solar_chargers(make_engine: MakeEngine) -> None:
    """Below register 320 CVL goes down as well: under feed-in no solar charger obeys CCL."""
    assert make_engine().feed(temperatures_c=(25.0, 0.0)).cvl_v == pytest.approx(53.6)


def empty_stays_empty(make_engine: MakeEngine) -> None:
    """A cell that recovers without load does not switch the inverter on again at once."""
    made = make_engine()
    made.last_for(5.0, max_cell_v=2.95, delta_mv=60.0)
    made.last_for(50.0, max_cell_v=3.0, delta_mv=20.0)
    assert made.limits.dcl_a == 0.0


def steps_teach_the_resistance(make_engine: MakeEngine) -> None:
    """Two steps of the current that show a low resistance let more be drawn near empty than the estimate does."""
    made = make_engine()
    for current_a, cell_v in ((0.0, 3.10), (-40.0, 3.08)) * 3:
        made.last_for(14.0, max_cell_v=cell_v, delta_mv=0.0, current_a=current_a)
    assert made.last_for(60.0, max_cell_v=3.05, delta_mv=0.0).dcl_a > 100.0


def fault_stops_charging(make_engine: MakeEngine) -> None:
    """A fault of the BMS ends charging, and discharging only where it cuts the load."""
    limits = make_engine().feed(pack={"status": BmsStatus.FAULT})
    assert limits.ccl_a == 0.0 < limits.dcl_a


def old_data_stops_charging(make_engine: MakeEngine) -> None:
    """Without a sample for 3 s there is no charge current, and CVL rests."""
    made = make_engine()
    made.last_for(5.0)
    limits = made.wait(5.0)
    assert (limits.cvl_v, limits.ccl_a, limits.freshness) == (pytest.approx(53.6), 0.0, Freshness.HOLD)


def rested_cells_decide_the_chemistry(make_engine: MakeEngine) -> None:
    """With register 300 at 3.75 V a pack that rests at 3.6 V is Li-ion, and rests there when charging is stopped."""
    made = make_engine(settings_before(inhibited=Inhibited(charge=True)))
    ratings = replace(made.sample().ratings, fully_charged_cell_v=3.75, over_voltage_cell_v=3.85)
    made.last_for(4000.0, max_cell_v=3.60, ratings=ratings)
    assert made.limits.cvl_v == pytest.approx(59.2)


def a_raised_floor_is_no_jump(make_engine: MakeEngine) -> None:
    """While charging is stopped, a floor that is raised by new settings lifts CVL by steps, not at once."""
    stopped = settings_before(inhibited=Inhibited(charge=True), resting_cell_v=3.22)
    made = make_engine(stopped)
    before = made.last_for(5.0, max_cell_v=3.20)
    made.settings = replace(stopped, floor_cell_v=3.32, resting_cell_v=3.33)
    assert made.feed(max_cell_v=3.20).cvl_v < before.cvl_v + 0.5
    assert made.last_for(120.0, max_cell_v=3.20).cvl_v > before.cvl_v + 1.0


def silence_ends_in_silence(make_engine: MakeEngine) -> None:
    """Old data is not sent for ever."""
    made = make_engine()
    made.last_for(5.0)
    assert not made.wait(60.0).may_send


def the_hand_of_the_user_counts(make_engine: MakeEngine) -> None:
    """A stop by hand stops."""
    limits = make_engine(settings_before(inhibited=Inhibited(discharge=True))).feed()
    assert limits.dcl_a == 0.0


def currents_rise_slowly(make_engine: MakeEngine) -> None:
    """After a fault CCL does not jump (case 5: 100 A to 220 A)."""
    made = make_engine()
    made.feed(open_events=(0x06,))
    assert made.feed().ccl_a < 1.0


def cvl_rises_slowly(make_engine: MakeEngine) -> None:
    """After a fault CVL rises by at most 0.4 V in 20 s."""
    made = make_engine()
    made.feed(open_events=(0x06,))
    assert made.last_for(15.0).cvl_v <= 54.0 + 1e-9


def nothing_passes_the_clamp(make_engine: MakeEngine) -> None:
    """Whatever the configuration: no negative current, no CVL that is no voltage."""
    settings = settings_before(bulk_voltage_v=-20.0, max_charge_current_a=-5.0, max_discharge_current_a=float("nan"))
    limits = make_engine(settings).feed()
    assert limits.cvl_v >= 51.2 - 1e-9
    assert limits.ccl_a == 0.0
    assert limits.dcl_a >= 0.0


def hold_takes_its_time_only(make_engine: MakeEngine) -> None:
    """An imbalance near the top holds, and not for ever."""
    made = make_engine(settings_before(states=StateSettings(imbalance_hold_max_s=60.0)))
    first = made.feed(delta_mv=150.0, max_cell_v=3.5)
    last = made.last_for(120.0, delta_mv=150.0, max_cell_v=3.5)
    assert first.state is ChargeState.IMBALANCE_HOLD
    assert last.state is not ChargeState.IMBALANCE_HOLD


def clouds_are_averaged(make_engine: MakeEngine) -> None:
    """What the cells say is what they have said for a minute: one dip makes no reserve of a battery."""
    made = make_engine(settings_before(policy=PolicySettings(soc_min_percent=20.0)))
    made.last_for(300.0, soc=4.0, max_cell_v=3.36)
    assert made.feed(3, soc=4.0, max_cell_v=3.22).dcl_a > 0.0


def what_is_fed_in_counts(make_engine: MakeEngine) -> None:
    """Chargers that obey no CCL fill a nearly empty battery at the resting voltage."""
    limits = make_engine().last_for(240.0, soc=3.0, max_cell_v=3.14, current_a=20.0)
    assert limits.state is ChargeState.SUSTAIN
    assert limits.cvl_v == pytest.approx(53.6)


def feed_in_lowers_the_target(make_engine: MakeEngine) -> None:
    """Where solar chargers stand above CVL, four cells get a CVL that leaves them 0.4 V to register 300."""
    made, ratings = make_engine(LimitSettings()), {"ratings": li_ion_4()}
    made.last_for(30.0, max_cell_v=4.05, current_a=20.0, **ratings)
    made.last_for(90.0, max_cell_v=4.05, current_a=1e3, **ratings)
    assert made.feed(max_cell_v=3.9, **ratings).cvl_v == pytest.approx(4 * (4.15 - 0.03) - 0.4)


def a_used_battery_is_charged_again(make_engine: MakeEngine) -> None:
    """FLOAT that follows full ends when the cells have rested below 3.30 V for ten minutes."""
    made = make_engine(LimitSettings())
    made.memory = replace(made.memory, states=StateMemory(ChargeState.FLOAT, float_latched=True))
    assert made.last_for(300.0, soc=95.0, max_cell_v=3.28).state is ChargeState.FLOAT
    assert made.last_for(400.0, soc=95.0, max_cell_v=3.28).state is not ChargeState.FLOAT


def a_battery_that_only_floats_is_charged_in_time(make_engine: MakeEngine) -> None:
    """Two weeks after the last full charge FLOAT ends, though nothing was taken out."""
    made = make_engine(LimitSettings())
    policy = PolicyMemory(full=True, full_at_lifetime_s=1)
    made.memory = replace(made.memory, states=StateMemory(ChargeState.FLOAT, float_latched=True), policy=policy)
    soon, late = {"lifetime_s": 13 * 86_400}, {"lifetime_s": 15 * 86_400}
    assert made.last_for(60.0, soc=100.0, max_cell_v=3.38, pack=soon).state is ChargeState.FLOAT
    assert made.last_for(60.0, soc=100.0, max_cell_v=3.38, pack=late).state is not ChargeState.FLOAT


def a_full_charge_goes_on_until_full(make_engine: MakeEngine) -> None:
    """A counter at 97 % does not end a full charge that was asked for."""
    policy = PolicySettings(profile=ChargeProfile.FULL_ONCE)
    limits = make_engine(settings_before(policy=policy)).feed(soc=97.0)
    assert limits.ccl_a == pytest.approx(54.0)


def a_stop_ends_what_obeys_no_ccl(make_engine: MakeEngine) -> None:
    """Solar chargers that feed in charge on at the resting voltage: CVL goes below the pack."""
    made = make_engine(settings_before(inhibited=Inhibited(charge=True)))
    limits = made.last_for(30.0, max_cell_v=3.3, delta_mv=0.0, current_a=40.0)
    assert limits.cvl_v < 52.8


def a_cold_ccl_is_enforced(make_engine: MakeEngine) -> None:
    """Solar chargers that feed in obey no CCL in the cold: CVL goes below the pack."""
    made = make_engine()
    limits = made.last_for(60.0, temperatures_c=(20.0, 5.0), max_cell_v=3.3, delta_mv=0.0, current_a=40.0)
    assert limits.cvl_v < 52.8


def a_lost_sensor_frees_no_charge(make_engine: MakeEngine) -> None:
    """A cable that breaks in frost leaves no warm board to speak for the cells."""
    made = make_engine()
    made.last_for(60.0, temperatures_c=(20.0, -10.0, -10.0))
    assert made.last_for(60.0, temperatures_c=(20.0, None, None)).ccl_a == 0.0


def one_reading_decides_nothing(make_engine: MakeEngine) -> None:
    """A cell that is 0.4 V too high or too low in one sample changes no limit."""
    made = make_engine()
    before = made.last_for(60.0, max_cell_v=3.33)
    for wrong_v in (3.73, 2.93):
        made.offer(cells_v=(*(3.33,) * 6, wrong_v, *(3.33,) * 9))
        assert (made.limits.cvl_v, made.limits.ccl_a, made.limits.dcl_a) == (before.cvl_v, before.ccl_a, before.dcl_a)
        made.last_for(5.0, max_cell_v=3.33)


def a_sample_with_a_hole_is_none(make_engine: MakeEngine) -> None:
    """A cell that cannot be read is not one that may be charged: after 3 s the last good sample is too old."""
    made = make_engine()
    made.last_for(5.0)
    limits = made.last_for(5.0, cells_v=(*(3.4,) * 15, math.nan))
    assert (limits.ccl_a, limits.freshness) == (0.0, Freshness.HOLD)


INVARIANTS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        target_is_that_of_the_bms,
        an_open_switch_is_waited_for,
        balancing_gets_done,
        a_bms_that_does_not_bleed_gets_more,
        full_battery_floats,
        full_by_voltage_floats_too,
        window_ends_charging,
        wishes_take_their_time,
        high_cell_lowers_cvl,
        lessons_outlive_the_sample,
        cold_lowers_ccl,
        frost_stops_solar_chargers,
        empty_stays_empty,
        steps_teach_the_resistance,
        fault_stops_charging,
        rested_cells_decide_the_chemistry,
        a_raised_floor_is_no_jump,
        old_data_stops_charging,
        silence_ends_in_silence,
        the_hand_of_the_user_counts,
        currents_rise_slowly,
        cvl_rises_slowly,
        nothing_passes_the_clamp,
        hold_takes_its_time_only,
        a_sample_with_a_hole_is_none,
        one_reading_decides_nothing,
        a_lost_sensor_frees_no_charge,
        a_stop_ends_what_obeys_no_ccl,
        a_cold_ccl_is_enforced,
        a_full_charge_goes_on_until_full,
        clouds_are_averaged,
        what_is_fed_in_counts,
        feed_in_lowers_the_target,
        a_used_battery_is_charged_again,
        a_battery_that_only_floats_is_charged_in_time,
    )
}


def no_base(context: Context) -> Draft:
    """Allow whatever frame 0x351 can carry."""
    most = {Quantity.CVL: context.ceiling_v - 0.05, Quantity.CCL: 3276.7, Quantity.DCL: 3276.7}
    return Draft({quantity: Reason(quantity, LimitCode.CONFIGURED, limit) for quantity, limit in most.items()})


def always_fresh(memory: FreshnessMemory, *_: object) -> FreshnessMemory:
    """Trust every sample for ever."""
    return replace(memory, state=Freshness.FRESH)


def nothing(*_: object) -> None:
    """Leave the draft as it is."""


def no_stop(*_: object) -> bool:
    """Stop nothing."""
    return False


def as_before(memory: object, *_: object, **__: object) -> object:
    """Remember what was remembered before."""
    return memory


@dataclass(frozen=True)
class Removal:
    """A function of the engine, what does nothing in its place, and the invariants that must notice."""

    name: str
    instead: Callable[..., object]
    noticed_by: frozenset[str]


def removal(name: str, instead: Callable[..., object], *noticed_by: Scenario) -> Removal:
    """Return a removal."""
    return Removal(name, instead, frozenset(scenario.__name__ for scenario in noticed_by))


REMOVALS = [
    removal(
        "next_readings",
        lambda _memory, snapshot, *_: ReadingMemory(snapshot, snapshot, (snapshot,), snapshot),
        a_sample_with_a_hole_is_none,
        one_reading_decides_nothing,
    ),
    removal("base", no_base, target_is_that_of_the_bms),
    removal("next_state", as_before, full_battery_floats, hold_takes_its_time_only),
    removal("apply_state", nothing, full_battery_floats),
    removal("next_policy", as_before, full_by_voltage_floats_too, window_ends_charging),
    removal("fills_past_the_window", lambda *_: False, a_full_charge_goes_on_until_full),
    removal("set_stop_level", nothing, frost_stops_solar_chargers, old_data_stops_charging),
    removal("follow_stop", lambda _draft, _context, memory, *_, **__: memory, a_stop_ends_what_obeys_no_ccl),
    removal("enforce", lambda _draft, _context, memory, *_, **__: memory, a_cold_ccl_is_enforced),
    removal("next_sensors", as_before, a_lost_sensor_frees_no_charge),
    removal("next_rest", lambda _memory, *args: next_rest(None, *args), clouds_are_averaged),
    removal("charges_past_ccl", lambda *_: False, what_is_fed_in_counts),
    removal("next_feed_in", as_before, feed_in_lowers_the_target),
    removal(
        "next_rebulk",
        lambda memory, *_, **__: (memory, False),
        a_used_battery_is_charged_again,
        a_battery_that_only_floats_is_charged_in_time,
    ),
    removal("full_charge_is_old", lambda *_: False, a_battery_that_only_floats_is_charged_in_time),
    removal("apply_policy", nothing, window_ends_charging),
    removal(
        "protect_cells",
        lambda _draft, _context, memory, _elapsed_s: memory,
        high_cell_lowers_cvl,
        lessons_outlive_the_sample,
    ),
    removal("next_balancing", as_before, balancing_gets_done),
    removal("apply_balancing", nothing, balancing_gets_done),
    removal("hold_a", lambda *_: None, a_bms_that_does_not_bleed_gets_more),
    removal("follow_switch", lambda _draft, _context, _window, memory, *_, **__: memory, an_open_switch_is_waited_for),
    removal("next_chemistry", as_before, rested_cells_decide_the_chemistry),
    removal("ramp_floor", as_before, a_raised_floor_is_no_jump),
    removal("derate", nothing, cold_lowers_ccl),
    removal("stop_for_temperature", no_stop, frost_stops_solar_chargers),
    removal("next_resistance", as_before, steps_teach_the_resistance),
    removal("limit_discharge", lambda _draft, _context, memory, *_, **__: memory, empty_stays_empty),
    removal("obey_bms", nothing, fault_stops_charging),
    removal("advance", always_fresh, old_data_stops_charging, silence_ends_in_silence),
    removal("apply_freshness", nothing, old_data_stops_charging),
    removal("apply_inhibits", nothing, the_hand_of_the_user_counts),
    removal("limit_rates", lambda _draft, _context, memory, *_, **__: memory, currents_rise_slowly, cvl_rises_slowly),
    removal("lowest_wish_v", lambda *_: -math.inf, wishes_take_their_time),
    removal("remember", lambda memory, *_: memory, currents_rise_slowly, cvl_rises_slowly),
    removal("final_clamp", nothing, nothing_passes_the_clamp),
]

NO_STAGES = {
    "EnforcementMemory",
    "Protected",
    "SocMemory",
    "_new_memory",
    "_new_observed",
    "bound",
    "cells_say",
    "context_of",
    "elapsed_since",
    "forgotten",
    "limits_of",
    "make_context",
    "move_on",
    "next_count",
    "next_evidence",
    "observe",
    "protect",
    "read_sensors",
    "replace",
    "set_right",
    "wish",
    "with_count",
}
"""What the engine calls beside its stages: without it there is no decision at all, or the BMS's count (test_soc_count)
is the state of charge; and what is told and decides nothing (test_evidence)."""


def holds(scenario: Scenario, make_engine: MakeEngine) -> bool:
    """Tell whether an invariant holds."""
    try:
        scenario(make_engine)
    except AssertionError:
        return False
    return True


def called(*functions: Callable[..., object]) -> set[str]:
    """Return the names of what some functions call."""
    trees = (ast.parse(inspect.getsource(function)) for function in functions)
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {node.func.id for node in calls if isinstance(node.func, ast.Name)}


def place_of(stage: str) -> ModuleType:
    """Return the module that calls a stage."""
    return stages if hasattr(stages, stage) else engine


@pytest.mark.parametrize("name", INVARIANTS)
def test_whole_engine_holds(make_engine: MakeEngine, name: str) -> None:
    """With every stage in place each invariant holds."""
    INVARIANTS[name](make_engine)


@pytest.mark.parametrize("removed", REMOVALS, ids=lambda removed: removed.name)
def test_no_stage_can_be_missed(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, removed: Removal) -> None:
    """A stage that does nothing is noticed by the invariants that are its own."""
    monkeypatch.setattr(place_of(removed.name), removed.name, removed.instead)
    unnoticed = {name for name in removed.noticed_by if holds(INVARIANTS[name], make_engine)}

    assert removed.noticed_by
    assert not unnoticed, f"without {removed.name} these still hold: {unnoticed}"


def test_every_stage_is_removed_once() -> None:
    """A stage that is added to the engine has to be added here."""
    names = [removed.name for removed in REMOVALS]

    assert len(names) == len(set(names))
    phases = (
        stages.observe,
        stages.context_of,
        stages.move_on,
        stages.read_sensors,
        stages.wish,
        stages.protect,
        stages.bound,
    )
    assert called(engine.step, *phases) - NO_STAGES == set(names)


def test_every_invariant_has_its_stage() -> None:
    """No invariant is there for nothing."""
    assert set().union(*(removed.noticed_by for removed in REMOVALS)) == set(INVARIANTS)


@pytest.mark.parametrize(
    "memory", [StateMemory(ChargeState.FLOAT, float_latched=True), ProtectionMemory(cap_v=55.0, knee_v=55.5)]
)
def test_memory_is_used(make_engine: MakeEngine, memory: StateMemory | ProtectionMemory) -> None:
    """What a stage remembered before a restart makes a difference after it."""
    made, plain = make_engine(), make_engine().feed(soc=93.0)
    key = "states" if isinstance(memory, StateMemory) else "protection"
    made.memory = replace(made.memory, **{key: memory})

    assert made.feed(soc=93.0).cvl_v < plain.cvl_v


EXAMPLE = [
    # seconds, cell 1, the other cells, current, SOC; CVL, CCL, DCL
    (1.0, 3.412, 3.398, 60.0, 87.0, (56.75, 41.4, 135.0)),
    (60.0, 3.530, 3.450, 9.0, 91.0, (56.75, 2.3, 135.0)),
    (1.0, 3.572, 3.455, 9.0, 91.0, (55.043, 1.175, 135.0)),
    (10.0, 3.530, 3.450, 1.0, 91.0, (55.140, 2.3, 135.0)),
    (60.0, 3.530, 3.450, 1.0, 91.0, (55.291, 2.3, 135.0)),
]


def test_worked_example_of_the_document(make_engine: MakeEngine, make_ratings: Callable[..., Any]) -> None:
    """The numbers of docs/charge-control.md are those of the engine."""
    ratings = make_ratings(
        fully_charged_cell_v=3.55,
        over_voltage_cell_v=3.65,
        charge_over_current_a=100.0,
        discharge_over_current_a=150.0,
        discharge_peak_current_a=200.0,
        capacity_ah=280.0,
    )
    made = make_engine()
    decided = []
    for seconds, first_v, others_v, current_a, soc, _ in EXAMPLE:
        moment = {"cells_v": (first_v, *(others_v for _ in range(15))), "current_a": current_a, "soc": soc}
        limits = made.last_for(seconds, ratings=ratings, temperatures_c=(30.0, 8.0, 18.0), **moment)
        decided.append((limits.cvl_v, limits.ccl_a, limits.dcl_a))

    for (*_, expected), found in zip(EXAMPLE, decided, strict=True):
        assert found == pytest.approx(expected, abs=0.001)
