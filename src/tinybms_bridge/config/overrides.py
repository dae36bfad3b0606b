"""What a command line says in place of a configuration."""

from dataclasses import dataclass, replace
from typing import Any

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.hardware import Can
from tinybms_bridge.config.packs import pack_ports, with_device
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.words import message

__all__ = ["Overrides", "override"]

_SOURCE = "command line"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says in place of the configuration; None leaves it."""

    device: str | None = None
    can_interface: str | None = None
    can_channel: str | None = None
    log_level: str | None = None


def override(config: Configuration, overrides: Overrides) -> Configuration:
    """Return the configuration with the command line's choices. Raises ConfigError for one that is not allowed."""
    from tinybms_bridge.config.loader import interpret

    can, logging = config.hardware.can, config.logging
    said = interpret(_document(overrides), _SOURCE).configuration
    if overrides.device is not None:
        config = with_device(config, _only_pack(config), said.hardware.uart.device)
    if overrides.can_interface not in (None, can.interface):  # channel and options mean nothing to another adapter
        can = replace(can, interface=said.hardware.can.interface, channel=Can().channel, options=Can().options)
    if overrides.can_channel is not None:
        can = replace(can, channel=said.hardware.can.channel)
    if overrides.log_level is not None:
        logging = replace(logging, log_level=said.logging.log_level)
    return replace(config, hardware=replace(config.hardware, can=can), logging=logging)


def _only_pack(config: Configuration) -> str:
    """Return the pack whose port a command line may name. Raises ConfigError while there are several."""
    ports = list(pack_ports(config))
    if len(ports) > 1:
        told = message("config.which_device", packs=ports)
        raise ConfigError([ConfigProblem("hardware.uart.device", None, told)], source=_SOURCE)
    return ports[0]


def _document(overrides: Overrides) -> dict[str, Any]:
    """Return the choices as a file would have them."""
    uart = {"device": overrides.device}
    can = {"interface": overrides.can_interface, "channel": overrides.can_channel}
    logging = {"log_level": overrides.log_level}
    return {"hardware": {"uart": _given(uart), "can": _given(can)}, "logging": _given(logging)}


def _given(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
