"""How this battery is charged: target, FLOAT, protection and charge currents as one coherent set.

By chemistry the values are those that an expert would choose (charging-physics.md, 2): a target that
fills the cells without keeping them at their highest voltage, a FLOAT at the voltage of a full cell at rest, and a
protection that ends below register 300, where a TinyBMS opens its charger switch. They hang together: a protection that
begins below the target would fight it. So a configuration that sets target, FLOAT voltage or FLOAT rule keeps the
values that the others had before, and ``ChargeDefaults.BEFORE`` keeps them all.

The reasons of its numbers: charge-control.md#when-the-battery-is-full.
"""

import math
from dataclasses import dataclass, replace

from tinybms_bridge.battery.gx import MPPT_OFFSET_V
from tinybms_bridge.battery.limits.curves import Curve, charge_by_cell_before, head_room_v, rising
from tinybms_bridge.battery.limits.fit import Fit
from tinybms_bridge.battery.limits.presets import Chemistry
from tinybms_bridge.battery.limits.settings import ChargeDefaults, LimitSettings
from tinybms_bridge.battery.limits.times import SHORTEST_CVL_INTERVAL_S
from tinybms_bridge.battery.snapshot import Ratings, Switches

__all__ = ["WARM_C", "Charging", "FloatRule", "charging_for", "kept_by", "positive_or"]

_FLOAT_OFFSET_BEFORE_V, _HOLD_BEFORE_A, _THRESHOLD_BEFORE_SHARE = 0.10, 5.0, 0.2
_FLOAT_SOC_PERCENT, _FLOAT_EXIT_SOC_PERCENT = 95.0, 92.0
"""The set before: FLOAT below the target, its current, where protection begins in the head room, FLOAT by SOC."""

_ROOM_V = 0.04
"""Room below register 300 that the set needs: 10 mV to it, as much of a band, and 20 mV from there to the target."""

_BEGINS_BELOW_V, _RELEASE_ABOVE_V, _BAND_V = 0.01, 0.02, 0.01
"""What lies between protection and register 300, target and release, and release and protection."""

_BALANCING_BELOW_V, _BALANCING_RELEASE_BELOW_V = 0.03, 0.02
"""On a balancing day the highest cell is held this far below register 300, and protection ends this far below. The
20 mV from target to release of other days do not fit: 10 mV are left, so that day goes with a small current."""

_AT_FULL_HOLDS = 1.5
"""So many hold currents are left, of register 318, where a cell comes to register 300: the switch opens with them."""

_TAIL_C_RATE, _LONGEST_TAIL_C_RATE = 0.03, 0.05
"""A charge is over at the current of register 304, at least the first; more than the second is no tail: a pack of 20 Ah
with the 5 A that the register allows would be full at 0.25C."""

_SEEN_CURRENTS, _HOLD_C_RATE, _MOST_HOLD_A, _MOST_HOLD_C_RATE = 1.5, 0.005, 2.0, 0.02
"""A TinyBMS bleeds only while it reads a charge current, so the current that is held has to be clearly above what its
board can read; more than the last two would push a full cell up faster than 150 mA of bleeding can follow."""

_SUSTAIN_A, _SUSTAIN_C_RATE = 5.0, 0.1
"""A nearly empty battery takes a tenth of its capacity an hour without harm at any temperature at which it charges."""

_USUAL_CELLS, _WIRE_STEP_V = 16, 0.1
"""Steps were chosen for 16 cells; the frame has no smaller one than the second."""

_STEP_V, _NO_LIMIT_V = 0.4, 1000.0
"""Rise of CVL in one interval; a step that no pack can take where the user wants none; as in the configuration."""


@dataclass(frozen=True, slots=True)
class _Table:
    """One column of the table, volts per cell; gaps are below register 300."""

    target_gap_v: float
    release_gap_v: float
    threshold_gap_v: float
    curve: tuple[tuple[float, float], ...]
    """Volts from the target, fraction of CCL."""
    curve_end_gap_v: float
    curve_end_v: float = math.inf
    """Above the target."""
    most_target_v: float = math.inf
    float_v: float | None = None
    float_below_target_v: float = 0.0
    rebulk_v: float | None = None
    rebulk_below_target_v: float = 0.0
    cold: tuple[tuple[float, float], ...] = ()
    """Degrees Celsius, charge current in C of register 306."""
    relief_v: float = 0.0


