"""What the lines have counted, from look to look, over restarts of the core and packs that come and go."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import ChangeSource, ConfigChanged
from tinybms_bridge.link.state import CanState, PackDetails, UartState
from tinybms_bridge.services.history.counters import LineCounters
from tinybms_bridge.services.history.fields import COUNTERS


class SomeLines:
    """Lines with the counters that a test says."""

    def __init__(self) -> None:
        self.uarts = {"main": UartState(up=True, polls=1000, errors=5, latency_last_ms=12.0)}
        self.can = CanState(tx_count=100, bus_off_count=1)

    def packs(self) -> Mapping[str, PackDetails]:
        """See ``Lines``."""
        return {name: PackDetails(uart) for name, uart in self.uarts.items()}

    def outputs(self) -> Mapping[str, CanState]:
        """See ``Lines``."""
        return {"can": self.can}

    def count(self, name: str, **more: int) -> None:
        """Have a line count on."""
        now = self.uarts[name]
        self.uarts[name] = replace(now, **{field: getattr(now, field) + number for field, number in more.items()})


@pytest.fixture
def lines() -> SomeLines:
    """One pack and CAN."""
    return SomeLines()


@pytest.fixture
def counters(bus: Bus, lines: SomeLines) -> LineCounters:
    """Their counters."""
    return LineCounters(bus, lines)


def look(counters: LineCounters) -> dict[str, int]:
    """Return what is not 0."""
    found = zip((counter.name for counter in COUNTERS), counters.look(), strict=True)
    return {name: number for name, number in found if number}


def test_only_what_is_new_counts(counters: LineCounters, lines: SomeLines, bus: Bus) -> None:
    """What was counted before the services began is no part of the first step, and each step has its own."""
    assert look(counters) == {}
    lines.count("main", polls=100, errors=2, crc_errors=1)
    lines.can = replace(lines.can, tx_count=119, rx_errors=3)
    bus.publish(ConfigChanged((), ChangeSource.FILE), "test")
    assert look(counters) == {
        "uart_polls": 100, "uart_errors": 2, "uart_crc_errors": 1, "can_tx_count": 19, "can_rx_errors": 3,
        "bus_events": 1,
    }  # fmt: skip
    assert look(counters) == {}


def test_core_that_was_restarted(counters: LineCounters, lines: SomeLines) -> None:
    """Its counters begin at 0: what they show then is what was counted, and never less than nothing."""
    lines.uarts["main"] = UartState(polls=7)
    assert look(counters) == {"uart_polls": 7}


def test_packs_that_come_and_go(counters: LineCounters, lines: SomeLines) -> None:
    """Lines of all packs are added; one that appears, or comes back, adds only what it counts from then on."""
    lines.uarts["second"] = UartState(polls=500)
    assert look(counters) == {}
    lines.count("main", polls=10)
    lines.count("second", polls=20)
    assert look(counters) == {"uart_polls": 30}
    second = lines.uarts.pop("second")
    assert look(counters) == {}
    lines.uarts["second"] = replace(second, polls=525)
    assert look(counters) == {"uart_polls": 5}


def test_latency_of_lines_that_are_up(counters: LineCounters, lines: SomeLines, bus: Bus) -> None:
    """The last latency of a line that is down, or of a core that is not heard, is none of now."""
    lines.uarts["second"] = UartState(up=False, latency_last_ms=99.0)
    assert counters.latencies_ms() == [12.0]
    assert LineCounters(bus, None).latencies_ms() == []
