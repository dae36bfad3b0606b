"""Plans: what is refused, the order of the writes, and advice held against one BMS."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinybms_bridge.battery.advice import Advice, advise
from tinybms_bridge.battery.limits import Chemistry
from tinybms_bridge.battery.snapshot import REV_D_FIRMWARE
from tinybms_bridge.tinybms.live import decode_ratings
from tinybms_bridge.tinybms.settings import Plan, Readout, SettingsError, find_setting, held_against, make_plan
from tinybms_bridge.tinybms.settings.fields import Words, all_settings, by_name
from tinybms_bridge.tinybms.settings.plan import Step
from tinybms_lab.testing.words import said

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


def problems(readout: Readout, wanted: dict[str, object], *, from_unit: bool = False) -> list[str]:
    """Return what is wrong with a request."""
    with pytest.raises(SettingsError) as error:
        make_plan(readout, wanted, from_unit=from_unit)
    return [str(problem) for problem in error.value.problems]


def test_a_plan_tells_old_and_new(readout: Make) -> None:
    """In order of registers, whatever the order of the request."""
    plan = make_plan(readout(), {"over_voltage_cutoff_v": 3.8, "battery_capacity_ah": 66, "ignition": "disabled"})

    assert [(c.name, c.old, c.new) for c in plan.changes] == [
        ("battery_capacity_ah", 100.0, 66.0),
        ("over_voltage_cutoff_v", 3.75, 3.8),
    ]
    assert [c.name for c in plan.unchanged] == ["ignition"]
    assert [step.address for step in plan.steps] == [306, 315]


def test_nothing_to_do_is_an_empty_plan(readout: Make) -> None:
    """The memory of the BMS wears: equal values are not written, rounding to the step included."""
    plan = make_plan(readout(), {"over_voltage_cutoff_v": 3.75, "battery_capacity_ah": 100.004})

    assert plan.steps == ()
    assert plan.changes == ()
    assert [c.name for c in plan.unchanged] == ["battery_capacity_ah", "over_voltage_cutoff_v"]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("allowed_disbalance_v", 0.0304, "0.0304 is rounded to 0.03 V (the step is 0.001 V)"),
        ("battery_capacity_ah", 100.004, "100.004 is rounded to 100 Ah (the step is 0.01 Ah)"),
        ("over_voltage_cutoff_v", 3.8004, "3.8004 is rounded to 3.8 V (the step is 0.001 V)"),
    ],
)
def test_a_value_between_two_steps_is_told(readout: Make, name: str, value: float, text: str) -> None:
    """Not "nothing to write" without a word, and no other value than the one shown."""
    cautions = make_plan(readout({308: 30}), {name: value}).cautions

    assert f"{name}: {text}" in [str(caution) for caution in cautions]
    assert not [caution for caution in cautions if caution.needs_confirmation]


@pytest.mark.parametrize("value", [3.8, 3.75, 3.799])
def test_a_value_on_a_step_is_not_rounded(readout: Make, value: float) -> None:
    """Decimal fractions have no exact binary form; that is no rounding."""
    assert make_plan(readout(), {"over_voltage_cutoff_v": value}).cautions == ()


def test_limits_of_unknown_origin_are_told(readout: Make) -> None:
    """Where the BMS does not tell its own, a change may be within the vendor's range and still be refused."""
    blind = replace(readout(), own_missing=said("command 0x1D: no answer"))

    (caution,) = make_plan(blind, {"over_voltage_cutoff_v": 3.8}).cautions
    assert str(caution) == (
        "values are held against the vendor's ranges, not those of this BMS (command 0x1D: no answer)"
    )
    assert make_plan(blind, {"over_voltage_cutoff_v": 3.75}).cautions == ()