_COLD = ((0.0, 0.0), (5.0, 0.12), (10.0, 0.30), (15.0, 0.5), (20.0, 0.7))
"""Makers' tables; above, lithium is plated (charging-physics.md, 2)."""

WARM_C = 25.0
"""From here register 318 alone counts."""

_TABLES = {
    Chemistry.LFP: _Table(
        most_target_v=3.50,
        target_gap_v=0.08,
        release_gap_v=0.06,
        threshold_gap_v=0.03,
        curve=((-0.10, 1.0), (-0.05, 0.25), (0.0, 0.05)),
        curve_end_v=0.08,
        curve_end_gap_v=0.02,
        float_v=3.375,
        rebulk_v=3.30,
        cold=_COLD,
    ),
    Chemistry.LI_ION: _Table(
        target_gap_v=0.04,
        release_gap_v=0.02,
        threshold_gap_v=0.01,
        curve=((-0.10, 1.0), (0.0, 0.1)),
        curve_end_gap_v=0.01,
        float_below_target_v=0.03,
        rebulk_below_target_v=0.15,
        cold=_COLD,
        relief_v=0.10,
    ),
    Chemistry.LTO: _Table(
        target_gap_v=0.06,
        release_gap_v=0.04,
        threshold_gap_v=0.02,
        curve=((-0.10, 1.0), (0.0, 0.1)),
        curve_end_gap_v=0.02,
        float_below_target_v=0.03,
        rebulk_v=2.35,
    ),
}
"""By chemistry. FLOAT of Li-ion and LTO: the reference proposes target - 0.10 V and 2.45 V. Their voltage slopes, so
that is 9 % and 10 % of the charge, which loads and feed-in take out within the afternoon (bench: li-ion, lto), 0.03 V
are 3 and 1 %, and no cell stays at the target for it. Under feed-in with few cells the reference lowers FLOAT by 0.4 V;
the inverter holds the pack at CVL and would sell 64 % of an LFP battery of 4 cells, so FLOAT + 0.4 V is the target
there."""


@dataclass(frozen=True, slots=True)
class FloatRule:
    """When FLOAT begins and ends."""

    follows_full: bool = False
    """It begins when the battery is full and ends when it has been discharged; else SOC alone begins and ends it."""
    soc_percent: float = _FLOAT_SOC_PERCENT
    exit_soc_percent: float = _FLOAT_EXIT_SOC_PERCENT


@dataclass(frozen=True, slots=True)
class Charging:
    """The set in force. Voltages ``_cell_v`` are per cell, others of the whole pack."""

    by_chemistry: bool
    """False where the values before count: ``kept_by`` names the cause."""
    feed_in: bool
    """Solar chargers stand above CVL: target and FLOAT leave room for them."""
    narrow: bool
    """Register 300 and the floor are so close that the distances of the set had to shrink."""
    target_v: float
    target_cell_v: float
    float_v: float
    float_cell_v: float
    float_rule: FloatRule
    rebulk_cell_v: float
    """FLOAT ends when the highest cell without its current stays below."""
    hold_a: float
    """CCL in FLOAT and IMBALANCE_HOLD; 0 = no cap."""
    most_hold_a: float
    """As far as a hold current may be raised where cells still wait to be bled."""
    threshold_cell_v: float
    """Cell voltage above which protection lowers CVL."""
    release_cell_v: float
    """Cell voltage below which it may rise again."""
    ccl_by_cell: Curve
    """Fraction of CCL by the highest cell."""
    relief_v: float
    """How much lower hot cells are kept, per cell."""
    cold: Curve | None
    """Fraction of ``cold_full_a`` by temperature; None where register 320 alone counts."""
    cold_full_a: float
    tail_a: float
    """The highest current of a battery that is full."""
    sustain_ccl_a: float
    cvl_step_v: float
    """Largest rise of CVL in one interval; 0 = no limit."""
    recovery_v_per_s: float
    """How fast protection lets CVL rise again."""
    full_voltage_refused: str = ""
    """Why no balancing day goes to register 300 although the user wants it; empty where it does, or nobody does."""
    balancing: "Charging | None" = None
    """The same on a balancing day, with the highest cell just below register 300; None where there is no such day."""

    @property
    def of_balancing_day(self) -> bool:
        """Whether this is the set of such a day: it has none of its own."""
        return self.by_chemistry and self.balancing is None

    @property
    def follows_full(self) -> bool:
        """Whether FLOAT follows full."""
        return self.float_rule.follows_full

    @property
    def full_drop_percent(self) -> float:
        """How much SOC a full battery may lose and still count as full: the band between start and end of FLOAT."""
        return max(1.0, self.float_rule.soc_percent - self.float_rule.exit_soc_percent)

    def charges_at(self, celsius: float) -> bool:
        """Return whether cells of this temperature bear any charge; True where register 320 alone counts."""
        return self.cold is None or celsius > self.cold.points[0][0] or self.cold.points[0][1] > 0.0

    def cold_a(self, celsius: float) -> float:
        """Return the charge current that cells of this temperature bear; infinite where register 318 alone counts."""
        if self.cold is None or celsius >= WARM_C:
            return math.inf
        return self.cold.at(celsius) * self.cold_full_a


