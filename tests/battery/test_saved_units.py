"""What is kept of every unit."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import ChargeState, Evidence, Memory, StateMemory
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import NO_SERIAL, SavedBattery, SavedUnits, key_by_name, unit_key

A, B = "36000000000000000000000A", "36000000000000000000000B"


def state(charged_wh: float) -> SavedState:
    """Return a state that is told apart by its counter."""
    return SavedState(EnergyTotals(charged_wh=charged_wh), Memory(StateMemory(ChargeState.FLOAT, float_latched=True)))


@pytest.mark.parametrize(
    ("serial_number", "key"),
    [
        (A, A),
        (A.lower(), A),
        ("", NO_SERIAL),
        ("  ", NO_SERIAL),
        ("0" * 24, NO_SERIAL),
        ("F" * 24, NO_SERIAL),
        ("f" * 24, NO_SERIAL),
        ("0" * 23 + "F", "0" * 23 + "F"),
    ],
)
def test_key_of_a_unit(serial_number: str, key: str) -> None:
    """Its serial number; memory that was never written is none."""
    assert unit_key(serial_number) == key


def test_todays_file_is_adopted_by_the_first_unit_only() -> None:
    """A file from before units were told apart has the counters of the battery that is there, not of the next one."""
    old = SavedUnits.from_document(json.loads(json.dumps({"version": 1, **state(500.0).to_document()})))
    assert (old.state, old.current) == (state(500.0), None)
    first = old.meet(A)
    assert (first.state, first.current, first.unclaimed) == (state(500.0), A, None)
    assert first.meet(B).state == SavedState()
    assert first.meet(B).meet(A).state == state(500.0)


def test_units_keep_their_own() -> None:
    """Two packs that take turns: each finds what it had, also over a restart."""
    kept = SavedUnits().meet(A).with_state(state(1.0)).meet(B).with_state(state(2.0))
    again = SavedUnits.from_document(json.loads(json.dumps(kept.to_document())))
    assert again == kept
    assert (again.state, again.meet(A).state) == (state(2.0), state(1.0))
    assert (again.energy_of(A).charged_wh, again.energy_of(B).charged_wh, again.energy_of("C").charged_wh) == (1, 2, 0)


def test_a_unit_that_is_in_use_changes_nothing() -> None:
    """It is met at every connection."""
    kept = SavedUnits().meet(A).with_state(state(1.0))
    assert kept.meet(A) is kept


def test_the_number_of_units_is_bounded() -> None:
    """A workshop that tests hundreds of units; those of the last weeks are known."""
    kept = SavedUnits()
    for number in range(100):
        kept = kept.meet(f"{number:024X}").with_state(state(float(number)))
    assert len(kept.units) == 32
    assert kept.meet(f"{70:024X}").state == state(70.0)
    assert kept.meet(f"{10:024X}").state == SavedState()


NAMES = st.sampled_from(["version", "unit", "units", "unclaimed", "energy", "charged_wh", A]) | st.text()
LEAVES = st.none() | st.booleans() | st.integers() | st.text()
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner))


@given(DOCUMENTS)
def test_any_document_gives_something_to_start_with(document: Any) -> None:
    """And it can be saved again."""
    found = SavedUnits.from_document(document)
    assert isinstance(found.state, SavedState)
    assert SavedUnits.from_document(json.loads(json.dumps(found.to_document()))) == found


MOVES = st.lists(
    st.tuples(st.sampled_from(["meet", "count", "restart"]), st.sampled_from([A, B, NO_SERIAL])), max_size=30
)


@given(st.none() | st.floats(0.0, 1e6), MOVES)
def test_no_unit_ever_gets_the_counters_of_another(old_wh: float | None, moves: list[tuple[str, str]]) -> None:
    """Whatever is plugged in when: a unit has what was counted with it, and the first one the old counter besides."""
    kept = SavedUnits() if old_wh is None else SavedUnits(unclaimed=state(old_wh))
    expected: dict[str, float] = {}
    for move, key in moves:
        if move == "meet":
            expected.setdefault(key, 0.0 if expected else old_wh or 0.0)
            kept = kept.meet(key)
        elif move == "count" and kept.current is not None:
            expected[kept.current] += 1.0
            kept = kept.with_state(state(expected[kept.current]))
        else:
            kept = SavedUnits.from_document(json.loads(json.dumps(kept.to_document())))
        assert {unit: saved.energy.charged_wh for unit, saved in kept.units.items()} == expected


FOUR = {"a": A, "b": B, "c": "36000000000000000000000C", "d": "36000000000000000000000D"}


def four(kept: SavedUnits | None = None) -> SavedUnits:
    """Return four packs that have met their units."""
    kept = kept or SavedUnits()
    for pack, key in FOUR.items():
        kept = kept.meet_as(pack, key)
    return kept


def battery(charged_wh: float) -> SavedBattery:
    """Return what is kept of a battery, told apart by its counter."""
    return SavedBattery(state(charged_wh), 5000, {"a": 100, "b": 200})


def again(kept: SavedUnits) -> SavedUnits:
    """Return what a restart finds."""
    return SavedUnits.from_document(json.loads(json.dumps(kept.to_document())))


def test_packs_and_their_battery_survive_a_restart() -> None:
    """Which unit each pack is, what each has counted, and the battery's own counters and clock."""
    states = {pack: state(float(number)) for number, pack in enumerate(FOUR)}
    kept = four().with_packs(states, battery(77.0))
    found = again(kept)
    assert found == kept
    assert found.packs == FOUR
    assert [found.energy_of_pack(pack).charged_wh for pack in ("a", "d", "")] == [0.0, 3.0, 77.0]
    assert found.of_battery() == battery(77.0)


