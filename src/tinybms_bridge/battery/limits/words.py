"""Reasons in words; a limit is told as it is sent, in the steps of frame 0x351."""

from tinybms_bridge.battery.limits.model import LimitCode, Quantity, Reason, down_to_step

__all__ = ["explain"]

_UNITS = {Quantity.CVL: "V", Quantity.CCL: "A", Quantity.DCL: "A"}

_SENTENCES = {
    LimitCode.CONFIGURED: "as configured",
    LimitCode.BMS_TARGET: "full-charge voltage of the BMS, {value:.3f} V per cell",
    LimitCode.BMS_CURRENT_CUTOFF: "the BMS cuts off at {value:.0f} A",
    LimitCode.OVER_VOLTAGE_MARGIN: "kept below the BMS's over-voltage cutoff less 0.4 V and the margin",
    LimitCode.CROSSED_CUTOFFS: "the BMS is full at {value:.2f} V per cell and cuts off at {threshold:.2f} V",
    LimitCode.ALARM_THRESHOLD: "kept at the over-voltage alarm threshold",
    LimitCode.MISFIT: "a careful target, since a setting does not fit this battery: {detail}",
    LimitCode.CHEMISTRY: "charge target of {detail}, {value:.3g} V per cell (register 300 is {threshold:.3g} V)",
    LimitCode.FEED_IN: "charge target of {detail} with room for the 0.4 V that feed-in adds, {value:.3g} V per cell",
    LimitCode.STATE: "charge state {detail}",
    LimitCode.IMBALANCE: "cells differ by {value:.0f} mV, more than {threshold:.0f} mV",
    LimitCode.UNEVEN: "charge state {detail}: charging ended with cells {value:.0f} mV apart, not full",
    LimitCode.SUSTAIN: "battery nearly empty: {value:.1f} %, until {threshold:.1f} %",
    LimitCode.SOC_WINDOW: "SOC window ({detail}): {value:.1f} %, bound {threshold:.1f} %",
    LimitCode.CELL_HIGH: "{detail} is at {value:.3f} V, protection begins at {threshold:.3f} V",
    LimitCode.BALANCING: "balancing, cells are {value:.1f} Ah apart: {detail}",
    LimitCode.SWITCH_OPEN: "the BMS has opened its charger switch at {threshold:.2f} V, {detail} is at {value:.3f} V: "
    "waiting at the voltage of the pack until it closes",
    LimitCode.CELL_VOLTAGE: "{detail} is at {value:.3f} V, {share:.0f} % is left",
    LimitCode.NEAR_EMPTY: "{detail} is at {value:.3f} V, and a load takes it no lower than {threshold:.3f} V",
    LimitCode.EMPTY: "{detail} is at {value:.3f} V, the BMS cuts the load at {threshold:.3f} V; again in {wait:.0f} s",
    LimitCode.TEMPERATURE: "temperature {value:.1f} °C, {share:.0f} % is left",
    LimitCode.HOT: "cells of {value:.1f} °C, above {threshold:.0f} °C, are kept lower",
    LimitCode.SENSOR_LOST: "{detail} is lost: its last {value:.1f} °C count, {share:.0f} % is left",
    LimitCode.NO_TEMPERATURE: "no temperature sensor answers",
    LimitCode.SOC: "state of charge {value:.1f} %, {share:.0f} % is left",
    LimitCode.LINK: "samples are rare: the last is {value:.1f} s old, {share:.0f} % is left",
    LimitCode.BMS_FAULT: "the BMS reports: {detail}",
    LimitCode.RATE: "rising",
    LimitCode.ENFORCED: "{value:.0f} A flow in where {threshold:.1f} A may{detail}",
    LimitCode.STALE: "no good data from the BMS for {value:.1f} s",
    LimitCode.FROZEN: "the readings of the BMS have stood still for {value:.1f} s",
    LimitCode.MANUAL: "stopped by the user ({detail})",
    LimitCode.FLOOR: "never below the floor",
    LimitCode.CEILING: "never above the ceiling",
    LimitCode.USER_MAXIMUM: "never above the user's maximum",
}


def explain(reason: Reason) -> str:
    """Return one English sentence part, for example ``CCL 5.0 A: charge state FLOAT``."""
    name, unit = reason.quantity.name, _UNITS[reason.quantity]
    threshold = _number(reason.threshold)
    words = _rise(reason, unit) if reason.code is LimitCode.RATE else _SENTENCES[reason.code]
    words = words.format(
        value=_number(reason.value),
        threshold=threshold,
        share=threshold * 100.0,
        detail=reason.detail,
        wait=_number(reason.wait_s),
    )
    return f"{name} {down_to_step(reason.limit):.1f} {unit}: {words}"


def _rise(reason: Reason, unit: str) -> str:
    """Return where to a limit rises, by which steps and when; nothing of it contradicts what is sent now."""
    present, wanted = down_to_step(_number(reason.value)), down_to_step(_number(reason.threshold))
    if reason.detail or not wanted > present:
        return f"a rise of less than 0.1 {unit} is left out"
    if reason.step is None:
        return f"rising to {wanted:.1f} {unit}"
    if reason.quantity is not Quantity.CVL:
        return f"rising to {wanted:.1f} {unit}, by {reason.step:.2g} {unit} a second"
    return f"rising to {wanted:.1f} {unit}, next by {reason.step:.1f} {unit} in {_number(reason.wait_s):.0f} s"


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
