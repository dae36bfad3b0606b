"""Checks of the doctor: which serial port the BMS is on."""

import asyncio
import os
from collections.abc import Sequence

from tinybms_bridge.cli.device import connected, is_busy
from tinybms_bridge.doctor.bms import ask
from tinybms_bridge.doctor.findings import Finding, ok, problem, remedy_of, warning
from tinybms_bridge.errors import BridgeError, LinkError
from tinybms_bridge.hal.processes import Process, processes_holding, stop_command
from tinybms_bridge.hal.serial import find_ports
from tinybms_bridge.words import message

__all__ = ["choose_port", "open_problem"]

_CHECK = "serial port"


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
        return None, [problem(_CHECK, message("doctor.no_adapter"))]
    port, findings = (found[0], []) if len(found) == 1 else await _search(found, baudrate)
    if port is None:
        return None, findings
    if named is None and not await asyncio.to_thread(_same_device, port, default):
        return port, [*findings, warning(_CHECK, message("doctor.other_port", port=port, default=default))]
    return port, findings or [ok(_CHECK, message("doctor.only_port", port=port))]


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
        return port, [ok(_CHECK, message("doctor.port_found", port=port, count=len(ports)))]
    return None, [problem(_CHECK, message("doctor.no_port_answers", ports=ports))]


def open_problem(port: str, error: LinkError) -> Finding:
    """Return why a port did not open. Blocks: looks who holds it."""
    if not is_busy(error):
        return problem(_CHECK, error.what, remedy_of(error))
    holders = processes_holding(port)
    bridge = next((holder for holder in holders if holder.is_bridge), None)
    if bridge is not None:
        return _held_by_bridge(port, bridge)
    if holders:
        names = [str(holder) for holder in holders]
        return problem(_CHECK, message("doctor.port_held", port=port, holders=names))
    return problem(_CHECK, message("doctor.port_held_by_somebody", port=port))


def _held_by_bridge(port: str, bridge: Process) -> Finding:
    command = stop_command(bridge)
    return warning(_CHECK, message("doctor.port_held_by_bridge", port=port, pid=bridge.pid, command=command))