@pytest.mark.parametrize("version", [1, 2])
def test_the_first_of_several_adopts_todays_state(version: int) -> None:
    """One pack becomes four: its counters are those of the pack that has its unit, and where the battery goes on."""
    kept = SavedUnits(unclaimed=state(500.0)) if version == 1 else SavedUnits().meet(A).with_state(state(500.0))
    kept = again(kept)
    assert kept.of_battery().state.energy.charged_wh == 500.0
    found = four(kept)
    assert [found.of_pack(pack).energy.charged_wh for pack in FOUR] == [500.0, 0.0, 0.0, 0.0]
    assert found.unclaimed is None


def test_the_battery_takes_over_no_memory_of_the_unit() -> None:
    """What was learned of the cells of one unit does not count for four."""
    memory = replace(state(1.0).memory, evidence=Evidence(capacity_ah=80.0))
    kept = SavedUnits().meet(A).with_state(replace(state(1.0), memory=memory))
    found = kept.of_battery().state.memory
    assert found.evidence == Evidence()
    assert found.states == memory.states, "where it was in charging is of the battery"


def test_a_unit_without_a_number_is_adopted_too() -> None:
    """It was the only one, and is the first of several now."""
    kept = SavedUnits().meet(NO_SERIAL).with_state(state(9.0))
    assert kept.meet_as("a", key_by_name("a")).of_pack("a") == state(9.0)


def test_back_to_one_pack_and_to_several_again() -> None:
    """One has its unit's own counters; what was counted for the battery is kept meanwhile, and goes on."""
    kept = four().with_packs({pack: state(float(number)) for number, pack in enumerate(FOUR)}, battery(77.0))
    alone = again(kept).meet(B)
    assert alone.state == state(1.0)
    alone = again(alone.with_state(state(50.0)))
    assert alone.of_battery() == battery(77.0)
    assert alone.packs == FOUR
    assert alone.of_pack("b") == state(50.0)


def test_a_unit_is_one_pack_only() -> None:
    """Where it is met as another one, it is that one with all that it has."""
    kept = four().with_packs({pack: state(float(number)) for number, pack in enumerate(FOUR)}, battery(1.0))
    moved = kept.meet_as("d", B)
    assert moved.packs == {"a": A, "c": FOUR["c"], "d": B}
    assert (moved.of_pack("d"), moved.of_pack("b")) == (state(1.0), SavedState())
    assert moved.meet_as("d", FOUR["d"]).of_pack("d") == state(3.0), "what the other one had is kept"


def test_a_unit_that_tells_its_number_late_goes_on() -> None:
    """It is the one that was there; but a number that is known already has its own counters."""
    kept = SavedUnits().meet_as("a", key_by_name("a")).with_packs({"a": state(5.0)}, battery(1.0))
    assert kept.meet_as("a", A, same=True).of_pack("a") == state(5.0)
    assert kept.meet_as("a", A).of_pack("a") == SavedState()
    known = kept.meet_as("b", A).with_packs({"b": state(7.0)}, battery(1.0))
    assert known.meet_as("a", A, same=True).of_pack("a") == state(7.0)


