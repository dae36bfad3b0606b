"""``/api/history``: times as people and programs write them, columns, CSV, energy by day, and errors with numbers."""

import csv
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.history import (
    DaysAnswer,
    HistoryAnswer,
    MonthsAnswer,
    day_of,
    period_of,
    seconds_of,
    step_of,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("text", "moment_s"),
    [
        ("now", NOW_S),
        ("-90s", NOW_S - 90),
        ("-24h", NOW_S - 86_400),
        ("-7d", NOW_S - 604_800),
        ("-2w", NOW_S - 1_209_600),
        ("1767225600", 1_767_225_600),
        ("1767225600.5", 1_767_225_600.5),
        ("0", 0),
        ("2026-01-01", 1_767_225_600),
        ("2026-01-01T00:00:00", 1_767_225_600),
        ("2026-01-01T00:00:00Z", 1_767_225_600),
        ("2026-01-01T01:00:00+01:00", 1_767_225_600),
        ("2026-01-01T01:00:00 01:00", 1_767_225_600),
        ("2025-12-31T19:00:00-05:00", 1_767_225_600),
        ("20260101T000000Z", 1_767_225_600),
    ],
)
def test_moments(text: str, moment_s: float) -> None:
    """ISO 8601, also with a plus sign that the address has lost, seconds since 1970, and relative times."""
    assert seconds_of("from", text, NOW) == moment_s


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-24", "24h", "+24h", "-1y", "-", "1e9", "-999999999w", "9999-01-01", "1969-01-01", "2026-13-01", "٣"],
)
def test_moments_that_are_none(text: str) -> None:
    """What cannot be read is refused with its name and value, and what is accepted."""
    with pytest.raises(ProblemError) as caught:
        seconds_of("from", text, NOW)
    assert caught.value.status_code == 422
    assert str(caught.value).startswith(f"query.from = {text}: must be a time")
    assert caught.value.extra["errors"][0]["path"] == "query.from"


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_a_problem(text: str) -> None:
    """Nothing that can be typed brings the route down."""
    moment_s = 0.0
    with suppress(ProblemError):
        moment_s = seconds_of("to", text, NOW)
    assert 0 <= moment_s < 7_300_000_000


def test_period() -> None:
    """Whole seconds, the beginning before the end; else the numbers say why."""
    assert period_of("-1h", "now", NOW) == (NOW_S - 3600, NOW_S)
    with pytest.raises(ProblemError, match=r"query.from = now: must be before the end, -1h \(2026-01-31T11:00:00Z\)"):
        period_of("now", "-1h", NOW)


def test_days_of_a_request() -> None:
    """A date means that day wherever the machine is; other times mean the day there."""
    assert day_of("from", "2026-01-05", NOW) == date(2026, 1, 5)
    assert day_of("from", "-30d", NOW) == datetime(2026, 1, 1, 12, tzinfo=UTC).astimezone().date()
    with pytest.raises(ProblemError):
        day_of("from", "2026-02-30", NOW)


@pytest.mark.parametrize(
    ("text", "step_s"), [("10", 10), ("900", 900), ("15m", 900), ("1h", 3600), ("1d", 86_400), ("10s", 10)]
)
def test_steps(text: str, step_s: int) -> None:
    """Seconds, or a number with its unit."""
    assert step_of(text) == step_s


@pytest.mark.parametrize("text", ["", "0", "9", "-60", "-15m", "1.5h", "367d", "h", "1y", "٣٠"])
def test_steps_that_are_none(text: str) -> None:
    """Finer than anything kept, longer than a year, or no number."""
    with pytest.raises(ProblemError, match="must be from 10 s to 366 d"):
        step_of(text)


NEW_YEAR_S = 1_767_225_600


@pytest.fixture
def some_history(core: Any) -> None:
    """Something stored in the finest level, nothing in the next, no table of the last."""
    core.history.store(12_345, (10, 100, NEW_YEAR_S, NEW_YEAR_S + 990), (60, 0, None, None))


