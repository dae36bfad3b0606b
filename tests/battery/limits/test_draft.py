from collections.abc import Callable
from functools import partial

import pytest

from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    Chemistry,
    LimitCode,
    Limits,
    LimitSettings,
    Quantity,
    chemistry_of,
    explain,
)
from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.draft import Draft, base
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

Drive = Callable[..., list[Limits]]
MakeRatings = Callable[..., Ratings]
MakeContext = Callable[[Ratings, LimitSettings], Context]


@pytest.fixture(scope="session", name="context")
def _context(make_snapshot: Callable[..., Snapshot]) -> MakeContext:
    """Return a builder of the context of one step."""
    return lambda ratings, settings: make_context(make_snapshot(ratings=ratings), ratings, settings)


def codes(draft: Draft, quantity: Quantity) -> list[LimitCode]:
    """Return the causes of one quantity in order."""
    return [reason.code for reason in draft.reasons if reason.quantity is quantity]


@pytest.mark.parametrize("cells", range(4, 17))
@pytest.mark.parametrize(
    ("full_v", "cutoff_v", "chemistry"),
    [(3.60, 3.75, Chemistry.LFP), (4.10, 4.25, Chemistry.LI_ION), (2.65, 2.85, Chemistry.LTO)],
)
def test_target_comes_from_the_bms(
    context: MakeContext, make_ratings: MakeRatings, cells: int, full_v: float, cutoff_v: float, chemistry: Chemistry
) -> None:
    """Without configuration the target is register 300 times register 307, for every chemistry and number of cells."""
    ratings = make_ratings(series_cells=cells, fully_charged_cell_v=full_v, over_voltage_cell_v=cutoff_v)
    draft = base(context(ratings, settings_before()))

    assert chemistry_of(ratings) is chemistry
    assert draft[Quantity.CVL] == pytest.approx(min(full_v * cells, cutoff_v * cells - 0.5))
    assert codes(draft, Quantity.CVL)[0] is LimitCode.BMS_TARGET


def test_configured_target_wins(context: MakeContext, make_ratings: MakeRatings) -> None:
    """A configured target replaces the BMS's own, which it may not exceed: one step of the frame is rounding."""
    ratings = make_ratings(fully_charged_cell_v=3.5)
    draft = base(context(ratings, settings_before(bulk_voltage_v=55.0)))
    rounded = base(context(ratings, settings_before(bulk_voltage_v=56.1)))

    assert draft[Quantity.CVL] == 55.0
    assert codes(draft, Quantity.CVL) == [LimitCode.CONFIGURED]
    assert rounded[Quantity.CVL] == 56.0
    assert codes(rounded, Quantity.CVL) == [LimitCode.CONFIGURED, LimitCode.BMS_TARGET]


@pytest.mark.parametrize("target_v", [3.45, 51.1, 56.2, 58.0, 60.0, 80.0])
def test_a_target_that_does_not_fit_gives_way_to_a_careful_one(
    context: MakeContext, make_ratings: MakeRatings, target_v: float
) -> None:
    """Below the floor or above what the BMS allows a target is a mistake: then 3.45 V per LFP cell, and no more."""
    draft = base(context(make_ratings(fully_charged_cell_v=3.5), settings_before(bulk_voltage_v=target_v)))

    assert draft[Quantity.CVL] == pytest.approx(55.2)
    assert codes(draft, Quantity.CVL) == [LimitCode.BMS_TARGET, LimitCode.MISFIT]
    assert explain(draft.reasons[-1]) == (
        "CVL 55.2 V: a careful target, since a setting does not fit this battery: bulk_voltage_v"
    )


@pytest.mark.parametrize(("margin_v", "expected_v"), [(0.0, 58.0), (0.1, 57.9), (0.5, 57.5)])
def test_target_stays_below_the_over_voltage_cutoff(
    context: MakeContext, make_ratings: MakeRatings, margin_v: float, expected_v: float
) -> None:
    """A solar charger regulates at CVL + 0.4 V: the target leaves that and the margin below register 315 × cells."""
    draft = base(context(make_ratings(over_voltage_cell_v=3.65), settings_before(over_voltage_margin_v=margin_v)))

    assert draft[Quantity.CVL] == pytest.approx(expected_v)
    assert codes(draft, Quantity.CVL) == [LimitCode.BMS_TARGET, LimitCode.OVER_VOLTAGE_MARGIN]


