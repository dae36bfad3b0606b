"""Settings by name and in units, as a scenario file gives them."""

from collections.abc import Callable
from dataclasses import dataclass

from tinybms_bridge.suggestions import did_you_mean
from tinybms_bridge.tinybms.registers import Kind, Register, catalogue
from tinybms_lab.bms.scenario_checks import mistake

__all__ = ["NamedSettings", "named_settings"]


@dataclass(frozen=True, slots=True)
class NamedSettings:
    """Values for some settings; those that share a register leave each other alone."""

    entries: tuple[tuple[Register, tuple[int, ...]], ...] = ()
    """Each with its raw words, in which only the bits of the setting count."""

    def words(self, current: Callable[[int], int]) -> dict[int, int]:
        """Return whole raw words by address; ``current`` gives the word that an address holds now."""
        words: dict[int, int] = {}
        for register, encoded in self.entries:
            for offset, bits in enumerate(encoded):
                address = register.address + offset
                mask = 0xFFFF if register.kind is Kind.U32 else register.mask
                words[address] = words.get(address, current(address)) & ~mask | bits & mask
        return words


def named_settings(value: object) -> NamedSettings:
    """Return the settings of a table: keys of the register catalogue and values in their units.

    Raises:
        ValueError: no table, an unknown key, or a value that the register cannot hold.

    """
    if not isinstance(value, dict):
        raise mistake("must be a table of settings, such as { automatic_recovery = 10 }")
    known = {register.key: register for register in catalogue().settings()}
    entries: list[tuple[Register, tuple[int, ...]]] = []
    for key, entry in value.items():
        if key not in known:
            raise ValueError(f"{key} is not a setting{did_you_mean(key, known)}")
        if isinstance(entry, bool) or not isinstance(entry, int | float | str):
            raise mistake(f"{key} must be a number or the name of a choice")
        entries.append((known[key], known[key].encode(entry)))
    return NamedSettings(tuple(entries))
