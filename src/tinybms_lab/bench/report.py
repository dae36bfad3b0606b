"""Results as tables for the terminal, as Markdown, and as a JSON document; what the long run does has its own table."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.metrics import Metrics
from tinybms_lab.bench.packs.tables import Outcomes, packs_comparison, packs_legend, packs_record, packs_table
from tinybms_lab.bench.runner import ScenarioOutcome, ScenarioResult
from tinybms_lab.bench.scenario import Bar
from tinybms_lab.bench.scenarios import SCENARIOS

__all__ = [
    "HEADINGS",
    "LIFE_HEADINGS",
    "comparison",
    "document",
    "failures",
    "flows",
    "legend",
    "life_row",
    "lived",
    "lives",
    "lives_legend",
    "lives_table",
    "markdown",
    "of_packs",
    "row",
    "show",
    "table",
]

HEADINGS = (
    "scenario",
    "by",
    "highest",
    "to cut-off",
    "over full",
    "minutes in state",
    "turns/h",
    "turns",
    "lost",
    "SOC short",
    "unserved",
    "protections",
    "to float",
    "delay",
    "verdict",
)
_TEXTUAL = {"scenario", "by", "minutes in state", "protections", "verdict"}
_LETTERS = {
    ChargeState.BULK: "B",
    ChargeState.TRANSITION: "T",
    ChargeState.FLOAT_APPROACH: "A",
    ChargeState.FLOAT: "F",
    ChargeState.IMBALANCE_HOLD: "H",
    ChargeState.SUSTAIN: "S",
}
_WIDTH = 200
"""A narrower table would be unreadable; a terminal may wrap its lines instead."""


def row(outcome: ScenarioOutcome) -> tuple[str, ...]:
    """Return the values of one row, in the order of ``HEADINGS``."""
    m = outcome.metrics
    return (
        m.scenario,
        m.controller,
        f"{m.highest_cell_v:.3f} V",
        f"{m.headroom_mv:.0f} mV",
        f"{m.overshoot_mv:.0f} mV",
        _states(m.state_s),
        f"{m.reversals_per_h:.0f}",
        f"{m.reversals}",
        f"{m.energy_lost_wh / 1000.0:.2f} kWh {m.energy_lost_percent:.1f} %",
        f"{m.soc_short_percent:.1f} %",
        f"{m.unserved_wh / 1000.0:.2f} kWh",
        _trips(m),
        _time(m),
        f"{m.reduction_delay_s:.0f} s",
        ", ".join(violation.name for violation in outcome.violations) or "ok",
    )


def table(results: Sequence[ScenarioResult]) -> Table:
    """Return the table for a terminal: two rows for a scenario, the engine's and that of the baseline."""
    shown = Table(title="Charge control", header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for heading in HEADINGS:
        folds = heading in {"minutes in state", "protections", "verdict"}
        shown.add_column(heading, justify="left" if heading in _TEXTUAL else "right", no_wrap=not folds)
    for result in results:
        for outcome in result.outcomes:
            name, *values, verdict = row(outcome)
            is_engine = outcome is result.engine
            colour = "green" if not outcome.violations else ("red" if is_engine else "yellow")
            last = outcome is result.outcomes[-1]
            shown.add_row(name if is_engine else "", *values, f"[{colour}]{verdict}[/]", end_section=last)
    return shown


def show(results: Sequence[ScenarioResult], console: Console) -> None:
    """Print the table, what its words mean, and what the engine does not hold."""
    console.width = max(console.width, _WIDTH)
    console.print(table(results))
    console.print(legend(), style="dim")
    if lived(results):
        console.print(lives_table(results))
        console.print(lives_legend(), style="dim")
    several = of_packs(results)
    if several:
        console.print(packs_table(several))
        console.print(packs_legend(), style="dim")
    for line in failures(results):
        console.print(line, style="red", highlight=False)


def of_packs(results: Sequence[ScenarioResult]) -> list[Outcomes]:
    """Return the outcomes of each scenario of several packs."""
    return [(result.scenario, result.outcomes) for result in results if result.engine.packs is not None]


def failures(results: Sequence[ScenarioResult]) -> list[str]:
    """Return a line for everything that the engine does not hold."""
    return [f"{result.scenario}: {violation.text}" for result in results for violation in result.engine.violations]


def markdown(results: Sequence[ScenarioResult]) -> str:
    """Return the same as Markdown."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(row(outcome)) + " |" for result in results for outcome in result.outcomes]
    broken = [f"- {line}" for line in failures(results)] or ["The engine holds every criterion in every scenario."]
    long_run = lives(results)
    if long_run:
        long_run += ["", lives_legend(), ""]
    several = of_packs(results)
    packs = [*packs_comparison(several), "", packs_legend(), ""] if several else []
    return "\n".join(
        [*lines, "", legend(), "", *broken, "", *long_run, *comparison(results), "", *packs, *flows(results), ""]
    )


def comparison(results: Sequence[ScenarioResult]) -> list[str]:
    """Return a short Markdown table of what was played with a baseline: engine / firmware in each column."""
    heads = ("Scenario", "Highest cell", "Turns of CVL in an hour; in all", "Sun lost", "SOC short", "To float")
    lines = [f"| {' | '.join((*heads, 'Protections tripped', 'Broken by the firmware'))} |", "|" + "---|" * 8]
    for result in results:
        if result.baseline is None or result.engine.packs is not None:
            continue
        ours, theirs = result.engine.metrics, result.baseline.metrics
        pairs = (
            _pair(f"{m.highest_cell_v:.3f} V" for m in (ours, theirs)),
            "; ".join(_pair(str(n) for n in each) for each in _turns(ours, theirs)),
            _pair(f"{m.energy_lost_percent:.1f} %" for m in (ours, theirs)),
            _pair(f"{m.soc_short_percent:.1f} %" for m in (ours, theirs)),
            _pair(_time(m) for m in (ours, theirs)),
            _pair(_trips(m) for m in (ours, theirs)),
            ", ".join(violation.name for violation in result.baseline.violations) or "-",
        )
        lines.append(f"| `{result.scenario}` | {' | '.join(pairs)} |")
    return lines if len(lines) > 2 else []


def _pair(values: Iterable[str]) -> str:
    return " / ".join(values)


def _turns(ours: Metrics, theirs: Metrics) -> tuple[tuple[int, int], tuple[int, int]]:
    per_h = round(ours.reversals_per_h), round(theirs.reversals_per_h)
    return per_h, (ours.reversals, theirs.reversals)


def _trips(metrics: Metrics) -> str:
    return ", ".join(f"{count} {name}" for name, count in metrics.trips.items()) or "-"


def flows(results: Sequence[ScenarioResult]) -> list[str]:
    """Return a Markdown table of what flowed beside what had to and what was allowed; empty without bounds.

    One row for a bound, one column for a controller; what is outside is bold.
    """
    bounded = [result for result in results if result.engine.metrics.findings]
    if not bounded:
        return []
    played = zip(*[[outcome.metrics.controller for outcome in result.outcomes] for result in bounded], strict=True)
    names = [" or ".join(dict.fromkeys(each)) for each in played]
    lines = [f"| scenario | what has to hold | {' | '.join(names)} |", "|" + "---|" * (2 + len(names))]
    for result in bounded:
        title = f"`{result.scenario}`"
        for told in zip(*(outcome.metrics.findings for outcome in result.outcomes), strict=True):
            found = [str(finding) if finding.kept else f"**{finding}**" for finding in told]
            lines.append(f"| {title} | {told[0].bound} | {' | '.join(found)} |")
            title = ""
    return lines


def legend() -> str:
    """Return what the short words of the table mean."""
    states = ", ".join(f"{letter} {state}" for state, letter in _LETTERS.items())
    return (
        f"Minutes in state: {states}, - no frames. "
        "Turns/h: changes of direction of CVL within an hour of steady state, at most; "
        "turns: all of them, disturbances included. "
        "Lost and SOC short: solar energy, and charge at the end, against a charger that holds every cell just at its "
        "full voltage. "
        "Unserved: energy that the loads of an island did not get. "
        "Delay: how long a limit stayed above what the readings demanded."
    )


def document(results: Sequence[ScenarioResult]) -> dict[str, object]:
    """Return a JSON-ready document; what is infinite or never happened is null."""
    return {
        "scenarios": [
            {
                "name": result.scenario,
                "simulated_s": result.simulated_s,
                "controllers": {outcome.metrics.controller: _record(outcome) for outcome in result.outcomes},
            }
            for result in results
        ]
    }


def _record(outcome: ScenarioOutcome) -> dict[str, object]:
    metrics = {name: _finite(value) for name, value in dataclasses.asdict(outcome.metrics).items()}
    broken = [dataclasses.asdict(violation) for violation in outcome.violations]
    packs = {} if outcome.packs is None else {"packs": _finite(packs_record(outcome.packs))}
    return metrics | packs | {"violations": broken, "took_s": outcome.took_s}


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _states(state_s: Mapping[str, float]) -> str:
    letters = {str(state): letter for state, letter in _LETTERS.items()} | {"-": "-"}
    return " ".join(f"{letters[name]}{spent_s / 60.0:.0f}" for name, spent_s in state_s.items() if spent_s >= 30.0)


def _time(metrics: Metrics) -> str:
    to_float_s = metrics.time_to_float_s
    if to_float_s is None:
        return "never"
    return f"{int(to_float_s // 3600)}:{int(to_float_s % 3600 // 60):02d} h"


LIFE_HEADINGS = (
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


def lived(results: Sequence[ScenarioResult]) -> list[ScenarioResult]:
    """Return those that are about the long run: a day and more, or with a bar of their own."""
    return [result for result in results if result.simulated_s >= _LONG_S or _has_bar(result.scenario)]


def life_row(metrics: Metrics) -> tuple[str, ...]:
    """Return the values of one row, in the order of ``LIFE_HEADINGS``."""
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


def lives_table(results: Sequence[ScenarioResult]) -> Table:
    """Return the table for a terminal: a row for each controller."""
    shown = Table(title="The long run", header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for heading in LIFE_HEADINGS:
        shown.add_column(heading, justify="left" if heading in {"scenario", "by"} else "right", no_wrap=True)
    for result in lived(results):
        for outcome in result.outcomes:
            name, *values = life_row(outcome.metrics)
            shown.add_row(name if outcome is result.engine else "", *values, end_section=outcome is result.outcomes[-1])
    return shown


def lives(results: Sequence[ScenarioResult]) -> list[str]:
    """Return the same as the lines of a Markdown table; empty where nothing is about the long run."""
    chosen = lived(results)
    if not chosen:
        return []
    lines = ["| " + " | ".join(LIFE_HEADINGS) + " |", "|" + "---|" * len(LIFE_HEADINGS)]
    return lines + [
        "| " + " | ".join(life_row(outcome.metrics)) + " |" for result in chosen for outcome in result.outcomes
    ]


def lives_legend() -> str:
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
