"""How fast limits rise, and changes of direction of CVL."""

import math
from collections.abc import Callable, Sequence

import pytest

from tinybms_bridge.battery.limits import ChargeState, LimitSettings, RateSettings
from tinybms_lab.bench.changes import Rise, ccl_rise, count_reversals, cvl_rise, fastest_rise
from tinybms_lab.bench.trace import STATES, Column, Run, Trace

MakeTrace = Callable[[Sequence[dict[Column, float]]], Trace]
MakeRun = Callable[..., Run]
NAN = float("nan")


def fastest_of(trace: Trace) -> float:
    """Return the fastest rise of CCL over 5 s."""
    return fastest_rise(trace, Column.CCL_A, 5.0)


def test_a_jump_is_measured_over_the_window(make_trace: MakeTrace) -> None:
    """From 0 to 100 A at once, over 5 s: 20 A/s."""
    assert fastest_of(make_trace([{Column.CCL_A: 0.0}] * 10 + [{Column.CCL_A: 100.0}] * 10)) == pytest.approx(20.0)


def test_a_ramp_is_measured_as_it_is(make_trace: MakeTrace) -> None:
    """6 A each second: 6 A/s."""
    assert fastest_of(make_trace([{Column.CCL_A: 6.0 * n} for n in range(30)])) == pytest.approx(6.0)


def test_a_dip_that_is_made_good_at_once_is_a_rise(make_trace: MakeTrace) -> None:
    """The lowest value of the last five seconds counts."""
    assert fastest_of(make_trace([{Column.CCL_A: a} for a in (100.0, 100.0, 0.0, 0.0, 100.0)])) == pytest.approx(20.0)


def test_a_fall_is_no_rise(make_trace: MakeTrace) -> None:
    """Down at once is as it should be."""
    assert fastest_of(make_trace([{Column.CCL_A: a} for a in (180.0, 90.0, 0.0)])) == 0.0


def test_the_very_first_frame_is_no_rise(make_trace: MakeTrace) -> None:
    """Nobody was told anything before."""
    assert fastest_of(make_trace([{Column.CCL_A: a} for a in (NAN, NAN, 180.0, 180.0)])) == 0.0


@pytest.mark.parametrize(("silence_s", "expected"), [(2, 20.0), (9, 10.0), (99, 1.0)])
def test_a_jump_over_a_silence_is_seen(make_trace: MakeTrace, silence_s: int, expected: float) -> None:
    """From 0 A before it to 100 A after it; the silence counts as time in which a ramp would have risen."""
    rows: list[dict[Column, float]] = [{Column.CCL_A: 0.0}]
    rows += [{Column.CCL_A: NAN, Column.DECIDED_S: NAN}] * silence_s + [{Column.CCL_A: 100.0}]

    assert fastest_of(make_trace(rows)) == pytest.approx(expected)


def test_the_same_limit_after_a_silence_is_no_rise(make_trace: MakeTrace) -> None:
    """A restart that goes on where it was tells nothing new."""
    assert fastest_of(make_trace([{Column.CCL_A: a} for a in (90.0, NAN, NAN, 90.0)])) == 0.0


def test_a_rise_over_a_long_step_has_had_its_time(make_trace: MakeTrace) -> None:
    """60 A decided ten seconds after the decision before: 6 A/s, whenever the frames went out."""
    rows = [{Column.CCL_A: 0.0, Column.DECIDED_S: 0.0}, {Column.CCL_A: 60.0, Column.DECIDED_S: 10.0}]

    assert fastest_of(make_trace(rows)) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("settings", "ramp"),
    [
        (LimitSettings(), 180.0 / 30.0),
        (LimitSettings(max_charge_current_a=60.0), 2.0),
        (LimitSettings(max_charge_current_a=900.0), 180.0 / 30.0),
        (LimitSettings(rates=RateSettings(current_rise_s=0.0)), math.inf),
    ],
)
def test_the_ramp_of_ccl_is_that_of_the_settings(make_run: MakeRun, settings: LimitSettings, ramp: float) -> None:
    """The base current in the time of a full rise."""
    assert ccl_rise(make_run([{}], settings=settings)).ramp == pytest.approx(ramp)


@pytest.mark.parametrize(
    ("rates", "ramp"),
    [(RateSettings(), 0.4 / 20.0), (RateSettings(cvl_interval_s=0.0), 0.4), (RateSettings(cvl_step_v=0.0), math.inf)],
)
def test_the_ramp_of_cvl_is_that_of_the_settings(make_run: MakeRun, rates: RateSettings, ramp: float) -> None:
    """A step in each interval."""
    assert cvl_rise(make_run([{}], settings=LimitSettings(rates=rates))).ramp == pytest.approx(ramp)


def test_steps_of_cvl_in_their_interval_are_its_ramp(make_run: MakeRun) -> None:
    """0.4 V each 20 s, and 0.1 V that rounding to the wire may add; two steps at once are too fast."""
    steps = [{Column.CVL_V: 53.0 + 0.4 * (second // 20)} for second in range(100)]
    rounded = [*steps, {Column.CVL_V: 55.1}]
    jump = [{Column.CVL_V: 53.6}, *[{Column.CVL_V: NAN, Column.DECIDED_S: NAN}] * 7, {Column.CVL_V: 57.6}]

    assert cvl_rise(make_run(steps)).fastest == pytest.approx(0.02)
    assert not cvl_rise(make_run(steps)).too_fast
    assert not cvl_rise(make_run(rounded)).too_fast
    assert cvl_rise(make_run(jump)).too_fast


def test_a_rise_within_its_tolerance_is_not_too_fast() -> None:
    """And without a ramp nothing is."""
    assert not Rise(6.5, 6.0, 0.5).too_fast
    assert Rise(6.6, 6.0, 0.5).too_fast
    assert not Rise(99.0, math.inf, 0.5).too_fast


FLOAT = float(STATES.index(ChargeState.FLOAT))


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