async def test_columns(visitor: httpx.AsyncClient) -> None:
    """Times and lists of the same length, null in the gaps, each field with its series."""
    query = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:04:00Z", "step": "1m"}
    answer = await visitor.get("/api/history", params=query)
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["times"] == [NEW_YEAR_S + 60 * step for step in range(4)]
    assert (found["from"], found["to"], found["step_s"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:04:00Z", 60)
    assert found["fields"]["voltage_v"] == {series: [0.5, 1.5, None, 3.5] for series in ("mean", "min", "max")}
    assert found["fields"]["charge_state"] == {"last": ["BULK", "BULK", None, "BULK"]}
    assert set(found["fields"]) == {"voltage_v", "soc_percent", "charge_state"}


async def test_last_day_by_default(visitor: httpx.AsyncClient, core: Any) -> None:
    """Without parameters: 24 hours until now, in 500 steps at most."""
    found = (await visitor.get("/api/history")).json()
    assert core.history.asked == [(NEW_YEAR_S - 86_400, NEW_YEAR_S, 500, None)]
    assert len(found["times"]) <= 501


async def test_answer_is_what_the_document_says(visitor: httpx.AsyncClient) -> None:
    """The answer is put together by hand; its members are exactly those of its model."""
    found = (await visitor.get("/api/history", params={"points": 7})).json()
    assert list(found) == [field.serialization_alias or name for name, field in HistoryAnswer.model_fields.items()]
    assert {len(column) for series in found["fields"].values() for column in series.values()} == {len(found["times"])}


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ("soc_percent", {"soc_percent": ["mean", "min", "max"]}),
        ("soc_percent.mean", {"soc_percent": ["mean"]}),
        ("voltage_v.max,charge_state,voltage_v.min", {"voltage_v": ["max", "min"], "charge_state": ["last"]}),
        ("voltage_v.mean,voltage_v.mean", {"voltage_v": ["mean"]}),
    ],
)
async def test_choice_of_fields(visitor: httpx.AsyncClient, wanted: str, fields: dict[str, list[str]]) -> None:
    """A chart takes only what it draws."""
    found = (await visitor.get("/api/history", params={"fields": wanted, "points": 10})).json()
    assert {name: list(series) for name, series in found["fields"].items()} == fields


async def test_csv(visitor: httpx.AsyncClient) -> None:
    """A spreadsheet gets one line for each step that is stored, with a header; a gap has no line."""
    query = {"from": "2026-01-01", "to": "2026-01-02", "step": "30", "fields": "soc_percent.mean,charge_state"}
    by_parameter = await visitor.get("/api/history", params={**query, "format": "csv"})
    by_header = await visitor.get("/api/history", params=query, headers={"accept": "text/csv"})
    assert by_parameter.text == by_header.text
    assert by_parameter.headers["content-type"].startswith("text/csv")
    assert "history.csv" in by_parameter.headers["content-disposition"]
    lines = by_parameter.text.split("\r\n")
    assert lines[:4] == [
        "time,soc_percent.mean,charge_state.last",
        "2026-01-01T00:00:00Z,0.5,BULK",
        "2026-01-01T00:00:30Z,1.5,BULK",
        "2026-01-01T00:01:30Z,3.5,BULK",
    ]
    assert len(lines) == 1 + 2 * 2880 // 3 + 1
    assert lines[-1] == ""


