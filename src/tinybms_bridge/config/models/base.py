"""What every section of the configuration shares: strictness, and one way to declare a key."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

__all__ = [
    "HOST_NAME_RULE",
    "IPV4_RULE",
    "SSID_RULE",
    "WPA_RULE",
    "HostName",
    "Ipv4Text",
    "Section",
    "Ssid",
    "WpaKey",
    "flag",
    "listed",
    "must",
    "number",
    "secret",
    "text",
]

HOST_NAME_RULE = "must be 1 to 63 letters, digits or inner hyphens"
IPV4_RULE = "must be an IPv4 address such as 192.168.1.20, or empty"
SSID_RULE = "must be at most 32 bytes of text without control characters"
WPA_RULE = "must be 8 to 63 printable ASCII characters or 64 hexadecimal digits; empty for an open network"


T = TypeVar("T")


class Section(BaseModel):
    """One object of the file: types are exact, unknown keys are refused, values never change."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


def number(
    default: float | None,
    low: float,
    high: float,
    unit: str,
    title: str,
    description: str,
    *,
    no_effect: str = "",
) -> Any:  # noqa: ANN401 - the the annotation of the key is its type
    """Declare a number from ``low`` to ``high`` in ``unit``; the annotation says whether it is whole or may be null."""
    extra = _extra(unit=unit, no_effect=no_effect)
    return Field(default, ge=low, le=high, title=title, description=description, json_schema_extra=extra)


def listed(default: int, accepted: tuple[int, ...], unit: str, title: str, description: str) -> Any:  # noqa: ANN401 - as above
    """Declare a whole number that must be one of ``accepted``."""
    extra: dict[str, Any] = {"unit": unit, "enum": list(accepted)}
    return Field(default, title=title, description=description, json_schema_extra=extra)


def flag(default: bool, title: str, description: str, *, no_effect: str = "") -> Any:  # noqa: ANN401 - the annotation of the key is its type
    """Declare a switch."""
    return Field(default, title=title, description=description, json_schema_extra=_extra(no_effect=no_effect))


def text(
    default: str,
    title: str,
    description: str,
    *,
    rule: str = "",
    max_length: int | None = None,
    pattern: str | None = None,
    no_effect: str = "",
) -> Any:  # noqa: ANN401 - the annotation of the key is its type
    """Declare a text or a choice; ``rule`` is shown when a value breaks the type's check or ``pattern``."""
    extra = _extra(rule=rule, no_effect=no_effect)
    return Field(
        default,
        title=title,
        description=description,
        max_length=max_length,
        pattern=pattern,
        json_schema_extra=extra,
    )


def secret(title: str, description: str, *, rule: str = "") -> Any:  # noqa: ANN401 - the annotation of the key is its type
    """Declare a text that is stored but never shown; empty by default."""
    return Field(SecretStr(""), title=title, description=description, json_schema_extra=_extra(rule=rule))


def must(holds: Callable[[T], bool]) -> AfterValidator:
    """Return a validator that refuses a value for which ``holds`` is false; the key's ``rule`` says why."""

    def check(value: T) -> T:
        if not holds(value):
            raise ValueError
        return value

    return AfterValidator(check)


def _extra(**entries: str) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value}


def _is_host_name(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", value) is not None


def _is_ipv4_or_empty(value: str) -> bool:
    if not value:
        return True
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _is_ssid(value: str) -> bool:
    return value.isprintable() and len(value.encode()) <= 32


def _is_wpa_key_or_empty(value: SecretStr) -> bool:
    key = value.get_secret_value()
    if len(key) == 64:
        return re.fullmatch(r"[0-9A-Fa-f]{64}", key) is not None
    return not key or (8 <= len(key) <= 63 and key.isascii() and key.isprintable())


HostName = Annotated[str, must(_is_host_name)]
Ipv4Text = Annotated[str, must(_is_ipv4_or_empty)]
Ssid = Annotated[str, must(_is_ssid)]
WpaKey = Annotated[SecretStr, must(_is_wpa_key_or_empty)]