def test_every_mistake_is_told_at_once(readout: Make) -> None:
    """Names, ranges, choices and rules together; a plan is made of nothing less than a sound request."""
    assert problems(
        readout(),
        {
            "over_voltage_cutof_v": 3.8,
            "pack_voltage": 50,
            "reserved_309": 1,
            "state_of_charge_set": 50,
            "series_cells": 17,
            "distance_unit": "furlong",
            "charger_startup_delay_s": "20",
            "fully_charged_voltage_v": 3.745,
            "ignition": "dido1",
            "charger_detection": "dido1",
        },
    ) == [
        (
            "over_voltage_cutof_v = 3.8: no setting has this name; "
            "did you mean over_voltage_cutoff_v, under_voltage_cutoff_v?"
        ),
        "pack_voltage = 50: register 36 can only be read",
        "reserved_309 = 1: register 309 is reserved",
        "state_of_charge_set = 50: is no setting but an action: set_state_of_charge",
        "series_cells = 17: allowed are whole numbers 4 to 16 cells",
        "distance_unit = furlong: allowed are meter, kilometer, feet, mile, yard",
        "charger_startup_delay_s = '20': is not a number; allowed are whole numbers 5 to 60 s",
        "fully_charged_voltage_v (3.745 V) must be at least 10 mV below over_voltage_cutoff_v (3.75 V)",
        "ignition (dido1) and charger_detection (dido1) use the same pin dido1",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("discharge_peak_current_cutoff_a", 200),
        ("charger_startup_delay_s", 30),
        ("charger_disable_delay_s", 30),
        ("charge_restart_level_percent", 90),
        ("battery_max_cycles", 3000),
        ("discharge_over_current_timeout_s", 20),
        ("enable_charger_restart_level", "enabled"),
    ],
)
def test_old_firmware_does_not_have_new_settings(readout: Make, name: str, value: object) -> None:
    """They are reserved there: a write would be lost, or worse."""
    assert problems(readout(firmware=250), {name: value}) == [
        f"{name} = {value}: not available on firmware 2.3.250, needs 2.3.251"
    ]
    assert len(make_plan(readout(firmware=251), {name: value}).changes) == 1


def test_flags_of_329_came_one_firmware_after_242(readout: Make) -> None:
    """The manual names 2.3.243."""
    wanted: dict[str, object] = {"invert_external_current_sensor": "inverted"}

    assert problems(readout(firmware=242), wanted) == [
        "invert_external_current_sensor = inverted: not available on firmware 2.3.242, needs 2.3.243"
    ]
    assert len(make_plan(readout(firmware=243), wanted).steps) == 1


def test_an_unknown_firmware_has_what_all_have(readout: Make) -> None:
    """Nothing is assumed of a unit that does not tell its version."""
    assert problems(readout(firmware=0), {"battery_max_cycles": 3000}) == [
        "battery_max_cycles = 3000: not available on firmware of unknown version, needs 2.3.251"
    ]
    assert len(make_plan(readout(firmware=0), {"over_voltage_cutoff_v": 3.8}).steps) == 1


def test_the_limits_of_the_bms_count(readout: Make) -> None:
    """Its own maximum of 60 A, not the vendor's 750."""
    own = readout({317: 50, 305: 70}, own=({}, {317: 60}))

    assert problems(own, {"discharge_over_current_cutoff_a": 61}) == [
        "discharge_over_current_cutoff_a = 61: allowed by the BMS are whole numbers 1 to 60 A"
    ]


def test_settings_that_are_mentioned_but_not_changed_do_not_loosen_limits(readout: Make) -> None:
    """A restore names the mode too; only a change of it suspends the present limits of the currents."""
    own = readout({317: 50, 305: 70}, own=({}, {317: 60}))
    wanted: dict[str, object] = {"discharge_over_current_cutoff_a": 61, "operation_mode": "dual_port"}

    assert len(problems(own, wanted)) == 1
    wanted = {**wanted, "operation_mode": "single_port"}
    assert len(make_plan(own, wanted).steps) == 2


def test_what_the_unit_holds_is_never_refused(readout: Make) -> None:
    """A value outside the vendor's range, or a choice without a name, found on a unit may stay."""
    odd = readout({332: 40, 337: 1})

    plan = make_plan(odd, {"automatic_recovery_s": 40, "precharge_pin": "unknown (1)"})

    assert plan.steps == ()
    assert len(plan.unchanged) == 2
    assert problems(readout(), {"automatic_recovery_s": 40})


def test_rules_broken_before_by_others_do_not_block(readout: Make) -> None:
    """A unit with two functions on one pin can still get another capacity; it is told."""
    bad = readout({334: 3, 336: 1})

    plan = make_plan(bad, {"battery_capacity_ah": 50})

    assert [step.address for step in plan.steps] == [306]
    assert [str(caution) for caution in plan.cautions] == [
        "not changed by this, but wrong: speed_sensor_input (dido1) and ignition (dido1) use the same pin dido1"
    ]
    assert problems(bad, {"ignition": "aido1", "load_switch_type": "aido1"})
    assert make_plan(bad, {"ignition": "disabled"}).changes


