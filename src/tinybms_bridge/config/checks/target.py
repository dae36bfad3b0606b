"""Checks of the voltages per cell against the charge target of the pack; only where the number of cells is known."""

from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_bridge.battery.limits.presets import PRESETS, Chemistry, Preset
from tinybms_bridge.config.checks.finding import ConfigFinding
from tinybms_bridge.config.models.cvl import Cvl
from tinybms_bridge.config.models.victron import Thresholds

__all__ = [
    "PEAK_TOLERANCE_V",
    "Target",
    "bulk_findings",
    "ceiling_findings",
    "floor_findings",
    "preset_of",
    "target_findings",
]

PEAK_TOLERANCE_V = 1e-6
"""Rounding of sums of decimal volts."""

_CELLS = "cvl.series_cell_count"
_BELOW_TARGET = ("cvl.resting_cell_voltage_v", "cvl.sustain_per_cell_voltage_v")


@dataclass(frozen=True, slots=True)
class Target:
    """A voltage of the pack above which nothing is charged."""

    path: str
    """The key that says so; empty when it comes from the BMS."""
    voltage_v: float
    words: str
    """What it is, for messages."""


def preset_of(cvl: Cvl) -> Preset | None:
    """Return what the chosen chemistry tolerates; None when it follows from the BMS."""
    return None if cvl.chemistry == "auto" else PRESETS[Chemistry(cvl.chemistry)]


def target_findings(cvl: Cvl, thresholds: Thresholds) -> Iterator[ConfigFinding]:
    """Yield what does not fit the targets that the file itself gives."""
    bulk_v, cells = cvl.bulk_voltage_v, cvl.series_cell_count
    if bulk_v is not None and cvl.sustain_voltage_v > bulk_v + PEAK_TOLERANCE_V:
        yield ConfigFinding(
            ("cvl.bulk_voltage_v", "cvl.sustain_voltage_v"),
            (
                f"must be at least cvl.sustain_voltage_v, which is {cvl.sustain_voltage_v:g} V",
                f"must be at most cvl.bulk_voltage_v, which is {bulk_v:g} V",
            ),
        )
    if cells is None:
        return
    preset = preset_of(cvl)
    for path, target_v in (
        ("cvl.bulk_voltage_v", bulk_v),
        ("victron.thresholds.overvoltage_v", thresholds.overvoltage_v),
    ):
        if target_v is not None:
            yield from floor_findings(cvl, cells, Target(path, target_v, path), preset)
    yield from bulk_findings(cvl, cells)
    if cvl.cell_max_voltage_v is None:
        yield from ceiling_findings(cvl, cells, preset)


def bulk_findings(cvl: Cvl, cells: int) -> Iterator[ConfigFinding]:
    """Yield what does not fit the bulk voltage, if there is one."""
    if cvl.bulk_voltage_v is not None:
        bulk = Target("cvl.bulk_voltage_v", cvl.bulk_voltage_v, "cvl.bulk_voltage_v")
        yield from _pairs(cvl, cells, bulk, _BELOW_TARGET)
        yield from _protection(cvl, cells, cvl.bulk_voltage_v)


def floor_findings(cvl: Cvl, cells: int, target: Target, preset: Preset | None) -> Iterator[ConfigFinding]:
    """Yield a finding for a target below the floor, which would be charged to all the same."""
    yield from _pairs(cvl, cells, target, ("cvl.floor_cell_voltage_v",))
    if (
        cvl.floor_cell_voltage_v is not None
        or preset is None
        or target.voltage_v >= preset.floor_v * cells - PEAK_TOLERANCE_V
    ):
        return
    floor_v, product = preset.floor_v * cells, f"{preset.floor_v:g} V × {cells} cells"
    if target.path:
        words = f"{product}, below which this chemistry is not kept; cvl.floor_cell_voltage_v sets another floor"
        yield ConfigFinding((target.path, "cvl.chemistry", _CELLS), (f"must be at least {floor_v:g} V ({words})",))
    else:
        above = f"above {target.words}, which is {target.voltage_v:g} V"
        yield ConfigFinding(("cvl.chemistry",), (f"is kept at {floor_v:g} V ({product}) or more, {above}",))


def ceiling_findings(cvl: Cvl, cells: int, preset: Preset | None) -> Iterator[ConfigFinding]:
    """Yield a finding for a bulk voltage above what the chemistry allows or the user's own highest cell voltage."""
    cell_v = cvl.cell_max_voltage_v or (preset.ceiling_v if preset else None)
    if cell_v is None or cvl.bulk_voltage_v is None or cvl.bulk_voltage_v <= cell_v * cells + PEAK_TOLERANCE_V:
        return
    words = "the most for this chemistry unless cvl.cell_max_voltage_v says otherwise"
    if cvl.cell_max_voltage_v:
        words = "cvl.cell_max_voltage_v"
    yield ConfigFinding(
        ("cvl.bulk_voltage_v", "cvl.chemistry", "cvl.cell_max_voltage_v", _CELLS),
        (f"must be at most {cell_v * cells:g} V ({cell_v:g} V × {cells} cells, {words})",),
    )


def _pairs(cvl: Cvl, cells: int, target: Target, paths: tuple[str, ...]) -> Iterator[ConfigFinding]:
    """Yield a finding for each voltage per cell that lies above the target."""
    for path in paths:
        cell_v = _value(cvl, path)
        if cell_v is None or cell_v * cells <= target.voltage_v + PEAK_TOLERANCE_V:
            continue
        most = f"at most {target.voltage_v / cells:.4g} V"
        at_most = f"must be {most}, the share of a cell in {target.words}, which is {target.voltage_v:g} V"
        if target.path:
            at_least = f"must be at least {cell_v * cells:g} V ({path} {cell_v:g} V × {cells} cells), or {path} {most}"
            yield ConfigFinding((target.path, path, _CELLS), (at_least, at_most))
        else:
            yield ConfigFinding((path,), (at_most,))


def _protection(cvl: Cvl, cells: int, bulk_v: float) -> Iterator[ConfigFinding]:
    """Yield a finding for a protection that begins before the target is reached."""
    threshold_v = cvl.cell_safety_threshold_v
    if threshold_v is None or threshold_v * cells >= bulk_v - PEAK_TOLERANCE_V:
        return
    share = f"the share of a cell in cvl.bulk_voltage_v, which is {bulk_v:g} V"
    product = f"cvl.cell_safety_threshold_v {threshold_v:g} V × {cells} cells"
    yield ConfigFinding(
        ("cvl.cell_safety_threshold_v", "cvl.bulk_voltage_v", _CELLS),
        (
            f"must be at least {bulk_v / cells:.4g} V, {share}",
            f"must be at most {threshold_v * cells:g} V ({product})",
        ),
    )


def _value(cvl: Cvl, path: str) -> float | None:
    value: float | None = getattr(cvl, path.removeprefix("cvl."))
    return value
