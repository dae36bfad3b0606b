"""What is kept of every unit."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import ChargeState, Memory, StateMemory
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import NO_SERIAL, SavedUnits, unit_key

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
