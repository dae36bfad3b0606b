"""The simulated BMS: a battery model seen through the registers and the habits of a TinyBMS."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import Action, SettingsTable
from tinybms_bridge.tinybms.simulator.chemistry import LFP, Chemistry
from tinybms_bridge.tinybms.simulator.events import EventId, EventRing
from tinybms_bridge.tinybms.simulator.firmware import FIRMWARE_254, HIGH_POWER, Board, Firmware
from tinybms_bridge.tinybms.simulator.image import live_words
from tinybms_bridge.tinybms.simulator.memory import OffMap, RegisterFile
from tinybms_bridge.tinybms.simulator.model import BatteryModel
from tinybms_bridge.tinybms.simulator.pack import Pack
from tinybms_bridge.tinybms.simulator.presence import Presence
from tinybms_bridge.tinybms.simulator.profile import Profile
from tinybms_bridge.tinybms.simulator.settings import SETTINGS_ADDRESS, SettingsBlock, default_settings
from tinybms_bridge.tinybms.simulator.statistics import ResetCause, WakeCause

__all__ = ["REFRESH_S", "BmsOptions", "SimulatedBms"]

REFRESH_S = 0.1
"""The BMS renews its data ten times a second (user manual Rev D)."""

_LIVE, _STATISTICS, _EVENTS, _VERSION = 0, 100, 200, 500
_SERIAL = bytes.fromhex("53494D554C41544544000001")


@dataclass(frozen=True, slots=True)
class BmsOptions:
    """What kind of BMS is simulated, and its habits where the documents leave a choice.

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

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ValueError(f"speed must be above 0, got {self.speed}")
        if not 0 <= self.external_sensors <= 2:
            raise ValueError(f"0 to 2 external sensors, got {self.external_sensors}")
        if len(self.serial) != 12:
            raise ValueError(f"a serial number has 12 bytes, got {len(self.serial)}")


