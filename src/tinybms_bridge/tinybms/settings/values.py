"""Between what people write and what a register holds, within the range that the BMS or the vendor allows."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.errors import SettingValueError
from tinybms_bridge.tinybms.settings.fields import Setting, Words
from tinybms_bridge.words import Message, message

__all__ = [
    "Origin",
    "RawRange",
    "allowed_values",
    "encode",
    "parse_number",
    "parse_text",
    "range_text",
    "shown_value",
    "what_is_allowed",
]

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
        SettingValueError: not a value of this setting, or outside ``allowed``; it says what is allowed.

    """
    typed = _typed(setting, value)
    if typed is None:
        known = what_is_allowed(setting, allowed)
        raise SettingValueError(message("setting.not_text" if setting.choices else "setting.not_number", allowed=known))
    register = replace(setting.register, minimum_raw=allowed.low, maximum_raw=allowed.high)
    try:
        words = register.encode(typed)
    except (ValueError, OverflowError):
        raise SettingValueError(what_is_allowed(setting, allowed)) from None
    if setting.choices and typed not in _choices(setting, allowed):
        raise SettingValueError(what_is_allowed(setting, allowed))
    return words


def what_is_allowed(setting: Setting, allowed: RawRange) -> Message:
    """Return which values a setting can have, and whether the BMS itself says so."""
    by_bms = allowed.origin == "bms"
    if setting.choices:
        return message("setting.allowed_choices", choices=_choices(setting, allowed), by_bms=by_bms)
    low, high = (_scaled(setting, raw) for raw in (allowed.low, allowed.high))
    whole = setting.register.scale == 1
    return message("setting.allowed_numbers", low=low, high=high, unit=setting.unit, whole=whole, by_bms=by_bms)


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
        SettingValueError: not a number where one is needed.

    """
    value = text if setting.choices else parse_number(text)
    if isinstance(value, str) and not setting.choices:
        raise SettingValueError(message("setting.no_number", unit=setting.unit))
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
