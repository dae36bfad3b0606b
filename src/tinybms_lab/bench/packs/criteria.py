"""What a run of several packs amounts to pack by pack, and what has to hold for each of them and for all."""

import math
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_lab.bench.criteria import CriterionViolation
from tinybms_lab.bench.lives import FOLLOW_S, FROST_LEAST_C, FROST_SHARE, most_charge_c
from tinybms_lab.bench.metrics import FROST_GRACE_S
from tinybms_lab.bench.packs.loop import PackColumn, PackRun, PacksRun, PackTrip
from tinybms_lab.bench.packs.plan import PackFault, PacksScenario
from tinybms_lab.bench.protections import Protection
from tinybms_lab.bench.trace import Column, Trace

__all__ = ["PACK_CRITERIA", "PackMetrics", "PacksMetrics", "RiseWhileAway", "measure_packs", "pack_violations"]

PACK_CRITERIA = (
    "no over-voltage protection of any pack trips, and its highest cell stays 10 mV below the cut-off",
    "no other protection of any pack trips that better limits would have prevented",
    "no pack carries more than it alone would bear for more than 3 s, equalising current apart",
    "the charge switch of no pack opens with more than 2 A or 0.02C",
    "no more flows into a pack than plates no lithium at the temperature of its cells",
    "every pack becomes as full as a scenario demands, whatever the counters say",
    "no limit rises while a pack is away, or gives nothing in a direction",
    "DCL is above 0 and loads are served whenever one healthy pack that is heard can carry them",
)
"""Beside those of a single battery, which hold for all packs as one."""

_HEADROOM_MV = 10.0
_OVER_S = 3.0
_DARK_S = 3.0
_FIRST_S = 60.0
"""A run begins with the ramps of a start."""
_PATH_S, _PATH_STEPS = 5.0, 4.0
"""A limit that falls is obeyed so much later: a burst, a loop of the GX of 3 s, and the lag of chargers and inverter;
besides so many steps of the bench, each of which is one reading: three of them confirm, and the next decision goes out.
Until then the limit before counts."""
_PLAY_A, _PLAY_SHARE = 0.9, 0.02
"""What a sensor with a dead band of 0.8 A and an error of 0.5 % makes of a limit, with its offset and noise."""
_CHANGE_S = 12.0
"""So long after a pack has gone or come currents are those that were decided before: the path, and a trip that it ends
in, whose recovery takes 5 s."""
_CURRENTS = frozenset({Protection.CHARGE_CURRENT, Protection.DISCHARGE_CURRENT})
_BEFORE_S = 30.0
_RESOLUTION = 0.05
_CHARGES_A = 0.8


@dataclass(frozen=True, slots=True)
class PackMetrics:
    """Measures of one pack. Voltages of cells are true ones."""

    name: str
    highest_cell_v: float
    headroom_mv: float
    """Over-voltage cutoff less the highest cell."""
    lowest_cell_v: float
    trips: dict[str, int]
    avoidable_trips: dict[str, int]
    over_charge_s: float
    """Longest time in a row with more charge current than it bears alone, equalising current apart."""
    over_charge_a: float
    """By how much, at most, once that lasted too long."""
    over_discharge_s: float
    over_discharge_a: float
    equalising_a: float
    """Largest current between it and the others."""
    plating_min: float
    hard_openings: int
    top_percent: float
    """Highest true state of charge."""
    end_percent: float


@dataclass(frozen=True, slots=True)
class RiseWhileAway:
    """A limit that rose while a pack was away."""

    fault: PackFault
    limit: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class PacksMetrics:
    """Measures of a run beside those of the battery as one."""

    packs: tuple[PackMetrics, ...]
    rises: tuple[RiseWhileAway, ...]
    dark_s: float
    """Longest time in a row without loads although a healthy pack could have carried them."""

    @property
    def over_s(self) -> float:
        """Longest time with more current than a pack bears alone, of any pack in any direction."""
        return max((max(pack.over_charge_s, pack.over_discharge_s) for pack in self.packs), default=0.0)

    @property
    def equalising_a(self) -> float:
        """Largest current between packs."""
        return max((pack.equalising_a for pack in self.packs), default=0.0)


def measure_packs(run: PacksRun) -> PacksMetrics:
    """Return the measures of a run."""
    return PacksMetrics(
        tuple(_measure(pack, run) for pack in run.packs),
        tuple(rise for fault in run.scenario.pack_faults for rise in _rises(run, fault)),
        _dark_s(run),
    )


def pack_violations(metrics: PacksMetrics, scenario: PacksScenario) -> tuple[CriterionViolation, ...]:
    """Return what a run does not hold, pack by pack; empty when it holds everything."""
    found = [*_of_packs(metrics, scenario), *_of_all(metrics)]
    return tuple(violation for violation in found if violation.name not in scenario.excused)


