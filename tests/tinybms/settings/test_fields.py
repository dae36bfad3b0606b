import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.registers import catalogue
from tinybms_bridge.tinybms.settings import ActionName, Readout, all_settings, find_setting
from tinybms_bridge.tinybms.settings.fields import WRITE_TO_SET, Setting, by_name
from tinybms_bridge.words import Message

NAMES = {
    300: ["fully_charged_voltage_v"],
    301: ["fully_discharged_voltage_v"],
    303: ["early_balancing_threshold_v"],
    304: ["charge_finished_current_a"],
    305: ["discharge_peak_current_cutoff_a"],
    306: ["battery_capacity_ah"],
    307: ["series_cells"],
    308: ["allowed_disbalance_v"],
    310: ["charger_startup_delay_s"],
    311: ["charger_disable_delay_s"],
    312: ["pulses_per_unit"],
    314: ["distance_unit"],
    315: ["over_voltage_cutoff_v"],
    316: ["under_voltage_cutoff_v"],
    317: ["discharge_over_current_cutoff_a"],
    318: ["charge_over_current_cutoff_a"],
    319: ["over_heat_cutoff_c"],
    320: ["low_temperature_charger_cutoff_c"],
    321: ["charge_restart_level_percent"],
    322: ["battery_max_cycles"],
    329: ["invert_external_current_sensor", "disable_switch_diagnostics", "enable_charger_restart_level"],
    330: ["charger_type", "discharge_over_current_timeout_s"],
    331: ["load_switch_type"],
    332: ["automatic_recovery_s"],
    333: ["charger_switch_type"],
    334: ["ignition"],
    335: ["charger_detection"],
    336: ["speed_sensor_input"],
    337: ["precharge_pin"],
    338: ["precharge_duration"],
    339: ["temperature_sensor_type"],
    340: ["operation_mode"],
    341: ["single_port_switch_type"],
    342: ["broadcast_time"],
    343: ["broadcast_protocol"],
}


def test_the_names_are_a_promise() -> None:
    """Backups and scripts use these names: none may vanish or change its unit."""
    names: dict[int, list[str]] = {}
    for setting in all_settings().values():
        names.setdefault(setting.address, []).append(setting.name)

    assert names == NAMES


VENDOR = list(
    csv.DictReader((Path(__file__).parents[1] / "vendor_settings.csv").read_text(encoding="utf-8").splitlines())
)
"""The writable registers, taken from the vendor's document apart from the table that the program reads."""

BITS = {"u16": (0, 16), "i16": (0, 16), "u32": (0, 16), "u8_lo": (0, 8), "u8_hi": (8, 8)}
BITS |= {f"bit{number}": (number, 1) for number in range(16)}
UNITS = {"degC": "°C"}


def test_every_setting_of_the_vendor_map_is_reachable() -> None:
    """Each value that can be written is a setting or, for the two write-to-set registers, an action."""
    wanted = {(int(row["address"]), *BITS[row["type"]]) for row in VENDOR}
    settings = {(s.address, s.register.offset, s.register.width) for s in all_settings().values()}
    actions = {address: name for address, name in WRITE_TO_SET.items() if name in set(ActionName)}

    assert len(VENDOR) == 40
    assert settings | {(address, 0, 16) for address in actions} == wanted
    assert set(actions) == {323, 328}


@pytest.mark.parametrize("row", VENDOR, ids=[f"{row['address']}-{row['key']}" for row in VENDOR])
def test_a_setting_is_what_the_vendor_documents(row: dict[str, str]) -> None:
    """Step, unit, range and choices: a slip in the program's own table would write a wrong value."""
    register = catalogue().by_key(row["key"])

    assert (register.address, register.words, register.access) == (int(row["address"]), int(row["count"]), "RW")
    assert register.scale == float(row["scale"] or 1)
    assert register.unit == UNITS.get(row["unit"], row["unit"])
    if row["max"]:
        assert register.raw_range == (int(row["min"]), int(row["max"]))
    choices = [choice.split("=") for choice in row["enum"].split(";") if choice]
    assert dict(register.choices) == {int(raw): text for raw, text in choices}


def test_names_carry_the_unit() -> None:
    """A number without a unit in its name is a count."""
    suffixes = {"V": "_v", "A": "_a", "Ah": "_ah", "s": "_s", "°C": "_c", "%": "_percent"}
    for setting in all_settings().values():
        assert setting.name.endswith(suffixes.get(setting.unit, "")), setting.name
        assert setting.unit in {*suffixes, "", "cells", "cycles", "pulses"}


