"""Limits as frame 0x351 carries them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.bench.wire import Bursts, Sent, quantised


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


HIGH = quantised(57.6, 180.0, 270.0, ChargeState.BULK)
LOW = quantised(57.6, 0.0, 270.0, ChargeState.BULK)


def on_the_bus(*decided: Sent | None, dt_s: float) -> list[Sent | None]:
    """Return what is on the bus in each step."""
    bursts = Bursts()
    sent = []
    for number, each in enumerate(decided):
        bursts.decide(each, number * dt_s, dt_s)
        sent.append(bursts.sent)
    return sent


def test_a_decision_goes_out_with_the_next_burst() -> None:
    """In steps of a second each step is one."""
    assert on_the_bus(HIGH, LOW, LOW, dt_s=1.0) == [None, HIGH, LOW]


def test_a_long_step_holds_a_burst_of_its_own() -> None:
    """Ten seconds are ten bursts."""
    assert on_the_bus(HIGH, LOW, dt_s=10.0) == [HIGH, LOW]


def test_a_rise_waits_for_its_burst_and_a_fall_does_not() -> None:
    """In steps of 0.1 s: a fall is on the bus a step after its decision, a rise within a second of the last frame."""
    falls = on_the_bus(*[HIGH] * 15, *[LOW] * 5, dt_s=0.1)
    rises = on_the_bus(*[LOW] * 15, *[HIGH] * 20, dt_s=0.1)

    assert falls[15:17] == [HIGH, LOW]
    assert rises[15] == rises[17] == LOW
    assert HIGH in rises[16:28]


def test_silence_is_at_once() -> None:
    """Nothing repeats old frames."""
    assert on_the_bus(HIGH, HIGH, None, HIGH, dt_s=0.1)[2] is None
