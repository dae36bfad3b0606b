from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.settings import Readout, violations
from tinybms_bridge.tinybms.settings.fields import by_name
from tinybms_bridge.tinybms.settings.rules import PINNED, Severity, pin_of

Make = Callable[..., Readout]
Judge = Callable[[dict[int, int], int], list[str]]


def found(make: Make, changes: dict[int, int], firmware: int = 254) -> list[str]:
    """Return the messages for delivered settings with ``changes``."""
    return [each.message for each in violations(make(changes, firmware=firmware).words, firmware)]


@pytest.mark.parametrize("firmware", [242, 254])
def test_delivered_settings_break_no_rule(readout: Make, firmware: int) -> None:
    """A rule that the simulated unit breaks as delivered would be wrong."""
    assert found(readout, {}, firmware) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {300: 3741},
            "fully_charged_voltage_v (3.741 V) must be at least 10 mV below over_voltage_cutoff_v (3.75 V)",
        ),
        (
            {301: 3591},
            "fully_discharged_voltage_v (3.591 V) must be at least 10 mV below fully_charged_voltage_v (3.6 V)",
        ),
        (
            {316: 2791},
            "under_voltage_cutoff_v (2.791 V) must be at least 10 mV below fully_discharged_voltage_v (2.8 V)",
        ),
        (
            {305: 149},
            "discharge_peak_current_cutoff_a (149 A) must be above discharge_over_current_cutoff_a (150 A)",
        ),
        (
            {342: 3, 343: 2},
            "broadcast_time (0.5s) is too fast for broadcast_protocol (soc_bar); from 1s on, or disabled",
        ),
        ({331: 1, 333: 2}, "charger_switch_type (aido1) and load_switch_type (aido1) use the same pin aido1"),
        ({330: 2}, "charger_type (can_reserved) is reserved; the vendor supports cc_cv only"),
    ],
)
def test_each_rule_names_both_sides_with_their_values(readout: Make, changes: dict[int, int], message: str) -> None:
    """The user sees what to change, and to what."""
    assert found(readout, changes) == [message]


@pytest.mark.parametrize(
    "changes", [{300: 3740}, {301: 3590}, {316: 2790}, {305: 151}, {342: 4, 343: 2}, {342: 1, 343: 1}, {342: 0, 343: 2}]
)
def test_the_edges_are_allowed(readout: Make, changes: dict[int, int]) -> None:
    """10 mV are enough, one ampere above is above, 1 s is slow enough for SOC BAR."""
    assert found(readout, changes) == []


def test_equal_currents_are_doubtful_and_lower_peak_is_wrong(readout: Make) -> None:
    """The manual wants the peak above, and shows 60 and 60 itself."""
    equal = violations(readout({305: 60, 317: 60}).words, 254)
    lower = violations(readout({305: 59, 317: 60}).words, 254)

    assert [each.severity for each in equal] == [Severity.DOUBTFUL]
    assert [each.severity for each in lower] == [Severity.WRONG]
    assert equal[0].key != lower[0].key


def test_old_firmware_has_no_peak_current_to_judge(readout: Make) -> None:
    """Register 305 reads 0 there."""
    assert found(readout, {305: 0}, firmware=250) == []
    assert len(found(readout, {305: 0}, firmware=251)) == 1


def test_a_violation_is_the_same_whatever_its_numbers(readout: Make) -> None:
    """The planner compares what is broken before and after a step."""
    first, second = (violations(readout({300: raw}).words, 254)[0] for raw in (3745, 3750))

    assert first != second
    assert first.key == second.key


@pytest.mark.parametrize(
    ("name", "changes", "pin"),
    [
        ("load_switch_type", {331: 0}, None),
        ("load_switch_type", {331: 5}, "aiho1"),
        ("load_switch_type", {331: 6}, "aiho1"),
        ("charger_switch_type", {333: 1}, None),
        ("charger_switch_type", {333: 9}, "aiho2"),
        ("charger_detection", {335: 1}, None),
        ("charger_detection", {335: 4}, "dido1"),
        ("precharge_pin", {337: 2}, None),
        ("precharge_pin", {337: 16}, "aiho2"),
        ("precharge_pin", {337: 1}, None),
        ("ignition", {334: 0}, None),
    ],
)
def test_pins_are_taken_from_the_choices(readout: Make, name: str, changes: dict[int, int], pin: str | None) -> None:
    """Active low and active high are the same pin; the own transistors are none."""
    assert pin_of(by_name(name), readout(changes).words) == pin


PIN_RAWS = {331: 8, 333: 9, 334: 6, 335: 7, 336: 2, 337: 16, 341: 8}


@given(
    st.fixed_dictionaries({address: st.integers(0, top) for address, top in PIN_RAWS.items()}),
    st.fixed_dictionaries({a: st.integers(2000, 2060) for a in (300, 301, 315, 316)}),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 7), st.integers(0, 2)),
    st.sampled_from([242, 254]),
)
def test_the_rules_agree_with_an_independent_judge(
    readout: Make, broken: Judge, pins: dict[int, int], volts: dict[int, int], rest: tuple[int, ...], firmware: int
) -> None:
    """Written twice, from the vendor's text and by pin numbers: both must see the same."""
    peak, cutoff, time, protocol = rest
    changes = {**pins, **volts, 305: peak, 317: cutoff, 342: time, 343: protocol}
    words = readout(changes, firmware=firmware).words
    kinds = set()
    for each in violations(words, firmware):
        numbers = "/".join(str(by_name(name).address) for name in each.names)
        kinds.add("pins" if each.names[0] in PINNED else {"342/343": "broadcast"}.get(numbers, numbers))

    assert kinds == set(broken(dict(zip(range(300, 344), words, strict=True)), firmware))
