"""What bridges publish, as values of a time-series database: pure, and afraid of nothing that may be in a message.

A message has its topic and an object with ``boot``, ``seq`` and ``at``. Every finite number in it becomes a sample, by
whatever name it has, so that a later version of the bridge needs no change here::

    fleet/hill/tinybms/battery/state {"soc_percent": 71.5}  tinybms_battery_soc_percent{site="hill"} 71.5
    fleet/hill/tinybms/packs/a/state {"cells_mv": [3310]}   tinybms_pack_cells_mv{site="hill",pack="a",index="1"} 3310

What a bridge had kept while no node was there comes below ``replay/``, and is the same otherwise.

What cannot be believed is counted by its reason and left out, a field alone where the rest of a message is good.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Envelope", "Reason", "RejectedError", "Series", "opened"]

ROOT = "fleet"
PRODUCT = "tinybms"
SITE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
"""One word in topics and subjects, in user names and in labels."""

LARGEST_MESSAGE = 65_536
"""Bytes; sixteen packs of sixteen cells are some 20 000."""
AHEAD_MS = 5 * 60_000
"""Further ahead of its arrival than this no clock is that NTP has set."""
BEHIND_MS = 30 * 86_400_000
"""The longest that a spool may have kept a message; what is older is from a clock that was never set."""
LARGEST_NUMBER = 1e15
"""Beyond it neither a battery nor a counter of one has a value."""
DEEPEST, LONGEST_LIST = 4, 64
SERIES_PER_SITE = 4_000
"""Sixteen packs of some hundred values; a site that invents names fills no database."""

ENVELOPE = frozenset(("boot", "seq", "at", "spooled"))
NOT_NOW = "last"
"""What was measured last, while nothing is live: it was written when it was."""
REPLAY = "replay"
WORDS = {
    "level": {"ok": 0, "warning": 1, "alarm": 2},
    "freshness": {"fresh": 0, "hold": 1, "silent": 2},
    "state": {"offline": 0, "online": 1},
}
"""Fields with words that have an order: an alarm rule needs a number."""

QUANTITY = re.compile(r"voltage|current|temperature|.*_(?:m?v|m?a|k?wh?|ah|percent|c|k|ms|s|h)")
"""A field of a quantity: text in it that reads as a number is a mistake, where a serial number is none."""

_BOOT = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CODE = re.compile(r"[a-z0-9_.]{1,64}")


class Reason:
    """Why a message or a field of one is left out: labels of a counter."""

    TOPIC = "topic"
    SITE = "unknown_site"
    SIZE = "too_large"
    JSON = "not_json"
    ENVELOPE = "no_envelope"
    CLOCK = "clock"
    TEXT = "text_for_number"
    NUMBER = "no_finite_number"
    NAME = "field_name"
    NESTED = "too_deep"
    SERIES = "too_many_series"
    REFUSED = "refused_by_database"


class RejectedError(ValueError):
    """A message that is not used; `reason` is one of `Reason`, `site` is empty where even that is not known."""

    def __init__(self, reason: str, site: str = "") -> None:
        super().__init__(f"{reason} ({site or 'no site'})")
        self.reason = reason
        self.site = site


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message that may be used: from whom, which one, of when, and what is in it."""

    site: str
    topic: tuple[str, ...]
    """Below the root of the site: ``("packs", "a", "state")``."""
    boot: str
    seq: int
    at_ms: int
    """Time of the data, by the clock of the bridge; of a status, when the broker had it."""
    spooled: bool
    content: dict[str, object]


def opened(subject: str, payload: bytes, arrived_ms: int, sites: Collection[str]) -> Envelope:
    """Return a message with its topic taken apart and its envelope checked.

    Raises:
        RejectedError: With the reason why it cannot be used.
    """
    site, topic, replayed = _addressed(subject)
    if site not in sites:
        raise RejectedError(Reason.SITE)
    if len(payload) > LARGEST_MESSAGE:
        raise RejectedError(Reason.SIZE, site)
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        raise RejectedError(Reason.JSON, site) from None
    if not isinstance(content, dict):
        raise RejectedError(Reason.JSON, site)
    boot, seq = content.get("boot"), content.get("seq")
    if not isinstance(boot, str) or not _BOOT.fullmatch(boot) or type(seq) is not int or not 1 <= seq < 2**53:
        raise RejectedError(Reason.ENVELOPE, site)
    at_ms = _time_of(content.get("at"), site)
    if not arrived_ms - BEHIND_MS <= at_ms <= arrived_ms + AHEAD_MS:
        raise RejectedError(Reason.CLOCK, site)
    spooled = replayed or content.get("spooled") is True
    if topic == ("status",) and not spooled:
        at_ms = arrived_ms  # a last will was written when the connection began, and tells of its end
    return Envelope(site, topic, boot, seq, at_ms, spooled, content)


def _addressed(subject: str) -> tuple[str, tuple[str, ...], bool]:
    """Return site, topic below its root, and whether it is a replay."""
    words = subject.split(".")
    if len(words) < 4 or words[0] != ROOT or words[2] != PRODUCT or not SITE.fullmatch(words[1]):
        raise RejectedError(Reason.TOPIC)
    replayed = words[3] == REPLAY
    topic = tuple(words[4 if replayed else 3 :])
    if not topic or not all(map(_NAME.fullmatch, topic)):
        raise RejectedError(Reason.TOPIC)
    return words[1], topic, replayed


