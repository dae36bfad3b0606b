"""Everything that one BMS says about its settings: the reads, values, its limits and defaults, who it is, how it is."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import (
    ReadModbus,
    ReadSettingValues,
    RegistersReply,
    Reply,
    Request,
    SettingsTable,
    SettingsValues,
)
from tinybms_bridge.tinybms.live import (
    IDENTITY_ADDRESS,
    IDENTITY_COUNT,
    LIVE_ADDRESS,
    LIVE_COUNT,
    decode_identity,
    decode_live,
)
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.fields import FIRST, WORDS, WRITE_TO_SET, Setting, Words, all_settings
from tinybms_bridge.words import Message, message

__all__ = [
    "Link",
    "OwnTables",
    "Readout",
    "differing",
    "read_registers",
    "read_settings",
    "read_settings_table",
    "read_words",
]


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
    assert isinstance(reply, RegistersReply)
    return reply.values


async def read_settings_table(link: Link, table: SettingsTable, count: int) -> tuple[int, ...]:
    """Return ``count`` words of one table of command 0x1D. Raises DeviceRefused or LinkError."""
    reply = await link.request(ReadSettingValues(table, count))
    assert isinstance(reply, SettingsValues)
    return reply.values


_SERIES_CELLS = 307
_POWER_TYPE_BIT = 1 << 8


@dataclass(frozen=True, slots=True)
class OwnTables:
    """What the BMS itself says of registers 300 to 343 (command 0x1D); limits move with other settings."""

    minimum: Words
    maximum: Words
    default: Words


@dataclass(frozen=True, slots=True)
class Readout:
    """The settings of one BMS at one moment."""

    words: Words
    """Registers 300 to 343."""
    identity: Identity = field(default_factory=Identity)
    high_power: bool | None = None
    """Power type of the board (register 501 bit 8), or None when unknown."""
    own: OwnTables | None = None
    """The BMS's own limits and defaults, or None when it does not tell them."""
    own_missing: Message | None = None
    """Why ``own`` is None."""
    live: Snapshot | None = None
    """Measurements, to tell what a change would do now."""

    @property
    def identified(self) -> bool:
        """Whether the firmware is known, and with it which settings there are."""
        return self.identity.firmware_internal > 0

    @property
    def series_cells(self) -> int:
        """Cells in series (register 307)."""
        return self.words[_SERIES_CELLS - FIRST]

    def available(self, setting: Setting) -> bool:
        """Return whether this firmware has the setting; an unknown firmware has what all have."""
        return self.identity.firmware_internal >= setting.firmware

    def settings(self) -> list[Setting]:
        """Return the settings that this BMS has, in order of registers."""
        return [setting for setting in all_settings().values() if self.available(setting)]

    def value(self, setting: Setting) -> RegisterValue:
        """Return the present value; None where the firmware has no such setting."""
        return setting.value(self.words) if self.available(setting) else None

    def default(self, setting: Setting) -> RegisterValue:
        """Return the factory default that the BMS tells; None where it does not."""
        return setting.value(self.own.default) if self.own and self.available(setting) else None


async def read_settings(link: Link, clock: Clock) -> Readout:
    """Read all that can be known of the settings.

    Raises:
        LinkError: no good answer for registers; without command 0x1D only ``own`` is missing.
        DeviceRefused: registers 300 to 343 are refused, or a request arrived corrupted.

    """
    version = await _unless_refused(link, IDENTITY_ADDRESS, IDENTITY_COUNT)
    words = await read_words(link)
    own, missing = await _own_tables(link, words)
    live = await _unless_refused(link, LIVE_ADDRESS, LIVE_COUNT)
    identity = decode_identity(version) if version else Identity()
    return Readout(
        words=words,
        identity=identity,
        high_power=bool(version[1] & _POWER_TYPE_BIT) if version else None,
        own=own,
        own_missing=missing,
        live=_snapshot(live, words, identity, clock.monotonic()) if live else None,
    )


async def read_words(link: Link) -> Words:
    """Return registers 300 to 343. Raises DeviceRefused or LinkError."""
    return await read_registers(link, FIRST, WORDS)


def differing(before: Sequence[int], after: Sequence[int]) -> list[Setting]:
    """Return the settings whose bits differ between two readings of registers 300 to 343."""
    return [each for each in all_settings().values() if each.raw(before) != each.raw(after)]


async def _unless_refused(link: Link, address: int, count: int) -> Words | None:
    try:
        return await read_registers(link, address, count)
    except DeviceRefused as error:
        if error.corrupted:
            raise
        return None


async def _own_tables(link: Link, words: Words) -> tuple[OwnTables | None, Message | None]:
    """Return the tables of 0x1D, or why there are none to trust.

    The vendor does not say at which register they start (tinybms-protocol.md, 1); that the table of current values
    equals the registers shows it.
    """
    try:
        current = await read_settings_table(link, SettingsTable.CURRENT, WORDS)
        if not _same(current, words):
            return None, message("own_limits.contradict")
        minimum = await read_settings_table(link, SettingsTable.MINIMUM, WORDS)
        maximum = await read_settings_table(link, SettingsTable.MAXIMUM, WORDS)
        return OwnTables(minimum, maximum, await read_settings_table(link, SettingsTable.DEFAULT, WORDS)), None
    except (DeviceRefused, LinkError) as error:
        return None, message("own_limits.not_read", error=error.description)


def _same(table: Words, words: Words) -> bool:
    ignored = {address - FIRST for address in WRITE_TO_SET}
    return all(a == b for i, (a, b) in enumerate(zip(table, words, strict=True)) if i not in ignored)


def _snapshot(live: Words, words: Words, identity: Identity, now_s: float) -> Snapshot:
    return decode_live(
        live,
        sequence=1,
        taken_at_s=now_s,
        series_cells=words[_SERIES_CELLS - FIRST],
        has_soh=identity.reports_soh,
    )
