"""The register catalogue: every documented register of the TinyBMS, loaded from ``registers.csv``."""

import csv
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from tinybms_bridge.suggestions import nearest
from tinybms_bridge.tinybms.registers.register import Access, Kind, Register

__all__ = ["Catalogue", "UnknownRegisterError", "catalogue"]

_FIELD_OF_KIND = {Kind.U8_LO: (0, 8), Kind.U8_HI: (8, 8), Kind.I8_LO: (0, 8), Kind.I8_HI: (8, 8)}

_ACCESS: dict[str, Access] = {"R": "R", "RW": "RW", "none": "none"}


class UnknownRegisterError(KeyError):
    """No register has this key."""

    def __init__(self, key: str, nearest: tuple[str, ...]) -> None:
        super().__init__(key)
        self.key = key
        """The key asked for."""
        self.nearest = nearest
        """Keys that look like it, the most similar first; may be empty."""

    def __str__(self) -> str:
        hint = f"; did you mean {', '.join(self.nearest)}?" if self.nearest else ""
        return f"no register is called {self.key!r}{hint}"


class Catalogue:
    """The registers in order of address; several of them may share one address."""

    def __init__(self, registers: Iterable[Register]) -> None:
        self._registers = tuple(sorted(registers, key=lambda register: (register.address, register.offset)))
        self._by_key = {register.key: register for register in self._registers}
        self._by_address: dict[int, tuple[Register, ...]] = {}
        for register in self._registers:
            for address in range(register.address, register.address + register.words):
                self._by_address[address] = (*self._by_address.get(address, ()), register)

    def __iter__(self) -> Iterator[Register]:
        return iter(self._registers)

    def __len__(self) -> int:
        return len(self._registers)

    def by_key(self, key: str) -> Register:
        """Return the register called ``key``.

        Raises:
            UnknownRegisterError: If there is none; a ``KeyError`` that names the most similar keys.

        """
        try:
            return self._by_key[key]
        except KeyError:
            raise UnknownRegisterError(key, tuple(nearest(key, self._by_key, most=3))) from None

    def at(self, address: int) -> tuple[Register, ...]:
        """Return the registers that own bits at ``address``; none outside the map."""
        return self._by_address.get(address, ())

    def in_group(self, group: str) -> tuple[Register, ...]:
        """Return the registers of a group; ``settings`` includes ``settings.cell`` and its sisters."""
        return tuple(register for register in self._registers if f"{register.group}.".startswith(f"{group}."))

    def settings(self) -> tuple[Register, ...]:
        """Return the settings that can be written, registers 300 to 343 without the reserved ones."""
        return tuple(register for register in self._registers if register.access == "RW" and not register.is_reserved)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue; the table is read once, at the first call."""
    table = files("tinybms_bridge.tinybms").joinpath("registers.csv").read_text(encoding="utf-8")
    return Catalogue([_register(row) for row in csv.DictReader(table.splitlines())])


def _register(row: dict[str, str]) -> Register:
    kind = Kind(row["kind"])
    offset, width = _FIELD_OF_KIND.get(kind, (0, 16))
    return Register(
        address=int(row["address"]),
        words=int(row["words"]),
        key=row["key"],
        name=row["name"],
        kind=kind,
        scale=float(row["scale"]),
        unit=row["unit"],
        minimum_raw=_optional(row["minimum"]),
        maximum_raw=_optional(row["maximum"]),
        default_raw=_optional(row["default"]),
        access=_ACCESS[row["access"]],
        group=row["group"],
        choices=MappingProxyType(_choices(row["choices"])),
        absent_raw=_optional(row["absent"]),
        note=row["note"],
        offset=int(row["offset"] or offset),
        width=int(row["width"] or width),
    )


def _optional(text: str) -> int | None:
    return int(text) if text else None


def _choices(text: str) -> dict[int, str]:
    pairs = (choice.split("=", 1) for choice in text.split(";") if choice)
    return {int(raw): name for raw, name in pairs}
