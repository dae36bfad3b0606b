"""Reasons in words."""

from tinybms_bridge.battery.limits.model import LimitCode, Quantity, Reason

__all__ = ["explain"]

_UNITS = {Quantity.CVL: "V", Quantity.CCL: "A", Quantity.DCL: "A"}

_SENTENCES = {
    LimitCode.CONFIGURED: "as configured",
    LimitCode.BMS_TARGET: "full-charge voltage of the BMS, {value:.3f} V per cell",
    LimitCode.BMS_CURRENT_CUTOFF: "the BMS cuts off at {value:.0f} A",
    LimitCode.OVER_VOLTAGE_MARGIN: "kept below the BMS's over-voltage cutoff less 0.4 V and the margin",
    LimitCode.CROSSED_CUTOFFS: "the BMS is full at {value:.2f} V per cell and cuts off at {threshold:.2f} V",
    LimitCode.ALARM_THRESHOLD: "kept at the over-voltage alarm threshold",
    LimitCode.STATE: "charge state {detail}",
    LimitCode.IMBALANCE: "cells differ by {value:.0f} mV, more than {threshold:.0f} mV",
    LimitCode.SUSTAIN: "battery nearly empty: {value:.1f} %, until {threshold:.1f} %",
    LimitCode.SOC_WINDOW: "SOC window ({detail}): {value:.1f} %, bound {threshold:.1f} %",
    LimitCode.CELL_HIGH: "{detail} is at {value:.3f} V, protection begins at {threshold:.3f} V",
    LimitCode.CELL_VOLTAGE: "{detail} is at {value:.3f} V, {share:.0f} % is left",
    LimitCode.TEMPERATURE: "temperature {value:.1f} °C, {share:.0f} % is left",
    LimitCode.SENSOR_LOST: "{detail} is lost: its last {value:.1f} °C count, {share:.0f} % is left",
    LimitCode.SOC: "state of charge {value:.1f} %, {share:.0f} % is left",
    LimitCode.LINK: "samples are rare: the last is {value:.1f} s old, {share:.0f} % is left",
    LimitCode.BMS_FAULT: "the BMS reports: {detail}",
    LimitCode.RATE: "rising slowly from {value:.1f}",
    LimitCode.STALE: "no good data from the BMS for {value:.1f} s",
    LimitCode.MANUAL: "stopped by the user ({detail})",
    LimitCode.FLOOR: "never below the floor",
    LimitCode.CEILING: "never above the ceiling",
    LimitCode.USER_MAXIMUM: "never above the user's maximum",
}


def explain(reason: Reason) -> str:
    """Return one English sentence part, for example ``CCL 5.0 A: charge state FLOAT``."""
    name = reason.quantity.name
    threshold = _number(reason.threshold)
    words = _SENTENCES[reason.code].format(
        value=_number(reason.value), threshold=threshold, share=threshold * 100.0, detail=reason.detail
    )
    return f"{name} {reason.limit:.1f} {_UNITS[reason.quantity]}: {words}"


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
