"""Each row of the manual's table: what trips it, what it switches off, its two events, and how it ends."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bms.measurement import BmsThresholds, CurrentSensor, Measurement
from tinybms_lab.bms.protections import PROTECTIONS, Protections, Recovery, SinglePort
from tinybms_lab.bms.records import EventId

LIMITS = BmsThresholds(
    full_v=3.6,
    empty_v=2.8,
    balance_above_v=3.4,
    finished_a=2.0,
    disbalance_v=0.015,
    idle_a=0.8,
    peak_a=180.0,
    over_voltage_v=3.75,
    under_voltage_v=2.5,
    discharge_a=150.0,
    charge_a=100.0,
    over_heat_c=60.0,
    cold_c=1.0,
    recovery_s=5.0,
    two_fets=False,
)
FINE = Measurement(cells_v=(3.3,) * 4, current_a=0.0, board_c=25.0, external_c=(24.0, 26.0))
OFF, LOAD, CHARGE, FREE = SinglePort.OFF, SinglePort.LOAD_ONLY, SinglePort.CHARGE_ONLY, SinglePort.FREE


@dataclass(frozen=True)
class Row:
    """One row as the manual prints it."""

    bad: Measurement
    """Trips it."""
    border: Measurement
    """At the limit: does not."""
    event: EventId
    over: EventId | None
    load: bool
    charger: bool
    single: SinglePort
    keeps_awake: bool = False
    with_charger: bool = False
    limits: BmsThresholds = LIMITS

    def step(self, protections: Protections, measured: Measurement, now_s: float, **changes: float) -> list[EventId]:
        """Take one measurement."""
        limits = replace(self.limits, **changes)  # type: ignore[arg-type]  # only float fields are named below
        return protections.step(measured, limits, now_s, charging=self.with_charger)


def cells(lowest_v: float, highest_v: float = 3.3) -> Measurement:
    """Return a measurement with these extremes."""
    return replace(FINE, cells_v=(highest_v, 3.3, lowest_v, 3.3))


def warmth(*external_c: float, board_c: float = 25.0) -> Measurement:
    """Return a measurement with these temperatures."""
    return replace(FINE, external_c=external_c, board_c=board_c)


def current(current_a: float) -> Measurement:
    """Return a measurement with this current."""
    return replace(FINE, current_a=current_a)


ROWS = {
    "over-temperature": Row(
        warmth(25.0, 60.1),
        warmth(25.0, 60.0),
        EventId.OVER_HEAT,
        EventId.OVER_HEAT_OVER,
        False,
        False,
        OFF,
    ),
    "over-temperature of the board": Row(
        warmth(25.0, board_c=90.1),
        warmth(25.0, board_c=90.0),
        EventId.OVER_HEAT,
        EventId.OVER_HEAT_OVER,
        False,
        False,
        OFF,
    ),
    "over-temperature without sensors": Row(
        warmth(board_c=60.1),
        warmth(board_c=60.0),
        EventId.OVER_HEAT,
        EventId.OVER_HEAT_OVER,
        False,
        False,
        OFF,
    ),
    "cold charge": Row(
        warmth(0.9, 5.0),
        warmth(1.0, 5.0),
        EventId.TOO_COLD_TO_CHARGE,
        EventId.TOO_COLD_TO_CHARGE_OVER,
        True,
        False,
        LOAD,
    ),
    "cold charge without sensors": Row(
        warmth(board_c=0.9),
        warmth(board_c=1.0),
        EventId.TOO_COLD_TO_CHARGE,
        EventId.TOO_COLD_TO_CHARGE_OVER,
        True,
        False,
        LOAD,
    ),
    "cold": Row(
        warmth(-40.1),
        warmth(-40.0),
        EventId.TOO_COLD,
        EventId.TOO_COLD_OVER,
        False,
        False,
        OFF,
        limits=replace(LIMITS, cold_c=-60.0),
    ),
    "over-voltage": Row(
        cells(3.3, 3.751),
        cells(3.3, 3.75),
        EventId.OVER_VOLTAGE,
        EventId.OVER_VOLTAGE_OVER,
        True,
        False,
        LOAD,
        True,
    ),
    "discharged": Row(
        cells(2.799),
        cells(2.8),
        EventId.DISCHARGED,
        EventId.DISCHARGED_OVER,
        False,
        True,
        CHARGE,
    ),
    "charge over-current": Row(
        current(100.1),
        current(100.0),
        EventId.CHARGE_OVER_CURRENT,
        EventId.CHARGE_OVER_CURRENT_OVER,
        True,
        False,
        OFF,
        True,
        True,
    ),
    "discharge over-current": Row(
        current(-150.1),
        current(-150.0),
        EventId.DISCHARGE_OVER_CURRENT,
        EventId.DISCHARGE_OVER_CURRENT_OVER,
        False,
        True,
        OFF,
        True,
    ),
    "regeneration over-current": Row(
        current(150.1),
        current(150.0),
        EventId.REGENERATION_OVER_CURRENT,
        EventId.REGENERATION_OVER_CURRENT_OVER,
        False,
        False,
        OFF,
        True,
    ),
    "external sensor lost": Row(
        replace(FINE, sensor=CurrentSensor.LOST),
        FINE,
        EventId.CURRENT_SENSOR_LOST,
        EventId.CURRENT_SENSOR_IN_USE,
        False,
        False,
        OFF,
    ),
    "external sensor not ready": Row(
        replace(FINE, sensor=CurrentSensor.NOT_READY),
        FINE,
        EventId.CURRENT_SENSOR_NOT_READY,
        None,
        True,
        True,
        FREE,
    ),
    "charger switch stuck": Row(
        replace(FINE, stuck=EventId.CHARGER_SWITCH_STUCK),
        FINE,
        EventId.CHARGER_SWITCH_STUCK,
        None,
        False,
        False,
        OFF,
    ),
    "load switch stuck": Row(
        replace(FINE, stuck=EventId.LOAD_SWITCH_STUCK),
        FINE,
        EventId.LOAD_SWITCH_STUCK,
        None,
        False,
        False,
        OFF,
    ),
    "single-port switch stuck": Row(
        replace(FINE, stuck=EventId.PORT_SWITCH_STUCK),
        FINE,
        EventId.PORT_SWITCH_STUCK,
        None,
        False,
        False,
        OFF,
    ),
}
"""Under-voltage has tests of its own, since it never comes alone."""

TIMED = {name: row for name, row in ROWS.items() if "sensor lost" not in name and row.over is not None}

rows = pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
timed_rows = pytest.mark.parametrize("row", TIMED.values(), ids=list(TIMED))


@pytest.fixture
def protections() -> Protections:
    """Nothing has happened yet."""
    return Protections()


def step(
    protections: Protections,
    measured: Measurement,
    now_s: float,
    limits: BmsThresholds = LIMITS,
    *,
    charging: bool = False,
) -> list[EventId]:
    """Take one measurement."""
    return protections.step(measured, limits, now_s, charging=charging)


@rows
def test_a_value_beyond_the_limit_trips_at_once(protections: Protections, row: Row) -> None:
    """Its event comes once, and the state follows its severity."""
    events = [row.step(protections, row.bad, now_s) for now_s in (0.0, 0.1, 1.0)]

    assert events == [[row.event], [], []]
    assert list(protections.active) == [row.event]
    assert protections.fault is row.event.is_fault
    assert protections.warning is not row.event.is_fault


@rows
def test_a_value_at_the_limit_does_not_trip(protections: Protections, row: Row) -> None:
    """The manual's limits are strict."""
    assert row.step(protections, row.border, 0.0) == []
    assert not protections.active


