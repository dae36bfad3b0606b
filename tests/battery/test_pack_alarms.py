"""Alarms of several packs."""

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.pack_alarms import alarms_together, cause_of_condition
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.words import message

OK, WARNING, ALARM = AlarmLevel.OK, AlarmLevel.WARNING, AlarmLevel.ALARM
HIGH, INTERNAL = AlarmName.HIGH_VOLTAGE, AlarmName.BMS_INTERNAL


def alarms(level: AlarmLevel, name: AlarmName = HIGH, cell: int = 3) -> Alarms:
    """Return the alarms of a pack with one at a level."""
    levels = dict.fromkeys((HIGH, INTERNAL), OK) | {name: level}
    cause = AlarmCause(message("cause.cell_voltage", cell=cell, value=3.7, threshold=3.65), 3.7, 3.65, "V")
    return Alarms(MappingProxyType(levels), MappingProxyType({name: cause} if level else {}))


def silent(pack: str, silent_s: float = 5.0) -> AlarmCause:
    """Return the cause of a silent pack."""
    cause = cause_of_condition(pack, PackCondition.SILENT, silent_s=silent_s)
    assert cause is not None
    return cause


def test_the_worst_pack_counts_with_its_name() -> None:
    """A warning of one and an alarm of another are an alarm of the other, and its cell is named."""
    found = alarms_together(Alarms(), {"a": alarms(WARNING, cell=1), "b": alarms(ALARM, cell=9), "c": alarms(OK)}, [])
    assert found.levels == {HIGH: ALARM, INTERNAL: OK}
    cause = found.causes[HIGH]
    assert cause.pack == "b"
    assert cause.message.parameters["cell"] == 9
    assert cause.text.startswith("pack b: ")


def test_of_two_that_are_as_bad_the_first_is_named() -> None:
    """In the order of the configuration."""
    found = alarms_together(Alarms(), {"b": alarms(ALARM), "a": alarms(ALARM)}, [])
    assert found.causes[HIGH].pack == "b"


def test_nothing_new_is_the_same_object() -> None:
    """What shows alarms knows by the object whether anything has changed; how long a pack is silent is no change."""
    packs = {"a": alarms(WARNING), "b": alarms(OK)}
    first = alarms_together(Alarms(), packs, [(WARNING, silent("b", 4.0))])
    assert alarms_together(first, packs, [(WARNING, silent("b", 9.0))]) is first


def test_an_alarm_that_goes_over_to_another_pack_names_that() -> None:
    """The level stays as it is, the place does not."""
    first = alarms_together(Alarms(), {"a": alarms(ALARM), "b": alarms(OK)}, [(WARNING, silent("a"))])
    then = alarms_together(first, {"a": alarms(OK), "b": alarms(ALARM)}, [(WARNING, silent("b"))])
    assert then.levels == first.levels
    assert (then.causes[HIGH].pack, then.causes[INTERNAL].pack) == ("b", "b")


def test_another_reason_of_the_same_pack_is_told() -> None:
    """It was silent, and joins now."""
    first = alarms_together(Alarms(), {"b": alarms(OK)}, [(WARNING, silent("a"))])
    joining = cause_of_condition("a", PackCondition.JOINING, apart_v=2.0)
    assert joining is not None
    then = alarms_together(first, {"b": alarms(OK)}, [(WARNING, joining)])
    assert then.causes[INTERNAL].message.code == "cause.pack_joining"


def test_the_part_of_a_pack_is_an_internal_alarm() -> None:
    """A silent pack is one even where no other pack has any alarm; it clears with it."""
    found = alarms_together(Alarms(), {"b": alarms(OK)}, [(ALARM, silent("a"))])
    assert found.levels[INTERNAL] is ALARM
    assert found.causes[INTERNAL].pack == "a"
    over = alarms_together(found, {"a": alarms(OK), "b": alarms(OK)}, [])
    assert over.levels[INTERNAL] is OK


def test_the_worse_of_two_parts_is_told() -> None:
    """An odd pack is worse than one that joins; the order does not matter."""
    odd = cause_of_condition("b", PackCondition.ODD, cells=15, expected=16)
    joining = cause_of_condition("a", PackCondition.JOINING, apart_v=2.0)
    assert odd is not None
    assert joining is not None
    for parts in ([(WARNING, joining), (ALARM, odd)], [(ALARM, odd), (WARNING, joining)]):
        found = alarms_together(Alarms(), {"c": alarms(OK)}, parts)
        assert (found.levels[INTERNAL], found.causes[INTERNAL].pack) == (ALARM, "b")


def test_an_alarm_of_a_bms_is_not_hidden_by_a_part() -> None:
    """A BMS that tells of an internal fault stays named while another pack is only silent for a moment."""
    found = alarms_together(Alarms(), {"b": alarms(ALARM, INTERNAL)}, [(WARNING, silent("a"))])
    assert (found.levels[INTERNAL], found.causes[INTERNAL].pack) == (ALARM, "b")


def test_a_part_is_an_alarm_where_no_pack_is_seen() -> None:
    """No pack is measured any more."""
    assert alarms_together(Alarms(), {}, [(ALARM, silent("a"))]).levels == {INTERNAL: ALARM}
    assert alarms_together(Alarms(), {}, []).levels == {}


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (PackCondition.IN_USE, None),
        (PackCondition.STARTING, None),
        (PackCondition.OUT_OF_SERVICE, None),
        (PackCondition.SILENT, "cause.pack_silent"),
        (PackCondition.JOINING, "cause.pack_joining"),
        (PackCondition.ODD, "cause.pack_odd"),
    ],
)
def test_which_part_is_a_cause(condition: PackCondition, code: str | None) -> None:
    """A pack that somebody took out, or that has only begun, raises nothing."""
    cause = cause_of_condition("a", condition, silent_s=5.0, apart_v=2.0, cells=15, expected=16)
    assert (None if cause is None else cause.message.code) == code
    assert cause is None or cause.pack == "a"


def test_a_double_unit_names_the_port_and_an_unsteady_pack_says_so() -> None:
    """Whoever reads the alarm knows where to look."""
    double = cause_of_condition("b", PackCondition.ODD, device="/dev/ttyUSB1", cells=16, expected=16)
    unsteady = cause_of_condition("b", PackCondition.SILENT, unsteady=True)
    assert double is not None
    assert unsteady is not None
    assert double.text == "pack b: the same unit answers at /dev/ttyUSB1, too"
    assert unsteady.text == "pack b: its readings come and go"


LEVELS = st.sampled_from(AlarmLevel)


@given(
    st.dictionaries(st.sampled_from("abcd"), LEVELS), st.lists(st.tuples(LEVELS, st.sampled_from("efg")), max_size=3)
)
def test_it_is_the_worst_of_all(packs: dict[str, AlarmLevel], parts: list[tuple[AlarmLevel, str]]) -> None:
    """Whatever the packs tell: the level is the highest, and the named pack has it."""
    conditions = [(level, silent(name)) for level, name in parts]
    found = alarms_together(Alarms(), {name: alarms(level, INTERNAL) for name, level in packs.items()}, conditions)
    told = [*packs.values(), *(level for level, _ in parts)]
    assert found.levels.get(INTERNAL, OK) == max(told, default=OK)
    cause = found.causes.get(INTERNAL)
    if cause is not None and found.levels[INTERNAL] is not OK:
        assert (found.levels[INTERNAL], cause.pack) in {*((level, name) for name, level in packs.items()), *parts}
