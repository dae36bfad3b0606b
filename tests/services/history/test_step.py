"""The row of a step: sums, extremes, energy, freshness."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyCounter
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackState, Snapshot
from tinybms_bridge.services.history.fields import CHARGE_STATES, COLUMNS, FRESHNESS, GROUPS
from tinybms_bridge.services.history.step import StepBuilder


def named(values: tuple[int | None, ...]) -> dict[str, Any]:
    """Return the numbers of a row by column."""
    return dict(zip(COLUMNS, values, strict=True))


@st.composite
def snapshots(draw: st.DrawFn) -> list[Snapshot]:
    """Samples as a pack may give them."""
    volts = st.floats(2.0, 4.3)
    found = []
    for number in range(draw(st.integers(1, 12))):
        cells = tuple(draw(st.lists(volts, min_size=2, max_size=4)))
        pack = PackState(sum(cells), draw(st.floats(-500, 500)), draw(st.floats(0, 100)))
        found.append(Snapshot(number + 1, number * 0.5, pack, Cells(cells)))
    return found


@given(snapshots())
def test_mean_lies_between_least_and_greatest(samples: list[Snapshot]) -> None:
    """Whatever is measured, the mean of a step is within its extremes, and the extremes were measured."""
    builder = StepBuilder()
    for snapshot in samples:
        builder.add_sample(snapshot)
    row = named(builder.finish())
    assert row["samples"] == len(samples)
    for quantity in GROUPS[0].quantities:
        total, least, greatest = (row[column] for column in quantity.columns)
        assert least * len(samples) <= total <= greatest * len(samples), quantity.name
    currents = [round(snapshot.pack.current_a * 100.0) for snapshot in samples]
    assert (row["current_a_min"], row["current_a_max"]) == (min(currents), max(currents))
    assert row["highest_cell_mv_max"] == max(round(each.cells.max_v * 10_000.0) for each in samples)


def test_step_without_samples_knows_nothing() -> None:
    """A gap stays a gap: no value is carried over from the step before."""
    builder = StepBuilder()
    builder.add_sample(Snapshot(1, 0.0, PackState(13.2, 5.0, 50.0), Cells((3.3,) * 4)))
    builder.finish()
    row = named(builder.finish())
    assert [row[column] for quantity in GROUPS[0].quantities for column in quantity.columns] == [None] * 21
    assert (row["samples"], row["charged_mwh"], row["charge_state"]) == (0, 0, None)


def test_sensors_that_are_not_there(sample: Callable[..., Snapshot]) -> None:
    """Without a sensor the temperature is unknown; one that comes later counts from then on."""
    builder = StepBuilder()
    builder.add_sample(sample(0.0, internal_c=None))
    builder.add_sample(sample(0.1, internal_c=-3.26))
    row = named(builder.finish())
    assert (row["samples"], row["temperatures"]) == (2, 1)
    assert (row["coldest_c_sum"], row["hottest_c_max"]) == (-33, -33)


@pytest.mark.parametrize("freshness", [Freshness.SILENT, Freshness.STARTING])
def test_limits_that_are_not_sent_are_unknown(some_limits: Callable[..., Limits], freshness: Freshness) -> None:
    """While nothing goes out on the CAN bus there is no limit to show."""
    builder = StepBuilder()
    builder.add_second(some_limits(freshness=freshness))
    builder.add_second(None)
    row = named(builder.finish())
    assert (row["decisions"], row["cvl_v_max"], row["charge_state"]) == (0, None, None)


def test_limits_of_a_hold_are_kept(some_limits: Callable[..., Limits]) -> None:
    """In HOLD a charge limit of 0 is sent, and the history says so although nothing is measured."""
    builder = StepBuilder()
    builder.add_second(some_limits(50.0))
    builder.add_second(some_limits(0.0, Freshness.HOLD, ChargeState.FLOAT))
    row = named(builder.finish())
    assert (row["decisions"], row["ccl_a_min"], row["ccl_a_max"], row["ccl_a_sum"]) == (2, 0, 500, 500)
    assert CHARGE_STATES[row["charge_state"]] is ChargeState.FLOAT


def test_worst_freshness_of_a_step() -> None:
    """A hold that was over before the step ended is seen; the next step begins with what is."""
    builder = StepBuilder()
    for each in (Freshness.FRESH, Freshness.HOLD, Freshness.FRESH):
        builder.note_freshness(each)
    builder.add_second(None)
    first, second = named(builder.finish()), named(builder.finish())
    assert (FRESHNESS[first["freshness"]], first["fresh_s"]) == (Freshness.HOLD, 1)
    assert (FRESHNESS[second["freshness"]], second["fresh_s"]) == (Freshness.FRESH, 0)


@given(st.lists(st.tuples(st.floats(0.05, 8.0), st.floats(-200, 200), st.booleans()), min_size=1, max_size=40))
def test_energy_of_all_steps_is_the_energy(moves: list[tuple[float, float, bool]]) -> None:
    """However steps cut the time, their whole milliwatt-hours add up to the counter's, less a fraction."""
    builder, counter, now_s, charged, discharged = StepBuilder(), EnergyCounter(), 0.0, 0, 0
    for number, (after_s, current_a, ends) in enumerate(moves):
        now_s += after_s
        snapshot = Snapshot(number + 1, now_s, PackState(13.2, current_a, 50.0), Cells((3.3,) * 4))
        builder.add_sample(snapshot)
        counter.add(snapshot)
        if ends:
            row = named(builder.finish())
            charged, discharged = charged + row["charged_mwh"], discharged + row["discharged_mwh"]
    row = named(builder.finish())
    assert charged + row["charged_mwh"] == int(counter.totals.charged_wh * 1000.0)
    assert discharged + row["discharged_mwh"] == int(counter.totals.discharged_wh * 1000.0)


def test_states_fit_their_column() -> None:
    """A state is kept in three bits beside the time."""
    assert len(CHARGE_STATES) <= 8
    assert set(FRESHNESS) == set(Freshness)
