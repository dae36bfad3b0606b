"""The overview: one object of all that the first view and the frame of every page show, for REST, ``/ws`` and pages.

It is made at most once a second and language, and only when somebody asks. One message goes to everybody, so it names
no user. Classes here are the schema; the object itself is made without them, which costs a fifth.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Literal

from pydantic import Field
from pydantic_core import to_json

from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.battery.headline import Overall, cause, headline, overall
from tinybms_bridge.battery.inhibits import Inhibit
from tinybms_bridge.battery.limits import ChargeState, Limits, Quantity, Reason, sentence_of
from tinybms_bridge.battery.quick import replace as replace_reason
from tinybms_bridge.battery.snapshot import Ratings, Snapshot
from tinybms_bridge.battery.state import PackState
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.events import PartState
from tinybms_bridge.link.state import PackDetails, ServiceCondition
from tinybms_bridge.services.flat import (
    battery_numbers,
    cells_mv,
    extremes_now,
    pack_measured,
    pack_numbers,
)
from tinybms_bridge.services.ports import Core, EnergyOfToday, Hearing, Moment
from tinybms_bridge.services.web.answers import Answer, MessageAnswer, Shown, rounded, shown
from tinybms_bridge.services.web.live.alarms import ActiveAlarm, AlarmTracker
from tinybms_bridge.services.web.live.pack_facts import PackFacts, pack_facts
from tinybms_bridge.services.web.live.status import CellNow, LastValues, Measured, OutputNow
from tinybms_bridge.words import ENGLISH, Language, Message, say

__all__ = ["Overview", "OverviewAnswer"]

_MADE_FOR_S = 0.9
"""Less than the second between two messages, so that no tick finds the one before."""
_SOMEBODY = "somebody"


class ReasonNow(Answer):
    """One cause that set or lowered a limit."""

    code: str = Field(examples=["temperature"])
    cause: str = Field(examples=["a temperature of 3.5 °C"])
    """The cause in a few words."""
    text: str = Field(examples=["temperature 3.5 °C, 40 % is left"])
    limit: float
    """What the cause allows, V or A."""
    binding: bool
    """Whether this cause gives the limit its present value."""


class LimitNow(Answer):
    """What is allowed beside what flows."""

    value: float | None
    """As it is sent; null while nothing is."""
    actual: float | None
    """The measured voltage, or the current in the direction of the limit, 0 in the other; null while not live."""
    unit: Literal["V", "A"]
    text: str = Field(examples=["cell 7 at 3.52 V"])
    """What binds it, in a few words; empty where nothing is sent."""
    reasons: list[ReasonNow]
    """All causes, in the order of the stages."""


class LimitsNow(Answer):
    """The three limits."""

    cvl: LimitNow
    ccl: LimitNow
    dcl: LimitNow


class ChargeNow(Answer):
    """Where the charge is."""

    state: ChargeState | None
    """Null while nothing is sent."""
    states: list[ChargeState]
    """All of them, in their order."""
    full: bool
    discharge_voltage_v: float | None


class AxisNow(Answer):
    """Where the cells of a pack have their bounds: for the axis of a picture. Null until the settings are read."""

    under_voltage_cell_v: float
    """Register 316: the BMS cuts the load."""
    fully_discharged_cell_v: float
    """Register 301."""
    fully_charged_cell_v: float
    """Register 300."""
    over_voltage_cell_v: float
    """Register 315: the BMS cuts the charger."""
    chemistry: str | None = Field(examples=["lfp"])
    """Null while more than one is possible."""


class WorstNow(Answer):
    """The limit that a pack sets for the whole battery."""

    limit: Literal["cvl", "ccl", "dcl"]
    code: str = Field(examples=["cell_voltage"])
    text: str = Field(examples=["cell 7 at 3.52 V"])


class LineNow(Answer):
    """The line to a BMS."""

    up: bool
    """Whether the BMS answers."""
    reason: str
    """Why not, in English."""
    message: MessageAnswer | None
    """The same in the language of the other texts."""


class LastPackValues(Measured):
    """The last measurements of a pack before its data became old."""

    at: datetime


class OverviewPack(PackFacts, Measured):
    """One pack. Measurements are null while they are not live."""

    freshness: str = Field(examples=["FRESH"])
    age_ms: int | None
    """Age of the last sample."""
    status: str | None = Field(examples=["CHARGING"])
    temperatures: list[float | None]
    """°C: the board's own sensor and the two external ones; empty without a live sample."""
    balancing_bits: int | None
    """Bit 0 is cell 1."""
    lowest_cell: int | None
    """Its number, from 1."""
    highest_cell: int | None
    last: LastPackValues | None
    """The last values, while there are no live ones."""
    axis: AxisNow | None
    worst: WorstNow | None
    """Null for a pack that limits nothing by itself."""
    serial_number: str
    """Empty until it is read."""
    uart: LineNow


class OverviewOutput(OutputNow):
    """One output."""

    kind: Literal["can"]
    error: str
    """Why it is not up, in English."""
    message: MessageAnswer | None
    """The same in the language of the other texts."""


