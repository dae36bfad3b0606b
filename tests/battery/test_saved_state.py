import json
import math
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import ChargeState, StateMemory
from tinybms_bridge.battery.saved_state import SavedState

amounts = st.floats(0.0, allow_nan=False, allow_infinity=False)
totals = st.builds(EnergyTotals, amounts, amounts, amounts, amounts)
memories = st.builds(StateMemory, st.sampled_from(ChargeState), st.booleans(), amounts, st.booleans())

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


@given(totals, memories)
def test_round_trip_through_json(energy: EnergyTotals, states: StateMemory) -> None:
    """What was saved is what is loaded, to the last bit, through the text of a file."""
    saved = SavedState(energy, states)
    assert SavedState.from_document(json.loads(json.dumps(saved.to_document()))) == saved


@given(documents | likely_documents)
def test_any_document_gives_a_state_to_start_with(document: Any) -> None:
    """A damaged, foreign or newer file never stops the bridge, and never gives it a value that makes no sense."""
    state = SavedState.from_document(document)
    assert all(type(amount) is float and amount >= 0.0 for amount in astuple(state.energy))
    assert isinstance(state.states.state, ChargeState)
    assert type(state.states.float_latched) is bool
    assert type(state.states.hold_spent) is bool
    assert state.states.hold_elapsed_s >= 0.0
    assert all(math.isfinite(leaf) for leaf in leaves(state.to_document()) if isinstance(leaf, float))
    assert SavedState.from_document(json.loads(json.dumps(state.to_document()))) == state, "it can be saved again"


def test_document_is_what_a_person_can_read() -> None:
    """The file names its version, the units and the charge state in words."""
    state = SavedState(EnergyTotals(1.5, 2.5, 3.5, 4.5), StateMemory(ChargeState.FLOAT, True, 12.0, True))
    document = json.loads(json.dumps(state.to_document()))
    assert document["version"] == 1
    assert document["energy"] == {"charged_wh": 1.5, "discharged_wh": 2.5, "charged_ah": 3.5, "discharged_ah": 4.5}
    assert document["charge"] == {
        "state": "FLOAT",
        "float_latched": True,
        "hold_elapsed_s": 12.0,
        "hold_spent": True,
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
    assert state.states == StateMemory(ChargeState.BULK, float_latched=True)


@pytest.mark.parametrize("value", [1, 1.0, "true", "yes", [True], {"value": True}, None])
def test_only_true_is_true(value: Any) -> None:
    """A latch is restored from true alone; what merely looks like it counts as not latched."""
    charge = {"state": "FLOAT", "float_latched": value, "hold_spent": value}
    assert SavedState.from_document({"charge": charge}).states == StateMemory(ChargeState.FLOAT)


@pytest.mark.parametrize("value", [True, math.inf, -math.inf, math.nan, 10**400, "5", [5], -1])
def test_amounts_that_are_no_amounts_are_zero(value: Any) -> None:
    """Infinity, a number too large for a float, a switch or a text are no energy."""
    assert SavedState.from_document({"energy": {"charged_wh": value}}).energy.charged_wh == 0.0
