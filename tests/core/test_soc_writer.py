import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.core.soc_writer import SocWriter
from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import Noted
from tinybms_bridge.tinybms.settings import ActionName, ActionResult, Outcome
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.words import said

HOUR_S = 3600.0


class Desk:
    """Stands for the two counts and for the settings of the BMS."""

    def __init__(self) -> None:
        self.apart = 0.0
        self.outcome: Outcome | None = Outcome.WRITTEN
        self.performed: list[tuple[ActionName, object, bool]] = []

    async def perform(self, action: ActionName, value: object = None, *, confirm: bool = False) -> ActionResult:
        """Take note; fail where the test says so."""
        self.performed.append((action, value, confirm))
        if self.outcome is None:
            raise LinkError("no answer")
        return ActionResult(action, self.outcome, said("the BMS shows 40.0 %"))


@pytest.fixture
def desk() -> Desk:
    """Two counts that agree."""
    return Desk()


@pytest.fixture
def bus(clock: FakeClock) -> Bus:
    """A bus to be looked at."""
    return Bus(clock.monotonic, lambda: datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(autouse=True)
async def writer(desk: Desk, bus: Bus, clock: FakeClock) -> AsyncIterator[None]:
    """A writer at work."""
    task = asyncio.create_task(SocWriter(lambda: desk.apart, desk, bus, clock).run())  # type: ignore[arg-type]
    await clock.advance(0.0)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_counts_that_agree_are_left_alone(desk: Desk, clock: FakeClock) -> None:
    """Also where the owner wants no write, which is told as no difference."""
    desk.apart = -1.9
    await clock.advance(HOUR_S)
    assert desk.performed == []


async def test_a_count_that_is_off_is_set_once_a_day(desk: Desk, bus: Bus, clock: FakeClock) -> None:
    """To what the bridge counts; a BMS that does not keep it is not written to again at once."""
    events = bus.subscribe(depth=10)
    desk.apart = -12.0
    await clock.advance(5 * HOUR_S)
    assert desk.performed == [(ActionName.SET_STATE_OF_CHARGE, None, True)]
    envelope = events.take()
    assert envelope is not None
    assert isinstance(envelope.event, Noted)
    assert envelope.event.severity is Severity.INFO
    await clock.advance(24 * HOUR_S)
    assert len(desk.performed) == 2


@pytest.mark.parametrize("outcome", [None, Outcome.DIFFERS])
async def test_a_write_that_failed_is_told(desk: Desk, bus: Bus, clock: FakeClock, outcome: Outcome | None) -> None:
    """Refused, lost, or not what is read back."""
    events = bus.subscribe(depth=10)
    desk.apart, desk.outcome = 5.0, outcome
    await clock.advance(HOUR_S)
    envelope = events.take()
    assert envelope is not None
    assert isinstance(envelope.event, Noted)
    assert envelope.event.severity is Severity.WARNING
    assert "could not be set" in envelope.event.text
