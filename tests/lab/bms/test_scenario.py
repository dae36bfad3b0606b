"""The scenarios that come with the package, each from its start to its end."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from tinybms_bridge.tinybms.live import decode_ratings
from tinybms_lab.bms import (
    BmsOptions,
    BmsScenario,
    EventId,
    FaultInjector,
    SimulatedBms,
    Stage,
    built_in_scenarios,
    parse_scenario,
)
from tinybms_lab.testing.fake_clock import FakeClock

PassTime = Callable[[float], None]
NAMES = (
    "cell-failure",
    "charge-to-full",
    "cold-morning",
    "discharge-to-cut-off",
    "hot-day",
    "imbalance",
    "sensor-loss",
    "sleep",
)
SCENARIOS = built_in_scenarios()
STEP_S = 10.0


class Played:
    """A scenario from its start to its end, with what was said and what the pack went through."""

    def __init__(self, scenario: BmsScenario) -> None:
        clock = FakeClock()
        self.said: list[str] = []
        self.currents_a: list[float] = []
        self.asleep: list[bool] = []
        self.bms = scenario.build(clock)
        scenario.play(Stage(self.bms, FaultInjector(), self.said.append))
        while self.bms.pack_time_s < scenario.duration_s:
            clock._now_s += STEP_S
            self.bms.refresh()
            self.currents_a.append(self.bms._model.measured.current_a)
            self.asleep.append(self.bms._presence.asleep)
        self.events = [event for _, event in self.bms.history]

    def time_of(self, event: EventId) -> float:
        return next(time_s for time_s, found in self.bms.history if found is event)


@pytest.fixture(scope="module")
def played() -> Callable[[str], Played]:
    """Play a scenario once for all tests of this module."""
    done: dict[str, Played] = {}

    def play(name: str) -> Played:
        if name not in done:
            done[name] = Played(SCENARIOS[name])
        return done[name]

    return play


Play = Callable[[str], Played]


def test_these_scenarios_come_with_the_package() -> None:
    """Each with a title, an end and notes for the reader."""
    assert tuple(SCENARIOS) == NAMES
    for scenario in SCENARIOS.values():
        assert scenario.title
        assert scenario.ends_with
        assert 600 <= scenario.duration_s <= 6 * 3600
        assert all(step["at"] < scenario.duration_s for step in scenario.steps)


@pytest.mark.parametrize("name", NAMES)
def test_each_reaches_the_end_that_it_names(played: Play, name: str) -> None:
    """The events occur, in their order."""
    assert SCENARIOS[name].reached_by(played(name).events)


@pytest.mark.parametrize("name", NAMES)
def test_each_tells_what_it_does(played: Play, name: str) -> None:
    """A note for each turn of the story, and no write that the BMS refuses."""
    said = played(name).said

    assert len(said) >= 1
    assert not any("refuses" in text for text in said)


def test_a_charge_to_full_sets_the_count_once(played: Play) -> None:
    """And the later load starts from there."""
    play = played("charge-to-full")

    assert play.events.count(EventId.CHARGING_COMPLETE) == 1
    assert play.bms._model.statistics.full_charge_count == 1
    assert max(play.currents_a) == pytest.approx(10.0, abs=0.2)
    assert play.currents_a[-1] == -6.0
    assert 80.0 < play.bms._model.gauge.soc_percent < 95.0


def test_a_discharge_is_cut_and_tried_again_until_a_charger_comes(played: Play) -> None:
    """Thirty seconds apart; the latch ends with the charger."""
    play = played("discharge-to-cut-off")
    cuts_s = [time_s for time_s, event in play.bms.history if event is EventId.DISCHARGED]

    assert len(cuts_s) > 5
    assert all(later - earlier >= 30.0 for earlier, later in pairwise(cuts_s[:5]))
    assert play.time_of(EventId.UNDER_VOLTAGE_OVER) == pytest.approx(4800.0, abs=2.0)
    assert play.currents_a[-1] > 10.0


def test_on_a_cold_morning_the_load_flows_and_the_charge_waits(played: Play) -> None:
    """From the warning to its end no current flows in."""
    play = played("cold-morning")
    warm_s = play.time_of(EventId.TOO_COLD_TO_CHARGE_OVER)
    cold = play.currents_a[: int(warm_s / STEP_S) - 1]

    assert warm_s > 3600.0
    assert max(cold) <= 0.0
    assert min(cold) == -12.0
    assert max(play.currents_a) > 15.0


def test_on_a_hot_day_everything_stops_until_it_has_cooled(played: Play) -> None:
    """No current while it is too hot."""
    play = played("hot-day")
    last_s = max(time_s for time_s, event in play.bms.history if event is EventId.OVER_HEAT)
    over_s = max(time_s for time_s, event in play.bms.history if event is EventId.OVER_HEAT_OVER)

    assert over_s - last_s > 3600.0
    assert set(play.currents_a[int(last_s / STEP_S) + 1 : int(over_s / STEP_S) - 1]) == {0.0}
    assert play.bms._model.statistics.over_heat_count == play.events.count(EventId.OVER_HEAT)


def test_imbalance_is_bled_from_the_cell_that_is_ahead(played: Play) -> None:
    """The others bleed hardly at all."""
    bled_ah = played("imbalance").bms._model.pack.bled_ah

    assert max(bled_ah) == bled_ah[4] > 0.1
    assert sum(bled_ah) < 1.3 * bled_ah[4]


def test_a_failing_cell_takes_the_pack_down_and_a_broken_wire_confuses_it(played: Play) -> None:
    """Under- and over-voltage at once."""
    play = played("cell-failure")

    assert set(play.bms.active_events) == {EventId.DISCHARGED, EventId.UNDER_VOLTAGE, EventId.OVER_VOLTAGE}
    assert play.currents_a[-1] == 0.0


def test_lost_sensors_show_and_the_current_sensor_stops_everything(played: Play) -> None:
    """The load returns with the plug."""
    play = played("sensor-loss")

    assert play.bms.read(42, 2) == (0x8000, 0x8000)
    assert (play.time_of(EventId.CURRENT_SENSOR_LOST), play.time_of(EventId.CURRENT_SENSOR_IN_USE)) == pytest.approx(
        (600.0, 900.0), abs=2.0
    )
    assert play.currents_a[-1] == -60.0


def test_in_sleep_it_wakes_for_load_and_charger(played: Play) -> None:
    """Asleep for most of the time."""
    play = played("sleep")
    woken_s = [index * STEP_S for index, asleep in enumerate(play.asleep) if not asleep]

    assert sum(play.asleep) > 0.7 * len(play.asleep)
    assert any(3600 <= time_s < 3700 for time_s in woken_s)
    assert any(7200 <= time_s < 7300 for time_s in woken_s)
    assert play.asleep[-1]


SMALL = """
title = "small"
duration = "10s"
ends_with = ["bms_started", "over_voltage"]
[pack]
cells = 4
capacity_ah = 20
[bms]
external_sensors = 1
[settings]
automatic_recovery = 12
[[step]]
at = "5s"
break_wire = 2
[[step]]
at = "0s"
note = "begin"
[[step]]
at = "2s"
current_a = -5
"""


def test_a_scenario_builds_its_pack_bms_and_settings(clock: FakeClock) -> None:
    """All three tables."""
    device = parse_scenario(SMALL, name="small").build(clock, speed=10.0)
    settings = device.read(300, 44)

    assert settings is not None
    assert (decode_ratings(settings).series_cells, decode_ratings(settings).capacity_ah) == (4, 20.0)
    assert settings[32] == 12
    assert device.read(43, 1) == (0x8000,)
    assert device.options == BmsOptions(speed=10.0, external_sensors=1)


def test_steps_happen_in_the_order_of_their_times(clock: FakeClock, pass_time: PassTime) -> None:
    """Whatever their order in the file; those of the first moment at once."""
    scenario = parse_scenario(SMALL, name="small")
    device = scenario.build(clock)
    said: list[str] = []
    scenario.play(Stage(device, say=said.append))
    assert said == ["begin"]

    seen = []
    for seconds in (1.9, 0.2, 2.8, 0.4):
        pass_time(seconds)
        device.refresh()
        seen.append((device._model.measured.current_a, bool(device.active_events)))

    assert seen == [(0.0, False), (-5.0, False), (-5.0, False), (-5.0, True)]


@pytest.mark.parametrize(
    ("events", "reached"),
    [
        ([], False),
        ([EventId.BMS_STARTED], False),
        ([EventId.OVER_VOLTAGE, EventId.BMS_STARTED], False),
        ([EventId.BMS_STARTED, EventId.UNDER_VOLTAGE, EventId.OVER_VOLTAGE], True),
    ],
)
def test_the_end_is_a_sequence_of_events(events: list[EventId], reached: bool) -> None:
    """With others in between, but in this order."""
    assert parse_scenario(SMALL, name="small").reached_by(events) is reached


def test_a_scenario_can_be_played_fast(clock: FakeClock, pass_time: PassTime) -> None:
    """Its times are those of the pack."""
    scenario = parse_scenario(SMALL, name="small")
    device: SimulatedBms = scenario.build(clock, speed=100.0)
    scenario.play(Stage(device))
    pass_time(0.1)

    assert scenario.reached_by(event for _, event in device.history) is False
    device.refresh()
    assert scenario.reached_by(event for _, event in device.history)
