"""Controllers that are too simple for several packs miss the criteria, in the closed loop: each can fail there."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.lab.bench.test_acceptance import SELDOM

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench.controllers import EngineController, SentLimits
from tinybms_lab.bench.packs.controllers import PacksController, PlainSumController
from tinybms_lab.bench.packs.plan import PacksScenario
from tinybms_lab.bench.runner import packs_engine_for, plain_sum_for, play_packs_with
from tinybms_lab.bench.scenarios import PACKS

pytestmark = pytest.mark.timeout(300)


def broken(scenario: PacksScenario, controller: PacksController) -> set[str]:
    """Return the names of what a controller does not hold."""
    return {violation.name for violation in play_packs_with(scenario, controller).violations}


def part(name: str, hours: float) -> PacksScenario:
    """Return the first hours of a scenario, of which no full battery is asked."""
    scenario = PACKS[name]
    return replace(
        scenario.shortened(hours), pack_top_percent=0.0, expects_float=False, most_short_percent=100.0, bounds=()
    )


@pytest.mark.parametrize(
    ("name", "hours", "missed"),
    [
        ("packs-weak", 0.3, {"own limit"}),
        ("packs-resistance", 0.5, {"trips"}),
        ("packs-contact", 0.3, {"own limit", "trips"}),
        ("packs-load", 0.4, {"own limit", "trips"}),
        ("packs-silent", 0.3, {"delay", "jump"}),
        ("packs-silent-weak", 0.3, {"delay", "own limit"}),
        ("packs-breaker", 0.3, {"trips"}),
        ("packs-cold", 0.3, {"own limit"}),
        ("packs-16", 0.2, {"own limit"}),
    ],
)
def test_the_plain_sum_of_the_limits_is_too_much(name: str, hours: float, missed: set[str]) -> None:
    """What a bridge for each pack would say, added; the engine holds everything (also ``test_acceptance``)."""
    scenario = part(name, hours)

    assert missed <= broken(scenario, plain_sum_for(scenario))
    assert name not in SELDOM or broken(scenario, packs_engine_for(scenario)) == set()


class LeastOfAll(PlainSumController):
    """The least DCL of any pack counts for all."""

    def decide(self, samples: Mapping[str, Snapshot], now_s: float) -> SentLimits | None:
        """See ``PacksController.decide``."""
        total = super().decide(samples, now_s)
        least_a = min((self.own_dcl_a(name, now_s) for name in self._engines), default=0.0)
        return total and replace(total, dcl_a=least_a)

    def own_dcl_a(self, name: str, now_s: float) -> float:
        engine: EngineController = self._engines[name]
        own = engine.decide(self._latest.get(name), (0.0, 0.0), now_s)
        return 0.0 if own is None else own.dcl_a


def test_the_least_of_all_puts_the_lights_out() -> None:
    """One empty cell in one of four packs."""
    scenario = part("packs-empty-cell", 0.6)
    controller = LeastOfAll(scenario.settings, tuple(scenario.packs), scenario.longest_step_s)

    assert "lights" in broken(scenario, controller)


class FirstCounter(PlainSumController):
    """The first counter that says full ends the charge of all, as n state machines whose lowest CVL wins would."""

    def decide(self, samples: Mapping[str, Snapshot], now_s: float) -> SentLimits | None:
        """See ``PacksController.decide``."""
        total = super().decide(samples, now_s)
        counted = max((sample.pack.soc_percent for sample in self._latest.values()), default=0.0)
        if total is None or counted < 99.0:
            return total
        return replace(total, cvl_v=min(total.cvl_v, 53.0), state=ChargeState.FLOAT)


def test_the_first_counter_leaves_the_others_empty() -> None:
    """Counters at 50, 80, 95 and 100 %: the last one stops the charge before it has begun."""
    scenario = PACKS["packs-counters"]
    controller = FirstCounter(scenario.settings, tuple(scenario.packs), scenario.longest_step_s)

    assert {"no float", "short", "pack full"} <= broken(scenario, controller)


class NoProtection:
    """Sends what all packs together are rated for, whatever their cells say."""

    name = "no protection"

    def decide(self, samples: Mapping[str, Snapshot], now_s: float) -> SentLimits | None:
        """See ``PacksController.decide``."""
        return SentLimits(60.8, 400.0, 600.0, ChargeState.BULK, now_s)

    def restart(self) -> None:
        """See ``PacksController.restart``."""


def test_without_protection_cells_of_every_pack_are_overcharged() -> None:
    """Over-voltage of the packs trips, which is counted for each of them."""
    scenario = replace(part("packs-equal", 1.2), battery=PACKS["packs-equal"].battery)
    outcome = play_packs_with(scenario, NoProtection())

    assert {"headroom", "trips", "own limit"} <= {violation.name for violation in outcome.violations}
    assert outcome.packs is not None
    assert all(pack.trips.get("over-voltage") for pack in outcome.packs.packs)


def test_what_rises_while_a_pack_is_away_is_found() -> None:
    """A controller that gives the others more because the weak one is not heard."""

    class Eager(PlainSumController):
        def decide(self, samples: Mapping[str, Snapshot], now_s: float) -> SentLimits | None:
            total = super().decide(samples, now_s)
            return total if total is None or "c" in samples else replace(total, ccl_a=total.ccl_a * 1.5)

    scenario = part("packs-silent-weak", 0.3)
    controller = Eager(scenario.settings, tuple(scenario.packs), scenario.longest_step_s)

    assert "rise" in broken(scenario, controller)
