"""What the long run does to the battery, as a table."""

from collections.abc import Sequence

from rich.table import Table

from tinybms_bridge.bench.metrics import Metrics
from tinybms_bridge.bench.runner import Result
from tinybms_bridge.bench.scenario import Bar
from tinybms_bridge.bench.scenarios import SCENARIOS

__all__ = ["HEADINGS", "legend", "lived", "lives", "lives_table", "row"]

HEADINGS = (
    "scenario",
    "by",
    "high h/day",
    "usual day",
    "top",
    "spread Ah",
    "alike after",
    "SOC off",
    "plating",
    "DCL turns/h",
    "energy out",
    "hard openings",
    "BMS full",
    "no charge",
    "SUSTAIN",
)
_LONG_S = 24.0 * 3600.0


def lived(results: Sequence[Result]) -> list[Result]:
    """Return those that are about the long run: a day and more, or with a bar of their own."""
    return [result for result in results if result.simulated_s >= _LONG_S or _has_bar(result.scenario)]


def row(metrics: Metrics) -> tuple[str, ...]:
    """Return the values of one row, in the order of ``HEADINGS``."""
    life = metrics.life
    alike = life.balanced_after_days
    return (
        metrics.scenario,
        metrics.controller,
        f"{life.high_h_per_day:.2f}",
        f"{life.high_h_usual_day:.2f}",
        f"{life.top_percent:.1f} %",
        f"{life.spread_begin_ah:.1f} > {life.spread_end_ah:.1f}",
        "never" if alike is None else f"{alike:.0f} d",
        f"{life.count_error_percent:.1f} %",
        f"{life.plating_min:.0f} min",
        f"{life.dcl_turns_per_h:.0f}",
        f"{life.discharged_wh / 1000.0:.2f} kWh",
        f"{life.hard_openings}",
        f"{life.bms_full_days} d",
        f"{life.idle_days} d",
        f"{life.false_sustain_h:.1f} h",
    )


def lives_table(results: Sequence[Result]) -> Table:
    """Return the table for a terminal: a row for each controller."""
    shown = Table(title="The long run", header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading in {"scenario", "by"} else "right", no_wrap=True)
    for result in lived(results):
        for outcome in result.outcomes:
            name, *values = row(outcome.metrics)
            shown.add_row(name if outcome is result.engine else "", *values, end_section=outcome is result.outcomes[-1])
    return shown


def lives(results: Sequence[Result]) -> list[str]:
    """Return the same as the lines of a Markdown table; empty where nothing is about the long run."""
    chosen = lived(results)
    if not chosen:
        return []
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    return lines + ["| " + " | ".join(row(outcome.metrics)) + " |" for result in chosen for outcome in result.outcomes]


def legend() -> str:
    """Return what the short words of the table mean."""
    return (
        "High: hours a day with the highest cell from 3.50 V (LFP), 4.10 V (Li-ion) or 2.65 V (LTO) on; usual day: the "
        "same on half of the days; top: true SOC that half of the days reach. "
        "Spread: charge by which the cells differ, at the beginning and at the end; alike after: from when on it stays "
        "below 0.5 % of the capacity. "
        "SOC off: how far the shown SOC was from the true one; plating: time with more current than cold cells take. "
        "DCL turns/h: changes of direction within an hour of steady load; hard openings: of the charger switch, with "
        "more than 2 A and 0.02C. BMS full: days on which it said so; no charge: days of sun on which a battery with "
        "room took none; SUSTAIN: hours in it with a battery that is not empty."
    )


def _has_bar(name: str) -> bool:
    return name in SCENARIOS and SCENARIOS[name].bar != Bar()
