"""The core put together: packs read, the battery decides, outputs send; the supervisor runs them.

What else looks at the bridge takes its ``state`` and its parts' own; what changes it calls ``apply`` or a command.
"""

import logging
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits import Inhibited
from tinybms_bridge.battery.notices import Communication
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import View
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.core.advisor import Advisor
from tinybms_bridge.core.battery import Battery
from tinybms_bridge.core.can_bus import ReadCanDevice
from tinybms_bridge.core.event_store import EventRecorder, EventStore
from tinybms_bridge.core.inhibits import Inhibits
from tinybms_bridge.core.outputs import CanOpener, CanOutput
from tinybms_bridge.core.pace import PaceKeeper
from tinybms_bridge.core.pack import Pack
from tinybms_bridge.core.packs import Packs
from tinybms_bridge.core.parallel import ParallelBattery
from tinybms_bridge.core.persistence import StateKeeper
from tinybms_bridge.core.run_record import RUN_FILE, RunRecorder
from tinybms_bridge.core.settings import battery_settings, hardware_watchdog_settings
from tinybms_bridge.core.soc_writer import SocWriter
from tinybms_bridge.core.supervisor import Part, Supervisor
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock, until_tick_s
from tinybms_bridge.hal.hardware_watchdog import HardwareWatchdog
from tinybms_bridge.hal.serial import SerialOpener
from tinybms_bridge.hal.storage import MemoryStorage, Storage
from tinybms_bridge.hal.watchdog import NullWatchdog, ProgressGuard, Watchdog
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import EventCode, Noted, PartStateChanged
from tinybms_bridge.link.state import CoreInfo, CoreState, PackDetails, PartStatus, WatchdogState
from tinybms_bridge.words import Message, message

__all__ = ["Bridge", "CanOpener", "Machine"]

log = logging.getLogger(__name__)

_LOOK_S = 0.5
"""How soon a GX that is gone, a notice or a part that hangs is seen, and a limit that time alone changes."""
_RECENT_S = 0.4
"""A decision that is no older need not be made again at a look: a snapshot or a burst has brought it."""
_AFTER_S = 0.001
"""Freshness ends after its time, not with it."""
_SAY_S = 0.5
"""What is new of several packs is said so often to who listens: it is as much as there are packs."""
_OLD_S = 3.0
"""A decision that is older is one of a core that stands."""
_SUSPEND_S = 1.0
"""A shorter one changes nothing."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the bridge runs on; tests hand in fakes."""

    clock: Clock
    open_serial: SerialOpener
    open_can: CanOpener
    storage: Storage
    watchdog: Watchdog = field(default_factory=NullWatchdog)
    hardware_watchdog: HardwareWatchdog = field(default_factory=HardwareWatchdog)
    """That of the machine, which does nothing until it is wanted."""
    events: EventStore = field(default_factory=lambda: EventStore(MemoryStorage()))
    """The bridge's own event list, loaded."""
    inhibits: Storage = field(default_factory=MemoryStorage)
    """Where inhibits are kept."""
    use: Callable[[Configuration], None] = lambda _config: None
    """Told of a new configuration before a port is opened again or a file is written. Blocks; raises OSError."""
    stored: Callable[[str, int], Storage] = lambda _name, _mode: MemoryStorage()
    """Returns a file of the state directory by name and mode; it follows the directory."""
    folder: Callable[[], Path] = Path
    """Returns the state directory in use."""
    fatal: Callable[[], str] = lambda: ""
    """Returns what a fatal signal to the process before has left, and has it written by this one. Blocks."""
    keeps: bool = False
    """Whether anything outlives the process."""
    own: Callable[[], None] = lambda: None
    """Keeps the state directory for this process. Blocks; raises DirectoryTakenError."""
    release: Callable[[], None] = lambda: None
    """Lets another process have it."""
    read_can_device: ReadCanDevice = lambda _name: None
    """Returns what the kernel tells of a CAN interface. Blocks; raises nothing."""
    run_blocking: RunBlocking = in_thread
    """Runs what blocks, off the event loop."""
    cpu_s: Callable[[], float] = lambda: 0.0
    """Returns the processor time of the process; where it stands, nothing is too much for the machine."""
    open_pack: Callable[[str], SerialOpener] | None = None
    """Returns what opens the port of one of several packs, by the name of its line; None: ``open_serial`` for all."""


