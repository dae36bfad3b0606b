from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import cycle, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarm_rules import AlarmMemory, AlarmRule, AlarmSettings, evaluate, rules_for
from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.bms_event_kinds import kind_of
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.words import message

OK, WARNING, ALARM = AlarmLevel.OK, AlarmLevel.WARNING, AlarmLevel.ALARM

RATINGS = Ratings(
    series_cells=4,
    fully_charged_cell_v=3.65,
    fully_discharged_cell_v=2.90,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.50,
    charge_over_current_a=60.0,
    discharge_over_current_a=120.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=100.0,
    allowed_disbalance_mv=15.0,
)

HEALTHY = Snapshot(
    sequence=1,
    taken_at_s=0.0,
    pack=PackValues(voltage_v=13.2, current_a=0.0, soc_percent=50.0, status=BmsStatus.IDLE),
    cells=Cells((3.30, 3.30, 3.30, 3.30)),
    temperatures=Temperatures(internal_c=25.0),
    ratings=RATINGS,
)


def with_cells(low_v: float, high_v: float) -> Snapshot:
    """Return a sample with two lowest and two highest cells."""
    pack = replace(HEALTHY.pack, voltage_v=2 * (low_v + high_v))
    return replace(HEALTHY, pack=pack, cells=Cells((low_v, low_v, high_v, high_v)))


def with_current(current_a: float) -> Snapshot:
    """Return a sample with a current."""
    return replace(HEALTHY, pack=replace(HEALTHY.pack, current_a=current_a))


def with_sensor(celsius: float | None, current_a: float = 0.0) -> Snapshot:
    """Return a sample with one temperature, or without a sensor."""
    return replace(with_current(current_a), temperatures=Temperatures(internal_c=celsius))


def with_pack_v(voltage_v: float) -> Snapshot:
    """Return a sample with a pack voltage; only the user's own thresholds look at it."""
    return replace(HEALTHY, pack=replace(HEALTHY.pack, voltage_v=voltage_v))


@dataclass(frozen=True)
class Case:
    """A rule with its thresholds as the BMS's settings give them."""

    name: AlarmName
    make: Callable[[float], Snapshot]
    warning: float
    alarm: float
    hysteresis: float
    high: bool = True

    def sample(self, threshold: float, beyond: float) -> Snapshot:
        """Return a sample that lies ``beyond`` a threshold, or short of it where that is negative."""
        return self.make(threshold + beyond if self.high else threshold - beyond)

    @property
    def trifle(self) -> float:
        """Much less than the hysteresis, more than rounding."""
        return self.hysteresis / 100.0


CASES = [
    Case(AlarmName.HIGH_VOLTAGE, lambda v: with_cells(v, v), 3.70, 3.75, 0.02),
    Case(AlarmName.LOW_VOLTAGE, lambda v: with_cells(v, v), 2.90, 2.50, 0.05, high=False),
    Case(AlarmName.HIGH_TEMPERATURE, with_sensor, 55.0, 60.0, 2.0),
    Case(AlarmName.LOW_TEMPERATURE, with_sensor, -35.0, -40.0, 2.0, high=False),
    Case(AlarmName.HIGH_CHARGE_CURRENT, with_current, 57.0, 60.0, 1.8),
    Case(AlarmName.HIGH_DISCHARGE_CURRENT, lambda a: with_current(-a), 114.0, 120.0, 3.6),
    Case(AlarmName.CELL_IMBALANCE, lambda mv: with_cells(3.3, 3.3 + mv / 1000.0), 100.0, 200.0, 20.0),
]

SETTINGS = AlarmSettings()

each_rule = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))


def watch(
    samples: Iterable[Snapshot],
    settings: AlarmSettings | None = None,
    memory: AlarmMemory | None = None,
    *,
    period_s: float = 1.0,
) -> list[Alarms]:
    """Return the alarms after each of the samples, one every ``period_s``."""
    settings, memory = settings or AlarmSettings(), memory or AlarmMemory()
    seen = []
    for number, snapshot in enumerate(samples):
        memory = evaluate(memory, snapshot, Freshness.FRESH, settings, 100.0 + number * period_s)
        seen.append(memory.alarms)
    return seen


def settled(snapshot: Snapshot, settings: AlarmSettings | None = None) -> Alarms:
    """Return the alarms once a sample has lasted."""
    return watch([snapshot] * 5, settings)[-1]


def levels_of(name: AlarmName, alarms: Iterable[Alarms]) -> list[AlarmLevel]:
    """Return the level of one alarm over time."""
    return [each.levels[name] for each in alarms]


