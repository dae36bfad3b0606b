"""The settings of a simulated BMS: registers 300 to 399 with defaults, static ranges and writes."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from tinybms_bridge.tinybms.frames import SettingsTable, from_u32, to_u32
from tinybms_bridge.tinybms.registers import Kind, Register, catalogue
from tinybms_bridge.tinybms.simulator.chemistry import Chemistry
from tinybms_bridge.tinybms.simulator.firmware import Board

__all__ = ["SETTINGS_ADDRESS", "SETTINGS_COUNT", "WRITE_TO_SET", "SettingsBlock", "default_settings"]

SETTINGS_ADDRESS = 300
SETTINGS_COUNT = 100
"""Commands 0x1D and the writable area reach from 300 to 399 (protocol Rev D, section 1)."""

WRITE_TO_SET = (323, 328)
"""State of health and of charge: a write sets the live value, a read always gives 0xFFFF."""

_SPAN = range(SETTINGS_ADDRESS, SETTINGS_ADDRESS + SETTINGS_COUNT)
_WRITABLE = range(300, 344)
_TAKEN_OVER = 0xFFFF


def default_settings(chemistry: Chemistry, board: Board, cells: int, capacity_ah: float) -> dict[int, int]:
    """Return raw settings by address: what suits the pack, else the values shown in the user manual Rev D.

    Raises:
        ValueError: a pack that the registers cannot hold.

    """
    settings = _table(lambda register: register.default_raw or 0)
    settings |= chemistry.settings.registers()
    settings |= {
        304: min(max(round(capacity_ah * 20.0), 100), 5000),
        305: board.peak_cutoff_a,
        306: min(round(capacity_ah * 100.0), 0xFFFF),
        307: cells,
        317: board.discharge_cutoff_a,
        318: board.charge_cutoff_a,
    }
    for register in catalogue().settings():
        _check(register, settings)
    return settings | dict.fromkeys(WRITE_TO_SET, _TAKEN_OVER)


class SettingsBlock(Mapping[int, int]):
    """Raw settings by address. The first one made reads the register catalogue: do that off the event loop.

    Args:
        defaults: values at delivery; addresses left out are 0.
        masks: bits that exist, by address, where the firmware lacks some.

    """

    def __init__(self, defaults: Mapping[int, int], masks: Mapping[int, int] | None = None) -> None:
        self._catalogue = catalogue()
        self._masks = dict(masks or {})
        self._defaults = {address: self._masked(address, defaults.get(address, 0)) for address in _SPAN}
        self._current = dict(self._defaults)

    def __getitem__(self, address: int) -> int:
        return self._current[address]

    def __iter__(self) -> Iterator[int]:
        return iter(_SPAN)

    def __len__(self) -> int:
        return SETTINGS_COUNT

    def words(self, table: SettingsTable = SettingsTable.CURRENT) -> tuple[int, ...]:
        """Return registers 300 to 399, or their static limits or defaults (command 0x1D)."""
        if table is SettingsTable.CURRENT:
            return tuple(self._current.values())
        if table is SettingsTable.DEFAULT:
            return tuple(self._defaults.values())
        side = 0 if table is SettingsTable.MINIMUM else 1
        limits = _table(lambda register: register.raw_range[side])
        return tuple(self._masked(address, limits[address]) for address in _SPAN)

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        """Write ``(address, raw value)`` pairs and return True; return False and change nothing when one is refused.

        Refused are addresses outside 300 to 343 and values outside the static range of the catalogue. What this
        firmware lacks and what is reserved takes any value and keeps 0.
        """
        candidate = dict(self._current)
        for address, value in pairs:
            if address not in _WRITABLE:
                return False
            candidate[address] = self._masked(address, value)
        try:
            for register in {register for address, _ in pairs for register in self._checked(address)}:
                _check(register, candidate)
        except ValueError:
            return False
        for address in {address for address, _ in pairs} - set(WRITE_TO_SET):
            self._current[address] = candidate[address] if self._checked(address) else 0
        return True

    def _masked(self, address: int, value: int) -> int:
        return value & self._masks.get(address, 0xFFFF)

    def _checked(self, address: int) -> list[Register]:
        """Return the settings at an address that exist in this firmware."""
        mask = self._masks.get(address, 0xFFFF)
        return [r for r in self._catalogue.at(address) if not r.is_reserved and r.mask & mask]


def _check(register: Register, settings: Mapping[int, int]) -> None:
    low, high = register.raw_range
    raw = _raw(register, settings)
    if not low <= raw <= high:
        raise ValueError(f"register {register.address} ({register.key}) = {raw} is outside {low}..{high}")


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
        raw = value_of(register)
        if register.kind is Kind.U32:
            words[register.address], words[register.address + 1] = from_u32(raw)
        else:
            words[register.address] |= (raw << register.offset) & register.mask
    return words
