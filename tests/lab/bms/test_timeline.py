"""Pack time and clock time, things that are due, sleep and restarts."""

from collections.abc import Callable

import pytest

from tinybms_lab.bms.chemistry import LI_ION
from tinybms_lab.bms.environment import Charger, Environment, Wiring
from tinybms_lab.bms.model import BatteryModel
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.records import EventId, SimulatedResetCause, SimulatedWakeCause
from tinybms_lab.bms.settings import SettingsBlock, default_settings
from tinybms_lab.bms.timeline import RESTART_S, SLEEP_AFTER_S, Presence, Timeline
from tinybms_lab.bms.variants import HIGH_POWER
from tinybms_lab.testing.fake_clock import FakeClock

PassTime = Callable[[float], None]


def test_a_device_just_started_hears(clock: FakeClock) -> None:
    """It is awake for its first ten seconds."""
    assert Presence(clock).hear()


def test_after_ten_silent_seconds_it_swallows_exactly_one_frame(clock: FakeClock, pass_time: PassTime) -> None:
    """The first frame wakes, the second is answered."""
    presence = Presence(clock)
    pass_time(SLEEP_AFTER_S)

    assert presence.asleep
    assert [presence.hear() for _ in range(3)] == [False, True, True]
    assert not presence.asleep


@pytest.mark.parametrize("stir", [True, False], ids=["activity", "traffic"])
def test_activity_and_traffic_keep_it_awake(clock: FakeClock, pass_time: PassTime, stir: bool) -> None:
    """Ten seconds count from the last of either."""
    presence = Presence(clock)
    for _ in range(5):
        pass_time(9.0)
        if stir:
            presence.stir(clock.monotonic())
        else:
            assert presence.hear()

    assert not presence.asleep


def test_old_activity_does_not_put_it_to_sleep_earlier(clock: FakeClock, pass_time: PassTime) -> None:
    """Notes may come late and out of order."""
    presence = Presence(clock)
    pass_time(9.0)
    presence.hear()
    presence.stir(clock.monotonic() - 8.0)
    pass_time(5.0)

    assert not presence.asleep


def test_a_device_that_may_not_sleep_does_not(clock: FakeClock, pass_time: PassTime) -> None:
    """The option for tests that are about something else."""
    presence = Presence(clock, asleep_allowed=False)
    pass_time(3600.0)

    assert presence.hear()


def test_an_adapter_without_power_wakes_nobody(clock: FakeClock, pass_time: PassTime) -> None:
    """Asleep, its 5 V are off; activity of the battery brings them back."""
    presence = Presence(clock, wakes_by_uart=False)
    pass_time(SLEEP_AFTER_S)
    heard = [presence.hear(), presence.hear()]
    presence.stir(clock.monotonic())

    assert [*heard, presence.hear()] == [False, False, True]


def test_it_is_deaf_while_busy(clock: FakeClock, pass_time: PassTime) -> None:
    """As after a write; the frames count as traffic all the same."""
    presence = Presence(clock)
    presence.be_busy(0.5)

    seen = []
    for wait_s in (0.0, 0.49, 0.02):
        pass_time(wait_s)
        seen.append((presence.silent, presence.hear()))

    assert seen == [(True, False), (True, False), (False, True)]


@pytest.mark.parametrize("why", ["asleep", "restarting", "busy"])
def test_it_is_silent_for_three_reasons(clock: FakeClock, pass_time: PassTime, why: str) -> None:
    """Then it sends no text either."""
    presence = Presence(clock)
    seen = [presence.silent]
    if why == "asleep":
        pass_time(SLEEP_AFTER_S)
    elif why == "restarting":
        presence.restart()
    else:
        presence.be_busy(1.0)

    assert [*seen, presence.silent] == [False, True]


def test_sleep_can_be_asked_of_a_time(clock: FakeClock) -> None:
    """As far as is known then."""
    presence = Presence(clock)
    now_s = clock.monotonic()

    assert not presence.asleep_at(now_s + SLEEP_AFTER_S - 0.1)
    assert presence.asleep_at(now_s + SLEEP_AFTER_S)


