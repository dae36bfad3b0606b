import re
from pathlib import Path

import pytest

from tinybms_bridge.battery.bms_event_kinds import EVENT_KINDS, EventKind, Severity, Stops, kind_of, severity_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"

LISTED = (
    *(0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x31, 0x37, 0x38, 0x39),
    *(0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x7B, 0x7C, 0x7D),
)
"""The vendor's list (protocol Rev D, events)."""

PAIRS = {
    0x02: 0x7B,
    0x03: 0x79,
    0x04: 0x73,
    0x05: 0x77,
    0x06: 0x76,
    0x07: 0x78,
    0x0A: 0x75,
    0x0E: 0x7C,
    0x31: 0x7A,
    0x37: 0x74,
}
"""The vendor's pairs of begin and end."""


def test_every_number_of_the_vendor_is_known_and_no_other() -> None:
    """A forgotten number would be shown as unlisted, an invented one as a fact."""
    assert tuple(sorted(EVENT_KINDS)) == tuple(sorted(LISTED))


@pytest.mark.parametrize(
    ("event_id", "severity"),
    [
        (0x00, Severity.UNKNOWN),
        (0x01, Severity.FAULT),
        (0x30, Severity.FAULT),
        (0x31, Severity.WARNING),
        (0x60, Severity.WARNING),
        (0x61, Severity.INFO),
        (0x90, Severity.INFO),
        (0x91, Severity.UNKNOWN),
        (0xFF, Severity.UNKNOWN),
    ],
)
def test_severity_follows_the_ranges_of_the_vendor(event_id: int, severity: Severity) -> None:
    """Both ends of each range."""
    assert severity_of(event_id) is severity


@pytest.mark.parametrize(("begin", "end"), PAIRS.items())
def test_each_fault_ends_with_its_counterpart(begin: int, end: int) -> None:
    """A wrong pair would leave a fault open for ever, or end it too soon."""
    assert EVENT_KINDS[begin].ended_by == (end,)
    assert EVENT_KINDS[end].severity is Severity.INFO


def test_only_faults_and_warnings_are_ended_and_only_by_information() -> None:
    """An event that only informs cannot be open; a fault is not ended by another fault."""
    for kind in EVENT_KINDS.values():
        assert not kind.ended_by or kind.severity in (Severity.FAULT, Severity.WARNING)
        assert all(severity_of(number) is Severity.INFO for number in kind.ended_by)


@pytest.mark.parametrize(
    ("event_id", "stops"),
    [
        (0x02, Stops.BOTH),
        (0x03, Stops.CHARGE),
        (0x04, Stops.BOTH),
        (0x05, Stops.DISCHARGE),
        (0x06, Stops.CHARGE),
        (0x07, Stops.BOTH),
        (0x0A, Stops.BOTH),
        (0x0E, Stops.BOTH),
        (0x31, Stops.DISCHARGE),
        (0x37, Stops.CHARGE),
        (0x38, Stops.NOTHING),
    ],
)
def test_what_a_fault_cuts_is_what_the_manual_says(event_id: int, stops: Stops) -> None:
    """Over-voltage keeps the load on, although the BMS calls it a fault; the discharged warning keeps charging on."""
    assert EVENT_KINDS[event_id].stops is stops


def test_information_cuts_nothing() -> None:
    """Only faults and warnings open a switch."""
    informing = [kind for kind in EVENT_KINDS.values() if kind.severity is Severity.INFO]
    assert informing
    assert all(kind.stops is Stops.NOTHING for kind in informing)


def test_every_fault_and_warning_says_what_to_do() -> None:
    """A user who reads a fault needs the next step, and each step is a sentence."""
    for kind in EVENT_KINDS.values():
        if kind.severity in (Severity.FAULT, Severity.WARNING):
            assert kind.advice.endswith("."), kind
        assert kind.text
        assert not kind.text.endswith("."), kind


def test_keys_are_unique_names() -> None:
    """Programs tell events apart by the key."""
    keys = [kind.key for kind in EVENT_KINDS.values()]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z_]+", key) for key in keys)


@pytest.mark.parametrize(
    ("event_id", "severity", "words"),
    [
        (0x08, Severity.FAULT, "A fault that"),
        (0x32, Severity.WARNING, "A warning that"),
        (0x90, Severity.INFO, "An event that"),
        (0xA5, Severity.UNKNOWN, "An event that"),
    ],
)
def test_an_unlisted_number_keeps_its_number(event_id: int, severity: Severity, words: str) -> None:
    """0x08 and others are in no document, but newer firmware may send them."""
    kind = kind_of(event_id)
    assert (kind.event_id, kind.severity, kind.stops) == (event_id, severity, Stops.NOTHING)
    assert kind.text.startswith(words)
    assert kind.text.endswith(f"0x{event_id:02X}")
    assert kind.key == f"unlisted_0x{event_id:02x}"


def test_a_listed_number_is_found() -> None:
    """The lookup that everything else uses."""
    assert kind_of(0x03) is EVENT_KINDS[0x03]


def _row(kind: EventKind) -> str:
    """Return the row of the table in the documentation."""
    words = {Stops.NOTHING: "–", Stops.CHARGE: "charging", Stops.DISCHARGE: "discharging", Stops.BOTH: "both"}
    ends = ", ".join(f"0x{number:02X}" for number in kind.ended_by)
    if not ends:
        ends = "–" if kind.severity is Severity.INFO else "restart only"
    meaning = f"{kind.text}. {kind.advice}" if kind.advice else kind.text
    return f"| 0x{kind.event_id:02X} | {kind.severity} | {meaning} | {words[kind.stops]} | {ends} |"


def test_the_documentation_lists_exactly_these_events() -> None:
    """docs/events.md is read by people with a fault: it must say what the program says."""
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| 0x")]
    assert rows == [_row(kind) for kind in EVENT_KINDS.values()]
