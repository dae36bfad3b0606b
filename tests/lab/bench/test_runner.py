"""Playing scenarios with both controllers."""

import time
from dataclasses import replace

import pytest

from tinybms_lab.bench import runner
from tinybms_lab.bench.runner import ScenarioResult, baseline_for, engine_for, play_all, play_scenario
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios import SCENARIOS

SHORT = {name: scenario.shortened(0.05) for name, scenario in SCENARIOS.items()}


@pytest.fixture(autouse=True)
def short_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every scenario last three minutes."""
    monkeypatch.setattr(runner, "SCENARIOS", SHORT)


def test_a_result_has_both_controllers(calm: Scenario) -> None:
    """Engine first, firmware second."""
    result = play_scenario(calm)

    assert [outcome.metrics.controller for outcome in result.outcomes] == ["engine", "firmware"]
    assert result.scenario == "calm"
    assert result.simulated_s == pytest.approx(3600.0)
    assert result.plot is None


def test_the_baseline_can_be_left_out(calm: Scenario) -> None:
    """Half the time."""
    result = play_scenario(calm, baseline=False)

    assert result.baseline is None
    assert [outcome.metrics.controller for outcome in result.outcomes] == ["engine"]


def test_a_result_knows_how_long_it_took(calm: Scenario) -> None:
    """For the speed that is shown."""
    begun_s = time.perf_counter()
    took_s = play_scenario(calm, baseline=False).engine.took_s

    assert 0.0 < took_s < time.perf_counter() - begun_s


def test_a_broken_criterion_is_in_the_result(calm: Scenario) -> None:
    """An hour from half full reaches no float."""
    result = play_scenario(calm, baseline=False)

    assert [violation.name for violation in result.engine.violations] == ["no float"]


def test_scenarios_come_in_the_order_asked_for() -> None:
    """One after another with a single job."""
    names = ["lto", "feed-in", "li-ion"]

    assert [result.scenario for result in play_all(names, baseline=False)] == names


def test_results_come_one_by_one() -> None:
    """The first is there before the second is played."""
    results = play_all(["lto", "feed-in"], baseline=False)

    assert next(results).scenario == "lto"


def test_several_jobs_give_the_same_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of their own; their order does not matter."""
    started: list[int] = []

    class Pool:
        """Stands for a pool of processes, in this one."""

        def __init__(self, jobs: int, mp_context: object) -> None:
            started.append(jobs)

        def __enter__(self) -> "Pool":
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def submit(self, function: object, *arguments: object) -> "Done":
            assert callable(function)
            return Done(function(*arguments))

    class Done:
        """A future that is done."""

        def __init__(self, result: ScenarioResult) -> None:
            self._result = result

        def result(self) -> ScenarioResult:
            return self._result

    monkeypatch.setattr(runner, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(runner, "as_completed", reversed)
    alone = {result.scenario: result.engine.metrics for result in play_all(["lto", "seasons"], baseline=False)}
    together = {
        result.scenario: result.engine.metrics for result in play_all(["lto", "seasons"], baseline=False, jobs=4)
    }

    assert together == alone
    assert started == [2]


def test_controllers_are_made_for_the_scenario() -> None:
    """The firmware is told the number of cells."""
    scenario = SCENARIOS["lfp-4"]

    assert (engine_for(scenario).name, baseline_for(scenario).name) == ("engine", "firmware")


def test_a_controller_serves_one_run_only(calm: Scenario) -> None:
    """Each run begins with a new one, so that two results are alike."""
    first, second = (play_scenario(replace(calm, hours=0.2)) for _ in range(2))

    assert [outcome.metrics for outcome in first.outcomes] == [outcome.metrics for outcome in second.outcomes]
