from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    Curve,
    LimitCode,
    Limits,
    LimitSettings,
    Quantity,
    SensorMemory,
    explain,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.derating import charge_readings, derate, lost_sensors, next_sensors
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.snapshot import Ratings, Temperatures

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeEngine = Callable[..., Any]

WARM = (20.0, 20.0, 20.0)
COLD = (20.0, 5.0, 18.0)
CUT = (20.0, None, None)


def test_a_lost_sensor_limits_by_its_last_reading(make_engine: MakeEngine) -> None:
    """The board is warm, the cells were not: CCL stays, the reason names the sensor, and both are told as lost."""
    engine = make_engine()
    before = engine.last_for(60.0, temperatures_c=COLD)
    after = engine.last_for(60.0, temperatures_c=CUT)
    reason = after.binding(Quantity.CCL)

    assert before.ccl_a == after.ccl_a == pytest.approx(13.5)
    assert (reason.code, reason.value) == (LimitCode.SENSOR_LOST, 5.0)
    assert explain(reason) == "CCL 13.5 A: external sensor 1 is lost: its last 5.0 °C count, 25 % is left"
    assert (before.lost_sensors, after.lost_sensors) == ((), ("external sensor 1", "external sensor 2"))
    assert after.dcl_a == before.dcl_a


def test_a_lost_sensor_keeps_a_frost_stop(make_engine: MakeEngine) -> None:
    """CVL as well, over a restart as well; with the sensor back in the warmth all is free."""
    engine = make_engine()
    engine.last_for(10.0, temperatures_c=(20.0, -10.0, 15.0))
    lost = engine.last_for(60.0, temperatures_c=(20.0, None, 15.0))
    engine.restart()
    restarted = engine.last_for(60.0, temperatures_c=(20.0, None, 15.0))
    back = engine.last_for(600.0, temperatures_c=WARM)

    for limits in (lost, restarted):
        assert (limits.ccl_a, limits.cvl_v) == (0.0, pytest.approx(53.6))
        assert limits.binding(Quantity.CVL).code is LimitCode.SENSOR_LOST
    assert (back.ccl_a, back.lost_sensors) == (54.0, ())


def test_the_user_says_that_a_sensor_is_gone(make_engine: MakeEngine) -> None:
    """Then it is forgotten, also when lost sensors are kept again afterwards."""
    engine = make_engine()
    engine.last_for(10.0, temperatures_c=COLD)
    kept = engine.settings
    engine.settings = replace(kept, keep_lost_sensor=False)
    freed = engine.last_for(60.0, temperatures_c=CUT)
    engine.settings = kept
    later = engine.last_for(60.0, temperatures_c=CUT)

    assert freed.ccl_a == later.ccl_a == 54.0
    assert freed.lost_sensors == later.lost_sensors == ()


def test_without_external_sensors_the_board_counts(make_engine: MakeEngine) -> None:
    """What was never there is not missed."""
    limits = make_engine(settings_before()).last_for(60.0, temperatures_c=CUT)
    assert (limits.ccl_a, limits.lost_sensors) == (54.0, ())


def test_a_reading_that_is_no_number_is_not_remembered() -> None:
    """It stops charging as long as it lasts, not until the end of time."""
    memory = next_sensors(SensorMemory(5.0), Temperatures(20.0, float("nan"), float("inf")), True)
    assert memory == SensorMemory(5.0, internal_c=20.0)


readings_c = st.none() | st.floats(-50.0, 90.0)


@given(before=st.builds(Temperatures, readings_c, readings_c, readings_c), lost=st.sets(st.sampled_from([1, 2])))
def test_a_loss_takes_no_reading_away(before: Temperatures, lost: set[int]) -> None:
    """Whatever goes: every external reading that counted goes on counting, so no limit can rise by it."""
    after = Temperatures(
        before.internal_c, None if 1 in lost else before.external_1_c, None if 2 in lost else before.external_2_c
    )
    memory = next_sensors(SensorMemory(), before, True)
    counted = {celsius for celsius, _ in charge_readings(next_sensors(memory, after, True), after)}
    external = {c for c in (before.external_1_c, before.external_2_c) if c is not None}

    assert external <= counted
    missed = [n for n in lost if getattr(before, f"external_{n}_c") is not None]
    board = before.internal_c is None and not after.pack_c
    assert len(lost_sensors(memory, after)) == len(missed) + board


