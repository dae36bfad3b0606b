"""What Home Assistant is told of battery and packs: one retained message for each device, by its MQTT discovery.

Form of the messages: Home Assistant, MQTT integration, "Device discovery payload"; the units and classes that a sensor
may have together: its sensor entity, "Available device classes". A message of no bytes takes a device away again.

Choices that a user of Home Assistant meets:

- Names are in the chosen language, without that of the device: Home Assistant puts it before them. States of a choice
  (`BULK`, `good`) are the words of the API in every language: automations rest on them.
- The ids of entities come from the root topic, so that another name or language keeps history and automations.
- What only a few look at exists but is disabled until somebody enables it: single cells, which would fill the recorder
  sixteen times a second, and notices on how the CAN interface is set up; `level` tells of these as well. (When a
  device is taken away, Home Assistant 2025.4 publishes an empty message for each of them and warns of its own echo.)
- Availability is the retained status with its last will. A broker that lost its power together with the bridge still
  has the last `online`, so sensors also expire (``_expiry_s``).
"""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from tinybms_bridge import __version__
from tinybms_bridge.battery.alarms import AlarmName
from tinybms_bridge.battery.limits.model import ChargeState
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import BmsStatus, Identity
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.words import Language, say

__all__ = ["WORDS", "Announcement", "PackDevice", "devices"]