def _time_of(value: object, site: str) -> int:
    if not isinstance(value, str) or len(value) > 40:
        raise RejectedError(Reason.ENVELOPE, site)
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise RejectedError(Reason.ENVELOPE, site)
        return round(at.timestamp() * 1000.0)
    except (ValueError, OverflowError):
        raise RejectedError(Reason.ENVELOPE, site) from None


@dataclass(slots=True)
class Series:
    """Names of series, made once for each site and bounded; counts what is left out of messages by reason and site."""

    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    _names: dict[str, dict[tuple[object, ...], str]] = field(default_factory=dict)

    def lines_of(self, message: Envelope) -> list[str]:
        """Return each sample of a message as a line of the Prometheus text format, with the time of its data."""
        numbers = self._event_in(message) if message.topic == ("events",) else self._numbers_in(message)
        lines = []
        for path, value in numbers:
            name = self._name(message, path)
            if name is not None:
                lines.append(f"{name} {value!r} {message.at_ms}")
        return lines

    def forget(self, site: str) -> None:
        """Make room: a site is no longer there."""
        self._names.pop(site, None)

    def _event_in(self, message: Envelope) -> Iterator[tuple[tuple[object, ...], float]]:
        """Yield that there was an event, by its code; its numbers say nothing over time."""
        code = message.content.get("code")
        if isinstance(code, str) and _CODE.fullmatch(code):
            yield ("", code), 1

    def _numbers_in(self, message: Envelope) -> Iterator[tuple[tuple[object, ...], float]]:
        """Yield the path and value of each number, those of objects and lists in it as well."""
        content = {key: value for key, value in message.content.items() if key not in ENVELOPE and key != NOT_NOW}
        yield from self._numbers_below(message, content, ())

    def _numbers_below(
        self, message: Envelope, content: dict[str, object], above: tuple[object, ...]
    ) -> Iterator[tuple[tuple[object, ...], float]]:
        for key, value in content.items():
            if not _NAME.fullmatch(key):
                self._leave_out(Reason.NAME, message)
            elif isinstance(value, dict):
                if len(above) + 1 < DEEPEST:
                    yield from self._numbers_below(message, value, (*above, key))
                else:
                    self._leave_out(Reason.NESTED, message)
            elif isinstance(value, list):
                yield from self._numbers_of_list(message, value, (*above, key))
            elif (number := self._number(message, key, value)) is not None:
                yield (*above, key), number

    def _numbers_of_list(
        self, message: Envelope, values: list[object], path: tuple[object, ...]
    ) -> Iterator[tuple[tuple[object, ...], float]]:
        if len(values) > LONGEST_LIST:
            self._leave_out(Reason.NESTED, message)
            return
        for index, value in enumerate(values, start=1):  # cells are counted from 1
            if isinstance(value, int | float) and (number := self._number(message, "", value)) is not None:
                yield (*path, index), number

    def _number(self, message: Envelope, key: str, value: object) -> float | None:
        """Return a value as a finite number; None for what is none, counted where it looks like one."""
        if isinstance(value, str):
            word = WORDS.get(key, {}).get(value.lower())
            if word is None and QUANTITY.fullmatch(key) and _looks_like_a_number(value):
                self._leave_out(Reason.TEXT, message)
            return word
        if not isinstance(value, int | float):
            return None
        if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:  # false for what is no number at all, too
            self._leave_out(Reason.NUMBER, message)
            return None
        return int(value) if isinstance(value, bool) else value

    def _name(self, message: Envelope, path: tuple[object, ...]) -> str | None:
        names = self._names.setdefault(message.site, {})
        key = (message.topic, path)
        name = names.get(key)
        if name is None:
            if len(names) >= SERIES_PER_SITE:
                self._leave_out(Reason.SERIES, message)
                return None
            name = names[key] = _name_of(message.site, message.topic, path)
        return name

    def _leave_out(self, reason: str, message: Envelope) -> None:
        self.left_out[reason, message.site] += 1


def _looks_like_a_number(value: str) -> bool:
    try:
        return len(value) < 64 and math.isfinite(float(value))
    except ValueError:
        return False


def _name_of(site: str, topic: tuple[str, ...], path: tuple[object, ...]) -> str:
    """Return a series: what it is about and its field as the name, site, pack and index as labels."""
    labels = f'site="{site}"'
    about = [word for word in topic if word != "state"]
    if topic[0] == "packs" and len(topic) > 2:
        labels += f',pack="{topic[1]}"'
        about = ["pack", *about[2:]]
    elif topic == ("status",):
        about = ["bridge"]
    words = [word for word in path if isinstance(word, str)]
    labels += "".join(f',index="{word}"' for word in path if isinstance(word, int))
    if topic == ("events",) and len(path) == 2 and path[0] == "":
        about, words = ["event"], []
        labels += f',code="{path[1]}"'
    elif about == ["bridge"] and words == ["state"]:
        words = ["online"]
    name = "_".join([PRODUCT, *about, *words]).replace("-", "_").lower()
    return f"{name}{{{labels}}}"
