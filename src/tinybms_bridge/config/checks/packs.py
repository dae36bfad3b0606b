"""Checks of packs that need each other's port, name and unit."""

from collections.abc import Callable, Hashable, Iterator, Mapping

from tinybms_bridge.config.checks.finding import ConfigFinding
from tinybms_bridge.config.models.packs import PackEntry
from tinybms_bridge.hal.serial import port_id
from tinybms_bridge.words import Message, message

__all__ = ["pack_findings"]

_AUTO = "auto"


def pack_findings(packs: Mapping[str, PackEntry]) -> Iterator[ConfigFinding]:
    """Yield what does not fit between packs; looks at the ports that exist. Blocks."""
    yield from _in_service(packs)
    names = {name: name.lower() for name in packs}
    yield from _doubled("", names, lambda other: message("config.same_pack_name", pack=other))
    units = {name: pack.serial_number.upper() for name, pack in packs.items() if pack.serial_number}
    yield from _doubled(".serial_number", units, lambda other: message("config.same_unit", pack=other))
    devices = {name: pack.uart.device for name, pack in packs.items() if pack.uart.device not in ("", _AUTO)}
    ports = {name: port_id(device) for name, device in devices.items()}
    yield from _doubled(".uart.device", ports, lambda other: message("config.same_port", pack=other))
    only_here = len(packs) == 1 and not next(iter(packs.values())).enabled  # is told already, and all that matters
    for name, pack in packs.items():
        path = f"packs.{name}.uart.device"
        if not pack.uart.device and not only_here:
            yield ConfigFinding((path,), (message("config.pack_without_port"),))
        elif pack.uart.device == _AUTO and len(packs) > 1:
            yield ConfigFinding((path,), (message("config.auto_of_several"),))


def _in_service(packs: Mapping[str, PackEntry]) -> Iterator[ConfigFinding]:
    if packs and not any(pack.enabled for pack in packs.values()):
        told = message("config.only_pack" if len(packs) == 1 else "config.no_pack_in_service")
        yield ConfigFinding((f"packs.{list(packs)[-1]}.enabled",), (told,))


def _doubled(key: str, values: Mapping[str, Hashable], told: Callable[[str], Message]) -> Iterator[ConfigFinding]:
    """Yield a finding for each pack with the value of an earlier one; ``told`` says so of the other's name."""
    first: dict[Hashable, str] = {}
    for name, value in values.items():
        other = first.setdefault(value, name)
        if other != name:
            yield ConfigFinding((f"packs.{name}{key}", f"packs.{other}{key}"), (told(other), told(name)))
