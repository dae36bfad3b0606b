"""What flowed in a run, beside what had to flow and what was allowed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_bridge.bench.bounds import Bound, What
from tinybms_bridge.bench.trace import Column, Run, Trace

__all__ = ["Finding", "findings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a run makes of a bound."""

    bound: str
    """In words."""
    found: float
    """The value nearest to the bound, or furthest outside; not a number when nothing was sent."""
    unit: str
    outside_s: float
    """Longest time outside; the whole time for a sum."""
    kept: bool

    def __str__(self) -> str:
        found = "nothing was sent" if math.isnan(self.found) else f"{self.found:.1f} {self.unit}"
        return found if self.kept else f"{found} ({self.outside_s:.0f} s outside)"


def findings(run: Run) -> tuple[Finding, ...]:
    """Return what a run makes of the bounds of its scenario, in their order."""
    return tuple(_find(run, bound) for bound in run.scenario.bounds)


def _find(run: Run, bound: Bound) -> Finding:
    start_s = run.scenario.start_s
    rows = list(_rows(run.trace, bound.what, start_s + bound.from_s, start_s + bound.to_s))
    if bound.what.summed:
        total = sum(value for value, _ in rows)
        kept = bound.least <= total <= bound.most
        return Finding(str(bound), total, bound.what.unit, 0.0 if kept else sum(step for _, step in rows), kept)
    longest_s = since_s = 0.0
    worst, worst_far = math.nan, -math.inf
    for value, step_s in rows:
        far = _far(bound, value)
        since_s = since_s + step_s if far > 0.0 else 0.0
        longest_s = max(longest_s, since_s)
        if far > worst_far and not (far > 0.0 and since_s <= bound.for_s):
            worst, worst_far = value, far
    return Finding(str(bound), worst, bound.what.unit, longest_s, longest_s <= bound.for_s + 1e-6)


def _far(bound: Bound, value: float) -> float:
    """Return how far outside a value is, below 0 inside; nothing sent is outside of what has to be at least there."""
    if math.isnan(value):
        return -math.inf if math.isinf(bound.least) else math.inf
    return max(bound.least - value, value - bound.most)


def _rows(trace: Trace, what: What, from_s: float, to_s: float) -> Iterator[tuple[float, float]]:
    """Yield the value in each step, and its length; for a sum the share of the step."""
    names = (
        Column.TIME_S, Column.STEP_S, Column.CVL_V, Column.CCL_A, Column.DCL_A,
        Column.CURRENT_A, Column.PACK_V, Column.LOAD_W, Column.SERVED_W,
    )  # fmt: skip
    columns = zip(*(trace.column(name) for name in names), strict=True)
    for time_s, step_s, cvl_v, ccl_a, dcl_a, current_a, pack_v, load_w, served_w in columns:
        if not from_s < time_s <= to_s + 1e-6:
            continue
        value = {
            What.CVL: cvl_v,
            What.CCL: ccl_a,
            What.DCL: dcl_a,
            What.CURRENT: current_a,
            What.BELOW_PACK: pack_v - cvl_v,
            What.OVER_CCL: current_a - ccl_a,
            What.CHARGED: current_a * step_s / 3600.0,
            What.UNSERVED: load_w - served_w,
            What.SILENT: step_s if math.isnan(cvl_v) else 0.0,
        }[what]
        yield value, step_s
