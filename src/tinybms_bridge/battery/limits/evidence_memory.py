"""What use has shown of a battery over days and weeks, and what its owner is told of it.

The reasons of its numbers: charge-control.md#what-use-shows-of-the-battery.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from tinybms_bridge.battery.limits.resistance import MOST_FACTOR, least_step_a
from tinybms_bridge.battery.quick import by_last, quick
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.words import Message, message

__all__ = ["NO_EVIDENCE", "UNLEARNED_S", "WRONG_CAPACITY", "Evidence", "Remark", "RemarkCode", "holds_ah", "remarks_on"]

UNLEARNED_S = 100.0 * 3600.0
"""With a current for so long, a week of usual days, kettles and ovens were on and off many times: what has taught no
resistance by then will not."""

WRONG_CAPACITY = 0.15
"""As a share of register 306: more than temperature, a year of age and the measurement explain together."""

_WEAK = 0.9
"""A cell that holds less than this share of the middle one: new cells of one make differ by 2 %."""
_RESISTIVE = 2.0
"""So many times the resistance of the middle one; a link between two rows of cells is read as up to half a cell."""


@quick
@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found; all but the time of the last look survives a restart."""

    flowing_s: float = 0.0
    """For how long a current has flowed without a step that taught the resistance; at most ``UNLEARNED_S``."""
    factors: tuple[float, ...] = ()
    """What is learned of the resistance; it is saved with what it was learned from."""
    capacity_ah: float | None = None
    """What the battery holds, as both ways between full and near empty have shown; None: not known."""
    at_least: bool = False
    """Whether it may hold more."""
    cells: tuple[float, ...] = ()
    """What each cell holds, as a multiple of the middle one: the larger of what the last two charges have shown."""
    seen: tuple[float, ...] = ()
    """The same as the last one has shown it."""
    full_at_s: int | None = None
    """Lifetime counter of the BMS when the battery was full."""
    since_full_ah: float | None = None
    """What went in since, at the last look; None where some of it was not seen."""
    low_ah: float | None = None
    """The same when the cells last showed how little was left; None: not since full."""
    low_at_s: int = 0
    low_share: float = 0.0
    """How full the lowest cell was then, 0 to 1; where ``low_at_least``, it held more."""
    low_at_least: bool = False
    low_cells: tuple[float, ...] = ()
    """How full each cell was; empty where they were too far from empty to tell."""
    low_middle: float = 0.0
    """How full the middle one was at the least; on its plateau an LFP cell shows not much."""
    looked_at_s: float | None = None
    """Time of the sample that was looked at; None before the first."""

    @property
    def unlearned(self) -> bool:
        """Whether the resistance could not be learned although there was time enough."""
        return self.flowing_s >= UNLEARNED_S


NO_EVIDENCE = Evidence()


class RemarkCode(StrEnum):
    """One kind of remark."""

    RESISTANCE_NOT_LEARNED = "resistance_not_learned"
    WEAK_CELL = "weak_cell"
    RESISTIVE_CELL = "resistive_cell"
    CAPACITY_WRONG = "capacity_wrong"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to tell: what was found, what follows, what can be done."""

    code: RemarkCode
    message: Message
    cells: tuple[int, ...] = ()
    """Numbers of the cells that it is about, from 1; empty for the whole battery."""


@by_last
def remarks_on(evidence: Evidence, ratings: Ratings) -> tuple[Remark, ...]:
    """Return what the owner should know; empty for a battery that is as it should be, or not known yet."""
    found = [_unlearned(evidence, ratings), _weak(evidence.cells), _resistive(evidence.factors)]
    return tuple([each for each in (*found, _capacity(evidence, ratings)) if each is not None])


def holds_ah(evidence: Evidence, ratings: Ratings) -> float | None:
    """Return what the battery was seen to hold where that is not about register 306; else None."""
    found_ah, set_ah = evidence.capacity_ah, ratings.capacity_ah
    if found_ah is None or not set_ah > 0.0 or abs(found_ah / set_ah - 1.0) <= WRONG_CAPACITY:
        return None
    return found_ah


def _unlearned(evidence: Evidence, ratings: Ratings) -> Remark | None:
    if not evidence.unlearned or evidence.factors:
        return None
    least_a = least_step_a(ratings)
    if not least_a < math.inf:
        return None
    watts = 100.0 * math.ceil(least_a * ratings.series_cells * ratings.fully_charged_cell_v / 100.0)
    return _remark(RemarkCode.RESISTANCE_NOT_LEARNED, hours=UNLEARNED_S / 3600.0, least_a=least_a, watts=watts)


def _weak(held: Sequence[float]) -> Remark | None:
    cells = tuple([number for number, share in enumerate(held, 1) if share <= _WEAK])
    if not cells:
        return None
    return _remark(RemarkCode.WEAK_CELL, cells, less_percent=100.0 * (1.0 - min(held)))


def _resistive(factors: Sequence[float]) -> Remark | None:
    middle = median(factors) if factors else 0.0
    cells = tuple([number for number, factor in enumerate(factors, 1) if factor >= _RESISTIVE * middle > 0.0])
    if not cells:
        return None
    most = max(factors)
    return _remark(RemarkCode.RESISTIVE_CELL, cells, times=most / middle, at_least=most >= MOST_FACTOR)


def _capacity(evidence: Evidence, ratings: Ratings) -> Remark | None:
    found_ah, set_ah = holds_ah(evidence, ratings), ratings.capacity_ah
    if found_ah is None:
        return None
    return _remark(
        RemarkCode.CAPACITY_WRONG,
        found_ah=found_ah,
        set_ah=set_ah,
        at_least=evidence.at_least,
        command_ah=f"{found_ah:.3g}",
    )


def _remark(code: RemarkCode, cells: tuple[int, ...] = (), **parameters: float | str) -> Remark:
    about = {"cells": cells} if cells else {}
    return Remark(code, message(f"battery.{code}", **about, **parameters), cells)
