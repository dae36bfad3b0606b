"""Samples, rows and a folder for the history."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot, Temperatures
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.levels import HistorySettings
from tinybms_bridge.services.history.steps import Row, StepBuilder
from tinybms_lab.testing.fake_clock import FakeClock

START_S = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


class SettableClock(FakeClock):
    """A clock whose wall time somebody sets."""

    def set_by(self, delta_s: float) -> None:
        """Move the wall time only."""
        self._wall = datetime.fromtimestamp(self._wall.timestamp() + delta_s, UTC)


@pytest.fixture
def clock() -> SettableClock:
    """A clock on a machine that runs for a while; its wall time can be set."""
    return SettableClock()


@pytest.fixture(scope="session")
def make_clock() -> Callable[..., SettableClock]:
    """Return a builder of clocks: monotonic start, wall time."""
    return SettableClock


@pytest.fixture(scope="session")
def sample() -> Callable[..., Snapshot]:
    """Return a builder of samples of two cells."""

    def build(
        at_s: float = 0.0,
        *,
        current_a: float = 10.0,
        cells_v: tuple[float, ...] = (3.3, 3.31),
        soc_percent: float = 50.0,
        internal_c: float | None = 25.0,
    ) -> Snapshot:
        pack = PackValues(sum(cells_v), current_a, soc_percent)
        return Snapshot(1 + int(at_s * 1000), at_s, pack, Cells(cells_v), Temperatures(internal_c))

    return build


@pytest.fixture(scope="session")
def some_limits() -> Callable[..., Limits]:
    """Return a builder of limits that may be sent."""

    def build(
        ccl_a: float = 50.0, freshness: Freshness = Freshness.FRESH, state: ChargeState = ChargeState.BULK
    ) -> Limits:
        return Limits(54.4, ccl_a, 80.0, 44.0, state, freshness)

    return build


@pytest.fixture(scope="session")
def make_row(sample: Callable[..., Snapshot], some_limits: Callable[..., Limits]) -> Callable[..., Row]:
    """Return a builder of rows: start, and currents of samples one second apart."""

    def build(start_s: int, *currents_a: float, state: ChargeState = ChargeState.BULK) -> Row:
        builder = StepBuilder()
        builder.note_freshness(Freshness.FRESH)
        builder.clear()
        for index, current_a in enumerate(currents_a):
            builder.add_sample(sample(float(index), current_a=current_a))
            builder.add_second(some_limits(state=state))
        return Row(start_s, builder.finish())

    return build


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state directory that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    """A database in that folder."""
    with closing(Database(folder, HistorySettings())) as database:
        yield database


@pytest.fixture
def minutes(make_row: Callable[..., Row]) -> Callable[..., Sequence[Row]]:
    """Return a builder of the batch of one minute, some minutes after the beginning of 2026, with one current."""

    def build(number: int, current_a: float = 10.0) -> Sequence[Row]:
        return [make_row(START_S + 60 * number + 10 * step, current_a) for step in range(6)]

    return build
