"""What the consumer counts, as `/metrics` for VictoriaMetrics to scrape and as a line for its log."""

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["DELAY_BOUNDS_S", "Statistics", "serve"]

DELAY_BOUNDS_S = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 300.0, 3600.0)
LONGEST_REQUEST = 8_192
REQUEST_S = 10.0


@dataclass(slots=True)
class Statistics:
    """Counters since the start, and what is now."""

    received: int = 0
    duplicates: int = 0
    messages: int = 0
    """Written, each once."""
    samples: int = 0
    spooled: int = 0
    """Of the messages written, those that came from the spool of a bridge."""
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Messages and fields by reason and site."""
    database_failures: int = 0
    stream_failures: int = 0
    given_back: int = 0
    """Messages that were written, and again because the database was away."""
    unsettled: int = 0
    lag: int = 0
    """Messages in the stream that were not delivered yet."""
    missing: int = 0
    database_up: bool = True
    window_saved: bool = True
    replicas: int | None = None
    """Nodes that have all of the stream; None while no node tells."""
    last_seen_s: dict[str, float] = field(default_factory=dict)
    """When each known site was heard last, by the clock of the nodes; 0 for never."""
    delays: Counter[float] = field(default_factory=Counter)
    delay_sum_s: float = 0.0

    def delayed(self, delay_s: float) -> None:
        """Count how long a message that was not spooled took from its data to the database."""
        index = bisect_left(DELAY_BOUNDS_S, delay_s)
        self.delays[DELAY_BOUNDS_S[index] if index < len(DELAY_BOUNDS_S) else float("inf")] += 1
        self.delay_sum_s += max(0.0, delay_s)

    def line(self) -> str:
        """Return the counters in one line."""
        dropped = sum(self.dropped.values())
        return (
            f"{self.received} received, {self.messages} written with {self.samples} samples, "
            f"{self.duplicates} duplicates, {dropped} dropped, {self.given_back} written again, "
            f"{self.unsettled} not settled, {self.lag} waiting in the stream"
        )

    def page(self) -> str:
        """Return everything in the Prometheus text format."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield from _metric("messages_received_total", "counter", "Messages from the stream.", self.received)
        yield from _metric("messages_written_total", "counter", "Messages in the database.", self.messages)
        yield from _metric("samples_written_total", "counter", "Samples of them.", self.samples)
        yield from _metric("messages_spooled_total", "counter", "Messages that a bridge had kept.", self.spooled)
        yield from _metric("duplicates_total", "counter", "Messages that came again.", self.duplicates)
        yield from _metric("messages_given_back_total", "counter", "Messages to be written again.", self.given_back)
        yield from _metric("database_failures_total", "counter", "Writes that failed.", self.database_failures)
        yield from _metric("stream_failures_total", "counter", "Fetches that failed.", self.stream_failures)
        yield from _labelled(
            "dropped_total",
            "counter",
            "Messages and fields that were left out.",
            {f'reason="{reason}",site="{site}"': count for (reason, site), count in sorted(self.dropped.items())},
        )
        yield from _metric("unsettled_messages", "gauge", "Written, not acknowledged yet.", self.unsettled)
        yield from _metric("lag_messages", "gauge", "Waiting in the stream.", self.lag)
        yield from _metric("missing_sequence_numbers", "gauge", "Skipped by bridges, so far.", self.missing)
        yield from _metric("database_up", "gauge", "1 while writes are accepted.", int(self.database_up))
        yield from _metric("window_saved", "gauge", "1 while the window is saved.", int(self.window_saved))
        if self.replicas is not None:
            yield from _metric("stream_replicas", "gauge", "Nodes that have all of the stream.", self.replicas)
        yield from _labelled(
            "site_last_seen_seconds",
            "gauge",
            "When a message of the site came last, 0 for never.",
            {f'site="{site}"': at_s for site, at_s in sorted(self.last_seen_s.items())},
        )
        yield from self._histogram()

    def _histogram(self) -> Iterator[str]:
        name = "tinybms_fleet_delay_seconds"
        yield f"# HELP {name} From the time of the data to the database."
        yield f"# TYPE {name} histogram"
        count = 0
        for bound_s in DELAY_BOUNDS_S:
            count += self.delays[bound_s]
            yield f'{name}_bucket{{le="{bound_s}"}} {count}'
        count += self.delays[float("inf")]
        yield f'{name}_bucket{{le="+Inf"}} {count}'
        yield f"{name}_sum {self.delay_sum_s:.3f}"
        yield f"{name}_count {count}"


def _metric(name: str, kind: str, words: str, value: float) -> Iterator[str]:
    yield from _labelled(name, kind, words, {"": value})


def _labelled(name: str, kind: str, words: str, values: Mapping[str, float]) -> Iterator[str]:
    whole = f"tinybms_fleet_{name}"
    yield f"# HELP {whole} {words}"
    yield f"# TYPE {whole} {kind}"
    for labels, value in values.items():
        yield f"{whole}{{{labels}}} {value}" if labels else f"{whole} {value}"


async def serve(host: str, port: int, page: Callable[[], str]) -> asyncio.Server:
    """Answer `GET /metrics`; everything else is not there."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                found = head.split(b" ")[:2] == [b"GET", b"/metrics"]
                body = page().encode() if found else b"only /metrics is here\n"
                status = "200 OK" if found else "404 Not Found"
                words = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}"
                writer.write(f"{words}\r\nConnection: close\r\n\r\n".encode() + body)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port, limit=LONGEST_REQUEST)
