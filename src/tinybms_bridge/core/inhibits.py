"""Keeps what the user has inhibited: in force at once, on the disk before success is told, back after a restart.

An inhibit with an end counts the time in which the bridge runs, by the monotonic clock. Wall time decides nothing: a
clock that is set, or not set yet after a power cut, ends none early. While the bridge is off the time stands still.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from tinybms_bridge.battery.inhibits import (
    INHIBITS_VERSION,
    Direction,
    Inhibit,
    inhibits_from_document,
    inhibits_to_document,
)
from tinybms_bridge.battery.limits import Inhibited
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.documents import check_version, load, parse_json
from tinybms_bridge.hal.storage import Storage

__all__ = ["INHIBITS_FILE", "Inhibits", "load_inhibits"]

log = logging.getLogger(__name__)

INHIBITS_FILE = "stops.json"
"""Name of the file in the state directory, as it was before it held what is called an inhibit now."""

_CHECK_INTERVAL_S = 1.0
_SAVE_INTERVAL_S = 60.0
"""How much longer than asked an inhibit may last after a crash, and the pause between two attempts to save."""

_UNKNOWN = "tinybms-bridge"
"""Who has stopped charging when it cannot be read who did."""

_WORDS = {Direction.CHARGE: "charging", Direction.DISCHARGE: "discharging"}


def load_inhibits(storage: Storage, now: datetime) -> dict[Inhibit, float | None]:
    """Return what was inhibited, with how much longer in seconds; None: until released. Blocks; never raises.

    When the file cannot be used it is kept aside, what its predecessor says counts, and charging is stopped in any
    case; so it is when only the predecessor is there.
    """
    found = load(storage, "the list of inhibits", partial(_parse, now=now))
    problem = found.problem or (f"the list of inhibits in {storage.name} is gone" if found.from_previous else "")
    inhibits = found.value or {}
    if not problem:
        return inhibits
    log.error("%s; charging is stopped until somebody releases it", problem)
    unknown = Inhibit(Direction.CHARGE, now, reason=problem[:200], by=_UNKNOWN)
    return {each: left_s for each, left_s in inhibits.items() if each.direction is not Direction.CHARGE} | {
        unknown: None
    }


def _parse(data: bytes, now: datetime) -> dict[Inhibit, float | None]:
    document = parse_json(data)
    if isinstance(document, Mapping):
        check_version(document.get("version"), INHIBITS_VERSION)
    return inhibits_from_document(document, now)


@dataclass(frozen=True, slots=True)
class _Held:
    """An inhibit in force."""

    inhibit: Inhibit
    ends_at_s: float | None
    """Monotonic time; None: until it is released."""

    def remaining_s(self, now_s: float) -> float | None:
        """Return how much longer it lasts."""
        return None if self.ends_at_s is None else max(0.0, self.ends_at_s - now_s)


class Inhibits:
    """The inhibits in force; used on the event loop.

    Args:
        storage: Where they are kept.
        clock: Source of time.
        apply: Called with each change, before it is saved.
        on_expired: Called with each direction whose time is over.
        run_blocking: Runs what reads and writes files.

    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        apply: Callable[[Inhibited], None],
        on_expired: Callable[[Direction], None] = lambda _direction: None,
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._apply = apply
        self._on_expired = on_expired
        self._run_blocking = run_blocking
        self._news = asyncio.Event()
        self._held: tuple[_Held, ...] = ()
        self._changed = False
        self._next_save_s = clock.monotonic() + _SAVE_INTERVAL_S
        self._told = ""
        self._writing = threading.Lock()

    async def load(self) -> None:
        """Put in force again what was inhibited when the program ended; call it before the first decision."""
        inhibits = await self._run_blocking(load_inhibits, self._storage, self._clock.wall())
        for inhibit, left_s in inhibits.items():
            left = "until released" if left_s is None else f"for another {left_s:.0f} s"
            why = f": {inhibit.reason}" if inhibit.reason else ""
            log.warning("%s is stopped by hand, %s%s", _WORDS[inhibit.direction], left, why)
        self._hold(tuple(self._begin(inhibit, left_s) for inhibit, left_s in inhibits.items()))
        self._changed = False
        if any(inhibit.by == _UNKNOWN for inhibit in inhibits):  # the file that said something else is no longer there
            await self._run_blocking(self._save_or_tell)

    async def run(self) -> None:
        """End inhibits when their time is over and save how long the others last, until cancelled."""
        try:
            while True:
                if not self._worth_saving:
                    await self._news.wait()
                self._news.clear()
                await self._clock.sleep(_CHECK_INTERVAL_S)
                ended = self._end_expired()
                if ended or (self._worth_saving and self._clock.monotonic() >= self._next_save_s):
                    await self._run_blocking(self._save_or_tell)
        except asyncio.CancelledError:
            if self._worth_saving:
                await self._run_blocking(self._save_or_tell)
            raise

    def current(self) -> tuple[Inhibit, ...]:
        """Return what is inhibited, each with its end by the wall clock as it is now."""
        now = self._clock.wall()
        return tuple(each.ending(now, left_s) for each, left_s in self._remaining_s().items())

    def _remaining_s(self) -> dict[Inhibit, float | None]:
        now_s = self._clock.monotonic()
        return {held.inhibit: held.remaining_s(now_s) for held in self._held}

    async def inhibit(self, direction: Direction, duration_s: float | None, reason: str, by: str) -> Inhibit:
        """Inhibit a direction at once, in place of an earlier inhibit of it, and save that.

        Raises OSError when it could not be saved: then it is in force, but would be gone after a restart.
        """
        now = self._clock.wall()
        inhibit = Inhibit(direction, now, reason=reason, by=by)
        self._hold((*self._others(direction), self._begin(inhibit, duration_s)))
        await self._save_now()
        return inhibit.ending(now, duration_s)

    async def release(self, direction: Direction) -> bool:
        """End an inhibit and save that; False when there was none.

        Raises OSError when it could not be saved: then it has ended, but would be back after a restart.
        """
        others = self._others(direction)
        found = len(others) != len(self._held)
        if found:
            self._hold(others)
        if self._changed:
            await self._save_now()
        return found

    async def _save_now(self) -> None:
        try:
            await self._run_blocking(self._save)
        finally:
            self._news.set()  # what could not be saved is tried again

    @property
    def _worth_saving(self) -> bool:
        return self._changed or any(held.ends_at_s is not None for held in self._held)

    def _begin(self, inhibit: Inhibit, remaining_s: float | None) -> _Held:
        return _Held(inhibit, None if remaining_s is None else self._clock.monotonic() + remaining_s)

    def _others(self, direction: Direction) -> tuple[_Held, ...]:
        return tuple(held for held in self._held if held.inhibit.direction is not direction)

    def _end_expired(self) -> bool:
        now_s = self._clock.monotonic()
        kept = tuple(held for held in self._held if held.ends_at_s is None or held.ends_at_s > now_s)
        ended = len(kept) != len(self._held)
        if ended:
            expired = set(self._held) - set(kept)
            self._hold(kept)
            for held in expired:
                self._on_expired(held.inhibit.direction)
        return ended

    def _hold(self, held: tuple[_Held, ...]) -> None:
        self._held, self._changed = held, True
        self._news.set()
        directions = {each.inhibit.direction for each in held}
        self._apply(Inhibited(charge=Direction.CHARGE in directions, discharge=Direction.DISCHARGE in directions))

    def _save(self) -> None:
        with self._writing:  # the later of two writes has the later state
            self._changed, remaining_s = False, self._remaining_s()
            try:
                self._storage.write(json.dumps(inhibits_to_document(remaining_s), indent=1).encode())
            except OSError:
                self._changed = True
                raise
            finally:
                self._next_save_s = self._clock.monotonic() + _SAVE_INTERVAL_S
            self._told = ""

    def _save_or_tell(self) -> None:
        try:
            self._save()
        except OSError as error:
            text = f"the inhibits cannot be saved in {self._storage.name}: {error}"
            if text != self._told:
                log.error("%s", text)  # noqa: TRY400 -- one clear line
            self._told = text
