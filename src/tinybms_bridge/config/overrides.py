"""What a command line says in place of a configuration."""

from dataclasses import dataclass, replace
from typing import Any

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.hardware import Can

__all__ = ["Overrides", "override"]


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

    uart, can, logging = config.hardware.uart, config.hardware.can, config.logging
    said = interpret(_document(overrides), "command line").configuration
    if overrides.device is not None:
        uart = replace(uart, device=said.hardware.uart.device)
    if overrides.can_interface not in (None, can.interface):  # channel and options mean nothing to another adapter
        can = replace(can, interface=said.hardware.can.interface, channel=Can().channel, options=Can().options)
    if overrides.can_channel is not None:
        can = replace(can, channel=said.hardware.can.channel)
    if overrides.log_level is not None:
        logging = replace(logging, log_level=said.logging.log_level)
    return replace(config, hardware=replace(config.hardware, uart=uart, can=can), logging=logging)


def _document(overrides: Overrides) -> dict[str, Any]:
    """Return the choices as a file would have them."""
    uart = {"device": overrides.device}
    can = {"interface": overrides.can_interface, "channel": overrides.can_channel}
    logging = {"log_level": overrides.log_level}
    return {"hardware": {"uart": _given(uart), "can": _given(can)}, "logging": _given(logging)}


def _given(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
