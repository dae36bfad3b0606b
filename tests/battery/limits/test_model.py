import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState, Freshness, LimitCode, Limits, Quantity, Reason, in_wire_steps
from tinybms_bridge.battery.limits.model import down_to_step, up_to_step

numbers = st.floats(0.0, 3000.0)


@pytest.mark.parametrize(
    ("limit", "low", "high"),
    [(54.75, 54.7, 54.8), (57.6, 57.6, 57.6), (0.1 + 0.2, 0.3, 0.3), (0.3 - 1e-9, 0.3, 0.3), (0.05, 0.0, 0.1)],
)
def test_steps_beside_a_limit(limit: float, low: float, high: float) -> None:
    """A limit goes down, a floor up; what a sum of decimals misses by a hair is the step itself."""
    assert (down_to_step(limit), up_to_step(limit)) == (low, high)


@given(limit=numbers)
def test_within_one_step_of_what_was_decided(limit: float) -> None:
    """Multiples of 0.1 on either side, less than a step away."""
    low, high = down_to_step(limit), up_to_step(limit)
    assert limit - 0.1 - 1e-6 < low <= limit + 1e-6
    assert limit - 1e-6 <= high < limit + 0.1 + 1e-6
    assert all(math.isclose(step * 10, round(step * 10), abs_tol=1e-9) for step in (low, high))


def test_reasons_carry_what_is_sent() -> None:
    """A reason beside the limit that a GX has got names the same number, and keeps what was measured."""
    reasons = (
        Reason(Quantity.CVL, LimitCode.IMBALANCE, 58.375, 150.0, 100.0, "IMBALANCE_HOLD"),
        Reason(Quantity.CCL, LimitCode.RATE, 12.37, 12.37, 54.0, step=1.8, wait_s=0.0),
        Reason(Quantity.DCL, LimitCode.CONFIGURED, math.nan),
    )
    sent = in_wire_steps(Limits(58.375, 12.37, 100.0, 40.0, ChargeState.BULK, Freshness.FRESH, reasons))

    assert (sent.cvl_v, sent.ccl_a, sent.dcl_a) == (58.3, 12.3, 100.0)
    assert [reason.limit for reason in sent.reasons[:2]] == [58.3, 12.3]
    assert sent.reasons[0] == Reason(Quantity.CVL, LimitCode.IMBALANCE, 58.3, 150.0, 100.0, "IMBALANCE_HOLD")
    assert sent.reasons[1] == Reason(Quantity.CCL, LimitCode.RATE, 12.3, 12.37, 54.0, step=1.8, wait_s=0.0)
    assert sent.reasons[2] is reasons[2]
