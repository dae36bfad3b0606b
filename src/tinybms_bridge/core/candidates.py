"""The serial ports that this core is configured for, with what it knows of the BMS at each without asking there."""

from collections.abc import Sequence

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.link.state import CoreState
from tinybms_bridge.tinybms.found_units import FoundUnit, KnownPort, unit_of
from tinybms_bridge.words import message

__all__ = ["known_ports"]


def known_ports(config: Configuration, tree: CoreState, now_s: float) -> Sequence[KnownPort]:
    """Return the ports of the packs, those out of service as free, and that of a CAN adapter on a serial port."""
    known = [
        KnownPort(port.device, name, free=True)
        if not port.enabled
        else _in_use(name, port.device, tree, _unit(name, tree, now_s))
        for name, port in pack_ports(config).items()
    ]
    channel = config.hardware.can.channel
    return [*known, KnownPort(channel)] if channel.startswith("/") else known


def _in_use(name: str, device: str, tree: CoreState, unit: FoundUnit | None) -> KnownPort:
    line = tree.packs.get(name)
    why = None if line is None or line.uart.up else line.uart.why()
    if unit is None and why is None:
        why = message("candidate.not_read_yet")
    return KnownPort(device, name, unit=unit, message=why)


def _unit(name: str, tree: CoreState, now_s: float) -> FoundUnit | None:
    """Return the BMS of a pack; its voltage as far as it may be shown now."""
    pack, view = tree.battery.packs.get(name), tree.battery.pack_views(now_s).get(name)
    if pack is None or pack.identity is None or view is None:
        return None
    measured = view.measured
    return unit_of(pack.identity, view.ratings, None if measured is None else measured.pack.voltage_v)
