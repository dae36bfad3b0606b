"""Alarm rules: from the BMS's own thresholds unless configured, with hysteresis and delay, as a pure function.

Every rule compares one value with a warning and an alarm threshold. A level is reached when the value stays beyond
its threshold for the delay, and left when the value is back by the hysteresis. Several rules may watch for one alarm,
and open events of the BMS raise it, too: the worst level counts.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity, kind_of, severity_of
from tinybms_bridge.battery.event_alarms import alarm_of_event, alarms_of_events
from tinybms_bridge.battery.freshness import HOLD, SILENT, Freshness
from tinybms_bridge.battery.quick import by_settings, maker, quick
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.words import Message, message

__all__ = ["AlarmMemory", "AlarmRule", "AlarmSettings", "evaluate", "rules_for"]

_COLD_FAULT_C = -40.0
"""Below this the BMS switches everything off; fixed in its firmware (tinybms-protocol.md, 5.1)."""


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """The user's thresholds; None = from the BMS's own settings."""

    overvoltage_v: float | None = None
    """Pack voltage above which the high-voltage alarm is raised, besides that of the cells."""
    undervoltage_v: float | None = None
    overtemp_c: float | None = None
    low_temp_charge_c: float | None = None
    imbalance_warn_mv: float | None = None
    imbalance_alarm_mv: float | None = None
    charging_above_a: float = 3.0
    """Current above which the battery counts as charging for the cold-charge alarm (the ESP32 firmware's figure)."""
    delay_s: float = 2.0


RuleKey: TypeAlias = tuple[AlarmName, str]
"""Name of the alarm, and what is measured."""


@quick
@dataclass(frozen=True, slots=True)
class AlarmRule:
    """One comparison. ``high`` rules fire at or above a threshold, the others at or below."""

    name: AlarmName
    value: float | None
    """The measured value; None = no sensor, the alarm is not supported."""
    warning: float | None
    alarm: float
    hysteresis: float
    high: bool = True
    of: str = "cells"
    """What is measured, where several rules have one name."""

    @property
    def key(self) -> "RuleKey":
        """Tells this rule from every other one."""
        return self.name, self.of

    def level(self, present: AlarmLevel) -> AlarmLevel:
        """Return the level of the value, keeping ``present`` while the value is within the hysteresis."""
        if self._beyond(self.alarm, kept=present >= AlarmLevel.ALARM):
            return AlarmLevel.ALARM
        if self.warning is not None and self._beyond(self.warning, kept=present >= AlarmLevel.WARNING):
            return AlarmLevel.WARNING
        return AlarmLevel.OK

    def _beyond(self, threshold: float, *, kept: bool) -> bool:
        assert self.value is not None
        room = self.hysteresis if kept else 0.0
        return self.value >= threshold - room if self.high else self.value <= threshold + room


@quick
@dataclass(frozen=True, slots=True)
class _Calm:
    """What no value of a calm battery is beyond: the first threshold of each rule."""

    high_cell_v: float
    low_cell_v: float
    high_pack_v: float
    low_pack_v: float
    hot_c: float
    cold_c: float
    charge_a: float
    discharge_a: float
    difference_mv: float

    def holds(self, snapshot: Snapshot) -> bool:
        """Return whether no value is beyond any threshold."""
        cells, pack, sensors_c = snapshot.cells, snapshot.pack, snapshot.temperatures.pack_c
        return not (
            cells.max_v >= self.high_cell_v
            or cells.min_v <= self.low_cell_v
            or cells.delta_mv >= self.difference_mv
            or pack.current_a >= self.charge_a
            or -pack.current_a >= self.discharge_a
            or pack.voltage_v >= self.high_pack_v
            or pack.voltage_v <= self.low_pack_v
            or (sensors_c and (max(sensors_c) >= self.hot_c or min(sensors_c) <= self.cold_c))
        )


@quick
@dataclass(frozen=True, slots=True)
class AlarmMemory:
    """Levels in force and changes that wait for their delay."""

    alarms: Alarms = field(default_factory=Alarms)
    measured: Mapping[RuleKey, AlarmLevel] = field(default_factory=lambda: MappingProxyType({}))
    """The level of each rule, whatever the BMS says."""
    waiting: Mapping[tuple[RuleKey, AlarmLevel], float] = field(default_factory=lambda: MappingProxyType({}))
    """Since when a value is on the other side of a level than the level in force says."""
    calm: _Calm | None = field(default=None, compare=False)
    """Thresholds with which every level is OK and nothing waits; None while that is not so."""
    with_sensors: bool = field(default=False, compare=False)
    """Whether temperatures were measured then."""


_new_rule, _new_memory = maker(AlarmRule), maker(AlarmMemory)


def evaluate(
    memory: AlarmMemory,
    snapshot: Snapshot,
    freshness: Freshness,
    settings: AlarmSettings,
    now_s: float,
    *,
    loose_wire: bool = False,
) -> AlarmMemory:
    """Return the alarms at ``now_s``; a snapshot without ratings gives only the BMS's own state.

    The snapshot is what counts of the last readings, so that no alarm rests on one of them. ``loose_wire``: a sense
    wire must be loose.
    """
    ratings = snapshot.ratings
    calm = None if ratings is None else _calm(ratings, settings)
    internal, with_sensors = _internal(snapshot, freshness, loose_wire), bool(snapshot.temperatures.pack_c)
    if calm is not None and internal is AlarmLevel.OK and not snapshot.open_events and calm.holds(snapshot):
        if memory.calm is calm and memory.with_sensors is with_sensors:
            return memory  # nothing else can come of it, ten times a second for months
    else:
        calm = None
    rules = () if ratings is None else rules_for(snapshot, ratings, settings)
    alarms = memory.alarms
    measured, waiting = _measured(memory, rules, settings.delay_s, now_s)
    levels = alarms_of_events(snapshot.open_events)
    for (name, _), level in measured.items():
        levels[name] = max(level, levels.get(name, AlarmLevel.OK))
    levels[AlarmName.BMS_INTERNAL] = internal
    if levels != alarms.levels:
        causes = _causes(memory, levels, rules, measured, snapshot, loose_wire=loose_wire)
        alarms = Alarms(MappingProxyType(levels), MappingProxyType(causes))
    if waiting or any(levels.values()):
        calm = None
    return _new_memory(alarms, MappingProxyType(measured), MappingProxyType(waiting), calm, with_sensors)


@by_settings
def _calm(ratings: Ratings, settings: AlarmSettings) -> _Calm:
    """Return the first threshold of each rule; which cells, current and temperatures there are changes none of them."""
    nothing = Snapshot(0, 0.0, PackValues(0.0, 0.0, 0.0), Cells((0.0,)), Temperatures(internal_c=0.0))
    first: dict[RuleKey, float] = {}
    for rule in rules_for(nothing, ratings, settings):
        thresholds = (rule.alarm,) if rule.warning is None else (rule.warning, rule.alarm)
        first[rule.key] = min(thresholds) if rule.high else max(thresholds)

    def of(name: AlarmName, measured: str = "cells") -> float:
        return first[name, measured]

    return _Calm(
        high_cell_v=of(AlarmName.HIGH_VOLTAGE),
        low_cell_v=of(AlarmName.LOW_VOLTAGE),
        high_pack_v=first.get((AlarmName.HIGH_VOLTAGE, "pack"), math.inf),
        low_pack_v=first.get((AlarmName.LOW_VOLTAGE, "pack"), -math.inf),
        hot_c=of(AlarmName.HIGH_TEMPERATURE),
        cold_c=max(of(AlarmName.LOW_TEMPERATURE), of(AlarmName.LOW_TEMPERATURE_CHARGE)),
        charge_a=of(AlarmName.HIGH_CHARGE_CURRENT),
        discharge_a=of(AlarmName.HIGH_DISCHARGE_CURRENT),
        difference_mv=of(AlarmName.CELL_IMBALANCE),
    )


def _causes(
    memory: AlarmMemory,
    levels: Mapping[AlarmName, AlarmLevel],
    rules: Iterable[AlarmRule],
    measured: Mapping[RuleKey, AlarmLevel],
    snapshot: Snapshot,
    *,
    loose_wire: bool,
) -> dict[AlarmName, AlarmCause]:
    """Return the cause of each level that changes, and keep that of an alarm that goes on as it is."""
    before, causes = memory.alarms, {}
    for name, level in levels.items():
        old = before.levels.get(name, AlarmLevel.OK)
        cause = before.causes.get(name) if level is old else None
        if level is not old:
            reaching = [rule for rule in rules if rule.name is name and rule.key in measured]
            if level is AlarmLevel.OK:  # what was beyond a threshold tells where it is now
                reaching.sort(key=lambda rule: memory.measured.get(rule.key, AlarmLevel.OK), reverse=True)
            else:
                reaching = [rule for rule in reaching if measured[rule.key] >= level]
            cause = _measured_cause(reaching[0], max(level, AlarmLevel.WARNING), snapshot) if reaching else None
            cause = cause or _reported_cause(name, level, snapshot, loose_wire)
        if cause is not None and (level is not old or level is not AlarmLevel.OK):
            causes[name] = cause
    return causes


_UNITS: Mapping[AlarmName, str] = MappingProxyType(
    {
        AlarmName.HIGH_VOLTAGE: "V",
        AlarmName.LOW_VOLTAGE: "V",
        AlarmName.HIGH_TEMPERATURE: "°C",
        AlarmName.LOW_TEMPERATURE: "°C",
        AlarmName.LOW_TEMPERATURE_CHARGE: "°C",
        AlarmName.HIGH_CHARGE_CURRENT: "A",
        AlarmName.HIGH_DISCHARGE_CURRENT: "A",
        AlarmName.CELL_IMBALANCE: "mV",
    }
)
"""Units of what the rules measure."""


def _measured_cause(rule: AlarmRule, level: AlarmLevel, snapshot: Snapshot) -> AlarmCause:
    """Return value and threshold of a rule; those of a warning for an alarm that has none."""
    assert rule.value is not None
    threshold = rule.warning if level is AlarmLevel.WARNING and rule.warning is not None else rule.alarm
    told = _measured_message(rule, rule.value, threshold, snapshot)
    return AlarmCause(told, rule.value, threshold, _UNITS[rule.name])


def _measured_message(rule: AlarmRule, value: float, threshold: float, snapshot: Snapshot) -> Message:
    """Return what a rule measures, for example ``cell 3 at 3.762 V, threshold 3.750 V``."""
    cells, sensors = snapshot.cells, snapshot.temperatures
    match rule.name:
        case AlarmName.CELL_IMBALANCE:
            apart = (cells.min_number, cells.max_number)
            return message("cause.imbalance", cells=apart, value=value, threshold=threshold)
        case AlarmName.HIGH_VOLTAGE | AlarmName.LOW_VOLTAGE if rule.of == "cells":
            number = cells.max_number if rule.high else cells.min_number
            return message("cause.cell_voltage", cell=number, value=value, threshold=threshold)
        case AlarmName.HIGH_CHARGE_CURRENT:
            return message("cause.charge_current", value=value, threshold=threshold)
        case AlarmName.HIGH_DISCHARGE_CURRENT:
            return message("cause.discharge_current", value=value, threshold=threshold)
        case AlarmName.HIGH_TEMPERATURE | AlarmName.LOW_TEMPERATURE | AlarmName.LOW_TEMPERATURE_CHARGE:
            external = {"external sensor 1": sensors.external_1_c, "external sensor 2": sensors.external_2_c}
            sensor = next((name for name, found in external.items() if found == value), "internal sensor")
            return message("cause.temperature", sensor=sensor, value=value, threshold=threshold)
    return message("cause.pack_voltage", value=value, threshold=threshold)


def _reported_cause(name: AlarmName, level: AlarmLevel, snapshot: Snapshot, loose_wire: bool) -> AlarmCause | None:
    """Return the words of the BMS, or of the bridge, for an alarm that no rule of ours has raised."""
    if level is AlarmLevel.OK:
        return None
    reported = [kind_of(number).message for number in snapshot.open_events if alarm_of_event(number) is name]
    if reported:
        return AlarmCause(message("cause.reported", event=reported[-1]))
    if name is not AlarmName.BMS_INTERNAL:
        return None
    if snapshot.pack.status is BmsStatus.FAULT:
        faults = [kind_of(each).message for each in snapshot.open_events if severity_of(each) is Severity.FAULT]
        return AlarmCause(message("cause.fault", events=faults))
    if loose_wire:
        return AlarmCause(message("cause.loose_wire"))
    if not snapshot.pack.soc_known:
        return AlarmCause(message("cause.no_soc"))
    return AlarmCause(message("cause.no_data")) if level is AlarmLevel.WARNING else None


def _measured(
    memory: AlarmMemory, rules: Iterable[AlarmRule], delay_s: float, now_s: float
) -> tuple[dict[RuleKey, AlarmLevel], dict[tuple[RuleKey, AlarmLevel], float]]:
    """Return the level of each rule that has a value, and the changes that wait for their delay."""
    levels: dict[RuleKey, AlarmLevel] = {}
    waiting: dict[tuple[RuleKey, AlarmLevel], float] = {}
    for rule in rules:
        if rule.value is None:
            continue
        present = memory.measured.get(rule.key, AlarmLevel.OK)
        crossed = _crossed(memory, rule.key, present, rule.level(present), now_s)
        lasted = {level for level, since_s in crossed.items() if now_s - since_s >= delay_s}
        levels[rule.key] = _level(present, lasted)
        waiting |= {(rule.key, level): since_s for level, since_s in crossed.items() if level not in lasted}
    return levels, waiting


def _crossed(
    memory: AlarmMemory, key: RuleKey, present: AlarmLevel, wanted: AlarmLevel, now_s: float
) -> dict[AlarmLevel, float]:
    """Return the levels that the value has crossed, and since when.

    Each level has its own time: a value that swings about the alarm threshold is beyond the warning all the while.
    """
    return {
        level: memory.waiting.get((key, level), now_s)
        for level in (AlarmLevel.WARNING, AlarmLevel.ALARM)
        if (wanted >= level) != (present >= level)
    }


def _level(present: AlarmLevel, lasted: set[AlarmLevel]) -> AlarmLevel:
    """Return the highest level that holds when ``lasted`` change sides."""
    holding = [level for level in (AlarmLevel.WARNING, AlarmLevel.ALARM) if (present >= level) != (level in lasted)]
    return max(holding, default=AlarmLevel.OK)


def _internal(snapshot: Snapshot, freshness: Freshness, loose_wire: bool) -> AlarmLevel:
    """A fault of the BMS or of what it measures is an alarm; missing data is a warning. No delay: all are confirmed."""
    if snapshot.pack.status is BmsStatus.FAULT or loose_wire or not snapshot.pack.soc_known:
        return AlarmLevel.ALARM
    return AlarmLevel.WARNING if freshness is HOLD or freshness is SILENT else AlarmLevel.OK


def rules_for(snapshot: Snapshot, ratings: Ratings, settings: AlarmSettings) -> tuple[AlarmRule, ...]:
    """Return every rule with its present value and thresholds."""
    return (
        *_voltage_rules(snapshot, ratings, settings),
        *_temperature_rules(snapshot, ratings, settings),
        *_current_rules(snapshot, ratings),
        _imbalance_rule(snapshot, ratings, settings),
    )


def _voltage_rules(snapshot: Snapshot, ratings: Ratings, settings: AlarmSettings) -> Iterator[AlarmRule]:
    """Yield the rules of the cells, and those of the pack that are configured: these say nothing of a single cell."""
    cells, pack_v = snapshot.cells, snapshot.pack.voltage_v
    over_v, under_v = ratings.over_voltage_cell_v, ratings.under_voltage_cell_v
    midway_v = (ratings.fully_charged_cell_v + over_v) / 2.0
    empty_v = ratings.fully_discharged_cell_v
    yield _new_rule(AlarmName.HIGH_VOLTAGE, cells.max_v, midway_v, over_v, hysteresis=0.02)
    yield _new_rule(AlarmName.LOW_VOLTAGE, cells.min_v, empty_v, under_v, hysteresis=0.05, high=False)
    if settings.overvoltage_v is not None:
        yield _new_rule(AlarmName.HIGH_VOLTAGE, pack_v, None, settings.overvoltage_v + 0.01, hysteresis=0.2, of="pack")
    if settings.undervoltage_v is not None:
        yield _new_rule(AlarmName.LOW_VOLTAGE, pack_v, None, settings.undervoltage_v, 0.5, high=False, of="pack")


def _temperature_rules(
    snapshot: Snapshot, ratings: Ratings, settings: AlarmSettings
) -> tuple[AlarmRule, AlarmRule, AlarmRule]:
    hottest_c, coldest_c = snapshot.temperatures.hottest_c, snapshot.temperatures.coldest_c
    hot_c = ratings.over_heat_c if settings.overtemp_c is None else settings.overtemp_c
    cold_c = ratings.low_temperature_charge_c if settings.low_temp_charge_c is None else settings.low_temp_charge_c
    charging = snapshot.pack.current_a > settings.charging_above_a
    return (
        _new_rule(AlarmName.HIGH_TEMPERATURE, hottest_c, hot_c - 5.0, hot_c, hysteresis=2.0),
        _new_rule(AlarmName.LOW_TEMPERATURE, coldest_c, _COLD_FAULT_C + 5.0, _COLD_FAULT_C, 2.0, high=False),
        # Cold alone only means that charging has to wait; charging while cold is what harms the cells.
        _new_rule(
            AlarmName.LOW_TEMPERATURE_CHARGE,
            coldest_c,
            cold_c,
            cold_c if charging else float("-inf"),
            hysteresis=1.0,
            high=False,
        ),
    )


def _current_rules(snapshot: Snapshot, ratings: Ratings) -> tuple[AlarmRule, AlarmRule]:
    current_a = snapshot.pack.current_a
    charge_a, discharge_a = ratings.charge_over_current_a, ratings.discharge_over_current_a
    # The limits offer 0.9 of the cutoff: a warning must clear there, so its hysteresis ends above that.
    return (
        _new_rule(AlarmName.HIGH_CHARGE_CURRENT, current_a, 0.95 * charge_a, charge_a, 0.03 * charge_a),
        _new_rule(AlarmName.HIGH_DISCHARGE_CURRENT, -current_a, 0.95 * discharge_a, discharge_a, 0.03 * discharge_a),
    )


def _imbalance_rule(snapshot: Snapshot, ratings: Ratings, settings: AlarmSettings) -> AlarmRule:
    """Twice the disbalance the BMS allows, but at least 100 mV: cells part widely near full without harm."""
    warn_mv, alarm_mv = settings.imbalance_warn_mv, settings.imbalance_alarm_mv
    if warn_mv is None:
        warn_mv = max(100.0, 2.0 * ratings.allowed_disbalance_mv)
        if alarm_mv is not None:  # what the user said wins over what follows from the BMS
            warn_mv = min(warn_mv, alarm_mv)
    if alarm_mv is None:
        alarm_mv = 2.0 * warn_mv
    delta_mv = snapshot.cells.delta_mv
    return _new_rule(AlarmName.CELL_IMBALANCE, delta_mv, warn_mv, max(alarm_mv, warn_mv), hysteresis=0.2 * warn_mv)
