"""The bar for several packs: each criterion can fail, by hand here and in the closed loop in test_too_simple."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tinybms_lab.bench.packs.criteria import PACK_CRITERIA, measure_packs, pack_violations
from tinybms_lab.bench.packs.loop import PackColumn, PacksRun, PackTrip
from tinybms_lab.bench.packs.plan import PackFault, PackFaultKind
from tinybms_lab.bench.protections import Protection
from tinybms_lab.bench.trace import Column
from tinybms_lab.gx.dvcc import SystemPlan

Rows = list[dict[PackColumn, float]]
MakePacksRun = Callable[..., PacksRun]
GRID = SystemPlan(island=False)
LONG = 200
"""Seconds of a run made by hand; a start is over after sixty of them."""


def broken(run: PacksRun) -> list[tuple[str, str]]:
    """Return what a run does not hold."""
    return [(each.name, each.text) for each in pack_violations(measure_packs(run), run.scenario)]


def test_a_good_run_holds_everything(make_packs_run: MakePacksRun) -> None:
    """40 A into each of two packs that bear 100 A."""
    assert broken(make_packs_run([{}] * LONG)) == []


def test_each_criterion_is_told_with_pack_and_number(make_packs_run: MakePacksRun) -> None:
    """One word for the table, one sentence for the reader; all of them at once."""
    over = {PackColumn.CURRENT_A: 120.0}
    bad: Rows = [{}] * 100 + [over] * 4 + [{PackColumn.HIGHEST_V: 3.745}] + [{}] * 95
    run = make_packs_run(
        bad,
        battery=[{}] * 150 + [{Column.DCL_A: 0.0}] * 50,
        trips=[PackTrip(43_300.0, Protection.OVER_HEAT, 40.0, 0.0)],
        hard_openings=2,
        pack_top_percent=97.0,
    )

    assert broken(run) == [
        ("headroom", "pack a: highest cell 3.745 V, 5 mV below its cut-off"),
        ("trips", "pack a: protections tripped that limits can prevent: over-heat 1 times"),
        ("own limit", "pack a: charged with 20.0 A more than it bears alone, for 4 s"),
        ("switch", "pack a: its switch opened under current 2 times"),
        ("pack full", "pack a: it gets to 90.0 % only, not 97 %"),
        ("pack full", "pack b: it gets to 90.0 % only, not 97 %"),
        ("lights", "loads in the dark for 50 s although a healthy pack could carry them"),
    ]
    assert len(PACK_CRITERIA) == 8


@pytest.mark.parametrize("seconds", [3, 4])
def test_three_seconds_above_the_own_limit_are_free(make_packs_run: MakePacksRun, seconds: int) -> None:
    """More in a row are too long."""
    rows: Rows = [{}] * 50 + [{PackColumn.CURRENT_A: 120.0}] * seconds + [{}] * 50

    assert bool(broken(make_packs_run(rows))) is (seconds > 3)


def test_discharge_has_a_limit_too(make_packs_run: MakePacksRun) -> None:
    """On a grid; in an island the inverter hears no DCL but 0."""
    rows: Rows = [{}] * 50 + [{PackColumn.CURRENT_A: -170.0}] * 10 + [{}] * 50

    assert [name for name, _ in broken(make_packs_run(rows, system=GRID))] == ["own limit"]
    assert broken(make_packs_run(rows)) == []


def test_current_between_the_packs_is_apart(make_packs_run: MakePacksRun) -> None:
    """No limit can stop it; what chargers put on top counts by itself, and one that flows out is no excuse."""
    joins = {PackColumn.CURRENT_A: 170.0, PackColumn.EQUALISING_A: 80.0}
    against = {PackColumn.CURRENT_A: 120.0, PackColumn.EQUALISING_A: -30.0}
    on_top = {PackColumn.CURRENT_A: 200.0, PackColumn.EQUALISING_A: 80.0}

    assert broken(make_packs_run([{}] * 50 + [joins] * 50)) == []
    assert [name for name, _ in broken(make_packs_run([{}] * 50 + [against] * 50))] == ["own limit"]
    assert [name for name, _ in broken(make_packs_run([{}] * 50 + [on_top] * 50))] == ["own limit"]


def test_a_limit_that_falls_needs_its_way(make_packs_run: MakePacksRun) -> None:
    """Readings, burst, loop of the GX and chargers: nine seconds at one reading a second, and three more are free."""
    falls = {PackColumn.CURRENT_A: 90.0, PackColumn.OWN_CHARGE_A: 25.0}

    assert broken(make_packs_run([{}] * 50 + [falls] * 12 + [{}] * 50)) == []
    assert [name for name, _ in broken(make_packs_run([{}] * 50 + [falls] * 14 + [{}] * 50))] == ["own limit"]


@pytest.mark.parametrize(
    ("trip", "scenario", "avoidable"),
    [
        (PackTrip(43_300.0, Protection.OVER_VOLTAGE, 40.0, 0.0), {}, True),
        (PackTrip(43_300.0, Protection.CHARGE_CURRENT, 110.0, 0.0), {}, True),
        (PackTrip(43_300.0, Protection.CHARGE_CURRENT, 110.0, 60.0), {}, False),
        (PackTrip(43_300.0, Protection.DISCHARGE_CURRENT, -160.0, 0.0), {}, False),  # an island hears no DCL
        (PackTrip(43_300.0, Protection.DISCHARGE_CURRENT, -160.0, 0.0), {"system": GRID}, True),
        (PackTrip(43_300.0, Protection.DISCHARGE_CURRENT, -160.0, -60.0), {"system": GRID}, False),
        (PackTrip(43_300.0, Protection.DISCHARGED, -40.0, 0.0), {"system": GRID}, False),  # its BMS takes it out alone
        (PackTrip(43_300.0, Protection.UNDER_VOLTAGE, -40.0, 0.0), {}, True),
        (PackTrip(43_300.0, Protection.COLD_CHARGE, 10.0, 10.0), {}, False),
    ],
)
def test_trips_that_no_limit_can_prevent_do_not_count(
    make_packs_run: MakePacksRun, trip: PackTrip, scenario: dict[str, object], avoidable: bool
) -> None:
    """By the current between the packs, by the loads of an island, or since the pack is left to its BMS."""
    run = make_packs_run([{}] * LONG, trips=[trip], **scenario)

    assert [name for name, _ in broken(run)] == (["trips"] if avoidable else [])
    assert measure_packs(run).packs[0].trips == {trip.protection.label: 1}


def test_frost_counts_once_it_was_charged_for_long(make_packs_run: MakePacksRun) -> None:
    """A charge that flows already needs half a minute to end."""
    frost = {PackColumn.COLDEST_C: -2.0, PackColumn.OWN_CHARGE_A: 100.0, PackColumn.CURRENT_A: 1.5}
    trip = [PackTrip(43_300.0, Protection.COLD_CHARGE, 1.5, 0.0)]

    assert broken(make_packs_run([{}] * 80 + [frost] * 20 + [{}] * 100, trips=trip)) == []
    assert [name for name, _ in broken(make_packs_run([{}] * 40 + [frost] * 60 + [{}] * 100, trips=trip))] == ["trips"]


def test_the_others_carry_the_part_of_a_pack_that_has_just_gone(make_packs_run: MakePacksRun) -> None:
    """Their over-current protection is faster than any limit; ten seconds later it is not."""
    gone = (PackFault("b", PackFaultKind.PULLED, 90.0),)
    soon = [PackTrip(43_292.0, Protection.CHARGE_CURRENT, 120.0, 0.0)]
    late = [PackTrip(43_310.0, Protection.CHARGE_CURRENT, 120.0, 0.0)]

    assert broken(make_packs_run([{}] * LONG, trips=soon, pack_faults=gone)) == []
    assert [name for name, _ in broken(make_packs_run([{}] * LONG, trips=late, pack_faults=gone))] == ["trips"]


def test_cold_cells_of_one_pack_take_little(make_packs_run: MakePacksRun) -> None:
    """40 A are 0.4C, far more than 0.12C at 5 °C, for longer than chargers need to follow."""
    cold = {PackColumn.COLDEST_C: 5.0}

    assert broken(make_packs_run([{}] * 50 + [cold] * 30 + [{}] * 50)) == []
    assert [name for name, _ in broken(make_packs_run([{}] * 50 + [cold] * 40 + [{}] * 50))] == ["plating"]


@pytest.mark.parametrize("kind", PackFaultKind)
@pytest.mark.parametrize(("column", "limit"), [(Column.CVL_V, "CVL"), (Column.CCL_A, "CCL"), (Column.DCL_A, "DCL")])
def test_no_limit_rises_while_a_pack_is_away(
    make_packs_run: MakePacksRun, kind: PackFaultKind, column: Column, limit: str
) -> None:
    """Whatever it is that the pack does not do; before and afterwards limits may rise."""
    fault = (PackFault("b", kind, 100.0, 50.0),)
    low, high = {column: 50.0}, {column: 52.0}
    later = [low] * 155 + [high] * 45
    within = [low] * 120 + [high] * 80

    assert broken(make_packs_run([{}] * LONG, battery=later, pack_faults=fault)) == []
    assert broken(make_packs_run([{}] * LONG, battery=within, pack_faults=fault)) == [
        ("rise", f"{limit} rose from 50.0 to 52.0 while pack b was {kind.value}")
    ]


@pytest.mark.parametrize(
    ("battery", "carries", "dark"),
    [
        ({Column.DCL_A: 0.0}, 1.0, True),
        ({Column.DCL_A: float("nan")}, 1.0, True),
        ({Column.SERVED_W: 0.0}, 1.0, True),
        ({Column.DCL_A: 0.0}, 0.0, False),
    ],
)
def test_lights_are_on_while_one_pack_can_carry_them(
    make_packs_run: MakePacksRun, battery: dict[Column, float], carries: float, dark: bool
) -> None:
    """DCL 0, no frames, or an island without power; where no pack can, nothing is asked."""
    rows = [{PackColumn.CARRIES: carries}] * LONG
    off = [{PackColumn.CARRIES: 0.0}] * LONG
    run = make_packs_run(rows, off, battery=[{}] * 100 + [battery] * 20 + [{}] * 80)

    assert [name for name, _ in broken(run)] == (["lights"] if dark else [])


def test_a_scenario_may_excuse_what_it_says_why(make_packs_run: MakePacksRun) -> None:
    """By the name of the criterion."""
    run = make_packs_run([{}] * LONG, hard_openings=1)
    excused = replace(run.scenario, excused=("switch",))

    assert pack_violations(measure_packs(run), run.scenario)
    assert pack_violations(measure_packs(run), excused) == ()
