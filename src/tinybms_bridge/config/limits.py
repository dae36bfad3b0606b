"""The configuration as the charge-limit engine is told it, and what it comes to on one battery."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tinybms_bridge.battery.freshness import FreshnessSettings
from tinybms_bridge.battery.limits import (
    CURVE_NAMES,
    ChargeDefaults,
    ChargeProfile,
    Chemistry,
    Curve,
    LimitSettings,
    PolicySettings,
    ProtectionSettings,
    Quantity,
    RateSettings,
    SocSource,
    StateSettings,
    curves_for,
    fit_to_battery,
)
from tinybms_bridge.battery.limits.charging import charging_for
from tinybms_bridge.battery.limits.draft import base_limits
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.packs import join_delta_v

__all__ = ["Effective", "effective_on", "limit_settings"]


def limit_settings(config: Configuration) -> LimitSettings:
    """Return everything that the engine is told."""
    cvl, victron = config.cvl, config.victron
    return LimitSettings(
        defaults=ChargeDefaults(cvl.charge_defaults),
        chemistry=None if cvl.chemistry == "auto" else Chemistry(cvl.chemistry),
        bulk_voltage_v=cvl.bulk_voltage_v,
        alarm_voltage_v=victron.thresholds.overvoltage_v,
        over_voltage_margin_v=cvl.over_voltage_margin_v,
        cell_max_v=cvl.cell_max_voltage_v,
        floor_cell_v=cvl.floor_cell_voltage_v,
        resting_cell_v=cvl.resting_cell_voltage_v,
        max_charge_current_a=victron.max_charge_current_a,
        max_discharge_current_a=victron.max_discharge_current_a,
        current_fraction=victron.current_fraction,
        states=_state_settings(config),
        policy=_policy_settings(config),
        protection=_protection_settings(config),
        keep_lost_sensor=cvl.keep_lost_sensor,
        soc_source=SocSource(cvl.soc_source),
        curves=_curves(config),
        rates=RateSettings(
            cvl_interval_s=victron.cvl_update_interval_ms / 1000.0,
            cvl_step_v=cvl.max_recovery_step_v,
            current_rise_s=cvl.current_rise_s,
        ),
        freshness=FreshnessSettings(
            fresh_timeout_s=victron.fresh_timeout_s,
            hold_s=victron.stale_hold_s,
            start_samples=victron.start_samples,
            return_samples=victron.return_samples,
        ),
    )


@dataclass(frozen=True, slots=True)
class Effective:
    """What a configuration comes to on one battery."""

    values: Mapping[str, float | str]
    """What counts for each key that is null or `auto`, by path."""
    curves: Mapping[str, Curve]
    """Every derating curve by name."""
    cell_marks_v: Mapping[str, float]
    """Voltages per cell that decide something, by name."""


def effective_on(
    config: Configuration, ratings: Ratings, chemistry: Chemistry | None = None, *, feed_in: bool = False
) -> Effective:
    """Return what a configuration comes to on a battery.

    ``chemistry`` is that which the engine has recognised where the configuration leaves it open, ``feed_in`` whether it
    leaves room for solar chargers that feed in; without the first the ratings alone decide.
    """
    settings = limit_settings(config)
    settings = replace(settings, chemistry=settings.chemistry or chemistry)
    cells, fit = ratings.series_cells, fit_to_battery(ratings, settings)
    charging, base = charging_for(ratings, settings, fit, feed_in=feed_in), base_limits(ratings, settings, fit)
    values: dict[str, float | str] = {
        "cvl.series_cell_count": cells,
        "cvl.bulk_voltage_v": charging.target_v,
        "cvl.float_offset_mv": (charging.target_v - charging.float_v) * 1000.0,
        "cvl.maximum_ccl_in_float_a": charging.hold_a,
        "cvl.max_recovery_step_v": charging.cvl_step_v,
        "cvl.cell_max_voltage_v": fit.ceiling_v / cells,
        "cvl.cell_safety_threshold_v": charging.threshold_cell_v,
        "cvl.cell_safety_release_v": charging.release_cell_v,
        "cvl.floor_cell_voltage_v": fit.floor_v / cells,
        "cvl.resting_cell_voltage_v": fit.resting_v / cells,
        "cvl.sustain_ccl_limit_a": charging.sustain_ccl_a,
        "victron.max_charge_current_a": base[Quantity.CCL].limit,
        "victron.max_discharge_current_a": base[Quantity.DCL].limit,
        "battery.join_delta_v": join_delta_v(config, cells),
    }
    if fit.chemistry.decided:
        values["cvl.chemistry"] = fit.chemistry.chemistry.value
    return Effective(
        values={path: value for path, value in values.items() if _value(config, path) in {None, "auto"}},
        curves=curves_for(ratings, settings.curves, charging.ccl_by_cell),
        cell_marks_v={
            "under_voltage": ratings.under_voltage_cell_v,
            "floor": fit.floor_v / cells,
            "resting": fit.resting_v / cells,
            "float": charging.float_cell_v,
            "target": charging.target_cell_v,
            "release": charging.release_cell_v,
            "protection": charging.threshold_cell_v,
            "fully_charged": ratings.fully_charged_cell_v,
            "over_voltage": ratings.over_voltage_cell_v,
        },
    )


def _value(config: Configuration, path: str) -> object:
    section, key = path.split(".")
    return getattr(getattr(config, section), key)


def _state_settings(config: Configuration) -> StateSettings:
    cvl = config.cvl
    return StateSettings(
        enabled=cvl.enabled,
        bulk_soc_percent=cvl.bulk_soc_threshold,
        transition_soc_percent=cvl.transition_soc_threshold,
        float_soc_percent=cvl.float_soc_threshold,
        float_exit_soc_percent=cvl.float_exit_soc,
        soc_hysteresis_percent=cvl.soc_hysteresis_percent,
        float_approach_offset_v=cvl.float_approach_offset_mv / 1000.0,
        float_offset_v=None if cvl.float_offset_mv is None else cvl.float_offset_mv / 1000.0,
        maximum_ccl_in_float_a=cvl.maximum_ccl_in_float_a,
        imbalance_hold_mv=cvl.imbalance_hold_threshold_mv,
        imbalance_release_mv=cvl.imbalance_release_threshold_mv,
        imbalance_hold_max_s=cvl.imbalance_hold_max_s,
        imbalance_min_cell_v=cvl.imbalance_min_cell_voltage_v,
        imbalance_drop_v_per_mv=cvl.imbalance_drop_per_mv,
        imbalance_drop_max_v=cvl.imbalance_drop_max_v,
        sustain_entry_soc_percent=cvl.sustain_soc_entry_percent,
        sustain_exit_soc_percent=cvl.sustain_soc_exit_percent,
        sustain_voltage_v=cvl.sustain_voltage_v,
        sustain_cell_v=cvl.sustain_per_cell_voltage_v,
        sustain_ccl_a=cvl.sustain_ccl_limit_a,
        sustain_dcl_a=cvl.sustain_dcl_limit_a,
    )


def _policy_settings(config: Configuration) -> PolicySettings:
    cvl = config.cvl
    return PolicySettings(
        profile=ChargeProfile(cvl.profile),
        soc_max_percent=cvl.soc_max_percent,
        soc_min_percent=cvl.soc_min_percent,
        soc_window_hysteresis_percent=cvl.soc_window_hysteresis_percent,
        storage_soc_percent=cvl.storage_soc_percent,
        full_charge_interval_days=cvl.full_charge_interval_days,
        balance_at_full_voltage=cvl.balance_at_full_voltage,
        force_charge_start_percent=cvl.force_charge_start_percent,
        force_charge_stop_percent=cvl.force_charge_stop_percent,
    )


def _protection_settings(config: Configuration) -> ProtectionSettings:
    cvl = config.cvl
    return ProtectionSettings(
        threshold_v=cvl.cell_safety_threshold_v,
        release_v=cvl.cell_safety_release_v,
        gain=cvl.cell_protection_kp,
        nominal_current_a=cvl.dynamic_current_nominal_a,
        relearn_s=cvl.protection_relearn_s,
    )


def _curves(config: Configuration) -> tuple[tuple[str, Curve], ...]:
    """Return the derating curves that the user has given, with their names."""
    chosen = ((name, getattr(config.cvl.curves, name)) for name in CURVE_NAMES)
    return tuple(
        (name, Curve(tuple((float(x), float(fraction)) for x, fraction in points)))
        for name, points in chosen
        if points is not None
    )