def test_healthy_battery_has_every_watched_alarm_ok() -> None:
    """Every rule is watched and quiet; what nobody watches is not claimed to be fine."""
    assert settled(HEALTHY).levels == dict.fromkeys(
        (
            AlarmName.HIGH_VOLTAGE,
            AlarmName.LOW_VOLTAGE,
            AlarmName.HIGH_TEMPERATURE,
            AlarmName.LOW_TEMPERATURE,
            AlarmName.LOW_TEMPERATURE_CHARGE,
            AlarmName.HIGH_DISCHARGE_CURRENT,
            AlarmName.HIGH_CHARGE_CURRENT,
            AlarmName.CONTACTOR,
            AlarmName.BMS_INTERNAL,
            AlarmName.CELL_IMBALANCE,
        ),
        OK,
    )
    assert settled(HEALTHY).active() == {}


@each_rule
def test_level_by_the_bms_thresholds(case: Case) -> None:
    """Short of, at and beyond both thresholds that follow from the BMS's own settings."""
    found = {
        "short of the warning": settled(case.sample(case.warning, -case.trifle)).levels[case.name],
        "warning": settled(case.sample(case.warning, case.trifle)).levels[case.name],
        "short of the alarm": settled(case.sample(case.alarm, -case.trifle)).levels[case.name],
        "alarm": settled(case.sample(case.alarm, case.trifle)).levels[case.name],
    }
    assert found == {"short of the warning": OK, "warning": WARNING, "short of the alarm": WARNING, "alarm": ALARM}


@each_rule
def test_level_is_kept_within_the_hysteresis(case: Case) -> None:
    """An alarm falls back to a warning, and a warning clears, only when the value is back by the hysteresis."""
    back = [
        (case.sample(case.alarm, case.trifle), ALARM),
        (case.sample(case.alarm, -case.hysteresis + case.trifle), ALARM),
        (case.sample(case.alarm, -case.hysteresis - case.trifle), WARNING),
        (case.sample(case.warning, -case.hysteresis + case.trifle), WARNING),
        (case.sample(case.warning, -case.hysteresis - case.trifle), OK),
    ]
    alarms = watch(sample for sample, _ in back for _ in range(4))
    assert levels_of(case.name, alarms[3::4]) == [level for _, level in back]


@each_rule
def test_other_alarms_stay_quiet(case: Case) -> None:
    """A value beyond its threshold raises its own alarm; cold is the one that also stops charging."""
    allowed = {case.name}
    if case.name is AlarmName.LOW_TEMPERATURE:
        allowed.add(AlarmName.LOW_TEMPERATURE_CHARGE)
    assert set(settled(case.sample(case.alarm, case.trifle)).active()) == allowed


@each_rule
def test_level_needs_its_delay(case: Case) -> None:
    """Nothing is raised before the value was beyond the threshold for 2 s, and nothing cleared before."""
    beyond = [case.sample(case.alarm, case.trifle)] * 24
    alarms = watch([*beyond, *[HEALTHY] * 24], period_s=0.1)
    levels = levels_of(case.name, alarms)
    assert levels.index(ALARM) == 20
    assert set(levels[:20]) == {OK}
    assert levels[20:44] == [ALARM] * 24
    assert set(levels[44:]) == {OK}


@each_rule
def test_short_excess_raises_nothing(case: Case) -> None:
    """A peak shorter than the delay leaves no trace, however often it comes."""
    peak = [case.sample(case.alarm, case.trifle)] * 19
    alarms = watch([*peak, HEALTHY, *peak, HEALTHY, *peak, HEALTHY], period_s=0.1)
    assert set(levels_of(case.name, alarms)) == {OK}


def test_swinging_about_the_alarm_threshold_is_a_warning() -> None:
    """A value beyond the warning all the while is a warning, even when it crosses the alarm threshold each sample.

    One timer for both levels would start anew at each crossing and raise nothing at all.
    """
    swing = islice(cycle([with_cells(3.3, 3.749), with_cells(3.3, 3.751)]), 60)
    levels = levels_of(AlarmName.HIGH_VOLTAGE, watch(swing, period_s=0.1))
    assert levels == [OK] * 20 + [WARNING] * 40


def test_alarm_is_not_delayed_by_the_warning_before_it() -> None:
    """The time beyond the alarm threshold counts from when it began, not from when the warning was raised."""
    samples = [with_cells(3.3, 3.72)] * 10 + [with_cells(3.3, 3.76)] * 30
    levels = levels_of(AlarmName.HIGH_VOLTAGE, watch(samples, period_s=0.1))
    assert levels == [OK] * 20 + [WARNING] * 10 + [ALARM] * 10


def test_alarm_that_swings_back_falls_to_a_warning_first() -> None:
    """On the way back, too, each level has its own time."""
    samples = [with_cells(3.3, 3.76)] * 30 + [with_cells(3.3, 3.715)] * 10 + [with_cells(3.3, 3.5)] * 30
    levels = levels_of(AlarmName.HIGH_VOLTAGE, watch(samples, period_s=0.1))
    assert levels[30:] == [ALARM] * 20 + [WARNING] * 10 + [OK] * 10


