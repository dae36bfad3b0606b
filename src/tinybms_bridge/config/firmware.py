"""Names of the ESP32 firmware, of its web pages and of earlier versions of this program, turned into ours.

Covers the aliases of its configuration file (long and short Wi-Fi names, flat access-point keys), the other names of
its REST interface (flat pins, ``system``, ``bulk_transition_soc``, ...) and the offsets that its page gives in
negative volts, and the line speeds at which no TinyBMS answers. A document that already has our names and values comes
out unchanged.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tinybms_bridge.config.models.hardware import BAUD_RATE, FIRMWARE_BAUD_RATES
from tinybms_bridge.config.notices import Notice
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.words import message

__all__ = ["Translation", "import_firmware", "translate"]

_SECTIONS = {"cvl_algorithm": "cvl", "system": "web_server", "webserver": "web_server"}

_THRESHOLDS = (
    "undervoltage_v",
    "overvoltage_v",
    "overtemp_c",
    "low_temp_charge_c",
    "imbalance_warn_mv",
    "imbalance_alarm_mv",
    "soc_low_percent",
    "soc_high_percent",
    "derate_current_a",
)

_KEYS: dict[str, dict[str, str]] = {
    "wifi": {
        "ssid": "sta_ssid",
        "password": "sta_password",
        "hostname": "sta_hostname",
        "ap_ssid": "ap_fallback.ssid",
        "ap_password": "ap_fallback.password",
        "ap_channel": "ap_fallback.channel",
    },
    "hardware": {
        "uart_rx_pin": "uart.rx_pin",
        "uart_tx_pin": "uart.tx_pin",
        "uart_baudrate": "uart.baudrate",
        "uart_timeout_ms": "uart.timeout_ms",
        "can_tx_pin": "can.tx_pin",
        "can_rx_pin": "can.rx_pin",
        "can_bitrate": "can.bitrate",
        "can_mode": "can.mode",
        "can_termination": "can.termination",
    },
    "cvl": {
        "bulk_transition_soc": "bulk_soc_threshold",
        "transition_float_soc": "transition_soc_threshold",
        "float_approach_offset": "float_approach_offset_mv",
        "float_offset": "float_offset_mv",
        "imbalance_trigger_mv": "imbalance_hold_threshold_mv",
        "imbalance_release_mv": "imbalance_release_threshold_mv",
        "minimum_ccl_in_float_a": "maximum_ccl_in_float_a",
        "cell_min_float_voltage_v": "floor_cell_voltage_v",
    },
    "victron": {
        "manufacturer": "manufacturer_name",
        "pgn_interval_ms": "pgn_update_interval_ms",
        "cvl_interval_ms": "cvl_update_interval_ms",
        **{key: f"thresholds.{key}" for key in _THRESHOLDS},
    },
    "web_server": {
        "web_port": "port",
        "ws_update_interval": "websocket_update_interval_ms",
        "ws_max_clients": "max_ws_clients",
        "cors_enabled": "enable_cors",
        "auth_enabled": "enable_auth",
    },
    "logging": {
        "level": "log_level",
        "serial": "output_serial",
        "web": "output_web",
        "sd": "output_sd",
        "syslog": "output_syslog",
    },
    "advanced": {"watchdog_config.timeout_s": "watchdog_timeout_s"},
}

_OVERRIDING = frozenset({"ap_ssid", "ap_password", "ap_channel"})
"""Aliases that win over the full name, as in the firmware."""

_STATE = message("config.state_of_firmware")
_OLD_FLOOR = "cell_min_float_voltage_v"
"""The other name of the floor, beside which versions before this one let a lower resting voltage pass."""

_DROPPED = {
    "wifi": dict.fromkeys(("connected", "ip", "rssi", "mode_active"), _STATE),
    "cvl": {"imbalance_offset": message("config.mistake_of_firmware")},
}


@dataclass(slots=True)
class Translation:
    """A document under our names, and what was done to it."""

    document: dict[str, Any] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    """For each renamed path the one that the user wrote."""
    problems: list[ConfigProblem] = field(default_factory=list)


def import_firmware(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Notice]]:
    """Return a firmware or README document under our names, with a notice for each key that was read differently.

    Values are not validated. Raises ConfigError when one section is given under two names.
    """
    translation = translate(document)
    if translation.problems:
        raise ConfigError(translation.problems)
    return translation.document, translation.notices


def translate(document: Mapping[str, Any]) -> Translation:
    """Do what ``import_firmware`` does, without raising and with the origin of each renamed key."""
    translation = Translation()
    prefix, sections = _unwrapped(document)
    for written, content in sections.items():
        name = _SECTIONS.get(written, written)
        if name in translation.document:
            translation.problems.append(ConfigProblem(prefix + written, None, message("config.section_twice")))
            continue
        if prefix + written != name:
            translation.origins[name] = prefix + written
        is_object = isinstance(content, dict)
        translation.document[name] = _section(translation, name, content) if is_object else deepcopy(content)
    return translation


def _unwrapped(document: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the sections inside the envelope of the firmware's GET and POST bodies, and the envelope's name."""
    for envelope in ("config", "settings"):
        inner = document.get(envelope)
        if isinstance(inner, dict) and set(document) <= {envelope, "success", "message"}:
            return f"{envelope}.", inner
    return "", document