def test_a_restart_is_an_outage(clock: FakeClock, pass_time: PassTime) -> None:
    """Frames are lost until it is over, and it ends awake."""
    presence = Presence(clock)
    ends_s = presence.restart()
    assert ends_s == clock.monotonic() + RESTART_S

    seen = []
    for wait_s in (0.0, RESTART_S - 0.01, 0.02):
        pass_time(wait_s)
        seen.append((presence.restarting, presence.hear()))

    assert seen == [(True, False), (True, False), (False, True)]


def test_it_falls_asleep_ten_seconds_after_a_restart(clock: FakeClock, pass_time: PassTime) -> None:
    """The restart itself is activity."""
    presence = Presence(clock)
    presence.restart()

    seen = []
    for wait_s in (RESTART_S + SLEEP_AFTER_S - 0.1, 0.2):
        pass_time(wait_s)
        seen.append(presence.asleep)

    assert seen == [False, True]


class Life:
    """A timeline with what it needs; the clock starts at 1000 s."""

    def __init__(self, clock: FakeClock, *, speed: float = 1.0, changes: dict[int, int] | None = None) -> None:
        self.clock = clock
        self.settings = SettingsBlock(default_settings(LI_ION, HIGH_POWER, 4, 100.0) | (changes or {}))
        pack = SimulatedPack.build(LI_ION, 4, soc=0.5)
        self.model = BatteryModel(pack, self.settings, HIGH_POWER, Environment(Wiring([True, True])))
        self.presence = Presence(clock)
        self.events: list[tuple[float, EventId]] = []
        self.line = Timeline(
            self.model, self.presence, start_s=1000.0, speed=speed, log=lambda *event: self.events.append(event)
        )

    def advance(self, seconds: float) -> None:
        self.clock._now_s += seconds
        self.line.advance(self.clock.monotonic())

    @property
    def ids(self) -> list[EventId]:
        return [event for _, event in self.events]


@pytest.fixture
def life(clock: FakeClock) -> Life:
    """At normal speed."""
    return Life(clock)


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0])
def test_pack_time_passes_at_its_own_speed(clock: FakeClock, speed: float) -> None:
    """Measured from the start."""
    life = Life(clock, speed=speed)
    life.advance(10.0)

    assert life.model.time_s == pytest.approx(10.0 * speed)
    assert life.line.pack_time_at(1010.0) == pytest.approx(10.0 * speed)
    assert life.line.time_s == 1010.0


def test_time_does_not_go_back(life: Life) -> None:
    """A late caller changes nothing."""
    life.advance(5.0)
    life.line.advance(1001.0)

    assert life.model.time_s == 5.0


def test_actions_happen_at_their_pack_time(clock: FakeClock) -> None:
    """In order, also when several are due within one jump, and equal ones in the order in which they came."""
    life = Life(clock, speed=10.0)
    done: list[tuple[str, float]] = []
    for name, at_s in (("late", 50.0), ("early", 20.0), ("second", 20.0), ("far", 1e6)):
        life.line.at(at_s, lambda name=name: done.append((name, life.model.time_s)))  # type: ignore[misc]

    life.advance(100.0)

    assert done == [("early", 20.0), ("second", 20.0), ("late", 50.0)]
    assert life.model.time_s == 1000.0


def test_what_is_due_already_happens_now(life: Life) -> None:
    """A scenario starts with its first step."""
    done: list[float] = []
    life.line.at(0.0, lambda: done.append(life.model.time_s))

    assert done == [0.0]


def test_an_action_may_look_at_the_present(life: Life) -> None:
    """It does not move time itself; and one that fails does not stop the clock."""
    life.line.at(2.0, lambda: life.line.advance(life.clock.monotonic()))
    life.line.at(3.0, lambda: 1 / 0)  # type: ignore[arg-type]

    with pytest.raises(ZeroDivisionError):
        life.advance(10.0)
    life.advance(0.0)

    assert life.model.time_s == 10.0


def test_events_are_stamped_with_clock_time(clock: FakeClock) -> None:
    """Their place in pack time, at the speed of the simulation."""
    life = Life(clock, speed=100.0)
    life.line.at(300.0, lambda: life.model.environment.wiring.broken_wires.add(4))
    life.advance(10.0)

    assert {round(time_s, 1) for time_s, _ in life.events} == {1003.0}
    assert life.ids == [EventId.UNDER_VOLTAGE, EventId.DISCHARGED]