@pytest.mark.parametrize("delay_s", [0.0, 0.5, 10.0])
def test_delay_is_a_setting(delay_s: float) -> None:
    """The delay may be shorter or longer; none raises at once."""
    alarms = watch([with_cells(3.3, 3.8)] * 200, AlarmSettings(delay_s=delay_s), period_s=0.1)
    assert levels_of(AlarmName.HIGH_VOLTAGE, alarms).index(ALARM) == round(delay_s * 10)


NO_SENSOR = {AlarmName.HIGH_TEMPERATURE, AlarmName.LOW_TEMPERATURE, AlarmName.LOW_TEMPERATURE_CHARGE}


def test_absent_sensor_is_not_supported() -> None:
    """Without a sensor the three temperature alarms are missing, which a GX reads as not supported, not as fine."""
    with_one, without = settled(with_sensor(25.0)).levels, settled(with_sensor(None)).levels
    assert set(with_one) - set(without) == NO_SENSOR
    assert set(without) < set(with_one)


def test_sensor_that_comes_back_starts_at_ok() -> None:
    """What was pending when the sensor was lost is forgotten; the delay counts from its return."""
    hot, gone = with_sensor(70.0), with_sensor(None)
    alarms = watch([hot, hot, gone, hot, hot, hot])
    assert [each.levels.get(AlarmName.HIGH_TEMPERATURE) for each in alarms] == [OK, OK, None, OK, OK, ALARM]


def test_hottest_and_coldest_sensor_decide() -> None:
    """With two sensors each rule looks at the one that is worse for it."""
    both = replace(HEALTHY, temperatures=Temperatures(internal_c=20.0, external_1_c=65.0, external_2_c=-2.0))
    active = settled(both).active()
    assert active == {AlarmName.HIGH_TEMPERATURE: ALARM, AlarmName.LOW_TEMPERATURE_CHARGE: WARNING}


@pytest.mark.parametrize(
    ("current_a", "level"), [(-50.0, WARNING), (0.0, WARNING), (3.0, WARNING), (3.1, ALARM), (40.0, ALARM)]
)
def test_charging_while_cold_is_the_alarm(current_a: float, level: AlarmLevel) -> None:
    """Cold alone is a warning that charging has to wait; more than 3 A into cold cells is an alarm."""
    assert settled(with_sensor(0.5, current_a)).levels[AlarmName.LOW_TEMPERATURE_CHARGE] is level
    assert settled(with_sensor(1.5, current_a)).levels[AlarmName.LOW_TEMPERATURE_CHARGE] is OK


def test_charge_alarm_ends_with_the_current() -> None:
    """Once charging has stopped, the cold is a warning again, until it is 1 °C warmer than the threshold."""
    samples = [with_sensor(0.5, 20.0)] * 4 + [with_sensor(0.5)] * 4 + [with_sensor(1.9)] * 4 + [with_sensor(2.1)] * 4
    levels = levels_of(AlarmName.LOW_TEMPERATURE_CHARGE, watch(samples))
    assert levels[3::4] == [ALARM, WARNING, WARNING, OK]


def test_charging_that_flutters_about_its_threshold_does_not_flicker() -> None:
    """A current that swings about 3 A on every sample changes nothing."""
    samples = islice(cycle([with_sensor(0.5, 2.9), with_sensor(0.5, 3.2)]), 100)
    levels = levels_of(AlarmName.LOW_TEMPERATURE_CHARGE, watch(samples, period_s=0.1))
    assert levels[20:] == [WARNING] * 80


@pytest.mark.parametrize(("current_a", "name"), [(54.0, "charge"), (-108.0, "discharge")])
def test_warning_clears_at_the_current_that_is_offered(current_a: float, name: str) -> None:
    """A surge over 0.95 of the cutoff leaves no standing warning while the load takes the 0.9 that the limits offer."""
    surge, offered = with_current(current_a / 0.9 * 0.97), with_current(current_a)
    levels = levels_of(AlarmName(f"high_{name}_current"), watch([surge] * 4 + [offered] * 4))
    assert levels[3::4] == [WARNING, OK]


