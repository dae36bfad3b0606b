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
from tinybms_bridge.core.event_store.records import RECORDED, EventRecord, EventSource, News, level_news, news_of
from tinybms_bridge.core.supervisor import PartState
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
    PartStateChanged,
)

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


@given(RECORDS)
def test_what_the_bridge_noticed_survives_as_a_line(record: EventRecord) -> None:
    """Any text, also with line breaks in it: one entry is one line."""
    line = record.to_line()
    assert "\n" not in line
    assert EventRecord.from_line(line) == record


@given(RECORDS, st.integers(-(2**24), 2**32 - 1), st.integers(0, 255))
def test_an_event_of_the_bms_survives_as_a_line(record: EventRecord, lifetime_s: int, event_id: int) -> None:
    """Number and second must come back: they tell after a restart what is known."""
    at, number = record.at, record.number
    record = EventRecord(number, at, EventSource.BMS, Severity.FAULT, "bms.x", "X", lifetime_s, event_id)
    found = EventRecord.from_line(record.to_line())
    assert found == record
    assert found.dated_event == DatedEvent(BmsEvent(lifetime_s, event_id), at)


@pytest.mark.parametrize("serial_number", ["", "53494D"])
@pytest.mark.parametrize("after_gap", [False, True])
def test_unit_and_gap_of_an_event_survive_as_a_line(serial_number: str, after_gap: bool) -> None:
    """After a restart the events of another unit, and those before a gap, must not count as open."""
    record = EventRecord(7, AT, EventSource.BMS, Severity.WARNING, "bms.x", "X", 5, 0x31, serial_number, after_gap)
    found = EventRecord.from_line(record.to_line())
    assert found == record
    assert found.dated_event == DatedEvent(BmsEvent(5, 0x31), AT, serial_number, after_gap)


def test_an_event_of_an_earlier_version_has_no_unit() -> None:
    """Files in the field go on being read."""
    record = EventRecord(7, AT, EventSource.BMS, Severity.WARNING, "bms.x", "X", 5, 0x31)
    assert set(json.loads(record.to_line())) & {"serial_number", "after_gap"} == set()
    assert EventRecord.from_line(record.to_line()).dated_event == DatedEvent(BmsEvent(5, 0x31), AT)


def test_a_line_is_plain_json_for_other_programs() -> None:
    """The file may be read with jq; times are UTC, letters are not escaped."""
    record = EventRecord(7, AT, EventSource.BRIDGE, Severity.WARNING, "link", "below -40 °C")
    assert json.loads(record.to_line()) == {
        "number": 7,
        "at": "2026-07-01T12:00:00+00:00",
        "source": "bridge",
        "severity": "warning",
        "code": "link",
        "text": "below -40 °C",
    }
    assert "°" in record.to_line()


def test_what_the_bridge_noticed_is_no_event_of_the_bms() -> None:
    """It has no place in the BMS's log."""
    assert EventRecord(7, AT, EventSource.BRIDGE, Severity.WARNING, "link", "x").dated_event is None


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
        EventRecord.from_line(line)


@pytest.mark.parametrize("text", ["2026-07-01T14:00:00+02:00", "2026-07-01T12:00:00"])
def test_times_become_utc(text: str) -> None:
    """Whoever edited the file, and wherever."""
    line = f'{{"number": 1, "at": "{text}", "source": "bms", "severity": "info", "code": "c", "text": "t"}}'
    found = EventRecord.from_line(line).at
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
        (LinkChanged(up=True, reason=""), [("info", "link")]),
        (LinkChanged(up=False, reason="unplugged"), [("warning", "link")]),
        (FreshnessChanged(Freshness.STARTING, Freshness.FRESH), [("info", "freshness")]),
        (FreshnessChanged(Freshness.FRESH, Freshness.HOLD), [("warning", "freshness")]),
        (FreshnessChanged(Freshness.HOLD, Freshness.SILENT), [("fault", "freshness")]),
        (FreshnessChanged(Freshness.FRESH, Freshness.STARTING), []),
        (GxChanged("present", 1.0), [("info", "gx")]),
        (GxChanged("lost", 10.0), [("warning", "gx")]),
        (GxChanged("never_seen", 10.0), [("warning", "gx")]),
        (GxChanged("confused", 10.0), []),
        (PartStateChanged("web", PartState.FAILED, "port in use"), [("warning", "part.web")]),
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
    assert identity.text == "TinyBMS hardware 2.1, firmware 2.3.254, serial number unknown"


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
        News(Severity.FAULT, "alarm.high_voltage", "High voltage: alarm"),
        News(Severity.INFO, "alarm.low_voltage", "Low voltage: over"),
    ]


def test_notices_have_the_same_words() -> None:
    """The root records notices with the same function under their own code."""
    news = list(level_news("notice", {}, {NoticeName.LOW_SOC: AlarmLevel.WARNING, NoticeName.DERATING: AlarmLevel.OK}))
    assert news == [News(Severity.WARNING, "notice.low_soc", "Low soc: warning")]


def test_what_a_person_or_a_service_did_is_an_entry_as_it_is() -> None:
    """Whoever publishes it has the words."""
    noted = Noted(Severity.WARNING, "inhibit.charge", "Charging stopped by hand")
    assert list(news_of(noted)) == [News(Severity.WARNING, "inhibit.charge", "Charging stopped by hand")]


def test_who_did_it_is_kept_beside_the_text() -> None:
    """The text may be read without a login."""
    (news,) = news_of(Noted(Severity.WARNING, "inhibit.charge", "Charging stopped by hand", "anna"))
    record = EventRecord(1, None, EventSource.BRIDGE, news.severity, news.code, news.text, by=news.by)
    assert (news.text, news.by) == ("Charging stopped by hand", "anna")
    assert EventRecord.from_line(record.to_line()) == record


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
    record = EventRecord.from_line(EventRecord(1, None, EventSource.BRIDGE, Severity.INFO, "x", old).to_line())
    assert (record.text, record.by) == (text, by)


def test_an_alarm_is_kept_with_value_and_threshold() -> None:
    """A year later the list still says which cell it was."""
    name = AlarmName.HIGH_VOLTAGE
    high = Alarms(
        {name: AlarmLevel.ALARM}, {name: AlarmCause("cell 3 at 3.762 V, threshold 3.750 V", 3.762, 3.75, "V")}
    )

    assert [each.text for each in news_of(AlarmsChanged(Alarms(), high))] == [
        "High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)"
    ]
