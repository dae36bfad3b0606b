"""Between what people write and what a register holds, within the range that the BMS or the vendor allows."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.fields import Setting, Words

__all__ = ["Origin", "RawRange", "allowed_text", "encode", "parse_text", "range_text", "shown_value"]

Origin: TypeAlias = Literal["bms", "vendor"]
"""Whether the BMS itself said so (command 0x1D) or the vendor's document did."""


@dataclass(frozen=True, slots=True)
class RawRange:
    """Smallest and largest raw value."""

    low: int
    high: int
    origin: Origin


def encode(setting: Setting, value: object, allowed: RawRange) -> Words:
    """Return the registers for ``value``; bits of other settings are 0.

    Raises:
        ValueError: not a value of this setting, or outside ``allowed``; the text says what is allowed.

    """
    typed = _typed(setting, value)
    if typed is None:
        kind = "a text" if setting.choices else "a number"
        raise ValueError(f"is not {kind}; {allowed_text(setting, allowed)}")
    register = replace(setting.register, minimum_raw=allowed.low, maximum_raw=allowed.high)
    try:
        words = register.encode(typed)
    except (ValueError, OverflowError):
        raise ValueError(allowed_text(setting, allowed)) from None
    if setting.choices and typed not in _choices(setting, allowed):
        raise ValueError(allowed_text(setting, allowed))
    return words


def allowed_text(setting: Setting, allowed: RawRange) -> str:
    """Return what is allowed, for a message."""
    who = " by the BMS" if allowed.origin == "bms" else ""
    kind = "" if setting.choices else "whole numbers " if setting.register.scale == 1 else "numbers "
    return f"allowed{who} are {kind}{range_text(setting, allowed)} {setting.unit}".rstrip()


def range_text(setting: Setting, allowed: RawRange) -> str:
    """Return a range for a table: ``1.2 to 4.5``, or the choices."""
    if setting.choices:
        return ", ".join(_choices(setting, allowed))
    return " to ".join(shown_value(_scaled(setting, raw)) for raw in (allowed.low, allowed.high))


def _scaled(setting: Setting, raw: int) -> float:
    register = setting.register
    return raw if register.scale == 1 else round(raw * register.scale, register.decimals)


def parse_text(setting: Setting, text: str) -> RegisterValue:
    """Return the value that a person typed.

    Raises:
        ValueError: not a number where one is needed.

    """
    value = text if setting.choices else parse_number(text)
    if isinstance(value, str) and not setting.choices:
        unit = f" in {setting.unit}, without the unit" if setting.unit else ""
        raise ValueError(f"is not a number{unit}")
    return value


def parse_number(text: str) -> int | float | str:
    """Return the number in ``text``, or ``text`` itself if it holds none."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def shown_value(value: RegisterValue, unit: str = "") -> str:
    """Return a value for a person; a dash where there is none."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else f"{value:.10g}"
    return f"{text} {unit}".rstrip()


def _typed(setting: Setting, value: object) -> RegisterValue:
    """Return ``value`` if it has the type of the setting's values, else None."""
    if isinstance(value, bool):
        return None
    if setting.choices:
        return value if isinstance(value, str) else None
    return value if isinstance(value, int | float) else None


def allowed_values(setting: Setting, allowed: RawRange) -> list[str] | list[float]:
    """Return a range for programs: the choices, or the smallest and the largest number."""
    if setting.choices:
        return _choices(setting, allowed)
    return [_scaled(setting, raw) for raw in (allowed.low, allowed.high)]


def _choices(setting: Setting, allowed: RawRange) -> list[str]:
    return [text for raw, text in setting.choices.items() if allowed.low <= raw <= allowed.high]