CONFIGURED = [
    (AlarmSettings(overvoltage_v=14.0), AlarmName.HIGH_VOLTAGE, with_pack_v, 14.01, True),
    (AlarmSettings(undervoltage_v=12.0), AlarmName.LOW_VOLTAGE, with_pack_v, 12.0, False),
    (AlarmSettings(overtemp_c=45.0), AlarmName.HIGH_TEMPERATURE, with_sensor, 45.0, True),
    (
        AlarmSettings(low_temp_charge_c=8.0),
        AlarmName.LOW_TEMPERATURE_CHARGE,
        lambda c: with_sensor(c, 10.0),
        8.0,
        False,
    ),
    (
        AlarmSettings(imbalance_warn_mv=30.0, imbalance_alarm_mv=70.0),
        AlarmName.CELL_IMBALANCE,
        lambda mv: with_cells(3.3, 3.3 + mv / 1000.0),
        70.0,
        True,
    ),
]


@pytest.mark.parametrize(("settings", "name", "make", "alarm", "high"), CONFIGURED)
def test_configured_threshold_wins(
    settings: AlarmSettings, name: AlarmName, make: Callable[[float], Snapshot], alarm: float, high: bool
) -> None:
    """What the user sets counts, also where it is far stricter than the BMS's own threshold."""
    beyond, short = (alarm + 0.005, alarm - 0.005) if high else (alarm - 0.005, alarm + 0.005)
    assert settled(make(beyond), settings).levels[name] is ALARM
    assert settled(make(short), settings).levels[name] is not ALARM
    assert settled(make(beyond)).levels[name] is not ALARM, "by the BMS's settings this is no alarm"


PACK_ONLY = AlarmSettings(overvoltage_v=58.4, undervoltage_v=10.0)


@pytest.mark.parametrize(
    ("snapshot", "name"),
    [(with_cells(3.30, 3.90), AlarmName.HIGH_VOLTAGE), (with_cells(2.30, 3.30), AlarmName.LOW_VOLTAGE)],
)
def test_a_single_cell_alarms_whatever_is_configured_for_the_pack(snapshot: Snapshot, name: AlarmName) -> None:
    """The pack as a whole may be well within the user's thresholds while one cell is being destroyed."""
    assert settled(snapshot, PACK_ONLY).levels[name] is ALARM
    assert settled(snapshot, PACK_ONLY) == settled(snapshot)


def test_cells_and_pack_keep_their_own_times_and_hysteresis() -> None:
    """The worse of the two counts, and one that clears does not clear the other."""
    settings = AlarmSettings(overvoltage_v=14.0)
    high_pack = with_cells(3.51, 3.51)
    high_cell = replace(with_cells(3.3, 3.76), pack=HEALTHY.pack)
    levels = levels_of(AlarmName.HIGH_VOLTAGE, watch([high_pack] * 3 + [high_cell] * 4 + [HEALTHY] * 3, settings))
    assert levels == [OK, OK, ALARM, ALARM, ALARM, ALARM, ALARM, ALARM, ALARM, OK]


BY_EVENT = {
    0x02: (AlarmName.LOW_VOLTAGE, ALARM),
    0x03: (AlarmName.HIGH_VOLTAGE, ALARM),
    0x04: (AlarmName.HIGH_TEMPERATURE, ALARM),
    0x05: (AlarmName.HIGH_DISCHARGE_CURRENT, ALARM),
    0x06: (AlarmName.HIGH_CHARGE_CURRENT, ALARM),
    0x07: (AlarmName.HIGH_CHARGE_CURRENT, ALARM),
    0x0A: (AlarmName.LOW_TEMPERATURE, ALARM),
    0x0B: (AlarmName.CONTACTOR, ALARM),
    0x0C: (AlarmName.CONTACTOR, ALARM),
    0x0D: (AlarmName.CONTACTOR, ALARM),
    0x31: (AlarmName.LOW_VOLTAGE, WARNING),
    0x37: (AlarmName.LOW_TEMPERATURE_CHARGE, WARNING),
}


@pytest.mark.parametrize("number", sorted(BY_EVENT))
def test_an_open_event_raises_its_alarm_at_once_and_as_long_as_it_is_open(number: int) -> None:
    """The BMS cuts at its threshold: the value is back at once, and only the event tells what happened."""
    name, level = BY_EVENT[number]
    tripped = replace(HEALTHY, open_events=(number,))
    assert levels_of(name, watch([HEALTHY, tripped, tripped, HEALTHY])) == [OK, level, level, OK]
    assert settled(tripped).active() == {name: level}


@given(st.lists(st.integers(0, 255), max_size=6))
def test_only_events_with_an_alarm_raise_one(numbers: list[int]) -> None:
    """Information, numbers that nobody lists and faults without a field of their own raise nothing here."""
    active = settled(replace(HEALTHY, open_events=tuple(numbers))).active()
    expected: dict[AlarmName, AlarmLevel] = {}
    for number in numbers:
        if number in BY_EVENT:
            name, level = BY_EVENT[number]
            expected[name] = max(level, expected.get(name, OK))
    assert active == expected


