"""What happens to one pack, and packs as one battery."""

import math
from dataclasses import replace

import pytest

from tinybms_lab.bench.packs.plan import PackFault, PackFaultKind, PackFaults, PacksScenario, ParallelPack, as_one

HALF_H = 1800.0


def test_a_fault_is_that_of_its_pack_in_its_time(two: PacksScenario) -> None:
    """Neither before nor after, and not of the other one."""
    faults = PackFaults(replace(two, pack_faults=(PackFault("b", PackFaultKind.SILENT, 100.0, 50.0),)))

    assert faults.kinds("b", two.start_s + 99.9) == frozenset()
    assert faults.kinds("b", two.start_s + 100.0) == {PackFaultKind.SILENT}
    assert faults.kinds("b", two.start_s + 150.0) == frozenset()
    assert faults.kinds("a", two.start_s + 120.0) == frozenset()


def test_steps_are_short_around_what_happens_to_a_pack(two: PacksScenario) -> None:
    """Both edges are known beforehand; after each the run counts as disturbed for a while."""
    faults = PackFaults(replace(two, pack_faults=(PackFault("b", PackFaultKind.PULLED, 100.0, 600.0),)))

    assert faults.next_change_s(two.start_s) == two.start_s + 100.0
    assert faults.next_change_s(two.start_s + 100.0) == two.start_s + 700.0
    assert math.isinf(faults.next_change_s(two.start_s + 700.0))
    active = []
    for after_s in (50.0, 150.0, 500.0, 750.0):
        faults.advance(two.start_s + after_s, None)
        active.append(faults.active)
    assert active == [False, True, False, True]


@pytest.mark.parametrize(("step_s", "close"), [(1.0, False), (5.0, True)])
def test_every_reading_counts_when_a_pack_goes_in_a_month(two: PacksScenario, step_s: float, close: bool) -> None:
    """Where steps are short anyway nothing changes."""
    fault = PackFault("b", PackFaultKind.SILENT, 100.0, 600.0)
    faults = PackFaults(replace(two, step_s=step_s, poll_s=1.0, pack_faults=(fault,)))

    assert faults.close(two.start_s + 110.0) is close
    assert not faults.close(two.start_s + 300.0)


def test_packs_as_one_are_their_sums(two: PacksScenario) -> None:
    """Capacity and ratings add up, the charge is weighted."""
    first = two.packs["a"]
    small = ParallelPack(replace(first.battery, capacity_ah=50.0, soc=0.3, charge_cutoff_a=50.0))
    battery = as_one([first, small])

    assert battery.capacity_ah == 150.0
    assert battery.charge_cutoff_a == 150.0
    assert battery.discharge_cutoff_a == 300.0
    assert battery.soc == pytest.approx(0.5)
    assert battery.cells == 16
