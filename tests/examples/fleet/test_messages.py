"""What bridges publish, as samples: everything finite comes through, and nothing in a message does harm."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from examples.fleet.messages import (
    AHEAD_MS,
    BEHIND_MS,
    LARGEST_MESSAGE,
    SERIES_PER_SITE,
    Envelope,
    Reason,
    RejectedError,
    Series,
    opened,
)
from hypothesis import given
from hypothesis import strategies as st

ARRIVED_MS = 1_800_000_000_000
SITES = {"hill-farm", "mill"}
ENVELOPE = {"boot": "0123456789abcdef", "seq": 7, "at": "2027-01-15T08:00:00Z"}
STATE = "fleet.hill-farm.tinybms.battery.state"


def payload(**content: Any) -> bytes:
    """Return a message with a good envelope and more."""
    return json.dumps(ENVELOPE | content).encode()


def at(time_ms: int) -> str:
    """Return a time as bridges write it."""
    return datetime.fromtimestamp(time_ms / 1000.0, UTC).isoformat().replace("+00:00", "Z")


def message(at_subject: str = STATE, /, **content: Any) -> Envelope:
    """Return a message that is good."""
    return opened(at_subject, payload(**content), ARRIVED_MS, SITES)


def lines(at_subject: str = STATE, /, **content: Any) -> list[str]:
    """Return its samples."""
    return Series().lines_of(message(at_subject, **content))


def reason(subject: str, data: bytes) -> str:
    """Return why a message is not used."""
    with pytest.raises(RejectedError) as rejected:
        opened(subject, data, ARRIVED_MS, SITES)
    return rejected.value.reason


def test_a_state_becomes_samples_with_the_time_of_its_data() -> None:
    """Numbers and truth values by their own names, whatever they are; no envelope, no null, no words without order."""
    found = lines(voltage_v=53.25, gx=True, packs=2, charge_state="BULK", soc_percent=None, of_a_later_version=-1e-7)

    assert found == [
        'tinybms_battery_voltage_v{site="hill-farm"} 53.25 1800000000000',
        'tinybms_battery_gx{site="hill-farm"} 1 1800000000000',
        'tinybms_battery_packs{site="hill-farm"} 2 1800000000000',
        'tinybms_battery_of_a_later_version{site="hill-farm"} -1e-07 1800000000000',
    ]


@pytest.mark.parametrize(
    ("subject", "content", "sample"),
    [
        (STATE, {"level": "alarm"}, 'tinybms_battery_level{site="hill-farm"} 2'),
        (STATE, {"freshness": "HOLD"}, 'tinybms_battery_freshness{site="hill-farm"} 1'),
        (STATE, {"energy": {"today": {"in_kwh": 4}}}, 'tinybms_battery_energy_today_in_kwh{site="hill-farm"} 4'),
        (STATE, {"cells_mv": [3312]}, 'tinybms_battery_cells_mv{site="hill-farm",index="1"} 3312'),
        (STATE, {"alarms": {"high_voltage": 2}}, 'tinybms_battery_alarms_high_voltage{site="hill-farm"} 2'),
        ("fleet.mill.tinybms.replay.battery.state", {"packs": 1}, 'tinybms_battery_packs{site="mill"} 1'),
        ("fleet.mill.tinybms.packs.a.state", {"soc_percent": 9}, 'tinybms_pack_soc_percent{site="mill",pack="a"} 9'),
        ("fleet.mill.tinybms.battery.alarms", {"count": 1}, 'tinybms_battery_alarms_count{site="mill"} 1'),
        ("fleet.mill.tinybms.status", {"state": "online"}, 'tinybms_bridge_online{site="mill"} 1'),
        ("fleet.mill.tinybms.status", {"state": "offline"}, 'tinybms_bridge_online{site="mill"} 0'),
        ("fleet.mill.tinybms.events", {"code": "alarm.raised"}, 'tinybms_event{site="mill",code="alarm.raised"} 1'),
    ],
)
def test_each_topic_has_its_name_and_labels(subject: str, content: dict[str, Any], sample: str) -> None:
    """Site, pack and number of the cell are labels; words that have an order are numbers."""
    assert lines(subject, **content) == [f"{sample} {ARRIVED_MS}"]


def test_what_a_bridge_had_kept_is_the_same_and_said_to_be_kept() -> None:
    """Below a topic of its own, or by its own word; live otherwise."""
    assert message("fleet.mill.tinybms.replay.packs.a.state").topic == ("packs", "a", "state")
    assert message("fleet.mill.tinybms.replay.packs.a.state").spooled
    assert message(spooled=True).spooled
    assert not message(spooled="yes").spooled


def test_an_event_is_one_sample_by_its_code() -> None:
    """Its numbers and parameters are no course of anything; a code that would not do in a label is none."""
    subject = "fleet.mill.tinybms.events"
    event = {"code": "bms.event", "number": 17, "lifetime_s": 12, "parameters": {"value": 3.6}}

    assert lines(subject, **event) == [f'tinybms_event{{site="mill",code="bms.event"}} 1 {ARRIVED_MS}']
    assert lines(subject, **event | {"code": 'x"} 1'}) == []


def test_what_was_measured_last_is_no_sample() -> None:
    """It was written when it was measured; while nothing is live there is nothing to write."""
    assert lines(voltage_v=None, last={"at": "2027-01-15T07:00:00Z", "voltage_v": 53.2}) == []


def test_a_serial_number_is_no_number_that_became_text() -> None:
    """Only a field with a unit is to be a number."""
    series = Series()
    series.lines_of(message(serial_number="12345678", firmware="2.4", version="1"))

    assert series.left_out == {}


def test_a_status_has_the_time_at_which_the_broker_had_it() -> None:
    """A last will was written when the connection began; one from the spool has its own time."""
    earlier = at(ARRIVED_MS - 3_600_000)

    assert message("fleet.mill.tinybms.status", at=earlier, state="offline").at_ms == ARRIVED_MS
    assert message("fleet.mill.tinybms.status", at=earlier, spooled=True).at_ms == ARRIVED_MS - 3_600_000
    assert message(at=earlier).at_ms == ARRIVED_MS - 3_600_000


@pytest.mark.parametrize(
    ("subject", "data", "expected"),
    [
        ("fleet.hill-farm", payload(), Reason.TOPIC),
        ("other.hill-farm.tinybms.battery.state", payload(), Reason.TOPIC),
        ("fleet.hill-farm.other.battery.state", payload(), Reason.TOPIC),
        ("fleet.Hill_Farm.tinybms.battery.state", payload(), Reason.TOPIC),
        ('fleet.hill-farm.tinybms.packs.a"}.state', payload(), Reason.TOPIC),
        ("fleet.hill-farm.tinybms", payload(), Reason.TOPIC),
        ("fleet.hill-farm.tinybms.replay", payload(), Reason.TOPIC),
        ("fleet.hill-farm.tinybms.battery..state", payload(), Reason.TOPIC),
        ("fleet.gone.tinybms.battery.state", payload(), Reason.SITE),
        (STATE, b" " * (LARGEST_MESSAGE + 1), Reason.SIZE),
        (STATE, b"", Reason.JSON),
        (STATE, b"\xff\xfe{", Reason.JSON),
        (STATE, b"[" * 60_000, Reason.JSON),
        (STATE, b"[1]", Reason.JSON),
        (STATE, b'{"seq": ' + b"9" * 5000 + b"}", Reason.JSON),
        (STATE, payload(boot="../../etc/passwd"), Reason.ENVELOPE),
        (STATE, payload(boot=None), Reason.ENVELOPE),
        (STATE, payload(seq="7"), Reason.ENVELOPE),
        (STATE, payload(seq=True), Reason.ENVELOPE),
        (STATE, payload(seq=0), Reason.ENVELOPE),
        (STATE, payload(seq=10**300), Reason.ENVELOPE),
        (STATE, payload(at=5), Reason.ENVELOPE),
        (STATE, payload(at="yesterday"), Reason.ENVELOPE),
        (STATE, payload(at="2027-01-15T08:00:00"), Reason.ENVELOPE),
        (STATE, payload(at="0001-01-01T00:00:00+23:59"), Reason.CLOCK),
        (STATE, payload(at="1970-01-01T00:00:09Z"), Reason.CLOCK),
        (STATE, payload(at=at(ARRIVED_MS + AHEAD_MS + 1000)), Reason.CLOCK),
        (STATE, payload(at=at(ARRIVED_MS - BEHIND_MS - 1000)), Reason.CLOCK),
    ],
)
def test_what_cannot_be_used_is_rejected_with_its_reason(subject: str, data: bytes, expected: str) -> None:
    """Garbage, strangers, clocks that were never set: each has a counter of its own."""
    assert reason(subject, data) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"voltage_v": "51.2"}, Reason.TEXT),
        ({"voltage_v": float("nan")}, Reason.NUMBER),
        ({"voltage_v": float("inf")}, Reason.NUMBER),
        ({"voltage_v": 10**400}, Reason.NUMBER),
        ({"a name": 1}, Reason.NAME),
        ({'x"} 1\nother{a="': 1}, Reason.NAME),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, Reason.NESTED),
        ({"values": [0] * 65}, Reason.NESTED),
    ],
)
def test_a_bad_field_costs_itself_only(content: dict[str, Any], expected: str) -> None:
    """The rest of the message comes through, and the field is counted with its site."""
    series = Series()

    assert series.lines_of(message(**content, packs=1)) == ['tinybms_battery_packs{site="hill-farm"} 1 1800000000000']
    assert series.left_out == {(expected, "hill-farm"): 1}


def test_a_site_that_invents_names_fills_no_database() -> None:
    """Its series are bounded; those that it had go on, and other sites are not touched."""
    series = Series()
    for number in range(SERIES_PER_SITE):
        series.lines_of(message(STATE, **{f"n{number}": 1}))

    assert series.lines_of(message(one_more=1)) == []
    assert series.left_out == {(Reason.SERIES, "hill-farm"): 1}
    assert len(series.lines_of(message(n1=2))) == 1
    assert len(series.lines_of(message("fleet.mill.tinybms.battery.state", one_more=1))) == 1
    series.forget("hill-farm")
    assert len(series.lines_of(message(one_more=1))) == 1


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["a", "level", "cells_v", "é", "x y", 'q"', *ENVELOPE]), trees))
def test_whatever_is_in_a_message_the_lines_are_well_formed(content: dict[str, Any]) -> None:
    """Any tree of JSON gives lines of one name, one finite value and one time; never an exception but the one."""
    try:
        found = lines(STATE, **{"boot": ENVELOPE["boot"]} | content)
    except RejectedError:
        return
    for line in found:
        name, value, time = line.rsplit(" ", 2)
        assert name.startswith("tinybms_battery")
        assert name.count("{") == name.count("}") == 1
        assert math.isfinite(float(value))
        assert int(time) <= ARRIVED_MS + AHEAD_MS


@given(st.binary(max_size=200), st.text(max_size=40))
def test_arbitrary_bytes_and_subjects_are_rejected_or_used(data: bytes, subject: str) -> None:
    """Nothing else leaves the function."""
    for name in (subject, STATE):
        try:
            opened(name, data, ARRIVED_MS, SITES)
        except RejectedError:
            continue
