"""Several packs in parallel: equal and unequal ones, counters that disagree, packs that come and go, and a month.

Each pack is one of 16 LFP cells and 100 Ah, which its BMS lets be charged with 100 A and discharged with 150 A; the sun
gives more than that, so that CCL binds.
"""

from collections.abc import Sequence
from dataclasses import replace

from tinybms_lab.bench.battery import BatteryPlan, OddCell
from tinybms_lab.bench.dirt import Outliers, SensorPlan
from tinybms_lab.bench.packs.plan import PackFault, PackFaultKind, PacksScenario, ParallelPack, as_one
from tinybms_lab.bench.scenario import Bar, Bound, What
from tinybms_lab.bench.scenarios.parts import HOUR_S, LIGHTS, top_balanced
from tinybms_lab.bench.weather import ClearSky, Constant, Days, Profile, Steps
from tinybms_lab.bms.bank import CABLE_OHM, pack_names
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

_PACK = BatteryPlan(
    capacity_ah=100.0,
    charge_cutoff_a=100.0,
    discharge_cutoff_a=150.0,
    peak_cutoff_a=250.0,
    soc=0.5,
    soc_spread=0.005,
    finished_a=1.0,
)
_WORN = replace(
    _PACK,
    capacity_ah=60.0,
    charge_cutoff_a=60.0,
    discharge_cutoff_a=90.0,
    peak_cutoff_a=150.0,
    odd=(OddCell(9, capacity_factor=0.92, resistance_factor=2.0),),
)
"""60 % of the capacity, and one cell of it worse than the others."""
_RESISTIVE = replace(_PACK, odd=tuple(OddCell(index, resistance_factor=2.2) for index in range(16)))
"""Twice the resistance of the others, cables included."""
_BAD_CONTACT_OHM, _LONG_CABLE_OHM = 0.012, 0.014
_FOLLOWS_PACKS = ("DCL turns",)
"""DCL follows a pack that goes, that comes back apart from the others, and whose BMS cuts what then flows between."""
_BEGIN_S, _MINUTE_S = 600.0, 60.0
"""What happens to a pack happens when CVL and the currents have come to their values."""


def _system(count: int, *, island: bool = True, feed_in: bool = False) -> SystemPlan:
    """Return an installation that could charge and load so many packs with more than they bear."""
    return SystemPlan(
        island=island,
        feed_in=feed_in,
        solar_max_a=150.0 * count,
        inverter_max_w=9000.0 * count,
        export_max_w=6000.0 * count,
    )


def _sensors(number: int) -> SensorPlan:
    """Return sensors that err, each in its own way: offsets of both signs, and the dead band of 0.8 A."""
    offset_a = (0.1, -0.3, 0.25, -0.1, 0.3)[number % 5]
    return SensorPlan(current_offset_a=offset_a, current_gain_error=(0.005, -0.005, 0.003)[number % 3])


_STRAY = tuple(Outliers(after_s, 1.0, ((3, 0.4), (11, -0.3))) for after_s in (200.0, 1300.0, 5000.0))
"""Single readings with one cell too high and one too low."""


def _together(battery: BatteryPlan) -> BatteryPlan:
    """Return a pack whose cells are full all together, and as odd besides as they were."""
    balanced, odd = top_balanced(battery), {cell.index: cell for cell in battery.odd}
    cells = [
        replace(odd[cell.index], capacity_factor=cell.capacity_factor * odd[cell.index].capacity_factor)
        if cell.index in odd
        else cell
        for cell in balanced.odd
    ]
    return replace(balanced, odd=tuple(cells))


def _packs(batteries: Sequence[BatteryPlan]) -> dict[str, ParallelPack]:
    """Return packs by name, each with its cells full together; the line of the second one spoils a few readings."""
    return {
        name: ParallelPack(_together(battery), sensors=_sensors(number), dirt=_STRAY if number == 1 else ())
        for number, (name, battery) in enumerate(zip(pack_names(len(batteries)), batteries, strict=True))
    }


