"""Values of a scenario file: each type checks what the file says, in the file's words, and returns what is in use."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, PlainValidator, StringConstraints, ValidationError
from pydantic import ValidationInfo as Info
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from tinybms_bridge.suggestions import did_you_mean
from tinybms_bridge.tinybms.registers import Kind, Register, catalogue
from tinybms_lab.bms.environment import Charger
from tinybms_lab.bms.faults import FAULT_NAMES, FaultPlan

__all__ = [
    "FOLLOWS_CURRENT",
    "CellNumbers",
    "ChargerChoice",
    "Choice",
    "Choices",
    "Duration",
    "Faults",
    "NamedSettings",
    "Settings",
    "Text",
    "Wire",
    "Within",
    "named_settings",
]

FOLLOWS_CURRENT = "follows_current"
"""Value of ``charger``: positive currents are those of a charger, as without this action."""

_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*")
_LONGEST_S = 1e9


@dataclass(frozen=True, slots=True)
class Within:
    """The bounds of a number (a whole one for an ``int``), which is multiplied by ``scale`` for use."""

    low: float
    high: float
    scale: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        """Make one message of all that can be wrong with it."""
        kind = "whole number" if source is int else "number"

        def check(value: object, inner: core_schema.ValidatorFunctionWrapHandler) -> float:
            try:
                number: float = inner(value)
            except ValidationError:
                number = float("nan")
            if not self.low <= number <= self.high:
                raise ValueError(f"must be a {kind} of {self.low:.10g} to {self.high:.10g}")
            return number if self.scale is None else number * self.scale

        return core_schema.no_info_wrap_validator_function(check, handler(source))


class Choice(PlainValidator):
    """One of some names; the value in use is what stands behind it."""

    def __init__(self, choices: Mapping[Any, Any]) -> None:
        super().__init__(lambda value: _chosen(value, choices))


class Choices(PlainValidator):
    """A list of such names."""

    def __init__(self, choices: Mapping[Any, Any]) -> None:
        def check(value: object) -> tuple[Any, ...]:
            if not isinstance(value, list):
                raise _mistake("must be a list")
            return tuple(_chosen(entry, choices) for entry in value)

        super().__init__(check)


def _chosen(value: object, choices: Mapping[Any, Any]) -> object:
    known = isinstance(value, str | int) and not isinstance(value, bool) and value in choices
    if not known:
        names = ", ".join(str(name) for name in choices)
        raise ValueError(f"must be one of {names}{did_you_mean(value, choices)}")
    return choices[value]


def _mistake(message: str) -> ValueError:
    """Return the error for a value of any wrong kind: to the writer of a file a wrong type is a wrong value."""
    return ValueError(message)


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LONGEST_S:
        return float(value)
    if isinstance(value, str) and re.fullmatch(f"(?:{_PART.pattern})+", value):
        return sum(float(amount) * _UNITS_S[unit] for amount, unit in _PART.findall(value))
    raise ValueError('must be a time such as "90s", "5min", "2h" or "1h 30min"')


Duration = Annotated[float, BeforeValidator(_seconds)]
"""Seconds, or a time with units, which may be combined."""

Text = Annotated[str, StringConstraints(strip_whitespace=False, pattern=r"\S")]
"""A text that is not empty."""


def _cells_of(info: Info) -> int:
    """Return the number of cells of the pack, which the reader of the file tells."""
    return int((info.context or {}).get("cells", 16))


def _wire(value: object, info: Info) -> int:
    last = _cells_of(info)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= last:
        raise ValueError(f"must be a whole number of 0 to {last}")
    return value


Wire = Annotated[int, PlainValidator(_wire)]
"""A sense wire of the pack: n leads to the upper end of cell n, 0 to the lower end of the pack."""


class CellNumbers(BeforeValidator):
    """A table by cell such as ``{ 7 = 12.5 }``, whose keys are those of the pack."""

    def __init__(self) -> None:
        super().__init__(_numbered)


def _numbered(value: object, info: Info) -> dict[int, Any]:
    last = _cells_of(info)
    if not isinstance(value, dict) or not value:
        raise ValueError(f"must be a table with numbers of 1 to {last} as keys, such as {{ 1 = 50 }}")
    for key in value:
        if not (str(key).isdecimal() and 1 <= int(key) <= last):
            raise ValueError(f"key {key!r} must be a number of 1 to {last}")
    return {int(key): entry for key, entry in value.items()}


def _number(value: object, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
        raise ValueError(f"must be a number of 0 to {high:g}")
    return value


def _charger(value: object) -> Charger | bool | None:
    if value == FOLLOWS_CURRENT:
        return None
    if isinstance(value, bool):
        return value
    if not isinstance(value, dict) or "current_a" not in value or value.keys() - {"current_a", "voltage_v"}:
        raise ValueError(f'must be true, false, "{FOLLOWS_CURRENT}" or {{ current_a = 30, voltage_v = 57.6 }}')
    volts = value.get("voltage_v")
    return Charger(_number(value["current_a"], 1000), None if volts is None else _number(volts, 100))


ChargerChoice = Annotated[Charger | bool | None, PlainValidator(_charger)]
"""One that fits the pack (true), none (false), a certain one, or None for one that follows the current."""


def _faults(value: object) -> FaultPlan:
    if not isinstance(value, dict):
        raise _mistake(_faults_wanted())
    for name in value:
        if name not in FAULT_NAMES:
            raise ValueError(f"{_faults_wanted()}{did_you_mean(name, FAULT_NAMES)}")
    chances: dict[str, Any] = {name: _number(entry, 1) for name, entry in value.items()}
    return FaultPlan(**chances)


def _faults_wanted() -> str:
    return f"must be a table of probabilities, such as {{ bit_flip = 0.01 }}, of {', '.join(FAULT_NAMES)}"


Faults = Annotated[FaultPlan, PlainValidator(_faults)]
"""What goes wrong on the line from now on."""


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


def named_settings(table: Mapping[str, object]) -> NamedSettings:
    """Return the settings of a table: keys of the register catalogue and values in their units. Reads package data.

    Raises:
        ValidationError: each key that is unknown and each value that its register cannot hold.

    """
    known = {register.key: register for register in catalogue().settings()}
    entries: list[tuple[Register, tuple[int, ...]]] = []
    mistakes: list[InitErrorDetails] = []
    for key, entry in table.items():
        try:
            entries.append((_setting(key, known), _encoded(known[key], entry)))
        except ValueError as error:
            words = PydanticCustomError("setting", "{reason}", {"reason": str(error)})
            mistakes.append(InitErrorDetails(type=words, loc=(key,), input=entry))
    if mistakes:
        raise ValidationError.from_exception_data("settings", mistakes)
    return NamedSettings(tuple(entries))


def _setting(key: str, known: Mapping[str, Register]) -> Register:
    if key not in known:
        raise ValueError(f"is not a setting{did_you_mean(key, known)}")
    return known[key]


def _encoded(register: Register, entry: object) -> tuple[int, ...]:
    if isinstance(entry, bool) or not isinstance(entry, int | float | str):
        raise _mistake("must be a number or the name of a choice")
    return register.encode(entry)


def _settings(value: object) -> NamedSettings:
    if not isinstance(value, dict):
        raise _mistake("must be a table of settings, such as { automatic_recovery = 10 }")
    return named_settings(value)


Settings = Annotated[NamedSettings, PlainValidator(_settings)]
"""Settings by name and in units."""
