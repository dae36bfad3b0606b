"""What a family of metrics is, and the picture of the bridge that all of them are read from.

A picture is taken on the event loop, where it is consistent; reading it costs some milliseconds and is for a thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tinybms_bridge import __version__
from tinybms_bridge.battery.inhibits import Inhibit
from tinybms_bridge.hal.process_use import ProcessUse
from tinybms_bridge.link.state import CanState, CoreInfo, PackDetails, PartStatus, ServiceState, WatchdogState
from tinybms_bridge.services.ports import Core, HistoryState, Moment

__all__ = ["PREFIX", "Family", "MetricKind", "Picture", "Present", "Reading", "counter", "gauge", "info"]

PREFIX = "tinybms_"

_UNITS = frozenset({"volts", "amperes", "watts", "ratio", "celsius", "seconds", "joules", "coulombs", "bytes"})
"""Base units in which Prometheus counts; what ends in none of them is a mere number."""


class MetricKind(StrEnum):
    """What may become of a value."""

    GAUGE = "gauge"
    COUNTER = "counter"
    """It only grows, or begins again at 0."""
    INFO = "info"
    """Always 1: its labels tell."""


class Present(StrEnum):
    """When a family has values. What is not known now has none: neither the last one nor 0."""

    ALWAYS = "always"
    HEARD = "while the core is heard"
    LIVE = "while measurements are live"
    SENT = "while limits are sent"
    KNOWN = "once a sample was seen"
    RECORDED = "while the history records"


@dataclass(frozen=True, slots=True)
class Picture:
    """The bridge at one moment."""

    moment: Moment
    info: CoreInfo
    uptime_s: float
    """Of the core."""
    packs: Mapping[str, PackDetails]
    outputs: Mapping[str, CanState]
    parts: Sequence[PartStatus]
    services: Sequence[ServiceState]
    watchdog: WatchdogState
    inhibits: Sequence[Inhibit]
    version: str = __version__
    """Of this process."""
    history: HistoryState = field(default_factory=lambda: HistoryState(enabled=False))
    """Added by who reads the picture, as is what follows: both read files."""
    uses: Mapping[str, ProcessUse] = field(default_factory=dict)
    """What each process takes, by its name."""

    @property
    def heard(self) -> bool:
        """Whether the core is heard: otherwise nothing that it told counts any more."""
        return self.moment.hearing.connected

    @classmethod
    def take(cls, core: Core) -> "Picture":
        """Return the present picture; on the event loop, and at once."""
        return cls(
            moment=core.moment(),
            info=core.info(),
            uptime_s=core.uptime_s,
            packs=core.packs(),
            outputs=core.outputs(),
            parts=core.parts(),
            services=[each.state() for each in core.services().values()],
            watchdog=core.watchdog(),
            inhibits=core.inhibits(),
        )


Reading = tuple[tuple[str, ...], float | None]
"""The values of the labels, and what was found; None is left out."""


@dataclass(frozen=True, slots=True)
class Family:
    """One name with all of its series."""

    name: str
    """With the prefix, without what its kind adds."""
    kind: MetricKind
    help: str
    """One sentence."""
    present: Present
    labels: tuple[str, ...]
    read: Callable[[Picture], Iterable[Reading]]
    """Returns the values of a picture."""

    @property
    def shown_name(self) -> str:
        """The name as queries have it."""
        suffix = {MetricKind.COUNTER: "_total", MetricKind.INFO: "_info"}
        return self.name + suffix.get(self.kind, "")

    @property
    def unit(self) -> str:
        """The base unit at the end of the name; empty for none."""
        end = self.name.rpartition("_")[2]
        return end if end in _UNITS else ""


def gauge(
    name: str, help_: str, present: Present, read: Callable[[Picture], Iterable[Reading]], *labels: str
) -> Family:
    """Return a family whose values rise and fall."""
    return Family(PREFIX + name, MetricKind.GAUGE, help_, present, labels, read)


def counter(
    name: str, help_: str, present: Present, read: Callable[[Picture], Iterable[Reading]], *labels: str
) -> Family:
    """Return a family whose values only grow; the name is without ``_total``."""
    return Family(PREFIX + name, MetricKind.COUNTER, help_, present, labels, read)


def info(
    name: str, help_: str, present: Present, read: Callable[[Picture], Iterable[Sequence[str]]], *labels: str
) -> Family:
    """Return a family of mere texts; the name is without ``_info``."""

    def always_one(picture: Picture) -> Iterable[Reading]:
        return [(tuple(values), 1.0) for values in read(picture)]

    return Family(PREFIX + name, MetricKind.INFO, help_, present, labels, always_one)
