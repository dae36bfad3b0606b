"""A device that replays the registers of a real unit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import Action, SettingsTable, from_u32, to_u32
from tinybms_lab.bms.hardware import SwitchStates
from tinybms_lab.bms.settings import SETTINGS_ADDRESS, SettingsBlock
from tinybms_lab.bms.timeline import Presence
from tinybms_lab.bms.variants import REGISTER_COUNT, OffMap, RegisterFile

__all__ = ["Dump", "DumpDevice", "load_dump", "real_dump"]

_LIFETIME = 32
_STATISTICS, _STATISTICS_COUNT = 100, 18
_EVENTS, _EVENTS_COUNT = 200, 98


@dataclass(frozen=True, slots=True)
class Dump:
    """Raw registers of one unit at one moment."""

    meta: Mapping[str, Any]
    """Where the values come from."""
    registers: Mapping[int, int]
    """Raw words by address; the others read 0."""

    @classmethod
    def parse(cls, text: str) -> "Dump":
        """Return the dump in JSON text: ``{"meta": {...}, "registers": {"0": 39800, ...}}``.

        Raises:
            ValueError: not JSON, not this shape, or a register out of range; the message names it.

        """
        document = json.loads(text)
        parts = [document.get(key, {}) for key in ("meta", "registers")] if isinstance(document, dict) else []
        if not parts or not all(isinstance(part, dict) for part in parts) or not parts[1]:
            raise ValueError('a dump is a JSON object: {"meta": {...}, "registers": {"0": 39800, ...}}')
        meta, registers = parts
        return cls(meta, {_address(key): _word(key, value) for key, value in registers.items()})


def load_dump(path: Path) -> Dump:
    """Return the dump in a file. Raises OSError, and ValueError as ``Dump.parse``."""
    return Dump.parse(path.read_text(encoding="utf-8"))


def real_dump() -> Dump:
    """Return the 14-cell capture that comes with the package; its ``meta`` tells the provenance of each value.

    Reads a file: call it off the event loop.
    """
    return Dump.parse(files(__package__ or "").joinpath("data", "real_14s.json").read_text(encoding="utf-8"))


class DumpDevice:
    """Replays a dump: values stay, only the lifetime counter goes on. Implements ``Device``.

    Settings can be written and events and statistics cleared, in memory; a restart is an outage and nothing else.

    Args:
        dump: the registers.
        clock: source of time.
        asleep_allowed: whether it sleeps after 10 s without traffic.
        off_map: what reading beyond the register map gives.

    """

    def __init__(self, dump: Dump, clock: Clock, *, asleep_allowed: bool = True, off_map: OffMap = OffMap.NACK) -> None:
        self._clock = clock
        self._started_s = clock.monotonic()
        self._presence = Presence(clock, asleep_allowed=asleep_allowed)
        self._memory = RegisterFile(off_map)
        self._memory.patch(0, [dump.registers.get(address, 0) for address in range(REGISTER_COUNT)])
        self._settings = SettingsBlock({a: v for a, v in dump.registers.items() if a >= SETTINGS_ADDRESS})
        self._lifetime_s = to_u32(dump.registers.get(_LIFETIME, 0), dump.registers.get(_LIFETIME + 1, 0))

    @property
    def asleep(self) -> bool:
        """Whether the next frame would only wake the device."""
        return self._presence.asleep

    @property
    def silent(self) -> bool:
        """Whether it would send nothing now; see ``Device``."""
        return self._presence.silent

    @property
    def switches(self) -> SwitchStates:
        """The load on and the charger off, as on a unit at rest; a dump does not tell."""
        return SwitchStates(load=True, charger=False)

    def refresh(self) -> None:
        """Let the lifetime counter go on; see ``Device``."""
        elapsed_s = int(self._clock.monotonic() - self._started_s)
        self._memory.patch(_LIFETIME, from_u32(self._lifetime_s + elapsed_s & 0xFFFFFFFF))

    def hear(self) -> bool:
        """Take in one frame; see ``Device``."""
        return self._presence.hear()

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """Return registers of the dump; see ``Device``."""
        self.refresh()
        return self._memory.read(address, count)

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        """Write settings 300 to 399 in memory; see ``Device``."""
        accepted = self._settings.write(pairs)
        self._memory.patch(SETTINGS_ADDRESS, self._settings.words())
        return accepted

    def act(self, action: Action) -> bool:
        """Clear events or statistics in memory, or go silent as in a restart; see ``Device``."""
        if action is Action.CLEAR_EVENTS:
            self._memory.patch(_EVENTS, [0] * _EVENTS_COUNT)
        elif action is Action.CLEAR_STATISTICS:
            self._memory.patch(_STATISTICS, [0] * _STATISTICS_COUNT)
        else:
            self._presence.restart()
        return True

    def crash(self) -> None:
        """Go silent as in a restart; see ``Device``."""
        self._presence.restart()

    def settings_table(self, table: SettingsTable, count: int) -> tuple[int, ...]:
        """Return the settings of the dump, or their limits; see ``Device``."""
        return self._settings.words(table)[:count]


def _address(key: str) -> int:
    if not (key.isdecimal() and int(key) < REGISTER_COUNT):
        raise ValueError(f"register {key!r} is not an address of 0 to {REGISTER_COUNT - 1}")
    return int(key)


def _word(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0xFFFF:
        raise ValueError(f"register {key} = {value!r} is not a whole number of 0 to 65535")
    return value
