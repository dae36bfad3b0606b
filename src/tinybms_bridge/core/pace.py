"""How often the packs are read: as configured, or more seldom where that takes too much of the processor.

A small board has a fifth of the processor of a desk computer, and sixteen packs are sixteen times the work of one. So
the share that this process takes is looked at, and the interval follows in a few steps, never beyond one second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import EventCode, Noted
from tinybms_bridge.tinybms.pace import Pace, pace_of
from tinybms_bridge.words import Message, message

__all__ = ["SLOWEST_MS", "Load", "PaceKeeper", "PaceMemory", "Paced", "step", "step_to"]

SLOWEST_MS = 1000.0
"""Limits, alarms and freshness are made for readings that are not older."""

_STEPS_MS = (100.0, 150.0, 200.0, 300.0, 500.0, 700.0, SLOWEST_MS)
"""Few, so that each is told and none is left for a trifle."""

_MOST = 0.4
"""Share of one processor above which the packs are read more seldom: a board with one has the services on it, too."""
_WANTED = 0.3
"""Share that an interval is chosen for. Well below the most, so that what was left is not gone back to at once."""

_BUSY_WINDOWS = 2
"""A change of the configuration or a long answer makes one window busy, not two."""
_CALM_WINDOWS = 6
_WINDOW_S = 5.0
_START_S = 10.0
"""Until then the process is busy with its start."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured in one window."""

    share: float
    """Processor time of this process by time passed; 1: one processor."""
    packs: int
    """Packs that were read."""


@dataclass(frozen=True, slots=True)
class PaceMemory:
    """What is remembered from one window to the next."""

    interval_ms: float | None = None
    """Shortest interval in force; None: as configured."""
    load: Load | None = None
    """The last one."""
    busy: int = 0
    """Windows in a row with too much load."""
    calm: int = 0
    """Windows in a row after which a shorter interval would be borne."""


def step(memory: PaceMemory, load: Load, configured_ms: float, slowest_ms: float = SLOWEST_MS) -> PaceMemory:
    """Return the interval for the load of a window, never above ``slowest_ms`` nor below what is configured.

    All load is taken for that of the readings, which is too much for a shorter interval and too little for a longer
    one: so it is shortened late, and lengthened again at the next window where it was too little.
    """
    present_ms = memory.interval_ms or configured_ms
    steps_ms = [configured_ms, *(each for each in _STEPS_MS if configured_ms < each < slowest_ms)]
    if configured_ms < slowest_ms:
        steps_ms.append(slowest_ms)
    if load.share > _MOST:
        busy = memory.busy + 1
        longer_ms = [each for each in steps_ms if each > present_ms]
        if busy < _BUSY_WINDOWS or not longer_ms:
            return PaceMemory(memory.interval_ms, load, busy)
        enough_ms = (each for each in longer_ms if load.share * present_ms / each <= _WANTED)
        return PaceMemory(next(enough_ms, longer_ms[-1]), load)
    shorter_ms = [each for each in steps_ms if each < present_ms]
    if not shorter_ms or load.share * present_ms / shorter_ms[-1] > _WANTED:
        return PaceMemory(memory.interval_ms, load)
    calm = memory.calm + 1
    if calm < _CALM_WINDOWS:
        return PaceMemory(memory.interval_ms, load, calm=calm)
    return PaceMemory(shorter_ms[-1] if len(shorter_ms) > 1 else None, load)


def step_to(memory: PaceMemory, packs: int, configured_ms: float, slowest_ms: float = SLOWEST_MS) -> PaceMemory:
    """Return the interval for another number of packs, by the last load: nobody waits until more are too much."""
    last = memory.load
    if last is None or packs <= last.packs or not last.packs:
        return memory
    expected = Load(last.share * packs / last.packs, packs)
    if expected.share <= _MOST:
        return PaceMemory(memory.interval_ms, expected)
    return step(PaceMemory(memory.interval_ms, expected, _BUSY_WINDOWS), expected, configured_ms, slowest_ms)


