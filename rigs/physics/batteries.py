"""The engine with packs of single-particle cells: scenarios of the bench, as unequal and as badly read as real ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tinybms_lab.bench.battery import CellModel
from tinybms_lab.bench.controllers import Controller
from tinybms_lab.bench.criteria import CriterionViolation, violations
from tinybms_lab.bench.flows import ideal_charge
from tinybms_lab.bench.loop import play
from tinybms_lab.bench.metrics import Metrics, measure
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios import SCENARIOS
from tinybms_lab.bench.trace import Column

__all__ = ["NAMES", "Played", "of_particles", "play_all", "table"]

NAMES = (
    "sunny-day",
    "cloudy-day",
    "feed-in",
    "cloudy-feed-in",
    "weak-cell-feed-in",
    "li-ion",
    "li-ion-feed-in",
    "drift-low",
    "drift-high",
    "cell-high",
    "cell-high-sale",
    "dual-port",
    "single-port-sale",
    "dual-port-high",
    "month-lfp-8",
    "month-lfp-4",
    "month-li-ion",
    "cold-02c",
    "cold-07c",
    "cold-1c",
    "cold-1c-sale",
    "cold-unguarded",
    "cold-li-ion",
    "empty-grid",
    "empty-grid-li-ion",
    "empty-grid-bursts",
    "empty-island",
    "empty-cold",
)
"""Scenarios in which the physics of the cells decide; the others are about bytes, lines and units."""
_RESISTANCE_SPREAD = 0.2
_CELL_NOISE_V = 0.002
"""Cells of one delivery differ by so much, and a TinyBMS reads no better (charging-physics.md of the project)."""
_LONG_H = 100.0
"""Shorter runs cannot tell when cells are alike, and their days are not whole ones."""
_COLD_C, _USED = 10.0, 2.5
_HEADINGS = (
    "Scenario",
    "High h/day (usual)",
    "Top",
    "CVL turns/h",
    "DCL turns/h",
    "Headroom",
    "Plating",
    "Anode, least",
    "Hard openings",
    "Spread",
    "Alike after",
    "SOC off",
    "SUSTAIN",
    "Missed",
)


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one scenario."""

    scenario: Scenario
    metrics: Metrics
    anode_v: float
    """Lowest potential of a negative electrode against lithium: the margin before it plates."""
    missed: tuple[CriterionViolation, ...]


def of_particles(scenario: Scenario) -> Scenario:
    """Return a scenario with single-particle cells whose resistances differ, read by a BMS with noise.

    These cells resist more in the cold by themselves, so no cell is given more than that of a used one.
    """
    battery = scenario.battery
    if battery.temperature_c < _COLD_C:
        odd = [replace(cell, resistance_factor=min(cell.resistance_factor, _USED)) for cell in battery.odd]
        battery = replace(battery, odd=tuple(odd))
    sensors = replace(scenario.sensors, cell_noise_v=_CELL_NOISE_V)
    plan = replace(
        battery, model=CellModel.SINGLE_PARTICLE, resistance_spread=max(battery.resistance_spread, _RESISTANCE_SPREAD)
    )
    return replace(scenario, battery=plan, sensors=sensors)


def play_all(names: Iterable[str], controller_for: Callable[[Scenario], Controller] = engine_for) -> Iterator[Played]:
    """Play scenarios with the engine or another controller, one after another."""
    for name in names:
        scenario = of_particles(SCENARIOS[name])
        run = play(scenario, controller_for(scenario))
        metrics = measure(run, ideal_charge(scenario))
        yield Played(scenario, metrics, min(run.trace.column(Column.ANODE_V)), violations(metrics, scenario))


def table(played: Iterable[Played]) -> Iterator[str]:
    """Yield the lines of a Markdown table, each as soon as it is known."""
    yield f"| {' | '.join(_HEADINGS)} |"
    yield "|" + "---|" * len(_HEADINGS)
    for each in played:
        yield f"| {' | '.join(_row(each))} |"


def _row(played: Played) -> Sequence[str]:
    metrics, life = played.metrics, played.metrics.life
    short = played.scenario.hours < _LONG_H
    return (
        f"`{played.scenario.name}`",
        f"{life.high_h_per_day:.2f} ({life.high_h_usual_day:.2f})",
        f"{metrics.soc_range_percent[1] if short else life.top_percent:.1f} %",
        f"{metrics.reversals_per_h:.0f}",
        f"{life.dcl_turns_per_h:.0f}",
        f"{metrics.headroom_mv:.0f} mV",
        f"{life.plating_min:.0f} min",
        f"{1000.0 * played.anode_v:.0f} mV",
        f"{life.hard_openings}",
        f"{life.spread_begin_ah:.1f} > {life.spread_end_ah:.1f} Ah",
        "–" if short else _after(life.balanced_after_days),
        f"{life.count_error_percent:.1f} %",
        f"{life.false_sustain_h:.1f} h",
        "; ".join(violation.text for violation in played.missed) or "–",
    )


def _after(days: float | None) -> str:
    return "never" if days is None else f"{days:.0f} d"