class AlarmNow(Answer):
    """One alarm or notice that is active."""

    name: str = Field(examples=["high_voltage"])
    kind: Literal["alarm", "notice"]
    level: Literal["warning", "alarm"]
    text: str
    explanation: str
    """What it means; empty where there is nothing to say."""
    advice: str
    """What can be done; empty where there is nothing to do."""
    since: datetime
    """When it reached this level."""
    acknowledged_by: Literal["somebody"] | None
    """Null: nobody has seen it at this level. Who has, ``/api/alarms`` tells those who are logged in."""


class FailedPart(Answer):
    """A part of the program that has failed and is started again."""

    name: str
    error: str
    """In English."""
    message: MessageAnswer | None
    """The same in the language of the other texts."""


class TroubledService(Answer):
    """MQTT or another service that is wanted and does not work; it is tried again by itself."""

    name: str = Field(examples=["mqtt"])
    title: str
    """What people call it."""


class OverviewAnswer(Measured):
    """All that the first view and the frame of every page show. Measurements are null in HOLD and SILENT."""

    at: datetime
    version: str
    freshness: str = Field(examples=["FRESH"])
    age_ms: int | None
    """Age of the last sample."""
    remark: str
    """Why charging is stopped or nothing is sent, for want of data; empty while fresh data is sent."""
    core: Shown[Hearing]
    headline: MessageAnswer
    """The sentence that comes first."""
    level: Overall
    """How it stands with the whole."""
    until_full_s: float | None
    """Time until the battery is full, from the current of the last minute; null unless that was steady."""
    until_empty_s: float | None
    """Time until it is empty, in the same way. ``time_left_s`` is what the BMS says."""
    last: LastValues | None
    """The last values, while there are no live ones."""
    lowest_cell: CellNow | None
    """Of all packs that count."""
    highest_cell: CellNow | None
    energy_today: Shown[EnergyOfToday] | None
    """Up to a minute behind; null without a history."""
    limits: LimitsNow
    charge: ChargeNow
    packs: dict[str, OverviewPack]
    outputs: dict[str, OverviewOutput]
    alarms: list[AlarmNow]
    """The worst first."""
    unacknowledged: int
    """Alarms that nobody has seen."""
    inhibits: list[Shown[Inhibit]]
    """Directions that are stopped by hand; ``by`` is ``somebody``."""
    failed_parts: list[FailedPart]
    troubled_services: list[TroubledService]
    """Why, ``/api/services`` tells."""


class Overview:
    """Makes the overview, and keeps the current of the last minute that its times rest on.

    Args:
        core: The bridge.
        alarms: What is wrong, and who has seen it.

    """

    def __init__(self, core: Core, alarms: AlarmTracker) -> None:
        self.flow = Flow()
        self._core = core
        self._alarms = alarms
        self._made: dict[Language, tuple[float, str, int]] = {}
        self._number = 0

    def look(self) -> None:
        """Take note of the present current; to be called every few seconds."""
        view = self._core.moment().view
        self.flow.add(view.measured, view.limits, self._core.clock.monotonic())

    def text(self, language: Language = ENGLISH) -> tuple[str, int]:
        """Return the object as JSON, the same one for nearly a second, and its number, which grows with each one."""
        now_s = self._core.clock.monotonic()
        made = self._made.get(language)
        if made is None or not 0.0 <= now_s - made[0] < _MADE_FOR_S:
            document = rounded("", self.document(language))
            self._number += 1
            made = self._made[language] = now_s, to_json(document, inf_nan_mode="null").decode(), self._number
        return made[1:]

    def document(self, language: Language = ENGLISH) -> dict[str, object]:
        """Return the values of ``OverviewAnswer``."""
        core = self._core
        moment, hearing, details = core.moment(), core.hearing(), core.packs()
        view, limits = moment.view, moment.view.limits
        self.flow.add(view.measured, limits, core.clock.monotonic())
        outputs, today = core.outputs(), core.history.today()
        line = core.uart().why()
        told = headline(view, self.flow, line=line, unheard_s=None if hearing.connected else hearing.since_s)
        reaches_gx = any(each.up and each.keepalive_ok for each in outputs.values())
        active = [_alarm(each, language) for each in self._alarms.active(moment, core.clock.wall())]
        return {
            "at": moment.at,
            "version": core.version,
            **battery_numbers(moment),
            "remark": "" if view.explanation is None else view.explanation.say(language),
            "cells_mv": cells_mv(view.measured),
            "core": shown(hearing),
            "headline": _told(told, language),
            "level": overall(moment.battery, view, heard=hearing.connected, reaches_gx=reaches_gx),
            **self._times(view),
            **extremes_now(moment),
            "energy_today": None if today is None else shown(today),
            "limits": {quantity.name.lower(): _limit(quantity, view, language) for quantity in Quantity},
            "charge": {
                "state": limits.state if limits else None,
                "states": list(ChargeState),
                "full": limits is not None and limits.full,
                "discharge_voltage_v": limits.discharge_voltage_v if limits else None,
            },
            "packs": {name: _pack(name, each, moment, language) for name, each in details.items()},
            "outputs": {
                name: {
                    "kind": "can",
                    "up": each.up,
                    "gx_state": each.gx_state,
                    "error": each.error,
                    "message": _told(each.why(), language),
                }
                for name, each in outputs.items()
            },
            "alarms": active,
            "unacknowledged": sum(each["acknowledged_by"] is None for each in active),
            "inhibits": [shown(replace(each, by=_SOMEBODY)) for each in core.inhibits()],
            "failed_parts": [
                {"name": each.name, "error": each.error, "message": _told(each.why(), language)}
                for each in core.parts()
                if each.state == PartState.FAILED
            ],
            "troubled_services": [
                {"name": name, "title": say(f"service_name.{name}", {}, language, name)}
                for name, each in core.services().items()
                if each.state().condition is ServiceCondition.TROUBLE
            ],
        }

    def _times(self, view: View) -> dict[str, object]:
        hours = self.flow.hours_left(view)
        left_s = None if hours is None else hours * 3600.0
        charging = view.measured is not None and view.measured.pack.current_a > 0.0
        return {"until_full_s": left_s if charging else None, "until_empty_s": None if charging else left_s}