@pytest.mark.parametrize(("cell_max_v", "expected_v"), [(None, 58.4), (3.45, 55.2)])
def test_target_stays_below_the_ceiling(
    context: MakeContext, make_ratings: MakeRatings, cell_max_v: float | None, expected_v: float
) -> None:
    """The ceiling of the chemistry or of the user bounds the target itself, so that the offsets of FLOAT still act."""
    settings = settings_before(cell_max_v=cell_max_v)
    draft = base(context(make_ratings(fully_charged_cell_v=3.7, over_voltage_cell_v=4.2), settings))

    assert draft[Quantity.CVL] == pytest.approx(expected_v)
    assert codes(draft, Quantity.CVL)[-1] is LimitCode.CEILING


def test_target_stays_at_the_alarm_threshold(context: MakeContext, make_ratings: MakeRatings) -> None:
    """A target above the user's own over-voltage alarm would raise that alarm at each full charge."""
    draft = base(context(make_ratings(), settings_before(bulk_voltage_v=58.4, alarm_voltage_v=57.0)))

    assert draft[Quantity.CVL] == 57.0
    assert codes(draft, Quantity.CVL) == [LimitCode.CONFIGURED, LimitCode.ALARM_THRESHOLD]


@pytest.mark.parametrize(
    ("configured_a", "expected_a", "code"),
    [
        (None, 54.0, LimitCode.BMS_CURRENT_CUTOFF),
        (40.0, 40.0, LimitCode.CONFIGURED),
        (60.0, 60.0, LimitCode.CONFIGURED),
        (200.0, 54.0, LimitCode.BMS_CURRENT_CUTOFF),
        (0.0, 0.0, LimitCode.CONFIGURED),
    ],
)
def test_charge_current_is_bounded_by_register_318(
    context: MakeContext, make_ratings: MakeRatings, configured_a: float | None, expected_a: float, code: LimitCode
) -> None:
    """Charge current: the user's maximum, or a share of the cutoff where there is none below it; zero stays zero."""
    settings = settings_before(max_charge_current_a=configured_a)
    draft = base(context(make_ratings(charge_over_current_a=60.0), settings))

    assert draft[Quantity.CCL] == pytest.approx(expected_a)
    assert codes(draft, Quantity.CCL) == [code]


@pytest.mark.parametrize(
    ("peak_a", "configured_a", "expected_a"),
    [(None, None, 108.0), (150.0, None, 108.0), (100.0, None, 90.0), (100.0, 110.0, 90.0), (None, 110.0, 110.0)],
)
def test_discharge_current_is_bounded_by_registers_317_and_305(
    context: MakeContext,
    make_ratings: MakeRatings,
    peak_a: float | None,
    configured_a: float | None,
    expected_a: float,
) -> None:
    """Discharge current: bounded by the lower of both cutoffs; a reserved register 305 plays no part."""
    ratings = make_ratings(discharge_over_current_a=120.0, discharge_peak_current_a=peak_a)
    draft = base(context(ratings, settings_before(max_discharge_current_a=configured_a)))

    assert draft[Quantity.DCL] == pytest.approx(expected_a)


@pytest.mark.parametrize(
    ("full_v", "chemistry"),
    [
        (1.20, Chemistry.LTO),
        (3.00, Chemistry.LTO),
        (3.01, Chemistry.LFP),
        (3.65, Chemistry.LFP),
        (3.75, Chemistry.LFP),
        (3.80, Chemistry.LFP),
        (3.81, Chemistry.LI_ION),
        (4.50, Chemistry.LI_ION),
    ],
)
def test_chemistry_is_told_from_register_300(make_ratings: MakeRatings, full_v: float, chemistry: Chemistry) -> None:
    """Full-charge voltages of the three chemistries lie on their side of the borders, those in doubt on the lower."""
    assert chemistry_of(make_ratings(fully_charged_cell_v=full_v)) is chemistry


