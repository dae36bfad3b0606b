import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.core.event_store.records import RECORDED, level_news, line_of, news_of, record_of
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import (
    AlarmsChanged,
    BmsEventsSeen,
    ChargeStateChanged,
    Event,
    FreshnessChanged,
    GxChanged,
    IdentityKnown,
    LinkChanged,
    Noted,
    NoticesChanged,
    PartState,
    PartStateChanged,
)
from tinybms_bridge.victron.can.gx import GxState
from tinybms_bridge.words import message

AT = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)

RECORDS = st.builds(
    EventRecord,
    number=st.integers(1, 10**9),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    source=st.sampled_from(EventSource),
    severity=st.sampled_from(Severity),
    code=st.text(),
    text=st.text(),
)


def at_cell(cell: int, value: float, threshold: float) -> AlarmCause:
    """Return the cause of an alarm of one cell."""
    told = message("cause.cell_voltage", cell=cell, value=value, threshold=threshold)
    return AlarmCause(told, value, threshold, "V")


@given(RECORDS)
def test_what_the_bridge_noticed_survives_as_a_line(record: EventRecord) -> None:
    """Any text, also with line breaks in it: one entry is one line."""
    line = line_of(record)
    assert "\n" not in line
    assert record_of(line) == record


@given(RECORDS, st.integers(-(2**24), 2**32 - 1), st.integers(0, 255))
def test_an_event_of_the_bms_survives_as_a_line(record: EventRecord, lifetime_s: int, event_id: int) -> None:
    """Number and second must come back: they tell after a restart what is known."""
    at, number = record.at, record.number
    record = EventRecord(number, at, EventSource.BMS, Severity.FAULT, "bms.x", "X", lifetime_s, event_id)
    found = record_of(line_of(record))
    assert found == record
    assert found.dated() == DatedEvent(BmsEvent(lifetime_s, event_id), at)


@pytest.mark.parametrize("serial_number", ["", "53494D"])
@pytest.mark.parametrize("after_gap", [False, True])
def test_unit_and_gap_of_an_event_survive_as_a_line(serial_number: str, after_gap: bool) -> None:
    """After a restart the events of another unit, and those before a gap, must not count as open."""
    record = EventRecord(7, AT, EventSource.BMS, Severity.WARNING, "bms.x", "X", 5, 0x31, serial_number, after_gap)
    found = record_of(line_of(record))
    assert found == record
    assert found.dated() == DatedEvent(BmsEvent(5, 0x31), AT, serial_number, after_gap)


def test_an_event_of_an_earlier_version_has_no_unit() -> None:
    """Files in the field go on being read."""
    record = EventRecord(7, AT, EventSource.BMS, Severity.WARNING, "bms.x", "X", 5, 0x31)
    assert set(json.loads(line_of(record))) & {"serial_number", "after_gap"} == set()
    assert record_of(line_of(record)).dated() == DatedEvent(BmsEvent(5, 0x31), AT)


def test_a_line_is_plain_json_for_other_programs() -> None:
    """The file may be read with jq; times are UTC, letters are not escaped."""
    record = EventRecord(7, AT, EventSource.BRIDGE, Severity.WARNING, "link", "below -40 °C")
    assert json.loads(line_of(record)) == {
        "number": 7,
        "at": "2026-07-01T12:00:00+00:00",
        "source": "bridge",
        "severity": "warning",
        "code": "link",
        "text": "below -40 °C",
    }
    assert "°" in line_of(record)


def test_what_the_bridge_noticed_is_no_event_of_the_bms() -> None:
    """It has no place in the BMS's log."""
    assert EventRecord(7, AT, EventSource.BRIDGE, Severity.WARNING, "link", "x").dated() is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "5",
        "null",
        '{"number": 1}',
        '{"number": "1", "at": null, "source": "bms", "severity": "info", "code": "c", "text": "t"}',
        '{"number": true, "at": null, "source": "bms", "severity": "info", "code": "c", "text": "t"}',
        '{"number": 1.5, "at": null, "source": "bms", "severity": "info", "code": "c", "text": "t"}',
        '{"number": 1, "at": "yesterday", "source": "bms", "severity": "info", "code": "c", "text": "t"}',
        '{"number": 1, "at": null, "source": "nobody", "severity": "info", "code": "c", "text": "t"}',
        '{"number": 1, "at": null, "source": "bms", "severity": "bad", "code": "c", "text": "t"}',
        '{"number": 1, "at": null, "source": "bms", "severity": "info", "code": "c", "text": "t", "event_id": "3"}',
    ],
)
def test_anything_else_is_refused(line: str) -> None:
    """A damaged line must not become an entry, nor end the program with another error."""
    with pytest.raises(ValueError, match=r".+"):
        record_of(line)


