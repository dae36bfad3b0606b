"""A short scenario of two packs, and runs that are made by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.packs.loop import PackColumn, PackRun, PacksRun, PackTrip
from tinybms_lab.bench.packs.plan import PacksScenario, ParallelPack, as_one
from tinybms_lab.bench.trace import Column, Run, Trace
from tinybms_lab.bench.weather import Constant
from tinybms_lab.gx.dvcc import SystemPlan

PLAIN = BatteryPlan(
    capacity_ah=100.0,
    soc=0.6,
    capacity_spread=0.0,
    soc_spread=0.0,
    resistance_spread=0.0,
    charge_cutoff_a=100.0,
    discharge_cutoff_a=150.0,
    peak_cutoff_a=250.0,
)

_USUAL = {
    PackColumn.CURRENT_A: 40.0,
    PackColumn.EQUALISING_A: 0.0,
    PackColumn.HIGHEST_V: 3.40,
    PackColumn.LOWEST_V: 3.35,
    PackColumn.SOC_PERCENT: 90.0,
    PackColumn.COLDEST_C: 25.0,
    PackColumn.OWN_CHARGE_A: 100.0,
    PackColumn.OWN_DISCHARGE_A: 150.0,
    PackColumn.CARRIES: 1.0,
    PackColumn.PLUGGED: 1.0,
}
PackRows = Sequence[dict[PackColumn, float]]
MakePacksRun = Callable[..., PacksRun]


@pytest.fixture
def two() -> PacksScenario:
    """Half an hour of sun on two equal packs, in an island."""
    packs = {"a": ParallelPack(PLAIN), "b": ParallelPack(PLAIN)}
    return PacksScenario(
        "two",
        "two packs",
        packs=packs,
        battery=as_one(list(packs.values())),
        system=SystemPlan(solar_max_a=400.0),
        sun=Constant(9000.0),
        load=Constant(500.0),
        start_h=12.0,
        hours=0.5,
        expects_float=False,
    )


@pytest.fixture
def make_packs_run(two: PacksScenario, make_trace: Callable[..., Trace]) -> MakePacksRun:
    """Return a maker of runs of two packs: each row says what differs from a calm second of charging."""

    def make(
        a: PackRows,
        b: PackRows | None = None,
        battery: Sequence[dict[Column, float]] | None = None,
        trips: Sequence[PackTrip] = (),
        hard_openings: int = 0,
        **scenario: object,
    ) -> PacksRun:
        plan = replace(two, **scenario)  # type: ignore[arg-type]  # fields by name
        rows = [
            {Column.TIME_S: plan.start_s + second, Column.DCL_A: 300.0, **row}
            for second, row in enumerate(battery or [{}] * len(a), start=1)
        ]
        packs = []
        for name, of_pack in (("a", a), ("b", b or [{}] * len(a))):
            trace = Trace(PackColumn)
            for row in of_pack:
                values = {**_USUAL, **row}
                trace.add([values[column] for column in PackColumn])
            mine = tuple(trips) if name == "a" else ()
            packs.append(PackRun(name, plan.packs[name], trace, mine, hard_openings if name == "a" else 0))
        return PacksRun(Run(plan, "by hand", make_trace(rows), ()), plan, tuple(packs))

    return make
