"""The packs that a configuration means: the named ones, or the one of the short form ``hardware.uart``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tinybms_bridge.battery.limits.parallel import JOIN_CELL_V
from tinybms_bridge.battery.state import MAIN_PACK
from tinybms_bridge.config.configuration import Configuration

__all__ = ["PackPort", "join_delta_v", "pack_ports", "with_device"]


@dataclass(frozen=True, slots=True)
class PackPort:
    """Where the BMS of one pack is, and what is demanded of it."""

    device: str
    """Path of the serial port, or ``auto``."""
    timeout_ms: int
    baudrate: int
    path: str
    """Of the keys of its line: ``hardware.uart`` or ``packs.NAME.uart``."""
    timeout_path: str
    """Of the key that says its time-out."""
    enabled: bool = True
    """Whether it is in service."""
    serial_number: str = ""
    """That its BMS has to have, in capitals as a BMS tells it; empty for any."""


def pack_ports(config: Configuration) -> Mapping[str, PackPort]:
    """Return every pack by name, those out of service too, in the order of the file; ``main`` for the short form.

    There is at least one, and of a configuration that was checked at least one is in service.
    """
    uart = config.hardware.uart
    if not config.packs:
        path = "hardware.uart"
        return {MAIN_PACK: PackPort(uart.device, uart.timeout_ms, uart.baudrate, path, f"{path}.timeout_ms")}
    return {
        name: PackPort(
            device=pack.uart.device,
            timeout_ms=uart.timeout_ms if pack.uart.timeout_ms is None else pack.uart.timeout_ms,
            baudrate=uart.baudrate,
            path=f"packs.{name}.uart",
            timeout_path=f"{'hardware' if pack.uart.timeout_ms is None else f'packs.{name}'}.uart.timeout_ms",
            enabled=pack.enabled,
            serial_number=pack.serial_number.upper(),
        )
        for name, pack in config.packs.items()
    }


def with_device(config: Configuration, name: str, device: str) -> Configuration:
    """Return a configuration in which a pack is at another port. Raises KeyError for a pack that it does not have."""
    if not config.packs and name == MAIN_PACK:
        return replace(config, hardware=replace(config.hardware, uart=replace(config.hardware.uart, device=device)))
    pack = config.packs[name]
    moved = replace(pack, uart=replace(pack.uart, device=device))
    return replace(config, packs={**config.packs, name: moved})


def join_delta_v(config: Configuration, series_cells: int) -> float:
    """Return how far in volts a pack may be from the others and still join like any."""
    given_v = config.battery.join_delta_v
    return JOIN_CELL_V * series_cells if given_v is None else given_v
