"""Advice held against one BMS: its limits, its firmware and what it holds already."""

from collections.abc import Callable

import pytest

from tinybms_bridge.battery.advice import RESTART_FIRMWARE, Advice, advise
from tinybms_bridge.battery.limits import Chemistry
from tinybms_bridge.tinybms.live import decode_ratings
from tinybms_bridge.tinybms.settings import Readout, find_setting, held_against, make_plan

Make = Callable[..., Readout]

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

    assert advice.obstacle == "allowed by the BMS are numbers 0.015 to 0.03 V"
    assert advice.command == ""


def test_a_setting_that_the_firmware_lacks_has_no_command(readout: Make) -> None:
    """Also where the firmware was not known when the advice was made."""
    assert find_setting("enable_charger_restart_level").firmware == RESTART_FIRMWARE  # type: ignore[union-attr]
    unit = readout(FACTORY, firmware=242)
    (advice,) = [each for each in held_against(advised(unit, firmware=0), unit) if each.register == 329]

    assert "not available on firmware 2.3.242" in advice.obstacle


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
