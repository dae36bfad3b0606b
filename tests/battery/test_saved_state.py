import json
import math
from collections.abc import Iterator
from dataclasses import astuple, is_dataclass, replace
from operator import attrgetter
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    NO_EVIDENCE,
    BalancingMemory,
    BalancingPhase,
    ChargeState,
    DischargeMemory,
    Evidence,
    FeedInMemory,
    Memory,
    Pause,
    PolicyMemory,
    ProtectionMemory,
    RateMemory,
    SensorMemory,
    StateMemory,
    StopMemory,
)
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S
from tinybms_bridge.battery.saved_fields import Counter, Flag, Items, Number, OneOf, Rule
from tinybms_bridge.battery.saved_state import NOT_SAVED, SAVING, SavedState

LARGE = 1e9
"""Bound of amounts that have none of their own."""


def values_of(rule: Rule, start: object) -> st.SearchStrategy[Any]:
    """Return values that a rule accepts, and None where that is the start value."""
    found: st.SearchStrategy[Any]
    match rule:
        case Flag():
            found = st.booleans()
        case Number(least, most):
            found = st.floats(least, min(most, LARGE), exclude_min=rule.above_least)
        case Counter():
            found = st.integers(0, (1 << 32) - 1)
        case OneOf(members):
            found = st.sampled_from(members)
        case Items(each, most):
            found = st.lists(values_of(each, 0), max_size=most).map(tuple)
        case _:
            raise AssertionError(rule)
    return found | st.none() if start is None else found