class Paced(Protocol):
    """A pack, for who says how often it is read."""

    def set_pace(self, pace: Pace, slowed: Message | None) -> None:
        """Read at this pace; ``slowed`` says why it is slower than configured, None where it is not."""
        ...


class PaceKeeper:
    """Keeps all packs at a pace that this process bears, and tells of it.

    Args:
        config: The configuration in force.
        packs: Returns the packs that are read, by name, in their order.
        bus: Where a change is told.
        cpu_s: Returns the processor time of this process.

    """

    def __init__(
        self,
        config: Configuration,
        packs: Callable[[], Mapping[str, Paced]],
        bus: Bus,
        *,
        cpu_s: Callable[[], float],
    ) -> None:
        self._packs = packs
        self._bus = bus
        self._cpu_s = cpu_s
        self._memory = PaceMemory()
        self._slowed: Message | None = None
        self._set: Mapping[str, Paced] = dict(packs())
        self._window: tuple[float, float] | None = None  # its beginning, and the processor time by then
        self._config = config
        self._spread()

    @property
    def slowed(self) -> Message | None:
        """Why the packs are read more seldom than configured; None while they are not."""
        return self._slowed

    def apply(self, config: Configuration) -> None:
        """Put a configuration in force: begin with its interval, unless the present one is longer still."""
        self._config = config
        held_ms = self._memory.interval_ms
        if held_ms is not None and not self._configured_ms < held_ms <= self._slowest_ms:
            self._remember(PaceMemory(None, self._memory.load))

    def look(self, now_s: float) -> None:
        """Judge the load when a window is over; give each pack its pace when packs or pace have changed."""
        packs = dict(self._packs())
        if list(packs.items()) != list(self._set.items()):
            self._set = packs
            self._remember(step_to(self._memory, len(packs), self._configured_ms, self._slowest_ms))
            self._spread()
        share = self._share(now_s)
        if share is not None and packs:
            self._remember(step(self._memory, Load(share, len(packs)), self._configured_ms, self._slowest_ms))

    def _share(self, now_s: float) -> float | None:
        """Return the load of a window that ends now; None while none does."""
        if self._window is None:
            self._window = now_s + _START_S, self._cpu_s()
        begun_s, begun_cpu_s = self._window
        if now_s < begun_s:
            self._window = begun_s, self._cpu_s()
        if now_s - begun_s < _WINDOW_S:
            return None
        self._window = now_s, self._cpu_s()
        return (self._window[1] - begun_cpu_s) / (now_s - begun_s)

    def _remember(self, memory: PaceMemory) -> None:
        before, self._memory = self._memory.interval_ms, memory
        if memory.interval_ms != before:
            self._tell()
            self._spread()

    def _spread(self) -> None:
        least_ms, packs = self._memory.interval_ms or 0.0, self._set.values()
        for index, pack in enumerate(packs):
            pack.set_pace(pace_of(index, len(packs), least_ms), self._slowed)

    def _tell(self) -> None:
        interval_ms, load, configured_ms = self._memory.interval_ms, self._memory.load, self._configured_ms
        if interval_ms is None:
            self._slowed, told = None, message(EventCode.PACE_CONFIGURED, interval_ms=configured_ms)
        else:
            share_percent = 0.0 if load is None else load.share * 100.0
            self._slowed = told = message(
                EventCode.PACE_SLOWER,
                packs=len(self._set),
                interval_ms=interval_ms,
                configured_ms=configured_ms,
                share_percent=share_percent,
            )
        self._bus.publish(Noted(Severity.INFO, told), "pace")

    @property
    def _configured_ms(self) -> float:
        """What a sound line comes down to, whatever it begins with."""
        return float(self._config.tinybms.poll_interval_min_ms)

    @property
    def _slowest_ms(self) -> float:
        """Freshness is checked against the longest interval that is configured."""
        return max(self._configured_ms, min(SLOWEST_MS, self._config.tinybms.poll_interval_max_ms))
