"""What the services know of the core."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from tinybms_bridge.app.remote import RemoteCore
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.errors import LinkError
from tinybms_bridge.link import commands
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import EVENTS, CoreState, EventRecorded
from tinybms_lab.testing.fake_clock import FakeClock


def record(number: int) -> EventRecord:
    """Return an entry of the event list."""
    return EventRecord(number, datetime(2026, 1, 2, tzinfo=UTC), EventSource.BRIDGE, Severity.INFO, "link.up", "up")


@dataclass
class FakeLink:
    """Answers for a core that has entries."""

    entries: list[EventRecord] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    fails: bool = False

    async def call(self, command: object, **_: object) -> object:
        """Return the entries after a number."""
        assert isinstance(command, commands.ReadEvents)
        self.asked.append(command.after)
        if self.fails:
            raise LinkError("the bridge is not connected")
        return tuple(each for each in self.entries if each.number > command.after)


def remote(link: FakeLink, mirror: Mirror[CoreState], clock: FakeClock) -> RemoteCore:
    """Return what the services know, of a core that has events and nothing else."""
    nothing = cast("Any", None)
    return RemoteCore(cast("Any", link), mirror, clock, nothing, nothing, nothing, nothing, nothing)


def hear(mirror: Mirror[CoreState], *numbers: int) -> None:
    """Let the core tell of new entries."""
    for number in numbers:
        for call, _ in list(mirror._on_event):
            call(EventRecorded(record(number)))


async def settle() -> None:
    """Let what was begun be done."""
    for _ in range(5):
        await asyncio.sleep(0)


def numbers(core: RemoteCore) -> list[int]:
    """Return which entries are known, in their order."""
    return [each.number for each in core.events()]


async def test_entries_from_before_the_services_are_there(clock: FakeClock) -> None:
    """The core is heard before anything asks: the list is read all the same."""
    link, mirror = FakeLink([record(1), record(2)]), Mirror(CoreState, EVENTS, clock.monotonic)
    mirror.set_connected(True)

    core = remote(link, mirror, clock)
    await settle()

    assert numbers(core) == [1, 2]


async def test_an_entry_that_comes_first_hides_no_older_one(clock: FakeClock) -> None:
    """It may arrive before the answer with the list; the list is whole and in order, and nothing is there twice."""
    link, mirror = FakeLink([record(1), record(2), record(3)]), Mirror(CoreState, EVENTS, clock.monotonic)
    core = remote(link, mirror, clock)
    mirror.set_connected(True)
    hear(mirror, 3, 4)

    await settle()

    assert numbers(core) == [1, 2, 3, 4]


async def test_what_happened_while_the_core_was_away_is_read(clock: FakeClock) -> None:
    """Only what is newer than the last list; a core that cannot answer costs nothing that is known."""
    link, mirror = FakeLink([record(1), record(2)]), Mirror(CoreState, EVENTS, clock.monotonic)
    mirror.set_connected(True)
    core = remote(link, mirror, clock)
    await settle()
    mirror.set_connected(False)
    link.entries += [record(3), record(4)]
    link.fails = True
    mirror.set_connected(True)
    await settle()
    assert numbers(core) == [1, 2]

    mirror.set_connected(False)
    link.fails = False
    mirror.set_connected(True)
    await settle()

    assert numbers(core) == [1, 2, 3, 4]
    assert link.asked == [0, 2, 2]