def documents_of(*, whole: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Return documents of which every value makes sense by itself; with all of them, or with some."""
    start = SavedState()
    parts: dict[str, dict[str, st.SearchStrategy[Any]]] = {}
    for each in SAVING.fields:
        value = values_of(each.rule, attrgetter(each.path)(start))
        parts.setdefault(each.section, {})[each.key] = value
    if whole:
        return st.fixed_dictionaries({name: st.fixed_dictionaries(part) for name, part in parts.items()})
    return st.fixed_dictionaries(
        {}, optional={name: st.fixed_dictionaries({}, optional=part) for name, part in parts.items()}
    )


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**400, 10**401)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([state.value for state in ChargeState])
)
SECTIONS = {name: part for name, part in SavedState().to_document().items() if isinstance(part, dict)}
"""What is saved, by section; also sections that are added later are tested with whatever a file may hold."""

keys = st.text(max_size=6) | st.sampled_from(
    ["version", *SECTIONS, *(key for part in SECTIONS.values() for key in part)]
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
)
likely_documents = st.fixed_dictionaries(
    {},
    optional={
        name: documents | st.fixed_dictionaries({}, optional=dict.fromkeys(part, scalars))
        for name, part in SECTIONS.items()
    },
)


def leaves(value: object) -> list[object]:
    """Return the single values of a document."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    return [value]


@given(documents_of(whole=False))
def test_round_trip_through_json(document: dict[str, Any]) -> None:
    """What was saved is what is loaded, to the last bit, through the text of a file."""
    saved = SavedState.from_document(json.loads(json.dumps(document)))
    assert SavedState.from_document(json.loads(json.dumps(saved.to_document()))) == saved
    assert SavedState.of(saved.energy, saved.memory, charging_told=saved.charging_told) == saved


@given(documents_of(whole=True))
def test_no_value_is_lost(document: dict[str, Any]) -> None:
    """Each value that makes sense is read and written again, under the same section and key."""
    document = json.loads(json.dumps(document))
    written = json.loads(json.dumps(SavedState.from_document(document).to_document()))
    depend: dict[str, Any] = {"protection": {}, "pause": {}, "balancing": {}}  # a part of them alone is none
    assert {**written, **depend} == {**document, **depend}
    assert {name: set(part) for name, part in written.items()} == {name: set(part) for name, part in document.items()}


def test_the_whole_of_what_depends_on_each_other_is_kept() -> None:
    """Cap and knee, the pause and the balancing day come back as they were."""
    document = {
        "protection": {"cap_v": 55.0, "knee_v": 55.5, "since_knee_s": 3.0},
        "pause": {"on": True, "length_s": 120.0, "since_s": 4.0, "charged_ah": 0.5},
        "balancing": {
            "spread_ah": 2.0,
            "work_ah": 3.0,
            "at_least": True,
            "day": True,
            "day_s": 5.0,
            "day_at_lifetime_s": 6,
            "bled_ah": 7.0,
            "bled_from_lifetime_s": 8,
            "bled_to_lifetime_s": 9,
        },
    }
    written = SavedState.from_document(document).to_document()
    assert {name: written[name] for name in document} == document


def leaf_paths(cls: type[Any], path: str = "") -> Iterator[str]:
    """Return the path of every field of a dataclass and of those in it; what is not saved as a whole is one field."""
    for name, hint in get_type_hints(cls).items():
        below = f"{path}{name}"
        if is_dataclass(hint) and isinstance(hint, type) and below not in NOT_SAVED:
            yield from leaf_paths(hint, f"{below}.")
        else:
            yield below


def test_every_field_is_saved_or_named_with_its_reason() -> None:
    """A field that is added to a memory is saved by itself, or somebody has said why it begins again."""
    saved = [each.path for each in SAVING.fields]
    assert sorted(leaf_paths(SavedState)) == sorted([*saved, *NOT_SAVED])
    assert len({(each.section, each.key) for each in SAVING.fields}) == len(saved)
    assert all(len(reason) > 10 for reason in NOT_SAVED.values())


def test_the_file_has_the_sections_and_keys_of_the_last_version() -> None:
    """A file of 0.1 is read by this version, and the other way round."""
    keys = {
        "energy": "charged_wh discharged_wh charged_ah discharged_ah",
        "charge": "state float_latched hold_elapsed_s hold_spent hold_capped float_capped recovered_s fed_in_s",
        "policy": "full full_soc_percent full_at_lifetime_s tail_s uneven uneven_s above_window below_window "
        "full_once_done force_charge",
        "protection": "cap_v knee_v since_knee_s",
        "sensors": "external_1_c external_2_c internal_c blind_s soc_percent",
        "chemistry": "lowest",
        "pause": "on length_s since_s charged_ah",
        "resistance": "factors",
        "balancing": "spread_ah work_ah at_least day day_s day_at_lifetime_s bled_ah bled_from_lifetime_s "
        "bled_to_lifetime_s",
        "soc": "percent bms_percent lifetime_s since_full_ah full charged uneven empty full_at_s off_percent drift_a",
        "feed_in": "seen_at_lifetime_s unheeded_at_lifetime_s",
        "rebulk": "low_s begun_at_s",
        "evidence": "flowing_s capacity_ah at_least cells seen full_at_s since_full_ah low_ah low_at_s low_share "
        "low_at_least low_cells low_middle",
        "told": "charge_defaults",
        "limits": "cvl_v ccl_a dcl_a at_lifetime_s",
        "stopped": "too_cold_or_hot empty charge_level_v",
    }
    assert {name: set(part) for name, part in SECTIONS.items()} == {
        name: set(key.split()) for name, key in keys.items()
    }


@given(documents | likely_documents)
def test_any_document_gives_a_state_to_start_with(document: Any) -> None:
    """A damaged, foreign or newer file never stops the bridge, and never gives it a value that makes no sense."""
    state = SavedState.from_document(document)
    assert all(type(amount) is float and amount >= 0.0 for amount in astuple(state.energy))
    assert isinstance(state.memory.states.state, ChargeState)
    assert type(state.memory.states.float_latched) is bool
    assert type(state.memory.states.hold_spent) is bool
    assert state.memory.states.hold_elapsed_s >= 0.0
    assert all(math.isfinite(leaf) for leaf in leaves(state.to_document()) if isinstance(leaf, float))
    assert SavedState.from_document(json.loads(json.dumps(state.to_document()))) == state, "it can be saved again"


def test_document_is_what_a_person_can_read() -> None:
    """The file names the units and the charge state in words."""
    state = SavedState(EnergyTotals(1.5, 2.5, 3.5, 4.5), Memory(StateMemory(ChargeState.FLOAT, True, 12.0, True)))
    document = json.loads(json.dumps(state.to_document()))
    assert document["energy"] == {"charged_wh": 1.5, "discharged_wh": 2.5, "charged_ah": 3.5, "discharged_ah": 4.5}
    assert document["charge"] == {
        "state": "FLOAT",
        "float_latched": True,
        "hold_elapsed_s": 12.0,
        "hold_spent": True,
        "hold_capped": True,
        "float_capped": False,
        "recovered_s": 0.0,
        "fed_in_s": 0.0,
    }


@pytest.mark.parametrize("document", [None, [], "FLOAT", 7, {}, {"energy": 3, "charge": []}, {"energy": None}])
def test_document_without_content_gives_the_start_values(document: Any) -> None:
    """Nothing usable is the same as nothing saved: counters at 0, BULK."""
    assert SavedState.from_document(document) == SavedState()


def test_one_bad_value_does_not_cost_the_others() -> None:
    """A counter that is damaged starts at 0; the counters beside it go on."""
    energy = {"charged_wh": 100.0, "discharged_wh": "many", "charged_ah": -3.0, "discharged_ah": 4}
    charge = {"state": "ABSORPTION", "float_latched": True, "hold_elapsed_s": math.nan}
    state = SavedState.from_document({"energy": energy, "charge": charge})
    assert state.energy == EnergyTotals(100.0, 0.0, 0.0, 4.0)
    assert state.memory.states == StateMemory(ChargeState.BULK, float_latched=True, float_capped=True)


def test_a_file_that_knows_no_cap_of_float_has_one() -> None:
    """A bridge that was updated in FLOAT goes on with its small current."""
    charge = {"state": "FLOAT", "float_latched": True}
    assert SavedState.from_document({"charge": charge}).memory.states.float_capped
    assert not SavedState.from_document({"charge": {**charge, "float_capped": False}}).memory.states.float_capped


@pytest.mark.parametrize("value", [1, 1.0, "true", "yes", [True], {"value": True}, None])
def test_only_true_is_true(value: Any) -> None:
    """A latch is restored from true alone; what merely looks like it counts as not latched."""
    charge = {"state": "FLOAT", "float_latched": value, "hold_spent": value}
    assert SavedState.from_document({"charge": charge}).memory.states == StateMemory(ChargeState.FLOAT)


@pytest.mark.parametrize("value", [True, math.inf, -math.inf, math.nan, 10**400, "5", [5], -1])
def test_amounts_that_are_no_amounts_are_zero(value: Any) -> None:
    """Infinity, a number too large for a float, a switch or a text are no energy."""
    assert SavedState.from_document({"energy": {"charged_wh": value}}).energy.charged_wh == 0.0


@pytest.mark.parametrize(
    ("saved", "loaded_percent"),
    [
        *((good, float(good)) for good in (0, 83.5, 100.4)),
        *((bad, 100.0) for bad in (101.5, -1.0, math.nan, True, "83", None, 10**400)),
    ],
)
def test_soc_of_a_full_battery_is_a_soc(saved: Any, loaded_percent: float) -> None:
    """A damaged SOC is read as 100 %: a lower one would keep a battery "full" while it runs empty."""
    policy = SavedState.from_document({"policy": {"full": True, "full_soc_percent": saved}}).memory.policy
    assert policy == PolicyMemory(full=True, full_soc_percent=loaded_percent)


@pytest.mark.parametrize("value", [-1, 1 << 32, 5.0, True, "77", None, math.nan])
def test_time_of_the_last_full_charge_is_a_counter(value: Any) -> None:
    """What is no value of the 32-bit counter means that nothing is known, and a full charge is due."""
    assert SavedState.from_document({"policy": {"full_at_lifetime_s": value}}).memory.policy.full_at_lifetime_s is None


@pytest.mark.parametrize("counter", [0, 77, (1 << 32) - 1])
def test_counter_is_kept(counter: int) -> None:
    """Every value that the counter can have survives, 0 as well."""
    assert (
        SavedState.from_document({"policy": {"full_at_lifetime_s": counter}}).memory.policy.full_at_lifetime_s
        == counter
    )


@pytest.mark.parametrize(
    "protection",
    [
        {"cap_v": 55.0},
        {"knee_v": 55.0, "since_knee_s": 10.0},
        {"cap_v": 55.0, "knee_v": None},
        {"cap_v": 0.0, "knee_v": 55.0},
        {"cap_v": math.nan, "knee_v": 55.0},
        {"cap_v": "55", "knee_v": 55.0},
        [],
        None,
    ],
)
def test_half_a_lesson_is_none(protection: Any) -> None:
    """Cell protection remembers cap and knee together; one without the other would fail later."""
    assert SavedState.from_document({"protection": protection}).memory.protection == ProtectionMemory()


def test_of_balancing_the_present_phase_is_not_saved() -> None:
    """How far the cells are apart, the day and what was bled come back; the phase begins anew with the next sample."""
    kept = BalancingMemory(8.0, 9.0, day=True, day_s=600.0, day_at_lifetime_s=7, bled_ah=2.0, bled_from_lifetime_s=1)
    memory = Memory(balancing=replace(kept, phase=BalancingPhase.REST, level_v=53.0, away_ah=-1.0, raised_a=1.0))
    document = json.loads(json.dumps(SavedState.of(EnergyTotals(), memory).to_document()))
    assert SavedState.from_document(document).memory.balancing == kept


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, 1e9, "8", True, None])
def test_a_spread_that_makes_no_sense_is_none(value: Any) -> None:
    """More than a TinyBMS can count, or no number; without a spread there is no balancing day either."""
    document = {"balancing": {"spread_ah": value, "day": True, "bled_ah": value, "bled_from_lifetime_s": 5}}
    balancing = SavedState.from_document(document).memory.balancing
    assert (balancing.spread_ah, balancing.day, balancing.bled_ah) == (None, False, 0.0)


