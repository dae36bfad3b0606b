"""Checks of the doctor: which serial port the BMS is on."""

import asyncio
import os
from collections.abc import Sequence

from tinybms_bridge.cli.device import connected, is_busy
from tinybms_bridge.cli.doctor.findings import Finding, as_sentence, ok, problem, warning
from tinybms_bridge.cli.processes import Process, processes_holding, stop_command
from tinybms_bridge.errors import BridgeError, LinkError
from tinybms_bridge.hal.serial import find_ports
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_bridge.tinybms.frames import Command, SimpleRequest

__all__ = ["ask", "choose_port", "open_problem", "silence_problem"]

_CHECK = "serial port"
_LINK = "link"
_NAME_IT = "name the port with --device, or with hardware.uart.device in the configuration."


async def choose_port(named: str | None, default: str, baudrate: int) -> tuple[str | None, list[Finding]]:
    """Return the port to examine, or None, and what was found about it.

    Args:
        named: The port that the user chose; None or "auto": search.
        default: The port that the bridge takes when nobody chooses one.
        baudrate: Speed to search with.

    """
    if named not in (None, "auto"):
        return named, []
    found = [port for port in await asyncio.to_thread(find_ports) if "ttyS" not in port]
    if not found:
        return None, [
            problem(_CHECK, "no USB serial adapter was found", f"Plug in the adapter of the BMS, or {_NAME_IT}")
        ]
    port, findings = (found[0], []) if len(found) == 1 else await _search(found, baudrate)
    if port is None:
        return None, findings
    if named is None and not await asyncio.to_thread(_same_device, port, default):
        text = f"{port} is there, but the bridge would open {default}"
        return port, [*findings, warning(_CHECK, text, f'Set hardware.uart.device to "{port}".')]
    return port, findings or [ok(_CHECK, f"{port} is the only one")]


def _same_device(port: str, other: str) -> bool:
    return os.path.realpath(port) == os.path.realpath(other)


async def _search(ports: Sequence[str], baudrate: int) -> tuple[str | None, list[Finding]]:
    """Ask at each port with a read that changes nothing."""
    for port in ports:
        try:
            async with connected(port, baudrate) as client:
                await ask(client)
        except BridgeError:
            continue
        return port, [ok(_CHECK, f"a TinyBMS answers on {port}, one of {len(ports)} ports")]
    listed = ", ".join(ports)
    advice = f"Check the wiring and that the battery is on, or {_NAME_IT}"
    return None, [problem(_CHECK, f"no TinyBMS answers on any of {listed}", advice)]


async def ask(client: TinyBmsClient) -> None:
    """Read the status, twice if need be: the first frame only wakes a sleeping BMS. Raises LinkError, DeviceRefused."""
    await client.request(SimpleRequest(Command.STATUS), attempts=2)


def open_problem(port: str, error: LinkError) -> Finding:
    """Return why a port did not open. Blocks: looks who holds it."""
    if not is_busy(error):
        return problem(_CHECK, error.reason, as_sentence(error.hint))
    holders = processes_holding(port)
    bridge = next((holder for holder in holders if holder.is_bridge), None)
    if bridge is not None:
        return _held_by_bridge(port, bridge)
    if holders:
        names = ", ".join(str(holder) for holder in holders)
        return problem(_CHECK, f"{port} is in use by {names}", "Close that program.")
    return problem(
        _CHECK,
        f"{port} is in use by another program",
        "Find it with `sudo fuser -v` and the port; if it is ModemManager, stop that service.",
    )


def _held_by_bridge(port: str, bridge: Process) -> Finding:
    return warning(
        _CHECK,
        f"{port} is in use by the running bridge (process {bridge.pid}), as it should be",
        f"To have the BMS examined, stop the bridge first: {stop_command(bridge)}",
    )


def silence_problem(client: TinyBmsClient, baudrate: int, error: BridgeError) -> Finding:
    """Return why nothing sensible comes from an open port, from what was seen on the line."""
    statistics = client.statistics
    if statistics.garbage_bytes or statistics.crc_errors:
        return problem(
            _LINK,
            f"bytes arrive at {baudrate} baud, but no valid frame ({statistics.garbage_bytes} bytes of noise)",
            "A TinyBMS speaks 115200 baud 8N1 only: check the ground, and that this is the port of the BMS.",
        )
    if not client.connected:
        reason, hint = (error.reason, error.hint) if isinstance(error, LinkError) else (str(error), "")
        return problem(_LINK, reason, as_sentence(hint) or "Check the USB plug and the supply of the adapter.")
    return problem(
        _LINK,
        "nothing is received",
        "Check that RX and TX are crossed, the ground is connected, the battery is on, and that this is the port of "
        "the BMS.",
    )
