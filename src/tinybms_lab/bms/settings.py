"""The settings of a simulated BMS: registers 300 to 399 with defaults, writes, and ranges that move.

The vendor says which ranges move (tinybms-protocol.md, 1.2, 5.7 and 5.8), with all numbers
for 300, 301, 315 and 316, and with the largest values of 317 and 318. Where the manual contradicts itself the table
of the port modes counts. The smallest value of 304 and the largest of 305 are choices.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tinybms_bridge.tinybms.frames import SettingsTable, from_u32, to_u32
from tinybms_bridge.tinybms.registers import Kind, Register, catalogue
from tinybms_lab.bms.chemistry import ChemistryModel
from tinybms_lab.bms.variants import Board

__all__ = [
    "SETTINGS_ADDRESS",
    "SETTINGS_COUNT",
    "WRITE_TO_SET",
    "BoardHardware",
    "OutOfRange",
    "SettingsBlock",
    "default_settings",
    "setting_range",
]


_STEP_MV = 10
"""Least distance between two of the four cell voltages."""

_EXTERNAL_SENSOR_A = 750
_SINGLE_PORT_FET_A = 30
_CHARGE_FET_A = 30
_FET, _CHARGE_FET = 0, 1


@dataclass(frozen=True, slots=True)
class BoardHardware:
    """What bounds the currents."""

    board: Board
    external_sensor: bool = False
    """The external current sensor is in use."""

    def discharge_limit_a(self, settings: Mapping[int, int]) -> int:
        """Return the largest value of register 317."""
        if _single_port_fet(settings):
            return _SINGLE_PORT_FET_A
        return _EXTERNAL_SENSOR_A if self.external_sensor else self.board.discharge_limit_a

    def charge_limit_a(self, settings: Mapping[int, int]) -> int:
        """Return the largest value of register 318."""
        single = settings[340] & 0xFF == 1
        fet = _single_port_fet(settings) if single else settings[333] & 0xFF == _CHARGE_FET
        return _CHARGE_FET_A if fet else min(self.discharge_limit_a(settings), _EXTERNAL_SENSOR_A)


def setting_range(register: Register, settings: Mapping[int, int], hardware: BoardHardware | None) -> tuple[int, int]:
    """Return the smallest and largest raw value that the BMS takes now.

    Args:
        register: a setting.
        settings: raw settings in force.
        hardware: None leaves out what depends on it.

    """
    low, high = register.raw_range
    match register.address:
        case 300:
            low, high = max(low, settings[301] + _STEP_MV), min(high, settings[315] - _STEP_MV)
        case 301:
            low, high = max(low, settings[316] + _STEP_MV), min(high, settings[300] - _STEP_MV)
        case 315:
            low = max(low, settings[300] + _STEP_MV)
        case 316:
            high = min(high, settings[301] - _STEP_MV)
        case 305:
            low = max(low, settings[317] + 1)
    if hardware is not None:
        low, high = _within_hardware(register.address, (low, high), settings, hardware)
    return low, high


def _within_hardware(
    address: int, span: tuple[int, int], settings: Mapping[int, int], hardware: BoardHardware
) -> tuple[int, int]:
    low, high = span
    match address:
        case 304:
            low = max(low, hardware.board.least_finish_ma)
        case 305:
            high = min(high, 2 * hardware.discharge_limit_a(settings))
        case 317:
            high = min(high, hardware.discharge_limit_a(settings), *_below_peak(settings))
        case 318:
            high = min(high, hardware.charge_limit_a(settings))
    return low, high


def _below_peak(settings: Mapping[int, int]) -> tuple[int, ...]:
    """Return the bound that register 305 sets to 317; none where the firmware lacks it."""
    return (settings[305] - 1,) if settings[305] else ()


def _single_port_fet(settings: Mapping[int, int]) -> bool:
    return settings[340] & 0xFF == 1 and settings[341] & 0xFF == _FET


SETTINGS_ADDRESS = 300
SETTINGS_COUNT = 100
"""Commands 0x1D and the writable area reach from 300 to 399 (tinybms-protocol.md, 1)."""

WRITE_TO_SET = (323, 328)
"""State of health and of charge: a write sets the live value, a read always gives 0xFFFF."""

_SPAN = range(SETTINGS_ADDRESS, SETTINGS_ADDRESS + SETTINGS_COUNT)
_TAKEN_OVER = 0xFFFF


def default_settings(chemistry: ChemistryModel, board: Board, cells: int, capacity_ah: float) -> dict[int, int]:
    """Return raw settings by address: what suits the pack, else the values shown in the user manual Rev D.

    Raises:
        ValueError: a pack that the registers cannot hold.

    """
    settings = _table(lambda register: register.default_raw or 0)
    settings |= chemistry.settings.registers()
    settings |= {
        304: min(max(round(capacity_ah * 20.0), board.least_finish_ma), 5000),
        305: board.peak_cutoff_a,
        306: min(round(capacity_ah * 100.0), 0xFFFF),
        307: cells,
        317: board.discharge_cutoff_a,
        318: board.charge_cutoff_a,
        333: board.charger_switch,
    }
    for register in catalogue().settings():
        _check(register, settings)
    return settings | dict.fromkeys(WRITE_TO_SET, _TAKEN_OVER)


class OutOfRange(Enum):
    """What a unit does with a value outside its range; the vendor does not say (tinybms-protocol.md, 5.8)."""

    NACK = "nack"
    CLAMP = "clamp"
    """Takes the nearest value that it allows."""
    IGNORE = "ignore"
    """Says that it is done, and changes nothing."""


class SettingsBlock(Mapping[int, int]):
    """Raw settings by address. The first one made reads the register catalogue: do that off the event loop.

    Args:
        defaults: values at delivery; addresses left out are 0.
        masks: bits that exist, by address, where the firmware lacks some.
        hardware: what bounds the currents; may be replaced later. None leaves only the documented ranges.
        out_of_range: what happens to a value outside its range.
        keeps_partial_writes: a refusal leaves the values before the bad one written.

    """

    def __init__(
        self,
        defaults: Mapping[int, int],
        masks: Mapping[int, int] | None = None,
        *,
        hardware: BoardHardware | None = None,
        out_of_range: OutOfRange = OutOfRange.NACK,
        keeps_partial_writes: bool = False,
    ) -> None:
        self.hardware = hardware
        self.revision = 0
        """Counts the writes."""
        self._out_of_range = out_of_range
        self._keeps_partial_writes = keeps_partial_writes
        self._catalogue = catalogue()
        self._masks = dict(masks or {})
        self._defaults = {address: self._masked(address, defaults.get(address, 0)) for address in _SPAN}
        self._current = dict(self._defaults)
        self._taken: dict[int, int] = {}

    def __getitem__(self, address: int) -> int:
        return self._current[address]

    def __iter__(self) -> Iterator[int]:
        return iter(_SPAN)

    def __len__(self) -> int:
        return SETTINGS_COUNT

    def words(self, table: SettingsTable = SettingsTable.CURRENT) -> tuple[int, ...]:
        """Return registers 300 to 399, or their limits at present or defaults (command 0x1D)."""
        if table is SettingsTable.CURRENT:
            return tuple(self._current.values())
        if table is SettingsTable.DEFAULT:
            return tuple(self._defaults.values())
        side = 0 if table is SettingsTable.MINIMUM else 1
        limits = _table(lambda register: self._range(register)[side])
        return tuple(self._masked(address, limits[address]) for address in _SPAN)

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        """Write ``(address, raw value)`` pairs one after the other; False when one is refused.

        Refused are addresses outside 300 to 399 and, by default, values outside the range that holds when their turn
        comes. Both halves of a value of two registers are judged together. What this firmware lacks and what is
        reserved takes any value and keeps 0.
        """
        before = dict(self._current)
        self._taken.clear()
        self.revision += 1
        for position, (address, value) in enumerate(pairs):
            following = {later for later, _ in pairs[position + 1 :]}
            if not self._write_one(address, value, following, before):
                if not self._keeps_partial_writes:
                    self._current = before
                    self._taken.clear()
                return False
        return True

    def taken_over(self) -> dict[int, int]:
        """Return what the last write put into the registers that are written to set a live value."""
        return dict(self._taken)

    def _write_one(self, address: int, value: int, following: Collection[int], original: Mapping[int, int]) -> bool:
        """Write one word; ``original`` is what a value of two words goes back to."""
        if address not in _SPAN:
            return False
        registers = self._existing(address)
        before = dict(self._current)
        before |= {word: original[word] for r in registers if r.words > 1 for word in (r.address, r.address + 1)}
        self._current[address] = self._masked(address, value) if registers else 0
        for register in registers:
            words = range(register.address, register.address + register.words)
            if any(word in following for word in words if word != address):
                continue
            if not self._settle(register, before):
                self._current = before
                return False
        if address in WRITE_TO_SET and self._current[address] != before[address]:
            self._taken[address] = self._current[address]
            self._current[address] = _TAKEN_OVER
        return True

    def _settle(self, register: Register, before: Mapping[int, int]) -> bool:
        """Judge a new value: keep it, change it, or return False to refuse it."""
        low, high = self._range(register)
        raw = _raw(register, self._current)
        if low <= raw <= high:
            return True
        if self._out_of_range is OutOfRange.NACK:
            return False
        clamps = self._out_of_range is OutOfRange.CLAMP
        _put(register, min(max(raw, low), high) if clamps else _raw(register, before), self._current)
        return True

    def _range(self, register: Register) -> tuple[int, int]:
        return setting_range(register, self._current, self.hardware)

    def _masked(self, address: int, value: int) -> int:
        return value & self._masks.get(address, 0xFFFF)

    def _existing(self, address: int) -> list[Register]:
        """Return the settings at an address that exist in this firmware."""
        mask = self._masks.get(address, 0xFFFF)
        return [r for r in self._catalogue.at(address) if not r.is_reserved and r.mask & mask]


def _check(register: Register, settings: Mapping[int, int]) -> None:
    low, high = register.raw_range
    raw = _raw(register, settings)
    if not low <= raw <= high:
        raise ValueError(f"register {register.address} ({register.key}) = {raw} is outside {low}..{high}")


def _put(register: Register, raw: int, words: dict[int, int]) -> None:
    """Set the bits of one setting."""
    if register.kind is Kind.U32:
        words[register.address], words[register.address + 1] = from_u32(raw)
    else:
        kept = words.get(register.address, 0) & ~register.mask
        words[register.address] = kept | (raw << register.offset) & register.mask


def _raw(register: Register, settings: Mapping[int, int]) -> int:
    if register.kind is Kind.U32:
        return to_u32(settings[register.address], settings[register.address + 1])
    raw = (settings[register.address] & register.mask) >> register.offset
    signed = register.raw_range[0] < 0 and raw >> register.width - 1
    return raw - (1 << register.width) if signed else raw


def _table(value_of: Callable[[Register], int]) -> dict[int, int]:
    """Return raw words of registers 300 to 399 with one value per setting; reserved ones are 0."""
    words = dict.fromkeys(_SPAN, 0)
    for register in catalogue().settings():
        _put(register, value_of(register), words)
    return words
