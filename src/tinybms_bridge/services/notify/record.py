"""What was told and what waits to be sent: kept over restarts, so that nothing is told twice and nothing gets lost.

It also outlives the service within one process, which is made anew with other settings: where the disk takes nothing,
a restart of the process alone costs it.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from tinybms_bridge.battery.alarm_words import ALARM_NAMES
from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.documents import check_version, load, parse_json
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.services.notify.messages import Notification
from tinybms_bridge.services.notify.rules import MOST_SETTLE_S, SETTLE_S, WatchedAlarm
from tinybms_bridge.words import JsonValue

__all__ = ["MOST_WAITING", "TellRecord"]

log = logging.getLogger(__name__)

MOST_WAITING = 50
"""Messages of one way; when the network is back after a week, the newest matter."""
_VERSION = 1
_LEVELS = {level.name.lower(): level for level in AlarmLevel if level}

Waiting = dict[str, deque[Notification]]


class TellRecord:
    """What was told, and what waits for each way.

    Args:
        storage: Where it is kept.

    """

    def __init__(self, storage: Storage) -> None:
        self.memory: Mapping[str, WatchedAlarm] = {}
        """What the rules remember."""
        self.waiting: Waiting = {}
        """Messages by the name of the way, oldest first."""
        self._storage = storage
        self._writing = threading.Lock()
        self._asked = self._written = 0

    def load(self) -> None:
        """Take up what was kept; what cannot be used is set aside. Blocks."""
        found = load(self._storage, "the record of notifications", _parse)
        if found.value is not None:
            self.memory, self.waiting = found.value

    def queue(self, way: str) -> deque[Notification]:
        """Return what waits for a way."""
        return self.waiting.setdefault(way, deque())

    def keep_only(self, ways: frozenset[str]) -> None:
        """Forget what waits for ways that are no more."""
        for name in self.waiting.keys() - ways:
            del self.waiting[name]

    def told(self) -> Mapping[str, tuple[AlarmLevel, AlarmLevel, float]]:
        """Return what of the memory of the rules is worth keeping: what people believe."""
        return {name: (each.told, each.usual, each.settle_s) for name, each in self.memory.items() if each.told}

    def document(self, clock: Clock) -> tuple[int, bytes]:
        """Return what is to be kept now, with a number that grows, for ``write``."""
        told = {
            name: {"told": level.name.lower(), "usual": usual.name.lower(), "settle_s": settle_s}
            for name, (level, usual, settle_s) in self.told().items()
        }
        waiting = {way: [each.dated(clock).to_document() for each in queue] for way, queue in self.waiting.items()}
        self._asked += 1
        document: dict[str, JsonValue] = {"version": _VERSION, "told": told, "waiting": waiting}
        return self._asked, json.dumps(document, indent=1).encode()

    def write(self, number: int, data: bytes) -> None:
        """Write a document unless a later one is written already. Blocks. Raises OSError."""
        with self._writing:  # a write that was under way when the service was stopped goes on in its thread
            if number > self._written:
                self._storage.write(data)
                self._written = number


def _parse(data: bytes) -> tuple[dict[str, WatchedAlarm], Waiting]:
    document = parse_json(data)
    if not isinstance(document, dict):
        raise ValueError("it is no object")  # noqa: TRY004 -- what a bad document raises
    check_version(document.get("version"), _VERSION)
    told, waiting = document.get("told"), document.get("waiting")
    if not isinstance(told, dict) or not isinstance(waiting, dict):
        raise ValueError("it has no record")  # noqa: TRY004 -- as above
    memory = {name: _watched(each) for name, each in told.items() if name in ALARM_NAMES}
    return memory, {str(way): _queue(queue) for way, queue in waiting.items()}


def _watched(document: Any) -> WatchedAlarm:  # noqa: ANN401 -- any JSON value
    try:
        told, usual = _LEVELS[document["told"]], _LEVELS[document["usual"]]
        settle_s = min(max(SETTLE_S, float(document["settle_s"])), MOST_SETTLE_S)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("it tells of something unknown") from error
    return WatchedAlarm(told=told, usual=usual, settle_s=settle_s)


def _queue(document: Any) -> deque[Notification]:  # noqa: ANN401 -- any JSON value
    if not isinstance(document, list):
        raise ValueError("its messages are no list")  # noqa: TRY004 -- as above
    return deque(Notification.from_document(each) for each in document[-MOST_WAITING:])