def _scenario(
    name: str,
    title: str,
    batteries: Sequence[BatteryPlan],
    *,
    sun: Profile | None = None,
    load: Profile | None = None,
    hours: float = 4.0,
    system: SystemPlan | None = None,
    faults: tuple[PackFault, ...] = (),
    bounds: tuple[Bound, ...] = (),
    top_percent: float = 97.0,
    expects_float: bool = True,
    most_short_percent: float = 3.0,
    packs: dict[str, ParallelPack] | None = None,
    excused: tuple[str, ...] = (),
) -> PacksScenario:
    plans = packs or _packs(batteries)
    count = len(plans)
    return PacksScenario(
        name,
        title,
        battery=as_one(list(plans.values())),
        packs=plans,
        system=system or _system(count),
        sun=sun or ClearSky(11_000.0 * count),
        load=load or Constant(300.0 * count),
        start_h=9.0,
        hours=hours,
        pack_faults=faults,
        bounds=bounds,
        pack_top_percent=top_percent,
        expects_float=expects_float,
        most_short_percent=most_short_percent,
        excused=excused,
    )


def _aged(number: int) -> BatteryPlan:
    """Return one of sixteen packs of mixed age: less capacity and more resistance the older it is."""
    age = number % 4
    left = (1.0, 0.92, 0.85, 0.75)[age]
    return replace(
        _PACK,
        capacity_ah=100.0 * left,
        charge_cutoff_a=100.0 * left,
        discharge_cutoff_a=150.0 * left,
        soc=0.55 + 0.01 * (number % 7 - 3),
        soc_error_percent=(0.0, 6.0, -8.0, 3.0, -4.0)[number % 5],
        odd=(OddCell(number, resistance_factor=1.0 + 0.4 * age),),
    )


_IN_THE_COLD = replace(_packs([replace(_PACK, temperature_c=6.0)] * 3)["c"], ambient=Constant(6.0))
_COUNTERS = (50.0, 80.0, 95.0, 100.0)
_LOADED = Steps(6000.0, ((9.0 * HOUR_S + 300.0, 30_000.0),))
"""On a grid, whose GX obeys DCL: a load that shows how the current divides, then more than four packs let out."""
_THREE_CARRY = Constant(20_500.0)
"""More than DCL of three of these packs, and less than makes their BMS cut it."""
_GRID = _system(4, island=False)
_NIGHT = Constant(0.0)


def _joining(cable_ohm: float) -> dict[str, ParallelPack]:
    """Return four packs of which the last one has been empty, behind such a cable."""
    packs = _packs([_PACK, _PACK, _PACK, replace(_PACK, soc=0.105)])
    return {**packs, "d": replace(packs["d"], cable_ohm=cable_ohm)}


def _month() -> PacksScenario:
    """Return 30 days of sun and cloud with a worn pack, one that reads too little and one that is silent for a day."""
    day_s = 24.0 * HOUR_S
    batteries = [replace(battery, soc=0.6) for battery in (_PACK, _PACK, _WORN, _PACK)]
    plans = _packs(batteries)
    capacity_ah = sum(battery.capacity_ah for battery in batteries)
    one_c_w = capacity_ah * 16 * _PACK.kind.ocv_v(0.5)
    week = (1.0, 1.0, 0.6, 1.0, 0.3, 1.0, 0.15)
    load_w = 0.03 * one_c_w
    evenings = [
        (day * day_s + hour * HOUR_S, share * load_w)
        for day in range(30)
        for hour, share in ((7.0, 1.0), (17.0, 1.8), (23.0, 0.7))
    ]
    return PacksScenario(
        "packs-month",
        "30 days of sun and cloud with four packs: a worn one, sensors that drift apart, one silent for six hours",
        battery=as_one(list(plans.values())),
        packs=plans,
        system=replace(_system(4), solar_max_a=0.28 * 1.2 * capacity_ah),
        sun=Days(tuple(0.28 * one_c_w * week[day % 7] for day in range(30))),
        load=Steps(0.7 * load_w, tuple(evenings)),
        start_h=0.0,
        hours=24.0 * 30 - 5.0,
        step_s=5.0,
        longest_step_s=60.0,
        poll_s=1.0,
        pack_faults=(PackFault("b", PackFaultKind.SILENT, 10.0 * day_s + 8.0 * HOUR_S, 6.0 * HOUR_S),),
        pack_top_percent=97.0,
        bar=Bar(high_h_per_day=1.0, high_h_usual_day=0.5, count_error_percent=4.0, count_from_h=40.0, top_percent=98.0),
    )


