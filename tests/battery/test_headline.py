"""The one sentence: what the battery does, what binds it, how long; and what is the matter without live data."""

from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.headline import Overall, cause, headline, overall, rough_time
from tinybms_bridge.battery.limits import ChargeState, LimitCode, Limits, Quantity, Reason
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.words import message
from tinybms_lab.testing.words import said

HIGH = Reason(Quantity.CCL, LimitCode.CELL_VOLTAGE, 25.0, 3.521, 0.5, cell=7)
CUTOFF = Reason(Quantity.DCL, LimitCode.BMS_CURRENT_CUTOFF, 150.0, 150.0)
TARGET = Reason(Quantity.CVL, LimitCode.STATE, 56.0, detail="FLOAT")
LIMITS = Limits(56.0, 25.0, 150.0, 44.0, ChargeState.BULK, Freshness.FRESH, (TARGET, HIGH, CUTOFF))
RATINGS = Ratings(16, 3.65, 2.8, 3.8, 2.5, 100.0, 150.0, None, 60.0, 0.0, 100.0)


def sample(current_a: float, at_s: float = 0.0, voltage_v: float = 53.0) -> Snapshot:
    """Return a sample at half charge."""
    pack = PackValues(voltage_v=voltage_v, current_a=current_a, soc_percent=50.0)
    return Snapshot(int(at_s) + 1, at_s, pack, Cells((3.3,) * 16), ratings=RATINGS)


def live(current_a: float, *, voltage_v: float = 53.0, **limits: Any) -> View:
    """Return the view of a fresh sample."""
    return View(Freshness.FRESH, sample(current_a, voltage_v=voltage_v), replace(LIMITS, **limits), 0.1)


def steady(current_a: float) -> Flow:
    """Return a minute of one current."""
    flow = Flow()
    for second in range(61):
        flow.add(sample(current_a, float(second)), LIMITS, float(second))
    return flow


def stop(quantity: Quantity, code: LimitCode = LimitCode.MANUAL) -> Reason:
    """Return what allows nothing in a direction."""
    return Reason(quantity, code, 0.0)


def test_charging_tells_current_what_binds_and_how_long() -> None:
    """The sentence that the page begins with, in both languages, with a code and numbers for programs."""
    told = headline(live(23.4), steady(23.4))

    assert told.text == "Charging with 23.4 A (1240 W); limited by cell 7 at 3.52 V; full in about 2 h 10 min"
    assert told.say("fr") == (
        "Charge à 23,4 A (1240 W) ; limitation par la cellule 7 à 3,52 V ; pleine dans environ 2 h 10 min"
    )
    assert told.code == "headline.charging"
    assert told.parameters["why"]["parameters"]["cause"]["parameters"]["cell"] == 7


@pytest.mark.parametrize(
    ("current_a", "voltage_v", "text"),
    [
        (5.0, 53.0, "Charging with 5.0 A (265 W)"),
        (5.0, 55.9, "Charging with 5.0 A (280 W); limited by charge state FLOAT"),
        (24.0, 55.9, "Charging with 24.0 A (1342 W); limited by cell 7 at 3.52 V"),
        (-20.0, 53.0, "Discharging with 20.0 A (1060 W)"),
        (-140.0, 53.0, "Discharging with 140.0 A (7420 W); limited by the cutoff of the BMS at 150 A"),
        (0.04, 53.0, "Resting: no current flows"),
    ],
)
def test_a_limit_is_named_only_where_it_binds(current_a: float, voltage_v: float, text: str) -> None:
    """Five amperes of a cloudy day are not limited by the battery; one reading tells no time."""
    assert headline(live(current_a, voltage_v=voltage_v), Flow()).text == text


def test_what_is_not_allowed_is_told_with_its_reason() -> None:
    """Also where nothing flows: that is the reason why."""
    cold = Reason(Quantity.CCL, LimitCode.TEMPERATURE, 0.0, -3.0, 0.0)
    empty = Reason(Quantity.DCL, LimitCode.EMPTY, 0.0, 2.811, 2.8, cell=3)

    resting = headline(live(0.0, ccl_a=0.0, reasons=(TARGET, cold, CUTOFF)), Flow()).text
    both = headline(live(0.0, ccl_a=0.0, dcl_a=0.0, reasons=(cold, empty)), Flow())

    assert resting == "Resting: no current flows; no charging is allowed (a temperature of -3.0 °C)"
    assert both.text.endswith(
        "(a temperature of -3.0 °C), no discharging is allowed (cell 3 at 2.81 V, which is empty)"
    )
    assert "aucune décharge n'est permise (la cellule 3 à 2,81 V, qui est vide)" in both.say("fr")


