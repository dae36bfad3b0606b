"""The BMS for commands that talk to it themselves: opening its port, and saying who holds it when that fails."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tinybms_bridge.errors import BridgeError, LinkError

if TYPE_CHECKING:
    from tinybms_bridge.tinybms.client import TinyBmsClient

__all__ = ["BAUDRATE", "connected", "is_busy", "with_doctor"]

BAUDRATE = 115200


@asynccontextmanager
async def connected(device: str, baudrate: int = BAUDRATE) -> "AsyncIterator[TinyBmsClient]":
    """Open the port of a BMS for the time of a block.

    Raises LinkError when it cannot be opened; one that is in use names the program that holds it. A LinkError of the
    block leaves it with what the line points at.
    """
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
        text = str(explain_failure(error, client.statistics)) if client.connected else str(error)
        if text == str(error):
            raise
        raise LinkError(text) from error
    finally:
        await client.close()


def with_doctor(error: BridgeError, device: str) -> BridgeError:
    """Return the error, with the way to find its cause where the line failed and says nothing of it."""
    if not isinstance(error, LinkError) or error.hint:
        return error
    where = "" if device == "auto" else f" --device {device}"
    return LinkError(error.reason, hint=f"tinybms-bridge doctor{where} looks for the cause")


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
    import asyncio

    from tinybms_bridge.cli.processes import processes_holding, stop_command

    holders = [] if device == "auto" else await asyncio.to_thread(processes_holding, device)
    bridge = next((process for process in holders if process.is_bridge), None)
    if bridge is not None:
        hint = f"stop it first: {await asyncio.to_thread(stop_command, bridge)}"
        return LinkError(f"{device} is used by the running bridge (process {bridge.pid})", hint=hint)
    if holders:
        names = ", ".join(str(process) for process in holders)
        return LinkError(f"{device} is used by {names}", hint="close that program")
    return None