@pytest.mark.parametrize(
    ("chemistry", "full_v", "floor_v", "resting_v"),
    [
        (None, 3.65, 51.2, 53.6),
        (Chemistry.LI_ION, 3.65, 51.2, 53.6),
        (Chemistry.LI_ION, 3.70, 57.6, 58.4),
        (None, 4.2, 57.6, 62.4),
        (None, 2.65, 36.8, 38.4),
    ],
)
def test_floor_and_resting_voltage_follow_the_chemistry(
    context: MakeContext,
    make_ratings: MakeRatings,
    chemistry: Chemistry | None,
    full_v: float,
    floor_v: float,
    resting_v: float,
) -> None:
    """Floor and resting voltage are those of the chemistry, and keep away from registers 316 and 300.

    The chemistry is the one of register 300; the owner decides where that leaves a choice.
    """
    empty_v = 1.7 if full_v < 3.0 else 2.5
    ratings = make_ratings(fully_charged_cell_v=full_v, over_voltage_cell_v=full_v + 0.1, under_voltage_cell_v=empty_v)
    made = context(ratings, settings_before(chemistry=chemistry))

    assert made.floor_v == pytest.approx(floor_v)
    assert made.resting_v == pytest.approx(resting_v)
    assert 0.0 < made.floor_v <= made.resting_v <= made.ceiling_v
    assert made.decidable


def test_ceiling_wins_over_a_floor_above_it(context: MakeContext, make_ratings: MakeRatings) -> None:
    """Where a configuration makes floor and ceiling cross, no CVL above the ceiling follows."""
    made = context(make_ratings(), settings_before(cell_max_v=3.30, floor_cell_v=3.32, resting_cell_v=3.50))

    assert made.resting_v == made.ceiling_v == pytest.approx(52.8)
    assert made.floor_v == pytest.approx(51.2), "a floor above the ceiling is not used"


@pytest.mark.parametrize("nonsense_v", [0.0, -3.2, float("nan"), float("inf")])
def test_nonsense_per_cell_falls_back_to_the_chemistry(
    context: MakeContext, make_ratings: MakeRatings, nonsense_v: float
) -> None:
    """A voltage per cell that cannot be one is not used: a floor of 0 V would let the GX empty the battery."""
    settings = settings_before(floor_cell_v=nonsense_v, resting_cell_v=nonsense_v, cell_max_v=nonsense_v)
    made = context(make_ratings(), settings)

    assert (made.floor_v, made.resting_v, made.ceiling_v) == pytest.approx((51.2, 53.6, 58.4))


@pytest.mark.parametrize("cutoff_v", [0.0, 0.03, float("nan"), float("-inf")])
def test_nothing_is_decidable_without_a_cutoff(
    context: MakeContext, make_ratings: MakeRatings, cutoff_v: float
) -> None:
    """When no positive voltage lies below the over-voltage cutoff, there is no safe CVL to decide."""
    assert not context(make_ratings(over_voltage_cell_v=cutoff_v), settings_before()).decidable


@pytest.mark.parametrize("cutoff_v", [3.65, 3.60])
def test_crossed_cutoffs_are_the_reason(drive: Drive, make_ratings: MakeRatings, cutoff_v: float) -> None:
    """With register 300 at or above 315 nothing is charged, and the registers are named instead of a cell."""
    (limits,) = drive(settings_before(), [{"soc": 50, "ratings": make_ratings(over_voltage_cell_v=cutoff_v)}])
    reason = limits.binding(Quantity.CCL)

    assert limits.ccl_a == 0.0
    assert reason is not None
    assert explain(reason) == f"CCL 0.0 A: the BMS is full at 3.65 V per cell and cuts off at {cutoff_v:.2f} V"


def test_crossed_cutoffs_end_a_charge_that_obeys_no_ccl(drive: Drive, make_ratings: MakeRatings) -> None:
    """They are a stop like others: CVL goes down as well, since CCL does not bind every solar charger."""
    crossed = make_ratings(over_voltage_cell_v=3.60)
    limits = drive(settings_before(), [{"soc": 50, "ratings": crossed, "current_a": 40.0}] * 30)[-1]
    reason = limits.binding(Quantity.CVL)

    assert reason is not None
    assert reason.code is LimitCode.CROSSED_CUTOFFS
    assert limits.cvl_v <= 53.6
