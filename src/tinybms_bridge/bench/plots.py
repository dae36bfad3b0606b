"""Pictures of runs (PNG). Needs matplotlib, which is an optional dependency."""

import importlib
import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinybms_bridge.bench.trace import STATES, Column, Run
from tinybms_bridge.errors import BridgeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlottingError", "draw", "require", "with_few_colours"]

_HOUR_S = 3600.0
_SHADES = ("#ffffff", "#eef6ff", "#e0eeff", "#e4f5e4", "#fdecd2", "#f7dede")
"""Background of the charge states, in the order of ``STATES``."""
_COLOURS = 48
_ENGINE, _BASELINE, _BOUND = "#0b5fa5", "#e0a27c", "#b00020"


class PlottingError(BridgeError):
    """matplotlib is not installed."""

    def __str__(self) -> str:
        return (
            f"plots need matplotlib: install it with {sys.executable} -m pip install matplotlib, "
            "or leave the plots out with --no-plots"
        )


def require() -> None:
    """Raise PlottingError when there is no matplotlib."""
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise PlottingError from error


def draw(runs: Sequence[Run]) -> bytes:
    """Return a picture of one scenario as PNG: the first run in full, others for comparison.

    Raises:
        PlottingError: there is no matplotlib.

    """
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 11.0), layout="constrained")
    panels = figure.subplots(4, 1, sharex=True)
    first = runs[0]
    for panel in panels:
        _shade_states(panel, first)
        panel.grid(alpha=0.3)
    # The first run is drawn last, on top of the others.
    for run, colour in reversed(list(zip(runs, (_ENGINE, _BASELINE), strict=False))):
        _draw_pack(panels[0], run, colour)
        _draw_cells(panels[1], run, colour)
        _draw_currents(panels[2], run, colour)
    _draw_bounds(panels[1], first)
    _draw_power(panels[3], first)
    for panel in panels:
        panel.legend(loc="upper left", fontsize="x-small", ncols=4)
    panels[-1].set_xlabel("hours since midnight")
    figure.suptitle(f"{first.scenario.name}: {first.scenario.title}")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=70)
    return with_few_colours(picture)


def with_few_colours(picture: io.BytesIO) -> bytes:
    """Return the same picture with a palette: a quarter of the bytes, and a page of all scenarios is a large one."""
    from PIL import Image  # matplotlib brings it

    smaller = io.BytesIO()
    image = Image.open(picture).convert("RGB")
    image.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(smaller, "png", optimize=True)
    return smaller.getvalue()


def _hours(run: Run) -> list[float]:
    return [time_s / _HOUR_S for time_s in run.trace.column(Column.TIME_S)]


def _draw_pack(panel: "Axes", run: Run, colour: str) -> None:
    hours = _hours(run)
    panel.step(hours, run.trace.column(Column.CVL_V), color=colour, lw=1.4, label=f"CVL, {run.controller}")
    panel.plot(hours, run.trace.column(Column.PACK_V), color=colour, lw=0.7, alpha=0.7, label=f"pack, {run.controller}")
    panel.set_ylabel("pack, V")


def _draw_cells(panel: "Axes", run: Run, colour: str) -> None:
    hours = _hours(run)
    panel.plot(hours, run.trace.column(Column.HIGHEST_V), color=colour, lw=1.0, label=f"highest, {run.controller}")
    panel.plot(
        hours, run.trace.column(Column.LOWEST_V), color=colour, lw=0.6, ls=":", label=f"lowest, {run.controller}"
    )
    panel.set_ylabel("cells, V")


def _draw_bounds(panel: "Axes", run: Run) -> None:
    ratings = run.scenario.battery.ratings()
    panel.axhline(ratings.over_voltage_cell_v, color=_BOUND, lw=0.8, label="over-voltage cut-off")
    panel.axhline(ratings.fully_charged_cell_v, color="grey", lw=0.8, ls="--", label="full")


def _draw_currents(panel: "Axes", run: Run, colour: str) -> None:
    hours = _hours(run)
    panel.plot(hours, run.trace.column(Column.CURRENT_A), color=colour, lw=0.8, label=f"battery, {run.controller}")
    panel.step(hours, run.trace.column(Column.CCL_A), color=colour, lw=1.0, ls="--", label=f"CCL, {run.controller}")
    discharge_a = [-limit_a for limit_a in run.trace.column(Column.DCL_A)]
    panel.step(hours, discharge_a, color=colour, lw=1.0, ls=":", label=f"-DCL, {run.controller}")
    panel.set_ylabel("current, A")


def _draw_power(panel: "Axes", run: Run) -> None:
    hours = _hours(run)
    for column, colour, label in (
        (Column.SUN_W, "#e0a800", "sun offers"),
        (Column.SOLAR_W, "#8a6d00", "sun taken"),
        (Column.LOAD_W, "#555555", "loads"),
    ):
        panel.plot(hours, [power_w / 1000.0 for power_w in run.trace.column(column)], color=colour, lw=0.9, label=label)
    panel.set_ylabel("power, kW")
    charge = panel.twinx()
    charge.plot(hours, run.trace.column(Column.SOC_PERCENT), color="#2e7d32", lw=1.0, label="SOC, true")
    charge.plot(hours, run.trace.column(Column.COUNTED_PERCENT), color="#2e7d32", lw=0.7, ls=":", label="SOC, counted")
    charge.set_ylabel("SOC, %")
    charge.legend(loc="upper right", fontsize="x-small")


def _shade_states(panel: "Axes", run: Run) -> None:
    """Colour the background by the charge state of a run."""
    hours, states = _hours(run), run.trace.column(Column.STATE)
    begin = 0
    for index in range(1, len(states) + 1):
        if index == len(states) or states[index] != states[begin]:
            number = int(states[begin])
            shade = "#bbbbbb" if number < 0 else _SHADES[number]
            label = None if number < 0 else str(STATES[number])
            panel.axvspan(hours[begin], hours[index - 1], color=shade, lw=0, zorder=0, gid=label)
            begin = index
