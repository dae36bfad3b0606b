"""What reading and writing settings needs of a client, and the reads themselves."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tinybms_bridge.tinybms.frames import (
    ReadModbus,
    ReadSettings,
    Registers,
    Reply,
    Request,
    SettingsTable,
    SettingsValues,
)

__all__ = ["Link", "read_registers", "read_settings_table"]


class Link(Protocol):
    """A client that talks to one BMS, one transaction at a time; writes are sent once."""

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        """Send a request and return its reply. Raises DeviceRefused or LinkError."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Keep the line for the calling task; everyone else's requests, the poll among them, wait meanwhile."""
        ...


async def read_registers(link: Link, address: int, count: int, *, attempts: int | None = None) -> tuple[int, ...]:
    """Return ``count`` registers from ``address``. Raises DeviceRefused or LinkError."""
    reply = await link.request(ReadModbus(address, count), attempts=attempts)
    assert isinstance(reply, Registers)
    return reply.values


async def read_settings_table(link: Link, table: SettingsTable, count: int) -> tuple[int, ...]:
    """Return ``count`` words of one table of command 0x1D. Raises DeviceRefused or LinkError."""
    reply = await link.request(ReadSettings(table, count))
    assert isinstance(reply, SettingsValues)
    return reply.values
