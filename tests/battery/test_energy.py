import math
from collections.abc import Callable
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import MAX_GAP_S, EnergyCounter, EnergyTotals
from tinybms_bridge.battery.snapshot import PackValues, Snapshot

Build = Callable[[float, float, float], Snapshot]


@pytest.fixture(scope="session", name="sample")
def _sample(make_snapshot: Callable[..., Snapshot]) -> Build:
    """Return a builder of a sample at a time with a pack voltage and a current."""

    def build(taken_at_s: float, voltage_v: float, current_a: float) -> Snapshot:
        base = make_snapshot(taken_at_s=taken_at_s)
        return Snapshot(base.sequence, taken_at_s, PackValues(voltage_v, current_a, 50.0), base.cells)

    return build


def test_one_hour_of_charging(sample: Build) -> None:
    """50 V and 10 A for one hour are 500 Wh and 10 Ah of charge, and nothing of discharge."""
    counter = EnergyCounter()
    for second in range(3601):
        counter.add(sample(float(second), 50.0, 10.0))

    assert counter.totals.charged_wh == pytest.approx(500.0)
    assert counter.totals.charged_ah == pytest.approx(10.0)
    assert (counter.totals.discharged_wh, counter.totals.discharged_ah) == (0.0, 0.0)


def test_discharge_is_counted_apart(sample: Build) -> None:
    """Discharge never reduces what was charged."""
    counter = EnergyCounter(EnergyTotals(charged_wh=7.0, charged_ah=1.0))
    counter.add(sample(0.0, 50.0, -36.0))
    totals = counter.add(sample(1.0, 50.0, -36.0))

    assert astuple(totals) == pytest.approx((7.0, 0.5, 1.0, 0.01))


def test_first_sample_adds_nothing(sample: Build) -> None:
    """One sample alone spans no time, whatever the totals were before."""
    before = EnergyTotals(1.0, 2.0, 3.0, 4.0)

    assert EnergyCounter(before).add(sample(99.0, 50.0, 100.0)) == before


def test_mean_of_two_samples_counts(sample: Build) -> None:
    """A ramp from 0 to 72 A counts as its mean, not as its start or its end."""
    counter = EnergyCounter()
    counter.add(sample(0.0, 50.0, 0.0))

    assert counter.add(sample(1.0, 50.0, 72.0)).charged_wh == pytest.approx(0.5)


def test_sign_change_counts_the_balance(sample: Build) -> None:
    """Between a charging and a discharging sample only the balance of both is counted."""
    counter = EnergyCounter()
    counter.add(sample(0.0, 50.0, 36.0))
    counter.add(sample(1.0, 50.0, -36.0))
    assert counter.totals == EnergyTotals()

    counter.add(sample(2.0, 50.0, 108.0))
    assert counter.totals.charged_wh == pytest.approx(0.5)
    assert counter.totals.discharged_wh == 0.0


@pytest.mark.parametrize(("gap_s", "counted"), [(MAX_GAP_S, True), (MAX_GAP_S + 0.01, False), (3600.0, False)])
def test_long_gap_is_not_integrated(sample: Build, gap_s: float, counted: bool) -> None:
    """Nobody knows what the current was while no sample came, so a gap adds nothing (the firmware went on counting)."""
    counter = EnergyCounter()
    counter.add(sample(0.0, 50.0, 10.0))
    totals = counter.add(sample(gap_s, 50.0, 10.0))

    assert (totals.charged_wh > 0.0) == counted


def test_counting_resumes_after_a_gap(sample: Build) -> None:
    """The sample after a gap is the start of the next interval."""
    counter = EnergyCounter()
    counter.add(sample(0.0, 50.0, 36.0))
    counter.add(sample(100.0, 50.0, 36.0))

    assert counter.add(sample(101.0, 50.0, 36.0)).charged_wh == pytest.approx(0.5)


def test_sample_out_of_order_counts_no_time_twice(sample: Build) -> None:
    """A late or repeated sample is ignored and does not become the start of the next interval."""
    counter = EnergyCounter()
    for taken_at_s in (0.0, 2.0, 1.0, 2.0, 3.0):
        counter.add(sample(taken_at_s, 50.0, 36.0))

    assert counter.totals.charged_wh == pytest.approx(1.5)


def test_not_a_number_spoils_no_total(sample: Build) -> None:
    """A current that is not a number adds nothing; totals that became NaN would stay so for ever."""
    counter = EnergyCounter()
    counter.add(sample(0.0, 50.0, 36.0))
    counter.add(sample(1.0, 50.0, math.nan))
    counter.add(sample(2.0, 50.0, 36.0))

    assert astuple(counter.add(sample(3.0, 50.0, 36.0))) == pytest.approx((0.5, 0.0, 0.01, 0.0))


_steps = st.tuples(st.floats(-10.0, 20.0), st.floats(0.0, 80.0), st.floats(-1000.0, 1000.0))


@given(st.lists(_steps, max_size=40))
def test_totals_never_decrease(sample: Build, steps: list[tuple[float, float, float]]) -> None:
    """Whatever samples come, in whatever order, no counter ever runs backwards (a GX adds the differences)."""
    counter, taken_at_s = EnergyCounter(), 1000.0
    before = astuple(counter.totals)
    for gap_s, voltage_v, current_a in steps:
        taken_at_s += gap_s
        after = astuple(counter.add(sample(taken_at_s, voltage_v, current_a)))
        assert all(new >= old for new, old in zip(after, before, strict=True))
        before = after


@given(st.lists(st.floats(0.05, 4.9), min_size=1, max_size=30), st.floats(-300.0, 300.0))
def test_constant_current_gives_charge_times_time(sample: Build, gaps_s: list[float], current_a: float) -> None:
    """The rhythm of the samples does not matter: current times time is the charge."""
    counter, taken_at_s = EnergyCounter(), 0.0
    counter.add(sample(taken_at_s, 50.0, current_a))
    for gap_s in gaps_s:
        taken_at_s += gap_s
        counter.add(sample(taken_at_s, 50.0, current_a))

    balance_ah = counter.totals.charged_ah - counter.totals.discharged_ah
    assert balance_ah == pytest.approx(current_a * taken_at_s / 3600.0, abs=1e-9)
