"""Reasons in words; a limit is told as it is sent, in the steps of frame 0x351.

The reasons of its numbers: charge-control.md#overview.
"""

import math

from tinybms_bridge.battery.bms_event_kinds import message_of_key
from tinybms_bridge.battery.limits.model import LimitCode, Quantity, Reason, down_to_step
from tinybms_bridge.words import ENGLISH, JsonValue, Language, say

__all__ = ["explain", "parameters_of", "sentence_of"]

_UNITS = {Quantity.CVL: "V", Quantity.CCL: "A", Quantity.DCL: "A"}


def explain(reason: Reason, language: Language = ENGLISH) -> str:
    """Return one sentence part, for example ``CCL 5.0 A: charge state FLOAT``."""
    quantity = reason.quantity
    parameters = {
        "quantity": quantity.name,
        "unit": _UNITS[quantity],
        "limit": down_to_step(reason.limit),
        "reason": sentence_of(reason, language),
    }
    return say("limit", parameters, language)


def sentence_of(reason: Reason, language: Language = ENGLISH) -> str:
    """Return why, without the limit itself; of several packs with its name: ``pack a: cell 3 is at ...``."""
    sentence = say(_sentence_code(reason), parameters_of(reason), language, reason.code.value)
    return say("limit.of_pack", {"pack": reason.pack, "reason": sentence}, language) if reason.pack else sentence


def parameters_of(reason: Reason) -> dict[str, JsonValue]:
    """Return what a sentence can say of a reason, for JSON: what is no number is None."""
    threshold, value = _finite(reason.threshold), _finite(reason.value)
    if reason.code is LimitCode.RATE:  # nothing of it contradicts what is sent now
        threshold = None if threshold is None else down_to_step(threshold)
    share = value if reason.code is LimitCode.PACK_SHARE else threshold
    return ({"pack": reason.pack} if reason.pack else {}) | {
        "quantity": reason.quantity.name,
        "unit": _UNITS[reason.quantity],
        "value": value,
        "threshold": threshold,
        "share_percent": None if share is None else share * 100.0,
        "cell": reason.cell,
        "detail": _detail(reason),
        "step": _finite(reason.step),
        "wait_s": _finite(reason.wait_s),
    }


def _sentence_code(reason: Reason) -> str:
    """Return the code of the sentence: that of the cause, and for a limit that rises, how it does."""
    code = f"limit.{reason.code}"
    if reason.code is LimitCode.PACK_SILENT and reason.detail == "cold":
        return f"{code}.cold"
    if reason.code is not LimitCode.RATE:
        return code
    present, wanted = _finite(reason.value), _finite(reason.threshold)
    if reason.detail or present is None or wanted is None or not down_to_step(wanted) > down_to_step(present):
        return f"{code}.small"
    if reason.step is None:
        return code
    return f"{code}.step" if reason.quantity is Quantity.CVL else f"{code}.slope"


def _detail(reason: Reason) -> JsonValue:
    if reason.code is LimitCode.BMS_FAULT:
        return message_of_key(reason.detail).document()
    return reason.detail


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