def test_event_and_measurement_do_not_disturb_each_other() -> None:
    """The worse counts; an event that ends leaves no hysteresis behind, and a measured alarm its own delay."""
    low = replace(with_cells(2.85, 2.85), open_events=())
    worse = replace(low, open_events=(0x02,))
    levels = levels_of(AlarmName.LOW_VOLTAGE, watch([low] * 3 + [worse] * 3 + [low] * 2 + [HEALTHY] * 3))
    assert levels == [OK, OK, WARNING, ALARM, ALARM, ALARM, WARNING, WARNING, WARNING, WARNING, OK]


def test_an_event_shows_without_a_sensor() -> None:
    """What nobody measures here the BMS may know."""
    hot = replace(with_sensor(None), open_events=(0x04,))
    assert settled(hot).levels[AlarmName.HIGH_TEMPERATURE] is ALARM


def test_charging_up_to_the_configured_over_voltage_is_no_alarm() -> None:
    """The limits may allow CVL = threshold; reaching it is the end of a charge, not an alarm."""
    settings = AlarmSettings(overvoltage_v=14.0)
    assert settled(with_pack_v(14.0), settings).levels[AlarmName.HIGH_VOLTAGE] is OK
    assert settled(with_pack_v(14.02), settings).levels[AlarmName.HIGH_VOLTAGE] is ALARM


def test_configured_over_voltage_clears_by_the_hysteresis() -> None:
    """A pack that hovers just below the threshold keeps its alarm; 0.2 V lower it is over."""
    settings = AlarmSettings(overvoltage_v=14.0)
    samples = [with_pack_v(14.1)] * 4 + [with_pack_v(13.85)] * 4 + [with_pack_v(13.75)] * 4
    assert levels_of(AlarmName.HIGH_VOLTAGE, watch(samples, settings))[3::4] == [ALARM, ALARM, OK]


def test_configured_over_temperature_warns_five_degrees_before() -> None:
    """The warning follows the user's alarm threshold."""
    settings = AlarmSettings(overtemp_c=45.0)
    assert settled(with_sensor(40.1), settings).levels[AlarmName.HIGH_TEMPERATURE] is WARNING
    assert settled(with_sensor(39.9), settings).levels[AlarmName.HIGH_TEMPERATURE] is OK


@pytest.mark.parametrize(
    ("settings", "allowed_mv", "warning_mv", "alarm_mv"),
    [
        (AlarmSettings(), 15.0, 100.0, 200.0),
        (AlarmSettings(), 80.0, 160.0, 320.0),
        (AlarmSettings(imbalance_warn_mv=40.0), 15.0, 40.0, 80.0),
        (AlarmSettings(imbalance_alarm_mv=500.0), 15.0, 100.0, 500.0),
        (AlarmSettings(imbalance_alarm_mv=60.0), 15.0, 60.0, 60.0),
        (AlarmSettings(imbalance_warn_mv=90.0, imbalance_alarm_mv=150.0), 80.0, 90.0, 150.0),
    ],
)
def test_imbalance_thresholds(settings: AlarmSettings, allowed_mv: float, warning_mv: float, alarm_mv: float) -> None:
    """Twice what the BMS allows and at least 100 mV; either threshold of the user counts, also alone and lower."""
    ratings = replace(RATINGS, allowed_disbalance_mv=allowed_mv)
    (rule,) = [r for r in rules_for(HEALTHY, ratings, settings) if r.name is AlarmName.CELL_IMBALANCE]
    assert (rule.warning, rule.alarm) == (warning_mv, alarm_mv)


def test_fault_of_the_bms_is_an_alarm_at_once() -> None:
    """Status 0x9B says that the BMS has switched off; nothing is gained by waiting."""
    fault = replace(HEALTHY, pack=replace(HEALTHY.pack, status=BmsStatus.FAULT))
    assert levels_of(AlarmName.BMS_INTERNAL, watch([HEALTHY, fault, HEALTHY])) == [OK, ALARM, OK]


@pytest.mark.parametrize(
    ("freshness", "level"),
    [
        (Freshness.STARTING, OK),
        (Freshness.FRESH, OK),
        (Freshness.HOLD, WARNING),
        (Freshness.SILENT, WARNING),
    ],
)
def test_missing_data_is_a_warning(freshness: Freshness, level: AlarmLevel) -> None:
    """A battery in HOLD says so; a fault that was there before stays an alarm."""
    fault = replace(HEALTHY, pack=replace(HEALTHY.pack, status=BmsStatus.FAULT))
    settings = AlarmSettings()
    assert evaluate(AlarmMemory(), HEALTHY, freshness, settings, 0.0).alarms.levels[AlarmName.BMS_INTERNAL] is level
    assert evaluate(AlarmMemory(), fault, freshness, settings, 0.0).alarms.levels[AlarmName.BMS_INTERNAL] is ALARM


