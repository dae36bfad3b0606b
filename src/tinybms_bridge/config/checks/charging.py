"""Checks of charge states, cell voltages and alarm thresholds."""

from collections.abc import Iterator

from tinybms_bridge.battery.gx import MPPT_OFFSET_V
from tinybms_bridge.config.checks.finding import ConfigFinding, ordered
from tinybms_bridge.config.checks.target import PEAK_TOLERANCE_V, target_findings
from tinybms_bridge.config.models.cvl import Cvl
from tinybms_bridge.config.models.victron import Thresholds
from tinybms_bridge.words import Message, message

__all__ = ["charging_findings"]

# (lower, higher, strictly) among the voltages per cell of section cvl.
_CELL_ORDER = (
    ("cell_safety_release_v", "cell_safety_threshold_v", True),
    ("cell_safety_threshold_v", "cell_max_voltage_v", False),
    ("resting_cell_voltage_v", "cell_safety_threshold_v", True),
    ("floor_cell_voltage_v", "resting_cell_voltage_v", False),
    ("floor_cell_voltage_v", "cell_max_voltage_v", False),
    ("resting_cell_voltage_v", "cell_max_voltage_v", False),
    ("sustain_per_cell_voltage_v", "cell_max_voltage_v", False),
)


def charging_findings(cvl: Cvl, thresholds: Thresholds) -> Iterator[ConfigFinding]:
    """Yield what does not fit in the sections ``cvl`` and ``victron.thresholds``."""
    yield from _states(cvl)
    yield from _sustain(cvl)
    yield from _window(cvl)
    for low, high, strictly in _CELL_ORDER:
        low_v, high_v = getattr(cvl, low), getattr(cvl, high)
        yield from ordered(f"cvl.{low}", low_v, f"cvl.{high}", high_v, "V", strictly=strictly)
    yield from _over_voltage(cvl, thresholds)
    yield from target_findings(cvl, thresholds)
    yield from _thresholds(thresholds)


_BEFORE = {"float_soc_threshold": 95.0, "float_exit_soc": 92.0, "float_offset_mv": 100.0}
"""What counts for a key of FLOAT that is not set where another one is (``battery.limits.charging``)."""


def _typed_or_before(value: float | None, key: str) -> float | None:
    return _BEFORE.get(key) if value is None else value


def _states(cvl: Cvl) -> Iterator[ConfigFinding]:
    soc_order = (
        ("bulk_soc_threshold", "transition_soc_threshold", False),
        ("transition_soc_threshold", "float_soc_threshold", False),
        ("float_exit_soc", "float_soc_threshold", True),
    )
    for low, high, strictly in soc_order:
        low_percent, high_percent = (_typed_or_before(getattr(cvl, key), key) for key in (low, high))
        yield from ordered(f"cvl.{low}", low_percent, f"cvl.{high}", high_percent, "%", strictly=strictly)
    if cvl.float_offset_mv is not None or cvl.charge_defaults == "before":
        offset_mv = _typed_or_before(cvl.float_offset_mv, "float_offset_mv")
        approach_mv = cvl.float_approach_offset_mv
        yield from ordered("cvl.float_approach_offset_mv", approach_mv, "cvl.float_offset_mv", offset_mv, "mV")
    yield from ordered(
        "cvl.imbalance_release_threshold_mv",
        cvl.imbalance_release_threshold_mv,
        "cvl.imbalance_hold_threshold_mv",
        cvl.imbalance_hold_threshold_mv,
        "mV",
        strictly=True,
    )


def _sustain(cvl: Cvl) -> Iterator[ConfigFinding]:
    entry, leave = cvl.sustain_soc_entry_percent, cvl.sustain_soc_exit_percent
    if leave <= entry and (entry, leave) != (0, 0):
        yield ConfigFinding(
            ("cvl.sustain_soc_exit_percent", "cvl.sustain_soc_entry_percent"),
            (
                message("config.above_sustain_entry", entry_percent=entry),
                message("config.below_sustain_exit", exit_percent=leave),
            ),
        )
    if leave > entry:
        yield from ordered(
            "cvl.sustain_soc_exit_percent",
            leave,
            "cvl.bulk_soc_threshold",
            cvl.bulk_soc_threshold,
            "%",
            strictly=True,
        )
    if 0 < cvl.sustain_voltage_v < 3:
        yield ConfigFinding(("cvl.sustain_voltage_v",), (message("config.sustain_voltage"),))


