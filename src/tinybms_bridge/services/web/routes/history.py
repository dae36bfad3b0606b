"""``/api/history``: what the battery did, for charts and spreadsheets."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from tinybms_bridge.services.web.face_history import HistorySource, HistoryView
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.routes.deps import Face
from tinybms_bridge.services.web.routes.history_answers import DayAnswer, Days, Fields, HistoryAnswer, HistoryField
from tinybms_bridge.services.web.routes.history_formats import columns_of, csv_of, levels_of
from tinybms_bridge.services.web.routes.history_times import DEFAULT_FROM, TIME_HINT, day_of, period_of, refuse, step_of
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.suggestions import did_you_mean

__all__ = ["router"]

router = APIRouter(tags=["history"])

_MOST = {"json": 5000, "csv": 100_000}
"""Steps in one answer."""
_MOST_VALUES = 100_000
"""Of all series of one answer in JSON; CSV is made piece by piece."""
_MOST_DAYS = 3660

Format = Literal["json", "csv"]


@router.get(
    "/api/history",
    response_model=HistoryAnswer,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "Columns, or CSV"}},
)
async def history(
    request: Request,
    face: Face,
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
    form: Annotated[Format | None, Query(alias="format", description="Else as the Accept header asks.")] = None,
) -> Response:
    """Return means, least and greatest values in steps of equal length; missing time is null, never a guess."""
    form = form or _wanted(request)
    from_s, to_s = period_of(begin, end, face.clock.wall())
    step_s = None if step is None else step_of(step)
    names = _names(face.history, fields)
    _check_size(form, points, step, (to_s - from_s) // step_s if step_s else 0, len(names))
    if form == "json":
        points = min(points, _MOST_VALUES // len(names))

    def view() -> HistoryView:
        return face.history.view(from_s, to_s, names, points=points, step_s=step_s)

    if form == "json":
        return await heavy.answer(lambda: Text(columns_of(view(), names)))
    headers = {"Content-Disposition": 'attachment; filename="history.csv"'}
    return heavy.stream(csv_of(await heavy.do(view), names), "text/csv", headers)


@router.get("/api/history/fields", response_model=Fields)
async def history_fields(face: Face, _user: Viewer, heavy: Heavy) -> Response:
    """Return what can be asked for, with units, and how far back each resolution reaches."""
    return await heavy.answer(lambda: _fields(face.history))


@router.get("/api/history/days", response_model=Days)
async def history_days(
    face: Face,
    _user: Viewer,
    heavy: Heavy,
    begin: Annotated[str, Query(alias="from", max_length=64, description=f"A date, or: {TIME_HINT}")] = "-30d",
    end: Annotated[str, Query(alias="to", max_length=64, description=f"A date, or: {TIME_HINT}")] = "now",
) -> Response:
    """Return the energy into and out of the battery of each day, in the time zone of the machine."""
    now = face.clock.wall()
    first, last = day_of("from", begin, now), day_of("to", end, now)
    if first > last:
        raise refuse("from", begin, f"must not be after the end, {last}")
    if (last - first).days >= _MOST_DAYS:
        raise refuse("from", begin, f"{(last - first).days + 1} days are too many: at most {_MOST_DAYS}")
    return await heavy.answer(
        lambda: Days(days=[DayAnswer.model_validate(day) for day in face.history.days(first, last)])
    )


def _fields(history: HistorySource) -> Fields:
    state = history.state()
    fields = [
        HistoryField(name=field.name, unit=field.unit, text=field.text, series=list(field.series))
        for field in history.fields
    ]
    return Fields(enabled=state.enabled, fields=fields, levels=levels_of(state))


def _wanted(request: Request) -> Format:
    """Return ``csv`` for a client that names CSV and not JSON."""
    accept = request.headers.get("accept", "")
    return "csv" if "text/csv" in accept and "application/json" not in accept else "json"


def _names(history: HistorySource, wanted: str) -> list[str]:
    """Return the series that were asked for, each once. Raises ProblemError."""
    known = {field.name: [f"{field.name}.{series}" for series in field.series] for field in history.fields}
    if not wanted:
        return [name for names in known.values() for name in names]
    chosen: dict[str, None] = {}
    for name in wanted.split(","):
        field = name.partition(".")[0]
        series = known.get(field, [])
        if (name != field and name not in series) or not series:
            likely = series or list(known)
            there_are = f"{', '.join(likely)}{did_you_mean(name, likely)}"
            raise refuse("fields", name[:64], f"there is no such field; there are {there_are}")
        chosen.update(dict.fromkeys(series if name == field else [name]))
    return list(chosen)


def _check_size(form: Format, points: int, step: str | None, steps: int, series: int) -> None:
    most = _MOST[form]
    if step is not None and steps > most:
        raise refuse("step", step, f"{steps} steps are too many: at most {most} as {form}")
    if step is not None and form == "json" and steps * series > _MOST_VALUES:
        text = (
            f"{steps} steps of {series} series are too many values: at most {_MOST_VALUES}; ask for fewer, or for csv"
        )
        raise refuse("step", step, text)
    if step is None and points > most:
        raise refuse("points", points, f"must be at most {most} as {form}")