@pytest.mark.parametrize(
    ("name", "table_changes", "value"),
    [
        ("over_voltage_cutoff_v", {315: 3812}, 3.812),
        ("low_temperature_charger_cutoff_c", {320: 0x10000 - 20}, -20),
        ("pulses_per_unit", {312: 0x86A0, 313: 1}, 100000),
        ("discharge_over_current_timeout_s", {330: 30 << 8 | 1}, 30),
        ("charger_type", {330: 30 << 8 | 1}, "cc_cv"),
        ("enable_charger_restart_level", {329: 0b100}, "enabled"),
        ("disable_switch_diagnostics", {329: 0b100}, "enabled"),
        ("charger_switch_type", {333: 0xAB01}, "charge_fet"),
        ("load_switch_type", {331: 0xAB01}, "aido1"),
        ("precharge_pin", {337: 16}, "aiho2_active_high"),
    ],
)
def test_values_are_found_in_their_bits(
    readout: Callable[..., Readout], name: str, table_changes: dict[int, int], value: object
) -> None:
    """Signed, two registers, two bytes of one register, single bits, reserved high bytes, odd numberings."""
    assert by_name(name).value(readout(table_changes).words) == value


@given(st.sampled_from(sorted(all_settings())), st.lists(st.integers(0, 0xFFFF), min_size=44, max_size=44), st.data())
def test_putting_a_value_leaves_every_other_bit(name: str, table: list[int], data: st.DataObject) -> None:
    """Writing 330 must not clear the other byte, nor 329 the other flags, nor 331 its reserved byte."""
    setting = by_name(name)
    count = setting.register.words
    words = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=count, max_size=count))

    after = setting.put(table, words)

    assert setting.raw(after) == setting.raw(setting.put([0] * 44, words))
    for other in all_settings().values():
        if other is not setting:
            assert other.raw(after) == other.raw(table)
    mask, start = setting.register.mask, setting.address - 300
    for index, (old, new) in enumerate(zip(table, after, strict=True)):
        inside = start <= index < start + setting.register.words
        assert (old ^ new) & ~(mask if inside else 0) == 0


@given(st.sampled_from(sorted(all_settings())), st.data())
def test_raw_is_the_inverse_of_encoding(name: str, data: st.DataObject) -> None:
    """Ranges are compared as raw numbers, so signs and places must be right for each setting."""
    setting = by_name(name)
    low, high = setting.register.raw_range
    raw = data.draw(st.sampled_from(sorted(setting.choices)) if setting.choices else st.integers(low, high))
    words = setting.register.encode(setting.choices[raw] if setting.choices else raw * setting.register.scale)

    assert setting.raw(setting.put([0] * 44, words)) == raw


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("over_voltage_cutoff", "the name with its unit is over_voltage_cutoff_v"),
        ("over_voltage_cutof_v", "no setting has this name; did you mean over_voltage_cutoff_v"),
        ("xyz", "no setting has this name"),
        ("pack_voltage", "register 36 can only be read"),
        ("pack_voltage_v", "register 36 can only be read"),
        ("serial_number", "register 504 can only be read"),
        ("reserved_302", "register 302 is reserved"),
        ("state_of_charge_set", "is no setting but an action: set_state_of_charge"),
        ("state_of_health_set_percent", "is no setting but an action: set_state_of_health"),
        ("300", "settings are given by name: fully_charged_voltage_v"),
        ("313", "settings are given by name: pulses_per_unit"),
        ("330", "settings are given by name: charger_type, discharge_over_current_timeout_s"),
        ("302", "register 302 is reserved"),
        ("328", "is no setting but an action: set_state_of_charge"),
        ("36", "register 36 can only be read"),
        ("12801", "there is no register 12801"),
        ("9" * 6000, "no setting has this name"),
        ("", "no setting has this name"),
    ],
)
def test_a_name_that_cannot_be_set_is_explained(name: str, reason: str) -> None:
    """Read-only, reserved, an action, without its unit, a number, or mistyped: each is told apart."""
    found = find_setting(name)

    assert isinstance(found, Message)
    assert found.text.startswith(reason)


def test_a_right_name_is_found() -> None:
    """The plain case."""
    found = find_setting("charger_startup_delay_s")

    assert isinstance(found, Setting)
    assert (found.address, found.unit, found.firmware) == (310, "s", 251)


def test_settings_know_the_firmware_that_brought_them() -> None:
    """Firmware before 2.3.251 answers these as reserved (protocol reference, 2.3)."""
    new = {setting.name for setting in all_settings().values() if setting.firmware == 251}

    assert {by_name(name).address for name in new} == {305, 310, 311, 321, 322, 329, 330}
    assert {"enable_charger_restart_level", "discharge_over_current_timeout_s"} < new
    assert by_name("charger_type").firmware == 0
