"""The loop of several packs."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.lab.bench.packs.conftest import PLAIN

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench.controllers import SentLimits
from tinybms_lab.bench.dirt import Outliers
from tinybms_lab.bench.packs.loop import PackColumn, PacksSimulation, play_packs
from tinybms_lab.bench.packs.plan import PackFault, PackFaultKind, PacksScenario, ParallelPack, as_one
from tinybms_lab.bench.trace import Column


class Fixed:
    """Sends the same limits, and notes what it was given."""

    name = "fixed"

    def __init__(self, ccl_a: float = 150.0, dcl_a: float = 250.0, cvl_v: float = 56.0) -> None:
        self.limits = SentLimits(cvl_v, ccl_a, dcl_a, ChargeState.BULK)
        self.given: list[Mapping[str, Snapshot]] = []

    def decide(self, samples: Mapping[str, Snapshot], now_s: float) -> SentLimits:
        self.given.append(samples)
        return replace(self.limits, decided_s=now_s)

    def restart(self) -> None:
        self.given.clear()


def faulty(scenario: PacksScenario, kind: PackFaultKind) -> PacksScenario:
    """Return the scenario with something wrong with pack b in its second ten minutes."""
    return replace(scenario, pack_faults=(PackFault("b", kind, 600.0, 600.0),))


def at(run_column: object, times_s: object, scenario: PacksScenario, after_s: float) -> float:
    """Return the value of a column so long after the start."""
    pairs = zip(times_s, run_column, strict=True)  # type: ignore[call-overload]
    return next(float(value) for time_s, value in pairs if time_s >= scenario.start_s + after_s)


def test_the_packs_carry_what_the_battery_does(two: PacksScenario) -> None:
    """In every step the currents of the packs are that of the battery, and equal packs carry equal parts."""
    run = play_packs(two, Fixed())
    first, second = (pack.trace.column(PackColumn.CURRENT_A) for pack in run.packs)
    total_a = run.battery.trace.column(Column.CURRENT_A)

    assert [a + b for a, b in zip(first, second, strict=True)] == pytest.approx(list(total_a))
    assert first == pytest.approx(second)
    assert total_a[-1] == pytest.approx(150.0, abs=15.0)


@pytest.mark.parametrize(
    ("kind", "heard", "carries"),
    [
        (PackFaultKind.SILENT, False, True),
        (PackFaultKind.PULLED, False, False),
        (PackFaultKind.BREAKER, True, False),
        (PackFaultKind.CHARGE_CUT, True, False),
    ],
)
def test_each_fault_takes_data_or_current_or_both(
    two: PacksScenario, kind: PackFaultKind, heard: bool, carries: bool
) -> None:
    """For its time, and for its pack; then all is as before."""
    scenario, controller = faulty(two, kind), Fixed()
    run = play_packs(scenario, controller)
    times_s = run.battery.trace.column(Column.TIME_S)
    currents_a = run.packs[1].trace.column(PackColumn.CURRENT_A)

    assert any("b" not in samples for samples in controller.given) is not heard
    assert all("a" in samples for samples in controller.given)
    assert (at(currents_a, times_s, scenario, 900.0) > 1.0) is carries
    assert at(currents_a, times_s, scenario, 1500.0) > 1.0


def test_a_cut_is_seen_by_its_bms_and_is_no_trip(two: PacksScenario) -> None:
    """The bridge reads an open event and a fault; the run counts no protection that tripped."""
    controller = Fixed()
    run = play_packs(faulty(two, PackFaultKind.CHARGE_CUT), controller)
    told = [samples["b"].open_events for samples in controller.given]

    assert (0x03,) in told
    assert run.packs[1].trips == ()


def test_readings_are_spoilt_on_their_own_line_only(two: PacksScenario) -> None:
    """The pack and the other lines know nothing of it."""
    dirty = replace(two.packs["b"], dirt=(Outliers(300.0, 10.0, ((3, 0.4),), every=1),))
    controller = Fixed()
    run = play_packs(replace(two, packs={"a": two.packs["a"], "b": dirty}), controller)

    assert max(max(samples["b"].cells.voltages_v) for samples in controller.given) > 3.65
    assert max(max(samples["a"].cells.voltages_v) for samples in controller.given) < 3.55
    assert max(run.packs[1].trace.column(PackColumn.HIGHEST_V)) < 3.55


def test_packs_apart_exchange_a_current(two: PacksScenario) -> None:
    """It is told beside what flows, and none of it once they are together."""
    packs = {"a": ParallelPack(PLAIN), "b": ParallelPack(replace(PLAIN, soc=0.15))}
    run = play_packs(replace(two, packs=packs, battery=as_one(list(packs.values())), hours=6.0), Fixed(0.0))
    apart_a = run.packs[1].trace.column(PackColumn.EQUALISING_A)

    assert apart_a[0] > 20.0
    assert abs(apart_a[-1]) < 0.3 * apart_a[0]


def test_without_a_pack_nothing_flows(two: PacksScenario) -> None:
    """Both are pulled: the chargers find no battery, and the loop goes on."""
    gone = tuple(PackFault(name, PackFaultKind.PULLED, 60.0) for name in "ab")
    run = play_packs(replace(two, pack_faults=gone), Fixed())

    assert run.battery.trace.column(Column.CURRENT_A)[-1] == 0.0
    assert [pack.trace.column(PackColumn.PLUGGED)[-1] for pack in run.packs] == [0.0, 0.0]


def test_runs_are_alike(two: PacksScenario) -> None:
    """Noise and dirt are those of the seed."""
    first, second = (play_packs(two, Fixed()) for _ in range(2))

    assert first.battery.trace.column(Column.PACK_V) == second.battery.trace.column(Column.PACK_V)


def test_two_packs_read_with_errors_of_their_own(two: PacksScenario) -> None:
    """Two sensors of one kind are not off by the same."""
    controller = Fixed()
    simulation = PacksSimulation(two, controller)
    simulation.step(1.0)
    samples = controller.given[0]

    assert samples["a"].cells.voltages_v != samples["b"].cells.voltages_v


def test_one_pack_is_a_battery_too(two: PacksScenario) -> None:
    """The network of one passes all of the current."""
    only = {"a": two.packs["a"]}
    run = play_packs(replace(two, packs=only, battery=as_one(list(only.values()))), Fixed(60.0))

    assert run.packs[0].trace.column(PackColumn.CURRENT_A)[-1] == pytest.approx(
        run.battery.trace.column(Column.CURRENT_A)[-1]
    )
