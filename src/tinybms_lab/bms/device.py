"""The simulated BMS: what kind it is, and a battery model seen through the registers and the quirks of a TinyBMS."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import Action, SettingsTable
from tinybms_lab.bms.chemistry import LFP, ChemistryModel
from tinybms_lab.bms.control import OutsideControl
from tinybms_lab.bms.environment import CurrentProfile, Environment, Wiring
from tinybms_lab.bms.hardware import SwitchStates
from tinybms_lab.bms.model import BatteryModel, live_words
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.parallel import Branch, branch_of
from tinybms_lab.bms.records import EventId, SimulatedEventRing, SimulatedResetCause, SimulatedWakeCause
from tinybms_lab.bms.settings import (
    SETTINGS_ADDRESS,
    BoardHardware,
    OutOfRange,
    SettingsBlock,
    default_settings,
)
from tinybms_lab.bms.timeline import Presence, Timeline
from tinybms_lab.bms.variants import FIRMWARE_254, HIGH_POWER, Board, Firmware, OffMap, RegisterFile

__all__ = ["REFRESH_S", "BmsOptions", "SimulatedBms"]


_SERIAL = bytes.fromhex("53494D554C41544544000001")


@dataclass(frozen=True, slots=True)
class BmsOptions:
    """What kind of BMS is simulated, and its quirks where the documents leave a choice.

    Raises:
        ValueError: a value out of its range.

    """

    firmware: Firmware = FIRMWARE_254
    board: Board = HIGH_POWER
    external_sensors: int = 2
    """Connected temperature sensors, 0 to 2."""
    asleep_allowed: bool = True
    """Whether it sleeps after 10 s without traffic and activity."""
    off_map: OffMap = OffMap.NACK
    speed: float = 1.0
    """Seconds of pack time in one second; the BMS's own times (lifetime, sleep, refresh) stay real."""
    lifetime_s: int = 2_592_000
    """Lifetime counter at the start."""
    serial: bytes = _SERIAL
    """The 12 bytes of the serial number."""
    external_current_sensor: bool = False
    """Whether the external current sensor is plugged in at the start."""
    warning_is_fault: bool = False
    """Register 50 says "fault" during a warning (discharged, too cold to charge) too."""
    out_of_range: OutOfRange = OutOfRange.NACK
    """What happens to a setting outside its range."""
    keeps_partial_writes: bool = False
    """A refused write leaves the values before the bad one written."""
    write_busy_s: float = 0.0
    """Time without answers after a settings write; real units were given 0.5 to 1 s."""
    adapter_on_5v: bool = False
    """The client is powered by the 5 V output of the BMS, which is off in sleep: nothing it sends arrives then."""
    first_event_slot: int = 0
    """Where the event ring stands at the start."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ValueError(f"speed must be above 0, got {self.speed}")
        if not 0 <= self.external_sensors <= 2:
            raise ValueError(f"0 to 2 external sensors, got {self.external_sensors}")
        if len(self.serial) != 12:
            raise ValueError(f"a serial number has 12 bytes, got {len(self.serial)}")
        if not (math.isfinite(self.write_busy_s) and self.write_busy_s >= 0):
            raise ValueError(f"the time after a write must be 0 s or more, got {self.write_busy_s}")


REFRESH_S = 0.1
"""The BMS renews its data ten times a second (tinybms-protocol.md, 1.6)."""

_LIVE, _STATISTICS, _EVENTS, _VERSION = 0, 100, 200, 500
_SOC_SET, _SOH_SET, _MODE = 328, 323, 340
_SET_SCALE = 0.002
_HISTORY = 1000


class SimulatedBms(OutsideControl):
    """A TinyBMS with a pack behind it. Implements ``Device`` and ``Terminals``.

    Args:
        pack: the cells; this object moves them.
        clock: source of time.
        chemistry: kind of cell, for the settings at delivery.
        capacity_ah: capacity set in register 306.
        profile: what charges and discharges the pack; None for nothing.
        options: kind and quirks of the BMS.
        settings: raw registers that were set before the start, by address.

    """

    def __init__(
        self,
        pack: SimulatedPack,
        clock: Clock,
        *,
        chemistry: ChemistryModel = LFP,
        capacity_ah: float = 100.0,
        profile: CurrentProfile | None = None,
        options: BmsOptions | None = None,
        settings: Mapping[int, int] | None = None,
    ) -> None:
        self.options = options = options or BmsOptions()
        self.history: deque[tuple[float, EventId]] = deque(maxlen=_HISTORY)
        """Pack time and number of the last events, also of those that the ring has no room for."""
        self.event_count = 0
        """Events since the start."""
        self._clock = clock
        self._started_s = clock.monotonic()
        self._tick = -1
        delivered = default_settings(chemistry, options.board, len(pack.cells), capacity_ah)
        self._settings = _settings_block(delivered | dict(settings or {}), options)
        self._memory = RegisterFile(options.off_map, options.firmware.masks)
        self._presence = Presence(clock, asleep_allowed=options.asleep_allowed, wakes_by_uart=not options.adapter_on_5v)
        self._events = SimulatedEventRing(options.first_event_slot)
        self._model = _battery(pack, self._settings, profile, options)
        self._log(self._started_s, EventId.BMS_STARTED)
        self._timeline = Timeline(
            self._model, self._presence, start_s=self._started_s, speed=options.speed, log=self._log
        )
        self._show_settings()
        self.refresh()

    @classmethod
    def build(
        cls,
        clock: Clock,
        *,
        chemistry: ChemistryModel = LFP,
        cells: int = 16,
        capacity_ah: float = 100.0,
        soc: float = 0.6,
        ambient_c: float = 25.0,
        profile: CurrentProfile | None = None,
        options: BmsOptions | None = None,
    ) -> "SimulatedBms":
        """Return a BMS with a pack of slightly unequal cells.

        Raises:
            ValueError: an argument out of its range.

        """
        pack = SimulatedPack.build(chemistry, cells, capacity_ah=capacity_ah, soc=soc, ambient_c=ambient_c)
        return cls(pack, clock, chemistry=chemistry, capacity_ah=capacity_ah, profile=profile, options=options)

    @property
    def asleep(self) -> bool:
        """Whether the next frame would only wake the device."""
        self.refresh()
        return self._presence.asleep

    @property
    def silent(self) -> bool:
        """Whether it would send nothing now; see ``Device``."""
        self.refresh()
        return self._presence.silent

    @property
    def switches(self) -> SwitchStates:
        """The switches that are closed now."""
        self.refresh()
        presence = self._presence
        return self._model.closed_switches(restarting=presence.restarting, asleep=presence.asleep)

    def branch(self, cable_ohm: float, ahead_s: float = 0.0) -> Branch:
        """Return the pack behind its switches as one of several in parallel; see ``parallel.branch_of``."""
        switches = self.switches
        return branch_of(self._settled().pack, cable_ohm, takes=switches.charger, gives=switches.load, ahead_s=ahead_s)

    @property
    def active_events(self) -> tuple[EventId, ...]:
        """The faults and warnings that have begun and not ended, in the order in which they began."""
        self.refresh()
        return tuple(self._model.logic.protections.active)

    @property
    def lifetime_s(self) -> int:
        """Lifetime counter now; it counts in sleep and in a restart too."""
        return self._lifetime_at(self._clock.monotonic())

    @property
    def pack_time_s(self) -> float:
        """Seconds that the pack has lived; they pass ``options.speed`` times as fast as those of the clock."""
        return self._settled().time_s

    def at(self, pack_time_s: float, action: Callable[[], None]) -> None:
        """Carry out ``action`` when the pack is ``pack_time_s`` seconds old; at once if it is already."""
        self._settled()
        self._timeline.at(pack_time_s, action)

    def refresh(self) -> None:
        """Renew the data if 100 ms have passed; see ``Device``."""
        now_s = self._clock.monotonic()
        tick = math.floor((now_s - self._started_s) / REFRESH_S + 1e-6)
        if tick == self._tick:
            return
        self._tick = tick
        self._timeline.advance(min(now_s, self._started_s + tick * REFRESH_S))
        self._show_data()

    def hear(self) -> bool:
        """Take in one frame; see ``Device``."""
        self.refresh()
        was_asleep = self._presence.asleep
        heard = self._presence.hear()
        if was_asleep and not self._presence.asleep:
            self._model.statistics.wake_cause = SimulatedWakeCause.UART
        return heard

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """Return registers of the last refresh; see ``Device``."""
        self.refresh()
        return self._memory.read(address, count)

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        """Write settings 300 to 399; see ``Device``. A change of register 340 makes the BMS restart."""
        gauge, mode = self._settled().gauge, self._settings[_MODE]
        accepted = self._settings.write(pairs)
        taken = self._settings.taken_over()
        if _SOC_SET in taken:
            gauge.soc_percent = taken[_SOC_SET] * _SET_SCALE
        if _SOH_SET in taken:
            gauge.soh_percent = taken[_SOH_SET] * _SET_SCALE
        self._show_settings()
        if accepted:
            self._presence.be_busy(self.options.write_busy_s)
        if self._settings[_MODE] != mode:
            self._timeline.restart(SimulatedResetCause.SOFTWARE_RESET, mode_changed=True)
        return accepted

    def act(self, action: Action) -> bool:
        """Clear events, clear statistics or restart; see ``Device``."""
        model = self._settled()
        if action is Action.CLEAR_EVENTS:
            self._events.clear()
        elif action is Action.CLEAR_STATISTICS:
            model.statistics.clear(self.lifetime_s)
        else:
            self._timeline.restart(SimulatedResetCause.SOFTWARE_RESET)
        self._show_data()
        return True

    def crash(self) -> None:
        """Restart by the watchdog; see ``Device``."""
        self._settled()
        self._timeline.restart(SimulatedResetCause.INDEPENDENT_WATCHDOG)

    def settings_table(self, table: SettingsTable, count: int) -> tuple[int, ...]:
        """Return settings or their limits at present; see ``Device``."""
        self.refresh()
        return self._settings.words(table)[:count]

    def _settled(self) -> BatteryModel:
        self._timeline.advance(self._clock.monotonic())
        return self._model

    def _log(self, time_s: float, event: EventId) -> None:
        self._events.add(self._lifetime_at(time_s), event)
        self.history.append(((time_s - self._started_s) * self.options.speed, event))
        self.event_count += 1

    def _lifetime_at(self, time_s: float) -> int:
        return self.options.lifetime_s + int(time_s - self._started_s)

    def _show_data(self) -> None:
        model, options, memory = self._model, self.options, self._memory
        memory.patch(_LIVE, live_words(model.sample(self._lifetime_at(self._timeline.time_s))))
        memory.patch(_STATISTICS, model.statistics.words())
        memory.patch(_EVENTS, self._events.words())
        external = model.circuit.external_in_use
        self._settings.hardware = BoardHardware(options.board, external)
        memory.patch(_VERSION, options.firmware.version_words(options.board, options.serial, external_sensor=external))

    def _show_settings(self) -> None:
        self._memory.patch(SETTINGS_ADDRESS, self._settings.words())


def _settings_block(delivered: Mapping[int, int], options: BmsOptions) -> SettingsBlock:
    return SettingsBlock(
        delivered,
        options.firmware.masks,
        hardware=BoardHardware(options.board, options.external_current_sensor),
        out_of_range=options.out_of_range,
        keeps_partial_writes=options.keeps_partial_writes,
    )


def _battery(
    pack: SimulatedPack, settings: SettingsBlock, profile: CurrentProfile | None, options: BmsOptions
) -> BatteryModel:
    sensors = [number < options.external_sensors for number in range(2)]
    wiring = Wiring(sensors, external_current_sensor=options.external_current_sensor)
    return BatteryModel(
        pack,
        settings,
        options.board,
        Environment(wiring, profile),
        firmware=options.firmware,
        warning_is_fault=options.warning_is_fault,
    )
