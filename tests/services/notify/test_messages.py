"""What is told: in words, as JSON, and over a restart."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarm_words import ALARM_NAMES
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.services.notify.messages import AlarmNews, Notification, Wording, one_line
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock

AT = datetime(2026, 1, 1, 14, 5, 30, tzinfo=UTC)
CAUSE = message("cause.cell_voltage", cell=3, value=3.7621, threshold=3.75)
HIGH = AlarmNews("raised", "high_voltage", "alarm", 30.0, CAUSE)
LOW = AlarmNews("raised", "low_soc", "warning", 3600.0)
OVER = AlarmNews("cleared", "high_voltage", "alarm", 60.0)
VALUES = {"soc_percent": 81.53, "voltage": 53.12, "current": -12.3, "temperature": 21.6}

ENGLISH, FRENCH = Wording("en", "House bank"), Wording("fr", "Maison")


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine two hours east of Greenwich."""
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def of(*news: AlarmNews, **values: Any) -> Notification:
    """Return a message about some news."""
    return Notification("4711", AT, news, {**VALUES, **values})


def test_a_beginning_says_what_why_since_when_and_what_to_do() -> None:
    """In the time of the machine, with the battery of that moment."""
    worded = ENGLISH(of(HIGH), AT)
    assert worded.title == "House bank: High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)"
    assert worded.body == (
        "High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)\n"
        "Since 2026-01-01 16:05.\n"
        "A cell, or the pack, is above its highest voltage; at its own cutoff the BMS ends charging.\n"
        "Check that every charger obeys the GX, and the voltage of those that do not; cells that are far apart need "
        "balancing.\n"
        "\n"
        "State of charge 82 %, 53.12 V, -12.3 A, 21.6 °C."
    )


def test_the_same_in_french() -> None:
    """Every sentence, with its decimal signs."""
    worded = FRENCH(of(HIGH), AT)
    assert worded.title == "Maison : Tension haute : alarme (cellule 3 à 3,762 V, seuil 3,750 V)"
    assert worded.lines[1] == "Depuis le 2026-01-01 16:05."
    assert worded.lines[-1] == "État de charge 82 %, 53,12 V, -12,3 A, 21,6 °C."


def test_an_end_explains_nothing() -> None:
    """There is nothing left to do; the time is that of the end."""
    worded = ENGLISH(of(OVER), AT)
    assert worded.title == "House bank: High voltage: over"
    assert worded.lines[:2] == ("High voltage: over", "It was over at 2026-01-01 16:04.")
    assert worded.document["explanation"] == worded.document["advice"] == ""


def test_several_are_lines_with_their_times() -> None:
    """One message for what quiet hours have held back."""
    worded = ENGLISH(of(HIGH, LOW, OVER), AT)
    assert worded.title == "House bank: 3 messages from the quiet hours"
    assert worded.lines[:3] == (
        "2026-01-01 16:05: High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)",
        "2026-01-01 15:05: Low state of charge: warning",
        "2026-01-01 16:04: High voltage: over",
    )
    assert [each["name"] for each in worded.document["news"]] == ["high_voltage", "low_soc", "high_voltage"]
    assert (worded.document["event"], worded.document["name"], worded.document["level"]) == ("several", None, "alarm")


def test_a_trial_says_that_it_is_one() -> None:
    """It is no alarm."""
    worded = ENGLISH(of(), AT)
    assert (worded.title, worded.lines[0]) == ("House bank: Test message", "Notifications of this battery arrive here.")
    assert (worded.document["event"], worded.document["level"]) == ("test", None)


def test_without_a_name_of_the_site_there_is_none() -> None:
    """And no colon either."""
    assert Wording("en", "")(of(LOW), AT).title == "Low state of charge: warning"


@pytest.mark.parametrize("values", [{"voltage": None, "current": None}, {"soc_percent": None, "temperature": None}])
def test_what_is_not_known_is_not_shown(values: dict[str, None]) -> None:
    """Neither as a number of before nor as a question mark."""
    told = ENGLISH(of(LOW, **values), AT).lines[-1]
    assert told == ("There are no present values of the battery." if "voltage" in values else "53.12 V, -12.3 A.")


@pytest.mark.parametrize(
    ("late", "told"),
    [
        (timedelta(seconds=119), None),
        (timedelta(minutes=25), "This could be sent only now; it is of 2026-01-01 16:05, 25 minutes ago."),
        (timedelta(hours=30), "This could be sent only now; it is of 2026-01-01 16:05, 30 hours ago."),
    ],
)
def test_what_comes_late_says_so(late: timedelta, told: str | None) -> None:
    """Who reads it in the evening knows that it is of the morning."""
    worded = ENGLISH(of(LOW), AT + late)
    assert (worded.lines[-1] if told else None) == told
    assert worded.document["late"] is (told is not None)


