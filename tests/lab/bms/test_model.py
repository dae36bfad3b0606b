import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot
from tinybms_bridge.tinybms.frames import to_u32
from tinybms_bridge.tinybms.live import decode_live
from tinybms_lab.bms.chemistry import LFP, LI_ION
from tinybms_lab.bms.environment import Charger, CurrentProfile, Environment, Segment, Wiring, parse_profile
from tinybms_lab.bms.model import LIVE_WORDS, BatteryModel, FuelGauge, Sample, live_words
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.settings import SettingsBlock, default_settings
from tinybms_lab.bms.variants import HIGH_POWER, LOW_POWER


def test_an_hour_at_ten_amperes_is_ten_percent_of_a_hundred_ampere_hours() -> None:
    """Plain current counting against register 306."""
    gauge = FuelGauge(50.0)

    gauge.count(10.0, 3600.0, 100.0, 1000)

    assert gauge.soc_percent == pytest.approx(60.0)
    assert gauge.left_ah(100.0) == pytest.approx(60.0)


@given(
    st.lists(st.tuples(st.floats(min_value=-500, max_value=500), st.floats(min_value=0, max_value=1e5)), max_size=30)
)
def test_the_count_stays_within_0_and_100(steps: list[tuple[float, float]]) -> None:
    """It stops at the ends like the real one."""
    gauge = FuelGauge(50.0)
    for current_a, dt_s in steps:
        gauge.count(current_a, dt_s, 10.0, 10)

    assert 0.0 <= gauge.soc_percent <= 100.0
    assert 0.0 <= gauge.soh_percent <= 100.0


def test_health_follows_the_manuals_example() -> None:
    """1 Ah, 10 cycles: one cycle takes 100 % to 90 %; charging takes nothing."""
    gauge = FuelGauge(100.0)

    gauge.count(-1.0, 3600.0, 1.0, 10)
    gauge.count(1.0, 3600.0, 1.0, 10)

    assert gauge.soh_percent == pytest.approx(90.0)


def test_health_falls_at_the_usual_rate_where_the_register_is_missing() -> None:
    """Firmware 242 reads 0 in register 322."""
    gauge = FuelGauge(100.0)

    gauge.count(-1.0, 3600.0, 1.0, 0)

    assert gauge.soh_percent == pytest.approx(99.9)


SAMPLE = Sample(
    cells_v=(3.30, 3.31, 3.3252, 3.34),
    configured_cells=4,
    current_a=-12.3456,
    soc_percent=83.554824,
    soh_percent=98.5,
    left_ah=50.0,
    lifetime_s=16_683_981,
    internal_c=9.7,
    external_c=(21.5, None),
    status=BmsStatus.DISCHARGING,
    balancing_wanted=(3, 2),
    balancing_now=(3,),
)


def _snapshot(sample: Sample) -> Snapshot:
    return decode_live(live_words(sample), sequence=1, taken_at_s=0.0, series_cells=sample.configured_cells)


def test_the_bridge_reads_back_what_was_sampled() -> None:
    """Encoder here and decoder there agree on every live value."""
    snapshot = _snapshot(SAMPLE)

    assert snapshot.cells.voltages_v == SAMPLE.cells_v
    assert snapshot.cells.balancing == (False, False, False, True)
    assert snapshot.pack.voltage_v == pytest.approx(13.2752, abs=1e-5)
    assert snapshot.pack.current_a == pytest.approx(-12.346)
    assert snapshot.pack.soc_percent == 83.554824
    assert snapshot.pack.soh_percent == 98.5
    assert snapshot.pack.lifetime_s == 16_683_981
    assert snapshot.pack.status is BmsStatus.DISCHARGING
    assert (snapshot.temperatures.internal_c, snapshot.temperatures.external_1_c) == (9.7, 21.5)
    assert snapshot.temperatures.external_2_c is None


@given(st.integers(min_value=4, max_value=16))
def test_cells_sit_on_the_upper_pins(count: int) -> None:
    """N below 16 leaves zeros in registers 0 to 15-N; cell n is register 15-N+n."""
    cells_v = tuple(3.0 + n / 100 for n in range(1, count + 1))
    words = live_words(replace(SAMPLE, cells_v=cells_v, configured_cells=count, balancing_wanted=(), balancing_now=()))

    assert words[: 16 - count] == [0] * (16 - count)
    assert words[16 - count : 16] == [round(v * 10000) for v in cells_v]
    assert words[53] == count


def test_balancing_bits_belong_to_registers() -> None:
    """Bit r is register r: with 4 cells the highest cell is bit 15."""
    words = live_words(SAMPLE)

    assert words[51] == 1 << 15 | 1 << 14
    assert words[52] == 1 << 15


