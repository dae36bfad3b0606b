from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeDefaults, LimitCode, LimitSettings, Quantity, SensorMemory, explain
from tinybms_bridge.battery.limits.sensors import charge_readings, lost_sensors, next_sensors
from tinybms_bridge.battery.snapshot import Temperatures

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
