"""``/api/history``: what the battery did, as columns for charts, as CSV for spreadsheets, and as figures.

The times of a request may be ISO 8601, seconds since 1970, or relative to now.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields as members_of
from datetime import UTC, date, datetime
from itertools import islice
from operator import attrgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from pydantic_core import to_json
from starlette.responses import Response

from tinybms_bridge.errors import said_of
from tinybms_bridge.services.ports import (
    SOC_BANDS_PERCENT,
    TEMPERATURE_BOUNDS_C,
    Cell,
    Core,
    DayRecord,
    HistoryField,
    HistoryLevel,
    HistorySource,
    HistoryView,
    MonthRecord,
    PeriodRecord,
)
from tinybms_bridge.services.web.answers import Answer, Shown
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.problems import ProblemError, mistake
from tinybms_bridge.services.web.routes.shared import TheCore
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.words import Message, message

__all__ = [
    "DEFAULT_FROM",
    "TIME_HINT",
    "DaysAnswer",
    "Fields",
    "HistoryAnswer",
    "MonthsAnswer",
    "columns_of",
    "csv_of",
    "day_of",
    "period_of",
    "refuse",
    "router",
    "seconds_of",
    "step_of",
]

Value = float | str | None


class HistoryAnswer(Answer):
    """Values in columns; every list has one entry for each step."""

    from_: datetime = Field(serialization_alias="from", description="Beginning of the first step")
    to: datetime = Field(description="End of the last step")
    step_s: int = Field(examples=[300])
    times: list[int] = Field(description="Beginning of each step, seconds since 1970", examples=[[1767225600]])
    fields: dict[str, dict[str, list[Value]]] = Field(
        description="Each field with its series; null where nothing is known",
        examples=[
            {"voltage_v": {"mean": [53.127], "min": [53.09], "max": [53.162]}, "charge_state": {"last": ["BULK"]}}
        ],
    )


class Fields(Answer):
    """What can be asked for, and how far back."""

    enabled: bool
    """Whether the history records."""
    fields: list[Shown[HistoryField]]
    pack_fields: list[str]
    """Names of the fields that there are of each pack, in steps of a minute and longer."""
    packs: list[str]
    """The packs of which anything is stored, also those that are gone."""
    levels: list[Shown[HistoryLevel]]


class BandsAnswer(Answer):
    """What the bands of the records are."""

    pack: str | None
    """The pack that was asked for; null for the battery."""
    soc_bands_percent: list[int] = Field(description="Where each band of SOC begins; the last one ends at 100")
    temperature_bounds_c: list[int] = Field(description="Bounds between the bands; the first and the last are open")


class DaysAnswer(BandsAnswer):
    """The record of each day that has data, oldest first."""

    days: list[Shown[DayRecord]]


class MonthsAnswer(BandsAnswer):
    """The record of each month that has data, oldest first."""

    months: list[Shown[MonthRecord]]


DEFAULT_FROM = "-24h"
_TIMES = message("request.times")
TIME_HINT = _TIMES.text

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LATEST_S = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_SPAN = re.compile(r"-?([0-9]{1,9})([smhdw])")
_LOST_PLUS = re.compile(r"(.*T.*) ([0-9]{2}:?[0-9]{2})")
"""A time with an offset whose plus sign was not escaped in the address."""


def refuse(path: str, value: object, told: Message) -> ProblemError:
    """Return the problem of one parameter."""
    errors = [{"value": value} | mistake(f"query.{path}", told)]
    return ProblemError(422, "invalid_payload", said_of(f"query.{path} = {value}", told), errors=errors)


def seconds_of(path: str, text: str, now: datetime) -> float:
    """Return a moment in seconds since 1970. Raises ProblemError."""
    if text == "now":
        return now.timestamp()
    if _NUMBER.fullmatch(text):
        return _checked(path, text, float(text))
    span = _SPAN.fullmatch(text)
    if span and text.startswith("-"):
        return _checked(path, text, now.timestamp() - int(span[1]) * _UNITS_S[span[2]])
    return _checked(path, text, _iso(path, text).timestamp())


def period_of(from_text: str, to_text: str, now: datetime) -> tuple[int, int]:
    """Return begin and end in whole seconds. Raises ProblemError."""
    from_s, to_s = int(seconds_of("from", from_text, now)), int(seconds_of("to", to_text, now))
    if from_s >= to_s:
        raise refuse("from", from_text, message("request.begins_late", end=to_text, time=_words(to_s)))
    return from_s, to_s


def day_of(path: str, text: str, now: datetime) -> date:
    """Return a date as it is, else the day of a moment in the time zone of the machine. Raises ProblemError."""
    if _DAY.fullmatch(text):
        return _iso(path, text).date()
    return datetime.fromtimestamp(seconds_of(path, text, now)).astimezone().date()


def step_of(text: str) -> int:
    """Return a step in seconds: ``900``, ``15m``, ``1h``. Raises ProblemError."""
    span = _SPAN.fullmatch(f"{text}s" if text.isdecimal() else text)
    step_s = int(span[1]) * _UNITS_S[span[2]] if span and not text.startswith("-") else 0
    if not 10 <= step_s <= 31_622_400:
        raise refuse("step", text, message("request.step"))
    return step_s


def _iso(path: str, text: str) -> datetime:
    lost = _LOST_PLUS.fullmatch(text)
    try:
        moment = datetime.fromisoformat(f"{lost[1]}+{lost[2]}" if lost else text)
    except ValueError:
        raise refuse(path, text[:64], message("request.no_time", times=_TIMES)) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _checked(path: str, text: str, moment_s: float) -> float:
    if not 0 <= moment_s <= _LATEST_S:
        raise refuse(path, text, message("request.odd_time"))
    return moment_s


def _words(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


_PIECE = 250
"""Steps of a CSV file that are read and written at once."""


def columns_of(view: HistoryView, names: Sequence[str]) -> bytes:
    """Return a ``HistoryAnswer`` in JSON. Blocks."""
    fields: dict[str, list[bytes]] = {}
    for name, column in zip(names, view.columns(), strict=True):
        field, _, series = name.partition(".")
        # Column by column: encoding stops all other threads, and all of a large answer at once would do so for long.
        fields.setdefault(field, []).append(b'"%b":%b' % (series.encode(), to_json(column)))
    members = {
        "from": to_json(_moment(view.times.start)),
        "to": to_json(_moment(view.times.stop)),
        "step_s": to_json(view.step_s),
        "times": to_json(list(view.times)),
        "fields": _object({field: b"{%b}" % b",".join(series) for field, series in fields.items()}),
    }
    return _object(members)


def _object(members: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members.items())


def csv_of(view: HistoryView, names: Sequence[str]) -> Iterator[str]:
    """Yield the file piece by piece; between two pieces nothing is open. Blocks."""
    yield ",".join(["time", *names]) + "\r\n"
    for lines in view.lines(_PIECE):
        yield "".join(_line(time, cells) for time, cells in lines)


def _line(time: int, cells: Sequence[Cell]) -> str:
    values = ["" if cell is None else str(cell) for cell in cells]
    return ",".join([f"{_moment(time):%Y-%m-%dT%H:%M:%SZ}", *values]) + "\r\n"


def _moment(time_s: int | None) -> datetime | None:
    return None if time_s is None else datetime.fromtimestamp(time_s, UTC)


router = APIRouter(tags=["history"])

_MOST = {"json": 5000, "csv": 100_000}
"""Steps in one answer."""
_MOST_VALUES = 100_000
"""Of all series of one answer in JSON; CSV is made piece by piece."""
_MOST_DAYS = 3660
"""Ten years."""

Format = Literal["json", "csv"]
AskedFormat = Annotated[Format | None, Query(alias="format", description="Else as the Accept header asks.")]
AskedPack = Annotated[
    str | None, Query(max_length=64, description="Name of a pack, also of one that is gone; without it: the battery.")
]


@router.get(
    "/api/history",
    response_model=HistoryAnswer,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "Columns, or CSV"}},
)
async def history(
    request: Request,
    core: TheCore,
    _user: Viewer,
    heavy: Heavy,
    begin: Annotated[str, Query(alias="from", max_length=64, description=TIME_HINT)] = DEFAULT_FROM,
    end: Annotated[str, Query(alias="to", max_length=64, description=TIME_HINT)] = "now",
    fields: Annotated[
        str,
        Query(
            max_length=2000,
            description="Names from `/api/history/fields`, with commas; `voltage_v.mean` is one series. Empty: all.",
            examples=["voltage_v,soc_percent.mean"],
        ),
    ] = "",
    points: Annotated[
        int, Query(ge=1, le=_MOST["csv"], description="Most steps, fewer with many series; `step` wins.")
    ] = 500,
    step: Annotated[
        str | None, Query(max_length=16, description="Length of a step: `60`, `15m`, `1h`.", examples=["15m"])
    ] = None,
    pack: AskedPack = None,
    form: AskedFormat = None,
) -> Response:
    """Return means, least and greatest values in steps of equal length; missing time is null, never a guess."""
    form = form or _wanted(request)
    from_s, to_s = period_of(begin, end, core.clock.wall())
    step_s = None if step is None else step_of(step)
    names = _names(core.history.fields if pack is None else core.history.pack_fields, fields)
    _check_size(form, points, step, (to_s - from_s) // step_s if step_s else 0, len(names))
    if form == "json":
        points = min(points, _MOST_VALUES // len(names))

    present = list(core.packs())

    def view() -> HistoryView:
        _check_pack(core.history, present, pack)
        return core.history.view(from_s, to_s, names, points=points, step_s=step_s, pack=pack)

    if form == "json":
        return await heavy.answer(lambda: Text(columns_of(view(), names)))
    headers = {"Content-Disposition": 'attachment; filename="history.csv"'}
    return heavy.stream(csv_of(await heavy.do(view), names), "text/csv", headers)


@router.get("/api/history/fields", response_model=Fields)
async def history_fields(core: TheCore, _user: Viewer, heavy: Heavy) -> Response:
    """Return what can be asked for, with units, and how far back each resolution reaches."""
    return await heavy.answer(lambda: _fields(core.history))


_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "Records, or CSV"}
}
AskedDay = Annotated[str, Query(alias="from", max_length=64, description=f"A date, or: {TIME_HINT}")]
LastDay = Annotated[str, Query(alias="to", max_length=64, description=f"A date, or: {TIME_HINT}")]


@router.get("/api/history/days", response_model=DaysAnswer, responses=_CSV)
async def history_days(
    request: Request,
    core: TheCore,
    _user: Viewer,
    heavy: Heavy,
    begin: AskedDay = "-30d",
    end: LastDay = "now",
    pack: AskedPack = None,
    form: AskedFormat = None,
) -> Response:
    """Return the record of each day, in the time zone of the machine, of the battery or of one pack."""
    first, last = _days_of(begin, end, core)
    csv, present = (form or _wanted(request)) == "csv", list(core.packs())

    def records() -> Text:
        _check_pack(core.history, present, pack)
        return _records("days", DayRecord, core.history.days(first, last, pack), pack, csv=csv)

    return await heavy.answer(records)


@router.get("/api/history/months", response_model=MonthsAnswer, responses=_CSV)
async def history_months(
    request: Request,
    core: TheCore,
    _user: Viewer,
    heavy: Heavy,
    begin: AskedDay = "-365d",
    end: LastDay = "now",
    pack: AskedPack = None,
    form: AskedFormat = None,
) -> Response:
    """Return the record of each month as a whole: sums of its days, and the extremes of all of them."""
    first, last = _days_of(begin, end, core)
    csv, present = (form or _wanted(request)) == "csv", list(core.packs())

    def records() -> Text:
        _check_pack(core.history, present, pack)
        return _records("months", MonthRecord, core.history.months(first, last, pack), pack, csv=csv)

    return await heavy.answer(records)


def _days_of(begin: str, end: str, core: Core) -> tuple[date, date]:
    """Return the first and the last day. Raises ProblemError."""
    now = core.clock.wall()
    first, last = day_of("from", begin, now), day_of("to", end, now)
    if first > last:
        raise refuse("from", begin, message("request.day_after_end", end=last))
    if (last - first).days >= _MOST_DAYS:
        raise refuse("from", begin, message("request.days", days=(last - first).days + 1, most=_MOST_DAYS))
    return first, last


def _check_pack(history: HistorySource, present: Sequence[str], pack: str | None) -> None:
    """Raise ProblemError for a pack that neither is nor was. Blocks."""
    if pack is not None and pack not in present:
        known = sorted({*present, *history.packs()})
        if pack not in known:
            raise ProblemError(404, "unknown_pack", message("request.no_pack", name=pack, meant=nearest(pack, known)))


def _records(
    name: str, kind: type[PeriodRecord], records: Iterable[PeriodRecord], pack: str | None, *, csv: bool
) -> Text:
    """Return days or months, each with its own field first; made by hand, since ten years of models take long."""
    common = [each.name for each in members_of(PeriodRecord)]
    names = [*(each.name for each in members_of(kind) if each.name not in common), *common]
    values = attrgetter(*names)
    if csv:
        lines = [dict.fromkeys(names), *(dict(zip(names, values(record), strict=True)) for record in records)]
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Text("".join(_record_lines(lines)), "text/csv", headers)
    members = {
        "pack": to_json(pack),
        "soc_bands_percent": to_json(SOC_BANDS_PERCENT),
        "temperature_bounds_c": to_json(TEMPERATURE_BOUNDS_C),
        name: b"[%b]" % b",".join(_in_pieces(names, values, records)),
    }
    return Text(_object(members))


def _in_pieces(
    names: Sequence[str], values: Callable[[PeriodRecord], tuple[object, ...]], records: Iterable[PeriodRecord]
) -> Iterator[bytes]:
    """Yield records in JSON, as many at once as do not stop all other threads for long."""
    waiting = iter(records)
    while rows := [dict(zip(names, values(record), strict=True)) for record in islice(waiting, _PIECE)]:
        yield to_json(rows)[1:-1]


def _record_lines(rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Yield the lines of a CSV file: the names of the first, which is empty, then the values of the others."""
    for number, row in enumerate(rows):
        cells = dict(_cells(row))
        shown = cells.values() if number else cells
        yield ",".join("" if cell is None else str(cell) for cell in shown) + "\r\n"


