from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeState,
    LimitCode,
    Limits,
    LimitSettings,
    Memory,
    RateSettings,
    StateMemory,
    StateSettings,
)
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

Drive = Callable[..., list[Limits]]
MakeRatings = Callable[..., Ratings]
MakeSnapshot = Callable[..., Snapshot]

BULK, TRANSITION, FLOAT_APPROACH = ChargeState.BULK, ChargeState.TRANSITION, ChargeState.FLOAT_APPROACH
FLOAT, HOLD, SUSTAIN = ChargeState.FLOAT, ChargeState.IMBALANCE_HOLD, ChargeState.SUSTAIN

FIRMWARE = StateSettings(
    bulk_soc_percent=90.0,
    transition_soc_percent=95.0,
    float_soc_percent=98.0,
    float_exit_soc_percent=95.0,
    imbalance_hold_mv=100.0,
    imbalance_release_mv=50.0,
    sustain_cell_v=3.125,
)
"""Defaults of the firmware's code (reference firmware, section 1.6)."""

UNIT_TEST = replace(
    FIRMWARE,
    maximum_ccl_in_float_a=0.5,
    imbalance_hold_mv=120.0,
    imbalance_release_mv=40.0,
    imbalance_drop_max_v=1.5,
    sustain_exit_soc_percent=9.0,
    sustain_dcl_a=10.0,
)
"""Configuration of the firmware's own unit test (reference firmware, section 5.6)."""


def configured(states: StateSettings, **changes: Any) -> LimitSettings:
    """Return the settings of the reference runs: target 58.4 V, base currents 50 and 100 A, six states alone."""
    settings = settings_before(
        bulk_voltage_v=58.4,
        max_charge_current_a=50.0,
        max_discharge_current_a=100.0,
        states=states,
        rates=RateSettings(cvl_interval_s=0.0, cvl_step_v=0.0, current_rise_s=0.0),
    )
    return replace(settings, **changes)


def sample(soc: float, delta_mv: float = 20.0, **more: float) -> dict[str, float]:
    """Return the arguments of one sample."""
    return {"soc": soc, "delta_mv": delta_mv, **more}


def values(limits: Limits) -> tuple[float, float, float]:
    """Return CVL, CCL and DCL."""
    return limits.cvl_v, limits.ccl_a, limits.dcl_a