def test_files_of_an_older_bridge_are_read() -> None:
    """A file from before policy and protection were saved keeps its counters and its charge state."""
    document = {"version": 1, "energy": {"charged_wh": 7.0}, "charge": {"state": "FLOAT", "float_latched": True}}
    state = SavedState.from_document(document)
    assert (state.energy.charged_wh, state.memory.states.state) == (7.0, ChargeState.FLOAT)
    assert (state.memory.policy, state.memory.protection) == (PolicyMemory(), ProtectionMemory())


def test_a_capacity_from_one_way_alone_is_not_taken_over() -> None:
    """Earlier versions saved it beside the count; what use has shown begins anew, and the count goes on."""
    state = SavedState.from_document({"version": 2, "soc": {"percent": 71.0, "full_at_s": 9, "capacity_ah": 40.0}})
    assert (state.memory.soc.percent, state.memory.soc.anchors.full_at_s, state.memory.evidence) == (
        71.0,
        9,
        NO_EVIDENCE,
    )


@pytest.mark.parametrize("value", ["x", None, [1.0, "x"], [0.5, -1.0], [1.0] * 17, {"1": 1.0}, [math.nan]])
def test_shares_of_cells_are_whole_or_not_there(value: Any) -> None:
    """A damaged list blames no cell."""
    assert SavedState.from_document({"evidence": {"cells": value, "seen": value}}).memory.evidence == NO_EVIDENCE


