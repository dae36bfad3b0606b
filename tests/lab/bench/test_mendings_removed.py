"""Mutation check: without a mending of the engine, the scenarios of bad input that are about it miss a criterion.

A scenario that holds whatever is taken out would prove nothing. That all of them hold with the whole engine is in
``test_acceptance``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from tinybms_bridge.battery import freshness
from tinybms_bridge.battery.limits import (
    LimitCode,
    Quantity,
    context,
    derating,
    enforcement,
    policy,
    readings,
    stages,
    states,
)
from tinybms_bridge.battery.limits.charging import FloatRule
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.policy import PolicyMemory
from tinybms_bridge.battery.limits.soc_count import CredibleSoc
from tinybms_bridge.battery.limits.states import CellsSay
from tinybms_bridge.battery.plausibility import (
    PlausibilityMemory,
    PlausibilitySettings,
    PlausibilityVerdict,
    absurd_fields,
    judge,
)
from tinybms_bridge.battery.snapshot import Cells, Snapshot
from tinybms_lab.bench import controllers, runner
from tinybms_lab.bench.controllers import SentLimits, Statistics
from tinybms_lab.bench.runner import engine_for, play_scenario
from tinybms_lab.bench.scenario import FaultKind, FaultPlayer, Scenario
from tinybms_lab.bench.scenarios import DIRTY

pytestmark = pytest.mark.timeout(300)  # some scenarios take a simulated day

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Removal:
    """One mending, what is there in its place, and the scenarios that are about it."""

    name: str
    take_out: Callable[[Patch], None]
    scenarios: tuple[str, ...]


def _count_one_reading(patch: Patch) -> None:
    patch.setattr(readings, "_counted", lambda window, cells_v, latest: latest)


def _count_what_agrees_five_times(patch: Patch) -> None:
    def highest(window: Sequence[Snapshot], cells_v: object, latest: Snapshot) -> Snapshot:
        columns = zip(*[each.cells.voltages_v for each in window], strict=True)
        return replace(latest, cells=Cells(tuple([max(column) for column in columns])))

    patch.setattr(readings, "_counted", highest)


def _reject_what_has_an_absurd_field(patch: Patch) -> None:
    def strict(
        memory: PlausibilityMemory, snapshot: Snapshot, settings: PlausibilitySettings
    ) -> tuple[PlausibilityVerdict, PlausibilityMemory]:
        absurd = absurd_fields(snapshot, settings)
        return (PlausibilityVerdict(absurd), memory) if absurd else judge(memory, snapshot, settings)

    patch.setattr(controllers, "judge", strict)


def _trust_the_last_temperature(patch: Patch) -> None:
    patch.setattr(derating, "is_blind", lambda memory, temperatures: False)


def _enforce_nothing(patch: Patch) -> None:
    patch.setattr(stages, "enforce", lambda draft, context, memory, rates, elapsed_s, disobeyed: memory)


def _stop_at_the_floor(patch: Patch) -> None:
    patch.setattr(context, "_least_v", lambda ratings, floor_v, resting_v: floor_v)


def _never_give_up(patch: Patch) -> None:
    patch.setattr(enforcement, "go_on", lambda attempt, current_a, elapsed_s, lowest: attempt)


def _sustain_at_the_floor(draft: Draft, context: Context, memory: object) -> None:
    for quantity, limit in ((Quantity.CVL, context.floor_v), (Quantity.CCL, 5.0), (Quantity.DCL, 5.0)):
        draft.lower(quantity, limit, LimitCode.SUSTAIN)


def _full_by_count(memory: PolicyMemory, context: Context, tail_s: float) -> bool:
    return context.snapshot.pack.soc_percent >= FloatRule().soc_percent


def _let_the_count_decide(patch: Patch) -> None:
    patch.setattr(policy, "_is_full", _full_by_count)
    patch.setattr(stages, "cells_say", lambda context: CellsSay())
    patch.setattr(states, "_apply_sustain", _sustain_at_the_floor)
    for name in ("percent", "to_discharge_percent", "at_most_percent"):
        patch.setattr(CredibleSoc, name, property(lambda soc: soc.counted_percent))


def _believe_a_frozen_image(patch: Patch) -> None:
    patch.setattr(freshness.Motion, "patience_s", lambda self, settings: math.inf)


def _look_at_the_counter_alone(patch: Patch) -> None:
    move = freshness._move

    def by_counter(motion: freshness.Motion, snapshot: Snapshot, *, seen: bool) -> freshness.Motion:
        return move(motion, replace(snapshot, image=str(snapshot.pack.lifetime_s).encode()), seen=seen)

    patch.setattr(freshness, "_move", by_counter)


class _StandingClock:
    """An engine whose clock stands while the machine sleeps."""

    name = "engine"

    def __init__(self, scenario: Scenario) -> None:
        self._engine = engine_for(scenario)
        self._sleeps = [(f.at_s, f.for_s) for f in scenario.faults if f.kind is FaultKind.SUSPENDED]

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:
        """See ``Controller.decide``."""
        if snapshot is not None:
            snapshot = replace(snapshot, taken_at_s=self._awake_s(snapshot.taken_at_s))
        sent = self._engine.decide(snapshot, statistics, self._awake_s(now_s))
        return None if sent is None else replace(sent, decided_s=now_s)

    def restart(self) -> None:
        """See ``Controller.restart``."""
        self._engine.restart()

    def _awake_s(self, now_s: float) -> float:
        return now_s - sum(min(max(now_s - at_s, 0.0), for_s) for at_s, for_s in self._sleeps)


def _never_open_anew(patch: Patch) -> None:
    """A line or an adapter that has died stays dead."""
    for kind in (FaultKind.BMS_SILENT, FaultKind.CAN_DEAD):
        died: set[FaultKind] = set()

        def stays(player: FaultPlayer, kind: FaultKind = kind, died: set[FaultKind] = died) -> bool:
            died.update(player._now & {kind})
            return bool(died)

        patch.setattr(FaultPlayer, "bms_silent" if kind is FaultKind.BMS_SILENT else "can_dead", property(stays))


def _let_the_clock_sleep(patch: Patch) -> None:
    patch.setattr(runner, "engine_for", _StandingClock)


REMOVALS = (
    Removal(
        "one reading counts",
        _count_one_reading,
        (
            "outlier-high",
            "outlier-high-sale",
            "outlier-low",
            "outlier-pair",
            "outliers-repeated",
            "outliers-low-island",
            "outliers-two-cells",
        ),
    ),
    Removal("a low cell counts when five readings agree", _count_what_agrees_five_times, ("pulsed-load",)),
    Removal(
        "the count decides alone",
        _let_the_count_decide,
        ("count-empty", "count-empty-sale", "count-empty-full", "count-full", "count-full-li-ion", "count-drifts"),
    ),
    Removal(
        "an absurd field costs the sample",
        _reject_what_has_an_absurd_field,
        ("sensor-absurd", "sensor-absurd-cold", "board-absurd", "soc-absurd", "soc-absurd-li-ion"),
    ),
    Removal("the last temperature counts for ever", _trust_the_last_temperature, ("board-lost",)),
    Removal(
        "no CCL is enforced",
        _enforce_nothing,
        ("cold-derated-sale", "cold-derated-lfp-8", "cold-derated-lfp-4", "hot-derated-sale"),
    ),
    Removal("no stop goes below the floor", _stop_at_the_floor, ("stop-lfp-4-sale",)),
    Removal("CVL goes on sinking in vain", _never_give_up, ("obeys-nothing",)),
    Removal("a frozen image is fresh", _believe_a_frozen_image, ("frozen-charging", "frozen-sale")),
    Removal("only the counter tells that readings move", _look_at_the_counter_alone, ("counter-stands",)),
    Removal("what is dead is never opened anew", _never_open_anew, ("line-dead", "can-dead")),
    Removal("ages stand while the machine sleeps", _let_the_clock_sleep, ("suspended",)),
)


@pytest.mark.parametrize(
    ("removal", "name"),
    [pytest.param(removal, name, id=name) for removal in REMOVALS for name in removal.scenarios],
)
def test_a_scenario_of_bad_input_needs_its_mending(monkeypatch: Patch, removal: Removal, name: str) -> None:
    """Without it something flows that may not, or does not flow that has to."""
    removal.take_out(monkeypatch)

    assert play_scenario(DIRTY[name], baseline=False).engine.violations, f"{name} holds although {removal.name}"


def test_every_scenario_of_bad_input_has_a_mending() -> None:
    """Each once."""
    named = [name for removal in REMOVALS for name in removal.scenarios]

    assert sorted(named) == sorted(DIRTY)
