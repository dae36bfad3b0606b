import pytest

from tinybms_bridge.battery.alarm_words import ALARM_NAMES, alarm_kind, alarm_message, unheard_cause
from tinybms_bridge.battery.alarms import AlarmName
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.words import knows


@pytest.mark.parametrize("name", ALARM_NAMES)
def test_everything_that_can_be_told_of_has_words(name: str) -> None:
    """A name is of one kind only, so that the name alone finds its sentence."""
    assert (name in set(AlarmName)) is (alarm_kind(name) == "alarm")
    assert (name in set(NoticeName)) is (alarm_kind(name) == "notice")
    assert knows(alarm_message(name).code)


def test_level_and_cause_are_in_the_sentence() -> None:
    """They are left out where nobody knows them."""
    cause = unheard_cause(61.7)
    told = alarm_message("core_unreachable", level="alarm", cause=cause.message)
    assert (cause.value, cause.threshold, cause.unit) == (62.0, None, "s")
    assert told.text == "Core unreachable: alarm (no answer for 62 s)"
    assert alarm_message("high_voltage").text == "High voltage"
    assert alarm_message("high_voltage", level="over").text == "High voltage: over"
