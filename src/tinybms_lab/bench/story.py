"""Days of a battery for the people who stand at it: which days, and what of them a picture shows.

``bench story`` plays them and draws the pictures of docs/what-your-battery-does.md (``story_plots``).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.loop import play
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios import SCENARIOS
from tinybms_lab.bench.scenarios.parts import top_balanced
from tinybms_lab.bench.trace import STATES, Column, Run
from tinybms_lab.bench.weather import ClearSky, Clouds, Constant, Swing

__all__ = ["STORIES", "Mark", "Panel", "Story", "drawn", "moments"]

_HOUR_S = 3600.0
_FLOAT = float(STATES.index(ChargeState.FLOAT))
_A_LITTLE_A = 3.0
_FULL_POWER_SHARE = 0.9


class Panel(Enum):
    """One part of a picture, by the question that it answers."""

    POWER = "The sun and the house (kW)"
    CHARGE = "How full the battery is (%)"
    VOLTAGE = "Voltage (V)"
    CURRENT = "Current of the battery (A): above 0 it is charged, below 0 it gives"
    TEMPERATURE = "Temperature (°C)"
    CELLS = "Highest and lowest cell (V)"
    APART = "How far the cells are apart (Ah)"


Moment = Callable[[Run], float]
"""When something happened, in seconds; not a number where it never did."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that the text talks about."""

    text: str
    moment: Moment


@dataclass(frozen=True, slots=True)
class Story:
    """A day, or some weeks, and its picture."""

    name: str
    title: str
    scenario: Scenario
    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...] = ()
    from_h: float | None = None
    """First hour that is shown; None: the first that is played."""
    to_h: float | None = None


def moments(story: Story, run: Run) -> tuple[tuple[str, float], ...]:
    """Return the marks of a story that came while it is shown, with the time of each in seconds."""
    from_s = -math.inf if story.from_h is None else story.from_h * _HOUR_S
    to_s = math.inf if story.to_h is None else story.to_h * _HOUR_S
    found = ((mark.text, mark.moment(run)) for mark in story.marks)
    return tuple((text, at_s) for text, at_s in found if from_s <= at_s <= to_s)


