"""``/api/logs``: plain text for ``grep``, JSON on request, paging."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest


@pytest.fixture(autouse=True)
def lines(core: Any) -> None:
    """Three lines."""
    for level, text in (("INFO", "start"), ("ERROR", "CRC wrong"), ("INFO", "läuft")):
        core.logs.write(level, text)


async def test_plain_text_for_grep(visitor: httpx.AsyncClient, core: Any) -> None:
    """Without any header the log is text, one line each, with the level as a word."""
    answer = await visitor.get("/api/logs")
    assert answer.headers["content-type"].startswith("text/plain")
    assert [line for line in answer.text.splitlines() if "ERROR" in line] == [str(core.logs.lines[1])]
    assert "ERROR   CRC wrong" in answer.text
    assert answer.text.endswith("läuft\n")
    assert answer.headers["x-next-cursor"] == "3"


@pytest.mark.parametrize("accept", ["*/*", "text/html,application/xhtml+xml", "text/plain, application/json"])
async def test_text_unless_json_is_wanted(visitor: httpx.AsyncClient, accept: str) -> None:
    """curl, a browser's address line and a client that takes both get text."""
    answer = await visitor.get("/api/logs", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("text/plain")


async def test_json_on_request(visitor: httpx.AsyncClient) -> None:
    """A script gets fields instead of text, by header or by parameter."""
    by_header = await visitor.get("/api/logs", headers={"accept": "application/json"})
    by_parameter = await visitor.get("/api/logs", params={"format": "json"})
    assert by_header.json() == by_parameter.json()
    line = by_header.json()["lines"][1]
    assert (line["level"], line["text"], line["number"]) == ("ERROR", "CRC wrong", 2)
    assert line["at"] == "2026-01-01T12:00:00Z"


async def test_pages(visitor: httpx.AsyncClient) -> None:
    """The cursor of a page leads to the next one, without gaps or repetitions."""
    first = (await visitor.get("/api/logs", params={"format": "json", "limit": 2})).json()
    assert first["more"] is True
    parameters = {"format": "json", "cursor": first["next_cursor"]}
    second = (await visitor.get("/api/logs", params=parameters)).json()
    assert [line["number"] for line in first["lines"] + second["lines"]] == [1, 2, 3]
    assert second["more"] is False


async def test_filters_reach_the_log(visitor: httpx.AsyncClient, core: Any) -> None:
    """Level and time are handed on; a time without a zone is UTC."""
    parameters = {"level": "ERROR", "since": "2026-01-01T11:00:00", "limit": "5"}
    answer = await visitor.get("/api/logs", params=parameters)
    assert len(answer.text.splitlines()) == 1
    assert core.logs.asked[-1] == (5, None, "ERROR", datetime(2026, 1, 1, 11, tzinfo=UTC))


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "level=LOUD", "since=soon", "cursor=-1", "format=xml"])
async def test_bad_parameters(visitor: httpx.AsyncClient, query: str) -> None:
    """A parameter that cannot be is refused with its name."""
    answer = await visitor.get(f"/api/logs?{query}")
    assert answer.status_code == 422
    assert query.split("=", maxsplit=1)[0] in answer.json()["message"]


@pytest.fixture
def tracebacks(core: Any) -> None:
    """Five hundred lines as long as lines get."""
    for number in range(500):
        core.logs.write("ERROR", f"{number:03} " + 3990 * "x")


@pytest.mark.usefixtures("tracebacks")
async def test_an_answer_is_bounded(visitor: httpx.AsyncClient) -> None:
    """Of very long lines the latest ones come, and pages lead through all of them without gaps."""
    latest = (await visitor.get("/api/logs", params={"limit": 10_000})).text
    assert len(latest) < 600_000
    assert "499 xxx" in latest
    texts: list[str] = []
    cursor, more = 0, True
    while more:
        page = (await visitor.get("/api/logs", params={"format": "json", "cursor": cursor})).json()
        cursor, more = page["next_cursor"], page["more"]
        texts += [line["text"][:3] for line in page["lines"]]
    assert texts[3:] == [f"{number:03}" for number in range(500)]


async def test_clearing(client: httpx.AsyncClient) -> None:
    """DELETE forgets every line."""
    assert (await client.delete("/api/logs")).json() == {"success": True, "message": "Logs cleared"}
    assert (await client.get("/api/logs")).text == ""


async def test_clearing_needs_a_login(visitor: httpx.AsyncClient) -> None:
    """Nobody can wipe traces without a login."""
    assert (await visitor.delete("/api/logs")).status_code == 401
    assert "CRC" in (await visitor.get("/api/logs")).text


async def test_level_in_small_letters(visitor: httpx.AsyncClient, core: Any) -> None:
    """As people type it."""
    answer = await visitor.get("/api/logs", params={"level": "warning"})
    assert answer.status_code == 200
    assert core.logs.asked[-1][2] == "WARNING"


async def test_files_that_cannot_be_removed(client: httpx.AsyncClient, core: Any) -> None:
    """Whoever purges the log learns that something of it is left."""

    def fail() -> None:
        raise PermissionError(13, "Permission denied", "bridge.log")

    core.logs.clear = fail
    answer = await client.delete("/api/logs")
    assert (answer.status_code, answer.json()["error"]) == (500, "logs_not_removed")
    assert "bridge.log" in answer.json()["message"]


AUDIT_LINE = "PUT /api/inhibits/charge by boss (session) from 192.168.1.7"


@pytest.mark.parametrize("query", ["", "?limit=1", "?format=json", "?cursor=0", "?level=info", "?since=2020-01-01"])
async def test_what_people_did_is_not_for_everybody(visitor: httpx.AsyncClient, core: Any, query: str) -> None:
    """Neither in text nor as JSON, whatever is asked for; the page is as long as it would be without."""
    core.logs.write("INFO", AUDIT_LINE, "tinybms_bridge.audit")

    answer = await visitor.get(f"/api/logs{query}")

    assert answer.status_code == 200
    assert "start" in answer.text
    assert "boss" not in answer.text


async def test_who_is_logged_in_sees_what_people_did(client: httpx.AsyncClient, core: Any) -> None:
    """In its place among the other lines."""
    core.logs.write("INFO", AUDIT_LINE, "tinybms_bridge.audit")

    assert (await client.get("/api/logs")).text.endswith(f"{AUDIT_LINE}\n")