def _told(told: Message | None, language: Language) -> dict[str, object] | None:
    return None if told is None else {**told.document(), "text": told.say(language)}


def _limit(quantity: Quantity, view: View, language: Language) -> dict[str, object]:
    unit, limits = "V" if quantity is Quantity.CVL else "A", view.limits
    actual = None if view.measured is None else _actual(quantity, view.measured)
    if limits is None:
        return {"value": None, "actual": actual, "unit": unit, "text": "", "reasons": []}
    binding = limits.binding(quantity)
    return {
        "value": getattr(limits, quantity.value),
        "actual": actual,
        "unit": unit,
        "text": "" if binding is None else cause(binding).say(language),
        "reasons": [_reason(each, language, binding) for each in limits.reasons if each.quantity is quantity],
    }


def _actual(quantity: Quantity, measured: Snapshot) -> float:
    if quantity is Quantity.CVL:
        return measured.pack.voltage_v
    current_a = measured.pack.current_a
    return max(0.0, current_a if quantity is Quantity.CCL else -current_a)


def _reason(reason: Reason, language: Language, binding: Reason | None) -> dict[str, object]:
    return {
        "code": reason.code,
        "cause": cause(reason).say(language),
        "text": sentence_of(reason, language),
        "limit": reason.limit,
        "binding": reason is binding,
    }


_UNSEEN = PackState()


def _pack(name: str, details: PackDetails, moment: Moment, language: Language) -> dict[str, object]:
    view = moment.packs.get(name, View())
    measured, last = view.measured, view.last
    identity = moment.battery.packs.get(name, _UNSEEN).identity
    limits = moment.view.limits or (moment.view.last.limits if moment.view.last else None)
    line = details.uart
    return {
        **pack_measured(view),
        **pack_facts(name, moment, language),
        "lowest_cell": measured.cells.min_number if measured else None,
        "highest_cell": measured.cells.max_number if measured else None,
        "last": None
        if last is None
        else {"at": last.at(moment.at), **pack_numbers(last.snapshot), "cells_mv": cells_mv(last.snapshot)},
        "axis": _axis(view.ratings, limits),
        "worst": _worst(name, moment, language),
        "serial_number": "" if identity is None else identity.serial_number,
        "uart": {"up": line.up, "reason": line.reason, "message": _told(line.why(), language)},
    }


def _axis(ratings: Ratings | None, limits: Limits | None) -> Mapping[str, object] | None:
    if ratings is None:
        return None
    known = limits is not None and limits.chemistry_decided and limits.chemistry is not None
    return {
        "under_voltage_cell_v": ratings.under_voltage_cell_v,
        "fully_discharged_cell_v": ratings.fully_discharged_cell_v,
        "fully_charged_cell_v": ratings.fully_charged_cell_v,
        "over_voltage_cell_v": ratings.over_voltage_cell_v,
        "chemistry": limits.chemistry if known and limits is not None else None,
    }


def _worst(name: str, moment: Moment, language: Language) -> dict[str, object] | None:
    """Return the limit of the battery that this pack binds: of the only one, by a cell."""
    limits, several = moment.view.limits, len(moment.packs) > 1
    for quantity in (Quantity.CCL, Quantity.DCL, Quantity.CVL):
        reason = None if limits is None else limits.binding(quantity)
        if reason is not None and (reason.pack == name if several else reason.cell is not None):
            told = cause(replace_reason(reason, pack=""))
            return {"limit": quantity.name.lower(), "code": reason.code, "text": told.say(language)}
    return None


def _alarm(alarm: ActiveAlarm, language: Language) -> dict[str, object]:
    told = alarm.message
    return {
        "name": alarm.name,
        "kind": alarm.kind,
        "level": alarm.level_name,
        "text": told.say(language),
        "explanation": told.explanation(language),
        "advice": told.advice(language),
        "since": alarm.since,
        "acknowledged_by": None if alarm.acknowledged_by is None else _SOMEBODY,
    }
