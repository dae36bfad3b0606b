import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import LimitCode, Quantity, Reason, explain


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason(Quantity.CVL, LimitCode.CONFIGURED, 58.4, 58.4), "CVL 58.4 V: as configured"),
        (
            Reason(Quantity.CVL, LimitCode.BMS_TARGET, 58.4, 3.65),
            "CVL 58.4 V: full-charge voltage of the BMS, 3.650 V per cell",
        ),
        (Reason(Quantity.DCL, LimitCode.BMS_CURRENT_CUTOFF, 108.0, 120.0), "DCL 108.0 A: the BMS cuts off at 120 A"),
        (Reason(Quantity.CCL, LimitCode.STATE, 5.0, detail="FLOAT"), "CCL 5.0 A: charge state FLOAT"),
        (
            Reason(Quantity.CVL, LimitCode.IMBALANCE, 58.375, 150.0, 100.0),
            "CVL 58.3 V: cells differ by 150 mV, more than 100 mV",
        ),
        (
            Reason(Quantity.DCL, LimitCode.SUSTAIN, 5.0, 4.0, 8.0),
            "DCL 5.0 A: battery nearly empty: 4.0 %, until 8.0 %",
        ),
        (Reason(Quantity.CCL, LimitCode.STALE, 0.0, 4.25, 3.0), "CCL 0.0 A: no good data from the BMS for 4.2 s"),
        (
            Reason(Quantity.CCL, LimitCode.MANUAL, 0.0, detail="charge"),
            "CCL 0.0 A: stopped by the user (stop charge)",
        ),
        (
            Reason(Quantity.CVL, LimitCode.RATE, 53.69, 53.69, 58.4, step=0.4, wait_s=14.0),
            "CVL 53.6 V: rising to 58.4 V, next by 0.4 V in 14 s",
        ),
        (
            Reason(Quantity.CVL, LimitCode.RATE, 53.65, 53.65, 53.72, "kept", 0.4, 0.0),
            "CVL 53.6 V: a rise of less than 0.1 V is left out",
        ),
        (
            Reason(Quantity.CVL, LimitCode.RATE, 53.6, 53.6, 53.69, step=0.09, wait_s=3.0),
            "CVL 53.6 V: a rise of less than 0.1 V is left out",
        ),
        (
            Reason(Quantity.CCL, LimitCode.RATE, 12.37, 12.37, 54.0, step=1.8),
            "CCL 12.3 A: rising to 54.0 A, by 1.8 A a second",
        ),
        (Reason(Quantity.CCL, LimitCode.RATE, 12.0, 12.0, 54.0), "CCL 12.0 A: rising to 54.0 A"),
    ],
)
def test_reason_in_words(reason: Reason, words: str) -> None:
    """A reason becomes a sentence with its limit, its unit and the numbers that were compared."""
    assert explain(reason) == words


@given(
    quantity=st.sampled_from(Quantity),
    code=st.sampled_from(LimitCode),
    limit=st.floats(),
    value=st.none() | st.floats(),
    threshold=st.none() | st.floats(),
    detail=st.text(max_size=10),
)
def test_every_cause_has_words(
    quantity: Quantity, code: LimitCode, limit: float, value: float | None, threshold: float | None, detail: str
) -> None:
    """No code lacks a sentence and no value or name, braces included, breaks it."""
    words = explain(Reason(quantity, code, limit, value, threshold, detail))

    assert words.startswith(f"{quantity.name} ")
    assert words.endswith(explain(Reason(quantity, code, 0.0, value, threshold, detail)).partition(": ")[2])
