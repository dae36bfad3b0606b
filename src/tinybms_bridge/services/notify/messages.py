"""What is told: one message with what it is about, in words for people and as JSON for programs.

A message may wait for hours until it can be sent, also over a restart, so it keeps codes and times, and is put into
words at the moment of sending.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from tinybms_bridge.battery.alarm_words import ALARM_NAMES, alarm_kind, alarm_message
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.words import JsonValue, Language, Message, message

__all__ = ["AlarmNews", "NewsLevel", "Notification", "WordedNotification", "Wording", "one_line"]

NewsEvent = Literal["raised", "cleared"]
NewsLevel = Literal["warning", "alarm"]

_LATE = timedelta(minutes=2)
"""What waited for longer says so: whoever reads it would take it for news."""
_LONGEST_S = 1e9
"""No alarm has lasted for thirty years."""
_MINUTES = timedelta(hours=2)
"""Shorter times are told in minutes."""


@dataclass(frozen=True, slots=True)
class AlarmNews:
    """That an alarm or notice began, rose or ended."""

    event: NewsEvent
    name: str
    level: NewsLevel
    """That it has reached, or the highest that was told of what is over."""
    before_s: float = 0.0
    """How long before the message that was."""
    cause: Message | None = None
    """What it rested on when it was told."""

    @property
    def message(self) -> Message:
        """What is told of it; explanation and advice belong to its code."""
        if self.event == "cleared":
            return alarm_message(self.name, level="over", cause=None)
        return alarm_message(self.name, level=self.level, cause=self.cause)


@dataclass(frozen=True, slots=True)
class Notification:
    """One message, the same on every way."""

    id: str
    """Tells it from every other one; the same when it is sent a second time."""
    at: datetime
    """When it was made, UTC."""
    news: tuple[AlarmNews, ...] = ()
    """What is told; nothing in a test message."""
    values: Mapping[str, JsonValue] = field(default_factory=dict)
    """The battery then, by the flat names."""
    made_s: float | None = field(default=None, compare=False)
    """When it was made, monotonic; None for one of an earlier run."""

    @property
    def event(self) -> Literal["raised", "cleared", "several", "test"]:
        """What kind of message it is."""
        if not self.news:
            return "test"
        return self.news[0].event if len(self.news) == 1 else "several"

    @property
    def level(self) -> NewsLevel | None:
        """The worst level that begins; None where nothing does."""
        levels = {each.level for each in self.news if each.event == "raised"}
        return "alarm" if "alarm" in levels else "warning" if levels else None

    @property
    def since(self) -> datetime:
        """When that began or ended which it tells first; of several, when it was made."""
        return self.at_of(self.news[0]) if len(self.news) == 1 else self.at

    def at_of(self, news: AlarmNews) -> datetime:
        """Return when something of it happened, to the second."""
        return (self.at - timedelta(seconds=news.before_s)).replace(microsecond=0)

    def dated(self, clock: Clock) -> "Notification":
        """Return it with the time that the clock of now gives: it may have been set since."""
        if self.made_s is None:
            return self
        return replace(self, at=clock.wall() - timedelta(seconds=clock.monotonic() - self.made_s))

    def to_document(self) -> dict[str, JsonValue]:
        """Return what is kept of it over a restart."""
        news = [
            {
                "event": each.event,
                "name": each.name,
                "level": each.level,
                "before_s": each.before_s,
                "cause": None if each.cause is None else each.cause.document(),
            }
            for each in self.news
        ]
        return {"id": self.id, "at": self.at.isoformat(), "news": news, "values": dict(self.values)}

    @classmethod
    def from_document(cls, document: object) -> "Notification":
        """Return what was kept. Raises ValueError for anything else."""
        try:
            return cls._parsed(document)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError("it is no message") from error

    @classmethod
    def _parsed(cls, document: Any) -> "Notification":  # noqa: ANN401 -- any JSON value
        at = datetime.fromisoformat(document["at"])
        if at.tzinfo is None:
            raise ValueError("its time has no zone")
        news = tuple(_news_of(each) for each in document["news"])
        return cls(str(document["id"]), at, news, {str(name): value for name, value in document["values"].items()})


def _news_of(document: Any) -> AlarmNews:  # noqa: ANN401 -- any JSON value
    event, name, level = document["event"], document["name"], document["level"]
    if event not in ("raised", "cleared") or name not in ALARM_NAMES or level not in ("warning", "alarm"):
        raise ValueError("it tells of something unknown")
    before_s, cause = float(document["before_s"]), document["cause"]
    if not 0.0 <= before_s <= _LONGEST_S:
        raise ValueError("its time cannot be")
    told = None if cause is None else Message(str(cause["code"]), dict(cause["parameters"]), str(cause["text"]))
    return AlarmNews(event, name, level, before_s, told)


@dataclass(frozen=True, slots=True)
class WordedNotification:
    """A message in words."""

    title: str
    """One line, with the name of the site."""
    lines: tuple[str, ...]
    """What stands below it; an empty one between parts."""
    document: dict[str, JsonValue]
    """All of it as JSON."""

    @property
    def body(self) -> str:
        """What stands below the title."""
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class Wording:
    """Puts messages into words."""

    language: Language
    site: str

    def __call__(self, told: Notification, now: datetime) -> WordedNotification:
        """Return a message as it is sent at ``now``."""
        heading = self._heading(told)
        title = self._say(message("notify.title", site=self.site, told=heading)) if self.site else self._say(heading)
        return WordedNotification(one_line(title), tuple(self._lines(told, now)), self._document(told, now, heading))

    def _heading(self, told: Notification) -> Message:
        if not told.news:
            return message("notify.test")
        return told.news[0].message if len(told.news) == 1 else message("notify.several", count=len(told.news))

    def _lines(self, told: Notification, now: datetime) -> list[str]:
        parts = [self._about(told), [self._state(told)]]
        if now - told.at >= _LATE:
            parts.append([self._say(self._late(told, now))])
        found: list[str] = []
        for part in parts:
            found += ["", *part] if found else part
        return [one_line(line) for line in found]

    def _about(self, told: Notification) -> list[str]:
        if not told.news:
            return [self._say(message("notify.test_body"))]
        if len(told.news) > 1:
            return [
                self._say(message("notify.line", at=_shown(told.at_of(each)), told=each.message)) for each in told.news
            ]
        (news,) = told.news
        said = news.message
        over = news.event == "cleared"
        since = self._say(message("notify.over_since" if over else "notify.since", at=_shown(told.at_of(news))))
        beside = [] if over else [said.explanation(self.language), said.advice(self.language)]
        return [line for line in (self._say(said), since, *beside) if line]

    def _state(self, told: Notification) -> str:
        values = told.values
        if values.get("voltage") is None:
            return self._say(message("notify.no_values"))
        return self._say(
            message(
                "notify.values",
                soc_percent=values.get("soc_percent"),
                voltage_v=values.get("voltage"),
                current_a=values.get("current"),
                temperature_c=values.get("temperature"),
            )
        )

    @staticmethod
    def _late(told: Notification, now: datetime) -> Message:
        late, at = now - told.at, _shown(told.at)
        if late < _MINUTES:
            return message("notify.late_minutes", at=at, minutes=late / timedelta(minutes=1))
        return message("notify.late_hours", at=at, hours=late / timedelta(hours=1))

    def _document(self, told: Notification, now: datetime, heading: Message) -> dict[str, JsonValue]:
        first = self._news(told, told.news[0]) if len(told.news) == 1 else dict.fromkeys(_NEWS_KEYS)
        return {
            **first,
            "source": "tinybms-bridge",
            "format": 1,
            "id": told.id,
            "event": told.event,
            "site": self.site,
            "level": first["level"] or told.level,
            "text": one_line(self._say(heading)),
            "at": told.since.replace(microsecond=0).isoformat(),
            "sent_at": now.replace(microsecond=0).isoformat(),
            "late": now - told.at >= _LATE,
            "language": self.language,
            "news": [self._news(told, each) for each in told.news],
            "battery": dict(told.values),
        }

    def _news(self, told: Notification, news: AlarmNews) -> dict[str, JsonValue]:
        said = news.message
        cause = None if news.event == "cleared" else news.cause
        explained = news.event == "raised"
        return {
            "event": news.event,
            "name": news.name,
            "kind": alarm_kind(news.name),
            "level": news.level,
            "code": said.code,
            "text": self._say(said),
            "cause": None if cause is None else self._say(cause),
            "explanation": said.explanation(self.language) if explained else "",
            "advice": said.advice(self.language) if explained else "",
            "at": told.at_of(news).isoformat(),
        }

    def _say(self, told: Message) -> str:
        return told.say(self.language)


_NEWS_KEYS = ("event", "name", "kind", "level", "code", "text", "cause", "explanation", "advice", "at")


def one_line(text: str) -> str:
    """Return a text that nothing can end early: one line, without what a terminal or a header would obey."""
    plain = "".join(" " if unicodedata.category(sign) in _OBEYED else sign for sign in text)
    return " ".join(plain.split())


_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of signs that are obeyed and not shown: line breaks, escapes, changes of direction, lone surrogates."""


def _shown(at: datetime) -> str:
    """Return a time for people, in the zone of the machine."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"
