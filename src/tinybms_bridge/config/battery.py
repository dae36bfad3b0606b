"""What in a configuration can fit no battery, and what does not fit this one once its settings are known.

The limits engine leaves such values out (``battery.limits.fit``). Whatever it would leave out is named here, so that
nobody has to find out by what the battery does; the engine itself is asked last, for what no other check has found.
"""

from collections.abc import Iterable, Iterator

from tinybms_bridge.battery.gx import MPPT_OFFSET_V
from tinybms_bridge.battery.limits import (
    Chemistry,
    ConfigConflict,
    Fit,
    fit_to_battery,
)
from tinybms_bridge.battery.limits.fit import judge_chemistry
from tinybms_bridge.battery.limits.presets import possible_at, rank
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.checks import (
    PEAK_TOLERANCE_V,
    Target,
    bulk_findings,
    ceiling_findings,
    floor_findings,
)
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.limits import limit_settings
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.words import Message, message

__all__ = [
    "check_against_battery",
    "check_alone",
    "check_with_ratings",
    "chemistry_for",
    "chemistry_remark",
    "new_problems",
]

_MOST_CELL_V = 4.5
"""No cell of a TinyBMS is above; no pack of four cells that works is below."""

_PACK_VOLTAGES = (
    "cvl.bulk_voltage_v",
    "cvl.sustain_voltage_v",
    "victron.thresholds.undervoltage_v",
    "victron.thresholds.overvoltage_v",
)

_KEYS = {
    "chemistry": "cvl.chemistry",
    "over_voltage_margin_v": "cvl.over_voltage_margin_v",
    "cell_max_v": "cvl.cell_max_voltage_v",
    "floor_cell_v": "cvl.floor_cell_voltage_v",
    "resting_cell_v": "cvl.resting_cell_voltage_v",
    "protection.threshold_v": "cvl.cell_safety_threshold_v",
    "protection.release_v": "cvl.cell_safety_release_v",
    "alarm_voltage_v": "victron.thresholds.overvoltage_v",
    "bulk_voltage_v": "cvl.bulk_voltage_v",
    "max_charge_current_a": "victron.max_charge_current_a",
    "max_discharge_current_a": "victron.max_discharge_current_a",
}
"""Where the settings of the engine that have to fit the battery come from."""


def check_alone(config: Configuration) -> list[ConfigProblem]:
    """Return what fits no battery: the voltage of a pack given per cell. Empty when there is none."""
    cells = config.cvl.series_cell_count
    problems = []
    for path in _PACK_VOLTAGES:
        value_v = _value(config, path)
        if isinstance(value_v, float) and 0.0 < value_v <= _MOST_CELL_V:
            count = cells or 16
            told = message("config.per_cell", pack_v=value_v * count, cells=count, known=cells is not None)
            problems.append(ConfigProblem(path, value_v, told))
    return problems


def chemistry_for(config: Configuration, ratings: Ratings, lowest: Chemistry = Chemistry.LTO) -> Chemistry | None:
    """Return the chemistry of a battery; None as long as more than one is possible."""
    verdict = judge_chemistry(ratings, limit_settings(config), lowest)
    return verdict.chemistry if verdict.decided else None


def chemistry_remark(config: Configuration, fully_charged_cell_v: float, lowest: Chemistry) -> ConfigProblem | None:
    """Return that nobody knows the chemistry as yet; None where register 300, the owner or the cells have said it."""
    possible = [str(each) for each in possible_at(fully_charged_cell_v) if rank(each) >= rank(lowest)]
    if config.cvl.chemistry in possible or len(possible) < 2:
        return None
    told = message("config.chemistry_open", full_v=fully_charged_cell_v, possible=possible, safe=possible[0])
    return ConfigProblem("cvl.chemistry", None, told)