@pytest.mark.parametrize(
    "wanted",
    [
        {"discharge_peak_current_cutoff_a": 60, "discharge_over_current_cutoff_a": 60},
        {"charger_type": "variable_reserved"},
    ],
)
def test_doubtful_combinations_come_from_units_only(readout: Make, wanted: dict[str, object]) -> None:
    """Nobody may invent them, but a backup of a unit that holds them can be restored."""
    assert len(problems(readout(), wanted)) == 1

    plan = make_plan(readout(), wanted, from_unit=True)

    assert len(plan.changes) == len(wanted)
    assert len(plan.cautions) == 1


def test_wrong_combinations_are_refused_from_a_unit_too(readout: Make) -> None:
    """Whatever the file says."""
    assert problems(readout(), {"discharge_peak_current_cutoff_a": 149}, from_unit=True) == [
        "discharge_peak_current_cutoff_a (149 A) must be above discharge_over_current_cutoff_a (150 A)"
    ]


def test_notes_come_first(readout: Make) -> None:
    """What concerns the whole is read before the details."""
    plan = make_plan(readout(), {"series_cells": 14}, notes=[said("the backup is of another unit")])

    assert str(plan.cautions[0]) == "the backup is of another unit"
    assert len(plan.cautions) == 2


FACTORY = {303: 3200, 308: 15, 318: 100, 320: 0x10000 - 20, 329: 0}


def advised(readout: Readout, firmware: int = 254) -> tuple[Advice, ...]:
    """Return the advice on a unit with these registers."""
    return advise(decode_ratings(readout.words), Chemistry.LFP, firmware=firmware)


def test_all_advice_makes_one_plan(readout: Make) -> None:
    """Every name and value is one that the settings take, also all at once, and nothing needs a second yes."""
    unit = readout(FACTORY)
    advice = [each for each in held_against(advised(unit), unit) if each.setting]
    plan = make_plan(unit, {each.setting: each.advised for each in advice})

    assert [change.setting.address for change in plan.changes] == [303, 308, 318, 320, 329]
    assert [each.register for each in advice] == [303, 308, 318, 320, 329]
    assert [change.old for change in plan.changes] == [each.present for each in advice]
    assert plan.consequences == ()


def test_the_flags_around_the_restart_stay(readout: Make) -> None:
    """Register 329 is changed by one bit: an inverted sensor stays inverted."""
    unit = readout({329: 0b001})
    (advice,) = [each for each in held_against(advised(unit), unit) if each.register == 329]
    plan = make_plan(unit, {advice.setting: advice.advised})

    assert [(step.address, step.merged((0b001,))) for step in plan.steps] == [(329, (0b101,))]


def test_what_the_bms_itself_limits_is_said(readout: Make) -> None:
    """A BMS that takes no more than 30 mV keeps its value; there is no command that would fail."""
    unit = readout(FACTORY, own=({}, {308: 30}))
    (advice,) = [each for each in held_against(advised(unit), unit) if each.register == 308]

    assert str(advice.obstacle) == "allowed by the BMS are numbers 0.015 to 0.03 V"
    assert advice.command == ""


def test_a_setting_that_the_firmware_lacks_has_no_command(readout: Make) -> None:
    """Also where the firmware was not known when the advice was made."""
    assert find_setting("enable_charger_restart_level").firmware == REV_D_FIRMWARE  # type: ignore[union-attr]
    unit = readout(FACTORY, firmware=242)
    (advice,) = [each for each in held_against(advised(unit, firmware=0), unit) if each.register == 329]

    assert "not available on firmware 2.3.242" in str(advice.obstacle)


def test_what_is_done_is_advised_no_more(readout: Make) -> None:
    """The bridge reads the settings now and then; after a write the advice is gone at once, and a note stays."""
    before, after = readout(FACTORY), readout({**FACTORY, 308: 50})
    left = held_against(advised(before), after)

    assert [each.register for each in left] == [303, 318, 320, 329, 501]


@pytest.mark.parametrize("register", [303, 308, 318, 320])
def test_a_unit_of_unknown_firmware_is_advised_as_well(readout: Make, register: int) -> None:
    """What all firmwares have needs no version."""
    unit = readout(FACTORY, firmware=0)
    assert register in [each.register for each in held_against(advised(unit, firmware=0), unit) if each.command]