class SimulatedBms:
    """A TinyBMS with a pack behind it. Implements ``Device`` and ``Terminals``.

    Args:
        pack: the cells; this object moves them.
        clock: source of time.
        chemistry: kind of cell, for the settings at delivery.
        capacity_ah: capacity set in register 306.
        profile: what charges and discharges the pack; None for nothing.
        options: kind and habits of the BMS.

    """

    def __init__(
        self,
        pack: Pack,
        clock: Clock,
        *,
        chemistry: Chemistry = LFP,
        capacity_ah: float = 100.0,
        profile: Profile | None = None,
        options: BmsOptions | None = None,
    ) -> None:
        self.options = options = options or BmsOptions()
        self._clock = clock
        self._started_s = self._time_s = clock.monotonic()
        self._tick = -1
        self._start_event_due_s: float | None = None
        defaults = default_settings(chemistry, options.board, len(pack.cells), capacity_ah)
        self._settings = SettingsBlock(defaults, options.firmware.masks)
        self._memory = RegisterFile(options.off_map, options.firmware.masks)
        self._model = BatteryModel(pack, self._settings, options.board, profile)
        self._presence = Presence(clock, asleep_allowed=options.asleep_allowed)
        self._events = EventRing()
        self._events.add(options.lifetime_s, EventId.BMS_STARTED)
        self._memory.patch(_VERSION, options.firmware.version_words(options.board, options.serial))
        self._show_settings()
        self._show_events()
        self.refresh()

    @classmethod
    def build(
        cls,
        clock: Clock,
        *,
        chemistry: Chemistry = LFP,
        cells: int = 16,
        capacity_ah: float = 100.0,
        soc: float = 0.6,
        ambient_c: float = 25.0,
        profile: Profile | None = None,
        options: BmsOptions | None = None,
    ) -> "SimulatedBms":
        """Return a BMS with a pack of slightly unequal cells.

        Raises:
            ValueError: an argument out of its range.

        """
        pack = Pack.build(chemistry, cells, capacity_ah=capacity_ah, soc=soc, ambient_c=ambient_c)
        return cls(pack, clock, chemistry=chemistry, capacity_ah=capacity_ah, profile=profile, options=options)

    @property
    def voltage_v(self) -> float:
        """True voltage of the pack now; see ``Terminals``."""
        self._advance(self._clock.monotonic())
        return self._model.pack.voltage_v

    def set_current_a(self, current_a: float) -> None:
        """Drive a current from now on, in place of the profile; see ``Terminals``.

        Raises:
            ValueError: the current is not finite.

        """
        self._advance(self._clock.monotonic())
        self._model.drive(current_a)

    @property
    def asleep(self) -> bool:
        """Whether the next frame would only wake the device."""
        self.refresh()
        return self._presence.asleep

    @property
    def lifetime_s(self) -> int:
        """Lifetime counter now; it counts in sleep and in a restart too."""
        return self._lifetime_at(self._clock.monotonic())

    def refresh(self) -> None:
        """Renew the data if 100 ms have passed; see ``Device``."""
        now_s = self._clock.monotonic()
        tick = math.floor((now_s - self._started_s) / REFRESH_S + 1e-6)
        if tick == self._tick:
            return
        self._tick = tick
        tick_s = min(now_s, self._started_s + tick * REFRESH_S)
        self._advance(tick_s)
        self._finish_restart(tick_s)
        self._show_data()

    def hear(self) -> bool:
        """Take in one frame; see ``Device``."""
        self.refresh()
        if self._presence.asleep:
            self._model.statistics.wake_cause = WakeCause.UART
        return self._presence.hear()

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """Return registers of the last refresh; see ``Device``."""
        self.refresh()
        return self._memory.read(address, count)

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        """Write settings 300 to 343; see ``Device``."""
        if not self._settings.write(pairs):
            return False
        for address, value in pairs:
            if address == 328:
                self._model.set_soc(value * 0.002)
            elif address == 323 and self.options.firmware.mask(323):
                self._model.set_soh(value * 0.002)
        self._show_settings()
        return True

    def act(self, action: Action) -> bool:
        """Clear events, clear statistics or restart; see ``Device``."""
        if action is Action.CLEAR_EVENTS:
            self._events.clear()
            self._show_events()
        elif action is Action.CLEAR_STATISTICS:
            self._model.statistics.clear(self.lifetime_s)
            self._show_data()
        else:
            self._restart()
        return True

    def settings_table(self, table: SettingsTable, count: int) -> tuple[int, ...]:
        """Return settings or their static limits; see ``Device``."""
        return self._settings.words(table)[:count]

    def _advance(self, now_s: float) -> None:
        """Move the battery on to ``now_s``."""
        if now_s <= self._time_s:
            return
        self._model.run((now_s - self._time_s) * self.options.speed, switches_open=self._presence.restarting)
        self._time_s = now_s
        self._presence.stir(now_s - self._model.quiet_s / self.options.speed)

    def _restart(self) -> None:
        self._advance(self._clock.monotonic())
        self._model.statistics.reset_cause = ResetCause.SOFTWARE_RESET
        self._start_event_due_s = self._presence.restart()

    def _finish_restart(self, tick_s: float) -> None:
        if self._start_event_due_s is not None and tick_s >= self._start_event_due_s:
            self._events.add(self._lifetime_at(self._start_event_due_s), EventId.BMS_STARTED)
            self._start_event_due_s = None
            self._show_events()

    def _lifetime_at(self, time_s: float) -> int:
        return self.options.lifetime_s + int(time_s - self._started_s)

    def _show_data(self) -> None:
        sample = self._model.sample(self._lifetime_at(self._time_s), self.options.external_sensors)
        self._memory.patch(_LIVE, live_words(sample))
        self._memory.patch(_STATISTICS, self._model.statistics.words())

    def _show_settings(self) -> None:
        self._memory.patch(SETTINGS_ADDRESS, self._settings.words())

    def _show_events(self) -> None:
        self._memory.patch(_EVENTS, self._events.words())
