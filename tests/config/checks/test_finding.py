import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.config.checks.finding import ordered

numbers = st.floats(-100, 100)


@given(numbers, numbers)
@settings(deadline=None)
def test_ordered_finds_exactly_the_wrong_order(low: float, high: float) -> None:
    """No pair of numbers slips through, none is refused without a reason."""
    loose = list(ordered("low", low, "high", high, "V"))
    strict = list(ordered("low", low, "high", high, "V", strictly=True))

    assert bool(loose) == (low > high)
    assert bool(strict) == (low >= high)


@pytest.mark.parametrize(("low", "high"), [(None, 1.0), (1.0, None), (None, None)])
def test_unset_values_are_in_order_with_all(low: float | None, high: float | None) -> None:
    """None stands for a value that the BMS decides: nothing to compare."""
    assert list(ordered("low", low, "high", high, "V", strictly=True)) == []


def test_both_sides_have_a_message() -> None:
    """The report goes to the key that the user gave, so each needs its own words."""
    (finding,) = ordered("low", 5, "high", 4, "V")

    assert finding.paths == ("high", "low")
    assert tuple(str(each) for each in finding.messages) == (
        "must be at least low, which is 5 V",
        "must be at most high, which is 4 V",
    )
