"""The core as the services see it, over a real socket: state, events, commands, and what happens while it is away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tinybms_bridge.app.remote import CoreChanges, NumberedFeed, RemoteCore, _battery_changes
from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot
from tinybms_bridge.battery.state import BatteryState, PackState
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.core.event_store import EventStore
from tinybms_bridge.core.supervisor import Supervisor
from tinybms_bridge.errors import ConfigError, LinkError
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.hal.devices import find_devices
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link import commands
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.client import LinkClient
from tinybms_bridge.link.events import (
    AlarmsChanged,
    ChargeStateChanged,
    EventCode,
    FreshnessChanged,
    GxChanged,
    LimitsDecided,
    LinkChanged,
    Noted,
    PackSnapshotAccepted,
    SnapshotAccepted,
)
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import EVENTS, CoreState
from tinybms_bridge.services.flat import battery_numbers, limit_numbers
from tinybms_bridge.services.history import History
from tinybms_bridge.services.logs import LogSettings, LogStore
from tinybms_bridge.tinybms.settings import all_settings, backup_of
from tinybms_bridge.tinybms.settings.actions import ActionName
from tinybms_bridge.tinybms.settings.errors import ConfirmationError, SettingsError
from tinybms_bridge.tinybms.settings.writer import Outcome
from tinybms_bridge.victron.can.gx import GxState
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEEP_ALIVE = CanFrame(0x305, bytes(8))


@pytest.fixture(scope="module", autouse=True)
def catalogue_is_read() -> None:
    """Read the settings of the catalogue, a file, before any event loop."""
    all_settings()


class Side:
    """The services' side of a link, joined to a core that may go and come again."""

    def __init__(self, core: Any) -> None:
        self.running = core
        self.clock: FakeClock = core.clock
        self.mirror = Mirror(CoreState, EVENTS, self.clock.monotonic)
        self.link = LinkClient([core.socket], self.mirror, self.clock, who="services", program_version="9.9")
        self.bus = Bus(self.clock.monotonic, self.clock.wall)
        self.news = self.bus.subscribe(depth=100_000)
        self.parts = Supervisor(self.clock)
        self.parts.add("web", asyncio.Event().wait)  # type: ignore[arg-type]  # never returns
        self.store = ConfigStore(MemoryStorage(b"{}"))
        self.task: asyncio.Task[None] | None = None

    async def connect(self) -> RemoteCore:
        """Follow the core from now on."""
        self.task = asyncio.create_task(self.link.run())
        await self.running.until(lambda: self.mirror.state.core.version)
        self.core = RemoteCore(
            self.link,
            self.mirror,
            self.clock,
            self.store,
            self.bus,
            self.parts,
            LogStore(LogSettings(console=False)),
            History(None),
        )
        CoreChanges(self.mirror, self.bus)
        return self.core

    async def replace(self, core: Any) -> None:
        """Put another run of the core in the place of the one that ends."""
        await self.running.end()
        self.running = core
        await core.start()

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until something holds."""
        await self.running.until(condition)

    async def result(self, work: Any) -> Any:
        """Return what a coroutine returns while time passes."""
        return await self.running.result(work)

    def published(self, kind: type[Any]) -> list[Any]:
        """Return the events of a kind on the bus of the services since the last time."""
        found = []
        while (envelope := self.news.take()) is not None:
            if isinstance(envelope.event, kind):
                found.append(envelope.event)
        return found

    def texts(self) -> list[str]:
        """Return what notes of the test the event list has."""
        return [each.by for each in self.core.events() if each.by]

    def note(self, by: str) -> None:
        """Let the core record something."""
        self.running.bridge.bus.publish(Noted(Severity.INFO, message(EventCode.GX_PRESENT), by), "test")

    async def end(self) -> None:
        """Follow nothing any more."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task