class Bridge:
    """One battery between its packs and its outputs. Raises ConfigError for what cannot be put into frames."""

    def __init__(self, config: Configuration, machine: Machine, saved: SavedUnits) -> None:
        clock = machine.clock
        self.config = config
        """The configuration in force; replaced by ``apply``."""
        self.bus = Bus(clock.monotonic, clock.wall)
        self.machine = machine
        """What the bridge runs on."""
        self._clock = clock
        names = list(pack_ports(config))
        self.battery: Battery | ParallelBattery
        """What is decided."""
        if len(names) == 1:
            self.battery = Battery(
                self.bus,
                battery_settings(config),
                saved.state,
                identity=lambda: self.pack.identity,
                saved_energy=lambda present: self.keeper.told_energy(self._packs.current, present),
                name=names[0],
            )
        else:
            self.battery = ParallelBattery(
                self.bus,
                battery_settings(config),
                names,
                saved.of_battery(),
                identity=lambda name: self.packs[name].identity,
                saved_energy=lambda name, present: self.keeper.told_energy_of_pack(name, present),  # noqa: PLW0108 -- made later
            )
            self.battery.enabled = tuple(name for name, port in pack_ports(config).items() if port.enabled)
        self.events = machine.events
        """The bridge's own event list."""
        self._packs = Packs(
            config,
            machine.open_pack or (lambda _line: machine.open_serial),
            clock,
            self.bus,
            self.battery,
            saved,
            known_events=self.events.bms_events(),
            run_blocking=machine.run_blocking,
            on_taken=self._taken,
        )
        self.can = CanOutput(
            config,
            machine.open_can,
            clock,
            self.bus,
            self._state_to_send,
            read_device=machine.read_can_device,
            run_blocking=machine.run_blocking,
        )
        self.pace = PaceKeeper(
            config,
            lambda: {name: pack for name, pack in self.packs.items() if pack.in_service},
            self.bus,
            cpu_s=machine.cpu_s,
        )
        """How often the packs are read."""
        self.inhibits = Inhibits(
            machine.inhibits, clock, self._apply_inhibits, self._on_inhibit_expired, machine.run_blocking
        )
        """What the user has stopped by hand; to be loaded before ``run``."""
        self.started_s = clock.monotonic()
        self.supervisor = Supervisor(clock, self._on_part)
        self.guard = ProgressGuard(
            machine.watchdog,
            clock.awake,
            enabled=config.advanced.enable_watchdog,
            timeout_s=config.advanced.watchdog_timeout_s,
        )
        """Feeds the watchdog while the path makes progress."""
        self.hardware = machine.hardware_watchdog
        """The watchdog of the machine, which the guard feeds, too."""
        self.runs = RunRecorder(machine.stored(RUN_FILE, 0o644), clock, machine.run_blocking)
        """What the next run is to know of the end of this one."""
        self.starts_again = False
        """Whether the program starts anew in this process after the end, which is nothing for its service manager."""
        self.file_usable: Callable[[], bool] = lambda: True
        """Asked whether the configuration in force is that of its file."""
        self.on_other_packs: Callable[[], None] = lambda: None
        """Called for a configuration with other packs, with which the core begins anew."""
        self.on_decided: Callable[[bool], None] = lambda _accepted: None
        """Called after each decision, with whether it was made from a new snapshot."""
        self._several = len(names) > 1
        self._said_s = -math.inf
        self._hanging: tuple[str, ...] = ()
        self._hardware_problem: Message | None = None
        self._asleep_s = clock.monotonic() - clock.awake()
        self._announced_ready = False
        self.keeper = StateKeeper(
            machine.storage,
            clock,
            self.saved_units,
            config.advanced.energy_save_interval_s,
            machine.run_blocking,
        )
        self._parts = _part_names("uart", names)
        for line, pack in self._packs.lines.items():
            self.supervisor.add(self._parts[line], pack.run, critical=True)
        self.supervisor.add("decide", self._decide, critical=True)
        self.supervisor.add("can", self.can.run, critical=True)
        self.supervisor.add("state", self.keeper.run)
        self.supervisor.add("inhibits", self.inhibits.run)
        self.supervisor.add("run-record", self.runs.run)
        for line, part in _part_names("soc-writer", names).items():
            settings = self._packs.lines[line].settings
            self.supervisor.add(part, SocWriter(partial(self._soc_apart, line), settings, self.bus, clock).run)
        self.supervisor.add(
            "event-list", EventRecorder(self.bus, self.events, clock, run_blocking=machine.run_blocking).run
        )

    @property
    def packs(self) -> Mapping[str, Pack]:
        """The packs by name."""
        return self._packs.by_name

    @property
    def pack(self) -> Pack:
        """The only pack, or the first."""
        return next(iter(self._packs.lines.values()))

    @property
    def advisor(self) -> Advisor:
        """What is to be said of the settings of its BMS."""
        return next(iter(self._packs.advisors.values()))

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic() - self.started_s

    async def run(self) -> None:
        """Run until cancelled. Raises PathFailure when a part of the path fails."""
        self.hardware.apply(hardware_watchdog_settings(self.config))
        try:
            await self.supervisor.run()
        finally:
            if not self.starts_again:
                self.machine.watchdog.stopping()
            if self.hardware.active:
                await self.machine.run_blocking(self.hardware.close)

    def apply(self, config: Configuration) -> None:
        """Put a configuration in force in every part; a port whose own settings changed is opened again.

        Raises ConfigError for what cannot be put into frames; then nothing has changed.
        """
        reopen_can = self.can.apply(config)  # the only one that refuses
        if list(pack_ports(config)) != list(self._packs.lines):
            self.config = config
            self.on_other_packs()
            return
        self.config = config
        reopen = self._packs.apply(config)
        self.pace.apply(config)
        self.battery.apply(battery_settings(config))
        if self.keeper.apply(config.advanced.energy_save_interval_s):
            self.supervisor.restart("state")
        watchdog = (config.advanced.enable_watchdog, config.advanced.watchdog_timeout_s)
        if watchdog != (self.guard.enabled, self.guard.timeout_s):
            self.guard.configure(enabled=watchdog[0], timeout_s=watchdog[1])
        self.hardware.apply(hardware_watchdog_settings(config))
        for line in reopen:
            self.supervisor.restart(self._parts[line])
        if reopen_can:
            self.supervisor.restart("can")

    def state(self) -> BatteryState:
        """Return the state of the battery as it was last decided."""
        return self.battery.state()

    def tree(self) -> CoreState:
        """Return the whole state of the bridge, as it is known here."""
        return CoreState(
            core=CoreInfo(started_s=self.started_s),
            battery=self.state(),
            packs={name: self._details(name, pack) for name, pack in self.packs.items()},
            outputs={"can": self.can.state()},
            parts=tuple(self.parts()),
            inhibits=self.inhibits.current(),
            watchdog=self.watchdog(),
        )

    def _details(self, name: str, pack: Pack) -> PackDetails:
        advisor, doubted = self._packs.advisor(name), self.battery.units[name].doubted
        return PackDetails(pack.state(*doubted), pack.log.statistics, advisor.advice, advisor.conflicts)

    def view(self) -> View:
        """Return what may be shown of the battery at this moment."""
        return self.state().view(self._clock.monotonic())

    def watchdog(self) -> WatchdogState:
        """Return how the watchdog is fed, and why the core was started again."""
        guard, fed_s = self.guard, self.guard.last_feed_s
        return WatchdogState(
            enabled=guard.enabled,
            timeout_s=guard.timeout_s,
            watched=self.machine.watchdog.watches,
            feed_count=guard.feeds,
            last_feed_ms_ago=None if fed_s is None else round(max(0.0, self._clock.awake() - fed_s) * 1000.0),
            intervals=guard.intervals,
            parts=guard.parts(),
            hardware=self.hardware.state,
            last_reset=self.runs.last_reset,
        )

    def parts(self) -> list[PartStatus]:
        """Return the supervised parts."""
        return self.supervisor.statuses()

    def refuse_conflicts(self, wanted: Configuration) -> None:
        """Raise ConfigError for a configuration that brings what does not fit this battery, once that is known.

        May be called from any thread.
        """
        for line, advisor in self._packs.advisors.items():
            advisor.refuse_conflicts(wanted, self._packs.lines[line].ratings)

    async def release(self, direction: Direction) -> bool:
        """End an inhibit and save that, and for discharging a pause of the bridge; False when there was neither.

        Raises OSError when it could not be saved.
        """
        paused = direction is Direction.DISCHARGE and self.battery.end_pause()
        return await self.inhibits.release(direction) or paused

    def reset_statistics(self) -> None:
        """Set the counters of UART, snapshots, CAN and bus to zero; the energy counters stay."""
        for pack in self.packs.values():
            pack.reset_statistics()
        for unit in self.battery.units.values():
            unit.reset_statistics()
        self.can.reset_statistics()
        self.bus.reset_statistics()

    def saved_units(self) -> SavedUnits:
        """Return what must survive a restart, of every unit."""
        return self._packs.saved_units()

    def _taken(self, accepted: bool) -> None:
        """Send at once what has fallen with a sample, and say what is new."""
        self.can.hurry(self.battery.limits)
        now_s = self._clock.monotonic()
        due = not self._several or now_s - self._said_s >= _SAY_S
        if due:
            self._said_s = now_s
        self.on_decided(accepted and due)

    def _state_to_send(self, oldest_s: float) -> BatteryState:
        now_s = self._clock.monotonic()
        if now_s - self.battery.decided_s > oldest_s:
            self.battery.tick(now_s)
        return self.state()

    def _soc_apart(self, line: str) -> float:
        """Return how far a BMS's count is from the bridge's in percent; 0 where it is not to be set, or not known."""
        pack = self._packs.unit(line)
        fresh = pack.freshness is Freshness.FRESH and self._clock.monotonic() - self.battery.decided_s <= _OLD_S
        measured = pack.snapshot if fresh else None
        if not self.config.tinybms.write_soc or measured is None or not measured.pack.soc_known:
            return 0.0
        return measured.pack.counted_by_bms_percent - measured.pack.soc_percent

    def _on_inhibit_expired(self, direction: Direction) -> None:
        charge = direction is Direction.CHARGE
        told = message(EventCode.CHARGE_INHIBIT_ENDED if charge else EventCode.DISCHARGE_INHIBIT_ENDED)
        self.bus.publish(Noted(Severity.INFO, told), "inhibits")

    def _apply_inhibits(self, inhibited: Inhibited) -> None:
        self.battery.inhibited = inhibited
        self.battery.tick(self._clock.monotonic())
        self.can.hurry(self.battery.limits)

    def _on_part(self, part: Part) -> None:
        self.bus.publish(PartStateChanged(part.name, part.state, part.error, part.failure), "supervisor")

    async def _decide(self) -> None:
        """Notice missing snapshots and a missing GX also while nothing is received or sent, and feed the watchdog."""
        while True:
            now_s = self._clock.monotonic()
            self._note_suspend(now_s)
            if now_s - self.battery.decided_s >= _RECENT_S or now_s > self.battery.stale_from_s:
                self.battery.tick(now_s)
            self._packs.look()
            self.pace.look(now_s)
            self.can.hurry(self.battery.limits)
            self.can.look()
            usable = self.file_usable() and not self._packs.in_conflict
            self.battery.look(self._communication(), now_s, configuration_ok=usable)
            self.on_decided(False)
            if not self._announced_ready:
                self._announced_ready = True
                self.machine.watchdog.ready()
            self._feed_watchdog()
            rest_s, look_s = self.battery.stale_from_s + _AFTER_S - now_s, until_tick_s(self._clock, _LOOK_S)
            await self._clock.sleep(rest_s if 0.0 < rest_s < look_s else look_s)

    def _note_suspend(self, now_s: float) -> None:
        asleep_s, before_s = now_s - self._clock.awake(), self._asleep_s
        self._asleep_s = asleep_s
        if asleep_s - before_s >= _SUSPEND_S:
            told = message(EventCode.SUSPENDED, duration_s=asleep_s - before_s)
            self.bus.publish(Noted(Severity.WARNING, told), "bridge")

    def _feed_watchdog(self) -> None:
        """Feed the watchdogs unless the poller or the CAN part hangs, which is told once."""
        for line, pack in self._packs.lines.items():
            if pack.in_service:
                attempts, pause_s = pack.progress
                self.guard.note(self._parts[line], attempts, pause_s=pause_s)
            else:
                self.guard.leave(self._parts[line])
        attempts, pause_s = self.can.progress
        self.guard.note("can", attempts, pause_s=pause_s)
        if self.guard.feed():
            self.hardware.feed()
        hanging = self.guard.hanging() if self.guard.enabled else ()
        hardware, watched = self.hardware.state.running, self.machine.watchdog.watches
        self.runs.note(hanging, watched=watched, hardware=hardware)
        if hanging and hanging != self._hanging:
            told = message(EventCode.PATH_HANGS, parts=list(hanging), watched=watched or hardware)
            self.bus.publish(Noted(Severity.FAULT, told), "watchdog")
        elif self._hanging and not hanging:
            self.bus.publish(Noted(Severity.INFO, message(EventCode.PATH_GOES_ON)), "watchdog")
        self._hanging = hanging
        self._tell_hardware_problem()

    def _tell_hardware_problem(self) -> None:
        """Tell once why the watchdog of the machine, where it is wanted, is not in use."""
        problem, before = self.hardware.state.message, self._hardware_problem
        self._hardware_problem = problem
        if problem is not None and problem != before:
            self.bus.publish(Noted(Severity.WARNING, problem), "watchdog")

    def _communication(self) -> Communication:
        return Communication(
            freshness=self.battery.freshness,
            bms_answers=self._packs.answer,
            can_open=self.can.open,
            gx_heard=self.can.gx_heard,
            frozen=self.battery.frozen_since_s is not None,
            counter_stands=self.battery.counter_stands,
            second_bms=self.can.second_bms.present,
            can_faults=self.can.interface.faults,
        )


def _part_names(kind: str, lines: Collection[str]) -> dict[str, str]:
    """Return the name of the part of each line: that of its kind alone for the only one."""
    if len(lines) == 1:
        return dict.fromkeys(lines, kind)
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name = f"{kind}-{'-'.join(re.findall('[a-z0-9]+', line.lower()))}"
        found[line] = f"{kind}-{number}" if name in found.values() else name
    return found
