from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S, Evidence
from tinybms_bridge.battery.limits.model import ChargeState, Limits
from tinybms_bridge.battery.notices import (
    Communication,
    NoticeMemory,
    NoticeName,
    Notices,
    NoticeSettings,
    communication_causes,
    evaluate_notices,
)
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot
from tinybms_bridge.hal.can_faults import CanFault

OK, WARNING, ALARM = AlarmLevel.OK, AlarmLevel.WARNING, AlarmLevel.ALARM
FINE = Communication(Freshness.FRESH)
SETTINGS = NoticeSettings()

Levels = dict[NoticeName, AlarmLevel]
Watch = Callable[..., Levels]


RATINGS = Ratings(16, 3.6, 2.8, 3.75, 2.5, 100.0, 150.0, None, 60.0, 1.0, 280.0)


def sample(soc_percent: float) -> Snapshot:
    """Return a sample with this state of charge."""
    return Snapshot(1, 0.0, PackValues(53.0, 0.0, soc_percent), Cells((3.3,) * 16), ratings=RATINGS)


def limits(ccl_a: float, dcl_a: float, **more: Any) -> Limits:
    """Return limits with these currents."""
    return Limits(55.0, ccl_a, dcl_a, 46.4, ChargeState.BULK, Freshness.FRESH, **more)


@pytest.fixture
def watch() -> Watch:
    """Return a watcher with a memory: a situation lasts ``for_s`` seconds, looked at each second."""
    memory = NoticeMemory()
    now_s = 0.0

    def step(
        soc: float = 50.0,
        ccl_a: float = 50.0,
        dcl_a: float = 100.0,
        communication: Communication = FINE,
        for_s: float = 6.0,
        settings: NoticeSettings = SETTINGS,
        configuration_ok: bool = True,
        **more: Any,
    ) -> Levels:
        nonlocal memory, now_s
        for _ in range(int(for_s) + 1):
            memory = evaluate_notices(
                memory,
                sample(soc),
                limits(ccl_a, dcl_a, **more),
                communication,
                settings,
                now_s,
                configuration_ok=configuration_ok,
            )
            now_s += 1.0
        return memory.notices.active()

    return step


def test_nothing_is_active_in_a_healthy_system(watch: Watch) -> None:
    """No notice without a reason."""
    assert watch() == {}


def test_every_notice_is_reported_as_fine_not_as_missing() -> None:
    """A user sees that it is watched."""
    memory = evaluate_notices(NoticeMemory(), sample(50.0), limits(50.0, 50.0), FINE, SETTINGS, 0.0)
    assert memory.notices.levels == dict.fromkeys(set(NoticeName) - {NoticeName.CORE_UNREACHABLE}, OK)


def test_notices_and_alarms_of_the_frame_have_different_names() -> None:
    """A notice must never be taken for a field of 0x35A."""
    assert not {str(name) for name in NoticeName} & {str(name) for name in AlarmName}


@pytest.mark.parametrize(("soc", "active"), [(10.1, False), (10.0, True), (0.0, True)])
def test_low_state_of_charge_is_raised_at_its_threshold(watch: Watch, soc: float, active: bool) -> None:
    """At or below, as the configuration says."""
    assert (NoticeName.LOW_SOC in watch(soc=soc)) is active


@pytest.mark.parametrize(("soc", "active"), [(98.9, False), (99.0, True), (100.0, True)])
def test_high_state_of_charge_is_raised_at_its_threshold(watch: Watch, soc: float, active: bool) -> None:
    """At or above, as the configuration says."""
    assert (NoticeName.HIGH_SOC in watch(soc=soc)) is active


@pytest.mark.parametrize(
    ("ccl_a", "dcl_a", "active"), [(50.0, 100.0, False), (1.0, 100.0, True), (50.0, 0.0, True), (1.1, 1.1, False)]
)
def test_derating_is_raised_by_either_limit(watch: Watch, ccl_a: float, dcl_a: float, active: bool) -> None:
    """The firmware compared lifetime statistics, so that a new battery always showed it; these are the limits."""
    assert (NoticeName.DERATING in watch(ccl_a=ccl_a, dcl_a=dcl_a)) is active


def test_configuration_that_is_not_in_force_is_raised(watch: Watch) -> None:
    """While the file is bad, also without data from the BMS, but not for the moment in which an editor writes it."""
    silent = Communication(Freshness.STARTING)
    assert watch(configuration_ok=False, for_s=3.0) == {}
    assert watch(configuration_ok=True) == {}
    assert watch(configuration_ok=False, communication=silent) == {NoticeName.CONFIGURATION: WARNING}
    assert watch(configuration_ok=True) == {}


def test_the_thresholds_of_the_user_count(watch: Watch) -> None:
    """victron.thresholds of the configuration."""
    settings = NoticeSettings(soc_low_percent=30.0, soc_high_percent=80.0, derate_current_a=20.0)
    assert watch(soc=25.0, ccl_a=20.0, settings=settings) == {NoticeName.LOW_SOC: WARNING, NoticeName.DERATING: WARNING}
    assert NoticeName.HIGH_SOC in watch(soc=80.0, settings=settings)