@pytest.fixture
async def join(new_core: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> AsyncIterator[Callable[..., Any]]:
    """Return what joins services to a new core."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    made: list[Side] = []

    async def begin(*, connect: bool = True, before: Callable[[Any], object] | None = None, **options: Any) -> Side:
        core = new_core(**options)
        await core.start()
        if before is not None:
            before(core)
        side = Side(core)
        made.append(side)
        if connect:
            await side.connect()
        return side

    yield begin
    for each in made:
        await each.end()


Join = Callable[..., Any]


# the state


async def test_battery_is_that_of_the_core(join: Join) -> None:
    """Battery, lines, parts of both processes, and how long the core runs: what the pages show."""
    side: Side = await join()
    core, bridge = side.core, side.running.bridge
    await side.until(lambda: core.moment().view.freshness is Freshness.FRESH and core.can().bursts > 2)
    moment = core.moment()
    assert moment.view.measured is not None
    assert moment.battery.identity == bridge.pack.identity
    assert moment.at == side.clock.wall()
    assert core.uptime_s == pytest.approx(bridge.uptime_s)
    assert core.uart().up
    assert core.can().up
    assert core.watchdog().feed_count > 0
    (details,) = core.packs().values()
    assert details.statistics == bridge.pack.log.statistics
    assert list(core.conflicts()) == list(bridge.advisor.conflicts)
    assert list(core.advice()) == list(bridge.advisor.advice)
    names = [part.name for part in core.parts()]
    assert {"uart", "can", "link", "web"} <= set(names)
    assert len(names) == len(set(names)), "a part belongs to one process"


async def test_nothing_is_known_before_the_core_is_heard(join: Join) -> None:
    """No permission, no uptime, no lines that are up; and nothing fails."""
    side: Side = await join(connect=False)
    core = RemoteCore(
        side.link,
        side.mirror,
        side.clock,
        side.store,
        side.bus,
        side.parts,
        LogStore(LogSettings(console=False)),
        History(None),
    )
    moment = core.moment()
    assert (moment.view.limits, moment.view.measured, core.uptime_s, core.version) == (None, None, 0.0, "")
    assert (core.uart().up, core.can().up, core.events(), core.frames()) == (False, False, (), [])
    for work in (
        core.trace(),
        core.devices(),
        core.reset_statistics(),
        core.release(Direction.CHARGE),
        core.restart(None),
    ):
        with pytest.raises(LinkError, match="not connected"):
            await work


async def test_no_interface_shows_old_values_as_live(join: Join) -> None:
    """One battery through all states of its data: what API and WebSocket make of the same moment."""
    side: Side = await join()
    core, line = side.core, side.running.line

    def shown() -> tuple[Freshness, Any, Any]:
        moment = core.moment()
        return moment.view.freshness, battery_numbers(moment), limit_numbers(moment.view.limits)

    def plug(present: bool) -> None:
        line.present = present
        side.running.bridge.supervisor.restart("uart")

    await side.until(lambda: shown()[0] is Freshness.FRESH)
    _, live, limits = shown()
    volts = live["voltage"]
    assert volts > 40.0
    assert (live["last"], live["remark"]) == (None, "")
    assert limits["ccl_limit_a"] > 0.0
    plug(present=False)
    await side.until(lambda: shown()[0] is Freshness.HOLD and shown()[2]["ccl_limit_a"] == 0.0)
    _, held, limits = shown()
    assert held["voltage"] is None
    assert held["last"]["voltage"] == pytest.approx(volts, abs=1.0)
    await side.until(lambda: shown()[0] is Freshness.SILENT)
    _, silent, limits = shown()
    assert silent["voltage"] is None
    assert silent["last"]["voltage"] == held["last"]["voltage"]
    assert side.clock.wall() - silent["last"]["at"] > timedelta(seconds=30)
    assert set(limits.values()) == {None}
    plug(present=True)
    await side.until(lambda: shown()[0] is Freshness.FRESH)
    _, back, limits = shown()
    assert back["voltage"] is not None
    assert back["last"] is None


async def test_old_values_are_not_live_while_the_core_is_away(join: Join) -> None:
    """A core that was killed says nothing: its last state grows old here by the clock that both share."""
    side: Side = await join()
    await side.until(lambda: side.core.moment().view.freshness is Freshness.FRESH)
    await side.running.end()
    for _ in range(1500):
        await side.clock.advance(0.1)
    moment = side.core.moment()
    assert moment.view.freshness is Freshness.SILENT
    assert moment.view.limits is None
    assert battery_numbers(moment)["voltage"] is None


async def test_lines_and_parts_count_as_down_while_the_core_is_away(join: Join) -> None:
    """What was up when the core was last heard is not shown as up; the parts of this process are known all the same."""
    side: Side = await join()
    core, gx = side.core, side.running.bus.open()
    await side.until(lambda: core.uart().up and core.can().up)
    gx.send(KEEP_ALIVE)
    await side.until(lambda: core.outputs()["can"].keepalive_ok)
    assert core.hearing().connected
    assert core.packs()["main"].uart == core.uart()
    polls, states = core.uart().polls, {part.name: part.state for part in core.parts()}
    assert {states["uart"], states["web"]} != {"unknown"}
    await side.running.end()
    await side.until(lambda: not core.hearing().connected)
    await side.clock.advance(5.0)
    assert core.hearing().since_s >= 5.0
    assert side.mirror.last_heard_s == pytest.approx(side.clock.monotonic() - core.hearing().since_s)
    assert core.moment().active() == {NoticeName.CORE_UNREACHABLE: AlarmLevel.ALARM}
    assert (core.uart().up, core.uart().reason) == (False, "the core does not answer")
    told = {core.uart().why(), core.can().why(), core.parts()[0].why()}
    assert told == {message("core.unheard")}
    assert core.uart().polls >= polls, "counters stay"
    assert core.packs()["main"].uart == core.uart()
    assert (core.can().up, core.can().gx_state, core.can().keepalive_ok) == (False, "lost", False)
    away = {part.name: part.state for part in core.parts()}
    assert (away["uart"], away["can"], away["web"]) == ("unknown", "unknown", states["web"])


async def test_a_core_that_hangs_is_not_heard_though_its_connection_stays(join: Join) -> None:
    """A stopped process keeps its socket open: what it said last is not shown as so."""
    side: Side = await join()
    core = side.core
    await side.until(lambda: core.uart().up and core.can().up)
    assert side.mirror.last_heard_s is not None
    for age_s, heard in ((11.0, True), (13.0, False)):
        side.mirror.last_heard_s = side.clock.monotonic() - age_s
        assert (core.hearing().connected, core.uart().up, core.can().up) == (heard, heard, heard)
    assert core.hearing().since_s == pytest.approx(13.0)
    assert "unknown" in {part.state for part in core.parts()}
    await side.until(lambda: core.hearing().connected)


async def test_changes_are_published_for_history_and_live_data(join: Join) -> None:
    """Snapshots, limits, freshness, charge state, alarms, the line and the GX, as the bus of one process had them."""
    side: Side = await join()
    gx = side.running.bus.open()
    await side.until(lambda: side.core.moment().view.freshness is Freshness.FRESH)
    gx.send(KEEP_ALIVE)
    await side.until(lambda: side.core.can().keepalive_ok)
    side.running.line.present = False
    side.running.bridge.supervisor.restart("uart")
    await side.until(lambda: side.core.moment().view.freshness is Freshness.SILENT and not side.core.uart().up)
    events = []
    while (envelope := side.news.take()) is not None:
        events.append(envelope.event)

    def of(kind: type[Any]) -> list[Any]:
        return [event for event in events if isinstance(event, kind)]

    sequences = [event.snapshot.sequence for event in of(SnapshotAccepted)]
    assert sequences == sorted(set(sequences))
    assert len(sequences) > 5
    assert len(of(LimitsDecided)) > 2
    assert [event.new for event in of(FreshnessChanged)][-3:] == [Freshness.FRESH, Freshness.HOLD, Freshness.SILENT]
    assert [event.up for event in of(LinkChanged)][-1:] == [False]  # it was up when the state was first heard
    assert of(LinkChanged)[-1].reason == "no port"
    assert next(event.state for event in of(GxChanged)) is GxState.PRESENT
    assert of(AlarmsChanged)
    assert all(event.old is not event.new for event in of(ChargeStateChanged))


def test_each_of_several_packs_is_published() -> None:
    """With one pack its sample is that of the battery; of several, all together are, and each new one stands beside."""

    def snapshot(number: int) -> Snapshot:
        return Snapshot(number, float(number), PackValues(6.6, 1.0, 50.0), Cells((3.3, 3.3)))

    one = BatteryState(packs={"a": PackState(snapshot(1))})
    assert _battery_changes(BatteryState(), one) == [SnapshotAccepted(snapshot(1), "a")]
    two = BatteryState(packs={"a": PackState(snapshot(1)), "b": PackState(snapshot(2))})
    assert _battery_changes(one, two) == [PackSnapshotAccepted(snapshot(2), "b")]
    both = BatteryState(
        packs={"a": PackState(snapshot(3)), "b": PackState(snapshot(4))}, combined=snapshot(4), members=("a", "b")
    )
    assert _battery_changes(two, both) == [
        SnapshotAccepted(snapshot(4), ""),
        PackSnapshotAccepted(snapshot(3), "a"),
        PackSnapshotAccepted(snapshot(4), "b"),
    ]
    assert _battery_changes(both, one)[0] == SnapshotAccepted(snapshot(1), "a")


async def test_what_was_there_before_the_services_is_a_change_too(join: Join) -> None:
    """A history that begins beside a core that has long been fresh counts its time as fresh."""
    side = await join()
    await side.until(lambda: side.mirror.state.battery.freshness is Freshness.FRESH)
    later = Bus(side.clock.monotonic, side.clock.wall)
    CoreChanges(side.mirror, later)

    known = later.latest(FreshnessChanged)
    assert known is not None
    assert known.event.new is Freshness.FRESH
    assert later.latest(LinkChanged) is not None
    assert later.latest(SnapshotAccepted) is not None


async def test_frames_are_remembered_by_number(join: Join) -> None:
    """Who follows them asks for those after a number; one of a run whose clock was ahead begins from the first."""
    side: Side = await join()
    await side.until(lambda: len(side.core.frames()) > 20)
    frames = side.core.frames()
    assert [frame.number for frame in frames] == sorted({frame.number for frame in frames})
    assert side.core.frames(frames[3].number)[: len(frames) - 4] == frames[4:]
    assert side.core.frames(frames[-1].number + 10**12)[: len(frames)] == frames


# the event list


async def test_entries_from_before_are_there(join: Join) -> None:
    """Services that start after the core have its whole list, once."""
    store = EventStore(MemoryStorage())
    for number in range(3):
        store.add(Noted(Severity.INFO, message(EventCode.GX_PRESENT), f"old {number}"), AT)
    side: Side = await join(bms=False, events=store)
    await side.until(lambda: side.texts() == ["old 0", "old 1", "old 2"])
    side.note("new")
    await side.until(lambda: "new" in side.texts())
    assert side.texts() == ["old 0", "old 1", "old 2", "new"]
    assert side.core.events() == side.running.bridge.events.records()
    assert side.core.events() is side.core.events(), "a list that nothing was added to is not made again"


async def test_list_has_no_gap_and_no_double_over_a_lost_connection(join: Join) -> None:
    """What the core has recorded while it was not heard is taken up in its order."""
    side: Side = await join(bms=False)
    side.note("before")
    await side.until(lambda: side.texts() == ["before"])
    side.running.bridge.supervisor.restart("link")
    await side.until(lambda: not side.mirror.connected)
    for number in range(300):  # more than the core keeps for who comes back
        side.note(f"away {number}")
        await side.clock.advance(0.0)
    await side.until(lambda: side.mirror.connected)
    side.note("after")
    await side.until(lambda: "after" in side.texts())
    assert side.texts() == ["before", *(f"away {number}" for number in range(300)), "after"]
    numbers = [each.number for each in side.core.events()]
    assert numbers == sorted(set(numbers))


async def test_list_of_another_run_takes_the_place_of_the_old_one(join: Join, new_core: Callable[..., Any]) -> None:
    """A core that was killed has lost its last entries, and uses their numbers again."""
    store = EventStore(MemoryStorage())
    store.add(Noted(Severity.INFO, message(EventCode.GX_PRESENT), "saved"), AT)
    side: Side = await join(bms=False, events=store)
    for number in range(5):
        side.note(f"lost {number}")
    await side.until(lambda: "lost 4" in side.texts())
    again = EventStore(MemoryStorage())
    again.add(Noted(Severity.INFO, message(EventCode.GX_PRESENT), "saved"), AT)
    again.add(Noted(Severity.INFO, message(EventCode.GX_PRESENT), "at the start"), AT)
    await side.replace(new_core(bms=False, events=again))
    await side.until(lambda: side.texts() == ["saved", "at the start"])
    side.note("later")
    await side.until(lambda: side.texts() == ["saved", "at the start", "later"])
    assert side.core.events() == again.records()


async def test_what_happens_here_is_written_by_the_core(join: Join) -> None:
    """Who did what through the pages is kept where everything else is."""
    side: Side = await join(bms=False)
    side.core.note(Noted(Severity.WARNING, message(EventCode.GX_LOST), "boss"))
    await side.until(lambda: side.texts() == ["boss"])
    (record,) = [each for each in side.running.bridge.events.records() if each.by == "boss"]
    assert (record.code, record.severity) == (EventCode.GX_LOST, Severity.WARNING)


async def test_note_that_the_core_cannot_take_is_in_the_log(join: Join, caplog: pytest.LogCaptureFixture) -> None:
    """It is told somewhere."""
    side: Side = await join(bms=False)
    await side.running.end()
    await side.clock.advance(1.0)
    while side.mirror.connected:
        await asyncio.sleep(0)
    side.core.note(Noted(Severity.WARNING, message(EventCode.GX_LOST), "boss"))
    await side.clock.advance(0.0)
    assert any(line.startswith("not in the event list (") for line in caplog.messages)


@dataclass(frozen=True)
class Entry:
    """Something with a number."""

    number: int


class Script:
    """A link whose answers come when the test says so."""

    def __init__(self) -> None:
        self.mirror = Mirror(CoreState, EVENTS, lambda: 0.0)
        self.asked: list[tuple[int, asyncio.Future[tuple[Entry, ...]]]] = []
        self.taken: list[int] = []
        self.fresh: list[bool] = []
        self.link: Any = self
        self.mirror.run_id = "first"

    def feed(self) -> NumberedFeed[Entry]:
        """Return a feed over this link."""
        read: Any = commands.ReadEvents
        return NumberedFeed(self.link, self.mirror, "the list", read, self._take)

    def _take(self, entries: Any, of_another_run: bool) -> None:
        self.fresh.append(of_another_run)
        self.taken += [entry.number for entry in entries]

    async def call(self, command: Any) -> tuple[Entry, ...]:
        """Stand in for ``LinkClient.call``."""
        answer: asyncio.Future[tuple[Entry, ...]] = asyncio.get_running_loop().create_future()
        self.asked.append((command.after, answer))
        return await answer

    async def answer(self, *numbers: int) -> None:
        """Answer the last question."""
        self.asked[-1][1].set_result(tuple(Entry(number) for number in numbers))
        await settle()


async def settle() -> None:
    """Let everybody run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_while_the_rest_is_read_waits_for_its_turn() -> None:
    """The answer has some of it, too: each is taken once, in the order of its number."""
    script = Script()
    script.mirror.set_connected(True)
    feed = script.feed()
    await settle()
    for number in (4, 5, 6):
        feed.offer(Entry(number))
    assert script.taken == []
    await script.answer(1, 2, 3, 4, 5)
    assert script.taken == [1, 2, 3, 4, 5, 6]
    assert script.fresh == [True]
    feed.offer(Entry(7))
    feed.offer(Entry(7))
    feed.offer(Entry(6))
    assert script.taken == [1, 2, 3, 4, 5, 6, 7]
    assert [after for after, _ in script.asked] == [0]


async def test_gap_is_read() -> None:
    """The core has dropped what this side was too slow for; it still has it in its list."""
    script = Script()
    script.mirror.set_connected(True)
    feed = script.feed()
    await settle()
    await script.answer(1, 2)
    feed.offer(Entry(6))
    await settle()
    feed.offer(Entry(7))
    assert [after for after, _ in script.asked] == [0, 2]
    await script.answer(3, 4, 5, 6)
    assert script.taken == [1, 2, 3, 4, 5, 6, 7]


async def test_gap_that_the_core_no_longer_has_is_passed_over() -> None:
    """Its list is bounded."""
    script = Script()
    script.mirror.set_connected(True)
    feed = script.feed()
    await settle()
    await script.answer(1, 2)
    feed.offer(Entry(600))
    await settle()
    await script.answer(598, 599, 600)
    feed.offer(Entry(601))
    assert script.taken == [1, 2, 598, 599, 600, 601]
    assert len(script.asked) == 2


async def test_question_of_a_connection_that_is_gone_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """From where the list is complete, not from what came last; for another run from the start."""
    script = Script()
    script.mirror.set_connected(True)
    feed = script.feed()
    await settle()
    await script.answer(1, 2)
    script.mirror.set_connected(False)
    script.mirror.set_connected(True)
    await settle()
    feed.offer(Entry(9))
    script.asked[-1][1].set_exception(LinkError("the bridge has gone"))
    script.mirror.set_connected(False)
    await settle()
    assert "the list cannot be read: the bridge has gone" in caplog.messages
    script.mirror.set_connected(True)
    await settle()
    assert [after for after, _ in script.asked] == [0, 2, 2]
    script.mirror.set_connected(False)
    script.mirror.run_id = "second"
    script.mirror.set_connected(True)
    await settle()
    assert script.asked[-1][0] == 0
    feed.offer(Entry(2))
    await script.answer(1)
    assert script.taken == [1, 2, 1, 2]
    assert script.fresh == [True, True]


async def test_closed_feed_asks_and_takes_nothing() -> None:
    """After the end of the services."""
    script = Script()
    script.mirror.set_connected(True)
    feed = script.feed()
    await settle()
    feed.close()
    await settle()
    assert script.asked[0][1].cancelled()
    script.mirror.set_connected(False)
    script.mirror.set_connected(True)
    await settle()
    assert len(script.asked) == 1


# commands


async def test_inhibit_and_release_reach_the_core(join: Join) -> None:
    """What is answered is in the list of inhibits already."""
    side: Side = await join(bms=False)
    answered = await side.result(side.core.inhibit(Direction.CHARGE, 60.0, "cables", "boss"))
    assert list(side.core.inhibits()) == [answered]
    assert await side.result(side.core.release(Direction.CHARGE)) is True
    assert await side.result(side.core.release(Direction.CHARGE)) is False
    assert list(side.core.inhibits()) == []


async def test_statistics_of_both_processes_begin_again(join: Join) -> None:
    """What was counted before does not stand beside what was counted after."""
    side: Side = await join()
    await side.until(lambda: side.core.uart().polls > 10)
    assert side.bus.statistics().total_published > 0
    await side.result(side.core.reset_statistics())
    assert side.core.uart().polls < 5
    assert side.bus.statistics().total_published < 5


async def test_parts_of_either_process_are_started_again(join: Join) -> None:
    """By name, wherever they run; a name that neither knows is an error; without a name it is the whole program."""
    side: Side = await join(bms=False)
    running = asyncio.create_task(side.parts.run())
    await side.clock.advance(0.1)
    await side.result(side.core.restart("web"))
    await side.clock.advance(0.1)
    assert side.parts.parts["web"].restarts == 1
    await side.result(side.core.restart("state"))
    await side.until(lambda: side.running.bridge.supervisor.parts["state"].restarts == 1)
    with pytest.raises(KeyError, match="weather"):
        await side.result(side.core.restart("weather"))
    await side.result(side.core.restart(None))
    await side.until(lambda: side.running.restarts == 1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_settings_of_the_bms_are_those_behind_the_core(join: Join) -> None:
    """Read, planned, written, restored and acted upon, with the errors that the core raises."""
    side: Side = await join()
    device = side.core.device()
    await side.until(lambda: side.core.uart().up)
    read = await side.result(device.read())
    plan = await side.result(device.plan({"charger_startup_delay_s": 33}))
    report = await side.result(device.apply({"charger_startup_delay_s": 33}, plan, confirm=True, by="boss"))
    assert [result.outcome for result in report.results] == [Outcome.WRITTEN]
    backup = backup_of(read, AT)
    plan = await side.result(device.plan_backup(backup, force=False))
    assert [change.setting.name for change in plan.changes] == ["charger_startup_delay_s"]
    report = await side.result(device.apply_backup(backup, plan, force=False, confirm=True, by="boss"))
    assert Outcome.WRITTEN in {result.outcome for result in report.results}
    assert (await side.result(device.read())).words == read.words
    with pytest.raises(SettingsError):
        await side.result(device.plan({"over_voltage_cutoff_v": 99.0}))
    with pytest.raises(ConfirmationError):
        await side.result(device.perform(ActionName.RESTART, confirm=False, by="boss"))
    assert await side.result(side.core.trace())
    assert await side.result(side.core.devices()) == await asyncio.to_thread(find_devices)


async def test_the_doctor_examines_through_the_core(join: Join) -> None:
    """As the command beside a running bridge; who asks at the same time or soon after asks the BMS nothing."""
    side: Side = await join()
    await side.until(lambda: side.running.bridge.pack.ratings is not None)
    first, second = await side.result(asyncio.gather(side.core.examine(), side.core.examine()))
    assert first is second
    checks = [finding.check for finding in first.findings]
    assert [check for check in dict.fromkeys(checks) if check not in ("balancing", "count", "battery")] == [
        *(
            "configuration",
            "serial port",
            "watchdog",
            "link",
            "identity",
            "settings",
            "advice",
            "polling",
            "plausibility",
        ),
        *("state", "events", "history", "CAN", "GX"),
    ]
    assert side.core.info().pid == side.mirror.state.core.pid
    assert await side.result(side.core.examine()) is first
    await side.clock.advance(11.0)
    assert await side.result(side.core.examine()) is not first


async def test_the_doctor_tells_that_the_core_is_away(join: Join) -> None:
    """Nothing else can be known then."""
    side: Side = await join(bms=False)
    await side.running.end()
    while side.mirror.connected:
        await side.clock.advance(0.0)
    found = await side.result(side.core.examine())
    assert [finding.message.code for finding in found.findings] == ["doctor.usable", "doctor.core_unheard"]


# the configuration


async def test_configuration_is_judged_and_put_in_force_from_a_thread(join: Join) -> None:
    """The store is changed in a thread, which waits for what the core says."""
    side: Side = await join()
    await asyncio.to_thread(side.store.load)
    side.store.judges.append(side.core.judge)
    side.store.subscribe(lambda change: side.core.configured(change.new, side.store.digest))
    await side.until(lambda: side.running.bridge.pack.ratings is not None)
    await side.result(asyncio.to_thread(side.store.update, {"victron": {"stale_hold_s": 7}}))
    assert side.running.bridge.config.victron.stale_hold_s == 7
    with pytest.raises(ConfigError, match="contradicts the BMS"):
        await side.result(asyncio.to_thread(side.store.update, {"cvl": {"chemistry": "lto"}}))
    assert side.store.configuration.cvl.chemistry == side.running.bridge.config.cvl.chemistry == "auto"


async def test_configuration_is_saved_also_while_the_core_is_away(join: Join, caplog: pytest.LogCaptureFixture) -> None:
    """It reads the file when it is back; who saves need not know."""
    side: Side = await join(bms=False)
    await asyncio.to_thread(side.store.load)
    side.store.judges.append(side.core.judge)
    side.store.subscribe(lambda change: side.core.configured(change.new, side.store.digest))
    await side.running.end()
    while side.mirror.connected:
        await side.clock.advance(0.0)
    change = await asyncio.to_thread(side.store.update, {"victron": {"stale_hold_s": 7}})
    assert change.changed_paths == ("victron.stale_hold_s",)
    assert any("reads the file once it is back" in line for line in caplog.messages)