def _section(translation: Translation, name: str, content: dict[str, Any]) -> dict[str, Any]:
    written = translation.origins.get(name, name)
    section, aliases = _sorted_keys(translation, name, _flattened(name, content))
    if name == "cvl" and _above(aliases.get(_OLD_FLOOR), section.get("resting_cell_voltage_v")):
        del aliases[_OLD_FLOOR]
        translation.notices.append(Notice(f"{written}.{_OLD_FLOOR}", message("config.floor_above_resting")))
    for alias, value in aliases.items():
        _place(translation, section, name, f"{written}.{alias}", value)
    for path, mend in _VALUES.get(name, {}).items():
        *parents, key = path.split(".")
        owner: Any = section
        for parent in parents:
            owner = owner.get(parent) if isinstance(owner, dict) else None
        value = owner.get(key) if isinstance(owner, dict) else None
        mended = mend(value)
        if mended != value:
            owner[key] = mended
            origin = translation.origins.get(f"{name}.{path}", f"{written}.{path}")
            told = message(
                "config.baud_rate_read_as" if mend is _baud_rate else "config.value_read_as", given=value, used=mended
            )
            translation.notices.append(Notice(origin, told))
    return section


def _flattened(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which two odd shapes of the firmware are normal."""
    result = deepcopy(content)
    if name == "wifi" and isinstance(result.get("ap_fallback"), bool):
        result["ap_fallback"] = {"enabled": result["ap_fallback"]}
    watchdog = result.get("watchdog_config")
    if name == "advanced" and isinstance(watchdog, dict) and set(watchdog) == {"timeout_s"}:
        result["watchdog_config.timeout_s"] = result.pop("watchdog_config")["timeout_s"]
    return result


def _sorted_keys(translation: Translation, name: str, content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the keys of a section into full names and aliases; note and leave out what is no setting."""
    names, aliases = _KEYS.get(name, {}), {}
    section: dict[str, Any] = {}
    for key, value in content.items():
        reason = _DROPPED.get(name, {}).get(key)
        if reason is not None:
            translation.notices.append(Notice(f"{translation.origins.get(name, name)}.{key}", reason))
        elif key in names:
            aliases[key] = value
        else:
            section[key] = value
    return section, aliases


def _place(translation: Translation, section: dict[str, Any], name: str, written: str, value: object) -> None:
    """Put the value of an alias where it belongs, unless the full name is given too."""
    alias = written.removeprefix(f"{translation.origins.get(name, name)}.")
    path = _KEYS[name][alias]
    *parents, key = path.split(".")
    owner: Any = section
    for parent in parents:
        owner = owner.setdefault(parent, {})
    if not isinstance(owner, dict):  # the parent itself is wrong and will be reported
        return
    given = owner.get(key)
    if key in owner and (given == value or value is None):  # null is as good as not given
        return
    if given is not None and alias not in _OVERRIDING:
        translation.notices.append(Notice(written, message("config.given_again", key=f"{name}.{path}")))
        return
    owner[key] = value
    translation.origins[f"{name}.{path}"] = written
    told = message("config.read_as" if given is None else "config.replaces", key=f"{name}.{path}")
    translation.notices.append(Notice(written, told))


def _above(one: object, other: object) -> bool:
    return isinstance(one, int | float) and isinstance(other, int | float) and one > other


def _mode(value: object) -> object:
    known = {"station": "sta", "sta": "sta", "ap": "ap", "both": "both"}
    return known.get(value.lower(), value) if isinstance(value, str) else value


def _log_level(value: object) -> object:
    known = {"WARN": "WARNING", "ERROR": "ERROR", "WARNING": "WARNING", "INFO": "INFO", "DEBUG": "DEBUG"}
    return known.get(value.upper(), value) if isinstance(value, str) else value


def _offset_mv(value: object) -> object:
    """Turn the web page's volts below the target, such as -0.05, into millivolts."""
    if isinstance(value, int | float) and -5 < value < 0:
        return round(-value * 1000, 3)
    return value


def _baud_rate(value: object) -> object:
    """Turn a line speed that the firmware offers into the only one that a TinyBMS has."""
    return BAUD_RATE if type(value) is int and value in FIRMWARE_BAUD_RATES else value


_VALUES: dict[str, dict[str, Callable[[object], object]]] = {
    "wifi": {"mode": _mode},
    "hardware": {"uart.baudrate": _baud_rate},
    "logging": {"log_level": _log_level},
    "cvl": {"float_approach_offset_mv": _offset_mv, "float_offset_mv": _offset_mv},
}
"""By section and path in it: what turns a value of the firmware into ours, and leaves any other value as it is."""