def test_everything_stopped_by_hand_comes_first() -> None:
    """And what flows in spite of it, which no limit can stop."""
    stopped: dict[str, Any] = {"ccl_a": 0.0, "dcl_a": 0.0, "reasons": (stop(Quantity.CCL), stop(Quantity.DCL))}
    half = headline(live(0.0, dcl_a=0.0, reasons=(HIGH, stop(Quantity.DCL))), Flow())

    assert headline(live(0.0, **stopped), Flow()).text == "Charging and discharging are stopped by hand"
    assert headline(live(-2.0, **stopped), Flow()).text.endswith("; 2.0 A flow all the same")
    assert half.text == "Resting: no current flows; no discharging is allowed (a stop by hand)"


def test_a_full_battery_has_no_time_left() -> None:
    """It is full, whatever still flows in."""
    assert headline(live(0.0, full=True), Flow()).text == "Full; no current flows"
    assert headline(live(2.0, full=True), steady(2.0)).text == "Full; 2.0 A flow in"


def test_no_time_is_left_where_a_limit_stops_what_flows() -> None:
    """A battery that may not be charged will not be full in an hour."""
    reasons = (TARGET, stop(Quantity.CCL), CUTOFF)
    assert "full in" not in headline(live(23.4, ccl_a=0.0, reasons=reasons), steady(23.4)).text


def test_without_live_data_the_sentence_tells_what_is_the_matter() -> None:
    """Nothing old is told as present: no current, no power, no time."""
    last = Last(sample(23.4), 12.0, LIMITS)
    held = View(Freshness.HOLD, None, replace(LIMITS, ccl_a=0.0, freshness=Freshness.HOLD), 12.0, last)
    lost = View(Freshness.SILENT, None, None, 70.0, last)
    flow = steady(23.4)

    assert headline(held, flow, line=said("no answer")).text == (
        "Charging is stopped because no good data has come from the BMS for 12 s (no answer); discharging goes on"
    )
    assert "discharging" not in headline(replace(held, limits=replace(LIMITS, dcl_a=0.0)), flow).text
    assert headline(lost, flow).text == "Nothing is sent; the GX has lost the BMS"
    assert headline(lost, flow).say("fr") == "Rien n'est envoyé ; le GX a perdu le BMS"
    assert headline(View(), flow, line=message("serial.none")).text == (
        "Starting: no serial port found; nothing is sent yet"
    )
    assert headline(View(), flow).text.startswith("Starting: the BMS answers, its first readings are looked at")
    assert headline(View(measured=sample(1.0)), flow).text.startswith("Starting: nothing is sent yet: not enough")
    assert headline(live(23.4), flow, unheard_s=7300.0).text.startswith("The core has not answered for 2 h 1 min")


@pytest.mark.parametrize("code", list(LimitCode))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_cause_has_short_words(code: LimitCode, language: Any) -> None:
    """Shorter than the sentence of the reason, without a gap where a parameter is missing."""
    detail = "over_voltage" if code is LimitCode.BMS_FAULT else "lfp"
    words = cause(Reason(Quantity.CCL, code, 1.0, 2.0, 3.0, detail=detail, cell=4)).say(language)

    assert words
    assert "?" not in words
    assert not words.startswith("limited_by")


def test_how_it_stands_with_the_whole() -> None:
    """The worst counts; what nobody knows is not good."""
    view, held = live(1.0), View(Freshness.HOLD, None, LIMITS, 9.0, Last(sample(1.0), 9.0))
    alarm = BatteryState(alarms=Alarms({AlarmName.GENERAL: AlarmLevel.ALARM}))
    noticed = BatteryState(notices=Notices({next(iter(NoticeName)): AlarmLevel.WARNING}))

    assert overall(BatteryState(), view) is Overall.GOOD
    assert overall(noticed, view) is Overall.WARNING
    assert overall(alarm, view) is Overall.ALARM
    assert overall(BatteryState(), view, reaches_gx=False) is Overall.WARNING
    assert overall(BatteryState(), held) is Overall.WARNING
    assert overall(BatteryState(), View(Freshness.SILENT, last=held.last)) is Overall.ALARM
    assert overall(BatteryState(), View()) is Overall.UNKNOWN
    assert overall(alarm, view, heard=False) is Overall.UNKNOWN


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (0.001, "1 min"),
        (0.1, "6 min"),
        (0.4, "25 min"),
        (1.35, "1 h 20 min"),
        (1.99, "2 h"),
        (5.1, "5 h 10 min"),
        (20.3, "20 h"),
    ],
)
def test_times_are_as_rough_as_they_are_certain(hours: float, told: str) -> None:
    """Nobody knows the minute of a day from now."""
    assert rough_time(hours) == told