def _window(cvl: Cvl) -> Iterator[ConfigFinding]:
    """The SOC bounds must leave room between them, and a forced charge must end above its start and below the top."""
    room_percent, low_percent = cvl.soc_window_hysteresis_percent, cvl.soc_min_percent
    for path, high_percent in _upper_bounds(cvl):
        if low_percent > 0 and low_percent + room_percent >= high_percent:
            yield ConfigFinding(
                ("cvl.soc_min_percent", path),
                (
                    message("config.room_below", room_percent=room_percent, key=path, value_percent=high_percent),
                    message("config.room_above_minimum", room_percent=room_percent, minimum_percent=low_percent),
                ),
            )
    if cvl.force_charge_start_percent > 0:
        start, stop = "cvl.force_charge_start_percent", "cvl.force_charge_stop_percent"
        stop_percent = cvl.force_charge_stop_percent
        yield from ordered(start, cvl.force_charge_start_percent, stop, stop_percent, "%", strictly=True)
        for path, high_percent in _upper_bounds(cvl):
            yield from ordered(stop, stop_percent, path, high_percent, "%")


def _upper_bounds(cvl: Cvl) -> Iterator[tuple[str, float]]:
    """Yield the SOC at which charging ends; that of the storage profile counts only while it is chosen."""
    yield "cvl.soc_max_percent", cvl.soc_max_percent
    if cvl.profile == "storage":
        yield "cvl.storage_soc_percent", cvl.storage_soc_percent


def _over_voltage(cvl: Cvl, thresholds: Thresholds) -> Iterator[ConfigFinding]:
    for path in ("cvl.bulk_voltage_v", "cvl.sustain_voltage_v"):
        target_v = getattr(cvl, path.removeprefix("cvl.")) or 0.0
        peak_v = target_v + MPPT_OFFSET_V + cvl.over_voltage_margin_v
        for bound_paths, bound_v, bound in _bounds(cvl, thresholds):
            if target_v and peak_v > bound_v + PEAK_TOLERANCE_V:
                paths = (path, *bound_paths, "cvl.over_voltage_margin_v")
                yield ConfigFinding(paths, (_too_high(cvl, peak_v, bound_v, bound),))


def _too_high(cvl: Cvl, peak_v: float, bound_v: float, bound: Message) -> Message:
    return message(
        "config.peak_too_high",
        added_v=MPPT_OFFSET_V,
        margin_v=cvl.over_voltage_margin_v,
        peak_v=peak_v,
        bound_v=bound_v,
        bound=bound,
        most_v=bound_v - MPPT_OFFSET_V - cvl.over_voltage_margin_v,
    )


def _bounds(cvl: Cvl, thresholds: Thresholds) -> Iterator[tuple[tuple[str, ...], float, Message]]:
    if thresholds.overvoltage_v is not None:
        path = "victron.thresholds.overvoltage_v"
        yield (path,), thresholds.overvoltage_v, message("config.key", key=path)
    if cvl.cell_max_voltage_v is not None and cvl.series_cell_count is not None:
        cell_v, cells = cvl.cell_max_voltage_v, cvl.series_cell_count
        paths = ("cvl.cell_max_voltage_v", "cvl.series_cell_count")
        yield paths, cell_v * cells, message("config.cells_times", key=paths[0], cell_v=cell_v, cells=cells)


def _thresholds(thresholds: Thresholds) -> Iterator[ConfigFinding]:
    pairs = (
        ("undervoltage_v", "overvoltage_v", "V"),
        ("low_temp_charge_c", "overtemp_c", "°C"),
        ("imbalance_warn_mv", "imbalance_alarm_mv", "mV"),
        ("soc_low_percent", "soc_high_percent", "%"),
    )
    for low, high, unit in pairs:
        yield from ordered(
            f"victron.thresholds.{low}",
            getattr(thresholds, low),
            f"victron.thresholds.{high}",
            getattr(thresholds, high),
            unit,
            strictly=True,
        )
