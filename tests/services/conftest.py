"""A bus on a clock that the test moves, and samples to publish on it."""

from collections.abc import Callable

import pytest

from tinybms_bridge.battery.limits import ChargeState, Freshness, Limits
from tinybms_bridge.battery.snapshot import Cells, PackState, Snapshot, Temperatures
from tinybms_bridge.bus import Bus
from tinybms_lab.testing.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands until it is told to move."""
    return FakeClock()


@pytest.fixture
def bus(clock: FakeClock) -> Bus:
    """An empty bus."""
    return Bus(clock.monotonic, clock.wall)


@pytest.fixture(scope="session")
def make_snapshot() -> Callable[..., Snapshot]:
    """Return a builder of a sample of four cells."""

    def build(
        *, cells_v: tuple[float, ...] = (3.301, 3.302, 3.303, 3.304), current_a: float = -12.34, hottest_c: float | None
    ) -> Snapshot:
        pack = PackState(voltage_v=sum(cells_v), current_a=current_a, soc_percent=81.26)
        return Snapshot(1, 0.0, pack, Cells(cells_v), Temperatures(hottest_c))

    return build


@pytest.fixture(scope="session")
def limits() -> Limits:
    """Limits in force."""
    return Limits(14.05, 54.0, 108.04, 11.6, ChargeState.TRANSITION, Freshness.FRESH)