def kept_by(settings: LimitSettings) -> tuple[str, ...]:
    """Return which settings keep the values before; empty where those by chemistry count."""
    states = settings.states
    typed = {
        "defaults": settings.defaults is ChargeDefaults.BEFORE,
        "bulk_voltage_v": settings.bulk_voltage_v is not None,
        "states.float_offset_v": states.float_offset_v is not None,
        "states.float_soc_percent": states.float_soc_percent is not None,
        "states.float_exit_soc_percent": states.float_exit_soc_percent is not None,
    }
    return tuple(name for name, keeps in typed.items() if keeps)


def charging_for(ratings: Ratings, settings: LimitSettings, fit: Fit, *, feed_in: bool = False) -> Charging:
    """Return the set for this battery.

    Where it is by chemistry, for every unit: target + 20 mV <= release < protection <= register 300 - 10 mV per cell,
    and floor <= FLOAT <= target. On a ``narrow`` unit, with less than 40 mV from the floor to register 300, these
    distances shrink alike.
    """
    if kept_by(settings):
        return _before(ratings, settings, fit, feed_in=feed_in)
    return _by_chemistry(ratings, settings, fit, feed_in=feed_in)


def _before(ratings: Ratings, settings: LimitSettings, fit: Fit, *, feed_in: bool) -> Charging:
    states, cells, full_v = settings.states, ratings.series_cells, ratings.fully_charged_cell_v
    offset_v = _FLOAT_OFFSET_BEFORE_V if states.float_offset_v is None else states.float_offset_v
    threshold_v = positive_or(fit.threshold_v, full_v + _THRESHOLD_BEFORE_SHARE * head_room_v(ratings))
    cold = () if settings.defaults is ChargeDefaults.BEFORE else _TABLES[fit.chemistry.chemistry].cold
    float_v = max(fit.target_v - offset_v, fit.floor_v)
    return Charging(
        by_chemistry=False,
        feed_in=feed_in,
        narrow=False,
        target_v=fit.target_v,
        target_cell_v=fit.target_v / cells,
        float_v=float_v,
        float_cell_v=float_v / cells,
        float_rule=FloatRule(
            follows_full=False,
            soc_percent=_typed(states.float_soc_percent, _FLOAT_SOC_PERCENT),
            exit_soc_percent=_typed(states.float_exit_soc_percent, _FLOAT_EXIT_SOC_PERCENT),
        ),
        rebulk_cell_v=fit.preset.no_longer_full_v,
        hold_a=_typed(states.maximum_ccl_in_float_a, _HOLD_BEFORE_A),
        most_hold_a=_typed(states.maximum_ccl_in_float_a, _HOLD_BEFORE_A),
        threshold_cell_v=threshold_v,
        release_cell_v=min(positive_or(fit.release_v, full_v), threshold_v),
        ccl_by_cell=charge_by_cell_before(ratings),
        relief_v=0.0,
        cold=_cold(ratings, settings, cold),
        cold_full_a=_cold_full_a(ratings),
        tail_a=_tail_a(ratings),
        sustain_ccl_a=_typed(states.sustain_ccl_a, _sustain_a(ratings, settings)),
        cvl_step_v=_typed(settings.rates.cvl_step_v, _STEP_V),
        recovery_v_per_s=_recovery_v_per_s(settings, _STEP_V),
    )