@pytest.mark.parametrize("text", ["2026-07-01T14:00:00+02:00", "2026-07-01T12:00:00"])
def test_times_become_utc(text: str) -> None:
    """Whoever edited the file, and wherever."""
    line = f'{{"number": 1, "at": "{text}", "source": "bms", "severity": "info", "code": "c", "text": "t"}}'
    found = record_of(line).at
    assert found == AT
    assert found is not None
    assert found.utcoffset() == timedelta(0)
    assert found.tzinfo != timezone(timedelta(hours=2))


def told(event: Event) -> list[tuple[str, str]]:
    """Return severity and code of each piece of news."""
    return [(str(news.severity), news.code) for news in news_of(event)]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (LinkChanged(up=True, reason=""), [("info", "link.up")]),
        (LinkChanged(up=False, reason="unplugged"), [("warning", "link.down")]),
        (FreshnessChanged(Freshness.STARTING, Freshness.FRESH), [("info", "freshness.fresh")]),
        (FreshnessChanged(Freshness.FRESH, Freshness.HOLD), [("warning", "freshness.hold")]),
        (FreshnessChanged(Freshness.HOLD, Freshness.SILENT), [("fault", "freshness.silent")]),
        (FreshnessChanged(Freshness.FRESH, Freshness.STARTING), []),
        (GxChanged(GxState.PRESENT, 1.0), [("info", "gx.present")]),
        (GxChanged(GxState.LOST, 10.0), [("warning", "gx.lost")]),
        (GxChanged(GxState.NEVER_SEEN, 10.0), [("warning", "gx.never_seen")]),
        (PartStateChanged("web", PartState.FAILED, "port in use"), [("warning", "part.failed")]),
        (PartStateChanged("web", PartState.RUNNING), []),
        (IdentityKnown(Identity("2.1", 3, 254, 24, 5, "00FF")), [("info", "identity")]),
        (IdentityKnown(Identity()), []),
        (ChargeStateChanged(ChargeState.BULK, ChargeState.FLOAT), []),
    ],
)
def test_what_is_worth_an_entry(event: Event, expected: list[tuple[str, str]]) -> None:
    """Each kind of event, with how bad it is; the charge states change too often for a list of two thousand."""
    assert told(event) == expected


def test_everything_that_gives_news_is_subscribed_to() -> None:
    """A type that is missing from the subscription would never be written down."""
    assert set(RECORDED) == {
        LinkChanged,
        FreshnessChanged,
        AlarmsChanged,
        NoticesChanged,
        BmsEventsSeen,
        GxChanged,
        PartStateChanged,
        IdentityKnown,
        Noted,
    }


def test_words_name_the_cause() -> None:
    """An entry has to be understood years later without the log."""
    (link,) = news_of(LinkChanged(up=False, reason="the serial device vanished"))
    assert link.text == "No contact with the BMS: the serial device vanished"
    (part,) = news_of(PartStateChanged("web", PartState.FAILED, "port 80 is in use"))
    assert part.text.endswith("web: port 80 is in use")
    (identity,) = news_of(IdentityKnown(Identity("2.1", 3, 254, 24, 5, "")))
    assert identity.text == "TinyBMS hardware 2.1, firmware 2.3.254"


def test_each_alarm_that_changed_is_one_entry() -> None:
    """Raised, worse, over; what stayed is not repeated."""
    old = Alarms(
        {
            AlarmName.HIGH_VOLTAGE: AlarmLevel.WARNING,
            AlarmName.LOW_VOLTAGE: AlarmLevel.ALARM,
            AlarmName.CELL_IMBALANCE: AlarmLevel.WARNING,
        }
    )
    new = Alarms({AlarmName.HIGH_VOLTAGE: AlarmLevel.ALARM, AlarmName.CELL_IMBALANCE: AlarmLevel.WARNING})
    assert list(news_of(AlarmsChanged(old, new))) == [
        Noted(Severity.FAULT, message("alarm.high_voltage", level="alarm", cause=None)),
        Noted(Severity.INFO, message("alarm.low_voltage", level="over", cause=None)),
    ]


