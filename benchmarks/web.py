"""Figures of the web server: the whole program on a simulated TinyBMS, its clients in this process; prints a table."""

import asyncio
import contextlib
import json
import multiprocessing
import resource
import socket
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import can
from benchmarks.load import LiveClient, http_load, live_clients, stuck_client
from benchmarks.parts import Row, cpu_s, print_table, program, rss_mb, simulator

from tinybms_bridge.hal.can_loopback import LoopbackBus

_CHANNEL = "239.74.163.77"
_RUN_S = 15.0
_BURST_S = 60.0


@dataclass(slots=True)
class Arrivals:
    """Live messages as they arrive, by the moment that they tell of."""

    at_s: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Times of arrival by ``uptime_ms`` of the message."""
    sample_age_ms: dict[int, int] = field(default_factory=dict)

    def take(self, text: bytes, now_s: float) -> None:
        """Note one message."""
        uptime_ms = int(text.partition(b'"uptime_ms":')[2].split(b",", 1)[0])
        self.at_s[uptime_ms].append(now_s)
        if uptime_ms not in self.sample_age_ms:
            self.sample_age_ms[uptime_ms] = json.loads(text)["age_ms"]

    @property
    def count(self) -> int:
        """Return how many messages there were."""
        return sum(map(len, self.at_s.values()))

    def lags_ms(self) -> list[float]:
        """Return for each message the time from its making to its arrival, less that of the fastest of all."""
        started_s = min(min(times) - uptime_ms / 1000 for uptime_ms, times in self.at_s.items())
        return [(t - started_s) * 1000 - uptime_ms for uptime_ms, times in self.at_s.items() for t in times]

    def sample_to_client_ms(self) -> list[float]:
        """Return for each message how old its sample was when it arrived."""
        started_s = min(min(times) - uptime_ms / 1000 for uptime_ms, times in self.at_s.items())
        return [
            self.sample_age_ms[uptime_ms] + (t - started_s) * 1000 - uptime_ms
            for uptime_ms, times in self.at_s.items()
            for t in times
        ]


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def bridge(device: str, folder: Path) -> AsyncIterator[tuple[int, int]]:
    """Run the bridge with room for a thousand followers; gives pid and web port."""
    port = free_port()
    document = {
        "hardware": {"uart": {"device": device}, "can": {"interface": "udp_multicast", "channel": _CHANNEL}},
        "web_server": {
            "port": port,
            "listen_address": "127.0.0.1",
            "max_ws_clients": 1000,
            "websocket_burst_max": 20,
            "websocket_min_interval_ms": 100,
        },
    }
    config = folder / "bench.json"
    config.write_text(json.dumps(document))
    async with program(folder, "run", "--plain", "-c", str(config)) as process:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    await http_load(port, "/healthz", 1, 0.0)
                    break
                await asyncio.sleep(0.2)
        await asyncio.sleep(3.0)  # until it has samples and has settled
        yield process.pid, port


async def requests(pid: int, port: int) -> list[Row]:
    """``GET /api/status`` as fast as it goes."""
    await http_load(port, "/api/status", 8, 2.0)
    before_s = cpu_s(pid)
    load = await http_load(port, "/api/status", 8, 10.0)
    per_request_us = (cpu_s(pid) - before_s) / len(load.took_ms) * 1e6
    assert not load.not_200, f"{load.not_200} answers were not 200"
    return [
        ("GET /api/status, 8 connections", f"{len(load.took_ms) / 10.0:.0f} requests/s", ">= 1000 requests/s"),
        ("  median / 99th percentile", f"{statistics.median(load.took_ms):.1f} / {_p99(load.took_ms):.1f} ms", ""),
        ("  CPU of one request, with the socket", f"{per_request_us:.0f} us", ""),
    ]


@contextlib.asynccontextmanager
async def following(
    port: int, count: int, arrivals: Arrivals, commands: str = "", *, deflate: bool = False
) -> AsyncIterator[list[LiveClient]]:
    """Have so many clients follow; all must still be there at the end."""
    clients = await live_clients(port, count, arrivals.take, commands, deflate=deflate)
    try:
        await asyncio.sleep(2.0)
        for noted in (arrivals.at_s, arrivals.sample_age_ms):
            noted.clear()
        yield clients
        assert not any(client.lost for client in clients), "a client was thrown out"
    finally:
        for client in clients:
            client.transport.abort()
        await asyncio.sleep(1.0)


async def live(pid: int, port: int) -> list[Row]:
    """4, 100 and 1000 followers at one message a second."""
    before_s, memory_mb = cpu_s(pid), rss_mb(pid)
    await asyncio.sleep(_RUN_S)
    idle_s = cpu_s(pid) - before_s
    rows: list[Row] = []
    for count in (4, 100, 1000):
        arrivals = Arrivals()
        async with following(port, count, arrivals):
            before_s = cpu_s(pid)
            await asyncio.sleep(_RUN_S)
            used_s = cpu_s(pid) - before_s
            lags_ms, grown_mb = arrivals.lags_ms(), rss_mb(pid) - memory_mb
        rows += [
            (f"WebSocket, {count} clients: received", f"{arrivals.count / _RUN_S / count:.2f} /s each", "1 /s each"),
            ("  load", f"{used_s / _RUN_S * 100:.1f} % of a core", f"{idle_s / _RUN_S * 100:.1f} % without clients"),
            ("  CPU of one message", f"{(used_s - idle_s) / arrivals.count * 1e6:.0f} us", ""),
            ("  lag, median / 99th", f"{statistics.median(lags_ms):.1f} / {_p99(lags_ms):.1f} ms", ""),
            ("  memory", f"{grown_mb:+.1f} MB", f"on {memory_mb:.1f} MB"),
        ]
    return rows


async def stuck(port: int) -> list[Row]:
    """100 followers, one of them never reads: what the others notice."""
    rows: list[Row] = []
    for name, blockers in (("none", 0), ("one", 1)):
        sockets = [stuck_client(port) for _ in range(blockers)]
        arrivals = Arrivals()
        async with following(port, 99, arrivals):
            await asyncio.sleep(_RUN_S)
            lags_ms = arrivals.lags_ms()
        for connection in sockets:
            connection.close()
        received = f"{arrivals.count / _RUN_S / 99:.2f} /s, lag p99 {_p99(lags_ms):.1f} ms"
        rows.append((f"99 clients with {name} that never reads", received, ""))
    return rows


def _watch_can(seconds: float, out: "multiprocessing.Queue[dict[int, list[float]]]") -> None:
    """Note when each frame id arrives; in a process of its own, so that the clients do not delay it."""
    seen: dict[int, list[float]] = defaultdict(list)
    end_s = time.monotonic() + seconds
    with LoopbackBus(_CHANNEL) as bus:
        while (left_s := end_s - time.monotonic()) > 0:
            message: can.Message | None = bus.recv(left_s)
            if message is not None:
                seen[message.arbitration_id].append(time.monotonic())
    out.put(dict(seen))


@contextlib.contextmanager
def watching_can(seconds: float) -> Iterator["multiprocessing.Queue[dict[int, list[float]]]"]:
    """Watch the CAN bus in another process."""
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[dict[int, list[float]]] = context.Queue()
    process = context.Process(target=_watch_can, args=(seconds, out))
    process.start()
    try:
        yield out
    finally:
        process.join(seconds + 10)


async def burst_jitter(port: int) -> list[Row]:
    """How far the period of each frame is from one second, idle and under load."""
    rows: list[Row] = []
    for name, count, per_s in (("no client", 0, 0.0), ("1000 clients and 200 requests/s", 1000, 200.0)):
        arrivals = Arrivals()
        async with following(port, count, arrivals):
            with watching_can(_BURST_S) as out:
                if per_s:
                    await http_load(port, "/api/status", 20, _BURST_S, per_s)
                seen = await asyncio.to_thread(out.get, True, _BURST_S + 20)
        off_ms = [abs(b - a - 1.0) * 1000 for times in seen.values() for a, b in pairwise(times)]
        figure = f"{_p99(off_ms):.1f} ms (largest {max(off_ms):.1f})"
        rows.append((f"CAN period, {name}: p99 off 1 s", figure, "<= 20 ms"))
    return rows


async def sample_to_client(port: int) -> list[Row]:
    """From the last byte of a reply of the BMS to a follower at ten messages a second."""
    arrivals = Arrivals()
    async with following(port, 1, arrivals, '{"interval_ms": 100}'):
        await asyncio.sleep(_RUN_S)
        took_ms = arrivals.sample_to_client_ms()
    figure = f"{statistics.median(took_ms):.0f} / {_p99(took_ms):.0f} ms"
    return [("UART to WebSocket at 10 Hz, median / 99th", figure, "a poll every 100 ms")]


async def main() -> None:
    """Measure and print."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with simulator(folder) as device, bridge(device, folder) as (pid, port):
            rows = await requests(pid, port)
            rows += await live(pid, port)
            rows += await stuck(port)
            rows += await sample_to_client(port)
            rows += await burst_jitter(port)
    print_table(rows)


if __name__ == "__main__":
    asyncio.run(main())