def test_policy_and_protection_in_the_document() -> None:
    """Both are written under names with their units."""
    state = SavedState(memory=Memory(policy=PolicyMemory(full=True), protection=ProtectionMemory(57.1, 57.3, 12.0)))
    document = json.loads(json.dumps(state.to_document()))
    assert document["protection"] == {"cap_v": 57.1, "knee_v": 57.3, "since_knee_s": 12.0}
    assert document["policy"]["full"] is True
    assert document["policy"]["full_at_lifetime_s"] is None


def test_what_is_known_of_chargers_survives() -> None:
    """When they were last seen above CVL, and when they last passed CCL; what is not yet shown begins anew."""
    memory = Memory(feed_in=FeedInMemory(5, 12.0, 7, 2))
    document = json.loads(json.dumps(SavedState.of(EnergyTotals(), memory).to_document()))

    assert document["feed_in"] == {"seen_at_lifetime_s": 5, "unheeded_at_lifetime_s": 7}
    assert SavedState.from_document(document).memory.feed_in == FeedInMemory(5, 0.0, 7)
    assert SavedState.from_document({"feed_in": {"seen_at_lifetime_s": 5}}).memory.feed_in == FeedInMemory(5)


def test_limits_in_force_and_latches_survive() -> None:
    """What was held back, and why, is there again after a restart; that it is in force is not."""
    memory = Memory(
        rates=RateMemory(54.0, 9.0, 0.0, 3.0, 77, running=True),
        too_cold_or_hot=True,
        discharge=DischargeMemory(Pause(True, 120.0, 30.0, 1.5), emptied=True, low_s=1.0, limit_a=7.0),
        stop=StopMemory(52.7, 4.0),
        sensors=SensorMemory(-10.0, None, 12.0, 10.0, 61.5),
    )
    document = json.loads(json.dumps(SavedState.of(EnergyTotals(), memory).to_document()))
    restarted = SavedState.from_document(document).memory

    assert (document["limits"], document["stopped"]) == (
        {"cvl_v": 54.0, "ccl_a": 9.0, "dcl_a": 0.0, "at_lifetime_s": 77},
        {"too_cold_or_hot": True, "empty": True, "charge_level_v": 52.7},
    )
    assert restarted.stop == StopMemory(52.7)
    assert (document["sensors"], restarted.sensors) == (
        {"external_1_c": -10.0, "external_2_c": None, "internal_c": 12.0, "blind_s": 10.0, "soc_percent": 61.5},
        SensorMemory(-10.0, None, 12.0, 10.0, 61.5),
    )
    assert restarted.rates == RateMemory(54.0, 9.0, 0.0)
    assert restarted.rates.at_lifetime_s == 77
    assert restarted.too_cold_or_hot
    assert restarted.discharge == DischargeMemory(Pause(True, 120.0, 30.0, 1.5), emptied=True)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"cvl_v": 0.0, "ccl_a": 0.0, "dcl_a": -0.0}, RateMemory(None, 0.0, 0.0)),
        ({"cvl_v": -54.0, "ccl_a": math.nan, "dcl_a": True}, RateMemory()),
        ({"cvl_v": "54", "ccl_a": math.inf, "dcl_a": 10**400}, RateMemory()),
        ({}, RateMemory()),
    ],
)
def test_limits_that_make_no_sense_are_none(limits: dict[str, Any], expected: RateMemory) -> None:
    """A CVL of 0 or a current below 0 was never in force; each limit by itself."""
    assert SavedState.from_document({"limits": limits}).memory.rates == expected


