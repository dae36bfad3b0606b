"""Times of a request: what people and programs write."""

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.history_times import day_of, period_of, seconds_of, step_of

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
    assert caught.value.extra["errors"][0]["path"] == "query.from"  # type: ignore[index]


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


def test_days() -> None:
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
