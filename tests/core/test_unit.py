"""One unit of several; what it does as the only one is tried with the battery of one pack."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tinybms_bridge.battery.alarm_rules import AlarmSettings
from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Evidence, LimitSettings, Memory
from tinybms_bridge.battery.limits.pack_step import PackMemory, step_pack
from tinybms_bridge.battery.plausibility import PlausibilitySettings
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.core.unit import Unit
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import Event, Noted, SnapshotRejected
from tinybms_lab.testing.fake_clock import FakeClock

RATINGS = Ratings(
    series_cells=4,
    fully_charged_cell_v=3.55,
    fully_discharged_cell_v=2.9,
    over_voltage_cell_v=3.65,
    under_voltage_cell_v=2.8,
    charge_over_current_a=60.0,
    discharge_over_current_a=120.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=100.0,
)
SAVED = SavedState(EnergyTotals(100.0, 50.0, 2.0, 1.0), Memory(evidence=Evidence(capacity_ah=91.0)))


@pytest.fixture
def bus(clock: FakeClock) -> Bus:
    """A bus to be looked at."""
    return Bus(clock.monotonic, clock.wall)


@pytest.fixture
def published(bus: Bus) -> Callable[[], list[Event]]:
    """Return what was published since the last call."""
    news = bus.subscribe(depth=1000)

    def take() -> list[Event]:
        found = []
        while (envelope := news.take()) is not None:
            found.append(envelope.event)
        return found

    return take


def sample(number: int, *, current_a: float = 0.0, soc: float = 50.0, cells_v: float = 3.3) -> Snapshot:
    """Return one of a series, ten a second."""
    return Snapshot(
        number,
        1000.0 + 0.1 * number,
        PackValues(4 * cells_v, current_a, soc, lifetime_s=5000 + number // 10),
        Cells((cells_v,) * 4),
        Temperatures(25.0, 20.0),
        RATINGS,
        image=number.to_bytes(8),
    )


def feed(unit: Unit, snapshot: Snapshot) -> bool:
    """Let a unit take a sample, as the battery does; return whether it was believed."""
    if not unit.believes(snapshot, PlausibilitySettings()):
        return False
    before, now_s = unit.memory, snapshot.taken_at_s
    unit.memory = step_pack(snapshot, LimitSettings(), PackMemory(before), Memory(), float("inf"), now_s).engine
    unit.tell(before, now_s)
    unit.count_energy()
    unit.watch(AlarmSettings(), now_s)
    return True


def test_what_is_told_names_the_pack(bus: Bus, published: Callable[[], list[Event]]) -> None:
    """A sample that cannot be true, a field that cannot, a leap of the count: of which pack stands beside it."""
    unit = Unit(bus, SavedState(), "roof")
    for number in range(1, 10):
        feed(unit, sample(number))
    published()
    for number in range(10, 20):
        feed(unit, sample(number, soc=20.0))
    assert not feed(unit, replace(sample(20), cells=Cells(())))
    events = published()
    assert {each.pack for each in events if isinstance(each, Noted | SnapshotRejected)} == {"roof"}
    assert [each.code for each in events if isinstance(each, Noted)] == ["soc.leap"]
    assert unit.doubted[0] == unit.rejected == 1
    unit.reset_statistics()
    assert (unit.doubted[0], unit.rejected) == (0, 1)


def test_another_unit_has_nothing_of_the_one_before(bus: Bus) -> None:
    """Counters, memory, freshness and alarms are those of the new one; it has to show good samples first."""
    unit = Unit(bus, SavedState(), "a")
    for number in range(1, 60):
        feed(unit, sample(number, current_a=30.0, cells_v=3.7))
    assert unit.freshness == Freshness.FRESH
    assert unit.alarms.active()
    assert unit.energy.charged_ah > 0.0
    unit.begin_with(SAVED)
    assert str(unit.freshness) == Freshness.STARTING
    assert unit.snapshot is None
    assert unit.alarms.levels == {}
    assert unit.energy == SAVED.energy
    assert unit.measured_capacity_ah == 91.0
    assert unit.saved_state() == SAVED


def test_what_is_shown_is_one_object_until_it_changes(bus: Bus) -> None:
    """It is asked for by frames, API and history many times between two samples."""
    unit = Unit(bus, SavedState(), "a")
    for number in range(1, 5):
        feed(unit, sample(number))
    first, again = unit.snapshot, unit.snapshot
    assert first is not None
    assert again is first
    feed(unit, sample(5))
    assert unit.snapshot != first


def test_it_counts_only_what_counts(bus: Bus) -> None:
    """Nothing before there is anything, and each sample once."""
    unit = Unit(bus, SAVED, "a")
    unit.count_energy()
    unit.watch(AlarmSettings(), 1000.0)
    assert unit.energy == SAVED.energy
    for number in range(1, 37):
        feed(unit, sample(number, current_a=36.0))
    counted_ah = unit.energy.charged_ah
    unit.count_energy()
    assert unit.energy.charged_ah == counted_ah == pytest.approx(SAVED.energy.charged_ah + 36.0 * 3.3 / 3600.0, rel=0.1)


def test_a_high_cell_is_its_alarm(bus: Bus) -> None:
    """Without the name of the pack, which the battery adds."""
    unit = Unit(bus, SavedState(), "a")
    for number in range(1, 200):
        feed(unit, sample(number, cells_v=3.7))
    assert max(unit.alarms.levels.values()) is AlarmLevel.ALARM
    assert {cause.pack for cause in unit.alarms.causes.values()} == {""}


def test_a_count_and_a_pause_are_set_only_where_there_is_one(bus: Bus) -> None:
    """A unit that was never heard has neither."""
    unit = Unit(bus, SavedState(), "a")
    unit.set_soc(80.0)
    assert unit.soc_percent is None
    assert not unit.end_pause()
