"""The CAN output: it opens the adapter, sends the state of the battery in bursts, and hears who else is on the bus."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import fields

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.can_bus import CanBusWatch, ReadCanDevice
from tinybms_bridge.core.settings import can_settings, frame_settings, transmitter_settings
from tinybms_bridge.core.traffic import log_can_frame
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.can import CanFrame, CanPort, CanStatistics
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import GxChanged, Noted
from tinybms_bridge.link.state import CanState, MonitoredFrame
from tinybms_bridge.victron.can.codec import LIMITS_ID, burst_ids, encode_together
from tinybms_bridge.victron.can.gx import GxChange, GxPresence, GxState
from tinybms_bridge.victron.can.neighbours import BusSilence, SecondBms
from tinybms_bridge.victron.can.outgoing import Fall, fall_of
from tinybms_bridge.victron.can.self_test import LoopbackTest
from tinybms_bridge.victron.can.transmitter import Transmitter, TransmitterStatistics
from tinybms_bridge.words import Message, message

__all__ = ["CanOpener", "CanOutput"]

log = logging.getLogger(__name__)

CanOpener = Callable[[], Awaitable[CanPort]]
"""Opens the CAN adapter that was configured. Raises LinkError."""

_RETRY_MAX_S = 5.0
_OLDEST_S = 0.6
"""What is sent was decided at most this long ago; limits are decided for their frame. The look of the bridge, twice a
second and right when freshness ends, sees to it that no frame has to wait for a decision."""
_REMEMBERED_FRAMES = 500


class CanOutput:
    """Gives the state of the battery to a GX over CAN, at its own pace.

    Args:
        config: The configuration in force; a change of it is told by ``apply``.
        open_can: Opens the adapter that the configuration in force names.
        clock: Source of time.
        bus: Where changes are published.
        state: Returns the state of the battery, decided anew when it is older than so many seconds.
        read_device: Returns what the kernel tells of a CAN interface; by default nothing.
        run_blocking: Runs what blocks, off the event loop.

    Raises ConfigError for a configuration that cannot be put into frames.

    """

    def __init__(
        self,
        config: Configuration,
        open_can: CanOpener,
        clock: Clock,
        bus: Bus,
        state: Callable[[float], BatteryState],
        *,
        read_device: ReadCanDevice = lambda _name: None,
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self._config = config
        self._open_can = open_can
        self._clock = clock
        self._bus = bus
        self._state = state
        self._frame_settings = frame_settings(config)
        self.gx = GxPresence(clock, timeout_s=config.victron.keepalive_timeout_ms / 1000.0)
        self.second_bms = SecondBms(clock)
        """Watches for another BMS on the bus."""
        self.interface = CanBusWatch(clock, read_device, run_blocking)
        """The interface of the kernel, and what is wrong with it."""
        self.transmitter: Transmitter | None = None
        """The sender, while the adapter is open."""
        self.failure: Message | None = message("can.not_open_yet")
        """Why the adapter is not open; None while it is."""
        self._last_frames: dict[int, CanFrame] = {}
        self._log_traffic = config.logging.log_can_traffic
        self._attempts = 0
        self._statistics = CanStatistics()
        self._silence = BusSilence(clock, lambda: self._statistics.rx_count)
        self._port: CanPort | None = None
        self._self_test = LoopbackTest(clock)
        self._sending = False
        self._sent: Limits | None = None
        self._heard: deque[MonitoredFrame] = deque(maxlen=_REMEMBERED_FRAMES)
        self._number = int(clock.wall().timestamp() * 1000.0)  # grows over restarts

    @property
    def trouble(self) -> Message | None:
        """What keeps frames from the bus, with what to do about it; None while they go out."""
        return self.failure or self._statistics.trouble

    @property
    def statistics(self) -> CanStatistics:
        """Counters of the port since the start of the program."""
        return self._statistics

    @property
    def open(self) -> bool:
        """Whether the adapter is open and on the bus."""
        return self.failure is None and self._statistics.up

    @property
    def gx_heard(self) -> bool:
        """Whether a GX is heard, or the time for that is not over."""
        return self.gx.state is GxState.PRESENT or self.gx.silent_for_s < self.gx.timeout_s

    @property
    def progress(self) -> tuple[int, float]:
        """Return how often this output has tried, with or without an adapter, and its longest pause in seconds.

        The count grows while the output works; it begins again with each opening of the adapter.
        """
        sender = self.transmitter
        tried = 0 if sender is None else sender.statistics.bursts + sender.statistics.skipped
        return self._attempts + tried, _RETRY_MAX_S

    def apply(self, config: Configuration) -> bool:
        """Put a configuration in force; return whether the adapter has to be opened again. Raises ConfigError."""
        frames = frame_settings(config)
        old, self._config = self._config, config
        self._frame_settings = frames
        self._log_traffic = config.logging.log_can_traffic
        self.gx.timeout_s = config.victron.keepalive_timeout_ms / 1000.0
        if self.transmitter is not None:
            self.transmitter.settings = transmitter_settings(config)
            self.transmitter.kick()
        return can_settings(old) != can_settings(config)

    def between_bursts(self, action: Callable[[], None]) -> bool:
        """Let the sender call ``action`` in a pause; return whether there is one who sends."""
        if self.transmitter is None:
            return False
        self.transmitter.between_bursts(action)
        return True

    @property
    def _loops_back(self) -> bool:
        return self._config.hardware.can.mode == "loopback"

    @property
    def last_frames(self) -> tuple[CanFrame, ...]:
        """The last of each frame that was made; empty before the first."""
        return tuple(self._last_frames.values())

    def may_send(self) -> bool:
        """See ``FrameSource``."""
        return self._sending or self._state(_OLDEST_S).may_send

    def burst_ids(self) -> tuple[int, ...]:
        """See ``FrameSource``."""
        state = self._state(_OLDEST_S)
        if not state.may_send:
            self._sent = None
            return ()
        return burst_ids(state, self._frame_settings)

    def make_frames(self, identifier: int, waiting: Collection[int]) -> tuple[CanFrame, ...] | None:
        """See ``FrameSource``."""
        state = self._state(0.0 if identifier == LIMITS_ID else _OLDEST_S)
        if not state.may_send:
            self._sent = None
            return None
        if identifier == LIMITS_ID:
            self._sent = state.limits
        frames = encode_together(identifier, waiting, state, self._frame_settings)
        self._last_frames.update((frame.arbitration_id, frame) for frame in frames)
        return frames

    def hurry(self, limits: Limits | None) -> None:
        """Send at once what has fallen, and begin or end the bursts when sending begins or ends."""
        transmitter = self.transmitter
        sending = limits is not None and limits.may_send
        if sending is not self._sending:
            self._sending = sending
            if transmitter is not None:
                transmitter.kick()
        elif sending and limits is not None and transmitter is not None and self._sent is not None:
            fall = fall_of(self._sent, limits)
            if fall is not Fall.NONE:
                transmitter.send_first(small=fall is Fall.SMALL)

    def look(self) -> None:
        """Notice a GX that is gone and a second BMS, and open the adapter again when it hears nothing any more."""
        self._note_gx(self.gx.check())
        self.interface.look(can_settings(self._config), self._statistics)
        told = self.second_bms.check()
        if told is not None:
            severity = Severity.FAULT if self.second_bms.present else Severity.INFO
            self._bus.publish(Noted(severity, told), "can")
        silent_s, port, transmitter = self._silence.check(), self._port, self.transmitter
        if silent_s is not None and port is not None and transmitter is not None:
            transmitter.between_bursts(lambda: port.reopen(f"no frame was heard for {silent_s:.0f} s"))

    def reset_statistics(self) -> None:
        """Count the traffic from 0 again."""
        if self.transmitter is not None:
            self.transmitter.statistics = TransmitterStatistics()
        for each in fields(CanStatistics):
            if each.name not in ("up", "trouble"):
                setattr(self._statistics, each.name, each.default)

    def state(self) -> CanState:
        """Return how the output is."""
        counted, sender, trouble = self._statistics, self.transmitter, self.trouble
        return CanState(
            up=self.open,
            error="" if trouble is None else trouble.text,
            message=trouble,
            interface=str(can_settings(self._config)),
            tx_count=counted.tx_count,
            tx_errors=counted.tx_errors,
            rx_count=counted.rx_count,
            rx_errors=counted.rx_errors,
            bus_off_count=counted.bus_off_count,
            outages=counted.outages,
            bursts=0 if sender is None else sender.statistics.bursts,
            skipped=0 if sender is None else sender.statistics.skipped,
            jitter_max_ms=0.0 if sender is None else sender.statistics.jitter_max_s * 1000.0,
            gx_state=self.gx.state.lower(),
            gx_silent_for_s=self.gx.silent_for_s,
            gx_timeout_s=self.gx.timeout_s,
            device=self.interface.device,
            faults=tuple(sorted(self.interface.faults)),
            loopback=self._self_test.result() if self._loops_back else None,
        )

    def monitored(self, after: int = 0) -> list[MonitoredFrame]:
        """Return the remembered frames whose number is above ``after``, oldest first."""
        if after > self._number:  # of another run, when the clock was ahead
            after = 0
        return [frame for frame in self._heard if frame.number > after]

    async def run(self) -> None:
        """Open the adapter, again and again if need be, and send until cancelled."""
        delay_s, failed = 0.5, False
        while True:
            self._attempts += 1
            try:
                port = await self._open_can()
            except LinkError as error:
                failed = True
                if error.description != self.failure:
                    self.failure = error.description
                    log.error("CAN: %s", error)  # noqa: TRY400 -- one clear line, no traceback
                await self._clock.sleep(delay_s)
                delay_s = min(_RETRY_MAX_S, 2 * delay_s)
                continue
            break
        if failed:
            log.info("CAN: open now")
        self.failure = None
        _carry_over(self._statistics, port.statistics)
        self._statistics = port.statistics
        self._port = port
        self._self_test = LoopbackTest(self._clock)
        end_subscription = port.subscribe(self._on_frame)
        self.transmitter = Transmitter(port, self._clock, self, transmitter_settings(self._config))
        self.transmitter.on_sent = self._on_sent
        try:
            await self.transmitter.run()
        finally:
            self.transmitter = self._port = None
            self.failure = message("can.closed")
            end_subscription()
            await port.close()
            await self.interface.close()

    def _on_sent(self, frame: CanFrame, taken: bool) -> None:
        if taken:
            self.second_bms.on_sent(frame)
            if self._loops_back:
                self._self_test.on_sent(frame)
        self._monitor(frame, "tx" if taken else "dropped")

    def _on_frame(self, frame: CanFrame) -> None:
        self._monitor(frame, "rx")
        self.second_bms.on_frame(frame)
        if self._loops_back:
            self._self_test.on_frame(frame)
        self._note_gx(self.gx.on_frame(frame))

    def _monitor(self, frame: CanFrame, direction: str) -> None:
        if self._log_traffic:
            log_can_frame(frame, direction)
        if direction == "dropped":
            return
        self._number += 1
        self._heard.append(
            MonitoredFrame(
                self._number,
                self._clock.wall(),
                "tx" if direction == "tx" else "rx",
                frame.arbitration_id,
                frame.data,
            )
        )

    def _note_gx(self, change: GxChange | None) -> None:
        if change is not None:
            self._bus.publish(GxChanged(change.state, change.silent_for_s), "can")


def _carry_over(old: CanStatistics, new: CanStatistics) -> None:
    """Add the counters of a port that was closed to those of the one in its place."""
    for each in fields(CanStatistics):
        if each.name not in ("up", "trouble"):
            setattr(new, each.name, getattr(new, each.name) + getattr(old, each.name))