@rows
def test_the_switches_are_those_of_the_manual(protections: Protections, row: Row) -> None:
    """Load and charger in dual-port mode, the one switch in single-port mode, and whether the BMS may sleep."""
    row.step(protections, row.bad, 0.0)
    (active,) = protections.active.values()

    assert (active.load, active.leaves_charger(LIMITS), active.single) == (row.load, row.charger, row.single)
    assert active.keeps_awake is row.keeps_awake


@timed_rows
def test_it_recovers_when_the_condition_was_gone_for_the_time_set(protections: Protections, row: Row) -> None:
    """Register 332: not a moment earlier, and the second event of the pair tells."""
    row.step(protections, row.bad, 0.0)

    events = [row.step(protections, row.border, now_s) for now_s in (10.0, 14.9, 15.0)]

    assert events == [[], [], [row.over]]
    assert not protections.active


@timed_rows
def test_a_relapse_starts_the_time_again(protections: Protections, row: Row) -> None:
    """The condition must be gone without a break."""
    for now_s, measured in ((0.0, row.bad), (1.0, row.border), (5.9, row.bad), (6.0, row.border)):
        assert row.over not in row.step(protections, measured, now_s)

    assert row.step(protections, row.border, 10.9) == []
    assert row.step(protections, row.border, 11.0) == [row.over]


@timed_rows
@pytest.mark.parametrize("kick", ["charger", "ignition"])
def test_without_automatic_recovery_somebody_has_to_come(protections: Protections, row: Row, kick: str) -> None:
    """Register 332 = 0: a charger is connected, or the ignition is toggled."""
    kicked = replace(row.border, charger=True) if kick == "charger" else replace(row.border, ignition=False)
    row.step(protections, row.bad, 0.0, recovery_s=0.0)

    assert row.step(protections, row.border, 1000.0, recovery_s=0.0) == []
    assert row.step(protections, kicked, 1001.0, recovery_s=0.0) == [row.over]


