"""``GET /api/limits``: the limits in force, each with the causes that bind it."""

from fastapi import APIRouter
from pydantic import Field

from tinybms_bridge.battery.limits import Limits, Quantity, Reason, explain
from tinybms_bridge.services.web.routes.answers import Answer
from tinybms_bridge.services.web.routes.deps import Face
from tinybms_bridge.services.web.security import Viewer

__all__ = ["Cause", "LimitsAnswer", "router"]

router = APIRouter(tags=["status"])


class Cause(Answer):
    """One cause that set or lowered a limit."""

    code: str = Field(examples=["temperature"])
    limit: float
    """What the cause allows, V or A."""
    value: float | None
    """What was measured or configured."""
    threshold: float | None
    """What the value was compared with."""
    detail: str
    text: str = Field(examples=["CCL 5.0 A: charge state FLOAT"])
    binding: bool
    """Whether this cause gives the limit its present value."""


class OneLimit(Answer):
    """A limit and its causes, in the order of the stages."""

    value: float
    unit: str
    reasons: list[Cause]


class LimitsAnswer(Answer):
    """What the charger and the loads may do now."""

    state: str = Field(examples=["BULK"])
    freshness: str = Field(examples=["FRESH"])
    may_send: bool
    """Whether anything is sent to the GX."""
    force_charge: bool
    full: bool
    full_charge_due: bool
    """Whether the SOC window is ignored until the battery has been charged fully."""
    lost_sensors: list[str] = Field(examples=[["external sensor 1"]])
    """Temperature sensors that are lost; their last reading goes on limiting the charge current."""
    discharge_voltage_v: float
    cvl: OneLimit
    ccl: OneLimit
    dcl: OneLimit


@router.get("/api/limits")
async def limits(face: Face, _user: Viewer) -> LimitsAnswer | None:
    """Return the limits and their reasons; null before the first decision."""
    found = face.picture().limits
    if found is None:
        return None
    return LimitsAnswer(
        state=found.state.value,
        freshness=found.freshness.value,
        may_send=found.may_send,
        force_charge=found.force_charge,
        full=found.full,
        full_charge_due=found.full_charge_due,
        lost_sensors=list(found.lost_sensors),
        discharge_voltage_v=round(found.discharge_voltage_v, 2),
        cvl=_one(found, Quantity.CVL, found.cvl_v),
        ccl=_one(found, Quantity.CCL, found.ccl_a),
        dcl=_one(found, Quantity.DCL, found.dcl_a),
    )


def _one(limits: Limits, quantity: Quantity, value: float) -> OneLimit:
    binding = limits.binding(quantity)
    reasons = [_cause(each, binding=each is binding) for each in limits.reasons if each.quantity is quantity]
    return OneLimit(value=round(value, 3), unit="V" if quantity is Quantity.CVL else "A", reasons=reasons)


def _cause(reason: Reason, *, binding: bool) -> Cause:
    return Cause(
        code=reason.code.value,
        limit=reason.limit,
        value=reason.value,
        threshold=reason.threshold,
        detail=reason.detail,
        text=explain(reason),
        binding=binding,
    )
