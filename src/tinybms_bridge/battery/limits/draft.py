"""The limits while the stages work on them, and stage 1, which they begin with.

Stage 1 is the charge target and the currents, from the configuration or from the BMS's own settings. Each stage after
it may only lower, and says why.
"""

import math
from collections.abc import Mapping

from tinybms_bridge.battery.limits.context import Context, fixed
from tinybms_bridge.battery.limits.fit import Fit
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode, Quantity, Reason
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.quick import maker
from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["Draft", "base", "base_limits"]


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
        """CVL to which a charge that obeys no CCL is pressed down in this step; the floor gives way to it."""
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
        cell: int | None = None,
        pack: str = "",
    ) -> None:
        """Lower a limit to ``limit`` and note the cause; a limit that is already as low stays, without a note."""
        if quantity is CVL and limit < self.lowest_v:
            limit = self.lowest_v
        if math.isfinite(limit) and limit < self[quantity]:
            self._set(_new_reason(quantity, code, limit, value, threshold, detail, step, wait_s, cell, pack))

    def stop_charge(
        self,
        ccl_a: float,
        code: LimitCode,
        *,
        value: float | None = None,
        threshold: float | None = None,
        detail: str = "",
        cell: int | None = None,
        pack: str = "",
    ) -> None:
        """Lower CCL to ``ccl_a``, and CVL as well: CCL does not bind every solar charger.

        The first stop that holds CVL where it is, is its cause, also where CVL was as low before.
        """
        self.lower(CCL, ccl_a, code, value=value, threshold=threshold, detail=detail, cell=cell, pack=pack)
        present_v, stop_v = self[CVL], max(self.stop_v, self.lowest_v)
        if stop_v < present_v or (stop_v == present_v and not self.stopped):
            self._set(_new_reason(CVL, code, stop_v, value, threshold, detail, cell=cell, pack=pack))
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


def base(context: Context) -> Draft:
    """Return the first draft: the only stage that sets limits instead of lowering them.

    CVL: the configured target, or that of the chemistry, or register 300 times the cells; never above the latter, the
    over-voltage bound, the ceiling or the user's alarm threshold, so that the offsets of the states count from a target
    that can be reached.
    CCL and DCL: the user's maximum, or a share of registers 318 and 317 (305 where it is lower). A typed value that
    does not fit the battery is left out; where it is a voltage, the target is then a conservative one.
    Registers 102 and 103 are statistics and play no part.
    """
    return _first_draft(context).copy()


@fixed
def _first_draft(context: Context) -> Draft:
    ratings, fit, charging = context.ratings, context.fit, context.charging
    draft = Draft(base_limits(ratings, context.settings, fit))
    full_v, cutoff_v, bound_v = ratings.fully_charged_cell_v, ratings.over_voltage_cell_v, fit.over_voltage_bound_v
    if full_v >= cutoff_v:  # this is the cause, and not the curve of a cell that follows from it
        draft.lower(CCL, 0.0, LimitCode.CROSSED_CUTOFFS, value=full_v, threshold=cutoff_v)
    draft.lower(CVL, bound_v, LimitCode.OVER_VOLTAGE_MARGIN, value=draft[CVL], threshold=bound_v)
    draft.lower(CVL, fit.ceiling_v, LimitCode.CEILING, threshold=fit.ceiling_v)
    draft.lower(CVL, fit.bms_target_v, LimitCode.BMS_TARGET, value=ratings.fully_charged_cell_v)
    if fit.alarm_v is not None:
        draft.lower(CVL, fit.alarm_v, LimitCode.ALARM_THRESHOLD, threshold=fit.alarm_v)
    if fit.conservative_v is not None:
        detail = ", ".join(conflict.name for conflict in fit.conflicts)
        draft.lower(CVL, fit.conservative_v, LimitCode.MISFIT, threshold=fit.conservative_v, detail=detail)
    code = LimitCode.FEED_IN if charging.feed_in and charging.by_chemistry else LimitCode.CHEMISTRY
    cell_v, detail = charging.target_cell_v, str(fit.chemistry.chemistry)
    draft.lower(CVL, charging.target_v, code, value=cell_v, threshold=full_v, detail=detail)
    draft.target_v = draft[CVL]
    return draft


def base_limits(ratings: Ratings, settings: LimitSettings, fit: Fit) -> Mapping[Quantity, Reason]:
    """Return what each limit is before anything lowers it: what the user wants, or else the BMS's own settings."""
    discharge_a = ratings.discharge_over_current_a
    if ratings.discharge_peak_current_a is not None:
        discharge_a = min(discharge_a, ratings.discharge_peak_current_a)
    charge_a, share = ratings.charge_over_current_a, settings.current_fraction
    return {
        CVL: _target(ratings, fit),
        CCL: _current(CCL, fit.charge_current_a, charge_a, share),
        DCL: _current(DCL, fit.discharge_current_a, discharge_a, share),
    }


def _target(ratings: Ratings, fit: Fit) -> Reason:
    if fit.bulk_v is not None:
        return Reason(CVL, LimitCode.CONFIGURED, fit.bulk_v, value=fit.bulk_v)
    return Reason(CVL, LimitCode.BMS_TARGET, fit.bms_target_v, value=ratings.fully_charged_cell_v)


def _current(quantity: Quantity, configured_a: float | None, cutoff_a: float, fraction: float) -> Reason:
    """Return the user's maximum; where there is none, or one above the cutoff, a share of the cutoff."""
    if configured_a is not None:
        return Reason(quantity, LimitCode.CONFIGURED, configured_a, value=configured_a)
    return Reason(quantity, LimitCode.BMS_CURRENT_CUTOFF, cutoff_a * fraction, value=cutoff_a)
