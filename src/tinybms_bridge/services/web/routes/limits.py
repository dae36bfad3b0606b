"""``GET /api/limits``: the limits that are sent, each with the causes that bind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from tinybms_bridge.battery.limits import Limits, Quantity, Reason, explain, holds_ah, parameters_of, remarks_on
from tinybms_bridge.battery.limits.readings import place_of_cells
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.services.web.answers import Answer, MessageAnswer, Shown, extended
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheCore
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.words import JsonValue, Language, say

__all__ = ["Cause", "LimitsAnswer", "router"]

router = APIRouter(tags=["status"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause(Reason):
    """One cause that set or lowered a limit."""

    parameters: Mapping[str, JsonValue]
    """What the text is made from."""
    text: str
    """For example ``CCL 5.0 A: charge state FLOAT``."""
    binding: bool
    """Whether this cause gives the limit its present value."""


class OneLimit(Answer):
    """A limit as it is sent, null while nothing is, and its causes in the order of the stages."""

    value: float | None
    unit: str
    reasons: list[Shown[Cause]]


class BalancingAnswer(MessageAnswer):
    """How far the cells are apart, and what is done about it."""

    active: bool
    """Whether the battery is kept from FLOAT because the BMS bleeds."""
    day: bool
    """Whether a balancing day goes on, with the highest cell just below register 300."""
    phase: str = Field(examples=["charge"])
    """``charge``: a small current flows; ``rest``: the highest cell comes down first; ``off``."""
    spread_ah: float | None
    """From the lowest cell to the highest; null until it has been seen near full."""
    spread_percent: float | None
    """The same in percent of register 306."""
    at_least: bool
    """Whether the cells may be further apart."""
    days_left: float | None
    """After how many days like the last ones the cells will be alike; null while nobody can know."""
    full_voltage_refused: str
    """Why ``cvl.balance_at_full_voltage`` is not followed; empty where it is, or is off."""
    full_voltage_refused_code: str | None = Field(examples=["single_port"])
    """Its code; null where it is followed, or is off."""


class CountAnswer(Answer):
    """What has been learned of the count of the state of charge."""

    drift_ah_per_day: float | None
    """What the current sensor counts too much in a day, less the loads that it does not see; it is taken off the count.
    Null before the second full charge."""
    off_percent: float | None
    """How much the count was too high when it was last set right by a full battery."""
    capacity_ah: float | None
    """What the battery holds, as was seen between full and near empty, where that is not about register 306."""
    remarks: list[str] = Field(examples=[["loads under 0.8 A are not counted"]])
    messages: list[MessageAnswer]
    """The remarks with their codes."""


class BatteryRemarkAnswer(MessageAnswer):
    """What days and weeks of use have shown of the battery, what follows, and what can be done."""

    code: str = Field(examples=["weak_cell"])
    """``resistance_not_learned``, ``weak_cell``, ``resistive_cell`` or ``capacity_wrong``."""
    cells: list[int] = Field(examples=[[12]])
    """Numbers of the cells that it is about; empty for the whole battery."""


class LastLimits(Answer):
    """The last limits that were decided from fresh data."""

    at: datetime
    state: str
    cvl_v: float
    ccl_a: float
    dcl_a: float


class LimitsAnswer(Answer):
    """What the charger and the loads may do now: what is sent to the GX."""

    state: str | None = Field(examples=["BULK"])
    """Null while nothing is sent."""
    freshness: str = Field(examples=["FRESH"])
    may_send: bool
    """Whether anything is sent to the GX."""
    age_ms: int | None
    """Age of the last sample."""
    remark: str
    """Why charging is stopped or nothing is sent, for want of data; empty while fresh data is sent."""
    remark_code: str | None = Field(examples=["view.hold"])
    """Its code; null while fresh data is sent."""
    remark_parameters: dict[str, JsonValue]
    force_charge: bool
    full: bool
    uneven: bool
    """Whether the charge is over without being full: one cell was at its voltage for hours, most were far from it."""
    full_charge_due: bool
    """Whether the SOC window is ignored until the battery has been charged fully."""
    lost_sensors: list[str] = Field(examples=[["external sensor 1"]])
    """Temperature sensors that are lost; their last reading goes on limiting the charge current."""
    soc_known: bool
    """False while the BMS gives no state of charge that can be: then the last good one is counted on."""
    soc: CountAnswer | None
    """Null while nothing is sent."""
    battery: list[BatteryRemarkAnswer]
    """What the owner should know of the battery; empty for one that is as it should be, or not known yet."""
    loose_wires: list[str] = Field(examples=[["the wire between cells 7 and 8"]])
    """Cells whose readings disagree so often that a sense wire must be loose."""
    uncontrolled: bool
    """Whether more is charged than may be, by a source that no GX controls."""
    ccl_ignored: bool
    """Whether chargers give clearly more than a CCL that is not enforced."""
    balancing: BalancingAnswer | None
    """Null while nothing is sent."""
    discharge_voltage_v: float | None
    cvl: OneLimit
    ccl: OneLimit
    dcl: OneLimit
    last: LastLimits | None
    """Only while data is old."""


@router.get("/api/limits")
async def limits(core: TheCore, _user: Viewer, lang: TextLanguage) -> LimitsAnswer:
    """Return the limits that are sent and their reasons."""
    moment = core.moment()
    view = moment.view
    found, explanation = view.limits, view.explanation
    return LimitsAnswer(
        state=found.state.value if found else None,
        freshness=view.freshness.value,
        may_send=found is not None,
        age_ms=None if view.age_s is None else round(view.age_s * 1000.0),
        remark="" if explanation is None else explanation.say(lang),
        remark_code=None if explanation is None else explanation.code,
        remark_parameters={} if explanation is None else dict(explanation.parameters),
        force_charge=found is not None and found.force_charge,
        full=found is not None and found.full,
        uneven=found is not None and found.uneven,
        full_charge_due=found is not None and found.full_charge_due,
        lost_sensors=[_sensor(name, lang) for name in found.lost_sensors] if found else [],
        soc_known=found is None or found.soc_known,
        soc=None if found is None else _count(found, view.ratings, lang),
        battery=_battery(found, view.ratings, lang),
        loose_wires=[place_of_cells(cells).say(lang) for cells in found.loose_wires] if found else [],
        uncontrolled=found is not None and found.uncontrolled,
        ccl_ignored=found is not None and found.ccl_ignored,
        balancing=None if found is None else _balancing(found, view.ratings, lang),
        discharge_voltage_v=found.discharge_voltage_v if found else None,
        cvl=_one(found, Quantity.CVL, lang),
        ccl=_one(found, Quantity.CCL, lang),
        dcl=_one(found, Quantity.DCL, lang),
        last=_last(moment),
    )


def _battery(limits: Limits | None, ratings: Ratings | None, language: Language) -> list[BatteryRemarkAnswer]:
    if limits is None or ratings is None:
        return []
    found = remarks_on(limits.evidence, ratings)
    return [
        BatteryRemarkAnswer(
            code=each.code.value,
            parameters=dict(each.message.parameters),
            cells=list(each.cells),
            text=each.message.say(language),
        )
        for each in found
    ]


def _sensor(name: str, language: Language) -> str:
    return say(f"sensor.{name.replace(' ', '_')}", {}, language, name)


def _count(limits: Limits, ratings: Ratings | None, language: Language) -> CountAnswer:
    anchors = limits.soc
    drift_ah, off_percent = anchors.drift_ah_per_day, anchors.off_percent
    capacity_ah = None if ratings is None else holds_ah(limits.evidence, ratings)
    remarks = () if ratings is None else anchors.remarks(ratings)
    return CountAnswer(
        drift_ah_per_day=drift_ah,
        off_percent=off_percent,
        capacity_ah=capacity_ah,
        remarks=[each.say(language) for each in remarks],
        messages=[MessageAnswer.of(each, language) for each in remarks],
    )


def _balancing(limits: Limits, ratings: Ratings | None, language: Language) -> BalancingAnswer:
    memory = limits.balancing
    spread_ah, capacity_ah = memory.spread_ah, 0.0 if ratings is None else ratings.capacity_ah
    percent = None if spread_ah is None or capacity_ah <= 0.0 else 100.0 * spread_ah / capacity_ah
    summary, refused = memory.summary(capacity_ah), limits.full_voltage_refused
    return BalancingAnswer(
        active=memory.active,
        day=memory.day,
        phase=memory.phase.value,
        spread_ah=spread_ah,
        spread_percent=percent,
        at_least=memory.at_least,
        days_left=memory.days_left,
        full_voltage_refused=say(f"full_voltage.{refused}", {}, language) if refused else "",
        full_voltage_refused_code=refused or None,
        code=summary.code,
        parameters=dict(summary.parameters),
        text=summary.say(language),
    )


def _one(limits: Limits | None, quantity: Quantity, language: Language) -> OneLimit:
    unit = "V" if quantity is Quantity.CVL else "A"
    if limits is None:
        return OneLimit(value=None, unit=unit, reasons=[])
    binding = limits.binding(quantity)
    reasons = [_cause(each, language, binding=each is binding) for each in limits.reasons if each.quantity is quantity]
    value = {Quantity.CVL: limits.cvl_v, Quantity.CCL: limits.ccl_a, Quantity.DCL: limits.dcl_a}[quantity]
    return OneLimit(value=value, unit=unit, reasons=reasons)


def _last(moment: Moment) -> LastLimits | None:
    last = moment.view.last
    if last is None or last.limits is None:
        return None
    return LastLimits(
        at=last.at(moment.at),
        state=last.limits.state.value,
        cvl_v=last.limits.cvl_v,
        ccl_a=last.limits.ccl_a,
        dcl_a=last.limits.dcl_a,
    )


def _cause(reason: Reason, language: Language, *, binding: bool) -> Cause:
    return extended(
        Cause,
        reason,
        detail=f"cell {reason.cell}" if reason.cell is not None else reason.detail,
        parameters=parameters_of(reason),
        text=explain(reason, language),
        binding=binding,
    )