def _of_packs(metrics: PacksMetrics, scenario: PacksScenario) -> Iterator[CriterionViolation]:
    for pack in metrics.packs:
        told = f"pack {pack.name}: "
        if pack.headroom_mv < _HEADROOM_MV:
            text = f"highest cell {pack.highest_cell_v:.3f} V, {pack.headroom_mv:.0f} mV below its cut-off"
            yield CriterionViolation("headroom", told + text)
        if pack.avoidable_trips:
            trips = ", ".join(f"{name} {count} times" for name, count in pack.avoidable_trips.items())
            yield CriterionViolation("trips", f"{told}protections tripped that limits can prevent: {trips}")
        for over_s, over_a, way in (
            (pack.over_charge_s, pack.over_charge_a, "charged"),
            (pack.over_discharge_s, pack.over_discharge_a, "discharged"),
        ):
            if over_s > _OVER_S:
                text = f"{way} with {over_a:.1f} A more than it bears alone, for {over_s:.0f} s"
                yield CriterionViolation("own limit", told + text)
        if pack.hard_openings:
            yield CriterionViolation("switch", f"{told}its switch opened under current {pack.hard_openings} times")
        if pack.plating_min > 0.0:
            text = f"more current than its cold cells take flowed in for {pack.plating_min:.1f} min"
            yield CriterionViolation("plating", told + text)
        if pack.top_percent < scenario.pack_top_percent:
            text = f"it gets to {pack.top_percent:.1f} % only, not {scenario.pack_top_percent:g} %"
            yield CriterionViolation("pack full", told + text)


def _of_all(metrics: PacksMetrics) -> Iterator[CriterionViolation]:
    for rise in metrics.rises:
        text = f"{rise.limit} rose from {rise.before:.1f} to {rise.after:.1f}"
        yield CriterionViolation("rise", f"{text} while pack {rise.fault.pack} was {rise.fault.kind.value}")
    if metrics.dark_s > _DARK_S:
        text = f"loads in the dark for {metrics.dark_s:.0f} s although a healthy pack could carry them"
        yield CriterionViolation("lights", text)


def _measure(pack: PackRun, run: PacksRun) -> PackMetrics:
    ratings = pack.plan.battery.ratings()
    highest_v = max(pack.trace.column(PackColumn.HIGHEST_V))
    socs = pack.trace.column(PackColumn.SOC_PERCENT)
    over_charge_s, over_charge_a = _over(pack.trace, run.battery.trace, charge=True)
    over_discharge_s, over_discharge_a = 0.0, 0.0
    if not run.scenario.system.island:  # whose inverter hears no DCL but 0
        over_discharge_s, over_discharge_a = _over(pack.trace, run.battery.trace, charge=False)
    return PackMetrics(
        name=pack.name,
        highest_cell_v=highest_v,
        headroom_mv=(ratings.over_voltage_cell_v - highest_v) * 1000.0,
        lowest_cell_v=min(pack.trace.column(PackColumn.LOWEST_V)),
        trips=dict(Counter(trip.protection.label for trip in pack.trips)),
        avoidable_trips=dict(
            Counter(trip.protection.label for trip in pack.trips if not _unavoidable(trip, pack, run))
        ),
        over_charge_s=over_charge_s,
        over_charge_a=over_charge_a,
        over_discharge_s=over_discharge_s,
        over_discharge_a=over_discharge_a,
        equalising_a=max(abs(current_a) for current_a in pack.trace.column(PackColumn.EQUALISING_A)),
        plating_min=_plating_s(pack, run.battery.trace) / 60.0,
        hard_openings=pack.hard_openings,
        top_percent=max(socs),
        end_percent=socs[-1],
    )


def _over(pack: Trace, battery: Trace, *, charge: bool) -> tuple[float, float]:
    """Return the longest time above what a pack bears alone, and by how much it was above once that was too long."""
    sign = 1.0 if charge else -1.0
    own = PackColumn.OWN_CHARGE_A if charge else PackColumn.OWN_DISCHARGE_A
    longest_s = since_s = most_a = 0.0
    before: deque[tuple[float, float]] = deque()
    """Times and limits of the last seconds, of which none is followed by a higher one."""
    columns = (
        battery.column(Column.TIME_S),
        battery.column(Column.STEP_S),
        pack.column(PackColumn.CURRENT_A),
        pack.column(PackColumn.EQUALISING_A),
        pack.column(own),
    )
    for time_s, step_s, current_a, equalising_a, own_a in zip(*columns, strict=True):
        while before and before[-1][1] <= own_a:
            before.pop()
        before.append((time_s, own_a))
        while time_s - before[0][0] > _PATH_S + _PATH_STEPS * step_s:
            before.popleft()
        limit_a = before[0][1]
        driven_a = sign * current_a - max(sign * equalising_a, 0.0)
        over_a = driven_a - limit_a * (1.0 + _PLAY_SHARE) - _PLAY_A
        since_s = since_s + step_s if over_a > 0.0 else 0.0
        longest_s = max(longest_s, since_s)
        if since_s > _OVER_S:
            most_a = max(most_a, driven_a - limit_a)
    return longest_s, most_a