async def test_json_unless_csv_is_wanted(visitor: httpx.AsyncClient) -> None:
    """A browser and a client that takes both get JSON."""
    for accept in ("*/*", "text/html,*/*", "text/csv, application/json"):
        answer = await visitor.get("/api/history", params={"points": 5}, headers={"accept": accept})
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=soon", "query.from = soon: must be a time"),
        ("from=now&to=-1h", "query.from = now: must be before the end, -1h (2025-12-31T23:00:00Z)"),
        ("fields=volts", "query.fields = volts: there is no such field; there are voltage_v, soc_percent"),
        ("fields=voltage_v.median", "there are voltage_v.mean, voltage_v.min, voltage_v.max"),
        ("step=1", "query.step = 1: must be from 10 s to 366 d"),
        ("from=-30d&step=10", "query.step = 10: 259200 steps are too many: at most 5000 as json"),
        ("from=-730d&step=10&format=csv", "6307200 steps are too many: at most 100000 as csv"),
        ("points=5001", "query.points = 5001: must be at most 5000 as json"),
        ("points=0", "query.points"),
        ("points=many", "query.points"),
        ("format=xml", "query.format"),
    ],
)
async def test_bad_parameters(visitor: httpx.AsyncClient, query: str, words: str) -> None:
    """What cannot be is refused with name, value and what is accepted."""
    answer = await visitor.get(f"/api/history?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["message"]
    assert answer.json()["errors"][0]["path"].startswith("query.")


async def test_many_series_in_fewer_points(visitor: httpx.AsyncClient, core: Any) -> None:
    """An answer for a chart holds a hundred thousand values at most; steps of a chosen length are not changed."""
    series = {f"s{number}": 0 for number in range(40)}
    core.history.fields.append(type(core.history.fields[0])("many", "", "Many", series))
    found = await visitor.get("/api/history", params={"points": 5000, "fields": "many"})
    refused = await visitor.get("/api/history", params={"step": "60", "from": "-3d", "fields": "many"})
    assert found.status_code == 200
    assert core.history.asked[-1][2] == 2500
    assert refused.status_code == 422
    assert "4320 steps of 40 series are too many values: at most 100000" in refused.json()["message"]


async def test_more_points_as_csv(visitor: httpx.AsyncClient, core: Any) -> None:
    """What is too much for a chart may be downloaded."""
    answer = await visitor.get("/api/history", params={"points": 50_000, "format": "csv"})
    assert answer.status_code == 200
    assert core.history.asked[-1][2] == 50_000


@pytest.mark.parametrize("path", ["/api/history", "/api/history/days", "/api/history?format=csv"])
async def test_file_that_cannot_be_read(visitor: httpx.AsyncClient, core: Any, path: str) -> None:
    """The answer says why, with the status of a service that is not there now."""
    core.history.broken = BridgeError("history in /state: database disk image is malformed")
    answer = await visitor.get(path)
    assert answer.status_code == 503
    assert "malformed" in answer.json()["message"]


async def test_fields(visitor: httpx.AsyncClient, some_history: None) -> None:
    """What can be asked for, with units, and how far back each resolution reaches."""
    found = (await visitor.get("/api/history/fields")).json()
    assert found["enabled"] is True
    assert found["fields"][0] == {"name": "voltage_v", "unit": "V", "text": "Voltage", "series": ["mean", "min", "max"]}
    assert found["pack_fields"] == ["voltage_v", "soc_percent"]
    assert found["packs"] == []
    assert found["levels"] == [
        {"step_s": 10, "kept_days": 2, "rows": 100, "oldest": "2026-01-01T00:00:00Z", "newest": "2026-01-01T00:16:30Z"},
        {"step_s": 60, "kept_days": 14, "rows": 0, "oldest": None, "newest": None},
        {"step_s": 900, "kept_days": 730, "rows": 0, "oldest": None, "newest": None},
    ]


async def test_record_of_each_day(visitor: httpx.AsyncClient, core: Any) -> None:
    """The record of each day from date to date, with what a bar of each band is; by default of the last thirty days."""
    found = (await visitor.get("/api/history/days?from=2026-01-01&to=2026-01-31")).json()
    assert found["pack"] is None
    assert found["soc_bands_percent"] == list(range(0, 100, 10))
    assert found["temperature_bounds_c"] == [0, 10, 20, 30, 40, 50]
    energies = [(day["day"], day["charged_kwh"], day["discharged_kwh"], day["recorded_h"]) for day in found["days"]]
    assert energies == [("2026-01-01", 7.5, 6.25, 24.0), ("2026-01-31", 1.0, 2.0, 3.5)]
    assert found["days"][0]["cell_min"] == {"voltage_mv": 3201.5, "cell": 3, "pack": "main"}
    assert found["days"][0]["soc_bands_h"] == [*[0.0] * 9, 24.0]
    assert found["days"][0]["voltage_min_v"] is None
    await visitor.get("/api/history/days")
    now = datetime(2026, 1, 1, tzinfo=UTC).astimezone().date()
    assert core.history.days_asked[0] == (date(2026, 1, 1), date(2026, 1, 31))
    assert (now - core.history.days_asked[1][0]).days == 30


async def test_months(visitor: httpx.AsyncClient) -> None:
    """The days of a month together; its name comes first."""
    found = (await visitor.get("/api/history/months?from=2026-01-01&to=2026-01-31")).json()
    (month,) = found["months"]
    assert list(month)[:3] == ["month", "days", "charged_kwh"]
    assert (month["month"], month["days"], month["charged_kwh"]) == ("2026-01", 1, 1.0)


@pytest.mark.parametrize(("path", "model"), [("days", DaysAnswer), ("months", MonthsAnswer)])
async def test_records_are_what_the_document_says(
    visitor: httpx.AsyncClient, path: str, model: type[BaseModel]
) -> None:
    """Records are put together by hand; their members are exactly those of their models."""
    found = (await visitor.get(f"/api/history/{path}?from=2026-01-01&to=2026-01-31")).json()
    assert set(found) == set(model.model_fields)
    document = (await visitor.get("/api/openapi.json")).json()["components"]["schemas"]
    item = document[model.__name__]["properties"][path]["items"]["$ref"].rpartition("/")[2]
    assert set(found[path][0]) == set(document[item]["properties"])


@pytest.mark.parametrize(("path", "lines"), [("days", 3), ("months", 2)])
async def test_records_as_csv(visitor: httpx.AsyncClient, path: str, lines: int) -> None:
    """A spreadsheet gets a line for each record, each band and each part of a cell in a column of its own."""
    answer = await visitor.get(f"/api/history/{path}?from=2026-01-01&to=2026-01-31&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert f"{path}.csv" in answer.headers["content-disposition"]
    header, *rows = csv.reader(answer.text.splitlines())
    assert header[0] == path[:-1]
    assert len(rows) == lines - 1
    assert {len(row) for row in rows} == {len(header)}
    first = dict(zip(header, rows[0], strict=True))
    assert first["soc_90_h"] == "24.0"
    assert (first["voltage_min_v"], first["temperature_below_h"], first["temperature_50_h"]) == ("", "", "")
    if path == "days":
        assert (first["cell_min_voltage_mv"], first["cell_min_number"], first["cell_min_pack"]) == (
            "3201.5", "3", "main",
        )  # fmt: skip


@pytest.mark.parametrize("path", ["/api/history", "/api/history/days", "/api/history/months"])
async def test_one_pack(visitor: httpx.AsyncClient, core: Any, path: str) -> None:
    """A pack that is there, or one that has gone and left its rows; any other is refused by name."""
    core.history.known_packs = ["shed"]
    for pack in ("main", "shed"):
        assert (await visitor.get(path, params={"pack": pack})).status_code == 200
        assert core.history.packs_asked[-1] == pack
    refused = await visitor.get(path, params={"pack": "shet"})
    assert refused.status_code == 404
    assert "there is no pack called 'shet'" in refused.json()["message"]
    assert "shed" in refused.json()["message"]


async def test_fields_of_a_pack(visitor: httpx.AsyncClient) -> None:
    """What there is of the battery only cannot be asked for of a pack, and is not among all that it has."""
    found = (await visitor.get("/api/history?pack=main&points=5")).json()
    assert set(found["fields"]) == {"voltage_v", "soc_percent"}
    refused = await visitor.get("/api/history?pack=main&fields=charge_state")
    assert refused.status_code == 422
    assert "there is no such field; there are voltage_v, soc_percent" in refused.json()["message"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=2026-02-01&to=2026-01-01", "query.from = 2026-02-01: must not be after the end, 2026-01-01"),
        ("from=2000-01-01&to=2026-01-01", "9498 days are too many: at most 3660"),
        ("to=yesterday", "query.to = yesterday: must be a time"),
    ],
)
async def test_bad_days(visitor: httpx.AsyncClient, query: str, words: str) -> None:
    """Days that cannot be are refused with the numbers."""
    answer = await visitor.get(f"/api/history/days?{query}")
    assert answer.status_code == 422
    assert words in answer.json()["message"]


async def test_diagnostics(visitor: httpx.AsyncClient, core: Any, some_history: None) -> None:
    """Size, oldest row, losses and the last error are among the diagnostics."""
    error = "history in /state: database or disk is full"
    core.history.now = replace(core.history.now, error=error, lost_batches=4)
    found = (await visitor.get("/api/diagnostics")).json()["history"]
    assert (found["bytes"], found["lost_batches"], found["written_batches"]) == (12_345, 4, 3)
    assert found["error"] == error
    assert found["levels"][0]["rows"] == 100


async def test_login_where_reading_needs_one(visitor: httpx.AsyncClient, options: Any, core: Any) -> None:
    """The same rule as for every other route that reads."""
    closed = create_app(core, replace(options, open_reading=False))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(closed), base_url="http://bridge.test") as stranger:
        for path in ("/api/history", "/api/history/fields", "/api/history/days", "/api/history/months"):
            assert (await stranger.get(path)).status_code == 401
