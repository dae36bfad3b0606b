"""The charge control of the ESP32 firmware, faults included: the baseline that the engine is compared with.

Formulas, defaults and faults are told in firmware.md, 5; what it sends instead of 0 in firmware.md, 3. It works on
what a real BMS gives, and in the scales of the Victron document, both of which the firmware misses.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits import ChargeState

__all__ = ["FirmwareConfig", "FirmwareInput", "FirmwareResult", "compute"]


@dataclass(frozen=True, slots=True)
class FirmwareConfig:
    """Configuration with the defaults of the firmware's code (firmware.md, 1)."""

    enabled: bool = True
    target_v: float = 58.4
    """``victron.thresholds.overvoltage_v``, which doubles as the charge target."""
    bulk_soc: float = 90.0
    transition_soc: float = 95.0
    float_soc: float = 98.0
    float_exit_soc: float = 95.0
    float_approach_offset_mv: float = 50.0
    float_offset_mv: float = 100.0
    minimum_ccl_a: float = 5.0
    imbalance_hold_mv: float = 100.0
    imbalance_release_mv: float = 50.0
    cells: int = 16
    cell_max_v: float = 3.65
    cell_safety_v: float = 3.50
    cell_release_v: float = 3.47
    cell_min_float_v: float = 3.20
    kp: float = 120.0
    nominal_a: float = 157.0
    recovery_step_v: float = 0.4
    sustain_entry_soc: float = 5.0
    sustain_exit_soc: float = 8.0
    sustain_v: float = 0.0
    sustain_cell_v: float = 3.125
    sustain_ccl_a: float = 5.0
    sustain_dcl_a: float = 5.0
    drop_v_per_mv: float = 0.0005
    drop_max_v: float = 2.0


@dataclass(frozen=True, slots=True)
class FirmwareInput:
    """Inputs of one run of the task."""

    soc: float
    imbalance_mv: float
    pack_v: float
    base_ccl_a: float
    """Register 103: a statistic that the firmware takes for a limit."""
    base_dcl_a: float
    """Register 102, likewise."""
    current_a: float
    """Positive = charge."""
    cell_max_v: float


@dataclass(frozen=True, slots=True)
class FirmwareResult:
    """What one run decides, and what the next one remembers of it."""

    state: ChargeState = ChargeState.BULK
    cvl_v: float = 0.0
    ccl_a: float = 0.0
    dcl_a: float = 0.0
    protected: bool = False


def compute(inputs: FirmwareInput, config: FirmwareConfig, before: FirmwareResult) -> FirmwareResult:
    """Return the limits as the firmware computes them (firmware.md, 5.2 to 5.4)."""
    target_v = config.target_v if config.target_v > 0.0 else inputs.pack_v
    base_ccl_a, base_dcl_a = max(inputs.base_ccl_a, 0.0), max(inputs.base_dcl_a, 0.0)
    if not config.enabled:
        return FirmwareResult(ChargeState.BULK, target_v, base_ccl_a, base_dcl_a)
    state = _state(inputs, config, before.state)
    ccl_a, dcl_a = _currents(state, config, base_ccl_a, base_dcl_a)
    return _protect(
        inputs, config, before, FirmwareResult(state, _voltage(state, inputs, config, target_v), ccl_a, dcl_a)
    )


def _state(inputs: FirmwareInput, config: FirmwareConfig, before: ChargeState) -> ChargeState:
    if config.sustain_exit_soc > config.sustain_entry_soc:
        stays = before is ChargeState.SUSTAIN and inputs.soc < config.sustain_exit_soc
        if stays or inputs.soc <= config.sustain_entry_soc:
            return ChargeState.SUSTAIN
    holding = before is ChargeState.IMBALANCE_HOLD
    if inputs.imbalance_mv > (config.imbalance_release_mv if holding else config.imbalance_hold_mv):
        return ChargeState.IMBALANCE_HOLD
    if before is ChargeState.FLOAT and inputs.soc >= config.float_exit_soc:
        return ChargeState.FLOAT
    for threshold, state in (
        (config.float_soc, ChargeState.FLOAT),
        (config.transition_soc, ChargeState.FLOAT_APPROACH),
        (config.bulk_soc, ChargeState.TRANSITION),
    ):
        if inputs.soc >= threshold:
            return state
    return ChargeState.BULK


def _voltage(state: ChargeState, inputs: FirmwareInput, config: FirmwareConfig, target_v: float) -> float:
    least_v = config.cells * config.cell_min_float_v
    approach_v = max(target_v - config.float_approach_offset_mv / 1000.0, 0.0)
    float_v = max(target_v - config.float_offset_mv / 1000.0, 0.0)
    match state:
        case ChargeState.FLOAT_APPROACH:
            return max(approach_v, float_v)
        case ChargeState.FLOAT:
            return min(approach_v, float_v)
        case ChargeState.IMBALANCE_HOLD:
            excess_mv = max(0.0, inputs.imbalance_mv - config.imbalance_hold_mv)
            return max(target_v - min(config.drop_max_v, excess_mv * config.drop_v_per_mv), least_v)
        case ChargeState.SUSTAIN:
            return max(config.sustain_v if config.sustain_v > 0.0 else config.cells * config.sustain_cell_v, least_v)
        case _:
            return target_v


def _currents(state: ChargeState, config: FirmwareConfig, ccl_a: float, dcl_a: float) -> tuple[float, float]:
    if state is ChargeState.SUSTAIN:
        return min(ccl_a, config.sustain_ccl_a), min(dcl_a, config.sustain_dcl_a)
    if state in (ChargeState.FLOAT, ChargeState.IMBALANCE_HOLD) and config.minimum_ccl_a > 0.0:
        return min(ccl_a, config.minimum_ccl_a), dcl_a
    return ccl_a, dcl_a


def _protect(
    inputs: FirmwareInput, config: FirmwareConfig, before: FirmwareResult, wanted: FirmwareResult
) -> FirmwareResult:
    """Apply the cell protection, which cuts DCL as well and forgets its ramp one cycle after its release."""
    if config.cells <= 0 or config.cell_max_v <= 0.0:
        return wanted
    release = before.protected and inputs.cell_max_v > config.cell_release_v
    protected = release or inputs.cell_max_v >= config.cell_safety_v
    limit_v = config.cells * config.cell_max_v
    if protected:
        weight = 1.0 + max(0.0, inputs.current_a) / max(config.nominal_a, 1.0)
        limit_v -= config.kp * weight * max(0.0, inputs.cell_max_v - config.cell_safety_v)
    limit_v = max(limit_v, config.cells * config.cell_min_float_v)
    if config.recovery_step_v > 0.0 and before.cvl_v > 0.0 and (protected or before.protected):
        limit_v = min(limit_v, before.cvl_v + config.recovery_step_v)
    cvl_v = min(wanted.cvl_v, limit_v)
    ratio = min(max(cvl_v / wanted.cvl_v, 0.0), 1.0) if wanted.cvl_v > 0.0 else 1.0
    return FirmwareResult(wanted.state, cvl_v, wanted.ccl_a * ratio, wanted.dcl_a * ratio, protected)