def _by_chemistry(ratings: Ratings, settings: LimitSettings, fit: Fit, *, feed_in: bool) -> Charging:
    states, cells, table = settings.states, ratings.series_cells, _TABLES[fit.chemistry.chemistry]
    floor_v = fit.floor_v / cells
    # More than the chemistry tolerates is for an owner who knows it: many LFP units keep a register 300 of 3.7 V.
    full_v = min(ratings.fully_charged_cell_v, max(fit.preset.ceiling_v, fit.ceiling_v / cells))
    scale = max(0.0, min(1.0, (full_v - floor_v) / _ROOM_V))
    highest_v = full_v - _ROOM_V * scale
    near_full_v = min(fit.preset.near_full_v, highest_v)
    wanted_v = max(min(table.most_target_v, full_v - table.target_gap_v, highest_v), near_full_v, floor_v)
    target_v = min(wanted_v * cells, fit.target_v)
    target_cell_v = target_v / cells
    release_v = max(full_v - table.release_gap_v, wanted_v + _RELEASE_ABOVE_V * scale)
    threshold_v = max(full_v - table.threshold_gap_v, release_v + _BAND_V * scale)
    float_v = target_cell_v - table.float_below_target_v if table.float_v is None else table.float_v
    rebulk_v = target_cell_v - table.rebulk_below_target_v if table.rebulk_v is None else table.rebulk_v
    hold_a, most_hold_a = _hold_a(ratings, states.maximum_ccl_in_float_a)
    end_v = max(min(table.curve_end_v, full_v - table.curve_end_gap_v - target_cell_v), 0.01 * scale)
    typed_v, step_v = positive_or(fit.threshold_v, threshold_v), max(_STEP_V * cells / _USUAL_CELLS, _WIRE_STEP_V)
    charging = Charging(
        by_chemistry=True,
        feed_in=feed_in,
        narrow=scale < 1.0,
        target_v=target_v,
        target_cell_v=target_cell_v,
        float_v=float_v * cells,
        float_cell_v=float_v,
        float_rule=FloatRule(follows_full=True),
        rebulk_cell_v=min(rebulk_v, target_cell_v),
        hold_a=hold_a,
        most_hold_a=most_hold_a,
        threshold_cell_v=typed_v,
        release_cell_v=min(positive_or(fit.release_v, release_v), typed_v),
        ccl_by_cell=_curve(target_cell_v, (*table.curve, (end_v, 0.0))),
        relief_v=table.relief_v,
        cold=_cold(ratings, settings, table.cold),
        cold_full_a=_cold_full_a(ratings),
        tail_a=_tail_a(ratings),
        sustain_ccl_a=_typed(states.sustain_ccl_a, _sustain_a(ratings, settings)),
        cvl_step_v=_typed(settings.rates.cvl_step_v, step_v),
        recovery_v_per_s=_recovery_v_per_s(settings, step_v),
    )
    balancing_v, typed_v = (
        max(full_v - _BALANCING_BELOW_V * scale, wanted_v),
        positive_or(fit.threshold_v, full_v - _BEGINS_BELOW_V * scale),
    )
    balancing = replace(
        charging,
        target_v=min(balancing_v * cells, fit.target_v),
        threshold_cell_v=typed_v,
        release_cell_v=min(positive_or(fit.release_v, full_v - _BALANCING_RELEASE_BELOW_V * scale), typed_v),
        ccl_by_cell=_curve(balancing_v, (*table.curve, (_BALANCING_RELEASE_BELOW_V * scale, 0.0))),
    )
    highest_v = full_v - _BALANCING_BELOW_V * scale
    balancing = _within(balancing, fit, cells, highest_v)
    refused = ""
    if settings.policy.balance_at_full_voltage:
        refused = _full_voltage_refused(ratings, feed_in=feed_in)
        balancing = balancing if refused else _at_full_voltage(balancing, ratings, fit)
    return replace(_within(charging, fit, cells, highest_v), balancing=balancing, full_voltage_refused=refused)


def _full_voltage_refused(ratings: Ratings, *, feed_in: bool) -> str:
    """Return why this unit may not be balanced at register 300; empty where it may (tinybms-protocol.md, 5.3)."""
    if ratings.switches is Switches.SINGLE:
        return "single_port"
    if ratings.switches is Switches.UNKNOWN:
        return "unknown_switches"
    if not ratings.charge_restart:
        return "no_restart"
    if feed_in:
        return "feed_in"
    return ""