@pytest.mark.parametrize("keep", [True, False])
def test_without_any_sensor_charging_ends_after_ten_seconds(make_engine: MakeEngine, keep: bool) -> None:
    """The board's own sensor is lost: its last reading limits for 10 s, then CCL is 0; DCL stays. Nothing lifts it."""
    engine = make_engine(settings_before(keep_lost_sensor=keep))
    before = engine.last_for(60.0, temperatures_c=(5.0,))
    soon = engine.last_for(9.0, temperatures_c=(None,))
    later = engine.last_for(3.0, temperatures_c=(None,))
    engine.restart()
    restarted = engine.last_for(60.0, temperatures_c=(None,))

    assert before.ccl_a == soon.ccl_a == pytest.approx(13.5)
    assert soon.binding(Quantity.CCL).code is LimitCode.SENSOR_LOST
    for limits in (later, restarted):
        assert (limits.ccl_a, limits.dcl_a) == (0.0, before.dcl_a)
        assert limits.cvl_v == pytest.approx(53.6)
        assert limits.binding(Quantity.CCL).code is LimitCode.NO_TEMPERATURE
        assert limits.lost_sensors == ("board sensor",)
        assert explain(limits.binding(Quantity.CCL)) == "CCL 0.0 A: no temperature sensor answers"
    assert engine.last_for(600.0, temperatures_c=WARM).ccl_a == 54.0


def test_frost_stays_frost_when_the_board_sensor_is_lost(make_engine: MakeEngine) -> None:
    """A stop at -5 °C does not end because the sensor does, not for a moment."""
    engine = make_engine()
    engine.last_for(10.0, temperatures_c=(-5.0,))
    seen = [engine.feed(temperatures_c=(None,), every_s=1.0).ccl_a for _ in range(30)]

    assert set(seen) == {0.0}


def test_external_sensors_decide_without_the_board(make_engine: MakeEngine) -> None:
    """They stand for the cells; that the board is silent is told."""
    engine = make_engine()
    engine.last_for(10.0, temperatures_c=WARM)
    limits = engine.last_for(60.0, temperatures_c=(None, 20.0, 20.0))

    assert (limits.ccl_a, limits.lost_sensors) == (54.0, ("board sensor",))


def test_the_last_sensor_that_is_forgotten_is_no_permission(make_engine: MakeEngine) -> None:
    """With ``keep_lost_sensor`` off and no board sensor, the loss of the external one ends charging at once."""
    engine = make_engine(settings_before(keep_lost_sensor=False))
    engine.last_for(10.0, temperatures_c=(None, 20.0))

    assert engine.last_for(3.0, temperatures_c=(None, None)).ccl_a == 0.0


def test_discharge_stays_as_it_was_without_any_sensor(make_engine: MakeEngine) -> None:
    """In deep frost DCL is derated: the loss of the sensor does not raise it."""
    engine = make_engine()
    before = engine.last_for(60.0, temperatures_c=(-25.0,)).dcl_a
    after = engine.last_for(60.0, temperatures_c=(None,)).dcl_a

    assert 0.0 < before < 100.0
    assert after == before


MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
Engine = Any

HALF = Curve(((0.0, 0.5),))
NO_SENSOR = None


def currents(draft: Draft) -> tuple[float, float]:
    """Return CCL and DCL."""
    return draft[Quantity.CCL], draft[Quantity.DCL]


def added(draft: Draft) -> list[tuple[Quantity, LimitCode]]:
    """Return what derating added to the reasons."""
    return [(reason.quantity, reason.code) for reason in draft.reasons[3:]]


def test_a_pack_in_its_best_years_is_not_derated(context: MakeContext, make_draft: MakeDraft) -> None:
    """Half full, warm, cells alike, samples young: nothing is lowered and nothing is noted."""
    draft = make_draft()
    derate(draft, context(max_cell_v=3.33, temperatures_c=(30.0, 22.0, 24.0)), 0.1)

    assert currents(draft) == (50.0, 100.0)
    assert added(draft) == []


@pytest.mark.parametrize(
    ("max_cell_v", "ccl_a", "cell"), [(3.60, 50.0, None), (3.65, 20.0, 1), (3.69, 5.0, 1), (3.73, 0, None)]
)
def test_charge_follows_the_highest_cell(
    context: MakeContext, make_draft: MakeDraft, max_cell_v: float, ccl_a: float, cell: int | None
) -> None:
    """From 50 mV below register 300 to 80 mV above: full, 40 %, 10 %, nothing; DCL does not care about high cells."""
    draft = make_draft()
    derate(draft, context(max_cell_v=max_cell_v, delta_mv=5.0), 0.0)

    assert currents(draft) == pytest.approx((ccl_a, 100.0), abs=1e-9)
    if cell is not None:
        (reason,) = draft.reasons[3:]
        assert (reason.value, reason.cell) == (max_cell_v, cell)
        assert reason.threshold == pytest.approx(ccl_a / 50.0)


