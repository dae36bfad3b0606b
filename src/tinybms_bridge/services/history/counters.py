"""Counts what happened on the lines from the counters that the core tells, which begin again when it does."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.state import CanState, PackDetails
from tinybms_bridge.services.history.fields import COUNTERS

__all__ = ["LineCounters", "Lines"]


class Lines(Protocol):
    """The lines of the core, as ``services.ports.Core`` has them."""

    def packs(self) -> Mapping[str, PackDetails]:
        """Return what is known of each pack, by name."""
        ...

    def outputs(self) -> Mapping[str, CanState]:
        """Return how each output is, by name."""
        ...


_OF_UART = tuple((counter.name, counter.name[5:]) for counter in COUNTERS if counter.name.startswith("uart_"))
_OF_CAN = tuple((counter.name, counter.name[4:]) for counter in COUNTERS if counter.name.startswith("can_"))


class LineCounters:
    """What was counted from one look to the next.

    Args:
        bus: The bus of the services.
        lines: The lines; None where there are none.

    """

    def __init__(self, bus: Bus, lines: Lines | None) -> None:
        self._bus = bus
        self._lines = lines
        self._before: dict[tuple[str, str], int] = {}
        self.look()

    def latencies_ms(self) -> list[float]:
        """Return the last latency of each line that is up."""
        if self._lines is None:
            return []
        return [pack.uart.latency_last_ms for pack in self._lines.packs().values() if pack.uart.up]

    def look(self) -> list[int]:
        """Return what was counted since the look before, in the order of ``fields.COUNTERS``.

        A counter that is seen for the first time has counted nothing; one that fell has begun again.
        """
        found = dict.fromkeys((counter.name for counter in COUNTERS), 0)
        for name, line, now in self._counted():
            before = self._before.get((name, line), now)
            found[name] += now - before if now >= before else now
            self._before[name, line] = now
        return list(found.values())

    def _counted(self) -> Iterator[tuple[str, str, int]]:
        """Yield each counter, the line that it is of, and its value."""
        if self._lines is not None:
            for name, pack in self._lines.packs().items():
                yield from ((counter, name, getattr(pack.uart, field)) for counter, field in _OF_UART)
            for name, output in self._lines.outputs().items():
                yield from ((counter, name, getattr(output, field)) for counter, field in _OF_CAN)
        of_bus = self._bus.statistics()
        yield "bus_events", "", of_bus.total_published
        yield "bus_overruns", "", of_bus.queue_overruns
