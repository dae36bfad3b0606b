from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.statistics import FrameTrace, LatencyStatistics, LinkStatistics, TraceEntry


def test_latency_is_zero_before_the_first() -> None:
    """Nothing measured is shown as 0, not as a division by zero."""
    latency = LatencyStatistics()

    assert (latency.last_ms, latency.average_ms, latency.max_ms, latency.count) == (0.0, 0.0, 0.0, 0)


@given(st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=50))
def test_latency_of_all(latencies_ms: list[float]) -> None:
    """Last, mean and largest are those of all that were added."""
    latency = LatencyStatistics()
    for latency_ms in latencies_ms:
        latency.add(latency_ms)

    assert (latency.last_ms, latency.max_ms, latency.count) == (latencies_ms[-1], max(latencies_ms), len(latencies_ms))
    assert latency.average_ms == pytest.approx(sum(latencies_ms) / len(latencies_ms))


def test_links_do_not_share_their_latency() -> None:
    """Two links count apart."""
    first, second = LinkStatistics(), LinkStatistics()
    first.latency.add(12.0)

    assert (first.latency.count, second.latency.count) == (1, 0)


@given(size=st.integers(1, 10), count=st.integers(0, 40))
def test_trace_keeps_the_newest(size: int, count: int) -> None:
    """The ring holds the last entries, oldest first, and never grows."""
    trace = FrameTrace(size)
    for number in range(count):
        trace.add(float(number), "rx", bytes([number]))

    assert [entry.at_s for entry in trace.entries()] == [float(n) for n in range(max(0, count - size), count)]


def test_entries_are_a_copy() -> None:
    """Who looks at the trace is not disturbed by what comes after."""
    trace = FrameTrace()
    trace.add(1.0, "tx", b"\xaa")
    seen = trace.entries()
    trace.add(2.0, "rx", b"\xaa")

    assert len(seen) == 1
    assert len(trace.entries()) == 2


@pytest.mark.parametrize(
    ("direction", "data", "note", "text"),
    [
        ("tx", bytes.fromhex("AA180F"), "", "12.346 tx AA 18 0F"),
        ("rx", bytes.fromhex("aa00"), "late", "12.346 rx AA 00 (late)"),
        ("note", b"", "the serial device vanished", "12.346 note the serial device vanished"),
    ],
)
def test_entry_in_one_line(direction: Literal["tx", "rx", "note"], data: bytes, note: str, text: str) -> None:
    """An entry shows its time, direction, bytes in hex, and its note once."""
    assert str(TraceEntry(12.3456, direction, data, note)) == text
