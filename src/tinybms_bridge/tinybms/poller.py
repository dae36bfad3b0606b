"""The poller: keeps the link open, reads one snapshot after the other, and the slow things in between.

One 0x03 read of registers 0 to 55 is one consistent snapshot. At each connection the identity is read before the first
snapshot, since a port that was plugged in again may lead to another unit, and with a new unit its settings, the bounds
of every limit, which are read again every minute. A slow read gets one attempt, between two fast ones, so that it never
holds up the path.

A line that is dead is opened anew: some adapters give no more bytes, or only old ones, until their port was closed.
"""

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from tinybms_bridge.battery.snapshot import Identity, Ratings, Snapshot
from tinybms_bridge.errors import BridgeError, DeviceRefused, LinkError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.adaptive import AdaptiveInterval, AdaptiveSettings
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_bridge.tinybms.diagnosis import explain_failure
from tinybms_bridge.tinybms.frames import ReadModbus, RegistersReply
from tinybms_bridge.tinybms.live import (
    IDENTITY_ADDRESS,
    IDENTITY_COUNT,
    LIVE_ADDRESS,
    LIVE_COUNT,
    RATINGS_ADDRESS,
    RATINGS_COUNT,
    decode_identity,
    decode_live,
    decode_ratings,
    least_current_a,
)
from tinybms_bridge.tinybms.pace import Pace
from tinybms_bridge.tinybms.ratings import ratings_problems
from tinybms_bridge.tinybms.slow_reads import ONCE, SlowReads
from tinybms_bridge.words import Message, message

__all__ = ["LinkState", "PollSettings", "Poller"]

log = logging.getLogger(__name__)

_DEAD_S = 5.0
"""A line counts as dead after this time; by then charging is stopped, and the inverter still runs."""

_REOPEN_PAUSES_S = (10.0, 20.0, 40.0, 60.0)
"""Times between one new opening and the next; the last one repeats."""

_SHORT_S = 2.0
"""A port that is lost so soon after it was opened is as good as none: a hub short of power shows it for moments."""

_UNIDENTIFIED = 3
"""Reads of live data that succeed while the identity gets no answer, after which the unit is taken for one without."""


_AGAIN_S = 0.085
"""Pause to the next request. Readings count when they are 75 ms apart; a reply may take some ms less than the last."""


@dataclass(frozen=True, slots=True)
class PollSettings:
    """Cadence of the poller. May be replaced while it runs."""

    adaptive: AdaptiveSettings = field(default_factory=AdaptiveSettings)
    ratings_interval_s: float = 60.0
    """The BMS's settings bound the limits and another tool may change them."""
    ratings_retry_s: float = 2.0
    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 5.0
    identity_retry_s: float = 30.0
    """For a unit that did not tell who it is."""
    silent_after: int = 3
    """Failed polls in a row after which a BMS that has answered before counts as silent."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether the BMS answers, and if not, why."""

    up: bool
    message: Message | None = None
    """Why not; None while it answers."""

    @property
    def reason(self) -> str:
        """Why not, in English; empty while it answers."""
        return "" if self.message is None else self.message.text


