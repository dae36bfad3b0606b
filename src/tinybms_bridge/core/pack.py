"""One pack: the line to its BMS, what is read there, and what can be set there."""

import asyncio
from typing import Protocol

from tinybms_bridge.battery.bms_events import DatedEvent
from tinybms_bridge.battery.come_and_go import Told, next_told
from tinybms_bridge.battery.snapshot import BmsStatus, Identity, Ratings, Snapshot
from tinybms_bridge.battery.state import MAIN_PACK
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.core.settings import client_settings, poll_settings
from tinybms_bridge.core.traffic import UartTraffic
from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.serial import SerialOpener
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import BmsEventsSeen, IdentityKnown, LinkChanged
from tinybms_bridge.link.state import TraceLine, UartState
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_bridge.tinybms.device_log import DeviceLog
from tinybms_bridge.tinybms.frames import (
    FrameError,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettingValues,
    SimpleRequest,
    decode_request,
)
from tinybms_bridge.tinybms.pace import Pace
from tinybms_bridge.tinybms.poller import LinkState, Poller
from tinybms_bridge.tinybms.settings import BmsSettings
from tinybms_bridge.tinybms.statistics import LinkStatistics
from tinybms_bridge.words import Message, message

__all__ = ["Pack", "Reader"]

_READING = (ReadBlock, ReadList, ReadModbus, ReadSettingValues, SimpleRequest)
_EVENTS_INTERVAL_S = 60.0
_NEWEST_INTERVAL_S = 3.0
"""A warning may not show in the status: its event alone says that the BMS has cut one direction."""
_HANGS_AFTER_S = 10.0
"""Longer than the poller ever waits between two attempts."""


class Reader(Protocol):
    """Who takes what a pack reads, and knows the state of charge that counts."""

    def take(self, snapshot: Snapshot) -> bool:
        """Take a snapshot; return whether a reading has to be confirmed by another one at once."""
        ...

    def meet(self, identity: Identity) -> None:
        """Take note of the unit that answers, before its first snapshot counts."""
        ...

    def dead_since_s(self, last_heard_s: float) -> float | None:
        """Return since when the line has given nothing new; None while data is fresh."""
        ...

    @property
    def soc_percent(self) -> float | None:
        """The bridge's count of the state of charge; None while there is none, or the BMS's counts."""
        ...

    def set_soc(self, percent: float) -> None:
        """Go on from a state of charge that was written to the BMS and read back."""
        ...