@pytest.mark.parametrize(
    ("states", "before", "samples", "state", "expected"),
    [
        # Section 5.5; a cell far below register 316 ends discharging
        pytest.param(FIRMWARE, BULK, [sample(80, 150)], HOLD, (58.375, 5, 100), id="5.5 imbalance 150"),
        pytest.param(FIRMWARE, BULK, [sample(80, 5000)], HOLD, (56.4, 5, 0), id="5.5 imbalance 5000"),
        pytest.param(FIRMWARE, SUSTAIN, [sample(8)], BULK, (58.4, 50, 100), id="5.5 SOC 8 after SUSTAIN"),
        pytest.param(FIRMWARE, BULK, [sample(98)], FLOAT, (58.3, 5, 100), id="5.5 SOC 98"),
        pytest.param(FIRMWARE, BULK, [sample(98), sample(96)], FLOAT, (58.3, 5, 100), id="5.5 stays at 96"),
        pytest.param(FIRMWARE, BULK, [sample(98), sample(94.9)], TRANSITION, (58.4, 50, 100), id="5.5 94.9 ends FLOAT"),
        pytest.param(UNIT_TEST, BULK, [sample(80, 150)], HOLD, (58.385, 0.5, 100), id="5.5 unit test, imbalance 150"),
        # Section 5.6
        pytest.param(UNIT_TEST, BULK, [sample(80)], BULK, (58.4, 50, 100), id="5.6 #1"),
        pytest.param(UNIT_TEST, BULK, [sample(92)], TRANSITION, (58.4, 50, 100), id="5.6 #2"),
        pytest.param(UNIT_TEST, TRANSITION, [sample(96)], FLOAT_APPROACH, (58.35, 50, 100), id="5.6 #3"),
        pytest.param(UNIT_TEST, FLOAT_APPROACH, [sample(99)], FLOAT, (58.3, 0.5, 100), id="5.6 #4"),
        pytest.param(UNIT_TEST, FLOAT_APPROACH, [sample(99), sample(96)], FLOAT, (58.3, 0.5, 100), id="5.6 #5"),
        pytest.param(UNIT_TEST, FLOAT_APPROACH, [sample(99), sample(90)], TRANSITION, (58.4, 50, 100), id="5.6 #6"),
        pytest.param(UNIT_TEST, FLOAT_APPROACH, [sample(97, 150)], HOLD, (58.385, 0.5, 100), id="5.6 #7"),
        pytest.param(UNIT_TEST, HOLD, [sample(85, 20)], BULK, (58.4, 50, 100), id="5.6 #8"),
        pytest.param(
            replace(UNIT_TEST, enabled=False), FLOAT, [sample(99)], BULK, (58.4, 50, 100), id="5.6 #9 disabled"
        ),
    ],
)
def test_reference_scenario(
    drive: Drive,
    states: StateSettings,
    before: ChargeState,
    samples: list[dict[str, float]],
    state: ChargeState,
    expected: tuple[float, float, float],
) -> None:
    """Scenarios of the reference firmware, sections 5.5 and 5.6, in which nothing deviates."""
    limits = drive(configured(states), samples, memory=Memory(StateMemory(before)))[-1]

    assert limits.state is state
    assert values(limits) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "before", "samples", "state", "expected"),
    [
        pytest.param(
            configured(FIRMWARE),
            BULK,
            [sample(90), sample(89.8)],
            TRANSITION,
            (58.4, 50, 100),
            id="firmware: BULK; SOC noise changed the state each time",
        ),
        pytest.param(
            configured(FIRMWARE),
            BULK,
            [sample(95), sample(94.8)],
            FLOAT_APPROACH,
            (58.35, 50, 100),
            id="firmware: TRANSITION; SOC noise moved the CVL each time",
        ),
        pytest.param(
            configured(FIRMWARE),
            BULK,
            [sample(98), sample(97, 150), sample(96, 40)],
            FLOAT,
            (58.3, 5, 100),
            id="firmware: FLOAT_APPROACH 58.35; a hold made it forget FLOAT",
        ),
        pytest.param(
            configured(FIRMWARE),
            BULK,
            [sample(98), sample(97, 150)],
            HOLD,
            (58.3, 5, 100),
            id="firmware: 58.375; a hold raised the CVL of FLOAT",
        ),
        pytest.param(
            configured(replace(FIRMWARE, imbalance_hold_max_s=2.0)),
            BULK,
            [sample(80, 150)] * 4,
            BULK,
            (58.4, 50, 100),
            id="firmware: HOLD for ever",
        ),
        pytest.param(
            configured(replace(FIRMWARE, float_approach_offset_v=0.15, float_offset_v=0.05)),
            BULK,
            [sample(98)],
            FLOAT,
            (58.35, 5, 100),
            id="firmware: 58.25; it swapped the offsets",
        ),
        pytest.param(
            configured(FIRMWARE),
            BULK,
            [sample(80, max_cell_v=3.60, current_a=157.0)],
            BULK,
            (58.4, 50, 100),
            id="firmware: DCL 87.667; it lowered DCL because a cell was high",
        ),
        pytest.param(
            configured(replace(FIRMWARE, enabled=False), bulk_voltage_v=70.0),
            FLOAT,
            [sample(99)],
            BULK,
            (55.2, 50, 100),
            id="firmware: 70.0; disabled meant no bound at all",
        ),
        pytest.param(
            configured(replace(FIRMWARE, sustain_cell_v=None)),
            BULK,
            [sample(4, max_cell_v=3.1)],
            SUSTAIN,
            (58.4, 5, 5),
            id="firmware: 51.2; a nearly empty battery is charged gently, not held down",
        ),
        pytest.param(
            configured(FIRMWARE),
            SUSTAIN,
            [sample(7, max_cell_v=3.2)],
            SUSTAIN,
            (53.6, 5, 5),
            id="firmware: 51.2; its 3.125 V per cell count down to the resting voltage",
        ),
        pytest.param(
            configured(FIRMWARE),
            BULK,
            [sample(4)],
            BULK,
            (58.4, 50, 100),
            id="firmware: SUSTAIN at 51.2 with cells at 3.55 V",
        ),
        pytest.param(
            configured(FIRMWARE, bulk_voltage_v=None),
            BULK,
            [sample(50, max_cell_v=3.3)],
            BULK,
            (58.4, 50, 100),
            id="firmware: the pack voltage 52.8; here register 300 × cells",
        ),
        pytest.param(
            configured(FIRMWARE, max_charge_current_a=0.0, max_discharge_current_a=0.0),
            BULK,
            [sample(50)],
            BULK,
            (58.4, 0, 0),
            id="firmware: a limit of zero was replaced when the frame was built",
        ),
        pytest.param(
            configured(FIRMWARE, max_charge_current_a=None, max_discharge_current_a=None),
            BULK,
            [sample(50)],
            BULK,
            (58.4, 54, 108),
            id="firmware: statistics 102 and 103; here 90 % of cutoffs 317 and 318",
        ),
        pytest.param(
            configured(replace(FIRMWARE, float_offset_v=20.0, sustain_voltage_v=10.0)),
            BULK,
            [sample(98)],
            FLOAT,
            (51.2, 5, 100),
            id="firmware: 38.4; no offset goes below the floor",
        ),
    ],
)
def test_deviation_from_the_firmware(
    drive: Drive,
    settings: LimitSettings,
    before: ChargeState,
    samples: list[dict[str, float]],
    state: ChargeState,
    expected: tuple[float, float, float],
) -> None:
    """Scenarios that deviate from the firmware on purpose; the id says what it did, docs/charge-states.md says why."""
    limits = drive(settings, samples, memory=Memory(StateMemory(before)))[-1]

    assert limits.state is state
    assert values(limits) == pytest.approx(expected)


