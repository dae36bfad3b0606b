import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bms.scenario_checks import (
    Check,
    boolean,
    by_number,
    duration_s,
    list_of,
    number,
    one_of,
    text,
    whole,
)

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
CHECKS: dict[str, Check] = {
    "number": number(-5, 5),
    "whole": whole(1, 16),
    "boolean": boolean,
    "text": text,
    "one_of": one_of({"low": 1, 242: 2}),
    "list_of": list_of(whole(1, 2)),
    "by_number": by_number(4, number(0, 100)),
    "duration": duration_s,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
@given(value=ANYTHING)
def test_whatever_a_file_holds_is_taken_or_refused_with_a_reason(check: Check, value: object) -> None:
    """No other exception, so that all mistakes can be told together."""
    refusals: list[str] = []
    try:
        check(value)
    except ValueError as error:
        refusals.append(str(error))

    assert all(len(text) > 10 for text in refusals)


@pytest.mark.parametrize(
    ("check", "value", "used"),
    [
        (number(-5, 5), 2, 2.0),
        (number(-5, 5), -5.0, -5.0),
        (number(0, 100, scale=0.01), 25, 0.25),
        (whole(1, 16), 16, 16),
        (boolean, True, True),
        (text, "a note", "a note"),
        (one_of({"low": "L", 242: "B"}), "low", "L"),
        (one_of({"low": "L", 242: "B"}), 242, "B"),
        (list_of(whole(1, 2)), [1, 2, 2], (1, 2, 2)),
        (list_of(whole(1, 2)), [], ()),
        (by_number(16, number(0, 100)), {"7": 12.5, "16": 0}, {7: 12.5, 16: 0.0}),
    ],
)
def test_good_values_come_out_in_use(check: Check, value: object, used: object) -> None:
    """Scaled, looked up, with numbers as keys."""
    assert check(value) == used


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (number(-5, 5), 5.1, "must be a number of -5 to 5"),
        (number(-5, 5), "3", "must be a number of -5 to 5"),
        (number(-5, 5), True, "must be a number of -5 to 5"),
        (number(-5, 5), float("nan"), "must be a number of -5 to 5"),
        (whole(1, 16), 2.0, "must be a whole number of 1 to 16"),
        (whole(1, 16), 17, "must be a whole number of 1 to 16"),
        (boolean, 1, "must be true or false"),
        (text, "  ", "must be a text"),
        (one_of({"low": 1, "high": 2}), "hihg", "must be one of low, high; did you mean high?"),
        (one_of({1: "x"}), True, "must be one of 1"),
        (list_of(whole(1, 2)), 1, "must be a list"),
        (list_of(whole(1, 2)), [3], "must be a whole number of 1 to 2"),
        (by_number(16, number(0, 100)), {}, "must be a table with numbers of 1 to 16 as keys"),
        (by_number(16, number(0, 100)), {"17": 1}, "key '17' must be a number of 1 to 16"),
        (by_number(16, number(0, 100)), {"x": 1}, "key 'x' must be a number of 1 to 16"),
        (by_number(16, number(0, 100)), {"1": 101}, "must be a number of 0 to 100"),
    ],
)
def test_bad_values_are_refused_with_what_is_allowed(check: Check, value: object, message: str) -> None:
    """In the words of the file."""
    with pytest.raises(ValueError, match="must be") as caught:
        check(value)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (90, 90.0),
        (0, 0.0),
        ("90s", 90.0),
        ("5min", 300.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1h 30min", 5400.0),
        ("1h30min10s", 5410.0),
        (" 0.5 h ", 1800.0),
    ],
)
def test_times(value: object, seconds: float) -> None:
    """A number is in seconds; units may be combined."""
    assert duration_s(value) == seconds


@pytest.mark.parametrize("value", ["", "5", "5 m", "min", "-5s", "1h and 5min", -1, True, None, "5min x", 1e10])
def test_other_times_are_refused(value: object) -> None:
    """With examples."""
    with pytest.raises(ValueError, match='such as "90s", "5min", "2h" or "1h 30min"'):
        duration_s(value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, seconds: int) -> None:
    """In this order or another."""
    expected = hours * 3600.0 + minutes * 60.0 + seconds

    assert duration_s(f"{hours}h {minutes}min {seconds}s") == expected
    assert duration_s(f"{seconds}s{minutes}min{hours}h") == expected