class Poller:
    """Polls one BMS for ever and hands on what it reads."""

    def __init__(
        self,
        client: TinyBmsClient,
        clock: Clock,
        settings: PollSettings,
        *,
        on_snapshot: Callable[[Snapshot], None],
        on_link: Callable[[LinkState], None],
    ) -> None:
        self.interval = AdaptiveInterval(settings.adaptive)
        """The present poll interval."""
        self.identity: Identity | None = None
        """Who the BMS is, once read."""
        self.ratings: Ratings | None = None
        """The BMS's own settings, once read and found sound."""
        self.link = LinkState(up=False, message=message("link_failure.not_connected"))
        """The present state of the link."""
        self.dead_since_s: Callable[[], float | None] = lambda: None
        """Asked since when the line has given nothing new; None while its data is fresh."""
        self.reopened = 0
        """Times that a dead line was opened anew, since the start."""
        self.turns = 0
        """Turns of the loop since the start; one that hangs does not count on."""
        self._client = client
        self._clock = clock
        self._settings = settings
        self._pace = Pace()
        self._on_snapshot = on_snapshot
        self._on_link = on_link
        self._sequence = 0
        self._sampled_s = 0.0
        self._again = False
        self._failures = 0
        self._serial_number = ""
        self._least_current_a: float | None = None
        self._unidentified = 0
        self._connected_s = 0.0
        self._reopenings = 0
        self._reopened_s = 0.0
        self.slow = SlowReads()
        """What is read now and then; others may add to it."""
        self._ratings_read = self.slow.add(
            "settings", self._read_ratings, interval_s=settings.ratings_interval_s, retry_s=settings.ratings_retry_s
        )
        self._identity_read = self.slow.add(
            "identity", self._identify_late, interval_s=ONCE, retry_s=settings.identity_retry_s
        )

    @property
    def settings(self) -> PollSettings:
        """The settings in force."""
        return self._settings

    @settings.setter
    def settings(self, settings: PollSettings) -> None:
        before, self._settings = self._settings, settings
        self._bind_interval(anew=settings.adaptive.base_ms != before.adaptive.base_ms)
        self._ratings_read.interval_s = settings.ratings_interval_s

    @property
    def pace(self) -> Pace:
        """How often it may poll, and when, beside others."""
        return self._pace

    @pace.setter
    def pace(self, pace: Pace) -> None:
        self._pace = pace
        self._bind_interval(anew=False)

    def _bind_interval(self, *, anew: bool) -> None:
        bound = self._pace.bound(self._settings.adaptive)
        if anew:
            self.interval = AdaptiveInterval(bound)
        else:
            self.interval.settings = bound

    def read_again(self) -> None:
        """Poll again as soon as a reading can differ, once: the last one has to be confirmed."""
        self._again = True

    async def run(self) -> None:
        """Connect, poll, and connect again when the device vanishes, until cancelled."""
        delay_s = self._settings.reconnect_min_s
        try:
            while True:
                self.turns += 1
                try:
                    await self._client.connect()
                except LinkError as error:
                    self._note_link(LinkState(up=False, message=error.description))
                    delay_s = await self._rest(delay_s)
                    continue
                if await self._poll_while_connected():
                    delay_s = self._settings.reconnect_min_s
                elif self._clock.monotonic() - self._connected_s < _SHORT_S:
                    delay_s = await self._rest(delay_s)
                else:
                    delay_s = self._settings.reconnect_min_s
                    if self._pace.opens_after_s:
                        await self._clock.sleep(self._pace.opens_after_s)
        finally:
            await self._client.close()

    async def _rest(self, delay_s: float) -> float:
        """Wait before a port is opened again; return how long to wait the next time."""
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 -- spreads retries, no secret
        await self._clock.sleep(delay_s * jitter)
        return min(self._settings.reconnect_max_s, 2 * delay_s)

    async def _poll_while_connected(self) -> bool:
        """Poll until the line is lost; return whether it was given up here, to be opened anew."""
        clock = self._clock
        due_s = self._begin_connection()
        while self._client.connected:
            self.turns += 1
            if self.identity is None:
                again = await self._identify()
            elif self.ratings is None:
                again = await self._read_ratings()
                self._note_ratings_tried(again)
            else:
                await self._poll_once()
                await self._take_slow_turn()
                again = False
            if await self._reopens():
                return True
            due_s = max(due_s if again else self._next_due_s(due_s), clock.monotonic())
            await clock.sleep(due_s - clock.monotonic())
        return False

    def _begin_connection(self) -> float:
        self.identity, self._unidentified = None, 0
        self._connected_s = self._clock.monotonic()
        self.slow.restart(self._connected_s)
        return self._connected_s

    async def _identify(self) -> bool:
        """Find out which unit is connected; True when that is settled. Another one brings settings of its own."""
        try:
            identity = await self._read_identity()
        except LinkError:
            if not await self._lives_unidentified():
                return False
            identity = Identity()
            self._identity_read.due_s = self._clock.monotonic() + self._settings.identity_retry_s
        self.identity, serial_number = identity, identity.serial_number
        if not serial_number or serial_number != self._serial_number:
            self.ratings = None
        self._serial_number = serial_number
        return True

    async def _lives_unidentified(self) -> bool:
        """Return whether the unit has often enough answered everything but who it is; a dead line is no such unit."""
        try:
            await self._read(LIVE_ADDRESS, LIVE_COUNT)
        except (LinkError, DeviceRefused) as error:
            self._unidentified = 0
            self._failed(error, self._client.settings.timeout_s * 1000.0)
            return False
        self._unidentified += 1
        return self._unidentified >= _UNIDENTIFIED

    async def _reopens(self) -> bool:
        """Close a line that is dead, and return whether it was; for longer the more often that did not help."""
        since_s, now_s = self.dead_since_s(), self._clock.monotonic()
        if since_s is None:
            self._reopenings = 0
            return False
        since_s = max(since_s, self._connected_s)
        if self._reopenings:
            due_s = self._reopened_s + _REOPEN_PAUSES_S[min(self._reopenings, len(_REOPEN_PAUSES_S)) - 1]
        else:
            due_s = since_s + _DEAD_S
        if now_s < due_s or not self._client.connected:
            return False
        level = logging.DEBUG if self._reopenings else logging.WARNING
        log.log(level, "the line to the BMS has given nothing new for %.0f s: its port is reopened", now_s - since_s)
        self.reopened, self._reopenings, self._reopened_s = self.reopened + 1, self._reopenings + 1, now_s
        await self._client.close()
        await self._clock.sleep(self._settings.reconnect_min_s)
        return True

    def _next_due_s(self, due_s: float) -> float:
        next_s = self._pace.next_s(due_s, self.interval.interval_ms / 1000.0)
        if self._again:
            self._again = False
            next_s = min(next_s, self._sampled_s + _AGAIN_S)
        return next_s

    async def _poll_once(self) -> None:
        started_s = self._clock.monotonic()
        try:
            words = await self._read(LIVE_ADDRESS, LIVE_COUNT)
        except (LinkError, DeviceRefused) as error:
            self._failed(error, (self._clock.monotonic() - started_s) * 1000.0)
            return
        now_s = self._clock.monotonic()
        self.interval.success((now_s - started_s) * 1000.0)
        self._sequence, self._sampled_s = self._sequence + 1, now_s
        has_soh = self.identity is not None and self.identity.reports_soh
        snapshot = decode_live(words, sequence=self._sequence, taken_at_s=now_s, ratings=self.ratings, has_soh=has_soh)
        self._succeeded()
        self._on_snapshot(snapshot)

    async def _take_slow_turn(self) -> None:
        """Give the slow reads their turn; what fails is tried again later and never counts as a failed poll."""
        with suppress(LinkError, DeviceRefused):
            await self.slow.take_turn(self._clock.monotonic())

    async def _read_ratings(self) -> bool:
        first = self.ratings is None
        try:
            words = await self._read(RATINGS_ADDRESS, RATINGS_COUNT, attempts=None if first else 1)
        except (LinkError, DeviceRefused) as error:
            if first:
                self._failed(error, self._client.settings.timeout_s * 1000.0)
            return False
        ratings = decode_ratings(words)
        if self._least_current_a is not None:
            ratings = replace(ratings, least_current_a=self._least_current_a)
        problems = ratings_problems(ratings)
        if problems:
            told = message("link_failure.settings", problems=problems)
            self._note_link(LinkState(up=False, message=told))
            return False
        self.ratings = ratings
        return True

    def _note_ratings_tried(self, read: bool) -> None:
        if read:
            self._ratings_read.due_s = self._clock.monotonic() + self._settings.ratings_interval_s

    async def _read_identity(self) -> Identity:
        try:
            words = await self._read(IDENTITY_ADDRESS, IDENTITY_COUNT, attempts=1)
        except DeviceRefused:
            self._least_current_a = None
            return Identity()
        self._least_current_a = least_current_a(words)
        return decode_identity(words)

    async def _identify_late(self) -> bool:
        """Ask a unit again that did not tell who it is; one that refuses does so for good."""
        if self._unidentified and self.identity == Identity():
            self.identity = await self._read_identity()
            self._serial_number = self.identity.serial_number
        return True

    async def _read(self, address: int, count: int, *, attempts: int | None = None) -> tuple[int, ...]:
        reply = await self._client.request(ReadModbus(address, count), attempts=attempts)
        assert isinstance(reply, RegistersReply)
        return reply.values

    def _succeeded(self) -> None:
        self._failures = 0
        self._note_link(LinkState(up=True))

    def _failed(self, error: BridgeError, latency_ms: float) -> None:
        """Note a failed poll; ``latency_ms`` is that of a refusal, since the time without an answer says nothing."""
        self._failures += 1
        if isinstance(error, DeviceRefused):
            self.interval.failure(latency_ms)
        else:
            self.interval.timeout()
        never_answered = not self._client.statistics.success
        if never_answered or self._failures >= self._settings.silent_after or not self._client.connected:
            self._note_link(LinkState(up=False, message=self._diagnosis(error)))

    def _diagnosis(self, error: BridgeError) -> Message:
        return explain_failure(error, self._client.statistics) if self._client.connected else error.description

    def _note_link(self, state: LinkState) -> None:
        if state != self.link:
            self.link = state
            self._on_link(state)
