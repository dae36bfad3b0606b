"""What can only be judged once the BMS's own settings are known."""

from collections.abc import Iterator

from tinybms_bridge.battery.limits.presets import PRESETS, chemistry_at
from tinybms_bridge.config.checks import (
    MPPT_RISE_V,
    PEAK_TOLERANCE_V,
    Target,
    bulk_findings,
    ceiling_findings,
    floor_findings,
    preset_of,
)
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.errors import ConfigProblem

__all__ = ["check_against_battery"]


def check_against_battery(
    config: Configuration,
    *,
    series_cells: int,
    fully_charged_cell_v: float,
    over_voltage_cell_v: float,
    under_voltage_cell_v: float,
    charge_cutoff_a: float,
    discharge_cutoff_a: float,
) -> list[ConfigProblem]:
    """Return why a configuration must not be used with a battery; empty when it may be.

    The arguments are registers 307, 300, 315, 316, 318 and 317. No charge voltage of the configuration may, with the
    0.4 V that a solar charger may add and the margin, exceed the over-voltage cutoff of the pack (Victron dvcc.py), nor
    lie at or below its under-voltage cutoff; the charge target lies between floor and ceiling; no current may exceed
    the BMS's cutoff.
    """
    voltages = [
        *_cells(config, series_cells, over_voltage_cell_v),
        *_pack_voltages(config, series_cells, over_voltage_cell_v, under_voltage_cell_v),
    ]
    judged = {problem.path for problem in voltages}
    return [
        *voltages,
        *(problem for problem in _target(config, series_cells, fully_charged_cell_v) if problem.path not in judged),
        *_thresholds(config, series_cells * over_voltage_cell_v, series_cells * under_voltage_cell_v),
        *_current("charge", config.victron.max_charge_current_a, charge_cutoff_a),
        *_current("discharge", config.victron.max_discharge_current_a, discharge_cutoff_a),
    ]


def _cells(config: Configuration, series_cells: int, over_voltage_cell_v: float) -> Iterator[ConfigProblem]:
    count = config.cvl.series_cell_count
    if count is not None and count != series_cells:
        message = f"the BMS is set to {series_cells} cells in series (register 307)"
        yield ConfigProblem("cvl.series_cell_count", count, message)
    for key in ("cell_max_voltage_v", "cell_safety_threshold_v"):
        value_v = getattr(config.cvl, key)
        if value_v is not None and value_v > over_voltage_cell_v:
            message = f"must be at most the over-voltage cutoff of the BMS, {over_voltage_cell_v:g} V (register 315)"
            yield ConfigProblem(f"cvl.{key}", value_v, message)


def _pack_voltages(
    config: Configuration, cells: int, over_voltage_cell_v: float, under_voltage_cell_v: float
) -> Iterator[ConfigProblem]:
    """Judge each voltage that may become the charge voltage limit."""
    cvl = config.cvl
    pack = {key: getattr(cvl, key) for key in ("bulk_voltage_v", "sustain_voltage_v")}
    per_cell = (
        "cell_min_float_voltage_v",
        "floor_cell_voltage_v",
        "resting_cell_voltage_v",
        "sustain_per_cell_voltage_v",
    )
    for key, value_v in {**pack, **{key: getattr(cvl, key) for key in per_cell}}.items():
        share = 1 if key in pack else cells
        if value_v:
            message = _limit_message(config, value_v * share, cells, over_voltage_cell_v, under_voltage_cell_v)
            if message:
                yield ConfigProblem(f"cvl.{key}", value_v, message)


def _limit_message(config: Configuration, limit_v: float, cells: int, over_cell_v: float, under_cell_v: float) -> str:
    margin_v = config.cvl.over_voltage_margin_v
    peak_v, over_v, under_v = limit_v + MPPT_RISE_V + margin_v, over_cell_v * cells, under_cell_v * cells
    if peak_v > over_v + PEAK_TOLERANCE_V:
        return (
            f"a charge voltage of {limit_v:g} V could reach {peak_v:g} V ({MPPT_RISE_V:g} V from a solar charger and a "
            f"margin of {margin_v:g} V), above the over-voltage cutoff of {over_v:g} V ({cells} cells × "
            f"{over_cell_v:g} V); the charge voltage may be at most {over_v - MPPT_RISE_V - margin_v:g} V"
        )
    if limit_v <= under_v + PEAK_TOLERANCE_V:
        return (
            f"a charge voltage of {limit_v:g} V would let a GX device empty the battery to its under-voltage cutoff of "
            f"{under_v:g} V ({cells} cells × {under_cell_v:g} V)"
        )
    return ""


def _target(config: Configuration, cells: int, fully_charged_cell_v: float) -> Iterator[ConfigProblem]:
    """Judge the charge target of the user, or else of the BMS, by what must lie below and above it."""
    cvl, thresholds = config.cvl, config.victron.thresholds
    preset = preset_of(cvl) or PRESETS[chemistry_at(fully_charged_cell_v)]
    words = f"the charge target of the BMS (register 300, {fully_charged_cell_v:g} V × {cells} cells)"
    target = Target("", fully_charged_cell_v * cells, words)
    if cvl.bulk_voltage_v is not None:
        target = Target("cvl.bulk_voltage_v", cvl.bulk_voltage_v, "cvl.bulk_voltage_v")
    findings = [
        *floor_findings(cvl, cells, target, preset if target.path else preset_of(cvl)),
        *bulk_findings(cvl, cells),
        *ceiling_findings(cvl, cells, preset),
    ]
    if thresholds.overvoltage_v is not None:
        path = "victron.thresholds.overvoltage_v"
        findings += floor_findings(cvl, cells, Target(path, thresholds.overvoltage_v, path), preset)
    for finding in findings:
        path = finding.paths[0]
        yield ConfigProblem(path, _value(config, path), finding.messages[0])


def _value(config: Configuration, path: str) -> object:
    value: object = config
    for key in path.split("."):
        value = getattr(value, key)
    return value


def _thresholds(config: Configuration, over_v: float, under_v: float) -> Iterator[ConfigProblem]:
    """Refuse thresholds that would be an alarm in every state of the battery, as after a change of the cell count."""
    low_v, high_v = config.victron.thresholds.undervoltage_v, config.victron.thresholds.overvoltage_v
    if low_v is not None and low_v >= over_v:
        message = f"must be below the over-voltage cutoff of the pack, {over_v:g} V; the alarm would never end"
        yield ConfigProblem("victron.thresholds.undervoltage_v", low_v, message)
    if high_v is not None and high_v <= under_v:
        message = f"must be above the under-voltage cutoff of the pack, {under_v:g} V; the alarm would never end"
        yield ConfigProblem("victron.thresholds.overvoltage_v", high_v, message)


def _current(direction: str, wanted_a: float | None, cutoff_a: float) -> Iterator[ConfigProblem]:
    if wanted_a is not None and wanted_a > cutoff_a:
        register = {"charge": 318, "discharge": 317}[direction]
        message = f"must be at most the BMS's {direction} over-current cutoff of {cutoff_a:g} A (register {register})"
        yield ConfigProblem(f"victron.max_{direction}_current_a", wanted_a, message)
