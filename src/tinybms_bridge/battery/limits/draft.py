"""The limits while the stages work on them: each stage may only lower, and says why."""

import math
from collections.abc import Mapping

from tinybms_bridge.battery.limits.model import CCL, CVL, LimitCode, Quantity, Reason
from tinybms_bridge.battery.quick import maker

__all__ = ["Draft"]

_new_reason = maker(Reason)


class Draft(dict[Quantity, float]):
    """Three limits under construction, by quantity, with the reasons so far."""

    def __init__(self, base: Mapping[Quantity, Reason]) -> None:
        super().__init__({quantity: reason.limit for quantity, reason in base.items()})
        self._first = dict(self)
        self.reasons: list[Reason] = list(base.values())
        """Every cause so far; the last one of a quantity binds it."""
        self.target_v = math.inf
        """CVL as the first stage leaves it: it follows from settings alone, so no noise moves it."""
        self.stop_v = math.inf
        """CVL of a charge stop."""
        self.level_v = math.inf
        """The same as it was learned: where this is below the floor, the floor gives way to it."""
        self.stopped = False
        """Whether any stage has stopped charging."""
        self.enforced_a = math.inf
        """CCL that temperature or BMS leave: what flows above it is ended by CVL."""
        self.pressed_v = math.inf
        """CVL to which a charge that heeds no CCL is pressed down in this step; the floor gives way to it."""
        self.lowest_v = -math.inf
        """No stage brings CVL below this; set while the stages of the wishes run."""

    def copy(self) -> "Draft":
        """Return a draft that can be worked on while this one stays as it is."""
        new = Draft.__new__(Draft)
        new.update(self)
        new.__dict__.update(self.__dict__)
        new.reasons = self.reasons.copy()
        return new

    def first(self, quantity: Quantity) -> float:
        """Return what the first stage set."""
        return self._first[quantity]

    def lower(
        self,
        quantity: Quantity,
        limit: float,
        code: LimitCode,
        *,
        value: float | None = None,
        threshold: float | None = None,
        detail: str = "",
        step: float | None = None,
        wait_s: float | None = None,
    ) -> None:
        """Lower a limit to ``limit`` and note the cause; a limit that is already as low stays, without a note."""
        if quantity is CVL and limit < self.lowest_v:
            limit = self.lowest_v
        if math.isfinite(limit) and limit < self[quantity]:
            self._set(_new_reason(quantity, code, limit, value, threshold, detail, step, wait_s))

    def stop_charge(
        self,
        ccl_a: float,
        code: LimitCode,
        *,
        value: float | None = None,
        threshold: float | None = None,
        detail: str = "",
    ) -> None:
        """Lower CCL to ``ccl_a``, and CVL as well: CCL does not bind every solar charger.

        The first stop that holds CVL where it is, is its cause, also where CVL was as low before.
        """
        self.lower(CCL, ccl_a, code, value=value, threshold=threshold, detail=detail)
        present_v, stop_v = self[CVL], max(self.stop_v, self.lowest_v)
        if stop_v < present_v or (stop_v == present_v and not self.stopped):
            self._set(_new_reason(CVL, code, stop_v, value, threshold, detail))
        self.stopped = True
        self.pressed_v = min(self.pressed_v, self.level_v)

    def clamp(self, quantity: Quantity, low: float, high: float, low_code: LimitCode, high_code: LimitCode) -> None:
        """Force a limit into [low, high]; what is not a number becomes ``low``. Only the last stage may raise."""
        present = self[quantity]
        if not present >= low:
            self._set(_new_reason(quantity, low_code, low, threshold=low))
        elif present > high:
            self._set(_new_reason(quantity, high_code, high, threshold=high))

    def _set(self, reason: Reason) -> None:
        self[reason.quantity] = reason.limit
        self.reasons.append(reason)