def test_levels_fall_back_with_hysteresis(watch: Watch) -> None:
    """A state of charge that trembles at the threshold makes one notice, not a hundred."""
    watch(soc=10.0)
    assert NoticeName.LOW_SOC in watch(soc=10.9)
    assert NoticeName.LOW_SOC not in watch(soc=11.1)
    watch(soc=99.5)
    assert NoticeName.HIGH_SOC in watch(soc=98.1)
    assert NoticeName.HIGH_SOC not in watch(soc=97.9)
    watch(ccl_a=1.0)
    assert NoticeName.DERATING in watch(ccl_a=1.4)
    assert NoticeName.DERATING not in watch(ccl_a=1.6)


def test_a_notice_waits_for_its_delay(watch: Watch) -> None:
    """A limit of 0 for one burst is no derating."""
    assert watch(ccl_a=0.0, for_s=4.0) == {}
    assert watch(for_s=0.0) == {}
    assert watch(ccl_a=0.0, for_s=4.0) == {}
    assert watch(ccl_a=0.0, for_s=1.0) == {NoticeName.DERATING: WARNING}


def test_clearing_waits_too(watch: Watch) -> None:
    """Both directions need the delay, so that the list stays calm."""
    watch(soc=5.0)
    assert NoticeName.LOW_SOC in watch(soc=50.0, for_s=4.0)
    assert NoticeName.LOW_SOC not in watch(soc=50.0, for_s=1.0)


@pytest.mark.parametrize(
    ("communication", "level"),
    [
        (Communication(Freshness.FRESH), OK),
        (Communication(Freshness.STARTING), OK),
        (Communication(Freshness.HOLD), WARNING),
        (Communication(Freshness.SILENT), ALARM),
        (Communication(Freshness.STARTING, bms_answers=False), WARNING),
        (Communication(Freshness.FRESH, can_open=False), ALARM),
        (Communication(Freshness.FRESH, gx_heard=False), WARNING),
    ],
)
def test_communication_counts_both_neighbours(watch: Watch, communication: Communication, level: AlarmLevel) -> None:
    """An alarm when nothing reaches the GX any more, a warning when something is missing."""
    assert watch(communication=communication).get(NoticeName.COMMUNICATION, OK) is level


def test_communication_recovers(watch: Watch) -> None:
    """The firmware's communication alarm latched for ever after one error."""
    assert NoticeName.COMMUNICATION in watch(communication=Communication(Freshness.SILENT))
    assert watch() == {}


def test_causes_name_everything_that_is_wrong() -> None:
    """The notice alone does not say where to look."""
    everything = Communication(Freshness.SILENT, bms_answers=False, can_open=False, gx_heard=False)
    assert len(communication_causes(everything)) == 4
    assert communication_causes(FINE) == ()
    assert communication_causes(replace(FINE, gx_heard=False)) == ("no GX device is heard on the CAN bus",)


def test_old_data_changes_no_notice(watch: Watch) -> None:
    """In HOLD the charge limit is 0 by design: that is missing data, not derating; and an old SOC proves nothing."""
    watch(soc=5.0)
    held = watch(soc=50.0, ccl_a=0.0, communication=Communication(Freshness.HOLD), for_s=30.0)
    assert held == {NoticeName.LOW_SOC: WARNING, NoticeName.COMMUNICATION: WARNING}


def test_before_the_first_sample_the_battery_is_not_watched() -> None:
    """Without a sample there is no state of charge, and none is invented."""
    memory = evaluate_notices(NoticeMemory(), None, None, FINE, SETTINGS, 0.0)
    about_the_battery = {NoticeName.LOW_SOC, NoticeName.HIGH_SOC, NoticeName.DERATING, NoticeName.SENSOR_LOST}
    about_the_battery |= {NoticeName.SOC_UNKNOWN, NoticeName.LOOSE_WIRE}
    assert not about_the_battery & set(memory.notices.levels)


def test_active_leaves_out_what_is_fine() -> None:
    """The list that a user sees."""
    assert Notices({NoticeName.LOW_SOC: WARNING, NoticeName.HIGH_SOC: OK}).active() == {NoticeName.LOW_SOC: WARNING}


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 100.0),
            st.floats(0.0, 100.0),
            st.floats(0.0, 100.0),
            st.sampled_from(Freshness),
            st.booleans(),
            st.floats(0.0, 20.0),
        ),
        max_size=40,
    )
)
def test_no_level_changes_twice_within_the_delay(
    history: list[tuple[float, float, float, Freshness, bool, float]],
) -> None:
    """Whatever happens, a notice is calm: between two changes of it lies at least the delay."""
    memory, now_s = NoticeMemory(), 0.0
    changed_s: dict[NoticeName, float] = {}
    for soc, ccl_a, dcl_a, freshness, can_open, step_s in history:
        now_s += step_s
        before = memory.notices.levels
        situation = Communication(freshness, can_open=can_open)
        memory = evaluate_notices(memory, sample(soc), limits(ccl_a, dcl_a), situation, SETTINGS, now_s)
        for name, level in memory.notices.levels.items():
            if name in before and before[name] is not level:
                assert now_s - changed_s.get(name, float("-inf")) >= SETTINGS.delay_s
                changed_s[name] = now_s