@dataclass(frozen=True, slots=True)
class Announcement:
    """The discovery message of a device."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class PackDevice:
    """What has to be known of a pack to announce it."""

    name: str
    cells: int
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class _Sensor:
    """A value of a state as an entity."""

    name: str
    """Its name in the document, and in the catalogue behind ``ha.``."""
    unit: str = ""
    device_class: str = ""
    state_class: str = "measurement"
    precision: int | None = None
    icon: str = ""
    diagnostic: bool = False
    options: tuple[str, ...] = ()
    enabled: bool = True
    """Whether it is shown without anybody asking for it."""


_BATTERY = (
    _Sensor("soc_percent", "%", "battery", precision=1),
    _Sensor("voltage", "V", "voltage", precision=2),
    _Sensor("current", "A", "current", precision=2),
    _Sensor("power_w", "W", "power", precision=0),
    _Sensor("temperature", "°C", "temperature", precision=1),
    _Sensor("charged_kwh", "kWh", "energy", "total_increasing", 2),
    _Sensor("discharged_kwh", "kWh", "energy", "total_increasing", 2),
    _Sensor("state", device_class="enum", state_class="", icon="mdi:battery-sync", options=tuple(ChargeState)),
    _Sensor("cvl_voltage_v", "V", "voltage", precision=1, icon="mdi:arrow-collapse-up"),
    _Sensor("ccl_limit_a", "A", "current", precision=1, icon="mdi:battery-arrow-up"),
    _Sensor("dcl_limit_a", "A", "current", precision=1, icon="mdi:battery-arrow-down"),
    _Sensor("min_cell_mv", "mV", "voltage", precision=0),
    _Sensor("max_cell_mv", "mV", "voltage", precision=0),
    _Sensor("cell_imbalance_mv", "mV", "voltage", precision=0, icon="mdi:scale-unbalanced"),
    _Sensor("time_left_s", "s", "duration", precision=0),
    _Sensor("soh_percent", "%", precision=1, icon="mdi:battery-heart-variant"),
    _Sensor(
        "level", device_class="enum", state_class="", icon="mdi:traffic-light",
        options=("good", "warning", "alarm", "unknown"),
    ),
    _Sensor(
        "freshness", device_class="enum", state_class="", icon="mdi:timer-sand", diagnostic=True,
        options=("STARTING", "FRESH", "HOLD", "SILENT"),
    ),
    _Sensor("bms_soc_percent", "%", "battery", precision=1, diagnostic=True),
    _Sensor("discharge_voltage_v", "V", "voltage", precision=1, diagnostic=True),
)  # fmt: skip

_PACK = (
    _Sensor("soc_percent", "%", "battery", precision=1),
    _Sensor("voltage", "V", "voltage", precision=2),
    _Sensor("current", "A", "current", precision=2),
    _Sensor("power_w", "W", "power", precision=0),
    _Sensor("temperature", "°C", "temperature", precision=1),
    _Sensor("min_cell_mv", "mV", "voltage", precision=0),
    _Sensor("max_cell_mv", "mV", "voltage", precision=0),
    _Sensor("cell_imbalance_mv", "mV", "voltage", precision=0, icon="mdi:scale-unbalanced"),
    _Sensor("soh_percent", "%", precision=1, icon="mdi:battery-heart-variant"),
    _Sensor(
        "status", device_class="enum", state_class="", icon="mdi:state-machine",
        options=tuple(each.name for each in BmsStatus),
    ),
    _Sensor("lowest_cell", state_class="", icon="mdi:battery-low", diagnostic=True),
    _Sensor("highest_cell", state_class="", icon="mdi:battery-high", diagnostic=True),
)  # fmt: skip

_OF_SEVERAL = (
    _Sensor(
        "condition", device_class="enum", state_class="", icon="mdi:battery-check",
        options=tuple(PackCondition),
    ),
    _Sensor("charge_share_percent", "%", precision=0, icon="mdi:chart-pie"),
    _Sensor("discharge_share_percent", "%", precision=0, icon="mdi:chart-pie"),
    _Sensor("ccl_limit_a", "A", "current", precision=1, icon="mdi:battery-arrow-up"),
    _Sensor("dcl_limit_a", "A", "current", precision=1, icon="mdi:battery-arrow-down"),
    _Sensor("charged_kwh", "kWh", "energy", "total_increasing", 2),
    _Sensor("discharged_kwh", "kWh", "energy", "total_increasing", 2),
)  # fmt: skip
"""Of a pack beside others: the only one has all of it in the battery."""

_BLOCKED = (("charge_blocked", "mdi:battery-off"), ("discharge_blocked", "mdi:battery-off-outline"))
"""True and false values of a pack beside others: name, icon."""

_MOST_CELLS = 16
"""Of a TinyBMS."""

_TEMPERATURES = ("internal", "external_1", "external_2")

_SWITCHES = (
    ("charging_allowed", "", "mdi:battery-arrow-up", False),
    ("discharging_allowed", "", "mdi:battery-arrow-down", False),
    ("charge_inhibited", "", "mdi:hand-back-left", False),
    ("discharge_inhibited", "", "mdi:hand-back-left", False),
    ("full", "", "mdi:battery-check", False),
    ("gx", "connectivity", "", True),
)
"""True and false values of the state of the battery: name, class, icon, whether diagnostic."""

_RARE = frozenset(
    {
        NoticeName.CAN_BIT_RATE,
        NoticeName.CAN_BUS_OFF,
        NoticeName.CAN_ERROR_PASSIVE,
        NoticeName.CAN_LISTEN_ONLY,
        NoticeName.CAN_NO_RESTART,
        NoticeName.COUNTER_STANDS,
        NoticeName.SECOND_BMS,
    }
)
"""Notices for whoever sets the bridge up; disabled as entities."""

_EXPIRY_S = 60
_EXPIRY_INTERVALS = 5
"""A sensor that has not been heard for so long, and so many intervals, is unavailable, whatever the broker retains."""

_BUTTONS = (
    ("inhibit_charge", "inhibit", '{"direction":"charge","reason":"Home Assistant"}', "mdi:battery-off"),
    ("release_charge", "release", '{"direction":"charge"}', "mdi:battery-arrow-up"),
    ("inhibit_discharge", "inhibit", '{"direction":"discharge","reason":"Home Assistant"}', "mdi:power-plug-off"),
    ("release_discharge", "release", '{"direction":"discharge"}', "mdi:power-plug"),
)
"""Commands as buttons: name, command, what is sent, icon."""

_CHOICES = (
    ("profile", ("normal", "storage", "full_once"), "mdi:tune", False),
    ("log_level", ("ERROR", "WARNING", "INFO", "DEBUG"), "mdi:text-box-search-outline", True),
)
"""Commands as choices: name, what there is to choose, icon, whether it is for the settings of the device."""

WORDS = frozenset(
    {
        *(each.name for each in (*_BATTERY, *_PACK, *_OF_SEVERAL)),
        *(each[0] for each in _BLOCKED),
        "alarms",
        *(f"temperature_{each}" for each in _TEMPERATURES),
        *(each[0] for each in (*_SWITCHES, *_BUTTONS, *_CHOICES)),
    }
)
"""Names of entities, to be found in the catalogue behind ``ha.``."""


def devices(
    prefix: str,
    root: str,
    name: str,
    packs: Sequence[PackDevice],
    language: Language,
    *,
    commands: bool,
    interval_s: float,
    address: str = "",
) -> Iterator[Announcement]:
    """Yield the device of the battery, then one for each pack.

    Args:
        prefix: Topic under which Home Assistant looks.
        root: Topic under which the bridge publishes; the ids of devices and entities come from it.
        name: Of the battery.
        packs: All packs.
        language: Of the names.
        commands: Whether commands are taken, for which there are buttons and choices then.
        interval_s: Between two states.
        address: Of the pages; empty where there is none.

    """
    node = _slug(root)
    about = {
        "origin": {"name": "tinybms-bridge", "sw_version": __version__},
        "availability_topic": f"{root}/status",
        "availability_template": "{{ value_json.state }}",
        "qos": 1,
    }
    battery: dict[str, object] = {
        "identifiers": [node],
        "name": name,
        "manufacturer": "tinybms-bridge",
        "model": "TinyBMS s516",
        "sw_version": __version__,
    }
    if address:
        battery["configuration_url"] = address
    expiry_s = _expiry_s(interval_s)
    components = dict(_battery_components(node, root, language))
    orders = dict(_command_components(node, root, language))
    components |= orders if commands else _taken_away(orders)
    yield _device(prefix, node, about, battery, components, expiry_s)
    for pack in packs:
        part = f"{node}_pack_{_slug(pack.name)}"  # no entity of the battery begins so, whatever a pack is called
        topic = f"{root}/packs/{pack.name}/state"
        components = dict(_pack_components(part, topic, pack, language))
        if len(packs) > 1:
            components |= _part_components(part, topic, language)
        told = _pack_device(part, node, f"{name} {pack.name}", pack.identity)
        yield _device(prefix, part, about, told, components, expiry_s)


def _taken_away(components: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """Return what removes entities: one that is only left out of the message stays in Home Assistant."""
    return {name: {"platform": told["platform"]} for name, told in components.items()}


def _expiry_s(interval_s: float) -> int:
    return max(_EXPIRY_S, math.ceil(_EXPIRY_INTERVALS * interval_s))


def _device(
    prefix: str,
    node: str,
    about: Mapping[str, object],
    device: Mapping[str, object],
    components: Mapping[str, dict[str, object]],
    expiry_s: int,
) -> Announcement:
    for told in components.values():
        if len(told) > 1 and told["platform"] in {"sensor", "binary_sensor"}:
            told["expire_after"] = expiry_s
    payload = orjson.dumps({"device": device, **about, "components": components})
    return Announcement(f"{prefix}/device/{node}/config", payload)


def _pack_device(part: str, node: str, name: str, identity: Identity | None) -> dict[str, object]:
    told: dict[str, object] = {
        "identifiers": [part],
        "name": name,
        "manufacturer": "Enepaq",
        "model": "TinyBMS s516",
        "via_device": node,
    }
    if identity is not None:
        known = {
            "serial_number": identity.serial_number,
            "sw_version": identity.firmware,
            "hw_version": identity.hardware_version,
        }
        told |= {name: value for name, value in known.items() if value}
    return told


def _battery_components(node: str, root: str, language: Language) -> Iterator[tuple[str, dict[str, object]]]:
    topic = f"{root}/battery/state"
    for sensor in _BATTERY:
        yield _sensor(node, topic, sensor, language)
    for name, device_class, icon, diagnostic in _SWITCHES:
        template = f"{{{{ {{true: 'ON', false: 'OFF'}}.get(value_json.{name}, 'None') }}}}"
        yield _binary(node, topic, name, _word(name, language), template, device_class, icon, diagnostic=diagnostic)
    problems: list[tuple[str, str]] = [(each.value, "alarm") for each in AlarmName]
    problems += [(each.value, "notice") for each in NoticeName]
    for name, kind in problems:
        unheard = "'None' if value_json.alarms.core_unreachable is defined else 'OFF'"
        template = f"{{{{ 'ON' if value_json.alarms.{name} is defined else {unheard} }}}}"
        title = say(f"{kind}.{name}", {}, language)
        _, told = _binary(node, topic, f"{kind}_{name}", title, template, "problem", "", diagnostic=True)
        if kind == "notice" and name in _RARE:
            told["enabled_by_default"] = False
        yield f"{kind}_{name}", told


def _pack_components(
    part: str, topic: str, pack: PackDevice, language: Language
) -> Iterator[tuple[str, dict[str, object]]]:
    for sensor in _PACK:
        yield _sensor(part, topic, sensor, language)
    for index, name in enumerate(_TEMPERATURES):
        sensor = _Sensor(f"temperature_{name}", "°C", "temperature", precision=1, diagnostic=True)
        yield _sensor(part, topic, sensor, language, f"value_json.temperatures[{index}]")
    for cell in range(1, _MOST_CELLS + 1 if pack.cells else 1):  # none known: those of before stay
        sensor = _Sensor(f"cell_{cell}_mv", "mV", "voltage", precision=0, diagnostic=True, enabled=False)
        title = say("ha.cell", {"cell": cell}, language)
        name, told = _sensor(part, topic, sensor, language, f"value_json.cells_mv[{cell - 1}]", title)
        yield from {name: told}.items() if cell <= pack.cells else _taken_away({name: told}).items()


def _part_components(part: str, topic: str, language: Language) -> dict[str, dict[str, object]]:
    """Return what a pack has beside others; an alarm of it is one entity, which names them."""
    found = dict(_sensor(part, topic, sensor, language) for sensor in _OF_SEVERAL)
    for name, icon in _BLOCKED:
        template = f"{{{{ {{true: 'ON', false: 'OFF'}}.get(value_json.{name}, 'None') }}}}"
        found |= [_binary(part, topic, name, _word(name, language), template, "", icon, diagnostic=False)]
    template = "{{ 'None' if value_json.condition is none else 'ON' if value_json.alarms else 'OFF' }}"
    found |= [_binary(part, topic, "alarms", _word("alarms", language), template, "problem", "", diagnostic=False)]
    return found


def _command_components(node: str, root: str, language: Language) -> Iterator[tuple[str, dict[str, object]]]:
    for name, command, payload, icon in _BUTTONS:
        yield (
            name,
            {
                "platform": "button",
                "unique_id": f"{node}_{name}",
                "name": _word(name, language),
                "command_topic": f"{root}/command/{command}",
                "payload_press": payload,
                "icon": icon,
            },
        )
    for name, options, icon, diagnostic in _CHOICES:
        told: dict[str, object] = {
            "platform": "select",
            "unique_id": f"{node}_{name}",
            "name": _word(name, language),
            "state_topic": f"{root}/battery/state",
            "value_template": f"{{{{ value_json.{name} }}}}",
            "command_topic": f"{root}/command/{name}",
            "command_template": f'{{"{name}":"{{{{ value }}}}"}}',
            "options": list(options),
            "icon": icon,
        }
        yield name, told | ({"entity_category": "config"} if diagnostic else {})


def _sensor(
    node: str, topic: str, sensor: _Sensor, language: Language, path: str = "", title: str = ""
) -> tuple[str, dict[str, object]]:
    told: dict[str, object] = {
        "platform": "sensor",
        "unique_id": f"{node}_{sensor.name}",
        "name": title or _word(sensor.name, language),
        "state_topic": topic,
        "value_template": _template(path or f"value_json.{sensor.name}"),
    }
    optional: dict[str, object] = {
        "unit_of_measurement": sensor.unit,
        "device_class": sensor.device_class,
        "state_class": sensor.state_class if sensor.unit else "",
        "icon": sensor.icon,
        "options": list(sensor.options),
        "entity_category": "diagnostic" if sensor.diagnostic else "",
    }
    told |= {name: value for name, value in optional.items() if value}
    if sensor.precision is not None:
        told["suggested_display_precision"] = sensor.precision
    if not sensor.enabled:
        told["enabled_by_default"] = False
    return sensor.name, told


def _binary(
    node: str, topic: str, name: str, title: str, template: str, device_class: str, icon: str, *, diagnostic: bool
) -> tuple[str, dict[str, object]]:
    told: dict[str, object] = {
        "platform": "binary_sensor",
        "unique_id": f"{node}_{name}",
        "name": title,
        "state_topic": topic,
        "value_template": template,
    }
    optional = {
        "device_class": device_class,
        "icon": icon,
        "entity_category": "diagnostic" if diagnostic else "",
    }
    return name, told | {key: value for key, value in optional.items() if value}


def _template(path: str) -> str:
    """Return what gives a value, or what Home Assistant takes for an unknown one."""
    return f"{{{{ {path} if {path} is defined and {path} is not none else 'None' }}}}"


def _word(name: str, language: Language) -> str:
    return say(f"ha.{name}", {}, language)


def _slug(text: str) -> str:
    """Return letters, digits, - and _ only, as an id of Home Assistant has to be; different texts stay different."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in text)
    return kept if kept == text.replace("/", "_") else f"{kept}_{zlib.crc32(text.encode()):08x}"
