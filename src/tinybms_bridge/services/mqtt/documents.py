"""What is published: the state of battery and packs, alarms, events and registers, each as one JSON object.

The names are those of the API. Every object has ``boot`` (another one with each start of the publisher), ``seq`` (from
1 in one boot, over all topics) and ``at`` (UTC): who gets a message twice, or late, can tell.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import orjson

from tinybms_bridge.battery.alarm_words import alarm_kind, alarm_message
from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.headline import overall
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.state import PackState
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.services.flat import (
    active_levels,
    cells_mv,
    extremes_now,
    last_numbers,
    limit_numbers,
    live_registers,
    pack_measured,
)
from tinybms_bridge.services.ports import Core, Moment
from tinybms_bridge.words import Language

__all__ = [
    "Sealer",
    "alarms_document",
    "battery_document",
    "event_document",
    "pack_document",
    "registers_document",
    "values_of",
]

_DECIMALS = 3
"""A thousandth of a volt, ampere or kilowatt-hour is less than what anything here measures."""


class Sealer:
    """Makes payloads of one boot."""

    def __init__(self, boot: str = "") -> None:
        self.boot = boot or secrets.token_hex(8)
        """Another one with each start."""
        self.sequence = 0
        """Number of the last message."""

    def seal(self, document: Mapping[str, object], at: datetime) -> bytes:
        """Return the payload of a document: JSON in one line."""
        self.sequence += 1
        told = {"boot": self.boot, "seq": self.sequence, "at": _time(at)}
        return orjson.dumps(told | {name: _plain(value) for name, value in document.items()}, default=str)


def battery_document(core: Core, moment: Moment, energy_kwh: tuple[float | None, float | None]) -> dict[str, object]:
    """Return the state of the battery; ``energy_kwh`` is what was charged and discharged."""
    view, limits, config = moment.view, moment.view.limits, core.store.in_force
    outputs, several = core.outputs().values(), len(moment.packs) > 1
    reaches_gx = any(each.up and each.keepalive_ok for each in outputs)
    return {
        **pack_measured(view),
        "remark": view.remark,
        **limit_numbers(limits),
        "discharge_voltage_v": None if limits is None else limits.discharge_voltage_v,
        "charging_allowed": None if limits is None else limits.ccl_a > 0.0,
        "discharging_allowed": None if limits is None else limits.dcl_a > 0.0,
        "full": None if limits is None else limits.full,
        "charged_kwh": energy_kwh[0],
        "discharged_kwh": energy_kwh[1],
        "level": overall(moment.battery, view, heard=moment.hearing.connected, reaches_gx=reaches_gx),
        "alarms": active_levels(moment),
        "inhibits": [each.direction.value for each in core.inhibits()],
        **{f"{each.value}_inhibited": _inhibited(core, each) for each in Direction},
        "gx": reaches_gx,
        "packs": len(moment.packs),
        **({"balancing_bits": None, "members": moment.battery.members, **extremes_now(moment)} if several else {}),
        "profile": config.cvl.profile,
        "log_level": config.logging.log_level,
        "version": core.version,
        "last": last_numbers(moment),
    }


def pack_document(name: str, moment: Moment) -> dict[str, object]:
    """Return the state of one pack."""
    view = moment.packs.get(name, View())
    identity = moment.battery.packs.get(name, _UNSEEN).identity
    measured, last = view.measured, view.last
    return {
        "pack": name,
        **pack_measured(view),
        "lowest_cell": measured.cells.min_number if measured else None,
        "highest_cell": measured.cells.max_number if measured else None,
        "serial_number": "" if identity is None else identity.serial_number,
        "firmware": "" if identity is None else identity.firmware,
        **(_part(name, moment) if len(moment.packs) > 1 else {}),
        "last": None if last is None else {"at": last.at(moment.at), "cells_mv": cells_mv(last.snapshot)},
    }


_UNSEEN = PackState()


def _part(name: str, moment: Moment) -> dict[str, object]:
    """Return the part of a pack in a battery of several, with the counters that are its own."""
    pack, view = moment.battery.pack(name), moment.packs.get(name, View())
    live, heard = view.measured is not None, moment.hearing.connected
    counted = pack.saved_energy if heard and pack.saved_energy != EnergyTotals() else None
    return {
        "condition": pack.condition if heard else None,
        "charge_share_percent": _percent(pack.charge_share) if live else None,
        "discharge_share_percent": _percent(pack.discharge_share) if live else None,
        "charge_blocked": pack.charge_blocked if live else None,
        "discharge_blocked": pack.discharge_blocked if live else None,
        "ccl_limit_a": None if view.limits is None else view.limits.ccl_a,
        "dcl_limit_a": None if view.limits is None else view.limits.dcl_a,
        "charged_kwh": None if counted is None else counted.charged_wh / 1000.0,
        "discharged_kwh": None if counted is None else counted.discharged_wh / 1000.0,
        "alarms": {each.value: int(level) for each, level in pack.alarms.active().items()} if heard else {},
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100.0


def alarms_document(moment: Moment, language: Language) -> dict[str, object]:
    """Return the alarms and notices that are active, the worst first, in words."""
    causes = moment.battery.alarms.causes
    found: list[dict[str, object]] = []
    for name, level in sorted(moment.active().items(), key=lambda each: (-each[1], each[0].value)):
        cause = causes.get(name) if isinstance(name, AlarmName) else None
        level_name = "alarm" if level is AlarmLevel.ALARM else "warning"
        told = alarm_message(name.value, level=level_name, cause=None if cause is None else cause.told)
        found.append(
            {
                "name": name.value,
                "kind": alarm_kind(name.value),
                "level": level_name,
                "text": told.say(language),
                "explanation": told.explanation(language),
                "advice": told.advice(language),
            }
        )
    worst = max(moment.active().values(), default=AlarmLevel.OK)
    return {"level": ("ok", "warning", "alarm")[worst], "active": found}


def event_document(record: EventRecord, language: Language) -> dict[str, object]:
    """Return an entry of the event list, without who did it: not everybody at a broker may know that."""
    told = {each.name: getattr(record, each.name) for each in fields(record) if each.name not in {"by", "at"}}
    return told | {"event_at": record.at, "text": record.say(language)}


def registers_document(name: str, moment: Moment) -> dict[str, object]:
    """Return the live values of a pack by register; none while it is not live."""
    return {"pack": name, "registers": live_registers(moment.packs.get(name, View()).measured)}


def values_of(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each single value of a document with its topic below that of the document; what is not known is empty."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            continue
        if isinstance(value, list | tuple):
            yield from ((f"{name}/{number}", _text(each)) for number, each in enumerate(value, 1))
        else:
            yield name, _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_plain(value))


def _plain(value: Any) -> Any:  # noqa: ANN401 -- whatever a document holds
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _inhibited(core: Core, direction: Direction) -> bool:
    return any(each.direction is direction for each in core.inhibits())
