"""Reading the parts of a saved state: whatever is missing or makes no sense keeps its start value."""

import math
from collections.abc import Mapping
from dataclasses import fields

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    Anchors,
    BalancingMemory,
    ChargeState,
    Chemistry,
    ChemistryMemory,
    DischargeMemory,
    Evidence,
    FeedInMemory,
    Pause,
    PolicyMemory,
    ProtectionMemory,
    RateMemory,
    RebulkMemory,
    ResistanceMemory,
    SensorMemory,
    SocMemory,
    StateMemory,
    StopMemory,
)
from tinybms_bridge.battery.limits.discharge import LONGEST_PAUSE_S, NO_PAUSE
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S
from tinybms_bridge.battery.limits.policy import MOST_A_DAY
from tinybms_bridge.battery.limits.resistance import LEAST_FACTOR, MOST_FACTOR

__all__ = [
    "read_balancing",
    "read_chemistry",
    "read_discharge",
    "read_energy",
    "read_evidence",
    "read_feed_in",
    "read_policy",
    "read_protection",
    "read_rates",
    "read_rebulk",
    "read_resistance",
    "read_sensors",
    "read_soc",
    "read_states",
    "read_stop",
]

_MOST_CELLS = 16
_MOST_SOC_PERCENT = 101.0
"""The SOC of a BMS may be a little above 100 %."""
_MOST_AH, _MOST_CELLS = 655.35, 16
"""The largest capacity that register 306 can hold, and the most cells of a TinyBMS."""
_LEAST_AH = 0.1
_MOST_HELD = 100.0
"""No cell holds so many times what the middle one does."""
_MOST_COUNTED_AH = 10_000.0
_MOST_DRIFT_A = 10.0
"""More than passes between two full charges, and than any sensor of such a battery is off."""
_COLDEST_C = -100.0
_HOTTEST_C = 200.0
"""No sensor of a battery reads anything outside."""


def read_energy(document: Mapping[str, object]) -> EnergyTotals:
    """Return the energy counters."""
    values = {f.name: _positive(document.get(f.name)) for f in fields(EnergyTotals)}
    return EnergyTotals(**values)


def read_states(document: Mapping[str, object]) -> StateMemory:
    """Return the charge state; BULK for one that does not exist."""
    try:
        state = ChargeState(str(document.get("state")))
    except ValueError:
        state = ChargeState.BULK
    return StateMemory(
        state=state,
        float_latched=document.get("float_latched") is True,
        float_capped=document.get("float_capped", document.get("float_latched")) is True,
        hold_capped=document.get("hold_capped", True) is not False,
        hold_elapsed_s=_positive(document.get("hold_elapsed_s")),
        hold_spent=document.get("hold_spent") is True,
        recovered_s=_positive(document.get("recovered_s")),
        fed_in_s=_positive(document.get("fed_in_s")),
    )


def read_chemistry(document: Mapping[str, object]) -> ChemistryMemory:
    """Return what the cells have told about their chemistry; nothing for one that does not exist."""
    try:
        return ChemistryMemory(Chemistry(str(document.get("lowest"))))
    except ValueError:
        return ChemistryMemory()


def read_policy(document: Mapping[str, object]) -> PolicyMemory:
    """Return what is known about full charges and the SOC window."""
    return PolicyMemory(
        full=document.get("full") is True,
        full_soc_percent=_percent(document.get("full_soc_percent")),
        full_at_lifetime_s=_counter(document.get("full_at_lifetime_s")),
        tail_s=_positive(document.get("tail_s")),
        uneven=document.get("uneven") is True,
        uneven_s=_positive(document.get("uneven_s")),
        above_window=document.get("above_window") is True,
        below_window=document.get("below_window") is True,
        full_once_done=document.get("full_once_done") is True,
        force_charge=document.get("force_charge") is True,
    )


def read_balancing(document: Mapping[str, object]) -> BalancingMemory:
    """Return how far the cells are apart, the balancing day, and what was bled."""
    spread_ah, from_s = _ah(document.get("spread_ah")), _counter(document.get("bled_from_lifetime_s"))
    return BalancingMemory(
        spread_ah=spread_ah,
        work_ah=_ah(document.get("work_ah"), most=_MOST_CELLS * _MOST_AH) or 0.0,
        at_least=document.get("at_least") is True,
        day=document.get("day") is True and spread_ah is not None,
        day_s=_positive(document.get("day_s")),
        day_at_lifetime_s=_counter(document.get("day_at_lifetime_s")),
        bled_ah=0.0 if from_s is None else _ah(document.get("bled_ah")) or 0.0,
        bled_from_lifetime_s=from_s,
        bled_to_lifetime_s=_counter(document.get("bled_to_lifetime_s")) or 0,
    )


def read_protection(document: Mapping[str, object]) -> ProtectionMemory:
    """Return the memory of cell protection; it is whole or not there."""
    cap_v, knee_v = _positive(document.get("cap_v")), _positive(document.get("knee_v"))
    if not cap_v or not knee_v:
        return ProtectionMemory()
    return ProtectionMemory(cap_v=cap_v, knee_v=knee_v, since_knee_s=_positive(document.get("since_knee_s")))


def read_rates(document: Mapping[str, object]) -> RateMemory:
    """Return the limits that were last in force; each is there or not."""
    return RateMemory(
        cvl_v=_positive(document.get("cvl_v")) or None,
        ccl_a=_number(document.get("ccl_a")),
        dcl_a=_number(document.get("dcl_a")),
        at_lifetime_s=_counter(document.get("at_lifetime_s")),
    )