@pytest.mark.parametrize(("over_voltage_v", "expected_v"), [(3.75, 58.4), (3.675, 58.3), (3.65625, 58.0)])
def test_target_respects_register_315(
    drive: Drive, make_ratings: MakeRatings, over_voltage_v: float, expected_v: float
) -> None:
    """The firmware sent 58.4 V whatever the BMS would cut off at; here 0.4 V and the margin stay free."""
    (limits,) = drive(
        configured(FIRMWARE, bulk_voltage_v=None),
        [sample(50) | {"ratings": make_ratings(over_voltage_cell_v=over_voltage_v)}],
    )

    assert limits.cvl_v == pytest.approx(expected_v)


def test_float_offset_counts_from_the_bounded_target(drive: Drive, make_ratings: MakeRatings) -> None:
    """A target bounded by the cutoff or the ceiling is the one that FLOAT and a hold go below."""
    ratings = make_ratings(over_voltage_cell_v=3.65625)
    samples = [sample(98) | {"ratings": ratings}, *[sample(80, 5000) | {"ratings": ratings}] * 60]
    in_float, *_, in_hold = drive(configured(FIRMWARE, bulk_voltage_v=None), samples)
    (below_ceiling,) = drive(configured(FIRMWARE, bulk_voltage_v=None, cell_max_v=3.45), [sample(98)])

    assert in_float.cvl_v == pytest.approx(57.9)
    assert in_hold.cvl_v == pytest.approx(56.0)
    assert below_ceiling.cvl_v == pytest.approx(55.1)


@pytest.mark.parametrize(
    ("sustain_v", "sustain_cell_v", "expected_v"),
    [(0.0, None, 58.4), (0.0, 3.40, 54.4), (54.0, 3.30, 54.0), (40.0, None, 53.6), (0.0, 3.0, 53.6), (70.0, 3.0, 58.4)],
)
def test_voltage_of_sustain(drive: Drive, sustain_v: float, sustain_cell_v: float | None, expected_v: float) -> None:
    """Without one it is the target; that of the pack wins over that of a cell; never below resting, never raised."""
    states = replace(FIRMWARE, sustain_voltage_v=sustain_v, sustain_cell_v=sustain_cell_v)
    (limits,) = drive(configured(states), [sample(3, max_cell_v=3.1)])

    assert limits.state is SUSTAIN
    assert limits.cvl_v == pytest.approx(expected_v)
    assert LimitCode.FLOOR not in {reason.code for reason in limits.reasons}


def test_no_cap_in_float_when_zero(drive: Drive) -> None:
    """``maximum_ccl_in_float_a`` = 0 means no cap, not no current."""
    (limits,) = drive(configured(replace(FIRMWARE, maximum_ccl_in_float_a=0.0)), [sample(99)])

    assert limits.ccl_a == 50.0
