"""Pictures of the stories, for people who have never seen a data sheet. Needs matplotlib, as ``plots`` does."""

import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tinybms_lab.bench.plots import hours_of, require, with_few_colours
from tinybms_lab.bench.story import Panel, Story, moments
from tinybms_lab.bench.trace import Column, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_story"]

_HOUR_S = 3600.0
_SUN, _HOUSE, _BATTERY, _ALLOWED, _MARK = "#f2b705", "#5c6670", "#1f77b4", "#2e8b57", "#444444"
_LOW, _FROST = "#d1603d", "#c0392b"
_NEAR_SHARE = 0.035
"""Of the width: numbers that are nearer are lifted in turn."""
_DAYS_FROM_H = 60.0
"""Longer stories have days below, not hours."""
_MONTH_H = 480.0


def draw_story(story: Story, run: Run) -> bytes:
    """Return the picture of a story as PNG.

    Raises:
        PlottingError: there is no matplotlib.

    """
    require()
    from matplotlib.figure import Figure

    heights = [_HEIGHTS.get(panel, 2.0) for panel in story.panels]
    figure = Figure(figsize=(9.0, sum(heights) + 1.2), layout="constrained")
    axes = figure.subplots(len(story.panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0].tolist()
    for axis, panel in zip(axes, story.panels, strict=True):
        _DRAW[panel](axis, run)
        axis.set_title(panel.value, loc="left", fontsize=11)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[1]:
            axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9.5, frameon=False)
    _clock(axes[-1], story, run)
    _mark(axes, moments(story, run))
    figure.suptitle(story.title, fontsize=15, fontweight="bold")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90)
    return with_few_colours(picture)


def _power(axis: "Axes", run: Run) -> None:
    hours = hours_of(run)
    offered, taken, load = (
        [power_w / 1000.0 for power_w in run.trace.column(column)]
        for column in (Column.SUN_W, Column.SOLAR_W, Column.LOAD_W)
    )
    axis.fill_between(hours, offered, color=_SUN, alpha=0.25, lw=0, label="the sun offers")
    axis.fill_between(hours, taken, color=_SUN, alpha=0.8, lw=0, label="of it used")
    axis.step(hours, load, color=_HOUSE, lw=1.5, label="the house takes")


def _charge(axis: "Axes", run: Run) -> None:
    axis.fill_between(hours_of(run), run.trace.column(Column.SOC_PERCENT), color=_BATTERY, alpha=0.35, lw=0)
    axis.plot(hours_of(run), run.trace.column(Column.SOC_PERCENT), color=_BATTERY, lw=1.5)
    axis.set_ylim(0.0, 104.0)


def _voltage(axis: "Axes", run: Run) -> None:
    hours = hours_of(run)
    axis.step(hours, run.trace.column(Column.CVL_V), color=_ALLOWED, lw=1.5, label="allowed (CVL)")
    axis.plot(hours, run.trace.column(Column.PACK_V), color=_BATTERY, lw=1.2, label="the battery")


def _current(axis: "Axes", run: Run) -> None:
    """Draw what flows inside the band that is allowed; the band goes on beyond the picture."""
    hours, current_a = hours_of(run), run.trace.column(Column.CURRENT_A)
    charging_a = _limit(run, Column.CCL_A)
    giving_a = [-limit_a for limit_a in _limit(run, Column.DCL_A)]
    axis.fill_between(hours, giving_a, charging_a, step="pre", color=_ALLOWED, alpha=0.16, lw=0, label="allowed")
    axis.step(hours, charging_a, color=_ALLOWED, lw=1.4, label="most charge (CCL)")
    axis.step(hours, giving_a, color=_ALLOWED, lw=1.4, ls=":", label="most to give (DCL)")
    axis.fill_between(hours, current_a, color=_BATTERY, alpha=0.75, lw=0, label="flows")
    axis.axhline(0.0, color="black", lw=0.6)
    most_a, least_a = max(current_a), min(current_a)
    room_a = 0.3 * max(most_a, -least_a, 1.0)
    axis.set_ylim(min(1.4 * least_a, -room_a), max(1.4 * most_a, room_a))


def _limit(run: Run, column: Column) -> list[float]:
    """Return a limit of current; 0 while nothing is sent."""
    return [0.0 if math.isnan(limit_a) else limit_a for limit_a in run.trace.column(column)]


def _temperature(axis: "Axes", run: Run) -> None:
    hours = hours_of(run)
    axis.plot(hours, run.trace.column(Column.COLDEST_C), color=_BATTERY, lw=1.5, label="coldest cell")
    axis.axhline(0.0, color=_FROST, lw=1.0, ls="--", label="frost")


def _cells(axis: "Axes", run: Run) -> None:
    hours = hours_of(run)
    axis.plot(hours, run.trace.column(Column.HIGHEST_V), color=_BATTERY, lw=1.3, label="highest cell")
    axis.plot(hours, run.trace.column(Column.LOWEST_V), color=_LOW, lw=1.3, label="lowest cell")


def _apart(axis: "Axes", run: Run) -> None:
    axis.fill_between(hours_of(run), run.trace.column(Column.SPREAD_AH), color=_BATTERY, alpha=0.5, lw=0)
    axis.set_ylim(bottom=0.0)


_HEIGHTS = {Panel.CURRENT: 2.3, Panel.TEMPERATURE: 1.5}
_DRAW: dict[Panel, Callable[["Axes", Run], None]] = {
    Panel.POWER: _power,
    Panel.CHARGE: _charge,
    Panel.VOLTAGE: _voltage,
    Panel.CURRENT: _current,
    Panel.TEMPERATURE: _temperature,
    Panel.CELLS: _cells,
    Panel.APART: _apart,
}


def _mark(axes: "Sequence[Axes]", found: Sequence[tuple[str, float]]) -> None:
    """Draw a line through all panels for each moment, with its number above and its words below the picture."""
    low, high = axes[0].get_xlim()
    before_h, lifted = -math.inf, False
    for number, (_, at_s) in enumerate(found, 1):
        at_h = at_s / _HOUR_S
        lifted = at_h - before_h < _NEAR_SHARE * (high - low) and not lifted
        before_h = at_h
        for axis in axes:
            axis.axvline(at_h, color=_MARK, lw=0.9, ls="--")
        axes[0].annotate(
            str(number),
            (at_h, 0.76 if lifted else 0.95),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="center",
            fontsize=10,
            fontweight="bold",
            bbox={"boxstyle": "circle", "fc": "white", "ec": _MARK},
        )
    if found:
        words = "     ".join(f"{number}  {text}" for number, (text, _) in enumerate(found, 1))
        axes[0].figure.supxlabel(words, fontsize=10.5)


def _clock(axis: "Axes", story: Story, run: Run) -> None:
    hours = hours_of(run)
    low = hours[0] if story.from_h is None else story.from_h
    high = hours[-1] if story.to_h is None else story.to_h
    axis.set_xlim(low, high)
    if high - low > _DAYS_FROM_H:
        ticks = range(0, int(high) + 1, 24 * (5 if high - low > _MONTH_H else 2))
        axis.set_xticks(list(ticks), [f"day {tick // 24 + 1}" for tick in ticks])
        return
    step = 1 if high - low <= 8.0 else 2 if high - low <= 16.0 else 3
    ticks = range(-(-int(low) // step) * step, int(high) + 1, step)
    axis.set_xticks(list(ticks), [f"{tick % 24}:00" for tick in ticks])
