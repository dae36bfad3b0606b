"""Values of the charge-limit engine: its limits, the reasons that bind them, and both in the steps of a frame.

Frame 0x351 has steps of 0.1 V and 0.1 A. It would be rounded to the nearest step otherwise, which can lie above a
ceiling or a user's maximum; so limits are put into steps before, never more than was decided, and those that a GX
obeys, an API shows and a log names are the same numbers.

The reasons of its numbers: charge-control.md#stages-8-and-9-rates-and-clamp.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.balancing_memory import NO_BALANCING, BalancingMemory
from tinybms_bridge.battery.limits.evidence_memory import NO_EVIDENCE, Evidence
from tinybms_bridge.battery.limits.presets import Chemistry
from tinybms_bridge.battery.limits.soc_count import NO_ANCHORS, Anchors
from tinybms_bridge.battery.quick import maker, quick, replacer

__all__ = [
    "CCL",
    "CVL",
    "DCL",
    "ChargeState",
    "Freshness",
    "LimitCode",
    "Limits",
    "Quantity",
    "Reason",
    "down_to_step",
    "in_wire_steps",
    "up_to_step",
]


class ChargeState(StrEnum):
    """The six states of the charge state machine."""

    BULK = "BULK"
    TRANSITION = "TRANSITION"
    FLOAT_APPROACH = "FLOAT_APPROACH"
    FLOAT = "FLOAT"
    IMBALANCE_HOLD = "IMBALANCE_HOLD"
    SUSTAIN = "SUSTAIN"


class Quantity(StrEnum):
    """A decided limit."""

    CVL = "cvl_v"
    CCL = "ccl_a"
    DCL = "dcl_a"


CVL, CCL, DCL = Quantity.CVL, Quantity.CCL, Quantity.DCL
"""For stages that use them many times in a decision: a name of a module is found sooner than a member of an enum."""


class LimitCode(StrEnum):
    """Why a limit has its value. One code per cause; words are made from it elsewhere."""

    CONFIGURED = "configured"
    BMS_TARGET = "bms_target"
    BMS_CURRENT_CUTOFF = "bms_current_cutoff"
    OVER_VOLTAGE_MARGIN = "over_voltage_margin"
    CROSSED_CUTOFFS = "crossed_cutoffs"
    ALARM_THRESHOLD = "alarm_threshold"
    MISFIT = "misfit"
    CHEMISTRY = "chemistry"
    FEED_IN = "feed_in"
    STATE = "state"
    IMBALANCE = "imbalance"
    UNEVEN = "uneven"
    SUSTAIN = "sustain"
    SOC_WINDOW = "soc_window"
    BALANCING = "balancing"
    CELL_HIGH = "cell_high"
    SWITCH_OPEN = "switch_open"
    CELL_VOLTAGE = "cell_voltage"
    NEAR_EMPTY = "near_empty"
    EMPTY = "empty"
    TEMPERATURE = "temperature"
    HOT = "hot"
    SENSOR_LOST = "sensor_lost"
    NO_TEMPERATURE = "no_temperature"
    SOC = "soc"
    LINK = "link"
    BMS_FAULT = "bms_fault"
    STALE = "stale"
    FROZEN = "frozen"
    MANUAL = "manual"
    FLOOR = "floor"
    CEILING = "ceiling"
    USER_MAXIMUM = "user_maximum"
    RATE = "rate"
    ENFORCED = "enforced"
    PACK_SHARE = "pack_share"
    """What one pack bears at its share of the current of the battery."""
    PACK_BLOCKED = "pack_blocked"
    """Every pack gives nothing in this direction."""
    PACK_SILENT = "pack_silent"
    """A pack that is still in parallel does not answer."""
    PACK_JOINING = "pack_joining"
    """A pack whose voltage is far from the others takes or gives nearly all of the current."""


@quick
@dataclass(frozen=True, slots=True)
class Reason:
    """One cause that set or lowered one limit."""

    quantity: Quantity
    code: LimitCode
    limit: float
    """What the cause allows, in the unit of the quantity."""
    value: float | None = None
    """The measured or configured value that triggered it."""
    threshold: float | None = None
    """What the value was compared with."""
    detail: str = ""
    """A name that belongs to the cause, for example the charge state; of several, comma between."""
    step: float | None = None
    """How much a limit that rises will rise next: V at once for CVL, A per second for the currents."""
    wait_s: float | None = None
    """Time until then, or until a pause may end, in whole seconds."""
    cell: int | None = None
    """Number of the cell whose voltage it is, from 1; None for a cause of the whole battery."""
    pack: str = ""
    """Name of the pack whose cause it is, and whose cell, of several; empty for one of the battery."""


@quick
@dataclass(frozen=True, slots=True)
class Limits:
    """What the charger and the loads may do now."""

    cvl_v: float
    """Charge voltage limit; never 0."""
    ccl_a: float
    """Charge current limit, 0 or more."""
    dcl_a: float
    """Discharge current limit, 0 or more."""
    discharge_voltage_v: float
    """Battery-low voltage of 0x351: the BMS's own load cut-off times the cells."""
    state: ChargeState
    freshness: Freshness
    reasons: tuple[Reason, ...] = field(default=())
    """Every cause, in the order of the stages; the last one of a quantity binds it."""

    force_charge: bool = False
    """Whether the battery asks to be charged from any source; the Victron protocol has no flag for it."""
    full: bool = False
    """Whether the battery counts as full."""
    uneven: bool = False
    """Whether its charge is over without being full: one cell was at its voltage for hours, most were far from it."""
    full_charge_due: bool = False
    """Whether a full charge is overdue or was asked for: the SOC window is ignored until it is done."""
    lost_sensors: tuple[str, ...] = ()
    """Temperature sensors that are lost, whose last reading goes on limiting charging."""
    soc: Anchors = NO_ANCHORS
    """What has been learned of the count of the state of charge."""
    soc_known: bool = True
    """Whether the SOC is the BMS's own; False while it cannot be true and the last good one is counted on."""
    loose_wires: tuple[tuple[int, ...], ...] = ()
    """Cells whose readings disagree so often that a sense wire must be loose: one, or the two between which it is."""
    uncontrolled: bool = False
    """Whether more is charged than may be, and lowering CVL has been in vain: by a source that no GX controls."""
    ccl_ignored: bool = False
    """Whether chargers give clearly more than a CCL that is a wish and is not enforced."""

    balancing: BalancingMemory = NO_BALANCING
    """How far the cells are apart, and what is done about it."""
    evidence: Evidence = NO_EVIDENCE
    """What use has shown of the battery over days and weeks."""
    full_voltage_refused: str = ""
    """Why no balancing day goes to register 300 although the user wants it: a name of the family ``full_voltage``."""

    chemistry: Chemistry | None = None
    """The chemistry that counts."""
    chemistry_decided: bool = True
    """False while others are possible as well, so that what is safe for all of them counts."""

    @property
    def may_send(self) -> bool:
        """Whether frames may be sent at all."""
        return self.freshness.may_send

    def binding(self, quantity: Quantity) -> Reason | None:
        """Return the cause that binds a quantity: the last one given for it, or None."""
        return next((reason for reason in reversed(self.reasons) if reason.quantity is quantity), None)


