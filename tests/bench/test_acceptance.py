"""The bar, in every scenario: no over-voltage, no hunting, limits sent in time, float reached, wishes come true."""

import dataclasses
import math

import pytest

from tinybms_bridge.bench.runner import Result
from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.scenarios import SCENARIOS

pytestmark = pytest.mark.timeout(300)  # a result may have to wait for those of tests that come later


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_engine_holds_every_criterion(name: str, engine_result: Result) -> None:
    """Numbers and words are in ``bench.criteria``."""
    assert engine_result.scenario == name
    assert [violation.text for violation in engine_result.engine.violations] == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_measure_is_a_number(name: str, engine_result: Result, played: dict[str, Scenario]) -> None:
    """And the time in states is all of the scenario."""
    measures = dataclasses.asdict(engine_result.engine.metrics)
    numbers = {key: value for key, value in measures.items() if isinstance(value, float)}

    assert all(math.isfinite(value) for value in numbers.values()), numbers
    assert engine_result.simulated_s == pytest.approx(3600.0 * played[name].hours)


@pytest.mark.parametrize("name", ["sunny-day", "li-ion", "lto", "lfp-4", "lfp-8", "no-sale"])
def test_an_undisturbed_battery_gets_nearly_full(name: str, engine_result: Result) -> None:
    """Within a few percent of what an ideal charger stores, and of what it harvests."""
    metrics = engine_result.engine.metrics

    assert metrics.scenario == name
    assert metrics.soc_short_percent < 3.0
    assert metrics.energy_lost_percent < 5.0
