"""What Home Assistant is told: valid together, unique, and by names in the chosen language."""

import json
from typing import Any

import pytest

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.services.mqtt.discovery import PackDevice, devices
from tinybms_bridge.words import LANGUAGES

UNITS = {
    "battery": {"%"},
    "voltage": {"V", "mV"},
    "current": {"A"},
    "power": {"W"},
    "temperature": {"°C"},
    "energy": {"kWh"},
    "duration": {"s"},
}
"""Units that Home Assistant takes with a class (sensor entity, "Available device classes"), of those used here."""

PACKS = [PackDevice("a", 16, Identity("2.1", 0, 254, 1, 1, "AB12")), PackDevice("b é", 4)]


def documents(**options: Any) -> dict[str, Any]:
    """Return each discovery message by its topic."""
    wanted: dict[str, Any] = {"language": "en", "commands": True, "interval_s": 1.0, **options}
    found = devices("homeassistant", "victron/tinybms", "House battery", PACKS, **wanted)
    return {each.topic: json.loads(each.payload) for each in found}


def components() -> list[tuple[str, str, dict[str, Any]]]:
    """Return every entity with its device and name."""
    return [(topic, name, each) for topic, told in documents().items() for name, each in entities(told).items()]


def entities(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a message announces, without what it takes away."""
    return {name: each for name, each in document["components"].items() if len(each) > 1}


def test_one_message_for_the_battery_and_one_for_each_pack() -> None:
    """Packs hang below the battery; what is known of a unit is told of it."""
    found = documents()
    assert list(found) == [
        "homeassistant/device/victron_tinybms/config",
        "homeassistant/device/victron_tinybms_pack_a/config",
        f"homeassistant/device/{found_id(found, 2)}/config",
    ]
    packs = list(found.values())[1:]
    assert [each["device"]["via_device"] for each in packs] == ["victron_tinybms"] * 2
    assert packs[0]["device"]["serial_number"] == "AB12"
    assert packs[0]["device"]["sw_version"] == "2.3.254"
    assert "serial_number" not in packs[1]["device"]


def found_id(found: dict[str, Any], index: int) -> str:
    """Return the id of a device, which is in its topic."""
    (node,) = list(found.values())[index]["device"]["identifiers"]
    return str(node)


def test_ids_are_of_plain_letters_and_unique() -> None:
    """A pack may have any name; an id of Home Assistant may not, and two of them may not be one."""
    ids = [each["unique_id"] for _, _, each in components()]
    assert len(set(ids)) == len(ids)
    for topic in documents():
        node = topic.split("/")[2]
        assert node.isascii()
        assert node.replace("_", "").replace("-", "").isalnum()


@pytest.mark.parametrize(("topic", "name", "told"), components())
def test_unit_class_and_state_class_go_together(topic: str, name: str, told: dict[str, Any]) -> None:
    """An entity with a pair that does not fit is silently missing in Home Assistant."""
    kind, unit = told.get("device_class"), told.get("unit_of_measurement")
    if told["platform"] == "sensor":
        if kind == "enum":
            assert told["options"]
            assert unit is None
            assert "state_class" not in told
        elif kind is not None:
            assert unit in UNITS[kind], (topic, name)
        if kind == "energy":
            assert told["state_class"] == "total_increasing"
    if told["platform"] in ("button", "select"):
        assert told["command_topic"].startswith("victron/tinybms/command/")
    else:
        assert "command_topic" not in told


def test_energy_can_go_into_the_energy_dashboard() -> None:
    """It wants two counters in kWh that only rise: those of the battery, and of several packs those of each."""
    found = [(topic, name) for topic, name, each in components() if each.get("device_class") == "energy"]
    assert [name for _, name in found] == ["charged_kwh", "discharged_kwh"] * 3
    assert len({topic for topic, _ in found}) == 3


def test_a_pack_beside_others_has_its_part() -> None:
    """Condition, shares, what it bears and what is wrong with it are entities; the only pack has none of them."""
    several = entities(documents()["homeassistant/device/victron_tinybms_pack_a/config"])
    (alone,) = [
        json.loads(each.payload)
        for each in devices(
            "homeassistant", "victron/tinybms", "House", PACKS[:1], "en", commands=False, interval_s=1.0
        )
    ][1:]
    own = {
        *("condition", "charge_share_percent", "discharge_share_percent", "charge_blocked", "discharge_blocked"),
        *("ccl_limit_a", "dcl_limit_a", "charged_kwh", "discharged_kwh", "alarms"),
    }
    assert several.keys() - entities(alone).keys() == own
    assert several["condition"]["options"] == [*PackCondition]


def test_without_leave_there_is_nothing_to_press() -> None:
    """A button that does nothing is worse than none."""
    found = documents(commands=False)
    platforms = {each["platform"] for told in found.values() for each in entities(told).values()}
    assert platforms == {"sensor", "binary_sensor"}


def test_what_is_no_more_is_taken_away_by_name() -> None:
    """Home Assistant keeps an entity that a later message only leaves out: buttons without leave, a cell too many."""
    without = documents(commands=False)["homeassistant/device/victron_tinybms/config"]["components"]
    for name, told in documents()["homeassistant/device/victron_tinybms/config"]["components"].items():
        if told["platform"] in ("button", "select"):
            assert without[name] == {"platform": told["platform"]}
    four_cells = list(documents().values())[2]["components"]
    assert "unique_id" in four_cells["cell_4_mv"]
    assert four_cells["cell_5_mv"] == four_cells["cell_16_mv"] == {"platform": "sensor"}


def test_a_pack_that_was_not_seen_yet_keeps_its_cells() -> None:
    """A bridge that starts while the BMS is unplugged must not throw away what somebody has set on a cell."""
    (_, told) = devices("homeassistant", "b", "B", [PackDevice("a", 0)], "en", commands=True, interval_s=1.0)
    assert not any(
        name.startswith("cell_") and name != "cell_imbalance_mv" for name in json.loads(told.payload)["components"]
    )


def test_names_are_in_the_chosen_language() -> None:
    """No entity is left without a name, and none in the other language."""
    by_language = {
        language: [each["name"] for told in documents(language=language).values() for each in entities(told).values()]
        for language in LANGUAGES
    }
    assert all(name and not name.startswith("ha.") for names in by_language.values() for name in names)
    same = [en for en, fr in zip(by_language["en"], by_language["fr"], strict=True) if en == fr]
    assert len(set(same)) < len(by_language["en"]) / 5


def test_a_pack_of_any_name_takes_no_id_of_the_battery() -> None:
    """Of two entities with one id Home Assistant drops the second: `bms` and `soc_percent`, for example."""
    packs = [PackDevice(name, 16) for name in ("bms", "alarm", "cell", "max", "discharge")]
    found = devices("homeassistant", "b", "B", packs, "en", commands=True, interval_s=1.0)
    ids = [each["unique_id"] for told in found for each in entities(json.loads(told.payload)).values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("interval_s", "expiry_s"), [(0.2, 60), (1.0, 60), (30.0, 150), (600.0, 3000)])
def test_states_expire_where_the_broker_does_not_know_of_the_loss(interval_s: float, expiry_s: int) -> None:
    """A broker that lost power with the bridge has `online` and an old state; no entity lives on them for ever."""
    for told in documents(interval_s=interval_s).values():
        for each in entities(told).values():
            wanted = expiry_s if each["platform"] in ("sensor", "binary_sensor") else None
            assert each.get("expire_after") == wanted


def test_what_few_look_at_waits_until_it_is_enabled() -> None:
    """Sixteen cells would fill the recorder each second; alarms and what a dashboard shows are there at once."""
    off = {name for _, name, each in components() if not each.get("enabled_by_default", True)}
    assert {f"cell_{number}_mv" for number in range(1, 17)} <= off
    assert "notice_can_bit_rate" in off
    assert not off & {"soc_percent", "voltage", "charged_kwh", "notice_communication", "alarm_high_voltage", "level"}


def test_the_link_of_the_device_leads_to_the_pages() -> None:
    """Home Assistant refuses the whole message where the link is empty."""
    assert "configuration_url" not in documents()["homeassistant/device/victron_tinybms/config"]["device"]
    told = documents(address="http://192.168.1.7:8080/")["homeassistant/device/victron_tinybms/config"]
    assert told["device"]["configuration_url"] == "http://192.168.1.7:8080/"
