"""The core as the services see it: its state from the mirror, and whatever changes something as a command."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from tinybms_bridge.app.background import Background
from tinybms_bridge.app.examination import RunningDoctor
from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.state import BatteryState, PackCondition, PackState
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.config.values import values_of
from tinybms_bridge.core.supervisor import Supervisor
from tinybms_bridge.errors import BridgeError, ConfigProblem, LinkError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.devices import FoundDevices
from tinybms_bridge.link import commands
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.client import LinkClient
from tinybms_bridge.link.device import LinkedDevice, LinkedSettings
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.events import (
    AlarmsChanged,
    ChargeStateChanged,
    Event,
    FreshnessChanged,
    GxChanged,
    LimitsDecided,
    LinkChanged,
    Noted,
    NoticesChanged,
    PackSnapshotAccepted,
    SnapshotAccepted,
)
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import (
    CanState,
    CoreInfo,
    CoreState,
    EventRecorded,
    FramesSeen,
    MonitoredFrame,
    PackDetails,
    PartStatus,
    TraceLine,
    UartState,
    WatchdogState,
    lines_together,
)
from tinybms_bridge.services.history import History
from tinybms_bridge.services.logs import LogStore
from tinybms_bridge.services.ports import Examination, Hearing, MetricsSource, Moment, WatchedService
from tinybms_bridge.tinybms.found_units import Candidate
from tinybms_bridge.victron.can.gx import GxState
from tinybms_bridge.words import message

__all__ = ["CoreChanges", "NumberedFeed", "RemoteCore"]

log = logging.getLogger(__name__)

_SAVED_S = 20.0
_REMEMBERED_FRAMES = 500
_MOST_EVENTS = 2000
_NOTHING = PackDetails()
_UNKNOWN = PackState()
_UNHEARD = message("core.unheard")
_UNHEARD_S = 12.0
"""Twice missed: the core says every 5 s that it is there."""


class Numbered(Protocol):
    """Something that the core counts, from 1 up."""

    @property
    def number(self) -> int:
        """Grows by one from one to the next in one run of the core."""
        ...


N = TypeVar("N", bound=Numbered)


class NumberedFeed(Generic[N]):
    """What the core counts, in its order without gap or double, also from before and from while it was not heard.

    Another run of the core may use numbers again: then everything that it has is taken.

    Args:
        link: The connection.
        mirror: Its state.
        what: How to call it in the log.
        read: Returns the command that reads what has a higher number.
        take: Gets what is new, and whether that is of another run of the core.

    """

    def __init__(
        self,
        link: LinkClient[CoreState],
        mirror: Mirror[CoreState],
        what: str,
        read: Callable[[int], commands.Command[tuple[N, ...]]],
        take: Callable[[Sequence[N], bool], None],
    ) -> None:
        self._link = link
        self._mirror = mirror
        self._what = what
        self._read = read
        self._take = take
        self._run_id = ""
        self._last = 0
        self._waiting: list[N] = []
        self._reading: asyncio.Task[None] | None = None
        self._end = mirror.on_connection(self._connected)
        self._connected(mirror.connected)

    def offer(self, each: N) -> None:
        """Take what the core tells as it happens; in its turn, where something before it has to be read first."""
        if self._reading is not None:
            self._waiting.append(each)
        elif each.number > self._last + 1:
            self._begin([each])
        elif each.number > self._last:
            self._last = each.number
            self._take([each], False)

    def close(self) -> None:
        """Take nothing any more."""
        self._end()
        if self._reading is not None:
            self._reading.cancel()

    def _connected(self, connected: bool) -> None:
        if connected:
            self._begin([])

    def _begin(self, waiting: list[N]) -> None:
        """Read what is missed, in place of what another connection was asked for."""
        if self._reading is not None:
            self._reading.cancel()
        self._waiting = waiting
        self._reading = asyncio.ensure_future(self._read_missed())

    async def _read_missed(self) -> None:
        run_id = self._mirror.run_id
        other = run_id != self._run_id
        last = 0 if other else self._last
        try:
            found = await self._link.call(self._read(last))
        except BridgeError as error:
            log.warning("%s cannot be read: %s", self._what, error)
            self._reading = None
            return
        new = [*found]
        for each in self._waiting:
            if each.number > (new[-1].number if new else last):
                new.append(each)
        self._run_id, self._last = run_id, new[-1].number if new else last
        self._reading, self._waiting = None, []
        if new or other:
            self._take(new, other)


class CoreChanges:
    """Publishes on the bus of the services what changes in the core, for history and live data.

    What was there before the services heard the core is a change too: who asks the bus for the latest event finds it.
    """

    def __init__(self, mirror: Mirror[CoreState], bus: Bus) -> None:
        self._mirror = mirror
        self._bus = bus
        self._before = CoreState()
        self._look(frozenset())
        mirror.on_change(self._look)

    def _look(self, _branches: frozenset[str]) -> None:
        before, now = self._before, self._mirror.state
        self._before = now
        for event in (*_battery_changes(before.battery, now.battery), *_line_changes(before, now)):
            self._bus.publish(event, "core")


def _battery_changes(before: BatteryState, now: BatteryState) -> list[Event]:
    events: list[Event] = []
    latest = now.latest
    if latest is not None and latest != before.latest:
        events.append(SnapshotAccepted(latest, next(iter(now.packs)) if len(now.packs) == 1 else ""))
    if len(now.packs) > 1:
        events += _pack_changes(before.packs, now.packs)
    if now.decided != before.decided:
        events.append(LimitsDecided(now.decided))
    if now.freshness is not before.freshness:
        events.append(FreshnessChanged(before.freshness, now.freshness, now.frozen_since_s is not None))
    if now.decided is not None and before.decided is not None and now.decided.state is not before.decided.state:
        events.append(ChargeStateChanged(before.decided.state, now.decided.state))
    if now.alarms.levels != before.alarms.levels:
        events.append(AlarmsChanged(before.alarms, now.alarms))
    if now.notices != before.notices:
        events.append(NoticesChanged(before.notices, now.notices))
    return events


def _pack_changes(before: Mapping[str, PackState], now: Mapping[str, PackState]) -> list[Event]:
    return [
        PackSnapshotAccepted(pack.latest, name)
        for name, pack in now.items()
        if pack.latest is not None and pack.latest != before.get(name, _UNKNOWN).latest
    ]


def _line_changes(before: CoreState, now: CoreState) -> list[Event]:
    events: list[Event] = []
    for name, pack in now.packs.items():
        if pack.uart.up is not before.packs.get(name, _NOTHING).uart.up:
            of_several = name if len(now.packs) > 1 else ""
            events.append(LinkChanged(pack.uart.up, pack.uart.reason, pack.uart.message, of_several))
    for name, output in now.outputs.items():
        if output.gx_state != before.outputs.get(name, CanState()).gx_state:
            events.append(GxChanged(GxState(output.gx_state.upper()), output.gx_silent_for_s))
    return events


def _unheard_line(line: UartState) -> UartState:
    return replace(line, up=False, reason=_UNHEARD.text, message=_UNHEARD)


def _unheard(output: CanState) -> CanState:
    gx_state = "lost" if output.keepalive_ok else output.gx_state
    return replace(output, up=False, error=_UNHEARD.text, message=_UNHEARD, gx_state=gx_state)


class RemoteCore:
    """What the services know of the core, and ask of it; on the event loop of the services.

    Args:
        link: The connection, which comes and goes.
        mirror: Its state.
        clock: Source of time.
        store: The configuration and its file; see ``follow_store``.
        bus: The bus of the services.
        parts: The parts of this process.
        logs: The log of both processes.
        history: What the battery did.

    """

    def __init__(
        self,
        link: LinkClient[CoreState],
        mirror: Mirror[CoreState],
        clock: Clock,
        store: ConfigStore,
        bus: Bus,
        parts: Supervisor,
        logs: LogStore,
        history: History,
    ) -> None:
        self.clock = clock
        self.store = store
        self.bus = bus
        self.logs = logs
        self.history = history
        self._loop = asyncio.get_running_loop()
        self.extras: dict[str, WatchedService] = {}
        """The services that may be wanted, by name; filled by who makes them."""
        self.metrics: MetricsSource | None = None
        """What a Prometheus server reads; set by the service while it runs."""
        self._link = link
        self._mirror = mirror
        self._parts = parts
        self._doctor = RunningDoctor(self, partial(LinkedDevice, link))
        self._frames: deque[MonitoredFrame] = deque(maxlen=_REMEMBERED_FRAMES)
        self._records: deque[EventRecord] = deque(maxlen=_MOST_EVENTS)
        self._listed: tuple[EventRecord, ...] | None = None
        self._background = Background()
        self._list = NumberedFeed(link, mirror, "the event list", commands.ReadEvents, self._take_records)
        mirror.on_event(self._recorded, EventRecorded)
        mirror.on_event(self._seen, FramesSeen)

    @property
    def version(self) -> str:
        """Version of the core."""
        return self._mirror.state.core.version

    @property
    def uptime_s(self) -> float:
        """Seconds since the start of the core; 0 before it was heard."""
        started_s = self._mirror.state.core.started_s
        return max(0.0, self.clock.monotonic() - started_s) if started_s else 0.0

    def moment(self) -> Moment:
        """Return the battery now."""
        return Moment.of(self._mirror.state.battery, self.clock, self.hearing())

    def info(self) -> CoreInfo:
        """Return what the process of the core is, as it said last."""
        return self._mirror.state.core

    def hearing(self) -> Hearing:
        """Return whether the core is heard; one that keeps its connection and says nothing is not."""
        mirror, now_s = self._mirror, self.clock.monotonic()
        heard_s = mirror.since_s if mirror.last_heard_s is None else mirror.last_heard_s
        connected = mirror.connected and now_s - heard_s <= _UNHEARD_S
        return Hearing(connected, max(0.0, now_s - (mirror.since_s if connected else heard_s)))

    def packs(self) -> Mapping[str, PackDetails]:
        """Return what is known of each pack; its line counts as down while the core is not heard.

        Of a pack that was taken out of the configuration the link may still have a branch: the battery says which are.
        """
        state = self._mirror.state
        found = {name: state.packs.get(name, _NOTHING) for name in state.battery.packs or state.packs}
        if self.hearing().connected:
            return found
        return {name: replace(each, uart=_unheard_line(each.uart)) for name, each in found.items()}

    def outputs(self) -> Mapping[str, CanState]:
        """Return how each output is; it counts as down, and its GX as lost, while the core is not heard."""
        found = self._mirror.state.outputs
        return found if self.hearing().connected else {name: _unheard(each) for name, each in found.items()}

    def device(self, pack: str = "") -> LinkedSettings:
        """Return the settings of the BMS of a pack."""
        return LinkedSettings(self._link, pack)

    def conflicts(self) -> Sequence[ConfigProblem]:
        """Return what in the configuration in force does not fit the battery; the same of several packs once."""
        return list(dict.fromkeys(each for pack in self.packs().values() for each in pack.conflicts))

    def advice(self) -> Sequence[Advice]:
        """Return what an expert would change in the settings of every BMS."""
        return [each for pack in self.packs().values() for each in pack.advice]

    def uart(self) -> UartState:
        """Return how the line to the BMS is; of several packs the sums, up while each in service answers."""
        packs = self.moment().battery.packs
        lines = {
            name: each.uart
            for name, each in self.packs().items()
            if name not in packs or packs[name].condition is not PackCondition.OUT_OF_SERVICE
        }
        return lines_together(lines)

    def can(self) -> CanState:
        """Return how the CAN output is."""
        return self.outputs().get("can", CanState())

    def watchdog(self) -> WatchdogState:
        """Return how the watchdog is fed."""
        return self._mirror.state.watchdog

    def parts(self) -> Sequence[PartStatus]:
        """Return the parts of both processes; nobody knows those of the core while it is not heard."""
        of_core = self._mirror.state.parts
        if not self.hearing().connected:
            of_core = tuple(replace(each, state="unknown", error=_UNHEARD.text, message=_UNHEARD) for each in of_core)
        return [*of_core, *self._parts.statuses()]

    def services(self) -> Mapping[str, WatchedService]:
        """Return the services beside web, history and log, by name, wanted or not."""
        return self.extras

    def inhibits(self) -> Sequence[Inhibit]:
        """Return what is inhibited now."""
        return self._mirror.state.inhibits

    def events(self) -> Sequence[EventRecord]:
        """Return the event list, oldest first."""
        if self._listed is None:
            self._listed = tuple(self._records)
        return self._listed

    def frames(self, after: int = 0) -> Sequence[MonitoredFrame]:
        """Return the remembered CAN frames whose number is above ``after``, oldest first."""
        if self._frames and after > self._frames[-1].number:  # of another run, when the clock was ahead
            after = 0
        return [frame for frame in self._frames if frame.number > after]

    async def trace(self, pack: str = "") -> Sequence[TraceLine]:
        """Return the last traffic with the BMS of a pack, oldest first. Raises LinkError."""
        return await self._link.call(commands.ReadTrace(pack))

    async def examine(self) -> Examination:
        """Return what the doctor finds now, or found a moment ago."""
        return await self._doctor.examine()

    async def devices(self) -> FoundDevices:
        """Return the serial ports and CAN interfaces of the machine. Raises LinkError."""
        return await self._link.call(commands.ListDevices())

    async def candidates(self) -> Sequence[Candidate]:
        """Return the serial ports with what answers there, asked now. Raises LinkError."""
        return await self._link.call(commands.ListCandidates())

    async def inhibit(self, direction: Direction, duration_s: float | None, reason: str, by: str) -> Inhibit:
        """Stop a direction. Raises OSError when it is in force but could not be saved, LinkError."""
        return await self._link.call(commands.SetInhibit(direction, duration_s, reason, by))

    async def release(self, direction: Direction) -> bool:
        """Release a direction; False when it was not inhibited. Raises OSError, LinkError."""
        return await self._link.call(commands.ReleaseInhibit(direction))

    async def reset_statistics(self) -> None:
        """Set the counters of the core to zero; those of energy stay. Raises LinkError."""
        await self._link.call(commands.ResetStatistics())
        self.bus.reset_statistics()

    async def restart(self, part: str | None) -> None:
        """Restart a part of either process, or the whole core. Raises KeyError for an unknown name, LinkError."""
        if part is None:
            await self._link.call(commands.RestartProgram())
            return
        try:
            self._parts.restart(part)
        except KeyError:
            await self._link.call(commands.RestartPart(part))

    def note(self, event: Noted) -> None:
        """Have the core write into its event list what happened here; not told while it is away."""
        self._background.begin(self._noted(event))

    async def _noted(self, event: Noted) -> None:
        try:
            await self._link.call(commands.Note(event.severity, event.message, event.by, event.pack))
        except LinkError as error:
            log.warning("not in the event list (%s): %s", error, event.text)

    # the configuration

    def judge(self, wanted: Configuration) -> None:
        """Raise ConfigError for what does not fit the battery; called in the thread that changes the store."""
        self._ask(commands.JudgeConfiguration(values_of(self.store.adjust(wanted))))

    def configured(self, wanted: Configuration, digest: str | None) -> None:
        """Put in force what was saved; called in the thread that changed the store."""
        self._ask(commands.Configure(values_of(self.store.adjust(wanted)), digest or ""))

    def _ask(self, command: commands.Command[Any]) -> None:
        loop = self._loop
        future = asyncio.run_coroutine_threadsafe(self._link.call(command, timeout_s=_SAVED_S), loop)
        try:
            future.result(_SAVED_S + 1.0)
        except LinkError as error:
            log.warning("the core has not got the configuration, and reads the file once it is back: %s", error)

    # what the core says

    def _recorded(self, event: object) -> None:
        if isinstance(event, EventRecorded):
            self._list.offer(event.record)

    def _take_records(self, records: Sequence[EventRecord], of_another_run: bool) -> None:
        if of_another_run:  # its list is the one that is kept; the last seconds of a run that was killed are not in it
            self._records.clear()
        self._records.extend(records)
        self._listed = None

    def _seen(self, event: object) -> None:
        if isinstance(event, FramesSeen):
            self._frames.extend(event.frames)
