"""What an expert would change in the BMS's own settings, and why: one pure function.

The limits are safe with the settings as they are. Some of them still cost life, charge or balance, or leave a charger
that obeys nobody unguarded; those are named here with a value that is better. Where something is not known (a register
that was not read, a chemistry that is not decided) nothing is advised.

The values are those of the study of 300 battery days behind the charge control (docs/charge-control.md).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from tinybms_bridge.battery.limits.charging import charging_for
from tinybms_bridge.battery.limits.evidence_memory import WRONG_CAPACITY
from tinybms_bridge.battery.limits.fit import fit_to_battery
from tinybms_bridge.battery.limits.presets import PRESETS, Chemistry
from tinybms_bridge.battery.limits.settings import ChargeDefaults, LimitSettings
from tinybms_bridge.battery.snapshot import REV_D_FIRMWARE, Ratings, Switches, firmware_text
from tinybms_bridge.words import Message, message

__all__ = ["Advice", "Weight", "advise"]

_MOST_LFP_V = 3.65
"""Makers of LFP cells allow no more."""
_LEAST_LFP_DISBALANCE_MV = 50.0
"""The factory's 15 mV are 0.03 % of the charge of an LFP cell at 3.65 V: cells under charge do not come that close."""
_LEAST_BLEED_V = {Chemistry.LFP: 3.38, Chemistry.LTO: 2.45}
"""Below, the voltage of such a cell hardly tells its charge."""
_BLEED_BELOW_TARGET_V = 0.05
"""A threshold closer to the charge target leaves minutes a day for balancing."""
_GOOD_LI_ION_BLEED_BELOW_FULL_V = 0.15
_LEAST_CHARGE_C = 0.0
"""Colder, lithium plates on graphite (LFP and Li-ion); LTO has no graphite."""
_GOOD_C_RATE, _MOST_C_RATE = 0.7, 1.0
"""LFP at 1C plated 13 minutes on a cold day, at 0.7C none."""
_GENTLE_LI_ION_V = 4.10
_CAPACITIES_AH = (0.1, 655.0)
"""What register 306 holds."""
_ROUNDING = 1e-6


class Weight(StrEnum):
    """How much a piece of advice matters."""

    NOTE = "note"
    """To know; there is nothing to change."""
    CHOICE = "choice"
    """The owner's choice: it gives something and costs something."""
    ADVISED = "advised"
    URGENT = "urgent"
    """It can harm the battery where the bridge cannot help."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that an expert would tell the owner."""

    register: int
    weight: Weight
    reason: Message
    setting: str = ""
    """Name in ``tinybms-bridge settings``; empty when nothing is to change."""
    present: float | str | None = None
    advised: float | str | None = None
    unit: str = ""
    obstacle: Message | None = None
    """Why this BMS does not take the value; None as far as is known."""

    @property
    def command(self) -> str:
        """The command that changes it; empty where there is none."""
        if not self.setting or self.obstacle is not None:
            return ""
        return f"tinybms-bridge settings set {self.setting}={_plain(self.advised)}"

    @property
    def message(self) -> Message:
        """All of it in one line."""
        if not self.setting:
            return message("advice.line.note", register=self.register, reason=self.reason)
        choice = self.weight is Weight.CHOICE
        return message(
            "advice.line.choice" if choice else "advice.line.better",
            register=self.register,
            setting=self.setting,
            present=self.present,
            advised=self.advised,
            unit=self.unit,
            reason=self.reason,
            obstacle=self.obstacle,
        )

    def __str__(self) -> str:
        """Return it as one line for a person."""
        return self.message.text


def advise(
    ratings: Ratings, chemistry: Chemistry | None, *, firmware: int = 0, capacity_ah: float | None = None
) -> tuple[Advice, ...]:
    """Return what to tell the owner of a BMS with these settings, in order of registers.

    Args:
        ratings: The settings of the BMS, found sound.
        chemistry: The chemistry, or None while more than one is possible.
        firmware: Internal firmware version; 0 when unknown.
        capacity_ah: What the battery was seen to hold between full and empty; None when it was not.

    """
    found = [*_for_all(ratings, firmware), *_capacity(ratings, capacity_ah)]
    if chemistry is not None:
        found += _by_voltage(ratings, chemistry)
    if chemistry is Chemistry.LFP:
        found += _lfp(ratings)
    if chemistry is not Chemistry.LTO:
        found += _cold(ratings)
    return tuple(sorted(found, key=lambda each: each.register))


def _for_all(ratings: Ratings, firmware: int) -> Iterator[Advice]:
    below = ratings.charge_restart_percent
    if ratings.charge_restart is False:
        if firmware and firmware < REV_D_FIRMWARE:
            needed, present = firmware_text(REV_D_FIRMWARE), firmware_text(firmware)
            yield Advice(329, Weight.NOTE, message("advice.no_restart_yet", needed=needed, present=present))
        else:
            reason, setting = message("advice.restart", level_percent=below), "enable_charger_restart_level"
            yield Advice(329, Weight.ADVISED, reason, setting, "disabled", "enabled")
    if ratings.switches is Switches.SINGLE:
        yield Advice(340, Weight.NOTE, message("advice.single_port"))
    if ratings.misses_small_loads:
        a_day = ratings.least_current_a * 24.0 / ratings.capacity_ah * 100.0
        reason = message("advice.small_loads", least_a=ratings.least_current_a, day_percent=min(a_day, 100.0))
        yield Advice(501, Weight.NOTE, reason)


