"""Changes of direction of CVL."""

from collections.abc import Callable, Sequence

import pytest

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.bench.reversals import count_reversals
from tinybms_bridge.bench.trace import STATES, Column, Trace

MakeTrace = Callable[[Sequence[dict[Column, float]]], Trace]
FLOAT = float(STATES.index(ChargeState.FLOAT))
NAN = float("nan")


def cvls(values_v: Sequence[float], **more: float) -> list[dict[Column, float]]:
    """Return one row for each CVL."""
    return [{Column.CVL_V: value_v, **{Column[name]: value for name, value in more.items()}} for value_v in values_v]


@pytest.mark.parametrize(
    ("values_v", "count"),
    [
        ([57.6] * 10, 0),
        ([57.6, 57.5, 57.4, 57.3], 0),
        ([57.6, 57.5, 57.6], 1),
        ([57.6, 57.5, 57.6, 57.5], 2),
        ([57.6, 57.5, 57.5, 57.5, 57.4], 0),
        ([57.6, 57.5, 57.5, 57.5, 57.6], 1),
        ([51.2, 52.0, 53.0, 52.9, 53.0], 2),
        ([57.6], 0),
        ([], 0),
    ],
)
def test_a_turn_is_a_change_against_the_last_change(
    make_trace: MakeTrace, values_v: Sequence[float], count: int
) -> None:
    """Staying between two changes does not count, going on does not count."""
    assert len(count_reversals(make_trace(cvls(values_v)), one_c_w=14_000.0).all_s) == count


def test_silence_is_no_change(make_trace: MakeTrace) -> None:
    """After frames have stopped, the first CVL is compared with none."""
    trace = make_trace(cvls([57.6, 57.5, NAN, NAN, 57.5, 57.4]))

    assert count_reversals(trace, one_c_w=14_000.0).all_s == ()


def test_a_turn_after_float_counts_as_steady(make_trace: MakeTrace) -> None:
    """FLOAT was reached long enough ago, and nothing has happened since."""
    rows = cvls([57.5] * 400, STATE=FLOAT) + cvls([57.4, 57.5], STATE=FLOAT)

    assert len(count_reversals(make_trace(rows), one_c_w=14_000.0).steady_s) == 1


def test_a_turn_before_float_does_not(make_trace: MakeTrace) -> None:
    """While the sun rises, the charge is under way."""
    rows = cvls([57.5] * 400) + cvls([57.4, 57.5])
    for second, row in enumerate(rows):
        row[Column.SUN_W] = 1000.0 + 5.0 * second
    reversals = count_reversals(make_trace(rows), one_c_w=14_000.0)

    assert (len(reversals.all_s), reversals.steady_s) == (1, ())


def test_a_constant_sun_is_steady_too(make_trace: MakeTrace) -> None:
    """Ten minutes of it, whatever the charge state."""
    rows = cvls([57.5] * 700) + cvls([57.4, 57.5])

    assert len(count_reversals(make_trace(rows), one_c_w=14_000.0).steady_s) == 1


def test_a_constant_sun_needs_its_ten_minutes(make_trace: MakeTrace) -> None:
    """Nine are too few."""
    rows = cvls([57.5] * 500) + cvls([57.4, 57.5])

    assert count_reversals(make_trace(rows), one_c_w=14_000.0).steady_s == ()


@pytest.mark.parametrize("disturbance", [{"LOAD_W": 5000.0}, {"SUN_W": 300.0}, {"FAULTY": 1.0}])
def test_a_disturbance_excuses_a_turn(make_trace: MakeTrace, disturbance: dict[str, float]) -> None:
    """A jump of sun or load, or a fault, in the five minutes before."""
    rows = cvls([57.5] * 800, STATE=FLOAT) + cvls([57.5] * 2, STATE=FLOAT, **disturbance)
    soon = rows + cvls([57.5] * 100 + [57.4, 57.5], STATE=FLOAT)
    late = rows + cvls([57.5] * 320 + [57.4, 57.5], STATE=FLOAT)

    assert count_reversals(make_trace(soon), one_c_w=14_000.0).steady_s == ()
    assert len(count_reversals(make_trace(late), one_c_w=14_000.0).steady_s) == 1


def test_a_small_change_of_the_load_excuses_nothing(make_trace: MakeTrace) -> None:
    """Less than 2 % of what the battery can take in an hour."""
    rows = cvls([57.5] * 400, STATE=FLOAT) + cvls([57.4, 57.5], STATE=FLOAT, LOAD_W=600.0)

    assert len(count_reversals(make_trace(rows), one_c_w=14_000.0).steady_s) == 1


@pytest.mark.parametrize(("balancing", "steady"), [(1.0, 0), (0.0, 1)])
def test_a_balancing_day_is_not_steady(make_trace: MakeTrace, balancing: float, steady: int) -> None:
    """CVL moves as the cells demand, before and after it holds them."""
    rows = cvls([57.5] * 1000, STATE=FLOAT) + cvls([57.4, 57.5], STATE=FLOAT)
    rows += cvls([57.5] * 10, STATE=FLOAT, BALANCING=balancing)
    reversals = count_reversals(make_trace(rows), one_c_w=14_000.0)

    assert (len(reversals.all_s), len(reversals.steady_s)) == (1, steady)
