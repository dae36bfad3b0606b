"""What is known of alarms: from fresh data, from old data, and without the core."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.services.notify.observed import cause_of, known_levels, present_values
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock

MakeState = Callable[..., BatteryState]

CAUSE = AlarmCause(message("cause.cell_voltage", cell=3, value=3.762, threshold=3.75), 3.762, 3.75, "V")
ALARMS = Alarms(
    MappingProxyType({AlarmName.HIGH_VOLTAGE: AlarmLevel.ALARM, AlarmName.LOW_VOLTAGE: AlarmLevel.OK}),
    MappingProxyType({AlarmName.HIGH_VOLTAGE: CAUSE}),
)
NOTICES = Notices(MappingProxyType({NoticeName.LOW_SOC: AlarmLevel.WARNING, NoticeName.HIGH_SOC: AlarmLevel.OK}))


@pytest.fixture
def moment(make_state: MakeState, clock: FakeClock) -> Callable[..., Moment]:
    """Return what makes a moment of a battery with an alarm and a notice, at the time of its sample."""

    def make(hearing: Hearing | None = None, **changes: Any) -> Moment:
        keys = {"alarms": ALARMS, **changes}
        state = replace(make_state(**keys), made_s=clock.monotonic(), notices=NOTICES)
        return Moment.of(state, clock, hearing or Hearing(connected=True, since_s=0.0))

    return make


def test_with_fresh_data_every_alarm_is_known(moment: Callable[..., Moment]) -> None:
    """Also those that the BMS raises by itself and that are not listed while they are over."""
    known = known_levels(moment())
    assert known["high_voltage"] is AlarmLevel.ALARM
    assert {known[name] for name in AlarmName if name != "high_voltage"} == {AlarmLevel.OK}
    assert (known["low_soc"], known["high_soc"]) == (AlarmLevel.WARNING, AlarmLevel.OK)
    assert known["core_unreachable"] is AlarmLevel.OK
    assert "second_bms" not in known


@pytest.mark.parametrize("freshness", [Freshness.HOLD, Freshness.SILENT])
def test_old_data_shows_no_end(moment: Callable[..., Moment], freshness: Freshness) -> None:
    """What was active lasts; of the others nobody knows."""
    known = known_levels(moment(freshness=freshness))
    assert known["high_voltage"] is AlarmLevel.ALARM
    assert "low_voltage" not in known


@pytest.mark.parametrize("changes", [{"alarms": Alarms()}, {"ratings": None}])
def test_before_everything_is_read_no_end_is_known(moment: Callable[..., Moment], changes: dict[str, Any]) -> None:
    """A core that has just begun has judged nothing, and without the limits of the BMS it judges little."""
    known = known_levels(moment(**changes))
    assert not {"low_voltage", "contactor"} & known.keys()


def test_without_the_core_only_that_is_known(moment: Callable[..., Moment]) -> None:
    """With how long it has been silent; the battery of before is not shown as that of now."""
    away = moment(Hearing(connected=False, since_s=42.4))
    assert known_levels(away) == {"core_unreachable": AlarmLevel.ALARM}
    cause = cause_of("core_unreachable", away)
    assert cause is not None
    assert cause.text == "no answer for 42 s"
    values = present_values(away)
    assert {name: value for name, value in values.items() if value is not None} == {}
    assert cause_of("core_unreachable", moment()) is None


def test_a_cause_is_told_where_there_is_one(moment: Callable[..., Moment]) -> None:
    """Alarms rest on a measurement, notices mostly on none."""
    assert cause_of("high_voltage", moment()) == CAUSE.message
    assert cause_of("low_voltage", moment()) is None
    assert cause_of("low_soc", moment()) is None


def test_values_have_the_flat_names_and_three_decimals(moment: Callable[..., Moment]) -> None:
    """Those of the API, of what is measured and sent now."""
    values = present_values(moment(voltage_v=53.1234567))
    assert (values["voltage"], values["current"], values["soc_percent"]) == (53.123, -12.3, 81.53)
    assert (values["cvl_voltage_v"], values["freshness"]) == (56.0, "FRESH")


def test_old_values_are_not_shown(moment: Callable[..., Moment]) -> None:
    """In HOLD nothing is measured, but limits are sent; in SILENT neither."""
    hold = present_values(moment(freshness=Freshness.HOLD))
    assert (hold["voltage"], hold["cvl_voltage_v"], hold["freshness"]) == (None, 56.0, "HOLD")
    silent = present_values(moment(freshness=Freshness.SILENT))
    assert (silent["voltage"], silent["cvl_voltage_v"]) == (None, None)
