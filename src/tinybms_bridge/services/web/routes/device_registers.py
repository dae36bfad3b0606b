"""The register catalogue of the settings under the names of the firmware's answer, with the present values."""

from typing import Any

from pydantic import Field

from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.tinybms.settings import Readout, Setting, all_settings, allowed_values, present_range

__all__ = ["EnumValue", "RegisterAnswer", "register_answers"]


class EnumValue(Answer):
    """One choice."""

    value: int
    label: str


class RegisterAnswer(Answer):
    """One setting of the BMS (registers 300 to 343)."""

    address: int = Field(examples=[315])
    key: str = Field(examples=["over_voltage_cutoff_v"])
    """Name for ``/api/tinybms/write``."""
    label: str
    group: str
    unit: str
    type: str = Field(examples=["u16"])
    comment: str
    access: str = "rw"
    scale: float
    """Value = raw × scale."""
    precision: int
    """Decimals of the value."""
    is_enum: bool
    available: bool
    """Whether the firmware of this BMS has the setting; unknown counts as yes."""
    value: float | int | str | None
    """In ``unit``; null while the BMS has not been read."""
    raw_value: int | None
    default: float | int | str | None
    """As the BMS tells; null where it does not."""
    min: float | None
    max: float | None
    allowed_by: str | None = Field(examples=["bms"])
    """``bms`` when the BMS itself told the range, ``vendor`` when its manual does."""
    enum_values: list[EnumValue]


def register_answers(readout: Readout | None, group: str | None = None) -> list[RegisterAnswer]:
    """Return every setting, or those of a group; the first call of the process reads the catalogue, a file."""
    found = [each for each in all_settings().values() if group is None or each.register.group == group]
    return [RegisterAnswer.model_validate({**_fixed(each), **_present(each, readout)}) for each in found]


def _fixed(setting: Setting) -> dict[str, Any]:
    register = setting.register
    return {
        "address": setting.address,
        "key": setting.name,
        "label": register.name,
        "group": register.group,
        "unit": setting.unit,
        "type": register.kind.value,
        "comment": register.note,
        "scale": register.scale,
        "precision": register.decimals,
        "is_enum": bool(setting.choices),
        "enum_values": [{"value": raw, "label": text} for raw, text in setting.choices.items()],
    }


_UNREAD = dict.fromkeys(("value", "raw_value", "default", "min", "max", "allowed_by"))


def _present(setting: Setting, readout: Readout | None) -> dict[str, Any]:
    if readout is None or not readout.available(setting):
        return {**_UNREAD, "available": readout is None}
    allowed = present_range(readout, setting)
    bounds = (None, None) if setting.choices else tuple(allowed_values(setting, allowed))
    return {
        "available": True,
        "value": readout.value(setting),
        "raw_value": setting.raw(readout.words),
        "default": readout.default(setting),
        "min": bounds[0],
        "max": bounds[1],
        "allowed_by": allowed.origin,
    }