def new_problems(before: Iterable[ConfigProblem], after: Iterable[ConfigProblem]) -> list[ConfigProblem]:
    """Return the problems that a change brings: an old one must not keep a user from changing something else."""
    old = {(problem.path, str(problem.value)) for problem in before}
    return [problem for problem in after if (problem.path, str(problem.value)) not in old]


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
    """Do what ``check_with_ratings`` does with registers 307, 300, 315, 316, 318 and 317 alone."""
    ratings = Ratings(
        series_cells=series_cells,
        fully_charged_cell_v=fully_charged_cell_v,
        fully_discharged_cell_v=under_voltage_cell_v,
        over_voltage_cell_v=over_voltage_cell_v,
        under_voltage_cell_v=under_voltage_cell_v,
        charge_over_current_a=charge_cutoff_a,
        discharge_over_current_a=discharge_cutoff_a,
        discharge_peak_current_a=None,
        over_heat_c=60.0,
        low_temperature_charge_c=0.0,
        capacity_ah=100.0,
    )
    return check_with_ratings(config, ratings)


def check_with_ratings(
    config: Configuration, ratings: Ratings, lowest: Chemistry = Chemistry.LTO
) -> list[ConfigProblem]:
    """Return why a configuration must not be used with a battery; empty when it may be.

    No charge voltage of the configuration may, with the 0.4 V that a solar charger may add and the margin, exceed the
    over-voltage cutoff of the pack (Victron dvcc.py), nor lie at or below its under-voltage cutoff; the charge target
    lies between floor and ceiling, at most at register 300; no current may exceed the BMS's cutoff; the chemistry is
    one that register 300 leaves possible, and its cells (``lowest``: the lowest that they do).
    """
    cells, over_v, under_v = ratings.series_cells, ratings.over_voltage_cell_v, ratings.under_voltage_cell_v
    discharge_a = ratings.discharge_over_current_a
    fit = fit_to_battery(ratings, limit_settings(config), lowest)
    checks = (
        check_alone(config),
        [*_cells(config, cells, over_v), *_pack_voltages(config, cells, over_v, under_v)],
        _target(config, fit, ratings),
        _thresholds(config, over_v * cells, under_v * cells),
        _current("charge", config.victron.max_charge_current_a, ratings.charge_over_current_a),
        _current("discharge", config.victron.max_discharge_current_a, discharge_a),
        _conflicts(config, fit, ratings),
    )
    found: list[ConfigProblem] = []
    for check in checks:
        judged = {problem.path for problem in found}
        found += [problem for problem in check if problem.path not in judged]
    return found


def _conflicts(config: Configuration, fit: Fit, ratings: Ratings) -> Iterator[ConfigProblem]:
    """Name what the engine would leave out."""
    for conflict in fit.conflicts:
        path = _KEYS[conflict.name]
        told = _chemistry_message(config, ratings) if conflict.name == "chemistry" else _range_message(conflict)
        yield ConfigProblem(path, _value(config, path), told)


def _chemistry_message(config: Configuration, ratings: Ratings) -> Message:
    typed, full_v = config.cvl.chemistry, ratings.fully_charged_cell_v
    possible = possible_at(full_v)
    if typed in possible:
        return message("config.not_what_cells_do", typed=typed)
    return message("config.not_what_bms_does", typed=typed, full_v=full_v, possible=possible)


def _range_message(conflict: ConfigConflict) -> Message:
    unit = conflict.name[-1].upper()
    if conflict.high < float("inf"):
        return message("config.range_here", low=conflict.low, high=conflict.high, unit=unit)
    return message("config.least_here", low=conflict.low, unit=unit)


def _cells(config: Configuration, series_cells: int, over_voltage_cell_v: float) -> Iterator[ConfigProblem]:
    count = config.cvl.series_cell_count
    if count is not None and count != series_cells:
        yield ConfigProblem("cvl.series_cell_count", count, message("config.other_cell_count", cells=series_cells))
    for key in ("cell_max_voltage_v", "cell_safety_threshold_v"):
        value_v = getattr(config.cvl, key)
        if value_v is not None and value_v > over_voltage_cell_v:
            told = message("config.above_cell_cutoff", cutoff_v=over_voltage_cell_v)
            yield ConfigProblem(f"cvl.{key}", value_v, told)