_STEPS_PER_UNIT = 10
_NOISE = 1e-6
"""Sums of decimal numbers are off by less than this share of a step."""


def down_to_step(limit: float) -> float:
    """Return the largest multiple of 0.1 that is not above ``limit``; what is not finite stays."""
    steps = limit * _STEPS_PER_UNIT + _NOISE
    return math.floor(steps) / _STEPS_PER_UNIT if math.isfinite(steps) else limit


def up_to_step(limit: float) -> float:
    """Return the smallest multiple of 0.1 that is not below ``limit``."""
    return math.ceil(limit * _STEPS_PER_UNIT - _NOISE) / _STEPS_PER_UNIT


_new_reason, _replace_limits = maker(Reason), replacer(Limits)


def in_wire_steps(limits: Limits) -> Limits:
    """Return limits and reasons as a GX will read them; the floor of CVL is a step itself, so CVL stays above it."""
    return _replace_limits(
        limits,
        cvl_v=down_to_step(limits.cvl_v),
        ccl_a=down_to_step(limits.ccl_a),
        dcl_a=down_to_step(limits.dcl_a),
        reasons=tuple([_in_wire_steps(reason) for reason in limits.reasons]),
    )


def _in_wire_steps(reason: Reason) -> Reason:
    """Return a reason whose limit is one that is sent."""
    limit = down_to_step(reason.limit)
    if not limit < reason.limit:
        return reason
    return _new_reason(
        reason.quantity,
        reason.code,
        limit,
        reason.value,
        reason.threshold,
        reason.detail,
        reason.step,
        reason.wait_s,
        reason.cell,
        reason.pack,
    )