def test_lowest_and_highest_cell_are_rounded_to_millivolts() -> None:
    """40 and 41 have a tenth of the cells' resolution."""
    words = live_words(replace(SAMPLE, cells_v=(3.3004, 3.30049, 3.30051, 3.3006)))

    assert words[40:42] == [3300, 3301]


def test_absent_sensors_read_the_sentinel() -> None:
    """-32768 in 42 and 43; a cold sensor is a negative number."""
    words = live_words(replace(SAMPLE, external_c=(None, -10.5)))

    assert words[42:44] == [0x8000, 0x10000 - 105]


def test_time_left_is_charge_over_current() -> None:
    """50 Ah at 12.3456 A last four hours."""
    words = live_words(SAMPLE)

    assert to_u32(words[34], words[35]) == round(50.0 / 12.3456 * 3600)


def test_time_left_is_huge_when_idle() -> None:
    """A real unit with 55.1 Ah left reported 41 777 412 s: its own draw of 4.75 mA."""
    left_ah = 66.0 * 0.83554824
    words = live_words(replace(SAMPLE, current_a=0.0, status=BmsStatus.IDLE, left_ah=left_ah))

    assert to_u32(words[34], words[35]) == pytest.approx(41_777_412, rel=0.001)


def test_more_configured_than_wired_cells_show_as_zero() -> None:
    """The lowest cell reads 0, as seen on a unit whose cells were not wired."""
    words = live_words(replace(SAMPLE, configured_cells=6))

    assert words[10:12] == [0, 0]
    assert words[40] == 0
    assert words[53] == 4


def test_fewer_configured_than_wired_cells_are_left_out() -> None:
    """The pack voltage is the sum of the configured cells: a wrong register 307 gives a wrong voltage."""
    sample = replace(SAMPLE, cells_v=(3.3,) * 8, configured_cells=4, balancing_now=(), balancing_wanted=())

    assert _snapshot(sample).pack.voltage_v == pytest.approx(13.2, abs=1e-5)
    assert live_words(sample)[8:12] == [0] * 4


@given(
    st.lists(st.floats(min_value=0.0, max_value=10.0), min_size=4, max_size=16),
    st.floats(min_value=-1000, max_value=1000),
    st.floats(min_value=0, max_value=100),
    st.floats(min_value=-5000, max_value=5000),
    st.integers(min_value=0, max_value=2**40),
)
def test_every_sample_fits_56_words(
    cells_v: list[float], current_a: float, soc_percent: float, celsius: float, lifetime_s: int
) -> None:
    """No state of the pack breaks the register map."""
    sample = replace(
        SAMPLE,
        cells_v=tuple(cells_v),
        configured_cells=len(cells_v),
        current_a=current_a,
        soc_percent=soc_percent,
        internal_c=celsius,
        external_c=(celsius, None),
        lifetime_s=lifetime_s,
        balancing_wanted=(0,),
        balancing_now=(0,),
    )
    words = live_words(sample)

    assert len(words) == LIVE_WORDS
    assert all(0 <= word <= 0xFFFF for word in words)
    assert max(words[:16]) <= 45000
    assert words[42] != 0x8000


def _model(
    profile: str | None = None,
    soc: float = 0.5,
    spread: float = 0.0,
    changes: dict[int, int] | None = None,
    sensors: int = 2,
) -> BatteryModel:
    pack = SimulatedPack.build(LI_ION, 4, capacity_ah=100.0, soc=soc, soc_spread=spread, capacity_spread=0.0)
    block = SettingsBlock(default_settings(LI_ION, HIGH_POWER, 4, 100.0) | (changes or {}))
    around = Environment(Wiring([sensors > 0, sensors > 1]), parse_profile(profile) if profile else None)
    return BatteryModel(pack, block, HIGH_POWER, around)


def _sample(model: BatteryModel) -> Sample:
    return model.sample(1000)


def _ids(model: BatteryModel) -> list[EventId]:
    return [event for _, event in model.take_events()]


def test_the_profile_decides_the_current() -> None:
    """Segment after segment, in pack time; a charger takes a moment to be found."""
    model = _model("100:-20,50:+30")

    seen = []
    for span_s in (50.0, 40.0, 40.0, 50.0):
        model.run(span_s)
        seen.append(_sample(model).current_a)

    assert seen == [-20.0, -20.0, 30.0, -20.0]
    assert model.pack.net_ah * 3600.0 == pytest.approx(100 * -20 + 50 * 30 + 30 * -20, abs=30.0)


