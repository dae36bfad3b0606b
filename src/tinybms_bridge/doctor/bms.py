"""The doctor's look at a connected BMS: reads what the verdicts need, one check after the other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from tinybms_bridge.battery.advice import advise
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import SavedUnits, unit_key
from tinybms_bridge.battery.snapshot import BmsStatus, Identity, Ratings, Snapshot
from tinybms_bridge.config.battery import chemistry_for
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.doctor.findings import Finding, ok, problem, remedy_of
from tinybms_bridge.doctor.verdicts import (
    Polls,
    judge_advice,
    judge_balancing,
    judge_count,
    judge_events,
    judge_evidence,
    judge_history,
    judge_identity,
    judge_polling,
    judge_samples,
    judge_settings,
    judge_state,
)
from tinybms_bridge.errors import BridgeError, DeviceRefused, LinkError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.device_statistics import read_identity, read_statistics
from tinybms_bridge.tinybms.eventlog import read_events
from tinybms_bridge.tinybms.frames import CommandCode, ReadModbus, RegistersReply, Reply, Request, SimpleRequest
from tinybms_bridge.tinybms.live import (
    IDENTITY_ADDRESS,
    IDENTITY_COUNT,
    LIVE_ADDRESS,
    LIVE_COUNT,
    RATINGS_ADDRESS,
    RATINGS_COUNT,
    decode_live,
    decode_ratings,
    least_current_a,
)
from tinybms_bridge.tinybms.ratings import ratings_problems
from tinybms_bridge.tinybms.settings import Readout, held_against
from tinybms_bridge.tinybms.statistics import LinkStatistics
from tinybms_bridge.words import message

__all__ = ["BmsExamination", "Device", "ask", "silence_problem"]

_POLLS = 20
_POLL_INTERVAL_S = 0.1
_DETECTED_CELLS = 53
_BROADCAST = 342


class Device(Protocol):
    """A BMS that answers requests: ``TinyBmsClient`` and ``LinkedDevice`` are ones."""

    @property
    def statistics(self) -> LinkStatistics:
        """What happened on the line."""
        ...

    @property
    def connected(self) -> bool:
        """Whether there is a line."""
        ...

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        """Return the reply. Raises LinkError or DeviceRefused."""
        ...


@dataclass
class BmsExamination:
    """One look at one BMS."""

    client: Device
    read_settings: Callable[[], Awaitable[Readout]]
    """Returns all that the BMS says of its settings. Raises LinkError or DeviceRefused."""
    config: Configuration
    clock: Clock
    device: str = ""
    """Port that commands name; empty to name none."""
    saved: SavedUnits = field(default_factory=SavedUnits)
    """What the bridge on this machine has learned of its units."""
    identity: Identity | None = None
    """Who it is, once read."""
    ratings: Ratings | None = None
    """The BMS's settings, once read and found sound."""
    snapshots: list[Snapshot] = field(default_factory=list)
    detected_cells: int = 0

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield each finding as soon as it is there; only one when the BMS does not answer."""
        try:
            await ask(self.client)
        except DeviceRefused as refusal:
            yield ok("link", message("doctor.answers_refusing", refusal=refusal.description))
        except BridgeError as error:
            yield silence_problem(self.client, self.config.hardware.uart.baudrate, error)
            return
        else:
            yield ok("link", message("doctor.answers"))
        for name, check in self._checks().items():
            try:
                results = await check()
            except BridgeError as error:
                results = [problem(name, error.description, message("doctor.again"))]
            for finding in results:
                yield finding

    def _checks(self) -> dict[str, Callable[[], Awaitable[list[Finding]]]]:
        return {
            "identity": self._identity,
            "settings": self._settings,
            "advice": self._advice,
            "polling": self._polling,
            "plausibility": self._plausibility,
            "state": self._state,
            "events": self._events,
            "history": self._history,
            "balancing": self._balancing,
        }

    async def _identity(self) -> list[Finding]:
        self.identity = await read_identity(self.client)
        return [judge_identity(self.identity)]

    async def _settings(self) -> list[Finding]:
        words = await self._read(RATINGS_ADDRESS, RATINGS_COUNT)
        ratings = decode_ratings(words)
        if not ratings_problems(ratings):
            self.ratings = ratings
        return judge_settings(ratings, words[_BROADCAST - RATINGS_ADDRESS] & 0xFF, self.config)

    async def _advice(self) -> list[Finding]:
        """Hold what an expert would change against the limits that the BMS tells."""
        if self.ratings is None:
            return []
        ratings = self.ratings
        with suppress(DeviceRefused):
            version = await self._read(IDENTITY_ADDRESS, IDENTITY_COUNT)
            ratings = replace(ratings, least_current_a=least_current_a(version))
        readout = await self.read_settings()
        state = self._saved_state(readout.identity)
        advice = advise(
            ratings,
            chemistry_for(self.config, ratings),
            firmware=readout.identity.firmware_internal,
            capacity_ah=None if state is None else state.memory.evidence.capacity_ah,
        )
        return judge_advice(held_against(advice, readout), self.device)

    async def _polling(self) -> list[Finding]:
        """Read the live data for two seconds as the bridge does."""
        statistics = self.client.statistics
        before = (statistics.retries, statistics.timeouts, statistics.crc_errors)
        latencies_ms = [await self._poll(number) for number in range(1, _POLLS + 1)]
        after = (statistics.retries, statistics.timeouts, statistics.crc_errors)
        counts = (now - then for now, then in zip(after, before, strict=True))
        tinybms = self.config.tinybms
        slow_ms = tinybms.poll_latency_target_ms + tinybms.poll_latency_slack_ms
        return [judge_polling(Polls(tuple(latencies_ms), *counts), slow_ms)]

    async def _poll(self, number: int) -> float:
        """Take one sample at the pace of the bridge; return how long it took in milliseconds."""
        started_s = self.clock.monotonic()
        words = await self._read(LIVE_ADDRESS, LIVE_COUNT)
        now_s = self.clock.monotonic()
        self.detected_cells = words[_DETECTED_CELLS]
        self.snapshots.append(decode_live(words, sequence=number, taken_at_s=now_s, ratings=self.ratings))
        await self.clock.sleep(max(0.0, started_s + _POLL_INTERVAL_S - now_s))
        return (now_s - started_s) * 1000.0

    async def _plausibility(self) -> list[Finding]:
        if not self.snapshots or self.ratings is None:
            return []
        return [judge_samples(self.snapshots, self.detected_cells, self.ratings.series_cells)]

    async def _state(self) -> list[Finding]:
        return [judge_state(self.snapshots[-1])] if self.snapshots else []

    async def _events(self) -> list[Finding]:
        reading = await read_events(self.client)
        return judge_events(reading.events, self.snapshots[-1].pack.status if self.snapshots else BmsStatus.UNKNOWN)

    async def _history(self) -> list[Finding]:
        return [judge_history(await read_statistics(self.client))]

    async def _balancing(self) -> list[Finding]:
        """Tell what the bridge has seen of the cells near full; nothing where it has not met this unit."""
        state, ratings = self._saved_state(await read_identity(self.client)), self.ratings
        if state is None or ratings is None:
            return []
        found = judge_balancing(state.memory.balancing, ratings) + judge_count(state.memory.soc, ratings)
        return found + judge_evidence(state.memory.evidence, ratings)

    def _saved_state(self, identity: Identity) -> SavedState | None:
        """Return what the bridge on this machine has saved of a unit."""
        return self.saved.units.get(unit_key(identity.serial_number))

    async def _read(self, address: int, count: int) -> tuple[int, ...]:
        reply = await self.client.request(ReadModbus(address, count))
        assert isinstance(reply, RegistersReply)
        return reply.values


async def ask(client: Device) -> None:
    """Read the status, twice if need be: the first frame only wakes a sleeping BMS. Raises LinkError, DeviceRefused."""
    await client.request(SimpleRequest(CommandCode.STATUS), attempts=2)


def silence_problem(client: Device, baudrate: int, error: BridgeError) -> Finding:
    """Return why nothing sensible comes from an open port, from what was seen on the line."""
    statistics = client.statistics
    if statistics.garbage_bytes or statistics.crc_errors:
        return problem("link", message("doctor.noise", baudrate=baudrate, count=statistics.garbage_bytes))
    if not client.connected:
        if isinstance(error, LinkError):
            return problem("link", error.what, remedy_of(error) or message("doctor.check_plug"))
        return problem("link", error.description, message("doctor.check_plug"))
    return problem("link", message("doctor.silence"))
