"""Several packs in parallel as one snapshot and one set of settings."""

from dataclasses import replace

import pytest

from tinybms_bridge.battery.limits.as_one import Charge, combine_ratings, combine_snapshots
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Switches, Temperatures

RATINGS = Ratings(
    series_cells=4,
    fully_charged_cell_v=3.65,
    fully_discharged_cell_v=2.8,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.6,
    charge_over_current_a=100.0,
    discharge_over_current_a=150.0,
    discharge_peak_current_a=200.0,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=100.0,
)


def sample(cells_v: tuple[float, ...] = (3.3,) * 4, current_a: float = 10.0, **more: object) -> Snapshot:
    """Return a sample of one pack."""
    pack = PackValues(sum(cells_v), current_a, 50.0, status=BmsStatus.CHARGING)
    made = Snapshot(1, 5.0, pack, Cells(cells_v, (False,) * 4, (False,) * 4), Temperatures(25.0), RATINGS)
    return replace(made, **more)  # type: ignore[arg-type]


def together(*packs: Snapshot, charges: list[Charge] | None = None, **more: object) -> Snapshot:
    """Return packs as one."""
    found = charges or [Charge(each.pack.soc_percent, 100.0) for each in packs]
    return combine_snapshots(packs, found, RATINGS, sequence=7, lifetime_s=99, **more)  # type: ignore[arg-type]


def test_voltages_are_a_mean_and_currents_a_sum() -> None:
    """What flows through the busbars, at their voltage, with every cell of every pack in its order."""
    one = together(sample((3.3, 3.31, 3.32, 3.33), 10.0), sample((3.4, 3.41, 3.42, 3.43), -4.0))

    assert one.pack.voltage_v == pytest.approx((13.26 + 13.66) / 2)
    assert one.pack.current_a == pytest.approx(6.0)
    assert one.cells.voltages_v == (3.3, 3.31, 3.32, 3.33, 3.4, 3.41, 3.42, 3.43)
    assert (one.cells.max_number, one.cells.min_number) == (8, 1)
    assert (one.sequence, one.pack.lifetime_s, one.taken_at_s) == (7, 99, 5.0)


def test_state_of_charge_counts_by_capacity() -> None:
    """A large pack at 80 % and a small one at 20 %."""
    charges = [Charge(80.0, 300.0, bms_percent=85.0), Charge(20.0, 100.0)]

    one = together(sample(), sample(), charges=charges)

    assert one.pack.soc_percent == pytest.approx(65.0)
    assert one.pack.bms_soc_percent == pytest.approx(68.75)
    assert together(sample(), sample()).pack.bms_soc_percent is None


def test_without_capacities_packs_count_alike() -> None:
    """Register 306 may read 0; nothing is divided by it."""
    assert together(sample(), sample(), charges=[Charge(20.0, 0.0), Charge(60.0, 0.0)]).pack.soc_percent == 40.0


def test_a_count_that_nobody_gives_is_none_of_the_battery() -> None:
    """It is known while those that know it have at least half of the capacity."""
    known = [Charge(50.0, 100.0), Charge(50.0, 100.0, known=False)]
    assert together(sample(), sample(), charges=known).pack.soc_known
    assert not together(sample(), sample(), charges=[*known, Charge(50.0, 10.0, known=False)]).pack.soc_known


def test_full_is_where_every_bms_that_can_be_charged_says_so() -> None:
    """One that is cut off does not keep the battery from being full; one that charges on does."""
    full, charging = (
        replace(sample(), pack=replace(sample().pack, status=status))
        for status in (BmsStatus.FULLY_CHARGED, BmsStatus.CHARGING)
    )
    assert together(full, full).pack.status is BmsStatus.FULLY_CHARGED
    assert together(full, charging).pack.status is BmsStatus.CHARGING
    assert together(full, charging, filled=[full]).pack.status is BmsStatus.FULLY_CHARGED
    assert together(sample(current_a=-5.0), sample(current_a=-5.0)).pack.status is BmsStatus.DISCHARGING
    assert together(sample(current_a=5.0), sample(current_a=-5.0)).pack.status is BmsStatus.IDLE


def test_only_the_cells_of_members_count() -> None:
    """A pack into which nothing can flow stands aside with its cells, not with its current."""
    high, usual = sample((3.7,) * 4), sample()

    one = together(usual, high, members=[usual])

    assert one.cells.max_v == 3.3
    assert one.pack.current_a == 20.0


def test_temperatures_are_the_coldest_and_the_hottest() -> None:
    """Of the sensors that stand for cells; without any there are none."""
    cold = replace(sample(), temperatures=Temperatures(20.0, 5.0, 8.0))
    hot = replace(sample(), temperatures=Temperatures(45.0))

    one = together(cold, hot)

    assert (one.temperatures.coldest_c, one.temperatures.hottest_c) == (5.0, 45.0)
    assert one.temperatures.internal_c == 45.0
    bare = replace(sample(), temperatures=Temperatures())
    assert together(bare, bare).temperatures == Temperatures()


def test_events_are_those_of_all() -> None:
    """Each once, and a cause that is not read yet of any."""
    one = together(sample(open_events=(2, 5)), sample(open_events=(5, 3), cause_unread=True))

    assert one.open_events == (2, 3, 5)
    assert one.cause_unread


def test_settings_are_safe_for_every_pack() -> None:
    """Currents and capacity are sums, voltages and temperatures those that no pack passes."""
    other = replace(
        RATINGS,
        fully_charged_cell_v=3.6,
        fully_discharged_cell_v=2.9,
        over_voltage_cell_v=3.8,
        under_voltage_cell_v=2.5,
        capacity_ah=50.0,
        low_temperature_charge_c=5.0,
        over_heat_c=55.0,
        discharge_peak_current_a=None,
        switches=Switches.SINGLE,
    )

    one = combine_ratings(RATINGS, other)

    assert (one.fully_charged_cell_v, one.fully_discharged_cell_v) == (3.6, 2.9)
    assert (one.over_voltage_cell_v, one.under_voltage_cell_v) == (3.75, 2.6)
    assert (one.charge_over_current_a, one.discharge_over_current_a, one.capacity_ah) == (200.0, 300.0, 150.0)
    assert one.discharge_peak_current_a is None
    assert (one.low_temperature_charge_c, one.over_heat_c) == (5.0, 55.0)
    assert one.switches is Switches.UNKNOWN
    assert one.least_current_a == pytest.approx(1.6)
    assert combine_ratings(RATINGS) == RATINGS