_BAND_NAMES = {"soc_bands_h": SOC_BANDS_PERCENT, "temperature_bands_h": ("below", *TEMPERATURE_BOUNDS_C)}
_CELL_PARTS = {"voltage_mv": "voltage_mv", "cell": "number", "pack": "pack"}


def _cells(row: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the columns of a record: bands and cells have several each."""
    for name, value in row.items():
        if name in _BAND_NAMES:
            begins = _BAND_NAMES[name]
            hours = value if isinstance(value, tuple) else (None,) * len(begins)
            yield from ((name.replace("bands", str(begin)), each) for begin, each in zip(begins, hours, strict=True))
        elif name in ("cell_min", "cell_max"):
            yield from ((f"{name}_{shown}", getattr(value, part, None)) for part, shown in _CELL_PARTS.items())
        else:
            yield name, value


def _fields(history: HistorySource) -> Fields:
    state = history.state()
    return Fields(
        enabled=state.enabled,
        fields=list(history.fields),
        pack_fields=[field.name for field in history.pack_fields],
        packs=list(history.packs()),
        levels=list(state.levels),
    )


def _wanted(request: Request) -> Format:
    """Return ``csv`` for a client that names CSV and not JSON."""
    accept = request.headers.get("accept", "")
    return "csv" if "text/csv" in accept and "application/json" not in accept else "json"


def _names(fields: Sequence[HistoryField], wanted: str) -> list[str]:
    """Return the series that were asked for, each once. Raises ProblemError."""
    known = {field.name: [f"{field.name}.{series}" for series in field.series] for field in fields}
    if not wanted:
        return [name for names in known.values() for name in names]
    chosen: dict[str, None] = {}
    for name in wanted.split(","):
        field = name.partition(".")[0]
        series = known.get(field, [])
        if (name != field and name not in series) or not series:
            likely = series or list(known)
            told = message("request.unknown_field", fields=likely, meant=nearest(name, likely))
            raise refuse("fields", name[:64], told)
        chosen.update(dict.fromkeys(series if name == field else [name]))
    return list(chosen)


def _check_size(form: Format, points: int, step: str | None, steps: int, series: int) -> None:
    most = _MOST[form]
    if step is not None and steps > most:
        raise refuse("step", step, message("request.steps", steps=steps, most=most, form=form))
    if step is not None and form == "json" and steps * series > _MOST_VALUES:
        raise refuse("step", step, message("request.values", steps=steps, series=series, most=_MOST_VALUES))
    if step is None and points > most:
        raise refuse("points", points, message("request.points", most=most, form=form))
