"""Reads the times of a request for the history: ISO 8601, seconds since 1970, or relative to now."""

import re
from datetime import UTC, date, datetime

from tinybms_bridge.services.web.problems import ProblemError

__all__ = ["DEFAULT_FROM", "TIME_HINT", "day_of", "period_of", "refuse", "seconds_of", "step_of"]

DEFAULT_FROM = "-24h"
TIME_HINT = "ISO 8601 (UTC unless it says otherwise), seconds since 1970, `now`, or relative such as `-24h`, `-7d`."

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LATEST_S = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_SPAN = re.compile(r"-?([0-9]{1,9})([smhdw])")
_LOST_PLUS = re.compile(r"(.*T.*) ([0-9]{2}:?[0-9]{2})")
"""A time with an offset whose plus sign was not escaped in the address."""


def refuse(path: str, value: object, message: str) -> ProblemError:
    """Return the problem of one parameter."""
    errors = [{"path": f"query.{path}", "value": value, "message": message}]
    return ProblemError(422, "invalid_payload", f"query.{path} = {value}: {message}", errors=errors)


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
        raise refuse("from", from_text, f"must be before the end, {to_text} ({_words(to_s)})")
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
        raise refuse("step", text, "must be from 10 s to 366 d, for example 60, 15m or 1h")
    return step_s


def _iso(path: str, text: str) -> datetime:
    lost = _LOST_PLUS.fullmatch(text)
    try:
        moment = datetime.fromisoformat(f"{lost[1]}+{lost[2]}" if lost else text)
    except ValueError:
        raise refuse(path, text[:64], f"must be a time: {TIME_HINT}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _checked(path: str, text: str, moment_s: float) -> float:
    if not 0 <= moment_s <= _LATEST_S:
        raise refuse(path, text, "must be a time from 1970 to 2200")
    return moment_s


def _words(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
