"""The topics of the firmware: what its users have built on, right where it was wrong."""

from typing import Any

from tinybms_bridge.services.mqtt.firmware import firmware_documents

SUFFIXES = {
    *("battery_pack_voltage", "battery_pack_current", "internal_temperature", "state_of_charge", "state_of_health"),
    *("max_charge_current", "max_discharge_current", "overvoltage_cutoff_mv", "undervoltage_cutoff_mv"),
    *("discharge_overcurrent_a", "charge_overcurrent_a", "overheat_cutoff_c", "pack_power_w", "system_state"),
    *("alarm_low_voltage", "alarm_high_voltage", "alarm_overtemperature", "alarm_cell_imbalance"),
    *("alarm_communication", "alarm_system_shutdown", "alarm_low_temperature_charge"),
}
"""firmware.md, 7."""


def test_every_topic_of_the_firmware_is_there(core: Any) -> None:
    """With the path and the unit that a GX has for it."""
    found = dict(firmware_documents(core.moment()))
    assert set(found) == SUFFIXES
    assert found["battery_pack_voltage"]["value"] == 53.12
    assert found["battery_pack_voltage"]["dbus_path"] == "/Dc/0/Voltage"
    assert found["max_charge_current"]["value"] == core.limits.ccl_a
    assert found["overvoltage_cutoff_mv"]["value"] == 3650.0
    assert "dbus_path" not in found["overvoltage_cutoff_mv"]
    assert found["alarm_high_voltage"] | {"timestamp_ms": 0} == {
        "timestamp_ms": 0,
        "key": "alarm_high_voltage",
        "label": "alarm high voltage",
        "unit": "",
        "value": 0,
        "dbus_path": "/Alarms/HighVoltage",
        "text": "cleared",
    }


def test_old_data_has_no_values(core: Any) -> None:
    """What is not live is null; the settings of the BMS do not change while it is silent."""
    core.fresh = False
    found = dict(firmware_documents(core.moment()))
    gone = ("battery_pack_voltage", "pack_power_w", "max_charge_current", "system_state")
    assert {found[name]["value"] for name in gone} == {None}
    assert found["overheat_cutoff_c"]["value"] == 60.0
