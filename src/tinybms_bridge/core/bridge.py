"""The composition root: builds the parts, joins them, and runs them under the supervisor.

The path is poller → pipeline → transmitter. Whatever else runs only reads what they publish.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tinybms_bridge.battery.advice import Advice, Weight, advise
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import DatedEvent
from tinybms_bridge.battery.charging_words import defaults_changed, narrow_remark
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Chemistry, Limits, ManualInhibits
from tinybms_bridge.battery.manual_stops import Direction
from tinybms_bridge.battery.notices import Communication
from tinybms_bridge.battery.saved_units import NO_SERIAL, SavedUnits, unit_key
from tinybms_bridge.battery.snapshot import BmsStatus, Identity, Ratings, Snapshot
from tinybms_bridge.battery.view import View
from tinybms_bridge.config.battery import check_with_ratings, chemistry_for, chemistry_remark, new_problems
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.battery import Pipeline
from tinybms_bridge.core.event_store import EventRecorder, EventStore
from tinybms_bridge.core.manual_stops import ManualStops
from tinybms_bridge.core.notice_watch import NoticeWatch
from tinybms_bridge.core.persistence import StateKeeper
from tinybms_bridge.core.settings import (
    client_settings,
    frame_settings,
    notice_settings,
    pipeline_settings,
    poll_settings,
    transmitter_settings,
)
from tinybms_bridge.core.soc_writer import SocWriter
from tinybms_bridge.core.supervisor import Part, Supervisor
from tinybms_bridge.errors import ConfigError, LinkError
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.can import CanFrame, CanPort, CanStatistics
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.serial import SerialOpener
from tinybms_bridge.hal.storage import MemoryStorage, Storage
from tinybms_bridge.hal.watchdog import NullWatchdog, ProgressGuard, Watchdog
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import BmsEventsSeen, GxChanged, IdentityKnown, LinkChanged, Noted, PartStateChanged
from tinybms_bridge.services.history import History
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_bridge.tinybms.device_log import DeviceLog
from tinybms_bridge.tinybms.poller import LinkState, Poller
from tinybms_bridge.tinybms.settings import BmsSettings
from tinybms_bridge.victron.can.codec import FrameSettings, Outgoing, encode_frames
from tinybms_bridge.victron.can.gx import GxChange, GxPresence, GxState
from tinybms_bridge.victron.can.neighbours import BusSilence, SecondBms
from tinybms_bridge.victron.can.outgoing import Fall, fall_of
from tinybms_bridge.victron.can.transmitter import Transmitter

if TYPE_CHECKING:
    from tinybms_bridge.services.web.service import WebState

__all__ = ["Bridge", "CanOpener", "Machine"]

log = logging.getLogger(__name__)

CanOpener = Callable[[], Awaitable[CanPort]]
"""Opens the CAN adapter that was configured. Raises LinkError."""

_TICK_S = 0.25
_SUSPEND_S = 1.0
"""A shorter one changes nothing."""
_EVENTS_INTERVAL_S = 60.0
_NEWEST_INTERVAL_S = 3.0
"""A warning may not show in the status: its event alone says that the BMS has cut one direction."""
_CAN_RETRY_MAX_S = 10.0
_UART_PAUSE_S = 10.0
"""Longer than the poller ever waits between two attempts."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the bridge runs on; tests hand in fakes."""

    clock: Clock
    open_serial: SerialOpener
    open_can: CanOpener
    storage: Storage
    watchdog: Watchdog = field(default_factory=NullWatchdog)
    events: EventStore = field(default_factory=lambda: EventStore(MemoryStorage()))
    """The bridge's own event list, loaded."""
    stops: Storage = field(default_factory=MemoryStorage)
    """Where manual stops are kept."""
    history: History = field(default_factory=History)
    """What the battery did; records once it is added to the parts."""
    use: Callable[[Configuration], None] = lambda _config: None
    """Told of a new configuration before a port is opened again or a file is written. Blocks; raises OSError."""
    stored: Callable[[str, int], Storage] = lambda _name, _mode: MemoryStorage()
    """Returns a file of the state directory by name and mode; it follows the directory."""
    folder: Callable[[], Path] = Path
    """Returns the state directory in use."""
    own: Callable[[], None] = lambda: None
    """Keeps the state directory for this process. Blocks; raises DirectoryTakenError."""
    release: Callable[[], None] = lambda: None
    """Lets another process have it."""
    run_blocking: RunBlocking = in_thread
    """Runs what blocks, off the event loop."""