@given(st.lists(st.floats(min_value=0.01, max_value=40.0), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_way_time_is_cut_does_not_change_the_charge(spans_s: list[float]) -> None:
    """Refreshing often or seldom gives the same battery, but for the tenth of a second in which a charger is found."""
    cut, whole = _model("17:-20,15:+30"), _model("17:-20,15:+30")
    for span_s in spans_s:
        cut.run(span_s)
    whole.run(sum(spans_s))
    charges = sum(spans_s) / 32.0 + 1

    assert cut.pack.net_ah * 3600.0 == pytest.approx(whole.pack.net_ah * 3600.0, abs=charges * 30.0 * 0.11)
    assert cut.time_s == pytest.approx(whole.time_s)


def test_constant_power_follows_the_voltage() -> None:
    """480 W out of some 15 V."""
    model = _model("600:-480W")
    model.run(60.0)
    sample = _sample(model)

    assert sample.current_a * sum(sample.cells_v) == pytest.approx(-480.0, rel=0.01)


def test_a_driven_current_replaces_the_profile() -> None:
    """A simulated GX takes over from its first word."""
    model = _model("charge")
    model.run(10.0)
    model.environment.drive(-12.5)
    model.run(10.0)

    assert _sample(model).current_a == -12.5
    assert _sample(model).status is BmsStatus.DISCHARGING


def test_a_charger_without_regulation_is_thrown_out() -> None:
    """All cells pass register 300 with much current: 0x38, status full, no jump of the count."""
    model = _model("charge", soc=0.9)
    for _ in range(60):
        model.run(60.0)
    sample = _sample(model)

    assert _ids(model) == [EventId.CHARGER_FOUND, EventId.CHARGING_STARTED, EventId.CHARGER_VOLTAGE_HIGH]
    assert sample.status is BmsStatus.FULLY_CHARGED
    assert sample.current_a == 0.0
    assert max(sample.cells_v) < 4.155
    assert 90.0 < sample.soc_percent < 100.0
    assert (model.statistics.charging_count, model.statistics.full_charge_count) == (1, 0)


def test_a_load_is_cut_at_the_empty_level_and_comes_back() -> None:
    """A cell below register 301 ends it; when it has recovered for the time of register 332 it goes on."""
    model = _model("discharge", soc=0.03)
    model.run(900.0)
    ids = _ids(model)

    assert ids[:3] == [EventId.DISCHARGED, EventId.DISCHARGED_OVER, EventId.DISCHARGED]
    assert min(_sample(model).cells_v) > 2.9
    assert _sample(model).status in (BmsStatus.IDLE, BmsStatus.DISCHARGING)


def test_a_driven_charge_current_is_cut_like_any_other() -> None:
    """A simulated GX that pushes on meets an open switch."""
    model = _model(soc=0.5)
    model.environment.drive(30.0)
    model.run(10.0)
    flowing = _sample(model).current_a
    model.pack.ambient_c = -30.0
    for cell in model.pack.cells:
        cell.temperature_c = -5.0
    model.run(10.0)
    before_ah = model.pack.net_ah
    model.run(600.0)

    assert flowing == 30.0
    assert _sample(model).current_a == 0.0
    assert model.pack.net_ah == before_ah
    assert EventId.TOO_COLD_TO_CHARGE in _ids(model)


def test_in_the_cold_the_load_goes_on() -> None:
    """Only charging is cut."""
    model = _model()
    for cell in model.pack.cells:
        cell.temperature_c = -5.0
    model.environment.drive(-20.0)
    model.run(10.0)

    assert _sample(model).current_a == -20.0


@pytest.mark.parametrize(
    ("current_a", "event", "counter"),
    [
        (-151.0, EventId.DISCHARGE_OVER_CURRENT, "discharge_over_current_count"),
        (101.0, EventId.CHARGE_OVER_CURRENT, "charge_over_current_count"),
    ],
)
def test_too_much_current_is_cut_within_a_refresh_and_tried_again(
    current_a: float, event: EventId, counter: str
) -> None:
    """A tenth of a second of it flows every five seconds, and the counter of the statistics follows."""
    model = _model()
    model.environment.drive(current_a)
    model.run(20.0)
    times_s = [time_s for time_s, found in model.take_events() if found is event]

    assert len(times_s) == getattr(model.statistics, counter) >= 3
    assert abs(model.pack.net_ah) * 3600.0 == pytest.approx(abs(current_a) * 0.1 * len(times_s), rel=0.2)


def test_the_timeout_lets_a_short_peak_pass() -> None:
    """High byte of register 330; register 305 stays without delay."""
    patient = _model(changes={330: 10 << 8 | 1})
    patient.environment.drive(-160.0)
    patient.run(9.0)
    assert _ids(patient) == []
    patient.run(2.0)
    assert _ids(patient) == [EventId.DISCHARGE_OVER_CURRENT]

    peak = _model(changes={330: 10 << 8 | 1})
    peak.environment.drive(-181.0)
    peak.run(0.2)
    assert _ids(peak) == [EventId.DISCHARGE_OVER_CURRENT]


def test_small_currents_flow_unseen() -> None:
    """Below the board's threshold the cells lose charge that the BMS does not count."""
    model = _model("600:-0.5")
    model.run(3600.0)
    sample = _sample(model)

    assert sample.current_a == 0.0
    assert sample.status is BmsStatus.IDLE
    assert sample.soc_percent == pytest.approx(50.0)
    assert model.pack.net_ah == pytest.approx(-0.5)


def test_the_low_power_board_sees_smaller_currents() -> None:
    """80 mA instead of 800 mA."""
    pack = SimulatedPack.build(LFP, 4, capacity_ah=10.0)
    block = SettingsBlock(default_settings(LFP, LOW_POWER, 4, 10.0))
    around = Environment(Wiring([True, True]), CurrentProfile([Segment(10.0, -0.5)]))
    model = BatteryModel(pack, block, LOW_POWER, around)
    model.run(5.0)

    assert model.sample(0).current_a == -0.5


def test_a_regulated_charge_completes_and_sets_the_count_to_100_percent() -> None:
    """Constant current, constant voltage, and the end that the manual describes."""
    model = _model(soc=0.93)
    model.environment.connect_charger(Charger(30.0, 4 * 4.15))
    for _ in range(60):
        model.run(60.0)
    sample = _sample(model)

    assert _ids(model) == [EventId.CHARGER_FOUND, EventId.CHARGING_STARTED, EventId.CHARGING_COMPLETE]
    assert sample.status is BmsStatus.FULLY_CHARGED
    assert sample.soc_percent == 100.0
    assert sample.current_a == 0.0
    assert model.statistics.full_charge_count == 1


def test_a_cell_that_is_ahead_is_bled_while_the_charger_pauses() -> None:
    """The charger is switched off and on, without events, until the cells are alike."""
    pack = SimulatedPack.build(LI_ION, 4, capacity_ah=2.0, soc=0.93, soc_spread=0.0, capacity_spread=0.0)
    pack.cells[2].soc = 0.96
    block = SettingsBlock(default_settings(LI_ION, LOW_POWER, 4, 2.0))
    model = BatteryModel(pack, block, LOW_POWER, Environment(Wiring([True, True])))
    model.environment.connect_charger(Charger(1.0, 4 * 4.15))
    states = []
    for _ in range(3600):
        model.run(1.0)
        states.append((model.logic.switches.charger, _sample(model).status))

    switched = sum(before is not after for (before, _), (after, _) in itertools.pairwise(states))
    assert switched >= 5
    assert {status for _, status in states[5:-1]} <= {BmsStatus.CHARGING, BmsStatus.FULLY_CHARGED}
    assert [index for index, ah in enumerate(model.pack.bled_ah) if ah > 0.01] == [2]
    assert _ids(model) == [EventId.CHARGER_FOUND, EventId.CHARGING_STARTED, EventId.CHARGING_COMPLETE]


def test_high_cells_bleed_while_charging_only() -> None:
    """Balancing needs a charger."""
    model = _model(soc=0.6, spread=0.05)
    model.run(10.0)
    resting = _sample(model)
    model.environment.drive(10.0)
    model.run(10.0)
    charging = _sample(model)
    model.environment.drive(-10.0)
    model.run(10.0)

    assert not resting.balancing_now
    assert charging.balancing_now
    assert set(charging.balancing_now) <= set(charging.balancing_wanted)
    assert not _sample(model).balancing_now
    assert sum(model.pack.bled_ah) == pytest.approx(len(charging.balancing_now) * 0.15 * 10 / 3600, rel=0.5)


def test_a_restart_opens_the_switches() -> None:
    """Whatever is wanted."""
    for model in (_model("charge"), _model()):
        model.environment.drive(-10.0)
        model.run(5.0, restarting=True)

        assert model.pack.net_ah == 0.0
        assert _sample(model).current_a == 0.0


@pytest.mark.parametrize(("ignition", "flows"), [(0, True), (5, False)])
def test_asleep_only_a_unit_with_ignition_opens_its_switches(ignition: int, flows: bool) -> None:
    """Register 334; the others keep the load on."""
    model = _model(changes={334: ignition})
    model.environment.drive(-0.5)
    model.run(5.0, asleep=True)

    assert (model.pack.net_ah < 0.0) is flows


def test_a_stuck_switch_is_found_by_the_current_through_it() -> None:
    """And only a restart ends the fault."""
    model = _model()
    model.environment.wiring.stuck_load = True
    model.environment.drive(-20.0)
    model.run(5.0)
    assert _ids(model) == []

    for cell in model.pack.cells:
        cell.temperature_c = 75.0
    model.run(5.0)
    assert _ids(model) == [EventId.OVER_HEAT, EventId.LOAD_SWITCH_STUCK]
    assert _sample(model).current_a == -20.0

    model.restart()
    assert _ids(model)[0] is EventId.OVER_HEAT


@pytest.mark.parametrize(("sensors", "present"), [(0, (False, False)), (1, (True, False)), (2, (True, True))])
def test_sensors_are_there_as_configured(sensors: int, present: tuple[bool, bool]) -> None:
    """Absent ones read nothing."""
    external_c = _sample(_model(sensors=sensors)).external_c

    assert tuple(t is not None for t in external_c) == present


def test_load_and_bleeding_warm_the_board() -> None:
    """The board's own sensor is not that of the cells."""
    model = _model("600:-150", soc=0.9)
    cold_c = _sample(model).internal_c
    model.run(600.0)

    assert cold_c == pytest.approx(27.0)
    assert 35.0 < _sample(model).internal_c < 45.0


def test_quiet_time_counts_from_the_last_activity() -> None:
    """This is what lets the BMS sleep."""
    model = _model("10:-20,100:0")
    model.run(8.0)
    assert model.quiet_s == 0.0

    model.run(40.0)
    assert model.quiet_s == pytest.approx(38.0, abs=1.0)


def test_a_long_jump_is_walked_in_a_bounded_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulation that was suspended for a week does not hang, however short its segments are."""
    model = _model("0.1:-20,0.1:+20")
    steps: list[float] = []
    monkeypatch.setattr(model.pack, "step", lambda dt_s, _current_a, _bleeding: steps.append(dt_s))

    model.run(7 * 86400.0)

    assert len(steps) <= 602
    assert sum(steps) == pytest.approx(7 * 86400.0)


def test_settings_act_as_soon_as_they_are_written() -> None:
    """A cutoff that is lowered below a cell trips with the next measurement."""
    pack = SimulatedPack.build(LI_ION, 4, soc=0.5)
    block = SettingsBlock(default_settings(LI_ION, HIGH_POWER, 4, 100.0))
    model = BatteryModel(pack, block, HIGH_POWER, Environment(Wiring([True, True])))
    block.write([(300, 3650), (315, 3700)])
    model.run(1.0)

    assert _ids(model) == [EventId.OVER_VOLTAGE]


def test_a_wrong_number_of_cells_is_an_under_voltage() -> None:
    """Inputs without a cell read 0, as in the published capture with status 0x9B."""
    model = _model(changes={307: 6})

    assert _ids(model) == [EventId.UNDER_VOLTAGE, EventId.DISCHARGED]
    assert _sample(model).status is BmsStatus.FAULT


def test_fewer_configured_cells_shift_the_balancing_bits() -> None:
    """The lowest cell that counts is not the lowest that is there."""
    model = _model(changes={307: 3}, soc=0.6)
    model.pack.cells[1].soc = 0.7
    model.environment.drive(10.0)
    model.run(5.0)

    assert list(_sample(model).balancing_now) == [1]
    assert model.pack.bled_ah[1] > 0


@pytest.mark.parametrize(
    ("plugged", "event"), [(True, EventId.CURRENT_SENSOR_IN_USE), (False, EventId.CURRENT_SENSOR_REMOVED)]
)
def test_a_restart_takes_the_current_sensor_that_is_there(plugged: bool, event: EventId) -> None:
    """0x7C or 0x7D, and no fault any more."""
    pack = SimulatedPack.build(LI_ION, 4)
    block = SettingsBlock(default_settings(LI_ION, HIGH_POWER, 4, 100.0))
    wiring = Wiring([True, True], external_current_sensor=not plugged)
    model = BatteryModel(pack, block, HIGH_POWER, Environment(wiring))
    wiring.external_current_sensor = plugged
    model.run(1.0)
    assert len(_ids(model)) == 1

    model.restart()
    assert _ids(model) == [event]
    assert _sample(model).status is BmsStatus.IDLE
