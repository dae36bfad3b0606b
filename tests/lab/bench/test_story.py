"""The days that are told to people: each has its picture in the documentation, and its text."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tinybms_lab.bench import story as module
from tinybms_lab.bench.story import STORIES, Mark, Story, drawn, moments
from tinybms_lab.bench.story_plots import draw_story
from tinybms_lab.bench.trace import Column, Run, Trace

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "what-your-battery-does.md"
PNG = b"\x89PNG\r\n\x1a\n"


def run_of(story: Story, rows: int = 50) -> Run:
    """Return a run that was not played: a charge with its limits, once silent."""
    trace = Trace()
    for row in range(rows):
        values = dict.fromkeys(Column, 1.0)
        values |= {Column.TIME_S: story.scenario.start_s + row * 600.0, Column.STATE: -1.0}
        values |= {Column.CCL_A: 100.0 - row, Column.DCL_A: math.nan if row == 3 else 200.0 - 4.0 * row}
        values |= {Column.CURRENT_A: 40.0 - 2.0 * row, Column.HIGHEST_V: 3.3 + 0.01 * row}
        trace.add([values[column] for column in Column])
    return Run(story.scenario, "engine", trace, ())


@pytest.mark.parametrize("name", STORIES)
def test_every_story_is_drawn(name: str) -> None:
    """Whatever moments came: a PNG small enough for a page."""
    pytest.importorskip("matplotlib")
    picture = draw_story(STORIES[name], run_of(STORIES[name]))

    assert picture.startswith(PNG)
    assert 5_000 < len(picture) < 150_000


@pytest.mark.parametrize("name", STORIES)
def test_no_moment_needs_a_certain_day(name: str) -> None:
    """What never came is left out, also when next to nothing was recorded; the others are times of the run."""
    story = STORIES[name]
    for rows in (1, 50):
        for _, at_s in moments(story, run_of(story, rows)):
            assert story.scenario.start_s <= at_s


def test_moments_are_numbered_by_those_that_came() -> None:
    """A picture has no number without a line."""
    story = replace(
        STORIES["story-sunny-day"], marks=(Mark("never", lambda _: math.nan), Mark("at one", lambda _: 3600.0))
    )
    assert moments(story, run_of(story)) == (("at one", 3600.0),)


def test_a_day_that_two_pictures_show_is_played_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last hours of a charge are those of the sunny day."""
    pytest.importorskip("matplotlib")
    played: list[str] = []

    def play(scenario: object, _: object) -> Run:
        played.append(scenario.name)  # type: ignore[attr-defined]
        return run_of(STORIES["story-sunny-day"])

    monkeypatch.setattr(module, "play", play)
    names = [name for name, _ in drawn(["story-sunny-day", "story-full"])]

    assert names == ["story-sunny-day", "story-full"]
    assert played == ["story-sunny-day"]


def test_the_page_shows_every_story() -> None:
    """Each picture is in the documentation, with its file, and none is there that the bench does not make."""
    text = PAGE.read_text(encoding="utf-8")
    shown = {line.partition("(images/")[2].partition(".png)")[0] for line in text.splitlines() if "(images/" in line}

    assert shown == set(STORIES)
    for name in STORIES:
        picture = (DOCS / "images" / f"{name}.png").read_bytes()
        assert picture.startswith(PNG)
        assert len(picture) < 150_000