def test_unknown_settings_leave_only_the_state_of_the_bms() -> None:
    """Before the BMS's settings are known nothing that is measured is claimed, neither good nor bad."""
    assert settled(replace(HEALTHY, ratings=None)).levels == {AlarmName.BMS_INTERNAL: OK, AlarmName.CONTACTOR: OK}


def test_evaluating_again_at_the_same_moment_changes_nothing() -> None:
    """The sender and the reader both ask; asking is no time that passes."""
    memory = AlarmMemory()
    for now_s in (0.0, 1.0, 1.9):
        memory = evaluate(memory, with_cells(3.3, 3.8), Freshness.FRESH, AlarmSettings(), now_s)
        assert evaluate(memory, with_cells(3.3, 3.8), Freshness.FRESH, AlarmSettings(), now_s) == memory


numbers = st.floats(-1000.0, 1000.0)
gaps = st.floats(0.0, 100.0)


@given(value=numbers, threshold=numbers, gap=gaps, hysteresis=gaps, high=st.booleans())
def test_level_of_a_rule(value: float, threshold: float, gap: float, hysteresis: float, high: bool) -> None:
    """From OK a rule fires exactly at its thresholds; a level that is held is never lower than one from OK."""
    warning, alarm = (threshold, threshold + gap) if high else (threshold, threshold - gap)
    rule = AlarmRule(AlarmName.GENERAL, value, warning, alarm, hysteresis, high)

    def reached(limit: float) -> bool:
        return value >= limit if high else value <= limit

    fresh = ALARM if reached(alarm) else WARNING if reached(warning) else OK
    assert rule.level(OK) is fresh
    assert fresh <= rule.level(WARNING) <= rule.level(ALARM)


@given(case=st.sampled_from(CASES), noise=st.lists(st.floats(-0.45, 0.45), min_size=1, max_size=60), data=st.data())
def test_noise_within_the_hysteresis_never_flickers(case: Case, noise: list[float], data: st.DataObject) -> None:
    """Noise about a threshold, smaller than the hysteresis, raises the level at most once and never clears it."""
    threshold = data.draw(st.sampled_from([case.warning, case.alarm]))
    alarms = watch((case.sample(threshold, share * case.hysteresis) for share in noise), period_s=0.7)
    levels = levels_of(case.name, alarms)
    assert levels == sorted(levels)


@given(case=st.sampled_from(CASES), spans=st.lists(st.integers(1, 19), min_size=1, max_size=12))
def test_swings_shorter_than_the_delay_change_nothing(case: Case, spans: list[int]) -> None:
    """However large the swings: as long as none lasts for the delay, no level moves."""
    extremes = cycle([case.sample(case.alarm, case.hysteresis), HEALTHY])
    samples = [sample for span, sample in zip(spans, extremes, strict=False) for _ in range(span)]
    assert set(levels_of(case.name, watch(samples, period_s=0.1))) == {OK}


spans = st.lists(
    st.tuples(st.sampled_from([3.3, 3.675, 3.69, 3.71, 3.725, 3.74, 3.76]), st.integers(1, 20)), min_size=1, max_size=12
)


@given(spans=spans, delay_s=st.sampled_from([0.0, 0.5, 2.0]))
def test_level_follows_from_the_last_seconds(spans: list[tuple[float, int]], delay_s: float) -> None:
    """Against the definition: beyond a threshold for the whole delay sets a level, short of it as long clears it."""
    values = [value_v for value_v, count in spans for _ in range(count)]
    period_s, needed = 0.125, round(delay_s * 8) + 1
    samples = [with_cells(3.2, value_v) for value_v in values]
    found = levels_of(AlarmName.HIGH_VOLTAGE, watch(samples, AlarmSettings(delay_s=delay_s), period_s=period_s))
    held = {WARNING: False, ALARM: False}
    for last, level in enumerate(found, start=1):
        window = values[max(0, last - needed) : last]
        for name, threshold_v in ((WARNING, 3.70), (ALARM, 3.75)):
            if len(window) == needed:
                if all(value_v >= threshold_v for value_v in window):
                    held[name] = True
                elif all(value_v < threshold_v - 0.02 for value_v in window):
                    held[name] = False
        expected = ALARM if held[ALARM] else WARNING if held[WARNING] else OK
        assert level is expected


