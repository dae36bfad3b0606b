from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.settings import Plan, Readout, make_plan
from tinybms_bridge.tinybms.settings.fields import Words, all_settings, by_name
from tinybms_bridge.tinybms.settings.order import Step

Make = Callable[..., Readout]
Judge = Callable[[dict[int, int], int], list[str]]


def addresses(plan: Plan) -> list[int]:
    """Return the registers in the order of their writes."""
    return [step.address for step in plan.steps]


def states(plan: Plan) -> list[dict[int, int]]:
    """Return registers 300 to 343 before the first write and after each."""
    words = dict(zip(range(300, 344), plan.readout.words, strict=True))
    seen = [dict(words)]
    for step in plan.steps:
        present: Words = tuple(words[step.address + i] for i in range(len(step.after)))
        words.update(enumerate(step.merged(present), start=step.address))
        seen.append(dict(words))
    return seen


def wanted_of(readout: Readout) -> dict[str, object]:
    """Return all settings of a readout by name."""
    return {setting.name: readout.value(setting) for setting in readout.settings()}


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        ({"fully_charged_voltage_v": 3.9, "over_voltage_cutoff_v": 4.0}, [315, 300]),
        ({"fully_charged_voltage_v": 3.0, "over_voltage_cutoff_v": 3.1}, [300, 315]),
        ({"under_voltage_cutoff_v": 2.9, "fully_discharged_voltage_v": 3.0}, [301, 316]),
        ({"under_voltage_cutoff_v": 1.6, "fully_discharged_voltage_v": 1.9}, [316, 301]),
        (
            {
                "under_voltage_cutoff_v": 1.6,
                "fully_discharged_voltage_v": 1.85,
                "fully_charged_voltage_v": 2.7,
                "over_voltage_cutoff_v": 2.85,
            },
            [316, 301, 300, 315],
        ),
        ({"discharge_peak_current_cutoff_a": 300, "discharge_over_current_cutoff_a": 250}, [305, 317]),
        ({"discharge_peak_current_cutoff_a": 50, "discharge_over_current_cutoff_a": 40}, [317, 305]),
        (
            {"over_voltage_cutoff_v": 3.8, "battery_capacity_ah": 50, "early_balancing_threshold_v": 3.3},
            [306, 303, 315],
        ),
        ({"operation_mode": "single_port", "load_switch_type": "aido1", "ignition": "dido1"}, [334, 331, 340]),
    ],
)
def test_the_order_keeps_the_rules(readout: Make, wanted: dict[str, object], order: list[int]) -> None:
    """Up from the top, down from the bottom; capacity first, switches late, the restart last."""
    assert addresses(make_plan(readout(), wanted)) == order


def test_from_lto_to_lfp_all_voltages_rise_from_the_top(readout: Make) -> None:
    """Each of the four would pass its upper neighbour if it went first."""
    lto = readout({316: 1600, 301: 1850, 300: 2700, 315: 2850})

    assert addresses(make_plan(lto, wanted_of(readout()))) == [315, 300, 301, 316]


@pytest.mark.parametrize(("start", "order"), [({342: 1, 343: 1}, [342, 343]), ({342: 4, 343: 2}, [343, 342])])
def test_the_broadcast_is_slow_before_it_becomes_a_soc_bar(
    readout: Make, start: dict[int, int], order: list[int]
) -> None:
    """And is no SOC BAR before it becomes fast."""
    wanted: dict[str, object] = {"broadcast_time": "1s", "broadcast_protocol": "soc_bar"}
    if start[343] == 2:
        wanted = {"broadcast_time": "0.1s", "broadcast_protocol": "ascii"}

    assert addresses(make_plan(readout(start), wanted)) == order


def test_a_pin_is_free_before_another_setting_takes_it(readout: Make) -> None:
    """Ignition leaves dido1, then the speed sensor takes it."""
    plan = make_plan(readout({334: 3}), {"speed_sensor_input": "dido1", "ignition": "dido2"})

    assert addresses(plan) == [334, 336]
    assert not any(step.temporary for step in plan.steps)


def test_settings_that_exchange_pins_go_by_way_of_none(readout: Make) -> None:
    """The one that matters least for the power gives way for a moment, and the plan says so."""
    plan = make_plan(readout({334: 1, 331: 2}), {"ignition": "aido2", "load_switch_type": "aido1"})

    assert [(step.address, step.temporary) for step in plan.steps] == [(334, True), (331, False), (334, False)]
    assert "ignition: is set to disabled for a moment, to free its pin for another setting" in map(str, plan.cautions)
    assert [change.name for change in plan.changes] == ["load_switch_type", "ignition"]


def test_fields_of_one_register_are_written_together(readout: Make) -> None:
    """Three flags and two bytes: two writes, not five, and the reserved bits stay."""
    plan = make_plan(
        readout({329: 0xFF00, 330: 1}),
        {
            "enable_charger_restart_level": "enabled",
            "disable_switch_diagnostics": "disabled",
            "discharge_over_current_timeout_s": 5,
        },
    )

    assert addresses(plan) == [329, 330]
    assert [step.mask for step in plan.steps] == [0b110, 0xFF00]
    assert plan.steps[0].after == (0xFF06,)
    assert plan.steps[0].merged((0xAB01,)) == (0xAB07,)
    assert plan.steps[1].merged((0x0002,)) == (0x0502,)


