"""The settings by name: one typed field each, with its place in registers 300 to 343 (tinybms-protocol.md, 2).

A name is the key of the register catalogue with its unit: ``over_voltage_cutoff_v``. Several fields may share a
register; the bits around a field are kept. The two registers that set the state of charge and of health are no
settings but actions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from tinybms_bridge.battery.snapshot import REV_D_FIRMWARE
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.tinybms.frames import to_u32
from tinybms_bridge.tinybms.registers import Kind, Register, RegisterValue, catalogue
from tinybms_bridge.words import Message, message

__all__ = ["FIRST", "WORDS", "WRITE_TO_SET", "Setting", "Words", "all_settings", "by_name", "find_setting"]

FIRST = 300
"""First register of the settings."""
WORDS = 44
"""Registers 300 to 343."""

WRITE_TO_SET: Mapping[int, str] = MappingProxyType({323: "set_state_of_health", 328: "set_state_of_charge"})
"""Registers that hold no setting: a write is an action, a read says nothing."""

Words = tuple[int, ...]
"""Raw registers 300 to 343, or the registers of one setting."""

_SUFFIX = {"V": "_v", "A": "_a", "Ah": "_ah", "s": "_s", "°C": "_c", "%": "_percent"}
_ADDRESS_DIGITS = 5

_SINCE = {
    "discharge_peak_current_cutoff": REV_D_FIRMWARE,
    "charger_startup_delay": REV_D_FIRMWARE,
    "charger_disable_delay": REV_D_FIRMWARE,
    "charge_restart_level": REV_D_FIRMWARE,
    "battery_max_cycles": REV_D_FIRMWARE,
    "enable_charger_restart_level": REV_D_FIRMWARE,
    "discharge_over_current_timeout": REV_D_FIRMWARE,
    "invert_external_current_sensor": 243,
    "disable_switch_diagnostics": 243,
}
"""Internal firmware that brought a setting: what is new in protocol Rev D against Rev B, and the flags of 329."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the BMS."""

    name: str
    """Catalogue key with its unit, for example ``charger_startup_delay_s``."""
    register: Register
    firmware: int
    """Smallest internal firmware version that has it; 0 for all."""

    @property
    def address(self) -> int:
        """First register."""
        return self.register.address

    @property
    def unit(self) -> str:
        """Unit of the value; empty for choices."""
        return self.register.unit

    @property
    def choices(self) -> Mapping[int, str]:
        """Texts by raw value; empty for numbers."""
        return self.register.choices

    def cut(self, table: Sequence[int]) -> Words:
        """Return the registers of this setting out of registers 300 to 343."""
        start = self.address - FIRST
        return tuple(table[start : start + self.register.words])

    def value(self, table: Sequence[int]) -> RegisterValue:
        """Return its value in ``unit`` held by registers 300 to 343."""
        return self.register.decode(self.cut(table))

    def raw(self, table: Sequence[int]) -> int:
        """Return its raw value held by registers 300 to 343."""
        words = self.cut(table)
        if self.register.kind is Kind.U32:
            return to_u32(*words)
        raw = (words[0] & self.register.mask) >> self.register.offset
        signed = self.register.kind.is_signed and raw >> self.register.width - 1
        return raw - (1 << self.register.width) if signed else raw

    def put(self, table: Sequence[int], words: Sequence[int]) -> Words:
        """Return registers 300 to 343 with this setting taken from ``words``; the bits around it stay."""
        start, mask = self.address - FIRST, self.register.mask
        changed = list(table)
        for index, word in enumerate(words, start):
            changed[index] = changed[index] & ~mask | word & mask
        return tuple(changed)


@cache
def all_settings() -> Mapping[str, Setting]:
    """Return the settings by name in the order of registers and bits.

    The first call reads the register catalogue, a file: make it off the event loop.
    """
    registers = [register for register in catalogue().settings() if register.address not in WRITE_TO_SET]
    settings = [Setting(_name(r), r, _SINCE.get(r.key, 0)) for r in registers]
    return MappingProxyType({each.name: each for each in settings})


def by_name(name: str) -> Setting:
    """Return the setting called ``name``; KeyError if there is none."""
    return all_settings()[name]


def find_setting(name: str) -> Setting | Message:
    """Return the setting that a user calls ``name``, or what to say to the user if it cannot be set."""
    found = all_settings().get(name)
    return _reason(name) if found is None else found


def _name(register: Register) -> str:
    return register.key + _SUFFIX.get(register.unit, "")


def _reason(name: str) -> Message:
    if name.isdecimal() and len(name) <= _ADDRESS_DIGITS:
        return _reason_of_number(int(name))
    by_key = {each.register.key: each.name for each in all_settings().values()}
    if name in by_key:
        return message("setting.name_with_unit", name=by_key[name])
    for register in catalogue():
        if name in {register.key, _name(register)}:
            return _reason_of(register)
    near = nearest(name, [*all_settings(), *by_key], most=3)
    meant = dict.fromkeys(by_key.get(each, each) for each in near)
    return message("setting.unknown", meant=list(meant))


def _reason_of_number(address: int) -> Message:
    names = [each.name for each in all_settings().values() if 0 <= address - each.address < each.register.words]
    if names:
        return message("setting.by_name", names=names)
    registers = catalogue().at(address)
    return _reason_of(registers[0]) if registers else message("setting.no_register", register=address)


def _reason_of(register: Register) -> Message:
    if register.is_reserved:
        return message("setting.reserved", register=register.address)
    if register.address in WRITE_TO_SET:
        return message("setting.is_action", action=WRITE_TO_SET[register.address])
    return message("setting.read_only", register=register.address)
