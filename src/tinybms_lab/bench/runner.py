"""Plays scenarios with both controllers, one after another or several at once."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from tinybms_bridge.battery.limits.packs import PacksSettings
from tinybms_lab.bench.controllers import Controller, EngineController, FirmwareController, firmware_config
from tinybms_lab.bench.criteria import CriterionViolation, violations
from tinybms_lab.bench.flows import ideal_charge
from tinybms_lab.bench.loop import play
from tinybms_lab.bench.metrics import Metrics, measure
from tinybms_lab.bench.packs.controllers import PacksController, PacksEngineController, PlainSumController
from tinybms_lab.bench.packs.criteria import PacksMetrics, measure_packs, pack_violations
from tinybms_lab.bench.packs.loop import play_packs
from tinybms_lab.bench.packs.plan import PacksScenario
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios import SCENARIOS
from tinybms_lab.bench.trace import Run

__all__ = [
    "ScenarioOutcome",
    "ScenarioResult",
    "baseline_for",
    "engine_for",
    "packs_engine_for",
    "plain_sum_for",
    "play_all",
    "play_packs_with",
    "play_scenario",
    "play_with",
]


@dataclass(frozen=True, slots=True)
class ScenarioOutcome:
    """One controller in one scenario."""

    metrics: Metrics
    violations: tuple[CriterionViolation, ...]
    took_s: float
    """Time that the simulation took."""
    packs: PacksMetrics | None = None
    """Pack by pack, where there are several."""


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One scenario."""

    scenario: str
    engine: ScenarioOutcome
    baseline: ScenarioOutcome | None = None
    plot: bytes | None = None
    """PNG, when plots were asked for."""

    @property
    def outcomes(self) -> tuple[ScenarioOutcome, ...]:
        """Both, where there are two."""
        return (self.engine,) if self.baseline is None else (self.engine, self.baseline)

    @property
    def simulated_s(self) -> float:
        """Length of the scenario."""
        return sum(self.engine.metrics.state_s.values())


def engine_for(scenario: Scenario) -> Controller:
    """Return our engine, set up for a scenario."""
    return EngineController(scenario.settings, scenario.longest_step_s)


def baseline_for(scenario: Scenario) -> Controller:
    """Return the firmware's algorithm, set up for a scenario."""
    return FirmwareController(firmware_config(scenario.battery.ratings()))


def packs_engine_for(scenario: PacksScenario) -> PacksController:
    """Return our engine of several packs, set up for a scenario."""
    return PacksEngineController(PacksSettings(scenario.settings), tuple(scenario.packs), scenario.longest_step_s)


def plain_sum_for(scenario: PacksScenario) -> PacksController:
    """Return what only adds the limits of the packs, as the baseline of a scenario; the firmware knows one pack."""
    return PlainSumController(scenario.settings, tuple(scenario.packs), scenario.longest_step_s)


def play_scenario(scenario: Scenario, *, baseline: bool = True, plot: bool = False) -> ScenarioResult:
    """Play a scenario with the engine and, if wanted, with the baseline; draw both if wanted."""
    if isinstance(scenario, PacksScenario):
        of_packs = [packs_engine_for(scenario), *([plain_sum_for(scenario)] if baseline else [])]
        played = [_play_packs(scenario, controller) for controller in of_packs]
    else:
        controllers = [engine_for(scenario), *([baseline_for(scenario)] if baseline else [])]
        played = [_play(scenario, controller) for controller in controllers]
    runs, outcomes = zip(*played, strict=True)
    png = None
    if plot:
        from tinybms_lab.bench.plots import draw

        png = draw(runs)
    return ScenarioResult(scenario.name, outcomes[0], outcomes[1] if baseline else None, png)


def play_all(
    names: Sequence[str], *, baseline: bool = True, plot: bool = False, jobs: int = 1
) -> Iterator[ScenarioResult]:
    """Yield the result of each scenario as soon as there is one; with ``jobs`` processes in any order."""
    if jobs <= 1 or len(names) <= 1:
        for name in names:
            yield play_scenario(SCENARIOS[name], baseline=baseline, plot=plot)
        return
    with ProcessPoolExecutor(min(jobs, len(names)), mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(_play_name, name, baseline, plot) for name in _longest_first(names)]
        for done in as_completed(waiting):
            yield done.result()


def play_with(scenario: Scenario, controller: Controller) -> ScenarioOutcome:
    """Play a scenario with any controller."""
    return _play(scenario, controller)[1]


def _play(scenario: Scenario, controller: Controller) -> tuple[Run, ScenarioOutcome]:
    started_s = time.perf_counter()
    run = play(scenario, controller)
    took_s = time.perf_counter() - started_s
    metrics = measure(run, ideal_charge(scenario))
    return run, ScenarioOutcome(metrics, violations(metrics, scenario), took_s)


def play_packs_with(scenario: PacksScenario, controller: PacksController) -> ScenarioOutcome:
    """Play a scenario of several packs with any controller."""
    return _play_packs(scenario, controller)[1]


def _play_packs(scenario: PacksScenario, controller: PacksController) -> tuple[Run, ScenarioOutcome]:
    started_s = time.perf_counter()
    run = play_packs(scenario, controller)
    took_s = time.perf_counter() - started_s
    metrics, packs = measure(run.battery, ideal_charge(scenario)), measure_packs(run)
    broken = (*violations(metrics, scenario), *pack_violations(packs, scenario))
    return run.battery, ScenarioOutcome(metrics, broken, took_s, packs)


def _play_name(name: str, baseline: bool, plot: bool) -> ScenarioResult:
    return play_scenario(SCENARIOS[name], baseline=baseline, plot=plot)


def _longest_first(names: Sequence[str]) -> list[str]:
    return sorted(names, key=lambda name: -SCENARIOS[name].hours)
