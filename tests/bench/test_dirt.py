"""What the line makes of readings."""

from dataclasses import replace

import pytest

from tinybms_bridge.battery.snapshot import Cells, PackState, Snapshot, Temperatures
from tinybms_bridge.bench.dirt import Dirt, DirtPlayer, Field, Frozen, Outliers, Replaced, StandingCounter


def reading(number: int, at_s: float) -> Snapshot:
    """Return a reading of four cells that differs from every other one."""
    pack = PackState(13.2, float(number), 50.0, lifetime_s=1000 + number)
    return Snapshot(number, at_s, pack, Cells((3.3,) * 4), Temperatures(24.0, 25.0, 26.0))


def played(*plan: Dirt, count: int = 20, seed: int = 1) -> list[Snapshot]:
    """Return what arrives of one reading a second, from the start of a scenario at 100 s."""
    player = DirtPlayer(plan, 100.0, seed)
    return [player.spoil(reading(n, 100.0 + n), 100.0 + n) for n in range(count)]


def hit(readings: list[Snapshot], cell: int = 1) -> list[int]:
    """Return the numbers of the readings in which a cell (from 0) is off."""
    return [r.sequence for r in readings if r.cells.voltages_v[cell] != 3.3]


def test_without_a_plan_nothing_is_spoiled() -> None:
    """What arrives is what was read."""
    assert played() == [reading(n, 100.0 + n) for n in range(20)]


@pytest.mark.parametrize(("every", "expected"), [(0, [5]), (1, [5, 6, 7, 8, 9, 10]), (3, [5, 8]), (2, [5, 7, 9])])
def test_outliers_hit_the_readings_of_their_plan(every: int, expected: list[int]) -> None:
    """One, each, every second, every third; from the first second to, and not including, the last."""
    readings = played(Outliers(5.0, 6.0, ((1, 0.4),), every=every))

    assert hit(readings) == expected
    assert readings[5].cells.voltages_v == (3.3, 3.7, 3.3, 3.3)


@pytest.mark.parametrize(("in_sum", "expected_v"), [(False, 13.2), (True, 12.75)])
def test_the_sum_follows_where_the_plan_says_so(in_sum: bool, expected_v: float) -> None:
    """Register 36 is a measurement of its own, or a sum: nobody outside of the BMS knows."""
    spoiled = played(Outliers(5.0, 6.0, ((1, -0.45),), in_sum=in_sum))[5]

    assert spoiled.pack.voltage_v == pytest.approx(expected_v)


def test_chance_hits_one_cell_at_a_time_and_repeats() -> None:
    """By the seed."""
    plan = Outliers(0.0, 400.0, ((1, 0.4), (2, -0.4)), chance=0.2)
    first, again, other = (played(plan, count=400, seed=seed) for seed in (1, 1, 2))
    by_chance = [r for r in first[1:] if r.cells != Cells((3.3,) * 4)]

    assert first == again != other
    assert 40 < len(by_chance) < 120
    assert {sum(v != 3.3 for v in r.cells.voltages_v) for r in by_chance} == {1}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (Field.BOARD, None, Temperatures(None, 25.0, 26.0)),
        (Field.EXTERNAL_1, -60.1, Temperatures(24.0, -60.1, 26.0)),
        (Field.EXTERNAL_2, 200.0, Temperatures(24.0, 25.0, 200.0)),
    ],
)
def test_a_sensor_shows_something_else(field: Field, value: float | None, expected: Temperatures) -> None:
    """For its time; the others go on."""
    readings = played(Replaced(5.0, 5.0, field, value))

    assert readings[7].temperatures == expected
    assert readings[4].temperatures == readings[10].temperatures == Temperatures(24.0, 25.0, 26.0)


def test_the_counted_charge_shows_something_else() -> None:
    """And nothing else of the pack."""
    assert played(Replaced(5.0, 5.0, Field.SOC, 655.35))[5].pack == replace(reading(5, 0.0).pack, soc_percent=655.35)


def test_a_frozen_image_is_answered_in_time() -> None:
    """Number and time of the reply are new, everything that the BMS says is old."""
    readings = played(Frozen(5.0, 5.0))

    assert readings[9] == replace(readings[5], sequence=9, taken_at_s=109.0)
    assert readings[10] == reading(10, 110.0)


def test_a_counter_may_stand_alone() -> None:
    """The current goes on moving."""
    spoiled = played(StandingCounter(5.0, 5.0))[9]

    assert (spoiled.pack.lifetime_s, spoiled.pack.current_a) == (1005, 9.0)


@pytest.mark.parametrize(
    ("dirt", "close"),
    [
        (Outliers(100.0, 60.0, ((0, 0.4),)), {99.0: False, 100.0: True, 150.0: True, 170.0: True, 176.0: False}),
        (Frozen(100.0, 60.0), {99.0: False, 100.0: True, 150.0: False, 170.0: True, 176.0: False}),
    ],
)
def test_every_reading_matters_around_a_change(dirt: Dirt, close: dict[float, bool]) -> None:
    """And as long as outliers may come."""
    player = DirtPlayer((dirt,), 0.0, 1)

    assert {time_s: player.close(time_s) for time_s in close} == close
    assert (player.active(99.0), player.active(159.0), player.active(160.0)) == (False, True, False)


def test_the_next_change_is_told() -> None:
    """Begin, end, and never again."""
    player = DirtPlayer((Frozen(100.0, 60.0),), 1000.0, 1)

    assert [player.next_change_s(t) for t in (0.0, 1100.0, 1160.0)] == [1100.0, 1160.0, float("inf")]
