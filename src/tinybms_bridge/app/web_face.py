"""The bridge as the web room sees it: the adapter behind ``services.web.face.BridgeFace``."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta

from tinybms_bridge import __version__
from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.manual_stops import Direction, ManualStop
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.core.bridge import Bridge
from tinybms_bridge.core.event_store import EventRecord
from tinybms_bridge.core.settings import can_settings
from tinybms_bridge.hal.can import CanFrame, CanStatistics
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.services.history import History
from tinybms_bridge.services.logs import LogBook
from tinybms_bridge.services.web.face import (
    CanFigures,
    EventEntry,
    Inhibit,
    MonitoredFrame,
    PartFigures,
    Picture,
    TraceLine,
    UartFigures,
    WatchdogFigures,
)
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.tinybms.settings import BmsSettings
from tinybms_bridge.tinybms.statistics import LinkStatistics
from tinybms_bridge.victron.can.transmitter import TransmitterStatistics

__all__ = ["WebFace"]

_REMEMBERED_FRAMES = 500


class WebFace:
    """One bridge, its configuration and its log behind the protocol of the web room."""

    def __init__(self, bridge: Bridge, store: ConfigStore, book: LogBook, start_again: Callable[[], None]) -> None:
        self._bridge = bridge
        self._store = store
        self._book = book
        self._start_again = start_again
        self._frames: deque[MonitoredFrame] = deque(maxlen=_REMEMBERED_FRAMES)
        self._frame_number = int(bridge.machine.clock.wall().timestamp() * 1000.0)  # grows over restarts
        self._rejected_before = 0
        self._records: tuple[EventRecord, ...] = ()
        self._events: list[EventEntry] = []
        bridge.frame_taps.append(self._remember)

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
        return self._bridge.misfits

    def advice(self) -> Sequence[Advice]:
        """See ``BridgeFace``."""
        return self._bridge.advice

    @property
    def device_settings(self) -> BmsSettings:
        """See ``BridgeFace``."""
        return self._bridge.device_settings

    @property
    def logs(self) -> LogBook:
        """See ``BridgeFace``."""
        return self._book

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
        bridge, pipeline = self._bridge, self._bridge.pipeline
        return Picture(
            uptime_s=bridge.uptime_s,
            at=self.clock.wall(),
            view=bridge.view(),
            alarms=pipeline.alarms,
            notices=bridge.notices.notices,
            energy=pipeline.energy,
            identity=bridge.poller.identity,
            rejected=pipeline.rejected - self._rejected_before,
            outliers=pipeline.readings.doubts.count,
        )

    def uart(self) -> UartFigures:
        """See ``BridgeFace``."""
        bridge, figures = self._bridge, self._bridge.client.statistics
        return UartFigures(
            up=bridge.poller.link.up,
            reason=bridge.poller.link.reason,
            device=bridge.config.hardware.uart.device,
            polls=figures.polls,
            success=figures.success,
            errors=figures.errors,
            timeouts=figures.timeouts,
            crc_errors=figures.crc_errors,
            retries=figures.retries,
            refused=figures.refused,
            garbage_bytes=figures.garbage_bytes,
            wakeups=figures.wakeups,
            connects=figures.connects,
            latency_last_ms=figures.latency.last_ms,
            latency_max_ms=figures.latency.max_ms,
            latency_avg_ms=figures.latency.average_ms,
            poll_interval_ms=bridge.poller.interval.interval_ms,
        )

    def can(self) -> CanFigures:
        """See ``BridgeFace``."""
        bridge, figures, transmitter = self._bridge, self._bridge.can_statistics, self._bridge.transmitter
        return CanFigures(
            up=not bridge.can_error and figures.up,
            error=bridge.can_trouble,
            interface=str(can_settings(bridge.config)),
            tx_count=figures.tx_count,
            tx_errors=figures.tx_errors,
            rx_count=figures.rx_count,
            rx_errors=figures.rx_errors,
            bus_off_count=figures.bus_off_count,
            outages=figures.outages,
            bursts=0 if transmitter is None else transmitter.statistics.bursts,
            skipped=0 if transmitter is None else transmitter.statistics.skipped,
            jitter_max_ms=0.0 if transmitter is None else transmitter.statistics.jitter_max_s * 1000.0,
            gx_state=bridge.gx.state.lower(),
            gx_silent_for_s=bridge.gx.silent_for_s,
        )

    def device_statistics(self) -> DeviceStatistics | None:
        """See ``BridgeFace``."""
        return self._bridge.device_log.statistics

    def watchdog(self) -> WatchdogFigures:
        """See ``BridgeFace``."""
        guard = self._bridge.guard
        fed_s = guard.last_feed_s
        return WatchdogFigures(
            enabled=guard.enabled,
            timeout_s=guard.timeout_s,
            feed_count=guard.feeds,
            since_last_feed_s=None if fed_s is None else max(0.0, self.clock.awake() - fed_s),
        )

    def parts(self) -> Sequence[PartFigures]:
        """See ``BridgeFace``."""
        return [
            PartFigures(part.name, part.state, part.error, part.restarts, part.critical)
            for part in self._bridge.supervisor.parts.values()
        ]

    def events(self) -> Sequence[EventEntry]:
        """See ``BridgeFace``."""
        records = self._bridge.events.records()
        if records is not self._records:
            self._records = records
            self._events = [
                EventEntry(each.number, each.at, each.source, each.severity, each.code, each.text, each.by)
                for each in records
            ]
        return self._events

    def frames(self, after: int = 0) -> Sequence[MonitoredFrame]:
        """See ``BridgeFace``."""
        if after > self._frame_number:  # of another run, when the clock was ahead
            after = 0
        return [frame for frame in self._frames if frame.number > after]

    def trace(self) -> Sequence[TraceLine]:
        """See ``BridgeFace``."""
        now_s = self.clock.monotonic()
        return [
            TraceLine(max(0.0, now_s - entry.at_s), entry.direction, entry.data.hex(" ").upper() or entry.note)
            for entry in self._bridge.client.trace.entries()
        ]

    def inhibits(self) -> Sequence[Inhibit]:
        """See ``BridgeFace``."""
        return [self._shown(stop) for stop in self._bridge.stops.current()]

    async def inhibit(self, direction: Direction, duration_s: float | None, reason: str, by: str) -> Inhibit:
        """See ``BridgeFace``."""
        return self._shown(await self._bridge.stops.stop(direction, duration_s, reason, by))

    async def release(self, direction: Direction) -> bool:
        """See ``BridgeFace``."""
        paused = direction is Direction.DISCHARGE and self._bridge.pipeline.end_pause()
        return await self._bridge.stops.release(direction) or paused

    def reset_statistics(self) -> None:
        """See ``BridgeFace``."""
        self._bridge.client.statistics = LinkStatistics()
        self._bridge.bus.reset_statistics()
        self._rejected_before = self._bridge.pipeline.rejected
        if self._bridge.transmitter is not None:
            self._bridge.transmitter.statistics = TransmitterStatistics()
        for name in ("tx_count", "tx_errors", "rx_count", "rx_errors", "bus_off_count", "outages"):
            setattr(self._bridge.can_statistics, name, getattr(CanStatistics(), name))

    def restart(self, part: str | None) -> None:
        """See ``BridgeFace``."""
        if part is None:
            self._start_again()
        else:
            self._bridge.supervisor.restart(part)

    def _shown(self, stop: ManualStop) -> Inhibit:
        """Return a stop with its end by the present wall clock, to the second."""
        ends_at = None
        if stop.remaining_s is not None:
            ends_at = (self.clock.wall() + timedelta(seconds=stop.remaining_s + 0.5)).replace(microsecond=0)
        return Inhibit(stop.direction, stop.since, ends_at, stop.reason, stop.by)

    def _remember(self, frame: CanFrame, direction: str) -> None:
        if direction in ("tx", "rx"):
            self._frame_number += 1
            self._frames.append(
                MonitoredFrame(
                    self._frame_number,
                    self.clock.wall(),
                    "tx" if direction == "tx" else "rx",
                    frame.arbitration_id,
                    frame.data,
                )
            )