def test_notices_have_the_same_words() -> None:
    """The root records notices with the same function under their own code."""
    news = list(level_news("notice", {}, {NoticeName.LOW_SOC: AlarmLevel.WARNING, NoticeName.DERATING: AlarmLevel.OK}))
    assert [(each.code, each.text) for each in news] == [("notice.low_soc", "Low state of charge: warning")]


def test_what_a_person_or_a_service_did_is_an_entry_as_it_is() -> None:
    """Whoever publishes it has the words."""
    noted = Noted(Severity.WARNING, message("inhibit.charge"))
    assert list(news_of(noted)) == [noted]


def test_who_did_it_is_kept_beside_the_text() -> None:
    """The text may be read without a login."""
    (news,) = news_of(Noted(Severity.WARNING, message("inhibit.charge"), "anna"))
    record = EventRecord(1, None, EventSource.BRIDGE, news.severity, news.code, news.text, by=news.by, parameters={})
    assert (news.text, news.by) == ("Charging stopped by hand", "anna")
    assert record_of(line_of(record)) == record


@pytest.mark.parametrize(
    ("old", "text", "by"),
    [
        ("Charging stopped by anna for 60 s: by hand", "Charging stopped for 60 s: by hand", "anna"),
        ("Discharging stopped by a.b-c", "Discharging stopped", "a.b-c"),
        ("Charging released by anna", "Charging released", "anna"),
        ("Settings of the BMS written by anna: x 1 -> 2 V", "Settings of the BMS written: x 1 -> 2 V", "anna"),
        ("Clear statistics: done by anna", "Clear statistics: done", "anna"),
        ("High voltage: acknowledged by anna", "High voltage: acknowledged", "anna"),
        ("Stopped by the BMS", "Stopped by the BMS", ""),
        ("Charging stopped by a fault of the BMS", "Charging stopped by a fault of the BMS", ""),
    ],
)
def test_names_in_the_texts_of_earlier_versions_are_taken_out(old: str, text: str, by: str) -> None:
    """An update does not leave them for everybody for as long as the list is."""
    record = record_of(line_of(EventRecord(1, None, EventSource.BRIDGE, Severity.INFO, "x", old)))
    assert (record.text, record.by) == (text, by)


def test_an_alarm_is_kept_with_value_and_threshold() -> None:
    """A year later the list still says which cell it was."""
    name = AlarmName.HIGH_VOLTAGE
    high = Alarms(
        {name: AlarmLevel.ALARM},
        {name: at_cell(3, 3.762, 3.75)},
    )

    assert [each.text for each in news_of(AlarmsChanged(Alarms(), high))] == [
        "High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)"
    ]


def test_an_entry_keeps_what_its_text_is_made_from() -> None:
    """A year later it can be read in another language."""
    noted = Noted(Severity.WARNING, message("alarm.high_voltage", level="alarm", cause=at_cell(3, 3.762, 3.75).message))
    parameters = noted.message.parameters
    record = EventRecord(1, AT, EventSource.BRIDGE, noted.severity, noted.code, noted.text, parameters=parameters)
    found = record_of(line_of(record))

    assert found == record
    assert found.say("en") == "High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)"
    assert found.say("fr") == "Tension haute : alarme (cellule 3 à 3,762 V, seuil 3,750 V)"


@pytest.mark.parametrize(
    ("code", "text", "french"),
    [
        ("link", "No contact with the BMS: unplugged", "No contact with the BMS: unplugged"),
        ("inhibit.charge", "Charging stopped by hand for 60 s", "Charging stopped by hand for 60 s"),
        ("gx.lost", "GX device no longer heard on the CAN bus", "Plus d'appareil GX entendu sur le bus CAN"),
        ("bms.started", "The BMS started", "Le BMS a démarré"),
    ],
)
def test_an_entry_without_parameters_is_shown_as_it_was_written(code: str, text: str, french: str) -> None:
    """Files of version 0.1.0 have texts only: what a text says beyond its code must not be lost in translation."""
    line = json.dumps({"number": 1, "at": None, "source": "bridge", "severity": "info", "code": code, "text": text})
    found = record_of(line)

    assert (found.say("en"), found.say("fr")) == (text, french)