class Bridge:
    """One BMS on one CAN bus. Raises ConfigError for a configuration that cannot be put into frames."""

    def __init__(self, config: Configuration, machine: Machine, saved: SavedUnits) -> None:
        clock = machine.clock
        self.config = config
        """The configuration in force."""
        self.bus = Bus(clock.monotonic, clock.wall)
        self.client = TinyBmsClient(machine.open_serial, clock, client_settings(config))
        self.pipeline = Pipeline(self.bus, pipeline_settings(config), saved.state)
        self._units = saved
        self._met: Identity | None = None
        self.stops = ManualStops(machine.stops, clock, self._apply_stops, self._on_stop_expired, machine.run_blocking)
        """What the user has stopped by hand; to be loaded before ``run``."""
        self.poller = Poller(
            self.client,
            clock,
            poll_settings(config),
            on_snapshot=self._on_snapshot,
            on_link=self._on_link,
        )
        self.poller.dead_since_s = self._dead_since_s
        self.events = machine.events
        """The bridge's own event list."""
        self.device_log = DeviceLog(self.client, clock, known=self.events.bms_events(), on_events=self._on_bms_events)
        self.device_settings = BmsSettings(
            self.client,
            clock,
            run_blocking=machine.run_blocking,
            own_soc=lambda: self.pipeline.soc_percent,
            on_soc=self.pipeline.set_soc,
        )
        """The settings of the BMS, and what it can be told to do."""
        self.notices = NoticeWatch(self.bus, notice_settings(config))
        self.poller.slow.add("events", self.device_log.read_events, interval_s=_EVENTS_INTERVAL_S)
        self.poller.slow.add("newest events", self.device_log.read_newest, interval_s=_NEWEST_INTERVAL_S, retry_s=1.0)
        self.poller.slow.add("statistics", self.device_log.read_statistics, interval_s=_EVENTS_INTERVAL_S)
        self.gx = GxPresence(clock, timeout_s=config.victron.keepalive_timeout_ms / 1000.0)
        self.second_bms = SecondBms(clock)
        """Watches for another BMS on the bus."""
        self.transmitter: Transmitter | None = None
        """The sender, while the CAN adapter is open."""
        self.can_error = "not open yet"
        """Why the CAN adapter is not open; empty while it is."""
        self.last_frames: tuple[CanFrame, ...] = ()
        """The last burst that was made."""
        self.started_s = clock.monotonic()
        self.supervisor = Supervisor(clock, self._on_part)
        self.machine = machine
        """What the bridge runs on."""
        self.frame_settings: FrameSettings = frame_settings(config)
        """Choices about the frames. May be replaced at any time."""
        self.on_can_traffic: Callable[[CanFrame, str], None] | None = None
        """Called with each CAN frame and ``tx``, ``rx`` or ``dropped``, for a log of the traffic."""
        self.frame_taps: list[Callable[[CanFrame, str], None]] = []
        """Told of the same frames, for a monitor of them."""
        self.guard = ProgressGuard(
            machine.watchdog,
            clock.awake,
            enabled=config.advanced.enable_watchdog,
            timeout_s=config.advanced.watchdog_timeout_s,
        )
        """Feeds the watchdog while the path makes progress."""
        self.starts_again = False
        """Whether the program starts anew in this process after the end, which is nothing for its service manager."""
        self._clock = clock
        self._can_attempts = 0
        self._hanging: tuple[str, ...] = ()
        self._can_statistics = CanStatistics()
        self._silence = BusSilence(clock, lambda: self._can_statistics.rx_count)
        self._port: CanPort | None = None
        self._asleep_s = clock.monotonic() - clock.awake()
        self._sending = False
        self._sent: Limits | None = None
        self._announced_ready = False
        self._checked: tuple[Ratings | None, Chemistry | None, float | None] = (None, None, None)
        self.advice: tuple[Advice, ...] = ()
        """What an expert would change in the settings of this BMS, and what its owner should know."""
        self.misfits: tuple[str, ...] = ()
        """What in the configuration in force does not fit this battery."""
        self.file_usable: Callable[[], bool] = lambda: True
        """Asked whether the configuration in force is that of its file."""
        self.web_state: Callable[[], WebState | None] = lambda: None
        """Asked how the web server is reached; None without one."""
        self.keeper = StateKeeper(
            machine.storage,
            clock,
            self.saved_units,
            config.advanced.energy_save_interval_s,
            machine.run_blocking,
        )
        self.supervisor.add("uart", self.poller.run, critical=True)
        self.supervisor.add("decide", self._decide, critical=True)
        self.supervisor.add("can", self._run_can, critical=True)
        self.supervisor.add("state", self.keeper.run)
        self.supervisor.add("manual stops", self.stops.run)
        self.supervisor.add("state of charge", SocWriter(self._soc_apart, self.device_settings, self.bus, clock).run)
        self.supervisor.add(
            "event list", EventRecorder(self.bus, self.events, clock, run_blocking=machine.run_blocking).run
        )

    @property
    def can_trouble(self) -> str:
        """What keeps frames from the bus, with what to do about it; empty while they go out."""
        return self.can_error or self._can_statistics.trouble

    @property
    def can_statistics(self) -> CanStatistics:
        """Counters of the CAN port since the start of the program."""
        return self._can_statistics

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic() - self.started_s

    async def run(self) -> None:
        """Run until cancelled. Raises PathFailure when a part of the path fails."""
        try:
            await self.supervisor.run()
        finally:
            if not self.starts_again:
                self.machine.watchdog.stopping()

    def _soc_apart(self) -> float:
        """Return how far the BMS's count is from the bridge's in percent; 0 where it is not to be set, or not known."""
        measured = self.view().measured
        if not self.config.tinybms.write_soc or measured is None or not measured.pack.soc_known:
            return 0.0
        return measured.pack.counted_by_bms_percent - measured.pack.soc_percent

    def check_configuration(self) -> None:
        """Say what in the configuration does not fit this battery, once for each set of remarks."""
        if self.poller.ratings is not None:
            self._check(self.poller.ratings)

    def between_bursts(self, action: Callable[[], None]) -> bool:
        """Let the sender call ``action`` in a pause; return whether there is one who sends."""
        if self.transmitter is None:
            return False
        self.transmitter.between_bursts(action)
        return True

    def view(self) -> View:
        """Return what may be shown of the battery at this moment."""
        return self.pipeline.view(self._clock.monotonic())

    def refuse_misfits(self, wanted: Configuration) -> None:
        """Raise ConfigError for a configuration that brings what does not fit this battery, once that is known.

        May be called from any thread.
        """
        ratings, lowest = self.poller.ratings, self.pipeline.lowest_chemistry
        if ratings is None or wanted.hardware.uart.device != self.config.hardware.uart.device:
            return
        before = check_with_ratings(self.config, ratings, lowest)
        problems = new_problems(before, check_with_ratings(wanted, ratings, lowest))
        if problems:
            raise ConfigError(problems, source="this battery")

    def frames(self) -> tuple[CanFrame, ...] | None:
        """Return the burst for this moment, or None when nothing may be sent."""
        self.pipeline.tick(self._clock.monotonic())
        decision = self.pipeline.decision()
        if decision is None:
            self._sent = None
            return None
        self._sent = decision.limits
        outgoing = Outgoing(
            snapshot=decision.snapshot,
            limits=decision.limits,
            alarms=decision.alarms,
            energy=self.keeper.told_energy(self._units.current, decision.energy),
            identity=self.poller.identity,
        )
        self.last_frames = encode_frames(outgoing, self.frame_settings)
        return self.last_frames

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        if self.poller.identity is not None:
            self._meet(self.poller.identity)
            self.device_log.identify(self.poller.identity)
        snapshot, status = self.device_log.observe(snapshot), snapshot.pack.status
        if self.device_log.unread or (status is BmsStatus.FAULT and not snapshot.open_events):
            self.poller.slow.hurry("newest events", self._clock.monotonic())
        if self.pipeline.accept(snapshot, self._clock.monotonic()):
            self._hurry_limits()
            if self.pipeline.readings.read_again:
                self.poller.read_again()
            self._announce_identity()
            known = snapshot.ratings, self.pipeline.lowest_chemistry, self.pipeline.measured_capacity_ah
            if snapshot.ratings is not None and known != self._checked:
                self._check(snapshot.ratings)

    def saved_units(self) -> SavedUnits:
        """Return what must survive a restart, of every unit."""
        return self._units.with_state(self.pipeline.saved_state())

    def _meet(self, identity: Identity) -> None:
        """Take the counters and the memory of the unit that answers; they belong to its serial number.

        One that tells nothing of itself is taken for the last one.
        """
        if identity in (self._met, Identity()):
            return
        self._met = identity
        before, key = self.saved_units(), unit_key(identity.serial_number)
        self._units = before.meet(key)
        if key == NO_SERIAL:
            text = "The BMS has no serial number of its own: its counters are those of all units without one"
            self.bus.publish(Noted(Severity.WARNING, "unit.no_serial", text), "uart")
        if self._units.state is before.state:
            return
        self.pipeline.begin_with(self._units.state)
        known = "its counters go on" if key in before.units else "its counters begin at 0"
        text = f"Another BMS answers, serial number {key or 'unknown'}, before {before.current or 'unknown'}: {known}"
        self.bus.publish(Noted(Severity.WARNING, "unit.changed", text), "uart")

    def _on_stop_expired(self, direction: Direction) -> None:
        text = f"The time of the manual stop is over: {direction} is free again"
        self.bus.publish(Noted(Severity.INFO, f"stop.{direction}", text), "manual stops")

    def _apply_stops(self, manual: ManualInhibits) -> None:
        self.pipeline.manual = manual
        self.pipeline.tick(self._clock.monotonic())
        self._hurry_limits()

    def _hurry_limits(self) -> None:
        """Send at once what has fallen, and begin or end the bursts when sending begins or ends."""
        limits, transmitter = self.pipeline.limits, self.transmitter
        sending = limits is not None and limits.may_send
        if sending is not self._sending:
            self._sending = sending
            if transmitter is not None:
                transmitter.kick()
        elif sending and limits is not None and transmitter is not None and self._sent is not None:
            fall = fall_of(self._sent, limits)
            if fall is not Fall.NONE:
                transmitter.send_first(small=fall is Fall.SMALL)

    def _on_link(self, state: LinkState) -> None:
        if not state.up:
            self.device_log.lose_sight()
        self.bus.publish(LinkChanged(state.up, state.reason), "uart")

    def _dead_since_s(self) -> float | None:
        """Return since when the line to the BMS has given nothing new; None while data is fresh."""
        if self.pipeline.freshness is Freshness.FRESH:
            return None
        frozen_since_s = self.pipeline.frozen_since_s
        return self.client.last_heard_s if frozen_since_s is None else frozen_since_s

    def _on_bms_events(self, events: tuple[DatedEvent, ...]) -> None:
        self.bus.publish(BmsEventsSeen(events), "uart")

    def _on_part(self, part: Part) -> None:
        self.bus.publish(PartStateChanged(part.name, part.state, part.error), "supervisor")

    def _announce_identity(self) -> None:
        identity = self.poller.identity
        if identity is None:
            return
        known = self.bus.latest(IdentityKnown)
        if known is None or known.event.identity != identity:
            self.bus.publish(IdentityKnown(identity), "uart")

    def _check(self, ratings: Ratings) -> None:
        """Say once what in the configuration does not fit this battery; the engine leaves it out."""
        lowest = self.pipeline.lowest_chemistry
        self._checked = ratings, lowest, self.pipeline.measured_capacity_ah
        unfit = [str(problem) for problem in check_with_ratings(self.config, ratings, lowest)]
        remark = chemistry_remark(self.config, ratings.fully_charged_cell_v, lowest)
        narrow = narrow_remark(ratings, pipeline_settings(self.config).limits, lowest)
        remark = "; ".join(each for each in (remark, narrow) if each)
        texts = (*unfit, *([remark] if remark else []))
        if texts != self.misfits:
            self.misfits = texts
            for text in unfit:
                log.error("configuration does not fit this battery: %s", text)
            if unfit:
                log.warning("what does not fit is not used, and the charge target is a careful one until it is mended")
            if remark:
                log.warning("%s", remark)
        self._tell_charging(ratings, lowest)
        self._advise(ratings, lowest)

    def _tell_charging(self, ratings: Ratings, lowest: Chemistry) -> None:
        """Tell once in the life of a unit that its charge values are no longer those of earlier versions."""
        if self.pipeline.charging_told:
            return
        self.pipeline.charging_told = True
        text = defaults_changed(ratings, pipeline_settings(self.config).limits, lowest)
        if text:
            self.bus.publish(Noted(Severity.INFO, "charge.defaults", text), "bridge")

    def _advise(self, ratings: Ratings, lowest: Chemistry) -> None:
        """Say once which settings of the BMS would better be others."""
        identity = self.poller.identity
        before = {each.register for each in self.advice}
        self.advice = advise(
            ratings,
            chemistry_for(self.config, ratings, lowest),
            firmware=0 if identity is None else identity.firmware_internal,
            capacity_ah=self.pipeline.measured_capacity_ah,
        )
        if {each.register for each in self.advice} == before:
            return
        better = [each for each in self.advice if each.weight in (Weight.ADVISED, Weight.URGENT)]
        for each in better:
            if each.weight is Weight.URGENT:
                log.warning("setting of the BMS: %s", each)
        if better:
            registers = ", ".join(str(each.register) for each in better)
            log.info("settings of the BMS: registers %s could be better; the command doctor says how", registers)

    async def _decide(self) -> None:
        """Notice missing samples and a missing GX also while nothing is received or sent, and feed the watchdog."""
        while True:
            now_s = self._clock.monotonic()
            self._note_suspend(now_s)
            self.pipeline.tick(now_s)
            self._hurry_limits()
            self._note_gx(self.gx.check())
            self._watch_bus()
            self.notices.look(
                self.pipeline.snapshot,
                self.pipeline.limits,
                self._communication(),
                now_s,
                configuration_ok=not self.misfits and self.file_usable(),
            )
            if not self._announced_ready:
                self._announced_ready = True
                self.machine.watchdog.ready()
            self._feed_watchdog()
            await self._clock.sleep(_TICK_S)

    def _watch_bus(self) -> None:
        """Tell of a second BMS, and open the adapter anew when it hears nothing any more."""
        text = self.second_bms.check()
        if text is not None:
            present = self.second_bms.present
            self.bus.publish(Noted(Severity.FAULT if present else Severity.INFO, "second_bms", text), "can")
        silent_s, port, transmitter = self._silence.check(), self._port, self.transmitter
        if silent_s is not None and port is not None and transmitter is not None:
            transmitter.between_bursts(lambda: port.reopen(f"no frame was heard for {silent_s:.0f} s"))

    def _note_suspend(self, now_s: float) -> None:
        asleep_s, before_s = now_s - self._clock.awake(), self._asleep_s
        self._asleep_s = asleep_s
        if asleep_s - before_s >= _SUSPEND_S:
            text = f"The machine was suspended for {asleep_s - before_s:.0f} s: what was read before is old"
            self.bus.publish(Noted(Severity.WARNING, "suspended", text), "bridge")

    def _feed_watchdog(self) -> None:
        """Feed the watchdog unless the poller or the CAN part hangs, which is told once."""
        link, settings, transmitter = self.client.statistics, self.poller.settings, self.transmitter
        sent = (0, 0) if transmitter is None else (transmitter.statistics.bursts, transmitter.statistics.skipped)
        pause_s = max(_UART_PAUSE_S, settings.adaptive.max_ms / 1000.0, self.client.settings.timeout_s)
        self.guard.note("uart", (self.poller.turns, link.timeouts, link.retries), pause_s=pause_s)
        self.guard.note("can", (self._can_attempts, *sent), pause_s=_CAN_RETRY_MAX_S)
        self.guard.feed()
        hanging = self.guard.hanging() if self.guard.enabled else ()
        if hanging and hanging != self._hanging:
            log.error("no progress of %s: the watchdog is no longer fed", " and ".join(hanging))
        self._hanging = hanging

    def _communication(self) -> Communication:
        return Communication(
            freshness=self.pipeline.freshness,
            bms_answers=self.poller.link.up,
            can_open=not self.can_error and self._can_statistics.up,
            gx_heard=self.gx.state is GxState.PRESENT or self.gx.silent_for_s < self.gx.timeout_s,
            frozen=self.pipeline.frozen_since_s is not None,
            counter_stands=self.pipeline.counter_stands,
            second_bms=self.second_bms.present,
        )

    async def _run_can(self) -> None:
        """Open the CAN adapter, again and again if need be, and send until cancelled."""
        delay_s, failed = 0.5, False
        while True:
            self._can_attempts += 1
            try:
                port = await self.machine.open_can()
            except LinkError as error:
                failed = True
                if str(error) != self.can_error:
                    self.can_error = str(error)
                    log.error("CAN: %s", error)  # noqa: TRY400 -- one clear line, no traceback
                await self._clock.sleep(delay_s)
                delay_s = min(_CAN_RETRY_MAX_S, 2 * delay_s)
                continue
            break
        if failed:
            log.info("CAN: open now")
        self.can_error = ""
        _carry_over(self._can_statistics, port.statistics)
        self._can_statistics = port.statistics
        self._port = port
        end_subscription = port.subscribe(self._on_frame)
        self.transmitter = Transmitter(port, self._clock, self.frames, transmitter_settings(self.config))
        self.transmitter.on_sent = self._on_sent
        try:
            await self.transmitter.run()
        finally:
            self.transmitter = self._port = None
            self.can_error = "closed"
            end_subscription()
            await port.close()

    def _on_sent(self, frame: CanFrame, taken: bool) -> None:
        if taken:
            self.second_bms.on_sent(frame)
        self._tell_taps(frame, "tx" if taken else "dropped")

    def _on_frame(self, frame: CanFrame) -> None:
        self._tell_taps(frame, "rx")
        self.second_bms.on_frame(frame)
        self._note_gx(self.gx.on_frame(frame))

    def _tell_taps(self, frame: CanFrame, direction: str) -> None:
        if self.on_can_traffic is not None:
            self.on_can_traffic(frame, direction)
        for tap in self.frame_taps:
            tap(frame, direction)

    def _note_gx(self, change: GxChange | None) -> None:
        if change is not None:
            self.bus.publish(GxChanged(change.state.lower(), change.silent_for_s), "can")


def _carry_over(old: CanStatistics, new: CanStatistics) -> None:
    """Add the counters of a port that was closed to those of the one in its place."""
    for each in fields(CanStatistics):
        if each.name not in ("up", "trouble"):
            setattr(new, each.name, getattr(new, each.name) + getattr(old, each.name))