def _at_full_voltage(balancing: Charging, ratings: Ratings, fit: Fit) -> Charging:
    """Return the set of a balancing day whose highest cell comes to register 300, with no more than the hold current.

    There the BMS opens its charger switch, bleeds without a current, and finds the battery full when the cells agree.
    """
    full_v, target_v = ratings.fully_charged_cell_v, fit.target_v
    threshold_v = full_v + _THRESHOLD_BEFORE_SHARE * max(0.0, head_room_v(ratings))
    most_a = ratings.charge_over_current_a
    least = min(_AT_FULL_HOLDS * balancing.hold_a / most_a, 0.25) if most_a > 0.0 else 0.0
    points = ((-0.10, 1.0), (-0.05, 0.25), (-_BALANCING_BELOW_V, least), (threshold_v - full_v, 0.0))
    return replace(
        balancing,
        target_v=target_v,
        target_cell_v=target_v / ratings.series_cells,
        threshold_cell_v=positive_or(fit.threshold_v, threshold_v),
        release_cell_v=min(positive_or(fit.release_v, full_v), positive_or(fit.threshold_v, threshold_v)),
        ccl_by_cell=_curve(full_v, points),
    )


def _within(charging: Charging, fit: Fit, cells: int, highest_v: float) -> Charging:
    """Return a set with room for what solar chargers add while they feed in, and with floor <= FLOAT <= target."""
    target_v, float_v = charging.target_v, charging.float_v
    if charging.feed_in:
        float_v = min(float_v, target_v - MPPT_OFFSET_V)
        target_v = min(target_v, highest_v * cells - MPPT_OFFSET_V)
    target_v = max(target_v, fit.floor_v)
    float_v = min(max(float_v, fit.floor_v), target_v)
    return replace(
        charging, target_v=target_v, target_cell_v=target_v / cells, float_v=float_v, float_cell_v=float_v / cells
    )


def _curve(target_v: float, points: tuple[tuple[float, float], ...]) -> Curve:
    return rising(*((target_v + from_target_v, fraction) for from_target_v, fraction in points))


def _cold(ratings: Ratings, settings: LimitSettings, points: tuple[tuple[float, float], ...]) -> Curve | None:
    """Return what a temperature allows, as fractions of the current where the curve ends; None beside a typed one."""
    if any(name == "charge_by_temperature" for name, _ in settings.curves):
        return None
    full_a, capacity_ah = _cold_full_a(ratings), ratings.capacity_ah
    if not points or not 0.0 < full_a < math.inf:
        return None
    return Curve((*((celsius, c_rate * capacity_ah / full_a) for celsius, c_rate in points), (WARM_C, 1.0)))


def _cold_full_a(ratings: Ratings) -> float:
    """Return what is allowed just below 25 °C: 1C, or register 318 if that is more, so that nothing jumps there."""
    return max(ratings.capacity_ah, ratings.charge_over_current_a)


def _tail_a(ratings: Ratings) -> float:
    capacity_ah = ratings.capacity_ah
    tail_a = min(max(ratings.charge_finished_current_a, _TAIL_C_RATE * capacity_ah), _LONGEST_TAIL_C_RATE * capacity_ah)
    return max(tail_a, ratings.least_current_a)


def _hold_a(ratings: Ratings, typed_a: float | None) -> tuple[float, float]:
    """Return the hold current and how far it may be raised; a typed one is not raised."""
    if typed_a is not None:
        return typed_a, typed_a
    most_a = max(_MOST_HOLD_A, _MOST_HOLD_C_RATE * ratings.capacity_ah)
    return min(max(_SEEN_CURRENTS * ratings.least_current_a, _HOLD_C_RATE * ratings.capacity_ah), most_a), most_a


def _sustain_a(ratings: Ratings, settings: LimitSettings) -> float:
    if settings.defaults is ChargeDefaults.BEFORE:
        return _SUSTAIN_A
    return max(_SUSTAIN_A, _SUSTAIN_C_RATE * ratings.capacity_ah)


def _recovery_v_per_s(settings: LimitSettings, step_v: float) -> float:
    """Return one step of CVL in each of its intervals."""
    wanted_v = _typed(settings.rates.cvl_step_v, step_v) or _NO_LIMIT_V
    interval_s = max(settings.rates.cvl_interval_s, SHORTEST_CVL_INTERVAL_S)
    return wanted_v / interval_s


def _typed(value: float | None, default: float) -> float:
    return default if value is None else value


def positive_or(value: float | None, default: float) -> float:
    """Return a value where it is a finite number above 0, else the default."""
    return default if value is None or not 0.0 < value < math.inf else value
