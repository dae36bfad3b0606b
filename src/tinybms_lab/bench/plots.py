"""Pictures of runs (PNG), and one HTML page with the table and all pictures inside; the pictures are files beside it.

Pictures need matplotlib, which is an optional dependency.
"""

import base64
import html
import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinybms_bridge.errors import BridgeError
from tinybms_lab.bench.criteria import CRITERIA
from tinybms_lab.bench.packs.criteria import PACK_CRITERIA
from tinybms_lab.bench.packs.tables import packs_comparison, packs_legend
from tinybms_lab.bench.report import HEADINGS, failures, flows, legend, lives, lives_legend, markdown, of_packs, row
from tinybms_lab.bench.runner import ScenarioOutcome, ScenarioResult
from tinybms_lab.bench.scenarios import SCENARIOS
from tinybms_lab.bench.trace import STATES, Column, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlottingError", "draw", "hours_of", "page", "require", "with_few_colours", "write"]

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


def hours_of(run: Run) -> list[float]:
    """Return the time of each step in hours since the beginning."""
    return [time_s / _HOUR_S for time_s in run.trace.column(Column.TIME_S)]


def _draw_pack(panel: "Axes", run: Run, colour: str) -> None:
    hours = hours_of(run)
    panel.step(hours, run.trace.column(Column.CVL_V), color=colour, lw=1.4, label=f"CVL, {run.controller}")
    panel.plot(hours, run.trace.column(Column.PACK_V), color=colour, lw=0.7, alpha=0.7, label=f"pack, {run.controller}")
    panel.set_ylabel("pack, V")


def _draw_cells(panel: "Axes", run: Run, colour: str) -> None:
    hours = hours_of(run)
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
    hours = hours_of(run)
    panel.plot(hours, run.trace.column(Column.CURRENT_A), color=colour, lw=0.8, label=f"battery, {run.controller}")
    panel.step(hours, run.trace.column(Column.CCL_A), color=colour, lw=1.0, ls="--", label=f"CCL, {run.controller}")
    discharge_a = [-limit_a for limit_a in run.trace.column(Column.DCL_A)]
    panel.step(hours, discharge_a, color=colour, lw=1.0, ls=":", label=f"-DCL, {run.controller}")
    panel.set_ylabel("current, A")


def _draw_power(panel: "Axes", run: Run) -> None:
    hours = hours_of(run)
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
    hours, states = hours_of(run), run.trace.column(Column.STATE)
    begin = 0
    for index in range(1, len(states) + 1):
        if index == len(states) or states[index] != states[begin]:
            number = int(states[begin])
            shade = "#bbbbbb" if number < 0 else _SHADES[number]
            label = None if number < 0 else str(STATES[number])
            panel.axvspan(hours[begin], hours[index - 1], color=shade, lw=0, zorder=0, gid=label)
            begin = index


_STYLE = """
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem auto; max-width: 90rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 12px; }
th, td { padding: 2px 8px; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
.broken { color: #c62828; } .kept { color: #2e7d32; }
img { max-width: 100%; background: white; }
"""


def page(results: Sequence[ScenarioResult]) -> str:
    """Return the page; it needs nothing else."""
    rows = "\n".join(_row(result, outcome) for result in results for outcome in result.outcomes)
    heads = "".join(f"<th>{html.escape(heading)}</th>" for heading in HEADINGS)
    criteria = "".join(
        f"<li>{html.escape(criterion)}</li>" for criterion in (*CRITERIA, *(PACK_CRITERIA if of_packs(results) else ()))
    )
    broken = "".join(f'<li class="broken">{html.escape(line)}</li>' for line in failures(results))
    pictures = "\n".join(_picture(result) for result in results if result.plot is not None)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Charge control</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Charge control, simulated</h1><p>What has to hold in every scenario:</p><ul>{criteria}</ul>"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"<p>{html.escape(legend())}</p><ul>{broken}</ul>{_lives(results)}{_packs(results)}{_flows(results)}{pictures}</body></html>\n"
    )


def write(results: Sequence[ScenarioResult], folder: Path) -> Path:
    """Write ``index.html``, ``results.md`` and one PNG for each scenario; return the path of the page.

    Raises:
        OSError: the folder or a file cannot be written.

    """
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        if result.plot is not None:
            (folder / f"{result.scenario}.png").write_bytes(result.plot)
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(page(results), encoding="utf-8")
    return index


def _row(result: ScenarioResult, outcome: ScenarioOutcome) -> str:
    name, *values, judgement = row(outcome)
    link = html.escape(name)
    if result.plot is not None:
        link = f'<a href="#{link}">{link}</a>'
    mark = "broken" if outcome.violations else "kept"
    middle = "".join(f"<td>{html.escape(value)}</td>" for value in values)
    return f'<tr><td>{link}</td>{middle}<td class="{mark}">{html.escape(judgement)}</td></tr>'


def _packs(results: Sequence[ScenarioResult]) -> str:
    """Return the table of scenarios with several packs, and what its words mean."""
    several = of_packs(results)
    return f"{_table(packs_comparison(several))}<p>{html.escape(packs_legend())}</p>" if several else ""


def _lives(results: Sequence[ScenarioResult]) -> str:
    """Return the table of ``lives``, and what its words mean."""
    table = _table(lives(results))
    return f"{table}<p>{html.escape(lives_legend())}</p>" if table else ""


def _flows(results: Sequence[ScenarioResult]) -> str:
    """Return the table of ``report.flows``."""
    return _table(flows(results))


def _table(markdown_lines: Sequence[str]) -> str:
    """Return a Markdown table as HTML; empty for no lines."""
    lines = [line.strip("|").split("|") for line in markdown_lines]
    if not lines:
        return ""
    heads, _, *rows = lines
    body = "".join(f"<tr>{''.join(_flow(value) for value in values)}</tr>" for values in rows)
    head = "".join(f"<th>{html.escape(value.strip())}</th>" for value in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _flow(value: str) -> str:
    told = value.strip()
    mark = ' class="broken"' if told.startswith("**") else ""
    return f"<td{mark}>{html.escape(told.strip('*`'))}</td>"


def _picture(result: ScenarioResult) -> str:
    assert result.plot is not None
    name = html.escape(result.scenario)
    title = html.escape(SCENARIOS[result.scenario].title) if result.scenario in SCENARIOS else ""
    data = base64.b64encode(result.plot).decode("ascii")
    return f'<h2 id="{name}">{name}</h2><p>{title}</p><img alt="{name}" src="data:image/png;base64,{data}">'