def test_a_lost_sensor_is_noticed(watch: Watch) -> None:
    """A broken cable is a warning until the sensor is back; one bad reading is none."""
    assert watch(lost_sensors=("external sensor 1",), for_s=2.0) == {}
    assert watch(lost_sensors=("external sensor 1",)) == {NoticeName.SENSOR_LOST: WARNING}
    assert watch() == {}


def test_chargers_that_do_not_obey_their_limits_are_noticed(watch: Watch) -> None:
    """Whoever has a charger of his own on the battery, or sells surplus, reads why more flows than CCL says."""
    assert watch(uncontrolled=True) == {NoticeName.UNCONTROLLED_SOURCE: WARNING}
    assert watch(ccl_ignored=True) == {NoticeName.CCL_IGNORED: WARNING}
    assert watch() == {}


def test_a_charge_that_ended_uneven_is_noticed() -> None:
    """The user learns that one cell ended the charge, and no longer once it is over."""
    memory, seen = NoticeMemory(), []
    for now_s, uneven in ((0.0, True), (6.0, True), (7.0, False), (13.0, False)):
        decided = replace(limits(100.0, 100.0), uneven=uneven)
        memory = evaluate_notices(memory, sample(50.0), decided, Communication(Freshness.FRESH), SETTINGS, now_s)
        seen.append(memory.notices.active())
    assert seen == [{}, {NoticeName.CELLS_UNEVEN: WARNING}, {NoticeName.CELLS_UNEVEN: WARNING}, {}]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"soc_known": False}, NoticeName.SOC_UNKNOWN),
        ({"loose_wires": ((7, 8),)}, NoticeName.LOOSE_WIRE),
    ],
)
def test_what_the_bms_cannot_measure_is_an_alarm(changes: dict[str, Any], name: NoticeName) -> None:
    """An SOC that cannot be and a sense wire that is loose want somebody to look after them; both end by themselves."""
    memory = NoticeMemory()
    for now_s, present in ((0.0, changes), (5.0, changes), (6.0, {}), (11.0, {})):
        decided = replace(limits(50.0, 100.0), **present)
        memory = evaluate_notices(memory, sample(50.0), decided, FINE, SETTINGS, now_s)
        assert memory.notices.levels[name] is (AlarmLevel.ALARM if 5.0 <= now_s < 11.0 else OK)


@pytest.mark.parametrize(
    ("evidence", "active"),
    [
        (Evidence(cells=(0.8, *(1.0,) * 15)), {NoticeName.WEAK_CELL: WARNING}),
        (Evidence(factors=(2.5, *(1.0,) * 15)), {NoticeName.WEAK_CELL: WARNING}),
        (Evidence(capacity_ah=196.0), {NoticeName.CAPACITY_WRONG: WARNING}),
        (Evidence(flowing_s=UNLEARNED_S), {}),
        (Evidence(capacity_ah=275.0, cells=(1.0,) * 16, factors=(1.0,) * 16), {}),
    ],
)
def test_what_use_has_shown_of_the_battery(watch: Watch, evidence: Evidence, active: Levels) -> None:
    """Cells that are worn and a wrong register 306 stand there; a resistance that is not learned may be no fault."""
    assert watch(evidence=evidence) == active
    assert watch() == {}


@pytest.mark.parametrize(
    ("fault", "name", "level"),
    [
        ("can_bus_off", NoticeName.CAN_BUS_OFF, ALARM),
        ("can_bit_rate", NoticeName.CAN_BIT_RATE, ALARM),
        ("can_listen_only", NoticeName.CAN_LISTEN_ONLY, ALARM),
        ("can_error_passive", NoticeName.CAN_ERROR_PASSIVE, WARNING),
        ("can_no_restart", NoticeName.CAN_NO_RESTART, WARNING),
    ],
)
def test_a_fault_of_the_can_interface_is_a_notice(
    watch: Watch, fault: str, name: NoticeName, level: AlarmLevel
) -> None:
    """After the delay, also without fresh data, and until it is gone; other faults are told by others."""
    wrong = Communication(Freshness.HOLD, can_faults=frozenset({fault, "can_queue"}))
    assert watch(communication=wrong, for_s=3.0).get(name, OK) is OK
    assert watch(communication=wrong, for_s=4.0)[name] is level
    assert watch(communication=FINE).get(name, OK) is OK


def test_the_names_of_the_faults_are_those_of_the_notices() -> None:
    """The domain knows no CAN: it is told names, and one that is spelt otherwise would never rise."""
    names = {name.value for name in NoticeName if name.startswith("can_")}
    assert names <= set(CanFault)
