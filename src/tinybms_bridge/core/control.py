"""The core's end of the link: it says what is so in branches of the state tree, and carries out commands.

Nothing here is on the path from the BMS to the GX: what is said costs next to nothing while nobody listens, and what is
asked for is checked by the part that does it.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from tinybms_bridge import __version__
from tinybms_bridge.battery.inhibits import Inhibit
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.config.models.hardware import BAUD_RATE
from tinybms_bridge.core.bridge import Bridge
from tinybms_bridge.core.candidates import known_ports
from tinybms_bridge.core.pack import Pack
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.clock import until_tick_s
from tinybms_bridge.hal.devices import FoundDevices, find_devices
from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.link import commands
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.events import ChangeSource, Noted
from tinybms_bridge.link.server import LinkServer
from tinybms_bridge.link.session import Caller
from tinybms_bridge.link.state import (
    ConfigurationState,
    CoreInfo,
    CoreState,
    EventRecorded,
    FramesSeen,
    LogWritten,
    ServicesState,
    TraceLine,
)
from tinybms_bridge.tinybms.candidates import find_candidates
from tinybms_bridge.tinybms.found_units import Candidate
from tinybms_bridge.tinybms.settings import BmsSettings
from tinybms_bridge.tinybms.settings.actions import ActionResult
from tinybms_bridge.tinybms.settings.backup import restore_plan
from tinybms_bridge.tinybms.settings.errors import StaleSettingsError
from tinybms_bridge.tinybms.settings.plan import Plan
from tinybms_bridge.tinybms.settings.table import Readout, differing
from tinybms_bridge.tinybms.settings.writer import Report
from tinybms_bridge.words import message

__all__ = ["Control", "FollowedConfiguration"]

_KEPT_LINES = 500
"""Lines of the log for services that come later, or again."""
_LOOK_S = 1.0
"""How often the branches are looked at that nobody announces: counters, parts, watchdog."""


class FollowedConfiguration(Protocol):
    """The configuration of the core, as commands may change it."""

    def state(self) -> ConfigurationState:
        """Return what is in force, and how its file is."""
        ...

    async def configure(self, values: Mapping[str, object], digest: str, source: ChangeSource) -> tuple[str, ...]:
        """Put checked values in force and return the paths that changed. Raises ConfigError."""
        ...

    def judge(self, values: Mapping[str, object]) -> None:
        """Raise ConfigError for values that do not fit this battery."""
        ...

    async def reload(self) -> tuple[str, ...]:
        """Read the file again and return the paths that changed. Raises ConfigError for one that cannot be used."""
        ...


class Control:
    """Publishes the state of a bridge, and does what clients ask for.

    Args:
        bridge: The bridge.
        server: The socket's side.
        configuration: What follows the configuration file.
        start_again: Ends the program in order for a new start.

    """

    def __init__(
        self,
        bridge: Bridge,
        server: LinkServer,
        configuration: FollowedConfiguration,
        start_again: Callable[[], None],
    ) -> None:
        self.services = ServicesState()
        """What the services process has told of itself; empty while there is none."""
        self.real_time = ""
        """Which scheduling the system has granted, in words."""
        self._bridge = bridge
        self._server = server
        self._configuration = configuration
        self._start_again = start_again
        self._clock = bridge.machine.clock
        self._said: dict[str, object] = {}
        self._said_battery = BatteryState()
        self._shown_frame = 0
        self._line_number = 0
        self._asking = asyncio.Lock()
        self._lines: deque[LogWritten] = deque(maxlen=_KEPT_LINES)
        self._handle()
        server.before_greeting = self._say_all
        bridge.on_decided = self._battery_changed
        bridge.events.on_added = self._event_recorded

    async def run(self) -> None:
        """Serve until cancelled. Raises LinkError when no socket can be had."""
        self.look()
        await self._server.start()
        try:
            while True:
                await self._clock.sleep(until_tick_s(self._clock, _LOOK_S))
                self.look()
        finally:
            await self._server.close()

    def look(self) -> None:
        """Say what has changed without being announced, and that the battery's state is still looked after.

        Nothing while nobody listens: who begins to listen is told all of it.
        """
        if not self._server.clients:
            return
        self._say_all()
        frames = self._bridge.can.monitored(self._shown_frame)
        if frames:
            self._shown_frame = frames[-1].number
            self._server.publish_event("frames", FramesSeen(tuple(frames)))

    def _say_all(self) -> None:
        tree = self.tree()
        self._say_battery(tree.battery)
        for name, pack in tree.packs.items():
            self._say(f"packs.{name}", pack)
        for name, output in tree.outputs.items():
            self._say(f"outputs.{name}", output)
        for branch in ("core", "parts", "inhibits", "watchdog", "configuration", "services"):
            self._say(branch, getattr(tree, branch))

    def tree(self) -> CoreState:
        """Return the whole state tree."""
        return replace(
            self._bridge.tree(),
            core=self._core(),
            configuration=self._configuration.state(),
            services=self.services,
        )

    def write_log(self, line: LogLine) -> None:
        """Hand a line of the log to the services, which keep it."""
        self._line_number += 1
        written = LogWritten(self._line_number, line.at, line.level, line.source, line.text)
        self._lines.append(written)
        self._server.publish_event("log", written)

    def _core(self) -> CoreInfo:
        bridge = self._bridge
        return CoreInfo(
            version=__version__,
            run=self._server.run_id,
            pid=os.getpid(),
            started_s=bridge.started_s,
            state_directory=str(bridge.machine.folder()) if bridge.machine.keeps else "",
            real_time=self.real_time,
        )

    def _battery_changed(self, accepted: bool) -> None:
        """Say at once what was decided from a new snapshot, and what has changed without one."""
        if not self._server.clients:
            return
        state = self._bridge.state()
        before = self._said_battery
        if accepted or (state.decided, state.freshness, state.alarms, state.notices) != (
            before.decided,
            before.freshness,
            before.alarms,
            before.notices,
        ):
            self._say_inhibits()  # not after the limits that follow from them
            self._say_battery(state)

    def _say_inhibits(self) -> None:
        self._say("inhibits", self._bridge.inhibits.current())

    def _say_battery(self, state: BatteryState) -> None:
        self._said_battery = state
        self._server.publish("battery", state)

    def _say(self, branch: str, value: object) -> None:
        if branch not in self._said or self._said[branch] != value:
            self._said[branch] = value
            self._server.publish(branch, value)

    def _event_recorded(self, record: EventRecord) -> None:
        self._server.publish_event("recorded", EventRecorded(record))

    # commands

    def _handle(self) -> None:
        handle = self._server.handle
        handle(commands.SetInhibit, self._inhibit)
        handle(commands.ReleaseInhibit, self._release)
        handle(commands.Configure, self._configure)
        handle(commands.JudgeConfiguration, self._judge)
        handle(commands.Reload, self._reload)
        handle(commands.ReadSettings, self._read, ends_with_client=True)
        handle(commands.PlanSettings, self._plan, ends_with_client=True)
        handle(commands.PlanBackup, self._plan_backup, ends_with_client=True)
        handle(commands.ApplySettings, self._apply)
        handle(commands.ApplyBackup, self._apply_backup)
        handle(commands.ActOnDevice, self._act)
        handle(commands.AskDevice, self._ask, ends_with_client=True)
        handle(commands.ReadEvents, self._events)
        handle(commands.ReadTrace, self._trace)
        handle(commands.ReadLog, self._log)
        handle(commands.ListDevices, self._devices)
        handle(commands.ListCandidates, self._candidates, ends_with_client=True)
        handle(commands.Note, self._note)
        handle(commands.ReportServices, self._report)
        handle(commands.ResetStatistics, self._reset)
        handle(commands.RestartPart, self._restart_part)
        handle(commands.RestartProgram, self._restart)

    async def _inhibit(self, command: commands.SetInhibit, _caller: Caller) -> Inhibit:
        inhibits = self._bridge.inhibits
        try:
            return await inhibits.inhibit(command.direction, command.duration_s, command.reason, command.by)
        finally:
            self.look()  # it is in force also where it could not be saved

    async def _release(self, command: commands.ReleaseInhibit, _caller: Caller) -> bool:
        try:
            return await self._bridge.release(command.direction)
        finally:
            self.look()

    async def _configure(self, command: commands.Configure, _caller: Caller) -> commands.Configured:
        changed = await self._configuration.configure(command.values, command.digest, command.source)
        self._say("configuration", self._configuration.state())
        return commands.Configured(changed)

    async def _judge(self, command: commands.JudgeConfiguration, _caller: Caller) -> None:
        self._configuration.judge(command.values)

    async def _reload(self, _command: commands.Reload, _caller: Caller) -> commands.Configured:
        return commands.Configured(await self._configuration.reload())

    async def _read(self, command: commands.ReadSettings, _caller: Caller) -> Readout:
        return await self._device(command.pack).read()

    async def _plan(self, command: commands.PlanSettings, _caller: Caller) -> Plan:
        return await self._device(command.pack).plan(command.wanted)

    async def _plan_backup(self, command: commands.PlanBackup, _caller: Caller) -> Plan:
        return restore_plan(command.backup, await self._device(command.pack).read(), force=command.force)

    async def _apply(self, command: commands.ApplySettings, caller: Caller) -> Report:
        device = self._device(command.pack)
        plan = await device.plan(command.wanted)
        _check_seen(plan, command.words)
        return await device.apply(plan, confirm=command.confirm, on_result=caller.progress)

    async def _apply_backup(self, command: commands.ApplyBackup, caller: Caller) -> Report:
        device = self._device(command.pack)
        plan = restore_plan(command.backup, await device.read(), force=command.force)
        _check_seen(plan, command.words)
        return await device.apply(plan, confirm=command.confirm, on_result=caller.progress)

    async def _act(self, command: commands.ActOnDevice, _caller: Caller) -> ActionResult:
        return await self._device(command.pack).perform(command.action, command.value, confirm=command.confirm)

    async def _ask(self, command: commands.AskDevice, _caller: Caller) -> bytes:
        return await self._pack(command.pack).ask(command.request)

    async def _events(self, command: commands.ReadEvents, _caller: Caller) -> tuple[EventRecord, ...]:
        return tuple(each for each in self._bridge.events.records() if each.number > command.after)

    async def _log(self, command: commands.ReadLog, _caller: Caller) -> tuple[LogWritten, ...]:
        return tuple(line for line in self._lines if line.number > command.after)

    async def _trace(self, command: commands.ReadTrace, _caller: Caller) -> tuple[TraceLine, ...]:
        return tuple(self._pack(command.pack).trace())

    async def _devices(self, _command: commands.ListDevices, _caller: Caller) -> FoundDevices:
        return await self._bridge.machine.run_blocking(find_devices)

    async def _candidates(self, _command: commands.ListCandidates, _caller: Caller) -> tuple[Candidate, ...]:
        bridge = self._bridge
        async with self._asking:  # two at a time would find each other's ports in use
            known = known_ports(bridge.config, bridge.tree(), self._clock.monotonic())
            return await find_candidates(known, BAUD_RATE, self._clock, run_blocking=bridge.machine.run_blocking)

    async def _note(self, command: commands.Note, caller: Caller) -> None:
        noted = Noted(command.severity, command.message, command.by, command.pack)
        self._bridge.bus.publish(noted, caller.who or "services")

    async def _report(self, command: commands.ReportServices, _caller: Caller) -> None:
        self.services = command.state
        self._say("services", command.state)

    async def _reset(self, _command: commands.ResetStatistics, _caller: Caller) -> None:
        self._bridge.reset_statistics()
        self._server.reset_statistics()
        self.look()

    async def _restart_part(self, command: commands.RestartPart, _caller: Caller) -> None:
        self._bridge.supervisor.restart(command.part)

    async def _restart(self, _command: commands.RestartProgram, _caller: Caller) -> None:
        asyncio.get_running_loop().call_later(0.2, self._start_again)  # the answer goes out before

    def _device(self, pack: str) -> BmsSettings:
        return self._pack(pack).settings

    def _pack(self, name: str) -> Pack:
        """Return a pack by its name, which is needless while there is one. Raises BridgeError, KeyError."""
        packs = self._bridge.packs
        if not name and len(packs) == 1:
            return next(iter(packs.values()))
        if not name:
            raise BridgeError(message("request.which_pack", packs=list(packs)))
        return packs[name]


def _check_seen(plan: Plan, words: tuple[int, ...]) -> None:
    """Raise StaleSettingsError when the BMS no longer holds what a person has seen in the plan."""
    if words and (moved := differing(words, plan.readout.words)):
        raise StaleSettingsError([setting.name for setting in moved])
