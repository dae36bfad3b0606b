import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.tinybms.settings import (
    Backup,
    BmsSettings,
    Readout,
    SettingsError,
    all_settings,
    backup_of,
    backup_text,
    differences,
    parse_backup,
    restore_plan,
)
from tinybms_bridge.tinybms.settings.backup import FORMAT, MAX_BYTES

Make = Callable[..., Readout]
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def document(readout: Make) -> dict[str, Any]:
    """Return a good backup as JSON values."""
    parsed: dict[str, Any] = json.loads(backup_text(backup_of(readout(), NOW)))
    return parsed


def problems(document: object) -> list[str]:
    """Return what is wrong with a file."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(SettingsError) as error:
        parse_backup(data)
    return [str(problem) for problem in error.value.problems]


def test_a_backup_is_readable(readout: Make) -> None:
    """One setting a line, in the order of registers, names with units, choices as words."""
    text = backup_text(backup_of(readout(), NOW))
    lines = text.splitlines()

    assert text.endswith("}\n")
    assert '  "created": "2026-03-01T12:00:00+00:00",' in lines
    assert '    "over_voltage_cutoff_v": 3.75,' in lines
    assert '    "charger_type": "cc_cv",' in lines
    assert len([line for line in lines if line.startswith("    ")]) == 38 + 6
    document = json.loads(text)
    assert list(document) == ["format", "version", "created", "identity", "settings"]
    assert (document["format"], document["version"]) == ("tinybms-settings", 1)
    assert document["identity"]["firmware_internal"] == 254
    assert document["identity"]["serial_number"] == "00" * 12
    assert list(document["settings"]) == list(all_settings())


def test_state_of_charge_and_health_are_not_in_it(document: dict[str, Any]) -> None:
    """Restoring a setting must not set the gauge of the battery."""
    assert not [name for name in document["settings"] if "_set" in name or name.startswith("state_of")]


def test_old_firmware_saves_what_it_has(readout: Make) -> None:
    """No zero of a reserved register is saved as a value."""
    backup = backup_of(readout(firmware=242), NOW)

    assert "discharge_peak_current_cutoff_a" not in backup.settings
    assert len(backup.settings) == 29
    assert parse_backup(backup_text(backup).encode()) == backup


def test_a_unit_that_does_not_tell_its_firmware_is_saved_only_when_forced(readout: Make) -> None:
    """The file would lack settings, and nobody would notice until it is needed."""
    nameless = replace(readout(), identity=Identity())

    with pytest.raises(SettingsError, match="some settings would be missing in the backup unless it is forced"):
        backup_of(nameless, NOW)
    assert len(backup_of(nameless, NOW, force=True).settings) == 29


@given(st.lists(st.integers(0, 0xFFFF), min_size=44, max_size=44))
def test_whatever_a_unit_holds_comes_back(readout: Make, words: list[int]) -> None:
    """Any content of the registers, unknown choices too, survives the file."""
    changes = dict(zip(range(300, 344), words, strict=True))
    backup = backup_of(readout(changes), NOW)

    assert parse_backup(backup_text(backup).encode()) == backup


def test_a_file_saved_by_an_editor_is_read(readout: Make) -> None:
    """Byte order mark, other line ends and order of keys."""
    backup = backup_of(readout(), NOW)
    document = json.loads(backup_text(backup))
    document["settings"] = dict(reversed(document["settings"].items()))
    data = b"\xef\xbb\xbf" + json.dumps(document, indent=4).replace("\n", "\r\n").encode()

    assert dict(parse_backup(data).settings) == dict(backup.settings)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not JSON: Expecting value at line 1, column 1"),
        (b'{"format": ', "is not JSON: Expecting value at line 1, column 12"),
        (b"\xff\xfe", "is not JSON in UTF-8"),
        (b"[" * 100_000, "is not JSON in UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON in UTF-8"),
        (b"[]", "must be an object"),
        (b"{}", 'is no backup: "format" must be "tinybms-settings"'),
        (b'{"format": "tinybms-config"}', 'is no backup: "format" must be "tinybms-settings"'),
        (b'{"format": "tinybms-settings"}', '"version" must be 1; a newer file needs a newer program'),
        (b'{"format": "tinybms-settings", "version": 2}', '"version" must be 1; a newer file needs a newer program'),
        (b'{"format": "tinybms-settings", "version": true}', '"version" must be 1; a newer file needs a newer program'),
        (b" " * (MAX_BYTES + 1), f"is {MAX_BYTES + 1} bytes long, more than the {MAX_BYTES} that are read"),
    ],
    ids=range(12),
)
def test_what_is_no_backup_is_told(data: bytes, message: str) -> None:
    """One clear sentence for each kind of wrong file."""
    assert problems(data) == [message]


def test_every_mistake_in_a_file_is_told_at_once(document: dict[str, Any]) -> None:
    """Unknown, missing, mistyped and forbidden entries, and a damaged identity."""
    settings = document["settings"]
    del settings["over_voltage_cutoff_v"], settings["ignition"]
    settings |= {
        "over_voltage_cutof_v": 3.8,
        "pack_voltage": 50,
        "state_of_charge_set": 50,
        "series_cells": "16",
        "battery_max_cycles": None,
        "charger_startup_delay_s": True,
        "distance_unit": "furlong",
        "load_switch_type": 0,
        "charger_switch_type": ["fet"],
    }
    document["created"] = 5
    document["comment"] = "mine"
    document["identity"] |= {"firmware_public": "3", "colour": "red"}

    assert problems(document) == [
        "created = 5: must be a time in double quotes",
        "identity.firmware_public = '3': must be a whole number",
        "identity.colour: unknown key",
        "series_cells = '16': must be a number",
        "charger_startup_delay_s = True: must be a number",
        "distance_unit = furlong: must be one of meter, kilometer, feet, mile, yard",
        "battery_max_cycles: must be a number",
        (
            "load_switch_type = 0: must be one of fet, aido1, aido2, dido1, dido2, aiho1_active_low, "
            "aiho1_active_high, aiho2_active_low, aiho2_active_high"
        ),
        (
            "charger_switch_type = ['fet']: must be one of charge_fet, aido1, aido2, dido1, dido2, aiho1_active_low, "
            "aiho1_active_high, aiho2_active_low, aiho2_active_high"
        ),
        (
            "over_voltage_cutof_v = 3.8: no setting has this name; "
            "did you mean over_voltage_cutoff_v, under_voltage_cutoff_v?"
        ),
        "pack_voltage = 50: register 36 can only be read",
        "state_of_charge_set = 50: is no setting but an action: set_state_of_charge",
        "over_voltage_cutoff_v: is missing",
        "ignition: is missing",
        "comment: is no part of a backup",
    ]


@pytest.mark.parametrize("key", ["identity", "settings", "created"])
@pytest.mark.parametrize("value", [None, [], "x", 5])
def test_a_part_of_the_wrong_kind_is_told(document: dict[str, Any], key: str, value: object) -> None:
    """No traceback whatever stands in the file."""
    document[key] = value
    if (key, value) == ("created", "x"):
        assert parse_backup(json.dumps(document).encode()).created == "x"
        return

    assert any(problem.startswith(key) for problem in problems(document))


def test_keys_given_twice_are_told(readout: Make) -> None:
    """The second would silently win."""
    text = backup_text(backup_of(readout(), NOW))
    doubled = text.replace('"series_cells": 16,', '"series_cells": 16, "series_cells": 14, "series_cells": 12,')

    assert problems(doubled.encode()) == ["series_cells: is given more than once"]


def test_a_file_of_old_firmware_may_lack_the_new_settings(document: dict[str, Any]) -> None:
    """What its firmware did not have is not missing; what all have is."""
    for setting in all_settings().values():
        if setting.firmware > 242:
            del document["settings"][setting.name]
    assert len(problems(document)) == 9

    document["identity"]["firmware_internal"] = 242
    assert len(parse_backup(json.dumps(document).encode()).settings) == 29

    del document["settings"]["series_cells"]
    assert problems(document) == ["series_cells: is missing"]


def test_a_choice_without_a_name_may_stay_in_a_backup(document: dict[str, Any]) -> None:
    """A unit held a raw value that the vendor does not name; only this form is taken for one."""
    document["settings"]["precharge_pin"] = "unknown (1)"
    assert parse_backup(json.dumps(document).encode()).settings["precharge_pin"] == "unknown (1)"

    document["settings"]["precharge_pin"] = "unknown (one)"
    assert len(problems(document)) == 1


def rubbish() -> st.SearchStrategy[bytes]:
    """Return any bytes, and JSON that begins like a backup."""
    leaves = st.none() | st.booleans() | st.floats() | st.text(max_size=20)
    names = st.sampled_from([*all_settings(), "x", "302"])
    values = st.recursive(
        leaves, lambda s: st.lists(s, max_size=3) | st.dictionaries(names, s, max_size=4), max_leaves=8
    )
    parts = st.dictionaries(st.sampled_from(["created", "identity", "settings", "x"]), values)
    files = parts.map(lambda part: json.dumps({"format": FORMAT, "version": 1, **part}).encode())
    return st.binary(max_size=300) | files


@given(rubbish())
def test_rubbish_never_ends_in_a_traceback(data: bytes) -> None:
    """Any bytes and any JSON: a SettingsError with at least one problem, for no such file is complete."""
    with pytest.raises(SettingsError) as error:
        parse_backup(data)
    assert error.value.problems
    assert str(error.value)


FakeBms = Any
LATER = datetime(2026, 3, 1, tzinfo=UTC)


def saved(readout: Readout) -> Backup:
    """Return a backup as it comes out of its file."""
    return parse_backup(backup_text(backup_of(readout, LATER)).encode())


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