@timed_rows
def test_nobody_ends_it_while_the_condition_lasts(protections: Protections, row: Row) -> None:
    """A charger that comes too early has come in vain."""
    row.step(protections, row.bad, 0.0, recovery_s=0.0)

    assert row.step(protections, replace(row.bad, charger=True), 1.0, recovery_s=0.0) == []
    assert row.step(protections, replace(row.border, charger=True), 2.0, recovery_s=0.0) == []
    assert protections.active


@rows
def test_a_restart_ends_everything(protections: Protections, row: Row) -> None:
    """What is still wrong trips again, with a new event."""
    row.step(protections, row.bad, 0.0)
    protections.reset()

    assert not protections.active
    assert row.step(protections, row.border, 1.0) == []
    assert row.step(protections, row.bad, 2.0) == [row.event]


UNDER = cells(2.4)


def test_under_voltage_comes_with_the_first_level(protections: Protections) -> None:
    """A cell that falls far passes both; everything is off, and the BMS may sleep."""
    assert step(protections, UNDER, 0.0) == [EventId.UNDER_VOLTAGE, EventId.DISCHARGED]
    row = protections.active[EventId.UNDER_VOLTAGE]

    assert (row.load, row.leaves_charger(LIMITS), row.single, row.keeps_awake) == (False, False, OFF, False)


def test_under_voltage_at_the_limit_does_not_trip(protections: Protections) -> None:
    """Strict, like the others."""
    assert step(protections, cells(2.5), 0.0) == [EventId.DISCHARGED]


def test_under_voltage_never_ends_by_time(protections: Protections) -> None:
    """And the first level cannot end before it."""
    step(protections, UNDER, 0.0)

    assert [step(protections, FINE, now_s) for now_s in (1.0, 3600.0, 86400.0)] == [[], [], []]
    assert list(protections.active) == [EventId.UNDER_VOLTAGE, EventId.DISCHARGED]


def test_under_voltage_ends_with_a_charger_when_the_cells_have_recovered(protections: Protections) -> None:
    """0x7B first; 0x7A follows after its own time."""
    step(protections, UNDER, 0.0)
    charger = replace(cells(2.6), charger=True)

    assert step(protections, replace(UNDER, charger=True), 1.0) == []
    assert step(protections, charger, 2.0) == [EventId.UNDER_VOLTAGE_OVER]
    assert step(protections, charger, 100.0) == []
    assert step(protections, replace(FINE, charger=True), 101.0) == []
    assert step(protections, replace(FINE, charger=True), 106.0) == [EventId.DISCHARGED_OVER]


def test_under_voltage_ends_with_a_restart(protections: Protections) -> None:
    """If the cells are above the cutoff then."""
    step(protections, UNDER, 0.0)
    protections.reset()

    assert step(protections, FINE, 1.0) == []


def test_cold_ends_before_the_cold_of_charging(protections: Protections) -> None:
    """0x75, then 0x74, though both conditions went together."""
    assert step(protections, warmth(-41.0), 0.0) == [EventId.TOO_COLD, EventId.TOO_COLD_TO_CHARGE]
    events = [step(protections, warmth(5.0), now_s) for now_s in (10.0, 15.0, 20.0)]

    assert events == [[], [EventId.TOO_COLD_OVER], [EventId.TOO_COLD_TO_CHARGE_OVER]]


def test_several_faults_are_active_together(protections: Protections) -> None:
    """A broken sense wire shows one cell too low and its neighbour too high; each ends by itself."""
    both = replace(FINE, cells_v=(3.3, 0.0, 4.5, 3.3), external_c=(70.0,))

    assert set(step(protections, both, 0.0)) == {
        EventId.UNDER_VOLTAGE,
        EventId.DISCHARGED,
        EventId.OVER_VOLTAGE,
        EventId.OVER_HEAT,
    }
    step(protections, replace(UNDER, external_c=(70.0,)), 1.0)
    assert step(protections, replace(UNDER, external_c=(70.0,)), 6.0) == [EventId.OVER_VOLTAGE_OVER]
    assert EventId.OVER_HEAT in protections.active


def test_the_discharge_timeout_delays_the_slow_limit(protections: Protections) -> None:
    """High byte of register 330; the time starts again when the current was below."""
    limits = replace(LIMITS, discharge_timeout_s=3.0)
    moments = [(0.0, -160.0), (2.9, -160.0), (2.95, -150.0), (3.0, -160.0), (5.9, -160.0)]

    assert [step(protections, current(a), now_s, limits) for now_s, a in moments] == [[]] * 5
    assert step(protections, current(-160.0), 6.0, limits) == [EventId.DISCHARGE_OVER_CURRENT]


