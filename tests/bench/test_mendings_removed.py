"""Mutation check: without a mending of the engine, the scenarios of bad input that are about it miss a criterion.

A scenario that holds whatever is taken out would prove nothing. That all of them hold with the whole engine is in
``test_acceptance``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tinybms_bridge.battery.limits import readings
from tinybms_bridge.battery.snapshot import Cells, Snapshot
from tinybms_bridge.bench.runner import play_scenario
from tinybms_bridge.bench.scenarios import DIRTY

pytestmark = pytest.mark.timeout(300)  # some scenarios take a simulated day

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Removal:
    """One mending, what is there in its place, and the scenarios that are about it."""

    name: str
    take_out: Callable[[Patch], None]
    scenarios: tuple[str, ...]


def _count_one_reading(patch: Patch) -> None:
    patch.setattr(readings, "_counted", lambda window: window[-1])


def _count_what_agrees_five_times(patch: Patch) -> None:
    def highest(window: tuple[Snapshot, ...]) -> Snapshot:
        cells_v = zip(*[each.cells.voltages_v for each in window], strict=True)
        return replace(window[-1], cells=Cells(tuple([max(each_v) for each_v in cells_v])))

    patch.setattr(readings, "_counted", highest)


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
