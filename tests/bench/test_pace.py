"""How long the steps are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.bench.dirt import Frozen, Outliers
from tinybms_bridge.bench.faults import FaultPlayer
from tinybms_bridge.bench.pace import Pace
from tinybms_bridge.bench.scenario import Fault, FaultKind, Scenario
from tinybms_bridge.bench.weather import ClearSky, Constant, Pulses
from tinybms_bridge.bench.wire import Sent

BULK = Sent(57.6, 180.0, 270.0, ChargeState.BULK)
START_S = 9.0 * 3600.0


def steps(
    scenario: Scenario,
    highest_v: float = 3.35,
    lowest_v: float = 3.34,
    coldest_c: float = 25.0,
    sent: Sent | None = BULK,
    seconds: float = 1200.0,
) -> list[tuple[float, float]]:
    """Return time since the start and length of each step, with a battery that stays as it is."""
    pace, faults = Pace(scenario), FaultPlayer(scenario)
    now_s, taken = scenario.start_s, []
    while now_s < scenario.start_s + seconds:
        faults.advance(now_s, ChargeState.BULK)
        step_s = pace.step_s(now_s, faults)
        taken.append((now_s - scenario.start_s, step_s))
        now_s += step_s
        pace.observe(now_s, highest_v, lowest_v, coldest_c, sent)
    return taken


def plain(**changes: object) -> Scenario:
    """Return a scenario in which nothing happens."""
    return Scenario("plain", "", sun=Constant(1000.0), **changes)  # type: ignore[arg-type]  # fields by name


def test_calm_times_have_long_steps() -> None:
    """After a minute in which nothing has happened."""
    taken = steps(plain())

    assert {step_s for time_s, step_s in taken if time_s < 60.0} == {1.0}
    assert {step_s for time_s, step_s in taken if time_s > 80.0} == {10.0}


@pytest.mark.parametrize(
    ("case", "longest_s"),
    [({"highest_v": 3.50}, 3.0), ({"lowest_v": 2.9}, 1.0), ({"coldest_c": 0.5}, 1.0), ({"sent": None}, 1.0)],
)
def test_where_it_matters_the_steps_are_short(case: dict[str, float], longest_s: float) -> None:
    """Near full and settled a loop of the GX; near empty, near the cold cutoff and without frames a second."""
    assert max(step_s for _, step_s in steps(plain(), **case)) == longest_s  # type: ignore[arg-type]  # by name


def test_near_full_it_takes_minutes_to_settle() -> None:
    """CVL and state have to stay for three minutes first."""
    taken = steps(plain(), highest_v=3.5)

    assert {step_s for time_s, step_s in taken if time_s < 180.0} == {1.0}
    assert {step_s for time_s, step_s in taken if time_s > 200.0} == {3.0}


@pytest.mark.parametrize("edge_s", [300.0, 333.0, 600.0])
def test_an_edge_is_met_at_its_second(edge_s: float) -> None:
    """Short steps begin a few seconds before, and last for a minute."""
    load = Pulses(400.0, 9000.0, START_S + edge_s, 10_000.0, 5000.0)
    taken = steps(plain(load=load))

    assert edge_s in [time_s for time_s, _ in taken]
    assert {step_s for time_s, step_s in taken if edge_s - 5.0 <= time_s < edge_s + 60.0} == {1.0}


def test_a_fault_is_met_at_its_second() -> None:
    """As an edge of sun or load."""
    fault = Fault(FaultKind.BMS_SILENT, START_S + 400.0, 5.0)
    times_s = [time_s for time_s, _ in steps(plain(faults=(fault,)))]

    assert 400.0 in times_s
    assert 405.0 in times_s


def test_a_fault_is_watched_while_it_lasts() -> None:
    """A restart of ten minutes is no calm time."""
    fault = Fault(FaultKind.GX_RESTART, START_S + 300.0, 600.0)

    assert {step_s for time_s, step_s in steps(plain(faults=(fault,))) if 300.0 <= time_s < 960.0} == {1.0}


def test_a_change_of_the_limits_makes_the_steps_short() -> None:
    """A charge state or a CVL that has just changed is watched second by second."""
    scenario = plain()
    pace, faults = Pace(scenario), FaultPlayer(scenario)
    now_s = scenario.start_s
    for second in range(300):
        now_s = scenario.start_s + second
        pace.step_s(now_s, faults)
        pace.observe(now_s, 3.35, 3.34, 25.0, BULK)
    assert pace.step_s(now_s, faults) == 10.0

    pace.observe(now_s, 3.35, 3.34, 25.0, Sent(57.5, 5.0, 270.0, ChargeState.FLOAT))

    assert pace.step_s(now_s, faults) == 1.0


def test_a_scenario_may_have_longer_steps() -> None:
    """A month of seasons takes 15 s where a day takes one."""
    taken = steps(plain(step_s=15.0, longest_step_s=120.0), highest_v=3.5)

    assert {step_s for _, step_s in taken} == {15.0, 45.0}


@given(hours=st.floats(0.01, 2.0), longest_s=st.floats(1.0, 300.0))
def test_the_steps_end_with_the_scenario(hours: float, longest_s: float) -> None:
    """No step goes beyond the end, and none has no length."""
    scenario = Scenario("short", "", sun=ClearSky(3000.0), hours=hours, longest_step_s=longest_s)
    pace, faults = Pace(scenario), FaultPlayer(scenario)
    now_s = scenario.start_s
    while now_s < scenario.end_s - 1e-6:
        step_s = pace.step_s(now_s, faults)
        assert 0.0 < step_s <= scenario.end_s - now_s + 1e-9
        now_s += step_s
        pace.observe(now_s, 3.35, 3.34, 25.0, BULK)


def test_every_reading_is_played_while_it_matters() -> None:
    """Around outliers the steps are the time between two readings."""
    dirt = Outliers(400.0, 5.0, ((0, 0.4),))
    taken = steps(plain(dirt=(dirt,), poll_s=0.5))

    assert {step_s for time_s, step_s in taken if 400.0 <= time_s < 420.0} == {0.5}
    assert {step_s for time_s, step_s in taken if time_s > 500.0} == {10.0}


def test_lasting_dirt_is_watched_second_by_second() -> None:
    """A frozen line of ten minutes is no calm time, and not every reading matters either."""
    taken = steps(plain(dirt=(Frozen(300.0, 600.0),)))

    assert {step_s for time_s, step_s in taken if 320.0 <= time_s < 890.0} == {1.0}