@given(st.lists(st.tuples(st.floats(2.0, 4.2), st.floats(-90.0, 90.0), st.floats(-50.0, 90.0)), max_size=40))
def test_levels_move_only_for_watched_alarms(values: list[tuple[float, float, float]]) -> None:
    """Whatever is measured, the same alarms stay watched, and nobody can change the result afterwards."""
    samples = [
        replace(with_cells(3.3, cell_v), pack=replace(HEALTHY.pack, current_a=current_a), temperatures=Temperatures(c))
        for cell_v, current_a, c in values
    ]
    alarms = watch(samples)
    assert all(before.levels.keys() == after.levels.keys() for before, after in pairwise(alarms))
    for each in alarms:
        with pytest.raises(TypeError):
            each.levels[AlarmName.GENERAL] = OK  # type: ignore[index]  # shows that it cannot be done


@pytest.mark.parametrize(
    ("sample", "name", "text"),
    [
        (with_cells(3.3, 3.762), AlarmName.HIGH_VOLTAGE, "cell 3 at 3.762 V, threshold 3.750 V"),
        (with_cells(3.3, 3.712), AlarmName.HIGH_VOLTAGE, "cell 3 at 3.712 V, threshold 3.700 V"),
        (with_cells(2.42, 3.3), AlarmName.LOW_VOLTAGE, "cell 1 at 2.420 V, threshold 2.500 V"),
        (with_sensor(61.5), AlarmName.HIGH_TEMPERATURE, "internal sensor at 61.5 °C, threshold 60.0 °C"),
        (
            replace(HEALTHY, temperatures=Temperatures(20.0, 15.0, -36.0)),
            AlarmName.LOW_TEMPERATURE,
            "external sensor 2 at -36.0 °C, threshold -35.0 °C",
        ),
        (
            with_sensor(0.5, 10.0),
            AlarmName.LOW_TEMPERATURE_CHARGE,
            "internal sensor at 0.5 °C, threshold 1.0 °C",
        ),
        (with_current(61.0), AlarmName.HIGH_CHARGE_CURRENT, "charge current at 61.0 A, threshold 60.0 A"),
        (with_current(-121.0), AlarmName.HIGH_DISCHARGE_CURRENT, "discharge current at 121.0 A, threshold 120.0 A"),
        (with_cells(3.3, 3.45), AlarmName.CELL_IMBALANCE, "cells 1 and 3 differ by 150 mV, threshold 100 mV"),
    ],
)
def test_an_alarm_tells_value_and_threshold(sample: Snapshot, name: AlarmName, text: str) -> None:
    """What was measured where, and what it is held against: the line says what to look at."""
    cause = settled(sample).causes[name]

    assert str(cause) == text
    assert cause.value is not None
    assert cause.threshold is not None
    assert f"{cause.unit}, threshold" in text


def test_the_pack_voltage_of_the_user_is_told_as_such() -> None:
    """It says nothing of a single cell."""
    alarms = settled(with_pack_v(15.2), AlarmSettings(overvoltage_v=15.0))

    assert str(alarms.causes[AlarmName.HIGH_VOLTAGE]) == "pack at 15.200 V, threshold 15.010 V"


def test_a_cause_stays_while_the_level_does_and_a_clearing_tells_where_the_value_is() -> None:
    """Written once when it rises and once when it is over, with the value of that moment."""
    high, higher, back = with_cells(3.3, 3.762), with_cells(3.3, 3.79), with_cells(3.3, 3.5)
    seen = watch([high] * 4 + [higher] * 4 + [back] * 4 + [HEALTHY] * 4)
    texts = [str(each.causes.get(AlarmName.HIGH_VOLTAGE, "")) for each in seen]

    raised, cleared = "cell 3 at 3.762 V, threshold 3.750 V", "cell 3 at 3.500 V, threshold 3.700 V"
    assert texts[3] == texts[7] == raised
    assert cleared in texts[8:12]
    assert texts[-1] == ""
    assert AlarmName.HIGH_VOLTAGE not in seen[-1].active()


@pytest.mark.parametrize(
    ("sample", "name", "cause"),
    [
        (replace(HEALTHY, open_events=(0x0B,)), AlarmName.CONTACTOR, "reported by the BMS: "),
        (replace(HEALTHY, open_events=(0x03,)), AlarmName.HIGH_VOLTAGE, "reported by the BMS: "),
        (
            replace(HEALTHY, pack=replace(HEALTHY.pack, status=BmsStatus.FAULT)),
            AlarmName.BMS_INTERNAL,
            "the BMS is in a fault",
        ),
        (
            replace(HEALTHY, pack=replace(HEALTHY.pack, status=BmsStatus.FAULT), open_events=(0x0C, 0x31)),
            AlarmName.BMS_INTERNAL,
            f"the BMS is in a fault: {kind_of(0x0C).text}",
        ),
        (
            replace(HEALTHY, pack=replace(HEALTHY.pack, soc_known=False)),
            AlarmName.BMS_INTERNAL,
            "the BMS gives no state of charge that can be",
        ),
    ],
)
def test_an_alarm_that_nothing_measured_raises_tells_who_says_so(sample: Snapshot, name: AlarmName, cause: str) -> None:
    """A number would be invented there."""
    found = watch([sample])[0].causes[name]

    assert found.text.startswith(cause)
    assert not found.text.endswith(": ")
    assert (found.value, found.threshold, found.unit) == (None, None, "")


