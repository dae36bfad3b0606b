"""The BMS for commands that talk to it: through the running bridge, which has the port, or by opening the port.

Who holds a port that cannot be opened is said.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, cast

import click

from tinybms_bridge.cli.link import linked
from tinybms_bridge.errors import BridgeError, LinkError
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.words import message

if TYPE_CHECKING:
    from tinybms_bridge.doctor.bms import Device
    from tinybms_bridge.link.client import Connection
    from tinybms_bridge.link.state import CoreState
    from tinybms_bridge.tinybms.client import TinyBmsClient
    from tinybms_bridge.tinybms.frames import Reply, Request
    from tinybms_bridge.tinybms.settings import Readout

__all__ = [
    "BAUDRATE",
    "BridgeDevice",
    "connected",
    "is_busy",
    "linked_device",
    "pack_option",
    "read_settings",
    "with_doctor",
]

BAUDRATE = 115200

pack_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--pack", default="", metavar="NAME", help="Of several packs of the running bridge, this one."
)
"""Adds ``--pack`` to a command."""


class BridgeDevice:
    """The BMS of a pack of the running bridge, which asks it what only reads."""

    def __init__(self, link: "Connection[CoreState]", pack: str = "") -> None:
        from tinybms_bridge.link.device import LinkedDevice

        self._device = LinkedDevice(link, pack)
        self.statistics = self._device.statistics
        """Of the requests of this command."""
        self.connected = self._device.connected
        self.link = link
        self.pack = pack
        """Name of the pack, of several; empty for the only one."""
        packs = link.mirror.state.packs
        self.port = next((each.uart.device for name, each in packs.items() if pack in ("", name)), "")
        """The port that the bridge has."""

    async def request(self, request: "Request", *, attempts: int | None = None) -> "Reply":
        """See ``LinkedDevice.request``."""
        return await self._device.request(request, attempts=attempts)


async def read_settings(client: "Device") -> "Readout":
    """Return all that a BMS says of its settings, by the bridge that has it or by its port."""
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.link.device import LinkedSettings
    from tinybms_bridge.tinybms.settings import BmsSettings

    if isinstance(client, BridgeDevice):
        return await LinkedSettings(client.link, client.pack).read()
    return await BmsSettings(cast("TinyBmsClient", client), SystemClock()).read()


@asynccontextmanager
async def linked_device(device: str, pack: str = "") -> "AsyncIterator[BridgeDevice | None]":
    """Give the BMS of the bridge that runs here, if it is the one at ``device``; None where that is to be opened.

    Of several packs the one that is named, or at that port. Raises LinkError where neither says which.
    """
    import asyncio

    async with AsyncExitStack() as stack:
        try:
            link = await stack.enter_async_context(linked(""))
        except LinkError as error:  # none runs, or it is not ours to ask: who holds the port is named when it is opened
            if pack:
                raise LinkError(message("pack.of_no_bridge", pack=pack, reason=error.description)) from error
            yield None
            return
        ports = {name: each.uart.device for name, each in link.mirror.state.packs.items()}
        if pack and pack not in ports:
            raise LinkError(message("request.no_pack", name=pack, meant=nearest(pack, ports)))
        if not pack and device == "auto" and len(ports) > 1:
            raise LinkError(message("pack.which", packs=list(ports)))
        found = pack if pack or device == "auto" else await asyncio.to_thread(_pack_at, device, ports)
        if found is None:
            yield None
            return
        yield BridgeDevice(link, found if len(ports) > 1 else "")


def _pack_at(device: str, ports: Mapping[str, str]) -> str | None:
    """Return the pack whose port this is; None for a port that the bridge does not have. Blocks."""
    place = os.path.realpath(device)
    return next((name for name, port in ports.items() if os.path.realpath(port) == place), None)


@asynccontextmanager
async def connected(device: str, baudrate: int = BAUDRATE, *, pack: str = "") -> "AsyncIterator[Device]":
    """Reach a BMS for the time of a block: through the running bridge that has it, else by opening its port.

    ``pack`` names one of several of the running bridge.

    Raises LinkError when it cannot be opened; one that is in use names the program that holds it. A LinkError of the
    block leaves it with what the line points at.
    """
    async with linked_device(device, pack) as running:
        if running is not None:
            yield running
            return
    async with _opened(device, baudrate) as client:
        yield client


@asynccontextmanager
async def _opened(device: str, baudrate: int) -> "AsyncIterator[TinyBmsClient]":
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
    from tinybms_bridge.tinybms.client import TinyBmsClient
    from tinybms_bridge.tinybms.diagnosis import explain_failure

    async def open_port(on_data: OnData, on_lost: OnLost) -> SerialPort:
        return await open_serial(device, baudrate, on_data, on_lost)

    client = TinyBmsClient(open_port, SystemClock())
    try:
        await client.connect()
    except LinkError as error:
        named = await _with_holder(device) if is_busy(error) else None
        if named is None:
            raise
        raise named from error
    try:
        yield client
    except LinkError as error:
        told = explain_failure(error, client.statistics) if client.connected else error.description
        if told == error.description:
            raise
        raise LinkError(told) from error
    finally:
        await client.close()


_NOT_THE_LINE = {"pack.which", "pack.of_no_bridge", "request.no_pack"}
"""What is said of the command, not of a line."""


def with_doctor(error: BridgeError, device: str) -> BridgeError:
    """Return the error, with the way to find its cause where the line failed and says nothing of it."""
    if not isinstance(error, LinkError) or error.hint or error.description.code in _NOT_THE_LINE:
        return error
    where = "" if device == "auto" else f" --device {device}"
    return LinkError(error.what, hint=message("serial.doctor", command=f"tinybms-bridge doctor{where}"))


def is_busy(error: LinkError) -> bool:
    """Return whether a port did not open because another program uses it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.EBUSY, errno.EAGAIN):
            return True
        cause = cause.__cause__
    return False


async def _with_holder(device: str) -> LinkError | None:
    """Return an error that names the program that holds a port; None when nobody is seen, as for "auto"."""
    from tinybms_bridge.hal.processes import processes_holding, stop_command

    holders = [] if device == "auto" else await asyncio.to_thread(processes_holding, device)
    bridge = next((process for process in holders if process.is_bridge), None)
    if bridge is not None:
        hint = message("serial.stop_bridge", command=await asyncio.to_thread(stop_command, bridge))
        return LinkError(message("serial.held_by_bridge", port=device, pid=bridge.pid), hint=hint)
    if holders:
        told = message("serial.held", port=device, holders=[str(process) for process in holders])
        return LinkError(told, hint=message("serial.close_other"))
    return None