@pytest.mark.parametrize(
    ("temperatures_c", "expected"),
    [
        pytest.param((25.0, 1.0, 25.0), (0.0, 100.0), id="the colder sensor stops charging at register 320"),
        pytest.param((25.0, 25.0, 5.0), (12.5, 100.0), id="whichever of the two is the colder one"),
        pytest.param((25.0, 25.0, 55.0), (20.0, 50.0), id="the hotter sensor lowers both directions"),
        pytest.param((25.0, 60.0, 25.0), (0.0, 0.0), id="at register 319 the BMS cuts both"),
        pytest.param((25.0, 5.0, 55.0), (12.5, 50.0), id="one cold, one hot: the smaller fraction of each direction"),
        pytest.param((0.0, 25.0, 25.0), (50.0, 100.0), id="the board does not stand for the cells beside sensors"),
        pytest.param((25.0, 5.0, NO_SENSOR), (12.5, 100.0), id="one sensor is enough"),
        pytest.param((5.0, NO_SENSOR, NO_SENSOR), (12.5, 100.0), id="without sensors the board stands for the cells"),
        pytest.param((NO_SENSOR, NO_SENSOR, NO_SENSOR), (50.0, 100.0), id="nothing known leaves the curve out"),
        pytest.param((25.0, -30.0, NO_SENSOR), (0.0, 30.0), id="far below zero the loads go on with less"),
    ],
)
def test_both_ends_of_temperature_count(
    context: MakeContext, make_draft: MakeDraft, temperatures_c: tuple[float | None, ...], expected: tuple[float, float]
) -> None:
    """Every connected sensor bounds both currents; one that is not there bounds nothing."""
    draft = make_draft()
    derate(draft, context(max_cell_v=3.33, temperatures_c=temperatures_c), 0.0)

    assert currents(draft) == pytest.approx(expected)
    assert {code for _, code in added(draft)} <= {LimitCode.TEMPERATURE}


@pytest.mark.parametrize(
    ("age_s", "ccl_a"), [(None, 50.0), (0.0, 50.0), (1.5, 50.0), (2.25, 37.5), (3.0, 25.0), (9.0, 25.0)]
)
def test_charging_gives_way_while_samples_are_rare(
    context: MakeContext, make_draft: MakeDraft, age_s: float | None, ccl_a: float
) -> None:
    """An ailing link halves the charge current before HOLD ends it; the loads are never cut for it."""
    draft = make_draft()
    derate(draft, context(max_cell_v=3.33), age_s)

    assert currents(draft) == pytest.approx((ccl_a, 100.0))
    assert {code for _, code in added(draft)} <= {LimitCode.LINK}


def test_curves_of_the_user_are_used(context: MakeContext, make_draft: MakeDraft) -> None:
    """Curves by SOC work in both directions, and a level curve lifts a default."""
    settings = settings_before(
        curves=(
            ("charge_by_soc", Curve(((80.0, 1.0), (100.0, 0.2)))),
            ("discharge_by_soc", Curve(((10.0, 0.1), (30.0, 1.0)))),
            ("charge_by_cell_voltage", Curve(((0.0, 1.0),))),
        )
    )
    high, low = make_draft(), make_draft()
    derate(high, context(settings, soc=90.0, max_cell_v=3.73, delta_mv=450.0), 0.0)
    derate(low, context(settings, soc=20.0, max_cell_v=3.25), 0.0)

    assert currents(high) == pytest.approx((30.0, 100.0))
    assert currents(low) == pytest.approx((50.0, 55.0))
    assert added(high) == [(Quantity.CCL, LimitCode.SOC)]


def test_smallest_fraction_wins_and_is_the_reason(context: MakeContext, make_draft: MakeDraft) -> None:
    """Fractions do not multiply: the smallest one binds and is named last."""
    settings = settings_before(curves=(("charge_by_soc", HALF), ("discharge_by_soc", HALF)))
    draft = make_draft()
    derate(draft, context(settings, max_cell_v=3.65, temperatures_c=(25.0, 5.0)), 2.25)

    assert currents(draft) == pytest.approx((12.5, 50.0))
    assert added(draft) == [
        (Quantity.CCL, LimitCode.CELL_VOLTAGE),
        (Quantity.CCL, LimitCode.TEMPERATURE),
        (Quantity.DCL, LimitCode.SOC),
    ]


def test_fractions_are_those_of_what_is_left(context: MakeContext, make_draft: MakeDraft) -> None:
    """A state that allows 5 A leaves 40 % of them at register 300; CVL is not derated."""
    draft = make_draft(ccl_a=5.0, dcl_a=0.0)
    derate(draft, context(max_cell_v=3.65, temperatures_c=(25.0, 55.0)), 0.0)

    assert currents(draft) == pytest.approx((2.0, 0.0))
    assert draft[Quantity.CVL] == 58.4


