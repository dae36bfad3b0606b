"""The bridge as the web room sees it: the adapter behind ``services.web.face.BridgeFace``."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from tinybms_bridge import __version__
from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.inhibits import Direction, TimedInhibit
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.core.bridge import Bridge
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.state import CanState, Inhibit, MonitoredFrame, PartStatus, TraceLine, UartState, WatchdogState
from tinybms_bridge.services.history import History
from tinybms_bridge.services.logs import LogStore
from tinybms_bridge.services.web.face import Picture
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.tinybms.settings import BmsSettings

__all__ = ["WebFace"]


class WebFace:
    """One bridge, its configuration and its log behind the protocol of the web room."""

    def __init__(self, bridge: Bridge, store: ConfigStore, logs: LogStore, start_again: Callable[[], None]) -> None:
        self._bridge = bridge
        self._store = store
        self._logs = logs
        self._start_again = start_again

    @property
    def version(self) -> str:
        """See ``BridgeFace``."""
        return __version__

    @property
    def bus(self) -> Bus:
        """See ``BridgeFace``."""
        return self._bridge.bus

    @property
    def store(self) -> ConfigStore:
        """See ``BridgeFace``."""
        return self._store

    def misfits(self) -> Sequence[str]:
        """See ``BridgeFace``."""
        return self._bridge.advisor.conflicts

    def advice(self) -> Sequence[Advice]:
        """See ``BridgeFace``."""
        return self._bridge.advisor.advice

    @property
    def device_settings(self) -> BmsSettings:
        """See ``BridgeFace``."""
        return self._bridge.pack.settings

    @property
    def logs(self) -> LogStore:
        """See ``BridgeFace``."""
        return self._logs

    @property
    def history(self) -> History:
        """See ``BridgeFace``."""
        return self._bridge.machine.history

    @property
    def clock(self) -> Clock:
        """See ``BridgeFace``."""
        return self._bridge.machine.clock

    def picture(self) -> Picture:
        """See ``BridgeFace``."""
        bridge, state = self._bridge, self._bridge.state()
        return Picture(
            uptime_s=bridge.uptime_s,
            at=self.clock.wall(),
            view=state.view(self.clock.monotonic()),
            alarms=state.alarms,
            notices=state.notices,
            energy=state.energy,
            identity=state.identity,
            rejected=state.main.rejected,
            outliers=state.main.outliers,
        )

    def uart(self) -> UartState:
        """See ``BridgeFace``."""
        return self._bridge.pack.state()

    def can(self) -> CanState:
        """See ``BridgeFace``."""
        return self._bridge.can.state()

    def device_statistics(self) -> DeviceStatistics | None:
        """See ``BridgeFace``."""
        return self._bridge.pack.log.statistics

    def watchdog(self) -> WatchdogState:
        """See ``BridgeFace``."""
        return self._bridge.watchdog()

    def parts(self) -> Sequence[PartStatus]:
        """See ``BridgeFace``."""
        return self._bridge.parts()

    def events(self) -> Sequence[EventRecord]:
        """See ``BridgeFace``."""
        return self._bridge.events.records()

    def frames(self, after: int = 0) -> Sequence[MonitoredFrame]:
        """See ``BridgeFace``."""
        return self._bridge.can.monitored(after)

    def trace(self) -> Sequence[TraceLine]:
        """See ``BridgeFace``."""
        return self._bridge.pack.trace()

    def inhibits(self) -> Sequence[Inhibit]:
        """See ``BridgeFace``."""
        return [self._shown(each) for each in self._bridge.inhibits.current()]

    async def inhibit(self, direction: Direction, duration_s: float | None, reason: str, by: str) -> Inhibit:
        """See ``BridgeFace``."""
        return self._shown(await self._bridge.inhibits.inhibit(direction, duration_s, reason, by))

    async def release(self, direction: Direction) -> bool:
        """See ``BridgeFace``."""
        return await self._bridge.release(direction)

    def reset_statistics(self) -> None:
        """See ``BridgeFace``."""
        self._bridge.reset_statistics()

    def restart(self, part: str | None) -> None:
        """See ``BridgeFace``."""
        if part is None:
            self._start_again()
        else:
            self._bridge.supervisor.restart(part)

    def _shown(self, kept: TimedInhibit) -> Inhibit:
        """Return an inhibit with its end by the present wall clock, to the second."""
        ends_at = None
        if kept.remaining_s is not None:
            ends_at = (self.clock.wall() + timedelta(seconds=kept.remaining_s + 0.5)).replace(microsecond=0)
        return Inhibit(kept.direction, kept.since, ends_at, kept.reason, kept.by)