def test_json_has_everything_for_programs() -> None:
    """``docs/notifications.md`` shows the same object."""
    document = ENGLISH(of(HIGH), AT + timedelta(seconds=1)).document
    assert json.loads(json.dumps(document)) == document
    assert document == {
        "source": "tinybms-bridge",
        "format": 1,
        "id": "4711",
        "event": "raised",
        "site": "House bank",
        "name": "high_voltage",
        "kind": "alarm",
        "level": "alarm",
        "code": "alarm.high_voltage",
        "text": "High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)",
        "cause": "cell 3 at 3.762 V, threshold 3.750 V",
        "explanation": "A cell, or the pack, is above its highest voltage; at its own cutoff the BMS ends charging.",
        "advice": "Check that every charger obeys the GX, and the voltage of those that do not; cells that are far "
        "apart need balancing.",
        "at": "2026-01-01T14:05:00+00:00",
        "sent_at": "2026-01-01T14:05:31+00:00",
        "late": False,
        "language": "en",
        "news": [{key: document[key] for key in document["news"][0]}],
        "battery": VALUES,
    }


async def test_the_clock_may_be_set_between_making_and_sending() -> None:
    """At the start of a machine without a clock of its own; of an earlier run only the time that it had is known."""
    before = FakeClock(wall=datetime(1970, 1, 1, tzinfo=UTC))
    made = Notification("1", before.wall(), (LOW,), made_s=before.monotonic())
    after = FakeClock(start_s=before.monotonic() + 60.0, wall=AT)
    assert made.dated(after).at == AT - timedelta(seconds=60)
    assert Notification.from_document(made.to_document()).dated(after).at == before.wall()


@given(
    st.lists(
        st.builds(
            AlarmNews,
            st.sampled_from(["raised", "cleared"]),
            st.sampled_from(ALARM_NAMES),
            st.sampled_from(["warning", "alarm"]),
            st.floats(0, 1e7),
            st.none() | st.just(CAUSE),
        ),
        max_size=5,
    )
)
def test_a_message_survives_a_restart(news: list[AlarmNews]) -> None:
    """As JSON, with every word that it will need, in any language."""
    told = Notification("1", AT, tuple(news), VALUES)
    again = Notification.from_document(json.loads(json.dumps(told.to_document())))
    assert again == told
    for wording in (ENGLISH, FRENCH):
        assert wording(again, AT) == wording(told, AT)
        assert "?" not in wording(told, AT).title


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"id": "1", "at": "yesterday", "news": [], "values": {}},
        {"id": "1", "at": "2026-01-01T00:00:00", "news": [], "values": {}},
        {"id": "1", "at": AT.isoformat(), "news": [{}], "values": {}},
        {"id": "1", "at": AT.isoformat(), "news": [], "values": []},
        {
            "id": "1",
            "at": AT.isoformat(),
            "news": [{"event": "raised", "name": "no_such", "level": "alarm", "before_s": 0, "cause": None}],
            "values": {},
        },
    ],
)
def test_what_is_no_message_is_refused(document: object) -> None:
    """A file that somebody has written, or a later version."""
    with pytest.raises(ValueError, match=r"time|message|unknown|string|required"):
        Notification.from_document(document)


@given(st.text())
def test_nothing_ends_a_line_early(text: str) -> None:
    """A name with a line break would be a header of its own, an escape would move the cursor of a terminal."""
    found = one_line(text)
    assert len(found.splitlines()) <= 1
    assert not set(found) & {"\r", "\n", "\x00", "\x1b", "\u2028", "\u202e"}


PAGE = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text(encoding="utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def test_the_page_shows_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The object of a webhook, and a message in words, as people will see them."""
    assert BLOCKS[-1] == ENGLISH(of(HIGH), AT + timedelta(seconds=1)).document
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    worded = ENGLISH(of(HIGH), AT)
    assert f"```text\n{worded.title}\n\n{worded.body}\n```" in PAGE


def test_the_page_names_every_field() -> None:
    """Of the object, and events that there are."""
    fields = PAGE.partition("| Field | Holds |")[2]
    assert [name for name in BLOCKS[-1] if f"`{name}`" not in fields and name not in ("source", "site")] == []
    assert [each for each in ("raised", "cleared", "several", "test") if f"`{each}`" not in fields] == []


@pytest.mark.parametrize("document", BLOCKS[:-1])
def test_every_configuration_of_the_page_can_be_used(document: dict[str, Any]) -> None:
    """As it stands there, without a notice."""
    found = interpret(document, "the page")
    assert [str(notice) for notice in found.notices] == []
    assert found.configuration.notifications.enabled