def read_discharge(document: Mapping[str, object], stopped: Mapping[str, object]) -> DischargeMemory:
    """Return the pause of discharging, and whether the user's curve has ended it."""
    length_s = min(_positive(document.get("length_s")), LONGEST_PAUSE_S)
    pause = NO_PAUSE
    if length_s > 0.0:
        since_s, charged_ah = _positive(document.get("since_s")), _positive(document.get("charged_ah"))
        pause = Pause(document.get("on") is True, length_s, since_s, charged_ah)
    return DischargeMemory(pause, stopped.get("empty") is True)


def read_resistance(document: Mapping[str, object]) -> ResistanceMemory:
    """Return what is learned of the resistance of the cells; it is whole or not there."""
    factors = document.get("factors")
    if not isinstance(factors, list) or not 0 < len(factors) <= _MOST_CELLS:
        return ResistanceMemory()
    found = tuple([_number(factor) or 0.0 for factor in factors])
    return ResistanceMemory(found) if all(LEAST_FACTOR <= each <= MOST_FACTOR for each in found) else ResistanceMemory()


def read_evidence(document: Mapping[str, object]) -> Evidence:
    """Return what use has shown of the battery."""
    return Evidence(
        flowing_s=min(_positive(document.get("flowing_s")), UNLEARNED_S),
        capacity_ah=_within(document.get("capacity_ah"), _LEAST_AH, 2.0 * _MOST_AH),
        at_least=document.get("at_least") is True,
        cells=_shares(document.get("cells"), _MOST_HELD),
        seen=_shares(document.get("seen"), _MOST_HELD),
        full_at_s=_counter(document.get("full_at_s")),
        since_full_ah=_within(document.get("since_full_ah"), -_MOST_COUNTED_AH, _MOST_COUNTED_AH),
        low_ah=_within(document.get("low_ah"), -_MOST_COUNTED_AH, _MOST_COUNTED_AH),
        low_at_s=_counter(document.get("low_at_s")) or 0,
        low_share=_within(document.get("low_share"), 0.0, 1.0) or 0.0,
        low_at_least=document.get("low_at_least") is True,
        low_cells=_shares(document.get("low_cells"), 1.0),
        low_middle=_within(document.get("low_middle"), 0.0, 1.0) or 0.0,
    )


def read_feed_in(document: Mapping[str, object]) -> FeedInMemory:
    """Return when solar chargers were last seen above CVL, and when CCL was last found not to be heeded."""
    seen_at_s, unheeded_at_s = (_counter(document.get(f"{name}_at_lifetime_s")) for name in ("seen", "unheeded"))
    return FeedInMemory(seen_at_s, unheeded_at_lifetime_s=unheeded_at_s)


def read_rebulk(document: Mapping[str, object]) -> RebulkMemory:
    """Return the last times at which FLOAT ended; what is no list of counters is none."""
    begun = document.get("begun_at_s")
    counters = [_counter(each) for each in begun] if isinstance(begun, list) else []
    return RebulkMemory(
        _positive(document.get("low_s")), tuple([each for each in counters if each is not None][-MOST_A_DAY:])
    )


def read_stop(document: Mapping[str, object]) -> StopMemory:
    """Return the CVL to which a charge stop has gone down."""
    return StopMemory(level_v=_positive(document.get("charge_level_v")) or None)


def read_sensors(document: Mapping[str, object]) -> SensorMemory:
    """Return the last readings of the temperature sensors, and the SOC that counted last."""
    soc_percent = document.get("soc_percent")
    return SensorMemory(
        _celsius(document.get("external_1_c")),
        _celsius(document.get("external_2_c")),
        _celsius(document.get("internal_c")),
        _positive(document.get("blind_s")),
        None if soc_percent is None else _percent(soc_percent),
    )


def read_soc(document: Mapping[str, object]) -> SocMemory:
    """Return the bridge's count with what was learned of it; one that cannot be begins anew."""
    percent = _within(document.get("percent"), 0.0, 100.0)
    return SocMemory(
        percent=percent,
        bms_percent=_within(document.get("bms_percent"), 0.0, _MOST_SOC_PERCENT),
        lifetime_s=_counter(document.get("lifetime_s")),
        since_full_ah=_within(document.get("since_full_ah"), -_MOST_COUNTED_AH, _MOST_COUNTED_AH),
        anchors=Anchors(
            full=document.get("full") is True,
            charged=document.get("charged") is True,
            uneven=document.get("uneven") is True,
            empty=document.get("empty") is True,
            full_at_s=_counter(document.get("full_at_s")),
            off_percent=_within(document.get("off_percent"), -100.0, 100.0),
            drift_a=_within(document.get("drift_a"), -_MOST_DRIFT_A, _MOST_DRIFT_A),
        ),
    )


def _shares(value: object, most: float) -> tuple[float, ...]:
    """Return a share of each cell; it is whole or not there."""
    if not isinstance(value, list) or len(value) > _MOST_CELLS:
        return ()
    found = tuple([share for each in value if (share := _within(each, 0.0, most)) is not None])
    return found if len(found) == len(value) else ()


def _ah(value: object, most: float = _MOST_AH) -> float | None:
    number = _number(value)
    return None if number is None or number > most else number


def _within(value: object, least: float, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        return None
    return float(value)


def _celsius(value: object) -> float | None:
    return _within(value, _COLDEST_C, _HOTTEST_C)


def _positive(value: object) -> float:
    return _number(value) or 0.0


def _number(value: object) -> float | None:
    """Return a finite number of 0 or more, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return abs(number) if 0.0 <= number < math.inf else None


def _counter(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 32:
        return None
    return value


def _percent(value: object) -> float:
    """Return a state of charge; 100 for what is none, since a full battery that is not full would not be charged."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= _MOST_SOC_PERCENT:
        return 100.0
    return float(value)
