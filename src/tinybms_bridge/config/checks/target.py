"""Checks of the voltages per cell against the charge target of the pack; only where the number of cells is known."""

from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_bridge.battery.limits.presets import PRESETS, Chemistry, Preset
from tinybms_bridge.config.checks.finding import ConfigFinding
from tinybms_bridge.config.models.cvl import Cvl
from tinybms_bridge.config.models.victron import Thresholds
from tinybms_bridge.words import Message, message

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
    what: Message
    """What it is, for messages."""

    @classmethod
    def of_key(cls, path: str, voltage_v: float) -> "Target":
        """Return the target that a key says."""
        return cls(path, voltage_v, message("config.key", key=path))


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
                message("config.at_least", key="cvl.sustain_voltage_v", value=cvl.sustain_voltage_v, unit="V"),
                message("config.at_most", key="cvl.bulk_voltage_v", value=bulk_v, unit="V"),
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
            yield from floor_findings(cvl, cells, Target.of_key(path, target_v), preset)
    yield from bulk_findings(cvl, cells)
    if cvl.cell_max_voltage_v is None:
        yield from ceiling_findings(cvl, cells, preset)


def bulk_findings(cvl: Cvl, cells: int) -> Iterator[ConfigFinding]:
    """Yield what does not fit the bulk voltage, if there is one."""
    if cvl.bulk_voltage_v is not None:
        bulk = Target.of_key("cvl.bulk_voltage_v", cvl.bulk_voltage_v)
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
    cell_v, floor_v = preset.floor_v, preset.floor_v * cells
    if target.path:
        low = message("config.below_chemistry", floor_v=floor_v, cell_v=cell_v, cells=cells)
        yield ConfigFinding((target.path, "cvl.chemistry", _CELLS), (low,))
    else:
        kept = message(
            "config.chemistry_above_target",
            floor_v=floor_v,
            cell_v=cell_v,
            cells=cells,
            target=target.what,
            target_v=target.voltage_v,
        )
        yield ConfigFinding(("cvl.chemistry",), (kept,))


def ceiling_findings(cvl: Cvl, cells: int, preset: Preset | None) -> Iterator[ConfigFinding]:
    """Yield a finding for a bulk voltage above what the chemistry allows or the user's own highest cell voltage."""
    cell_v = cvl.cell_max_voltage_v or (preset.ceiling_v if preset else None)
    if cell_v is None or cvl.bulk_voltage_v is None or cvl.bulk_voltage_v <= cell_v * cells + PEAK_TOLERANCE_V:
        return
    most = message(
        "config.above_cell_maximum" if cvl.cell_max_voltage_v else "config.above_chemistry",
        most_v=cell_v * cells,
        cell_v=cell_v,
        cells=cells,
    )
    yield ConfigFinding(("cvl.bulk_voltage_v", "cvl.chemistry", "cvl.cell_max_voltage_v", _CELLS), (most,))


def _pairs(cvl: Cvl, cells: int, target: Target, paths: tuple[str, ...]) -> Iterator[ConfigFinding]:
    """Yield a finding for each voltage per cell that lies above the target."""
    for path in paths:
        cell_v = _value(cvl, path)
        if cell_v is None or cell_v * cells <= target.voltage_v + PEAK_TOLERANCE_V:
            continue
        share_v = target.voltage_v / cells
        at_most = message("config.cell_above_target", most_v=share_v, target=target.what, target_v=target.voltage_v)
        if target.path:
            at_least = message(
                "config.target_below_cell",
                least_v=cell_v * cells,
                key=path,
                cell_v=cell_v,
                cells=cells,
                most_v=share_v,
            )
            yield ConfigFinding((target.path, path, _CELLS), (at_least, at_most))
        else:
            yield ConfigFinding((path,), (at_most,))


def _protection(cvl: Cvl, cells: int, bulk_v: float) -> Iterator[ConfigFinding]:
    """Yield a finding for a protection that begins before the target is reached."""
    threshold_v = cvl.cell_safety_threshold_v
    if threshold_v is None or threshold_v * cells >= bulk_v - PEAK_TOLERANCE_V:
        return
    yield ConfigFinding(
        ("cvl.cell_safety_threshold_v", "cvl.bulk_voltage_v", _CELLS),
        (
            message("config.protection_below_target", least_v=bulk_v / cells, target_v=bulk_v),
            message("config.target_above_protection", most_v=threshold_v * cells, cell_v=threshold_v, cells=cells),
        ),
    )


def _value(cvl: Cvl, path: str) -> float | None:
    value: float | None = getattr(cvl, path.removeprefix("cvl."))
    return value
