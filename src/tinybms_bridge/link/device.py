"""A BMS behind a running core, in the place of a client of the line, which the core alone may hold.

Whatever only sends requests that read works the same with both: event log, statistics, registers. Settings and actions
have commands of their own, which the core judges.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.commands import (
    ActOnDevice,
    ApplyBackup,
    ApplySettings,
    AskDevice,
    Command,
    PlanBackup,
    PlanSettings,
    ReadSettings,
)
from tinybms_bridge.tinybms.frames import CrcMismatch, Framer, Garbage, Reply, Request
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.actions import ActionName, ActionResult
from tinybms_bridge.tinybms.settings.backup import Backup
from tinybms_bridge.tinybms.settings.manager import OnResult
from tinybms_bridge.tinybms.settings.plan import Plan
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.writer import Report
from tinybms_bridge.tinybms.statistics import LinkStatistics

__all__ = ["Calls", "LinkedDevice", "LinkedSettings"]

R = TypeVar("R")

_TIMEOUT_S = 30.0
"""For one request: the core may be writing settings, or waking the BMS."""
_SETTINGS_S = 300.0
"""Settings are written and read back one by one, with a BMS that may answer slowly."""


class Calls(Protocol):
    """A connection to a core."""

    async def call(
        self, command: Command[R], *, timeout_s: float, on_progress: Callable[[Any], None] | None = None
    ) -> R:
        """Let the core carry out a command; see ``Connection.call``."""
        ...


class LinkedDevice:
    """Sends requests to a BMS through the core, which puts them between its own polls.

    Args:
        link: The connection to the core.
        pack: Which BMS; needless while there is one.

    """

    def __init__(self, link: Calls, pack: str = "") -> None:
        self._link = link
        self._pack = pack
        self.statistics = LinkStatistics()
        """Of these requests; the core counts those of its line."""
        self.connected = True

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:  # noqa: ARG002 -- the core's own
        """Send a request that only reads, and return its reply; the core repeats it as often as its own.

        Raises DeviceRefused, LinkError, or ValueError for a request that does not only read.
        """
        data = await self._link.call(AskDevice(request.encode(), self._pack), timeout_s=_TIMEOUT_S)
        framer = Framer(max_buffer=len(data) + 1024)
        framer.expect(request)
        found = framer.feed(data)
        if len(found) == 1 and not isinstance(found[0], Garbage | CrcMismatch):
            return found[0]
        raise LinkError("the bridge gave a reply that does not belong to the request", hint="restart the bridge")


class LinkedSettings:
    """The settings of a BMS behind the core, which judges and writes them; see ``BmsSettings``.

    Every method raises LinkError or DeviceRefused, and SettingsError for wrong values.

    Args:
        link: The connection to the core.
        pack: Which BMS; needless while there is one.

    """

    def __init__(self, link: Calls, pack: str = "") -> None:
        self._link = link
        self._pack = pack

    async def read(self) -> Readout:
        """Return all that the BMS says of its settings."""
        return await self._link.call(ReadSettings(self._pack), timeout_s=_SETTINGS_S)

    async def plan(self, wanted: Mapping[str, Any]) -> Plan:
        """Return what writing these values, by name of setting, would do."""
        return await self._link.call(PlanSettings(wanted, self._pack), timeout_s=_SETTINGS_S)

    async def apply(
        self, wanted: Mapping[str, Any], seen: Plan, *, confirm: bool, by: str, on_result: OnResult | None = None
    ) -> Report:
        """Write values as somebody has seen them in a plan; interrupted, it goes on in the core.

        Raises ConfirmationError, StaleSettingsError.

        Args:
            wanted: Values by name of setting.
            seen: The plan.
            confirm: Accepts the plan's ``consequences``.
            by: Who asks, for the event list.
            on_result: Called with each result as soon as it is known.

        """
        command = ApplySettings(wanted, seen.readout.words, confirm, by, self._pack)
        return await self._link.call(command, timeout_s=_SETTINGS_S, on_progress=on_result)

    async def plan_backup(self, backup: Backup, *, force: bool) -> Plan:
        """Return what restoring a backup would do."""
        return await self._link.call(PlanBackup(backup, force, self._pack), timeout_s=_SETTINGS_S)

    async def apply_backup(
        self, backup: Backup, seen: Plan, *, force: bool, confirm: bool, by: str, on_result: OnResult | None = None
    ) -> Report:
        """Restore a backup; otherwise as ``apply``."""
        command = ApplyBackup(backup, force, seen.readout.words, confirm, by, self._pack)
        return await self._link.call(command, timeout_s=_SETTINGS_S, on_progress=on_result)

    async def perform(self, action: ActionName, value: RegisterValue = None, *, confirm: bool, by: str) -> ActionResult:
        """Let the BMS do something once. Raises ConfirmationError."""
        command = ActOnDevice(action, value, confirm, by, self._pack)
        return await self._link.call(command, timeout_s=_SETTINGS_S)