def test_events_of_the_first_moment_are_not_lost(clock: FakeClock) -> None:
    """A pack that is wrong from the start."""
    assert Life(clock, changes={307: 6}).ids == [EventId.UNDER_VOLTAGE, EventId.DISCHARGED]


def test_a_restart_cuts_the_current_and_starts_anew(life: Life) -> None:
    """Outage, then 0x61; charge is kept, the cause is told."""
    life.model.environment.drive(-20.0)
    life.advance(10.0)
    life.line.restart(SimulatedResetCause.INDEPENDENT_WATCHDOG)
    before_ah = life.model.pack.net_ah
    life.advance(RESTART_S - 0.1)
    during_ah = life.model.pack.net_ah
    life.advance(1.1)

    assert during_ah == before_ah
    assert life.model.pack.net_ah < before_ah
    assert life.events == [(1010.0 + RESTART_S, EventId.BMS_STARTED)]
    assert life.model.statistics.reset_cause is SimulatedResetCause.INDEPENDENT_WATCHDOG


@pytest.mark.parametrize(("mode", "event"), [(1, EventId.SINGLE_PORT), (0, EventId.DUAL_PORT)])
def test_a_change_of_mode_is_told_after_the_restart(clock: FakeClock, mode: int, event: EventId) -> None:
    """0x66 or 0x67, once."""
    life = Life(clock, changes={340: mode})
    life.line.restart(SimulatedResetCause.SOFTWARE_RESET, mode_changed=True)
    life.advance(2.0)
    life.line.restart(SimulatedResetCause.SOFTWARE_RESET)
    life.advance(2.0)

    assert life.ids == [EventId.BMS_STARTED, event, EventId.BMS_STARTED]


def test_a_restart_forgets_a_latched_fault(life: Life) -> None:
    """Under-voltage ends with a restart when the cells have recovered."""
    life.model.environment.wiring.broken_wires.add(4)
    life.advance(1.0)
    life.model.environment.wiring.broken_wires.clear()
    life.advance(100.0)
    assert EventId.UNDER_VOLTAGE in life.model.logic.protections.active

    life.line.restart(SimulatedResetCause.SOFTWARE_RESET)
    life.advance(3.0)
    assert not life.model.logic.protections.active


@pytest.mark.parametrize(
    ("wake", "cause"),
    [
        (lambda life: life.model.environment.drive(-5.0), SimulatedWakeCause.DISCHARGING_DETECTED),
        (lambda life: life.model.environment.connect_charger(Charger(5.0)), SimulatedWakeCause.CHARGER_CONNECTED),
    ],
    ids=["load", "charger"],
)
def test_activity_wakes_and_tells_why(life: Life, wake: Callable[[Life], None], cause: SimulatedWakeCause) -> None:
    """High byte of register 114."""
    life.model.statistics.wake_cause = SimulatedWakeCause.UART
    life.advance(15.0)
    seen = [life.presence.asleep]
    wake(life)
    life.advance(1.0)

    assert [*seen, life.presence.asleep] == [True, False]
    assert life.model.statistics.wake_cause is cause


def test_the_ignition_wakes(clock: FakeClock) -> None:
    """And its absence lets the unit sleep, whatever the load."""
    life = Life(clock, changes={334: 5})
    wiring = life.model.environment.wiring
    wiring.ignition = False
    life.model.environment.drive(-5.0)
    life.advance(15.0)
    seen = [life.presence.asleep]
    wiring.ignition = True
    life.advance(1.0)

    assert [*seen, life.presence.asleep] == [True, False]
    assert life.model.statistics.wake_cause is SimulatedWakeCause.IGNITION


def test_activity_while_awake_changes_no_cause(life: Life) -> None:
    """Only a wake-up has one."""
    life.model.statistics.wake_cause = SimulatedWakeCause.UART
    life.model.environment.drive(-5.0)
    life.advance(30.0)

    assert life.model.statistics.wake_cause is SimulatedWakeCause.UART


def test_sleep_follows_the_clock_not_the_pack(clock: FakeClock) -> None:
    """A fast pack does not make the BMS tired: ten real seconds after the last current."""
    life = Life(clock, speed=60.0)
    life.model.environment.drive(-5.0)
    life.advance(1.0)
    life.model.environment.drive(0.0)

    seen = []
    for seconds in (9.0, 2.0):
        life.advance(seconds)
        seen.append(life.presence.asleep)

    assert seen == [False, True]