def test_two_registers_of_one_value_are_one_write(readout: Make) -> None:
    """312 and 313 together, low word first."""
    plan = make_plan(readout(), {"pulses_per_unit": 100000})

    assert [(step.address, step.after) for step in plan.steps] == [(312, (0x86A0, 1))]


def test_a_current_beyond_its_present_limit_waits_for_the_mode(readout: Make) -> None:
    """With one port the BMS allows 30 A; after the change to two ports it allows the wanted 100 A."""
    own = readout({340: 1, 317: 30, 305: 40, 318: 30}, own=({}, {317: 30, 318: 30}))
    plan = make_plan(
        own,
        {
            "operation_mode": "dual_port",
            "discharge_over_current_cutoff_a": 100,
            "discharge_peak_current_cutoff_a": 120,
            "charge_over_current_cutoff_a": 20,
        },
    )

    assert addresses(plan) == [305, 318, 340, 317]


def test_a_unit_that_breaks_a_rule_already_can_be_mended(readout: Make) -> None:
    """300 above 315 as found: each can be set right, and of both the one that then breaks nothing goes first."""
    bad = readout({300: 3800})

    assert addresses(make_plan(bad, {"fully_charged_voltage_v": 3.6})) == [300]
    assert addresses(make_plan(bad, {"over_voltage_cutoff_v": 3.9})) == [315]
    both = make_plan(bad, {"fully_charged_voltage_v": 3.4, "over_voltage_cutoff_v": 3.5})
    assert addresses(both) == [300, 315]


def test_a_step_tells_done_from_undone() -> None:
    """Only its own bits count."""
    step = Step(330, 0xFF00, (0x0001,), (0x0501,), ())

    assert step.undone((0x0002,))
    assert step.done((0x0502,))
    assert not step.done((0x0402,))
    assert not step.undone((0x0402,))
    assert not step.restarts
    assert replace(step, address=340).restarts


def ladders() -> st.SearchStrategy[dict[int, int]]:
    """Return registers 316, 301, 300, 315 that keep their distance."""
    steps = st.tuples(st.integers(1200, 2000), st.integers(10, 500), st.integers(10, 800), st.integers(10, 800))
    return steps.map(lambda s: {316: s[0], 301: s[0] + s[1], 300: s[0] + s[1] + s[2], 315: s[0] + sum(s[1:])})


def pins() -> st.SearchStrategy[dict[int, int]]:
    """Return pin settings; most have duplicates and are filtered by the caller."""
    tops = {331: (0, 8), 333: (1, 9), 334: (0, 6), 335: (1, 7), 336: (0, 2), 337: (3, 9), 341: (0, 8)}
    none = {331: 0, 333: 1, 334: 0, 335: 1, 336: 0, 337: 0, 341: 0}
    sparse = {a: st.one_of(st.just(none[a]), st.integers(*top)) for a, top in tops.items()}
    return st.fixed_dictionaries(sparse)


def anything() -> st.SearchStrategy[dict[int, int]]:
    """Return settings that touch every rule."""
    pair = st.tuples(st.integers(1, 700), st.integers(1, 40)).map(lambda p: {317: p[0], 305: p[0] + p[1]})
    text = st.tuples(st.integers(0, 7), st.integers(0, 2)).map(lambda p: {342: p[0], 343: p[1]})
    return st.tuples(ladders(), pins(), pair, text).map(lambda parts: {k: v for part in parts for k, v in part.items()})


@given(anything(), anything())
def test_no_state_in_between_breaks_a_rule(
    readout: Make, broken: Judge, start: dict[int, int], end: dict[int, int]
) -> None:
    """From any sound state to any other, pins exchanged in circles included; the judge is written independently."""
    before, after = readout(start), readout(end)
    both = [dict(zip(range(300, 344), each.words, strict=True)) for each in (before, after)]
    assume(not broken(both[0], 254))
    assume(not broken(both[1], 254))

    plan = make_plan(before, wanted_of(after))

    seen = states(plan)
    assert seen[-1] == both[1]
    assert [broken(state, 254) for state in seen] == [[]] * len(seen)
    assert len([step for step in plan.steps if not step.temporary]) == len({step.address for step in plan.steps})


@pytest.mark.parametrize("cycle", list(permutations((1, 2, 3))))
def test_three_settings_in_a_circle_find_a_way(readout: Make, broken: Judge, cycle: tuple[int, ...]) -> None:
    """Every permutation of three pins over load, ignition and single port switch."""
    before = readout({331: 1, 334: 2, 341: 3})
    after = readout(dict(zip((331, 334, 341), cycle, strict=True)))

    seen = states(make_plan(before, wanted_of(after)))

    assert all(not broken(state, 254) for state in seen)
    assert {a: seen[-1][a] for a in (331, 334, 341)} == dict(zip((331, 334, 341), cycle, strict=True))


@pytest.mark.parametrize("name", list(all_settings()))
def test_every_setting_has_its_place_in_the_order(readout: Make, name: str) -> None:
    """Each alone, one step up or its next choice, is one write to its register."""
    out, setting = readout(), by_name(name)
    value: object
    if setting.choices:
        (value,) = [choice for choice in setting.choices.values() if choice != setting.value(out.words)][:1]
    else:
        raw = setting.raw(out.words)
        value = round((raw + 1 if raw < setting.register.raw_range[1] else raw - 1) * setting.register.scale, 3)

    assert addresses(make_plan(out, {name: value}, from_unit=True)) == [setting.address]