def _unavoidable(trip: PackTrip, pack: PackRun, run: PacksRun) -> bool:
    """Return whether no limit could have prevented a trip: by the current between the packs, or by an island's loads.

    A pack that is empty before the others is left to its BMS, which takes it alone out of the discharge. When a pack
    goes, the others carry its part at once, seconds before any limit can reach a charger.
    """
    ratings = pack.plan.battery.ratings()
    driven_a = trip.current_a - trip.equalising_a
    if trip.protection in _CURRENTS and _just_changed(trip.time_s, run.scenario):
        return True
    match trip.protection:
        case Protection.CHARGE_CURRENT:
            return driven_a <= ratings.charge_over_current_a
        case Protection.DISCHARGE_CURRENT:
            return run.scenario.system.island or -driven_a <= ratings.discharge_over_current_a
        case Protection.DISCHARGED:
            return run.scenario.system.island or len(run.packs) > 1
        case Protection.COLD_CHARGE:
            return driven_a <= _CHARGES_A or _charged_in_frost_s(trip, pack, run) <= FROST_GRACE_S
        case _:
            return False


def _just_changed(time_s: float, scenario: PacksScenario) -> bool:
    edges_s = [at_s for fault in scenario.pack_faults for at_s in (fault.after_s, fault.until_s)]
    return any(0.0 <= time_s - scenario.start_s - at_s <= _CHANGE_S for at_s in edges_s)


def _charged_in_frost_s(trip: PackTrip, pack: PackRun, run: PacksRun) -> float:
    """Return for how long this pack was charged in its frost, until a trip, equalising current apart."""
    cold_c = pack.plan.battery.ratings().low_temperature_charge_c
    charged_s = 0.0
    columns = (
        run.battery.trace.column(Column.TIME_S),
        run.battery.trace.column(Column.STEP_S),
        pack.trace.column(PackColumn.COLDEST_C),
        pack.trace.column(PackColumn.CURRENT_A),
        pack.trace.column(PackColumn.EQUALISING_A),
    )
    for time_s, step_s, coldest_c, current_a, equalising_a in zip(*columns, strict=True):
        if time_s > trip.time_s:
            break
        if coldest_c < cold_c and current_a - max(equalising_a, 0.0) > _CHARGES_A:
            charged_s += step_s
    return charged_s


def _plating_s(pack: PackRun, battery: Trace) -> float:
    """Return for how long more flowed in than cold cells take, equalising current apart, beyond what is followed."""
    plan = pack.plan.battery
    plating_s = since_s = 0.0
    columns = (
        battery.column(Column.STEP_S),
        pack.trace.column(PackColumn.COLDEST_C),
        pack.trace.column(PackColumn.CURRENT_A),
        pack.trace.column(PackColumn.EQUALISING_A),
    )
    for step_s, coldest_c, current_a, equalising_a in zip(*columns, strict=True):
        most_c = max(FROST_SHARE * most_charge_c(plan.chemistry, coldest_c), FROST_LEAST_C)
        plates = current_a - max(equalising_a, 0.0) > most_c * plan.capacity_ah
        since_s = since_s + step_s if plates else 0.0
        if since_s > FOLLOW_S:
            plating_s += since_s if since_s - step_s <= FOLLOW_S else step_s
    return plating_s


def _rises(run: PacksRun, fault: PackFault) -> Iterator[RiseWhileAway]:
    """Yield each limit that was higher while a pack was away than in the half minute before."""
    if fault.after_s < _FIRST_S:
        return
    start_s, trace = run.scenario.start_s, run.battery.trace
    from_s, to_s = start_s + fault.after_s, start_s + min(fault.until_s, run.scenario.hours * 3600.0)
    decided_s = trace.column(Column.DECIDED_S)  # what is still on its way was decided before
    for limit, column in (("CVL", Column.CVL_V), ("CCL", Column.CCL_A), ("DCL", Column.DCL_A)):
        told = [pair for pair in zip(decided_s, trace.column(column), strict=True) if not math.isnan(pair[1])]
        before = [value for at_s, value in told if from_s - _BEFORE_S <= at_s < from_s]
        after = [value for at_s, value in told if from_s <= at_s < to_s]
        if before and after and max(after) > max(before) + _RESOLUTION:
            yield RiseWhileAway(fault, limit, max(before), max(after))


def _dark_s(run: PacksRun) -> float:
    """Return the longest time with DCL at 0, or in an island without loads, although one pack could carry them."""
    island = run.scenario.system.island
    names = (Column.TIME_S, Column.STEP_S, Column.DCL_A, Column.LOAD_W, Column.SERVED_W)
    carries = [pack.trace.column(PackColumn.CARRIES) for pack in run.packs]
    longest_s = since_s = 0.0
    for row, *able in zip(zip(*(run.battery.trace.column(name) for name in names), strict=True), *carries, strict=True):
        time_s, step_s, dcl_a, load_w, served_w = row
        dark = not dcl_a > 0.0 or (island and load_w - served_w > 1.0)
        dark = dark and any(able) and time_s > run.scenario.start_s + _FIRST_S
        since_s = since_s + step_s if dark else 0.0
        longest_s = max(longest_s, since_s)
    return longest_s