def test_the_peak_limit_acts_without_a_delay(protections: Protections) -> None:
    """Register 305, also in the middle of the delay of 317."""
    limits = replace(LIMITS, discharge_timeout_s=30.0)

    assert step(protections, current(-180.0), 0.0, limits) == []
    assert step(protections, current(-180.1), 0.1, limits) == [EventId.DISCHARGE_OVER_CURRENT]


def test_firmware_without_a_peak_limit_has_the_slow_one_only(protections: Protections) -> None:
    """Firmware 242 lacks register 305."""
    limits = replace(LIMITS, peak_a=float("inf"), discharge_timeout_s=1.0)

    assert step(protections, current(-700.0), 0.0, limits) == []
    assert step(protections, current(-700.0), 1.0, limits) == [EventId.DISCHARGE_OVER_CURRENT]


def test_two_transistors_switch_off_together(protections: Protections) -> None:
    """After a discharge over-current the charger stays on only if it has another switch."""
    step(protections, current(-151.0), 0.0)
    (row,) = protections.active.values()

    assert row.leaves_charger(LIMITS)
    assert not row.leaves_charger(replace(LIMITS, two_fets=True))


@pytest.mark.parametrize(
    ("charging", "single_port", "event"),
    [
        (True, False, EventId.CHARGE_OVER_CURRENT),
        (False, False, EventId.REGENERATION_OVER_CURRENT),
        (True, True, EventId.CHARGE_OVER_CURRENT),
        (False, True, EventId.CHARGE_OVER_CURRENT),
    ],
)
def test_a_positive_current_is_charging_or_regeneration(
    protections: Protections, charging: bool, single_port: bool, event: EventId
) -> None:
    """Single-port mode knows no regeneration."""
    limits = replace(LIMITS, single_port=single_port)

    assert step(protections, current(200.0), 0.0, limits, charging=charging) == [event]


def test_the_lost_sensor_ends_when_it_is_plugged_in(protections: Protections) -> None:
    """At once, without the time of recovery."""
    step(protections, replace(FINE, sensor=CurrentSensor.LOST), 0.0)

    assert step(protections, FINE, 0.1) == [EventId.CURRENT_SENSOR_IN_USE]


@pytest.mark.parametrize("name", ["external sensor not ready", "charger switch stuck", "load switch stuck"])
def test_some_faults_end_by_a_restart_only(protections: Protections, name: str) -> None:
    """The manual lists no end for them."""
    step(protections, ROWS[name].bad, 0.0)

    assert step(protections, replace(FINE, charger=True, ignition=False), 1e6) == []
    assert protections.fault


def test_the_diagnostics_can_be_switched_off(protections: Protections) -> None:
    """Register 329, bit 1."""
    limits = replace(LIMITS, diagnostics=False)

    assert step(protections, replace(FINE, stuck=EventId.LOAD_SWITCH_STUCK), 0.0, limits) == []


def test_it_tells_when_a_delay_ends(protections: Protections) -> None:
    """The earliest of all."""
    step(protections, warmth(70.0), 0.0)
    step(protections, cells(2.7), 3.0)
    assert protections.due_s == 8.0

    step(protections, FINE, 8.0)
    assert protections.due_s == 13.0


def test_every_listed_fault_and_warning_has_a_row() -> None:
    """0x38 and 0x39 are ends of a charge, not protections; each pair of events belongs to one row."""
    begun = {row.event for row in PROTECTIONS}
    ends = [row.over for row in PROTECTIONS if row.over]

    assert begun == {e for e in EventId if e.is_fault or e.is_warning} - {
        EventId.CHARGER_VOLTAGE_HIGH,
        EventId.CHARGER_VOLTAGE_LOW,
    }
    assert len(begun) == len(PROTECTIONS)
    assert len(set(ends)) == len(ends)
    assert all(row.over is None for row in PROTECTIONS if row.recovery is Recovery.RESTART)


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0.05, max_value=4.0),
            st.sampled_from([FINE, *(row.bad for row in ROWS.values()), UNDER]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_events_come_in_pairs(moments: list[tuple[float, Measurement, bool]]) -> None:
    """Whatever happens: no protection begins twice, none ends that has not begun, and the log tells what is active."""
    protections = Protections()
    now_s = 0.0
    pairs = {row.over: row.event for row in PROTECTIONS if row.over}
    open_events: set[EventId] = set()
    for step_s, measured, charger in moments:
        now_s += step_s
        for event in step(protections, replace(measured, charger=charger), now_s, charging=charger):
            if event in pairs:
                assert pairs[event] in open_events
                open_events.remove(pairs[event])
            else:
                assert event not in open_events
                open_events.add(event)

        assert set(protections.active) == open_events
        assert protections.due_s > now_s