def _capacity(ratings: Ratings, measured_ah: float | None) -> Iterator[Advice]:
    low_ah, high_ah = _CAPACITIES_AH
    set_ah = ratings.capacity_ah
    if measured_ah is None or not low_ah <= measured_ah <= high_ah or abs(measured_ah / set_ah - 1.0) <= WRONG_CAPACITY:
        return
    reason = message("advice.capacity")
    advised_ah = round(float(f"{measured_ah:.3g}"), 2)
    yield Advice(306, Weight.ADVISED, reason, "battery_capacity_ah", set_ah, advised_ah, "Ah")


def _by_voltage(ratings: Ratings, chemistry: Chemistry) -> Iterator[Advice]:
    """Advise on registers 300 and 303, which are voltages of a known chemistry."""
    full_v, bleed_v = ratings.fully_charged_cell_v, ratings.early_balancing_cell_v
    if chemistry is Chemistry.LFP and full_v > _MOST_LFP_V + _ROUNDING:
        reason = message("advice.lfp_voltage", most_v=_MOST_LFP_V)
        yield _voltage(300, Weight.URGENT, reason, full_v, _MOST_LFP_V)
    if chemistry is Chemistry.LI_ION and full_v > _GENTLE_LI_ION_V + _ROUNDING:
        reason = message("advice.gentle_voltage", cost_percent=_cost_percent(ratings))
        yield _voltage(300, Weight.CHOICE, reason, full_v, _GENTLE_LI_ION_V)
    if bleed_v is None:
        return
    most_v = _target_v(ratings, chemistry) - _BLEED_BELOW_TARGET_V
    least_v = _LEAST_BLEED_V.get(chemistry, 0.0)
    if least_v > most_v:
        return  # it is charged too low for both
    if bleed_v < least_v - _ROUNDING:
        reason = message("advice.bleed_low")
        yield _voltage(303, Weight.ADVISED, reason, bleed_v, least_v)
    elif bleed_v > most_v + _ROUNDING:
        reason = message("advice.bleed_high")
        advised_v = least_v or round(full_v - _GOOD_LI_ION_BLEED_BELOW_FULL_V, 3)
        yield _voltage(303, Weight.ADVISED, reason, bleed_v, advised_v)


def _lfp(ratings: Ratings) -> Iterator[Advice]:
    disbalance_mv, charge_a = ratings.allowed_disbalance_mv, ratings.charge_over_current_a
    if disbalance_mv < _LEAST_LFP_DISBALANCE_MV - _ROUNDING:
        reason = message("advice.disbalance")
        advised_v = _LEAST_LFP_DISBALANCE_MV / 1000.0
        setting = "allowed_disbalance_v"
        yield Advice(308, Weight.ADVISED, reason, setting, disbalance_mv / 1000.0, advised_v, "V")
    good_a = float(math.floor(_GOOD_C_RATE * ratings.capacity_ah + _ROUNDING))
    if charge_a > _GOOD_C_RATE * ratings.capacity_ah + _ROUNDING and good_a >= 1.0:
        c_rate, setting = charge_a / ratings.capacity_ah, "charge_over_current_cutoff_a"
        if c_rate > _MOST_C_RATE + _ROUNDING:
            weight, reason = Weight.URGENT, message("advice.fast_charge", c_rate=c_rate)
        else:
            weight, reason = Weight.ADVISED, message("advice.slower_charge")
        yield Advice(318, weight, reason, setting, charge_a, good_a, "A")


def _cold(ratings: Ratings) -> Iterator[Advice]:
    """Advise on register 320: also while the chemistry is not decided, since only LTO charges in frost."""
    coldest_c = ratings.low_temperature_charge_c
    if coldest_c >= _LEAST_CHARGE_C:
        return
    reason = message("advice.frost")
    setting = "low_temperature_charger_cutoff_c"
    yield Advice(320, Weight.URGENT, reason, setting, coldest_c, _LEAST_CHARGE_C, "°C")


def _voltage(register: int, weight: Weight, reason: Message, present_v: float, advised_v: float) -> Advice:
    setting = {300: "fully_charged_voltage_v", 303: "early_balancing_threshold_v"}[register]
    return Advice(register, weight, reason, setting, present_v, advised_v, "V")


def _cost_percent(ratings: Ratings) -> float:
    """Return how much less charge a Li-ion cell is given when register 300 goes down to the gentle voltage."""
    curve = PRESETS[Chemistry.LI_ION].soc_at_rest
    gentle = replace(ratings, fully_charged_cell_v=_GENTLE_LI_ION_V)
    high, low = (curve.at(_target_v(each, Chemistry.LI_ION)) for each in (ratings, gentle))
    return (high - low) * 100.0


def _target_v(ratings: Ratings, chemistry: Chemistry) -> float:
    """Return to which voltage the bridge charges such a cell by default."""
    settings = LimitSettings(chemistry=chemistry, defaults=ChargeDefaults.BY_CHEMISTRY)
    return charging_for(ratings, settings, fit_to_battery(ratings, settings)).target_cell_v


def _plain(value: float | str | None) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"