@pytest.mark.parametrize(
    ("change", "urgent"),
    [
        ({}, False),
        ({"energy": EnergyTotals(99.0, 99.0, 500.0, 500.0)}, False),
        ({"energy": EnergyTotals(charged_wh=100.0)}, True),
        ({"energy": EnergyTotals(discharged_wh=100.0)}, True),
        ({"states": StateMemory(ChargeState.FLOAT)}, True),
        ({"states": StateMemory(hold_elapsed_s=7.0, recovered_s=7.0, fed_in_s=7.0)}, False),
        ({"policy": PolicyMemory(tail_s=7.0, full_soc_percent=99.0, uneven_s=7.0)}, False),
        ({"policy": PolicyMemory(uneven=True)}, True),
        ({"policy": PolicyMemory(above_window=True)}, True),
        ({"policy": PolicyMemory(full_at_lifetime_s=5)}, True),
        ({"protection": ProtectionMemory(56.0, 56.5)}, True),
        ({"too_cold_or_hot": True}, True),
        ({"discharge": DischargeMemory(emptied=True)}, True),
        ({"discharge": DischargeMemory(Pause(True, 60.0))}, True),
        ({"stop": StopMemory(53.0)}, True),
        ({"feed_in": FeedInMemory(5)}, True),
        ({"feed_in": FeedInMemory(disobeyed_at_lifetime_s=5)}, True),
        ({"feed_in": FeedInMemory(passed=1, above_s=9.0)}, False),
        ({"sensors": SensorMemory(5.0)}, True),
        ({"evidence": Evidence(flowing_s=7.0, since_full_ah=-7.0, low_ah=-9.0)}, False),
        ({"evidence": Evidence(flowing_s=UNLEARNED_S)}, True),
        ({"evidence": Evidence(capacity_ah=70.0)}, True),
        ({"rates": RateMemory(58.4, 90.0, 130.0)}, False),
        ({"rates": RateMemory(58.2, 50.0, 70.0)}, False),
        ({"rates": RateMemory(58.0, 80.0, 120.0)}, True),
        ({"rates": RateMemory(58.4, 30.0, 120.0)}, True),
        ({"rates": RateMemory(58.4, 80.0, 0.0)}, True),
    ],
)
def test_what_matters_after_a_restart_is_urgent(change: dict[str, Any], urgent: bool) -> None:
    """A latch, a limit that fell, a step of frame 0x378: soon on disk. Other changes wait for the interval."""
    saved = SavedState(memory=Memory(rates=RateMemory(58.4, 80.0, 120.0)))
    energy = change.pop("energy", saved.energy)
    assert SavedState(energy, replace(saved.memory, **change)).urgent_after(saved) is urgent


@pytest.mark.parametrize("value", [True, "5", math.nan, math.inf, -101.0, 10**400, [5.0]])
def test_a_reading_that_makes_no_sense_is_none(value: Any) -> None:
    """A damaged reading must neither stop charging for good nor count as warm."""
    document = {"sensors": {"external_1_c": value, "external_2_c": 7}}
    assert SavedState.from_document(document).memory.sensors == SensorMemory(None, 7.0)