class Pack:
    """One BMS on one line.

    Args:
        config: The configuration in force; a change of it is told by ``apply``.
        open_serial: Opens the port that the configuration in force names.
        clock: Source of time.
        bus: Where changes are published.
        reader: Takes what is read.
        line: Name of the pack in the configuration.
        known_events: Events of the BMS that an earlier run recorded.
        run_blocking: Runs what blocks.

    """

    def __init__(
        self,
        config: Configuration,
        open_serial: SerialOpener,
        clock: Clock,
        bus: Bus,
        reader: Reader,
        *,
        line: str = MAIN_PACK,
        known_events: tuple[DatedEvent, ...],
        run_blocking: RunBlocking,
    ) -> None:
        self._config = config
        self._clock = clock
        self._bus = bus
        self._reader = reader
        self._port = pack_ports(config)[line]
        self.line = line
        """Name of the pack in the configuration."""
        self.name = ""
        """Name of the pack whose unit answers here, of several; empty for the only one."""
        self.in_service = self._port.enabled
        """Whether it is read; with several packs that hangs on the name, not on the line."""
        self._announced: Identity | None = None
        self.client = TinyBmsClient(open_serial, clock, client_settings(config, self._port.timeout_ms))
        self._slowed: Message | None = None
        self._traffic = UartTraffic()
        self._log_traffic(config)
        self.poller = Poller(
            self.client,
            clock,
            poll_settings(config),
            on_snapshot=self._on_snapshot,
            on_link=self._on_link,
        )
        self._link = Told(self.poller.link, self.poller.link)
        self.poller.dead_since_s = lambda: reader.dead_since_s(self.client.last_heard_s)
        self.log = DeviceLog(self.client, clock, known=known_events, on_events=self._on_events)
        """What the BMS itself remembers."""
        self.settings = BmsSettings(
            self.client,
            clock,
            run_blocking=run_blocking,
            own_soc=lambda: reader.soc_percent,
            on_soc=reader.set_soc,
        )
        """The settings of the BMS, and what it can be told to do."""
        self.poller.slow.add("events", self.log.read_events, interval_s=_EVENTS_INTERVAL_S)
        self.poller.slow.add("newest events", self.log.read_newest, interval_s=_NEWEST_INTERVAL_S, retry_s=1.0)
        self.poller.slow.add("statistics", self.log.read_statistics, interval_s=_EVENTS_INTERVAL_S)

    @property
    def identity(self) -> Identity | None:
        """Who the BMS is, once read."""
        return self.poller.identity

    @property
    def ratings(self) -> Ratings | None:
        """The BMS's own settings, once read and found sound."""
        return self.poller.ratings

    @property
    def answers(self) -> bool:
        """Whether the BMS answers."""
        return self.poller.link.up

    @property
    def progress(self) -> tuple[int, float]:
        """Return how often the poller has tried, whether or not the BMS answers, and its longest pause in seconds."""
        counted, settings = self.client.statistics, self.poller.settings
        pause_s = max(_HANGS_AFTER_S, settings.adaptive.max_ms / 1000.0, self.client.settings.timeout_s)
        return self.poller.turns + counted.timeouts + counted.retries, pause_s

    @property
    def connects(self) -> int:
        """How often its port was opened: who answers is found out each time."""
        return self.client.statistics.connects

    def identify_again(self) -> None:
        """Ask who answers before the next sample."""
        self.poller.identity = None

    @property
    def device(self) -> str:
        """Path of the port."""
        return self._port.device

    async def run(self) -> None:
        """Read the BMS until cancelled; out of service nothing is read, and the port is closed."""
        if not self.in_service:
            out = message("pack_condition.out_of_service")
            self.poller.link = LinkState(up=False, message=out)
            await asyncio.Event().wait()
        await self.poller.run()

    def apply(self, config: Configuration) -> bool:
        """Put a configuration in force; return whether the port has to be opened again."""
        self._config = config
        before, self._port = self._port, pack_ports(config).get(self.line, self._port)
        self.client.settings = client_settings(config, self._port.timeout_ms)
        self._log_traffic(config)
        self.poller.settings = poll_settings(config)
        moved = before.device != self._port.device
        if moved:
            self.poller.ratings = None  # another BMS may be at the other end: nothing before its own bounds
        return moved

    def set_pace(self, pace: Pace, slowed: Message | None) -> None:
        """Read at this pace; ``slowed`` says why it is slower than configured, None where it is not."""
        self.poller.pace, self._slowed = pace, slowed

    def _log_traffic(self, config: Configuration) -> None:
        self.client.on_traffic = self._traffic if config.logging.log_uart_traffic else None

    def reset_statistics(self) -> None:
        """Count the traffic from 0 again."""
        self.client.statistics = LinkStatistics()

    def state(self, rejected_samples: int = 0, outliers: int = 0) -> UartState:
        """Return how the line is, with what was made of the readings that came over it."""
        link, counted = self.poller.link, self.client.statistics
        return UartState(
            up=link.up,
            reason=link.reason,
            message=link.message,
            device=self._port.device,
            polls=counted.polls,
            success=counted.success,
            errors=counted.errors,
            timeouts=counted.timeouts,
            crc_errors=counted.crc_errors,
            retries=counted.retries,
            refused=counted.refused,
            garbage_bytes=counted.garbage_bytes,
            wakeups=counted.wakeups,
            connects=counted.connects,
            rejected_samples=rejected_samples,
            outliers=outliers,
            latency_last_ms=counted.latency.last_ms,
            latency_max_ms=counted.latency.max_ms,
            latency_avg_ms=counted.latency.average_ms,
            poll_interval_ms=self.poller.interval.interval_ms,
            slowed=self._slowed,
        )

    def trace(self) -> list[TraceLine]:
        """Return the last traffic, oldest first."""
        now_s = self._clock.monotonic()
        return [
            TraceLine(max(0.0, now_s - entry.at_s), entry.direction, entry.data.hex(" ").upper() or entry.note)
            for entry in self.client.trace.entries()
        ]

    async def ask(self, request: bytes) -> bytes:
        """Send one request that only reads, as bytes of the protocol, and return the reply as bytes.

        Raises ValueError for anything but a request that reads, LinkError or DeviceRefused.
        """
        try:
            wanted = decode_request(request)
        except FrameError as error:
            raise ValueError(str(error)) from error  # a mistake of who asks: trying again helps nobody
        if not isinstance(wanted, _READING):
            raise ValueError(f"{type(wanted).__name__} is no request that only reads")  # noqa: TRY004 -- of bytes
        return b"".join((await self.client.request(wanted)).encode())

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        if self._link.is_unsteady:
            self._tell_link()
        if self.poller.identity is not None:
            self._reader.meet(self.poller.identity)
            self.log.identify(self.poller.identity)
        snapshot, status = self.log.observe(snapshot), snapshot.pack.status
        if self.log.unread or (status is BmsStatus.FAULT and not snapshot.open_events):
            self.poller.slow.hurry("newest events", self._clock.monotonic())
        if self._reader.take(snapshot):
            self.poller.read_again()

    def announce_identity(self) -> None:
        """Publish who the BMS is, once for each unit."""
        identity = self.poller.identity
        if identity is None:
            return
        if identity != self._announced:
            self._announced = identity
            self._bus.publish(IdentityKnown(identity, self.name), "uart")

    def _on_link(self, state: LinkState) -> None:
        if not state.up:
            self.log.lose_sight()
        self._tell_link()

    def _tell_link(self) -> None:
        """Say on the bus whether the BMS answers; of one of several that comes and goes all the time, not each time."""
        state, before = self.poller.link, self._link
        if self.name:
            self._link = next_told(before, state, self._clock.monotonic(), was_bad=not before.state.up)
            if self._link.state is before.state:
                return
        self._bus.publish(LinkChanged(state.up, state.reason, state.message, self.name), "uart")

    def _on_events(self, events: tuple[DatedEvent, ...]) -> None:
        self._bus.publish(BmsEventsSeen(events, self.name), "uart")
