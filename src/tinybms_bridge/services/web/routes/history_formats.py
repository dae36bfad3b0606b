"""The history as columns for charts, as CSV for spreadsheets, and as figures."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pydantic_core import to_json

from tinybms_bridge.services.web.face_history import Cell, HistorySource, HistoryState, HistoryView
from tinybms_bridge.services.web.routes.history_answers import HistoryStats, LevelAnswer

__all__ = ["columns_of", "csv_of", "history_stats", "levels_of"]

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


def history_stats(history: HistorySource) -> HistoryStats:
    """Return the block of ``/api/diagnostics``. Blocks."""
    state = history.state()
    return HistoryStats(
        enabled=state.enabled,
        path=state.path,
        bytes=state.stored.bytes,
        levels=levels_of(state),
        written_batches=state.written_batches,
        waiting_batches=state.waiting_batches,
        lost_batches=state.lost_batches,
        waits_for_clock=state.waits_for_clock,
        lost_undated_steps=state.lost_undated_steps,
        error=state.error,
    )


def levels_of(state: HistoryState) -> list[LevelAnswer]:
    """Return what is stored of each resolution."""
    stored = {level.step_s: level for level in state.stored.levels}
    answers = []
    for step_s, kept_days in state.kept_days.items():
        level = stored.get(step_s)
        answer = LevelAnswer(
            step_s=step_s,
            kept_days=kept_days,
            rows=level.rows if level else 0,
            oldest=_moment(level.oldest_s) if level else None,
            newest=_moment(level.newest_s) if level else None,
        )
        answers.append(answer)
    return answers


def _line(time: int, cells: Sequence[Cell]) -> str:
    values = ["" if cell is None else str(cell) for cell in cells]
    return ",".join([f"{_moment(time):%Y-%m-%dT%H:%M:%SZ}", *values]) + "\r\n"


def _moment(time_s: int | None) -> datetime | None:
    return None if time_s is None else datetime.fromtimestamp(time_s, UTC)
