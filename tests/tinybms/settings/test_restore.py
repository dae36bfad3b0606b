from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.tinybms.settings import (
    Backup,
    BmsSettings,
    Readout,
    SettingsError,
    backup_of,
    backup_text,
    differences,
    parse_backup,
    restore_plan,
)

FakeBms = Any
Make = Callable[..., Readout]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def saved(readout: Readout) -> Backup:
    """Return a backup as it comes out of its file."""
    return parse_backup(backup_text(backup_of(readout, NOW)).encode())


def test_no_difference_between_a_unit_and_its_own_backup(readout: Make) -> None:
    """And nothing to restore."""
    out = readout()

    assert differences(saved(out), out) == ()
    assert restore_plan(saved(out), out).steps == ()
    assert restore_plan(saved(out), out).cautions == ()


def test_differences_are_listed_in_order_of_registers(readout: Make) -> None:
    """Both values of each."""
    found = differences(saved(readout({315: 3700, 306: 6600})), readout())

    assert [(each.setting.name, each.backup, each.unit) for each in found] == [
        ("battery_capacity_ah", 66.0, 100.0),
        ("over_voltage_cutoff_v", 3.7, 3.75),
    ]


def test_what_only_one_side_has_is_a_difference(readout: Make) -> None:
    """Between two firmware versions."""
    new, old = readout(), readout(firmware=242)

    assert len(differences(saved(old), new)) == 9
    assert {each.backup for each in differences(saved(old), new)} == {None}
    assert {each.unit for each in differences(saved(new), old)} == {None}


def test_another_number_of_cells_is_refused_unless_forced(readout: Make) -> None:
    """A 14-cell backup on a 16-cell battery would measure the wrong pins."""
    backup = saved(readout({307: 14}))
    with pytest.raises(SettingsError, match="the backup is of 14 cells in series, this BMS is set to 16; nothing is"):
        restore_plan(backup, readout())

    plan = restore_plan(backup, readout(), force=True)

    assert [change.name for change in plan.changes] == ["series_cells"]
    assert len(plan.consequences) == 1


def test_a_unit_that_does_not_tell_its_firmware_is_refused_unless_forced(readout: Make) -> None:
    """Settings that newer firmware has would be left as they are, although the backup has them."""
    nameless = replace(readout(), identity=Identity())
    with pytest.raises(SettingsError, match="does not tell its firmware, so some settings would be left out; nothing"):
        restore_plan(saved(readout({306: 6600})), nameless)

    plan = restore_plan(saved(readout({306: 6600})), nameless, force=True)

    assert [step.address for step in plan.steps] == [306]


def test_every_reason_to_refuse_is_told_at_once(readout: Make) -> None:
    """So that nobody forces the one without knowing of the other."""
    with pytest.raises(SettingsError) as error:
        restore_plan(saved(readout({307: 14})), replace(readout(), identity=Identity()))
    assert len(error.value.problems) == 2


def test_another_unit_is_told_and_not_refused(readout: Make) -> None:
    """That is what a backup is for when a BMS is replaced."""
    out = readout()
    backup = saved(out)
    other = replace(backup, identity=replace(backup.identity, serial_number="AA" * 12, firmware_internal=255))

    assert [str(caution) for caution in restore_plan(other, out).cautions] == [
        f"the backup is of another unit, serial number {'AA' * 12}",
        "the backup is of firmware 2.3.255, this BMS has firmware 2.3.254",
    ]


def test_settings_that_this_firmware_lacks_are_left_out_and_told(readout: Make) -> None:
    """From 254 to 242: the rest is restored."""
    plan = restore_plan(saved(readout({306: 6600})), readout(firmware=242))

    assert [step.address for step in plan.steps] == [306]
    left_out = str(plan.cautions[1])
    assert left_out.startswith("left out, because this firmware does not have them: discharge_peak_current_cutoff_a, ")
    assert len(left_out.split(", ")) == 10


def test_settings_that_the_backup_lacks_stay_and_are_told(readout: Make) -> None:
    """From 242 to 254: the new ones keep their values."""
    plan = restore_plan(saved(readout({306: 6600}, firmware=242)), readout())

    assert [step.address for step in plan.steps] == [306]
    assert str(plan.cautions[1]).startswith("not in the backup, left as they are: battery_max_cycles, ")


def test_a_backup_of_a_factory_fresh_unit_can_be_restored(readout: Make) -> None:
    """The manual's own screenshot shows 60 A for both currents, which the manual's text forbids."""
    plan = restore_plan(saved(readout({305: 60, 317: 60})), readout())

    assert [step.address for step in plan.steps] == [317, 305]
    assert "must be above" in str(plan.cautions[-1])


def test_an_edited_file_is_judged_like_any_request(readout: Make) -> None:
    """Out of range, and against a rule."""
    backup = saved(readout())
    edited = replace(backup, settings={**backup.settings, "over_heat_cutoff_c": 100, "fully_charged_voltage_v": 3.75})
    with pytest.raises(SettingsError) as error:
        restore_plan(edited, readout())

    assert [problem.name for problem in error.value.problems] == ["over_heat_cutoff_c", ""]


async def test_a_replaced_unit_gets_the_settings_of_the_old_one(fake: FakeBms, bms: BmsSettings, readout: Make) -> None:
    """From the file to the registers, switches and mode included."""
    fake.restart_s = 2.0
    old = readout({315: 4200, 300: 4150, 301: 3000, 316: 2900, 305: 90, 317: 80, 331: 1, 334: 3, 330: 0x0501, 340: 1})
    plan = restore_plan(saved(old), await bms.read())
    report = await bms.apply(plan, confirm=True)

    assert report.good
    assert tuple(fake.words.values()) == old.words
    assert plan.steps[-1].address == 340
