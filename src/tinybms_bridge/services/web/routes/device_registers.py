"""The settings of the BMS as last read, and as registers under the names of the firmware's answer.

The last reading is kept so that looking at the settings does not load the line.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import Field
from starlette.applications import Starlette

from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.tinybms.settings import Readout, Setting, all_settings, allowed_values, present_range
from tinybms_bridge.words import ENGLISH, Language, Message, say

__all__ = ["EnumValue", "Reading", "ReadoutCache", "RegisterAnswer", "cache_of", "register_answers", "written_to"]

_REST_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of the settings."""

    readout: Readout | None
    at: datetime | None
    error: Message | None = None
    """Why there is nothing newer; None when the last reading worked."""


class ReadoutCache:
    """Keeps one reading of the BMS of a pack."""

    def __init__(self, core: Core, pack: str) -> None:
        self._core = core
        self._pack = pack
        self._reading = Reading(None, None)
        self._tried_at_s = float("-inf")
        self._current = False
        self._forgotten = 0
        self._lock = asyncio.Lock()

    async def get(self, *, refresh: bool) -> Reading:
        """Return the kept reading, or a new one when there is none or ``refresh`` asks for it; never raises.

        The BMS is not asked twice within some seconds, whether or not it answered.
        """
        async with self._lock:
            rested = self._core.clock.monotonic() - self._tried_at_s >= _REST_S
            if rested and (refresh or not self._current):
                await self._read()
        return self._reading

    def forget(self) -> None:
        """Let the next ``get`` read anew: something was written. A reading that is under way does not count."""
        self._current, self._tried_at_s = False, float("-inf")
        self._forgotten += 1

    async def _read(self) -> None:
        self._tried_at_s, forgotten = self._core.clock.monotonic(), self._forgotten
        try:
            readout = await self._core.device(self._pack).read()
        except (LinkError, DeviceRefused) as error:
            self._reading = replace(self._reading, error=error.description)
            return
        self._current = forgotten == self._forgotten
        self._reading = Reading(readout, self._core.clock.wall())


def cache_of(app: Starlette, pack: str) -> ReadoutCache:
    """Return the cache of an application for a pack; the first call makes it."""
    if not hasattr(app.state, "device_readouts"):
        app.state.device_readouts = {}
    caches: dict[str, ReadoutCache] = app.state.device_readouts
    known = app.state.core.packs()
    for gone in [name for name in caches if name and name not in known]:
        del caches[gone]
    return caches.setdefault(pack, ReadoutCache(app.state.core, pack))


@contextmanager
def written_to(app: Starlette, pack: str) -> Iterator[None]:
    """Forget what was read before and during what is done within, however it ends."""
    try:
        yield
    finally:
        cache_of(app, pack).forget()


class EnumValue(Answer):
    """One choice."""

    value: int
    label: str
    """Name of the choice for ``/api/tinybms/write``."""
    title: str = Field(examples=["transistors of the BMS"])
    """The choice for a person."""


class RegisterAnswer(Answer):
    """One setting of the BMS (registers 300 to 343)."""

    address: int = Field(examples=[315])
    key: str = Field(examples=["over_voltage_cutoff_v"])
    """Name for ``/api/tinybms/write``."""
    title: str = Field(examples=["Charging is cut when a cell reaches"])
    """What it is, for a person."""
    help: str
    """What it does, for a person."""
    label: str
    """As the vendor calls it."""
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


def register_answers(
    readout: Readout | None, group: str | None = None, language: Language = ENGLISH
) -> list[RegisterAnswer]:
    """Return every setting, or those of a group; the first call of the process reads the catalogue, a file."""
    found = [each for each in all_settings().values() if group is None or each.register.group == group]
    return [RegisterAnswer.model_validate({**_fixed(each, language), **_present(each, readout)}) for each in found]


def _fixed(setting: Setting, language: Language) -> dict[str, Any]:
    register = setting.register
    return {
        "address": setting.address,
        "key": setting.name,
        "title": say(f"register.{setting.name}", {}, language, register.name),
        "help": say(f"register.{setting.name}.explanation", {}, language),
        "label": register.name,
        "group": register.group,
        "unit": setting.unit,
        "type": register.kind.value,
        "comment": register.note,
        "scale": register.scale,
        "precision": register.decimals,
        "is_enum": bool(setting.choices),
        "enum_values": [
            {"value": raw, "label": text, "title": say(f"choice.{text}", {}, language, text)}
            for raw, text in setting.choices.items()
        ],
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
