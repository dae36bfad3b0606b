"""The page of the consumer: names and units by the conventions, and a server that nobody can hold up."""

import asyncio
import re

from examples.fleet.metrics import DELAY_BOUNDS_S, Statistics, serve


def filled() -> Statistics:
    """Return statistics with something of everything."""
    statistics = Statistics(received=10, duplicates=2, messages=7, samples=140, replicas=3)
    statistics.dropped["not_json", "mill"] = 1
    statistics.last_seen_s = {"mill": 1234.5, "hill": 0.0}
    for delay_s in (0.1, 0.6, 0.6, 9999.0, -1.0):
        statistics.delayed(delay_s)
    return statistics


def test_every_value_has_its_words_and_kind() -> None:
    """Counters end in _total; a histogram counts up to all."""
    page = filled().page()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    samples = re.findall(r"^(tinybms_fleet_\w+?)(?:_bucket|_sum|_count)?(?:\{[^}]*\})? \S+$", page, re.MULTILINE)

    assert page.endswith("\n")
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        name for name in kinds if name.endswith("_total")
    }
    assert set(samples) == set(kinds)
    assert re.findall(r"^# HELP (\S+) \S", page, re.MULTILINE) == list(kinds)
    assert 'tinybms_fleet_dropped_total{reason="not_json",site="mill"} 1' in page
    assert 'tinybms_fleet_site_last_seen_seconds{site="hill"} 0.0' in page


def test_delays_are_counted_up_to_each_bound() -> None:
    """A clock that is ahead counts as none; what is longer than any bound is in the last."""
    page = filled().page()
    counts = [int(count) for count in re.findall(r"delay_seconds_bucket\{le=\"[^\"]+\"\} (\d+)", page)]

    assert len(counts) == len(DELAY_BOUNDS_S) + 1
    assert counts == sorted(counts)
    assert counts[0] == 2
    assert counts[DELAY_BOUNDS_S.index(0.75)] == 4
    assert counts[-1] == 5


def test_replicas_are_left_out_while_no_node_tells() -> None:
    """Nothing known is no zero, which would be an alarm."""
    assert "stream_replicas" not in Statistics().page()
    assert "stream_replicas 3" in filled().page()


def test_the_line_of_the_log_has_the_counters() -> None:
    """What somebody looks for in the journal."""
    assert filled().line().startswith("10 received, 7 written with 140 samples, 2 duplicates, 1 dropped")


async def exchange(port: int, request: bytes) -> bytes:
    """Return what is answered to some bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    if not request.endswith(b"\n"):
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_page_is_served_and_nothing_else() -> None:
    """Bytes that are no request end their own connection only."""
    server = await serve("127.0.0.1", 0, lambda: "a 1\n")
    port = server.sockets[0].getsockname()[1]
    try:
        good = await exchange(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        other = await exchange(port, b"GET / HTTP/1.1\r\n\r\n")
        garbage = await exchange(port, b"\x16\x03\x01")
        again = await exchange(port, b"GET /metrics HTTP/1.0\r\n\r\n")
    finally:
        server.close()
        await server.wait_closed()

    assert good.startswith(b"HTTP/1.1 200 OK\r\n")
    assert good.endswith(b"\r\n\r\na 1\n")
    assert other.startswith(b"HTTP/1.1 404 ")
    assert garbage == b""
    assert again == good