def test_a_loose_wire_and_missing_data_are_told() -> None:
    """Both are the bridge's own findings."""
    loose = evaluate(AlarmMemory(), HEALTHY, Freshness.FRESH, AlarmSettings(), 1.0, loose_wire=True)
    held = evaluate(AlarmMemory(), HEALTHY, Freshness.HOLD, AlarmSettings(), 1.0)

    assert loose.alarms.causes[AlarmName.BMS_INTERNAL] == AlarmCause(message("cause.loose_wire"))
    assert held.alarms.causes[AlarmName.BMS_INTERNAL] == AlarmCause(message("cause.no_data"))


def test_nothing_is_made_anew_while_no_level_changes() -> None:
    """Ten times a second the same alarms."""
    memory = evaluate(AlarmMemory(), HEALTHY, Freshness.FRESH, AlarmSettings(), 1.0)

    assert evaluate(memory, HEALTHY, Freshness.FRESH, AlarmSettings(), 2.0).alarms is memory.alarms


SAMPLES = st.builds(
    lambda cells, pack, sensors, events, rated: replace(
        HEALTHY, cells=cells, pack=pack, temperatures=sensors, open_events=events, ratings=RATINGS if rated else None
    ),
    st.lists(st.sampled_from([3.3, 3.3, 2.5, 2.9, 2.901, 3.699, 3.7, 3.75, 3.69]), min_size=1, max_size=4).map(
        lambda cells: Cells(tuple(cells))
    ),
    st.builds(
        PackValues,
        voltage_v=st.sampled_from([13.2, 13.2, 10.0, 11.0, 14.0, 14.01, 15.0]),
        current_a=st.sampled_from([0.0, 0.0, 2.0, 4.0, 57.0, 60.0, -114.0, -120.0, 55.0]),
        soc_percent=st.just(50.0),
        status=st.sampled_from([BmsStatus.IDLE, BmsStatus.IDLE, BmsStatus.CHARGING, BmsStatus.FAULT]),
        soc_known=st.sampled_from([True, True, True, False]),
    ),
    st.builds(
        Temperatures,
        internal_c=st.none() | st.sampled_from([25.0, 25.0, 1.0, 1.1, -40.0, 55.0, 60.0]),
        external_1_c=st.none() | st.sampled_from([25.0, 0.9]),
    ),
    st.sampled_from([(), (), (), (0x02,), (0x0B,)]),
    st.sampled_from([True, True, True, True, False]),
)


@given(
    steps=st.lists(
        st.tuples(SAMPLES, st.integers(1, 4), st.sampled_from([Freshness.FRESH, Freshness.FRESH, Freshness.HOLD])),
        max_size=12,
    ),
    settings=st.sampled_from(
        [AlarmSettings(), AlarmSettings(overvoltage_v=14.0, undervoltage_v=11.0), AlarmSettings(imbalance_warn_mv=50.0)]
    ),
    loose=st.booleans(),
)
def test_what_is_remembered_of_a_calm_battery_changes_nothing(
    steps: list[tuple[Snapshot, int, Freshness]], settings: AlarmSettings, loose: bool
) -> None:
    """A decision that finds everything as calm as before is the one that would have been worked out."""
    short, long, now_s = AlarmMemory(), AlarmMemory(), 0.0
    for snapshot, times, freshness in steps:
        for _ in range(times):
            now_s += 0.7
            wire = loose and now_s > 10.0
            short = evaluate(short, snapshot, freshness, settings, now_s, loose_wire=wire)
            long = evaluate(replace(long, calm=None), snapshot, freshness, settings, now_s, loose_wire=wire)
            assert short == long
            assert short.alarms.causes == long.alarms.causes


def test_a_calm_battery_costs_no_decision() -> None:
    """Months in which nothing happens are most of a battery's life: the memory is the same object then."""
    first = evaluate(AlarmMemory(), HEALTHY, Freshness.FRESH, SETTINGS, 0.0)
    other = replace(HEALTHY, sequence=2, cells=Cells((3.31, 3.30, 3.30, 3.32)))

    assert evaluate(first, other, Freshness.FRESH, SETTINGS, 0.1) is first
    assert evaluate(first, with_cells(3.3, 3.7), Freshness.FRESH, SETTINGS, 0.1).waiting
    assert evaluate(first, with_sensor(None), Freshness.FRESH, SETTINGS, 0.1) != first
    assert evaluate(first, other, Freshness.FRESH, SETTINGS, 0.1, loose_wire=True) != first