def test_units_that_share_a_number_are_known_by_their_packs() -> None:
    """From the moment on at which it is found out, over restarts; the first one keeps its counters."""
    kept = four().with_packs({"a": state(5.0)}, battery(1.0))
    assert not kept.is_double(A)
    double = again(kept.with_double(A, "a").meet_as("b", key_by_name("b", A)))
    assert double.is_double(A)
    assert not double.is_double(B)
    assert not double.is_double(NO_SERIAL)
    assert (double.of_pack("a"), double.of_pack("b")) == (state(5.0), SavedState())
    assert A not in double.units


def test_units_in_use_are_never_forgotten() -> None:
    """However many units pass through one port, the other packs keep theirs."""
    kept = four().with_packs({pack: state(1.0 + number) for number, pack in enumerate(FOUR)}, battery(1.0))
    for number in range(100, 200):
        kept = kept.meet_as("d", f"{number:024X}")
    assert len(kept.units) == 32
    assert [kept.of_pack(pack).energy.charged_wh for pack in "abc"] == [1.0, 2.0, 3.0]
    for number in range(200, 300):
        kept = kept.meet(f"{number:024X}")
    assert [kept.of_pack(pack).energy.charged_wh for pack in "abc"] == [1.0, 2.0, 3.0]


def test_what_is_urgent_of_several_packs() -> None:
    """Another unit, much energy of a unit or of the battery, and the first time that there are several."""
    saved = four().with_packs({"a": state(5.0)}, battery(1.0))
    assert not saved.urgent_after(saved)
    assert not saved.with_packs({"a": state(5.1)}, battery(1.1)).urgent_after(saved)
    assert saved.with_packs({"a": state(9000.0)}, battery(1.0)).urgent_after(saved)
    assert saved.with_packs({"a": state(5.0)}, battery(9000.0)).urgent_after(saved)
    assert saved.meet_as("a", "36000000000000000000000E").urgent_after(saved)
    assert four().urgent_after(SavedUnits())
    alone = saved.meet(A)
    assert alone.with_state(state(9000.0)).urgent_after(alone), "also of one pack that was one of several"


@pytest.mark.parametrize(
    "document",
    [
        {"units": {}, "packs": {"a": A}, "battery": 3},
        {"units": {A: {}}, "packs": {"a": 5, "b": A}, "battery": {"clock": 1}},
        {
            "units": {A: {}},
            "packs": [A],
            "battery": {"clock": {"lifetime_s": -1, "counters_s": {"a": 2**40, "b": "x"}}},
        },
        {"units": {A: {}}, "packs": {"a": A}, "battery": {"clock": {"lifetime_s": True, "counters_s": [1]}}},
    ],
)
def test_a_damaged_part_costs_that_part_only(document: dict[str, Any]) -> None:
    """A pack whose unit is not kept begins anew; a clock that makes no sense is 0."""
    found = SavedUnits.from_document(document)
    assert found.packs.keys() <= {"a", "b"}
    assert all(key in found.units for key in found.packs.values())
    assert found.of_battery().lifetime_s == 0
    assert found.of_battery().counters_s == {}
    assert again(found) == found


PACK_MOVES = st.lists(
    st.tuples(
        st.sampled_from(["meet", "count", "restart", "one"]),
        st.sampled_from("abc"),
        st.sampled_from([A, B, "C", "D", key_by_name("a")]),
    ),
    max_size=40,
)


@given(st.none() | st.floats(0.0, 1e6), PACK_MOVES)
def test_no_pack_ever_gets_the_counters_of_another_unit(
    old_wh: float | None, moves: list[tuple[str, str, str]]
) -> None:
    """Whatever is plugged in where: a unit has what was counted with it, and the battery's counter never falls."""
    kept = SavedUnits() if old_wh is None else SavedUnits(unclaimed=state(old_wh))
    expected: dict[str, float] = {}
    whole_wh = old_wh or 0.0
    for move, pack, key in moves:
        if move == "meet":
            expected.setdefault(key, 0.0 if expected else old_wh or 0.0)
            kept = kept.meet_as(pack, key)
        elif move == "count" and pack in kept.packs:
            whole_wh += 1.0
            expected[kept.packs[pack]] += 1.0
            kept = kept.with_packs({pack: state(expected[kept.packs[pack]])}, battery(whole_wh))
        elif move == "one" and expected:
            expected.setdefault(key, 0.0)
            kept = kept.meet(key)
        else:
            kept = again(kept)
        assert {unit: saved.energy.charged_wh for unit, saved in kept.units.items()} == expected
        assert len(set(kept.packs.values())) == len(kept.packs)
        if kept.battery is not None:
            assert kept.of_battery().state.energy.charged_wh == whole_wh