@pytest.mark.parametrize("which", ["li_ion", "lto"])
def test_curves_fit_every_chemistry(
    which: str, request: pytest.FixtureRequest, context: MakeContext, make_draft: MakeDraft
) -> None:
    """The same points of a Li-ion or LTO pack give the same fractions, without a line of configuration."""
    ratings: Ratings = request.getfixturevalue(which)
    full = make_draft()
    derate(full, context(ratings=ratings, max_cell_v=ratings.fully_charged_cell_v, delta_mv=0.0), 0.0)

    assert currents(full) == pytest.approx((20.0, 100.0))


def test_reasons_of_a_cold_morning(make_engine: Callable[..., Engine]) -> None:
    """Through the engine: the value, the fraction that is left and the code, for UI and API."""
    limits: Limits = make_engine().feed(temperatures_c=(25.0, 5.0))
    reason = limits.binding(Quantity.CCL)

    assert limits.ccl_a == pytest.approx(0.25 * 54.0)
    assert reason is not None
    assert (reason.code, reason.value, reason.threshold) == (LimitCode.TEMPERATURE, 5.0, 0.25)


def test_nothing_of_ccl_is_a_low_cvl_as_well(make_engine: Callable[..., Engine]) -> None:
    """Below register 320 CVL rests: a solar charger that feeds in obeys no CCL. Loads go on."""
    limits: Limits = make_engine().feed(temperatures_c=(25.0, 1.0))

    assert (limits.cvl_v, limits.ccl_a, limits.dcl_a) == pytest.approx((53.6, 0.0, 108.0))
    for quantity in (Quantity.CVL, Quantity.CCL):
        reason = limits.binding(quantity)
        assert reason is not None
        assert (reason.code, reason.value) == (LimitCode.TEMPERATURE, 1.0)


def test_charging_begins_again_a_little_above_its_end(make_engine: Callable[..., Engine]) -> None:
    """Noise of a sensor at the border moves nothing: a tenth of the current has to be left."""
    engine = make_engine()
    seen = [engine.feed(temperatures_c=(25.0, celsius)).ccl_a for celsius in (1.5, 1.0, 1.5, 2.5, 1.5, 2.7)]

    assert [ccl_a > 0.0 for ccl_a in seen] == [True, False, False, False, False, True]


@pytest.mark.parametrize(
    ("name", "points", "stopped", "recovered"),
    [
        ("discharge_by_cell_voltage", ((2.9, 0.0), (3.0, 0.5)), {"max_cell_v": 2.8}, {"max_cell_v": 3.1}),
        (
            "charge_by_temperature",
            ((0.0, 0.0), (10.0, 0.05)),
            {"temperatures_c": (0.0,)},
            {"temperatures_c": (20.0,)},
        ),
    ],
)
def test_a_flat_curve_of_the_user_still_ends_its_stop(
    make_engine: Callable[..., Engine],
    name: str,
    points: tuple[tuple[float, float], ...],
    stopped: dict[str, Any],
    recovered: dict[str, Any],
) -> None:
    """A curve that never leaves the whole current is not stopped for ever: its own best is enough."""
    engine = make_engine(settings_before(curves=((name, Curve(points)),)))
    key = "dcl_a" if name.startswith("discharge") else "ccl_a"
    assert getattr(engine.feed(delta_mv=0.0, **stopped), key) == 0.0

    assert getattr(engine.feed(delta_mv=0.0, **recovered), key) > 0.0


def test_dcl_does_not_wander_with_the_noise_of_a_sensor(context: MakeContext, make_draft: MakeDraft) -> None:
    """It falls at once, stays while a hot cell reads up to 0.6 K less, rises after that, and is whole below."""
    left, found_a = 1.0, []
    for celsius in (52.0, 52.3, 51.8, 52.2, 51.7, 51.5, 51.6, 49.7, 49.3):
        draft = make_draft()
        left = derate(draft, context(max_cell_v=3.33, temperatures_c=(25.0, celsius)), 0.0, left=left)
        found_a.append(draft[Quantity.DCL])

    assert found_a == pytest.approx([80.0, 77.0, 77.0, 77.0, 77.0, 79.0, 79.0, 97.0, 100.0])


@given(st.lists(st.floats(-60.0, 80.0), min_size=1, max_size=30))
def test_the_play_of_dcl_is_never_above_the_curve(
    context: MakeContext, make_draft: MakeDraft, readings_c: list[float]
) -> None:
    """Whatever a sensor reads, DCL is what the curve leaves there, or within 0.6 K of it, and never more."""
    left = 1.0
    for celsius in readings_c:
        draft, here = make_draft(), context(max_cell_v=3.33, temperatures_c=(25.0, celsius))
        curve = here.curves["discharge_by_temperature"]
        left = derate(draft, here, 0.0, left=left)
        around = [curve.at(celsius + play_c) for play_c in (-0.6, 0.0, 0.6)]

        assert min(around) <= left <= curve.at(celsius)
        assert draft[Quantity.DCL] == pytest.approx(100.0 * left)
