"""Limits as frame 0x351 carries them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.bench.wire import Sent, quantised


@pytest.mark.parametrize(
    ("value", "sent"), [(57.64, 57.6), (57.65, 57.7), (57.66, 57.7), (0.0, 0.0), (0.04, 0.0), (0.05, 0.1), (-3.0, 0.0)]
)
def test_values_are_rounded_to_the_nearest_step(value: float, sent: float) -> None:
    """Half away from zero, never below 0."""
    frame = quantised(value, value, value, ChargeState.BULK)

    assert (frame.cvl_v, frame.ccl_a, frame.dcl_a) == (sent, sent, sent)


def test_values_saturate() -> None:
    """What does not fit into 16 bits is sent as the largest value, not wrapped."""
    frame = quantised(1e9, 1e9, 1e9, ChargeState.BULK)

    assert (frame.cvl_v, frame.ccl_a, frame.dcl_a) == (6553.5, 3276.7, 3276.7)


def test_state_and_time_travel_along() -> None:
    """They are not on the bus; the measures need them."""
    assert quantised(57.6, 180.0, 270.0, ChargeState.FLOAT, 12.0) == Sent(57.6, 180.0, 270.0, ChargeState.FLOAT, 12.0)


@given(value=st.floats(0.0, 3000.0))
def test_rounding_never_moves_by_more_than_half_a_step(value: float) -> None:
    """The error of the wire is at most 0.05."""
    assert abs(quantised(value, 0.0, 0.0, ChargeState.BULK).cvl_v - value) <= 0.05 + 1e-6


@given(value=st.floats(0.0, 3000.0))
def test_what_was_on_the_wire_stays_as_it_is(value: float) -> None:
    """Rounding twice changes nothing."""
    once = quantised(value, 0.0, 0.0, ChargeState.BULK).cvl_v

    assert quantised(once, 0.0, 0.0, ChargeState.BULK).cvl_v == once