SCENARIOS: tuple[PacksScenario, ...] = (
    _scenario("packs-equal", "Four equal packs, more sun than CCL", [_PACK] * 4),
    _scenario("packs-weak", "One of four has 60 % of the capacity, and worn cells", [_PACK, _PACK, _WORN, _PACK]),
    _scenario(
        "packs-resistance",
        "One of four has twice the resistance: the others carry more than a quarter each",
        [_PACK, _PACK, _PACK, _RESISTIVE],
    ),
    _scenario(
        "packs-contact",
        "One of four has a bad contact of 10 mOhm, behind which its BMS sees another voltage",
        [_PACK] * 4,
        packs={
            name: replace(plan, cable_ohm=_BAD_CONTACT_OHM if name == "d" else plan.cable_ohm)
            for name, plan in _packs([_PACK] * 4).items()
        },
    ),
    _scenario(
        "packs-load",
        "More load than four packs let out, on a grid; one of them has twice the resistance",
        [replace(battery, soc=0.9) for battery in (_PACK, _PACK, _PACK, _RESISTIVE)],
        sun=_NIGHT,
        load=_LOADED,
        hours=0.4,
        system=_GRID,
        top_percent=0.0,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(Bound(What.DCL, least=300.0),),
    ),
    _scenario(
        "packs-counters",
        "Counters that say 50, 80, 95 and 100 % of packs that hold 60 %",
        [replace(_PACK, soc=0.6, soc_error_percent=count - 60.0) for count in _COUNTERS],
    ),
    _scenario(
        "packs-counters-sale",
        "The same counters while surplus is sold",
        [replace(_PACK, soc=0.6, soc_error_percent=count - 60.0) for count in _COUNTERS],
        sun=ClearSky(18_000.0),
        system=_system(4, island=False, feed_in=True),
    ),
    _scenario(
        "packs-cut",
        "One BMS cuts its charge for two hours, out of a false over-voltage: the others are charged",
        [_PACK] * 4,
        faults=(PackFault("b", PackFaultKind.CHARGE_CUT, _BEGIN_S, 2.0 * HOUR_S),),
        hours=30.0,
        bounds=(
            Bound(What.CCL, least=150.0, from_s=_BEGIN_S + 5.0 * _MINUTE_S, to_s=_BEGIN_S + 20.0 * _MINUTE_S),
            LIGHTS,
        ),
    ),
    _scenario(
        "packs-empty-cell",
        "One pack has a cell that is empty long before its others, at night in an island",
        [_PACK, _PACK, replace(_PACK, odd=(OddCell(4, soc_offset=-0.48),)), _PACK],
        sun=_NIGHT,
        load=Constant(4000.0),
        hours=1.5,
        top_percent=0.0,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(LIGHTS, Bound(What.DCL, least=100.0, from_s=10.0 * _MINUTE_S)),
    ),
    _scenario(
        "packs-silent",
        "One BMS is silent for half an hour in the sun, and back",
        [_PACK] * 4,
        faults=(PackFault("c", PackFaultKind.SILENT, _BEGIN_S, 30.0 * _MINUTE_S),),
        bounds=(
            LIGHTS,
            Bound(What.CCL, most=0.0, from_s=_BEGIN_S + 5.0, to_s=_BEGIN_S + 28.0),
            Bound(What.CCL, least=90.0, from_s=_BEGIN_S + 5.0 * _MINUTE_S, to_s=_BEGIN_S + 29.0 * _MINUTE_S),
        ),
    ),
    _scenario(
        "packs-silent-weak",
        "The pack that binds CCL is silent: nothing rises because it is not seen",
        [_PACK, _PACK, _WORN, _PACK],
        faults=(PackFault("c", PackFaultKind.SILENT, _BEGIN_S, 30.0 * _MINUTE_S),),
        bounds=(LIGHTS,),
    ),
    _scenario(
        "packs-join",
        "A pack joins 2 V below the others, over a long cable",
        [],
        packs=_joining(_LONG_CABLE_OHM),
        faults=(PackFault("d", PackFaultKind.PULLED, 0.0, _BEGIN_S),),
        bounds=(
            LIGHTS,
            Bound(What.CCL, most=91.0, from_s=_BEGIN_S + 10.0, to_s=_BEGIN_S + 40.0),
        ),
        hours=5.0,
    ),
    _scenario(
        "packs-join-trips",
        "A pack joins 2 V below the others, and its BMS cuts the current between them again and again",
        [],
        packs=_joining(CABLE_OHM),
        faults=(PackFault("d", PackFaultKind.PULLED, 0.0, _BEGIN_S),),
        bounds=(LIGHTS,),
        hours=5.0,
        excused=_FOLLOWS_PACKS,
    ),
    _scenario(
        "packs-pulled",
        "A pack is pulled under a load that needs all of DCL, on a grid, and put back",
        [replace(_PACK, soc=0.9)] * 4,
        sun=_NIGHT,
        load=_THREE_CARRY,
        hours=0.5,
        system=_GRID,
        faults=(PackFault("b", PackFaultKind.PULLED, _BEGIN_S, 8.0 * _MINUTE_S),),
        top_percent=0.0,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(Bound(What.DCL, least=130.0),),
        excused=_FOLLOWS_PACKS,
    ),
    _scenario(
        "packs-breaker",
        "The breaker of a pack opens in the sun, and its BMS tells of a pack at rest",
        [_PACK] * 4,
        faults=(PackFault("b", PackFaultKind.BREAKER, _BEGIN_S, 20.0 * _MINUTE_S),),
        bounds=(LIGHTS,),
    ),
    _scenario(
        "packs-cold",
        "One of four stands in the cold: at 6 °C it bears an eighth of what the others do",
        [],
        packs={**_packs([_PACK] * 4), "c": _IN_THE_COLD},
        hours=1.5,
        top_percent=0.0,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(LIGHTS, Bound(What.CCL, least=40.0, most=90.0, from_s=5.0 * _MINUTE_S)),
    ),
    _scenario(
        "packs-flaps",
        "The data of a pack comes and goes every eight seconds, for ten minutes",
        [_PACK] * 4,
        faults=tuple(PackFault("b", PackFaultKind.SILENT, _BEGIN_S + 8.0 * number, 5.0) for number in range(75)),
        hours=0.5,
        top_percent=0.0,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(LIGHTS, Bound(What.DCL, least=300.0)),
    ),
    _scenario(
        "packs-hub",
        "A hub resets the adapters of all packs at once, for eight seconds",
        [_PACK] * 4,
        faults=tuple(PackFault(name, PackFaultKind.SILENT, _BEGIN_S, 8.0) for name in "abcd"),
        hours=0.5,
        top_percent=0.0,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(LIGHTS, Bound(What.SILENT, most=0.0), Bound(What.CCL, least=250.0, from_s=_BEGIN_S + 60.0)),
    ),
    _scenario("packs-16", "Sixteen packs of mixed age, their counters apart", [_aged(number) for number in range(16)]),
    _month(),
)
"""In the order of the table."""
