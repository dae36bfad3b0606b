"""The charge-limit engine: ``step(snapshot, settings, memory, now_s) -> (limits, memory)``, a pure function."""

from tinybms_bridge.battery.limits.engine import Memory, step
from tinybms_bridge.battery.limits.model import ChargeState, Freshness, LimitCode, Limits, Quantity, Reason
from tinybms_bridge.battery.limits.presets import PRESETS, Chemistry, Preset, chemistry_of
from tinybms_bridge.battery.limits.settings import LimitSettings, ManualInhibits, StateSettings
from tinybms_bridge.battery.limits.states import StateMemory
from tinybms_bridge.battery.limits.words import explain

__all__ = [
    "PRESETS",
    "ChargeState",
    "Chemistry",
    "Freshness",
    "LimitCode",
    "LimitSettings",
    "Limits",
    "ManualInhibits",
    "Memory",
    "Preset",
    "Quantity",
    "Reason",
    "StateMemory",
    "StateSettings",
    "chemistry_of",
    "explain",
    "step",
]
