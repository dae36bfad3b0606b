"""``GET /api/events``: newest first, in pages."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.words import message

STOPPED = EventRecord(
    9, None, EventSource.BRIDGE, Severity.WARNING, "inhibit.charge", "Charging stopped by hand", by="boss"
)


@pytest.fixture(autouse=True)
def entries(core: Any) -> None:
    """Ten entries, the even ones of the BMS, the third a fault without a time."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(1, 11):
        source = EventSource.BRIDGE if number % 2 else EventSource.BMS
        severity = Severity.FAULT if number == 3 else Severity.INFO
        entry = EventRecord(number, None if number == 3 else at, source, severity, f"code.{number}", "text")
        core.event_list.append(entry)


async def test_number_of_a_list_that_was_lost(visitor: httpx.AsyncClient, core: Any) -> None:
    """Who follows the list sees new entries at once, not when numbers have caught up."""
    core.event_list = [EventRecord(1, None, EventSource.BRIDGE, Severity.INFO, "link", "The BMS answers")]
    assert len((await visitor.get("/api/events?after=1")).json()["events"]) == 0
    assert len((await visitor.get("/api/events?after=99")).json()["events"]) == 1


async def numbers(client: httpx.AsyncClient, query: str) -> list[int]:
    """Return the numbers of the entries."""
    answer = await client.get(f"/api/events?{query}")
    return [event["number"] for event in answer.json()["events"]]


async def test_newest_first(visitor: httpx.AsyncClient) -> None:
    """The list begins with what happened last."""
    assert await numbers(visitor, "") == list(range(10, 0, -1))


async def test_events_of_a_time(visitor: httpx.AsyncClient, core: Any) -> None:
    """A chart asks for what happened in its span: from its beginning, before its end, and only what has a time."""
    core.event_list[5:8] = [
        replace(entry, at=datetime(2026, 1, 2, hour, tzinfo=UTC))
        for hour, entry in enumerate(core.event_list[5:8], start=10)
    ]
    assert await numbers(visitor, "from=2026-01-02") == [8, 7, 6]
    assert await numbers(visitor, "from=2026-01-02T10:00:00Z&to=2026-01-02T12:00:00Z") == [7, 6]
    assert await numbers(visitor, "to=2026-01-02&severity=info") == [10, 9, 5, 4, 2, 1]
    assert 3 not in await numbers(visitor, "from=0")
    assert (await visitor.get("/api/events?from=soon")).status_code == 422


async def test_pages(visitor: httpx.AsyncClient) -> None:
    """Pages lead to the oldest entry without gaps or repetitions."""
    seen: list[int] = []
    query = "limit=4"
    while True:
        page = (await visitor.get(f"/api/events?{query}")).json()
        seen += [event["number"] for event in page["events"]]
        if page["next_before"] is None:
            break
        query = f"limit=4&before={page['next_before']}"
    assert seen == list(range(10, 0, -1))


async def test_filters(visitor: httpx.AsyncClient) -> None:
    """Source, severity and number narrow the list."""
    assert await numbers(visitor, "source=bms") == [10, 8, 6, 4, 2]
    assert await numbers(visitor, "severity=fault") == [3]
    assert await numbers(visitor, "after=8") == [10, 9]
    assert await numbers(visitor, "severity=fault&source=bms") == []


async def test_event_without_a_time(visitor: httpx.AsyncClient) -> None:
    """An event of the BMS whose time cannot be told says so."""
    event = (await visitor.get("/api/events?severity=fault")).json()["events"][0]
    assert event["at"] is None
    assert event["code"] == "code.3"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "before=0", "source=sun", "severity=bad", "after=x"])
async def test_bad_parameters(visitor: httpx.AsyncClient, query: str) -> None:
    """A parameter that cannot be is refused."""
    assert (await visitor.get(f"/api/events?{query}")).status_code == 422


async def test_who_did_it_is_for_who_is_logged_in(visitor: httpx.AsyncClient, core: Any) -> None:
    """Everybody else reads what happened."""
    core.event_list.append(STOPPED)

    answer = await visitor.get("/api/events", params={"limit": 1})

    assert (answer.json()["events"][0]["text"], answer.json()["events"][0]["by"]) == ("Charging stopped by hand", None)
    assert "boss" not in answer.text


async def test_an_administrator_sees_who_did_it(client: httpx.AsyncClient, core: Any) -> None:
    """Null where nobody did anything."""
    core.event_list.append(STOPPED)

    events = (await client.get("/api/events", params={"limit": 2})).json()["events"]

    assert [each["by"] for each in events] == ["boss", None]


async def test_entries_in_french(visitor: httpx.AsyncClient, core: Any) -> None:
    """Code and parameters are the same in every language; what is known as a text only stays English."""
    told = message("link.down", reason="unplugged")
    core.event_list = [
        EventRecord(1, None, EventSource.BRIDGE, Severity.INFO, "link", "The BMS answers"),
        EventRecord(2, None, EventSource.BRIDGE, Severity.WARNING, told.code, told.text, parameters=told.parameters),
    ]

    english = (await visitor.get("/api/events")).json()["events"]
    french = (await visitor.get("/api/events", params={"lang": "fr"})).json()["events"]

    assert [each["text"] for each in english] == ["No contact with the BMS: unplugged", "The BMS answers"]
    assert [each["text"] for each in french] == ["Pas de contact avec le BMS : unplugged", "The BMS answers"]
    assert [each["parameters"] for each in french] == [{"reason": "unplugged"}, None]
    assert (await visitor.get("/api/events", params={"lang": "de"})).status_code == 422
