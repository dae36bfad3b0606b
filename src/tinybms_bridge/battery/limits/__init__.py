"""The charge-limit engine: ``step(snapshot, settings, memory, now_s) -> (limits, memory)``, a pure function."""

from tinybms_bridge.battery.limits.balancing_memory import NO_BALANCING, BalancingMemory, BalancingPhase
from tinybms_bridge.battery.limits.charge_stop import StopMemory
from tinybms_bridge.battery.limits.charging import Charging
from tinybms_bridge.battery.limits.curves import CURVE_NAMES, Curve, curves_for
from tinybms_bridge.battery.limits.derating import SensorMemory
from tinybms_bridge.battery.limits.discharge import DischargeMemory, Pause
from tinybms_bridge.battery.limits.engine import Memory, step
from tinybms_bridge.battery.limits.evidence_memory import (
    NO_EVIDENCE,
    Evidence,
    Remark,
    RemarkCode,
    holds_ah,
    remarks_on,
)
from tinybms_bridge.battery.limits.feed_in import FeedInMemory
from tinybms_bridge.battery.limits.fit import ChemistryMemory, ConfigConflict, Fit, fit_to_battery
from tinybms_bridge.battery.limits.model import (
    ChargeState,
    Freshness,
    LimitCode,
    Limits,
    Quantity,
    Reason,
    in_wire_steps,
)
from tinybms_bridge.battery.limits.policy import PolicyMemory, RebulkMemory
from tinybms_bridge.battery.limits.presets import PRESETS, Chemistry, Preset, chemistry_of
from tinybms_bridge.battery.limits.protection import ProtectionMemory
from tinybms_bridge.battery.limits.rates import RateMemory
from tinybms_bridge.battery.limits.reasons import explain, parameters_of, sentence_of
from tinybms_bridge.battery.limits.resistance import ResistanceMemory
from tinybms_bridge.battery.limits.settings import (
    ChargeDefaults,
    ChargeProfile,
    Inhibited,
    LimitSettings,
    PolicySettings,
    ProtectionSettings,
    RateSettings,
    StateSettings,
)
from tinybms_bridge.battery.limits.soc_count import Anchors, SocMemory, SocSource
from tinybms_bridge.battery.limits.states import StateMemory

__all__ = [
    "CURVE_NAMES",
    "NO_BALANCING",
    "NO_EVIDENCE",
    "PRESETS",
    "Anchors",
    "BalancingMemory",
    "BalancingPhase",
    "ChargeDefaults",
    "ChargeProfile",
    "ChargeState",
    "Charging",
    "Chemistry",
    "ChemistryMemory",
    "ConfigConflict",
    "Curve",
    "DischargeMemory",
    "Evidence",
    "FeedInMemory",
    "Fit",
    "Freshness",
    "Inhibited",
    "LimitCode",
    "LimitSettings",
    "Limits",
    "Memory",
    "Pause",
    "PolicyMemory",
    "PolicySettings",
    "Preset",
    "ProtectionMemory",
    "ProtectionSettings",
    "Quantity",
    "RateMemory",
    "RateSettings",
    "Reason",
    "RebulkMemory",
    "Remark",
    "RemarkCode",
    "ResistanceMemory",
    "SensorMemory",
    "SocMemory",
    "SocSource",
    "StateMemory",
    "StateSettings",
    "StopMemory",
    "chemistry_of",
    "curves_for",
    "explain",
    "fit_to_battery",
    "holds_ah",
    "in_wire_steps",
    "parameters_of",
    "remarks_on",
    "sentence_of",
    "step",
]