def _pack_voltages(
    config: Configuration, cells: int, over_voltage_cell_v: float, under_voltage_cell_v: float
) -> Iterator[ConfigProblem]:
    """Judge each voltage that may become the charge voltage limit."""
    cvl = config.cvl
    pack = {key: getattr(cvl, key) for key in ("bulk_voltage_v", "sustain_voltage_v")}
    per_cell = (
        "floor_cell_voltage_v",
        "resting_cell_voltage_v",
        "sustain_per_cell_voltage_v",
    )
    for key, value_v in {**pack, **{key: getattr(cvl, key) for key in per_cell}}.items():
        share = 1 if key in pack else cells
        if value_v:
            told = _limit_message(config, value_v * share, cells, over_voltage_cell_v, under_voltage_cell_v)
            if told is not None:
                yield ConfigProblem(f"cvl.{key}", value_v, told)


def _limit_message(
    config: Configuration, limit_v: float, cells: int, over_cell_v: float, under_cell_v: float
) -> Message | None:
    margin_v = config.cvl.over_voltage_margin_v
    peak_v, over_v, under_v = limit_v + MPPT_OFFSET_V + margin_v, over_cell_v * cells, under_cell_v * cells
    if peak_v > over_v + PEAK_TOLERANCE_V:
        return message(
            "config.above_pack_cutoff",
            charge_v=limit_v,
            peak_v=peak_v,
            added_v=MPPT_OFFSET_V,
            margin_v=margin_v,
            cutoff_v=over_v,
            cells=cells,
            cell_v=over_cell_v,
            most_v=over_v - MPPT_OFFSET_V - margin_v,
        )
    if limit_v <= under_v + PEAK_TOLERANCE_V:
        return message("config.below_pack_cutoff", charge_v=limit_v, cutoff_v=under_v, cells=cells, cell_v=under_cell_v)
    return None


def _target(config: Configuration, fit: Fit, ratings: Ratings) -> Iterator[ConfigProblem]:
    """Judge the charge target of the user, or else of the BMS, by what must lie below and above it."""
    cvl, thresholds, cells = config.cvl, config.victron.thresholds, ratings.series_cells
    full_v = ratings.fully_charged_cell_v
    target = Target("", full_v * cells, message("config.bms_target", cell_v=full_v, cells=cells))
    if cvl.bulk_voltage_v is not None:
        target = Target.of_key("cvl.bulk_voltage_v", cvl.bulk_voltage_v)
    findings = [
        *floor_findings(cvl, cells, target, fit.preset if target.path else None),
        *bulk_findings(cvl, cells),
        *ceiling_findings(cvl, cells, fit.preset),
    ]
    if thresholds.overvoltage_v is not None:
        path = "victron.thresholds.overvoltage_v"
        findings += floor_findings(cvl, cells, Target.of_key(path, thresholds.overvoltage_v), fit.preset)
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
        told = message("config.alarm_above_cutoff", cutoff_v=over_v)
        yield ConfigProblem("victron.thresholds.undervoltage_v", low_v, told)
    if high_v is not None and high_v <= under_v:
        told = message("config.alarm_below_cutoff", cutoff_v=under_v)
        yield ConfigProblem("victron.thresholds.overvoltage_v", high_v, told)


def _current(direction: str, wanted_a: float | None, cutoff_a: float) -> Iterator[ConfigProblem]:
    if wanted_a is not None and wanted_a > cutoff_a:
        register = {"charge": 318, "discharge": 317}[direction]
        told = message("config.above_current_cutoff", direction=direction, cutoff_a=cutoff_a, register=register)
        yield ConfigProblem(f"victron.max_{direction}_current_a", wanted_a, told)