def drawn(names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield each picture by its name; a scenario that two of them show is played once.

    Raises:
        PlottingError: there is no matplotlib.

    """
    from tinybms_lab.bench.story_plots import draw_story

    runs: dict[str, Run] = {}
    for name in names:
        story = STORIES[name]
        scenario = story.scenario
        if scenario.name not in runs:
            runs[scenario.name] = play(scenario, engine_for(scenario))
        yield name, draw_story(story, runs[scenario.name])


def _first(run: Run, holds: Iterator[bool]) -> float:
    """Return the time of the first row for which something holds."""
    times_s = run.trace.column(Column.TIME_S)
    return next((at_s for at_s, true in zip(times_s, holds, strict=True) if true), math.nan)


def _charging_begins(run: Run) -> float:
    return _first(run, (current_a > _A_LITTLE_A for current_a in run.trace.column(Column.CURRENT_A)))


def _taper_begins(run: Run) -> float:
    """Return when the charge current is first held back near full."""
    ccl = run.trace.column(Column.CCL_A)
    most_a = max(limit_a for limit_a in ccl if not math.isnan(limit_a))
    times_s, highest_v = run.trace.column(Column.TIME_S), run.trace.column(Column.HIGHEST_V)
    after_s = run.scenario.start_s + _HOUR_S
    return next(
        (
            at_s
            for at_s, limit_a, cell_v in zip(times_s, ccl, highest_v, strict=True)
            if at_s > after_s and limit_a < _FULL_POWER_SHARE * most_a and cell_v > 3.38
        ),
        math.nan,
    )


def _full(run: Run) -> float:
    return _first(run, (state == _FLOAT for state in run.trace.column(Column.STATE)))


def _evening(run: Run) -> float:
    """Return when the sun no longer carries the house after the battery was full."""
    full_s, columns = _full(run), (Column.TIME_S, Column.SUN_W, Column.LOAD_W)
    rows = zip(*map(run.trace.column, columns), strict=True)
    return next((at_s for at_s, sun_w, load_w in rows if at_s > full_s and sun_w < load_w), math.nan)


def _dcl_falls(run: Run) -> float:
    dcl = run.trace.column(Column.DCL_A)
    most_a = max(limit_a for limit_a in dcl if not math.isnan(limit_a))
    return _first(run, (limit_a < _FULL_POWER_SHARE * most_a for limit_a in dcl))


def _lights_out(run: Run) -> float:
    return _first(run, (limit_a == 0.0 for limit_a in run.trace.column(Column.DCL_A)))


def _lights_again(run: Run) -> float:
    out_s = _lights_out(run)
    rows = zip(run.trace.column(Column.TIME_S), run.trace.column(Column.DCL_A), strict=True)
    return next((at_s for at_s, limit_a in rows if at_s > out_s and limit_a > 0.0), math.nan)


def _frost_ends(run: Run) -> float:
    return _first(run, (limit_a > 0.0 for limit_a in run.trace.column(Column.CCL_A)))


def _balanced(run: Run) -> float:
    """Return when the cells are within 0.3 % of the capacity of each other, where balancing ends."""
    near_ah = 0.003 * run.scenario.battery.capacity_ah
    return _first(run, (apart_ah <= near_ah for apart_ah in run.trace.column(Column.SPREAD_AH)))


_DAY = (Panel.POWER, Panel.CHARGE, Panel.CURRENT)
_BATTERY = top_balanced(BatteryPlan(soc=0.35))
"""Cells that are full together, as after some weeks with the bridge."""
_SUNNY = replace(SCENARIOS["sunny-day"], name="story-sunny-day", battery=_BATTERY)
_FEW_WATTS = 700.0

STORIES = {
    story.name: story
    for story in (
        Story(
            "story-sunny-day",
            "A sunny day",
            _SUNNY,
            _DAY,
            (
                Mark("the sun begins to charge", _charging_begins),
                Mark("nearly full: gently now", _taper_begins),
                Mark("full", _full),
                Mark("the house lives on the battery", _evening),
            ),
        ),
        Story(
            "story-full",
            "The end of a charge, looked at closely",
            _SUNNY,
            (Panel.VOLTAGE, Panel.CURRENT, Panel.CELLS),
            (Mark("nearly full: gently now", _taper_begins), Mark("full", _full)),
            from_h=10.0,
            to_h=13.0,
        ),
        Story(
            "story-cloudy-day",
            "A cloudy day",
            replace(_SUNNY, name="story-cloudy-day", sun=Clouds(ClearSky(2200.0), seed=4, longest_gap_s=900.0)),
            _DAY,
        ),
        Story(
            "story-cold-day",
            "A cold day",
            replace(
                _SUNNY,
                name="story-cold-day",
                battery=replace(_BATTERY, temperature_c=-2.0),
                sun=ClearSky(7000.0, 7.5, 17.0),
                ambient=Swing(3.0, 6.0, lowest_h=5.0),
                hours=20.0,
                expects_float=False,
            ),
            (Panel.POWER, Panel.TEMPERATURE, Panel.CURRENT, Panel.CHARGE),
            (Mark("warm enough to charge", _frost_ends),),
        ),
        Story(
            "story-nearly-empty",
            "A night on a nearly empty battery, without a grid",
            replace(
                _SUNNY,
                name="story-nearly-empty",
                battery=replace(_BATTERY, soc=0.20),
                load=Constant(_FEW_WATTS),
                sun=ClearSky(5000.0, 7.0, 18.0),
                start_h=20.0,
                hours=18.0,
                expects_float=False,
            ),
            (Panel.CHARGE, Panel.CELLS, Panel.CURRENT),
            (
                Mark("less may be taken", _dcl_falls),
                Mark("the loads are switched off", _lights_out),
                Mark("they are switched on again", _lights_again),
            ),
        ),
        Story(
            "story-balancing",
            "One cell is ahead of the others",
            SCENARIOS["cell-high"],
            (Panel.APART, Panel.CELLS),
            (Mark("the cells agree", _balanced),),
        ),
        Story(
            "story-balancing-day",
            "The fullest cell goes to and fro while the BMS bleeds it",
            SCENARIOS["cell-high"],
            (Panel.CELLS, Panel.VOLTAGE, Panel.CURRENT),
            from_h=80.0,
            to_h=92.0,
        ),
    )
}
"""By name, which is that of the picture as well."""
