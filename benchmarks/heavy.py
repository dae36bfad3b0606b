"""What readers do to the CAN frames, with the program of an earlier revision beside today's; prints tables in Markdown.

    python -m benchmarks.heavy b5c75f4

Both programs run on a simulated TinyBMS of their own, with full history, log and event list. Each large answer is asked
for by six strangers as fast as it comes, from one program and then from the other; then a thousand followers of live
data and 200 requests a second. Takes some seven minutes on a machine that does nothing else.
"""

import argparse
import asyncio
import contextlib
import io
import json
import math
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeAlias

import can
from benchmarks.history import filled_step
from benchmarks.load import http_load
from benchmarks.parts import cpu_s, program, rss_mb, simulator
from benchmarks.web import Arrivals, following, free_port

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.core.event_store import EVENTS_FILE, EventStore
from tinybms_bridge.hal.can_loopback import LoopbackBus
from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.hal.storage import FileStorage
from tinybms_bridge.link.events import Noted
from tinybms_bridge.services.history import HistorySettings
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.steps import Row as HistoryRow
from tinybms_bridge.services.logs.rotating_file import LOG_FILE, RotatingFile
from tinybms_bridge.words import message

STRANGERS = 6
ROUTES = (
    "/api/logs?limit=1000",
    "/api/logs?limit=2000&format=json",
    "/api/history",
    "/api/history?from=-700d&points=5000&fields=voltage_v,current_a,power_w,soc_percent",
    "/api/history?from=-700d&points=20000&format=csv",
    "/api/history/days?from=-700d",
    "/api/history/fields",
    "/api/events?limit=1000",
    "/api/diagnostics",
    "/api/can/frames?limit=500",
    "/api/can/mapping",
    "/api/tinybms/registers",
    "/api/settings",
    "/api/settings/schema",
    "/api/openapi.json",
)
Seen: TypeAlias = "multiprocessing.Queue[dict[int, list[float]]]"
"""Times of arrival by id."""
CHANNELS = {"before": "239.74.163.78", "now": "239.74.163.79"}
FOLLOWERS = 1000
DAY_S = 86_400


@dataclass
class Side:
    """One of the two programs."""

    name: str
    pid: int
    port: int
    stop: Event
    """Ends the watching of the bus."""
    seen: Seen
    windows: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When what was done, in monotonic seconds."""
    answers: dict[str, str] = field(default_factory=dict)


def revision(name: str, folder: Path) -> Path:
    """Return the folder with the package of a revision. Raises CalledProcessError when there is none."""
    command = ["git", "archive", "--format=tar", name, "src"]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder / "src"


def full_state(folder: Path) -> None:
    """Fill a state directory with all that is kept by default."""
    folder.mkdir()
    settings, end_s = HistorySettings(), int(time.time()) // 900 * 900
    with contextlib.closing(Database(folder, settings)) as file:
        row = filled_step(end_s)
        for days, step_s in zip(reversed(settings.days), (900, 60, 10), strict=True):
            rows = [HistoryRow(start_s, row.step) for start_s in range(end_s - days * DAY_S, end_s, step_s)]
            for first in range(0, len(rows), 1000):
                file.write(rows[first : first + 1000])
    now = datetime.now(UTC)
    events = EventStore(FileStorage(folder / EVENTS_FILE))
    for number in range(1000):
        cause = message("cause.cell_voltage", cell=3, value=3.6 + number / 1e4, threshold=3.6)
        noted = Noted(Severity.WARNING, message("alarm.high_voltage", level="warning", cause=cause))
        events.add(noted, now - timedelta(minutes=1000 - number))
    events.save_quietly()
    text = "settings of the BMS read again: the cell of {} has changed its mind, and so has the one beside it"
    log_file = RotatingFile(folder / LOG_FILE)
    for number in range(2000):
        at = now - timedelta(minutes=2000 - number)
        log_file.emit(LogLine(at, "INFO", "tinybms_bridge.bench", text.format(number)).record())


def _watch(channel: str, stop: Event, out: Seen) -> None:
    """Note when each frame arrives; in a process of its own, so that the clients do not delay it."""
    seen: dict[int, list[float]] = defaultdict(list)
    with LoopbackBus(channel) as bus:
        while not stop.is_set():
            message: can.Message | None = bus.recv(0.5)
            if message is not None:
                seen[message.arbitration_id].append(time.monotonic())
    out.put(dict(seen))


@contextlib.asynccontextmanager
async def side(name: str, folder: Path, state: Path, source: Path | None) -> AsyncIterator[Side]:
    """Run one program and watch its frames."""
    home = folder / name
    home.mkdir()
    shutil.copytree(state, home / "state")
    port = free_port()
    context = multiprocessing.get_context("spawn")
    stop: Event = context.Event()
    out: Seen = context.Queue()
    watcher = context.Process(target=_watch, args=(CHANNELS[name], stop, out))
    async with simulator(home) as device:
        document = {
            "hardware": {"uart": {"device": device}, "can": {"interface": "udp_multicast", "channel": CHANNELS[name]}},
            "advanced": {"state_directory": str(home / "state")},
            "web_server": {
                "port": port,
                "listen_address": "127.0.0.1",
                "max_ws_clients": 1000,
                "websocket_burst_max": 20,
            },
        }
        config = home / "bench.json"
        config.write_text(json.dumps(document))
        async with program(home, "run", "--plain", "-c", str(config), source=source) as process:
            await _ready(port)
            watcher.start()
            try:
                yield Side(name, process.pid, port, stop, out)
            finally:
                stop.set()
                watcher.join(30)


async def _ready(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                await http_load(port, "/healthz", 1, 0.0)
                break
            await asyncio.sleep(0.2)
    await asyncio.sleep(3.0)  # until it has samples and has settled


@dataclass
class Answers:
    """What strangers got."""

    good: int = 0
    busy: int = 0
    body_bytes: int = 0


async def stranger(number: int, port: int, path: str, end_s: float, found: Answers) -> None:
    """Ask for one thing until it is time, over one connection from an address of its own."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.7.{number}", 0))
    while time.monotonic() < end_s:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body_bytes = await _skip_body(reader, head)
        if head.startswith(b"http/1.1 200"):
            found.good += 1
            found.body_bytes += body_bytes
        elif head.startswith(b"http/1.1 503"):
            found.busy += 1
            await asyncio.sleep(0.1)
        else:
            raise RuntimeError(head.decode())
    writer.close()


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> int:
    if b"transfer-encoding: chunked" not in head:
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        return length
    total = 0
    while (length := int(await reader.readline(), 16)) > 0:
        await reader.readexactly(length + 2)
        total += length
    await reader.readline()
    return total


async def ask(one: Side, path: str, seconds: float) -> None:
    """Let six strangers ask one program for one thing."""
    found, begun_s = Answers(), time.monotonic()
    end_s = begun_s + seconds
    await asyncio.gather(*(stranger(number + 1, one.port, path, end_s, found) for number in range(STRANGERS)))
    one.windows[path] = (begun_s, time.monotonic())
    size = found.body_bytes / max(1, found.good) / 1000
    busy = f", {found.busy} x 503" if found.busy else ""
    one.answers[path] = f"{found.good / seconds:.0f}/s of {size:.0f} kB{busy}"
    await asyncio.sleep(1.0)


@contextlib.contextmanager
def burning(count: int) -> Iterator[None]:
    """Let processes of no use take all the processor time that they get."""
    context = multiprocessing.get_context("spawn")
    stop: Event = context.Event()
    burners = [context.Process(target=_burn, args=(stop,), daemon=True) for _ in range(count)]
    for each in burners:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in burners:
            each.join(30)


def _burn(stop: Event) -> None:
    while not stop.is_set():
        for _ in range(100_000):
            pass


async def crowd(one: Side, seconds: float, burners: int) -> None:
    """A thousand followers, and 200 requests a second beside them."""
    with burning(burners):
        await _crowd(one, seconds)


async def _crowd(one: Side, seconds: float) -> None:
    async with following(one.port, FOLLOWERS, Arrivals()):
        await asyncio.sleep(3.0)  # that they came is over
        begun_s = time.monotonic()
        await http_load(one.port, "/api/status", 20, seconds, 200.0)
        one.windows["crowd"] = (begun_s, time.monotonic())
    await asyncio.sleep(2.0)


async def compressed(one: Side, seconds: float) -> list[str]:
    """Return a line each for a thousand followers without and with compressed messages."""
    lines = []
    for name, deflate in (("as it is", False), ("compressed", True)):
        arrivals, memory_mb = Arrivals(), rss_mb(one.pid)
        async with following(one.port, FOLLOWERS, arrivals, deflate=deflate) as clients:
            before_s, before_bytes = cpu_s(one.pid), sum(each.received_bytes for each in clients)
            await asyncio.sleep(seconds)
            load = (cpu_s(one.pid) - before_s) / seconds * 100
            size = (sum(each.received_bytes for each in clients) - before_bytes) / max(1, arrivals.count)
            grown_mb = rss_mb(one.pid) - memory_mb
        lines.append(f"| {name} | {size:.0f} B | {load:.1f} % | {grown_mb:+.1f} MB |")
    return lines


def gaps_s(seen: dict[int, list[float]], window: tuple[float, float]) -> list[float]:
    """Return the time from each frame to the next one of its id, of those that overlap a window."""
    return [b - a for times in seen.values() for a, b in pairwise(times) if b > window[0] and a < window[1]]


def report(sides: Sequence[Side], seen: dict[str, dict[int, list[float]]]) -> list[str]:
    """Return the tables."""
    lines = [
        f"| Six readers of | {' | '.join(f'{one.name}: worst gap | answers' for one in sides)} |",
        f"|---|{'---|---|' * len(sides)}",
    ]
    worst: dict[str, float] = defaultdict(float)
    for path in sides[0].answers:
        cells = []
        for one in sides:
            gap_s = max(gaps_s(seen[one.name], one.windows[path]), default=math.nan)
            worst[one.name] = max(worst[one.name], gap_s)
            cells.append(f"{gap_s:.3f} s | {one.answers[path]}")
        lines.append(f"| `{path}` | {' | '.join(cells)} |")
    lines.append(f"| the worst | {' | '.join(f'**{worst[one.name]:.3f} s** | ' for one in sides)} |")
    if "crowd" in sides[0].windows:
        lines += [
            "",
            "| 1000 followers and 200 requests/s: period off 1 s | 99th percentile | largest |",
            "|---|---|---|",
        ]
        for one in sides:
            begun_s, ended_s = one.windows["crowd"]
            inside = {name: [t for t in times if begun_s <= t <= ended_s] for name, times in seen[one.name].items()}
            off_ms = [abs(b - a - 1.0) * 1000 for times in inside.values() for a, b in pairwise(times)]
            lines.append(f"| {one.name} | {statistics.quantiles(off_ms, n=100)[98]:.1f} ms | {max(off_ms):.1f} ms |")
    return lines


async def measure(arguments: argparse.Namespace) -> list[str]:
    """Return the tables, measured."""
    routes = () if arguments.crowd_only else arguments.only or ROUTES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = revision(arguments.revision, folder / "revision")
        await asyncio.to_thread(full_state, folder / "full")
        async with contextlib.AsyncExitStack() as stack:
            started_s = time.monotonic()
            sides = [
                await stack.enter_async_context(side("before", folder, folder / "full", source)),
                await stack.enter_async_context(side("now", folder, folder / "full", None)),
            ]
            for path in routes:
                for one in sides:
                    await ask(one, path, arguments.seconds)
            for one in sides if arguments.crowd else ():
                await crowd(one, arguments.crowd, arguments.burners)
            packed = await compressed(sides[1], 10.0) if arguments.crowd else []
            print(f"measured for {time.monotonic() - started_s:.0f} s")
            seen = {}
            for one in sides:
                one.stop.set()
                seen[one.name] = await asyncio.to_thread(one.seen.get, True, 60)
    lines = report(sides, seen)
    if packed:
        lines += ["", "| 1000 followers, message | on the wire | load | memory |", "|---|---|---|---|", *packed]
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", help="of the program of before")
    parser.add_argument("--only", action="append", metavar="PATH", help="ask for this alone; may be repeated")
    parser.add_argument("--seconds", type=float, default=7.0, help="for each route and program")
    parser.add_argument("--crowd", type=float, default=40.0, help="seconds with a thousand followers; 0 for none")
    parser.add_argument("--burners", type=int, default=0, help="processes that burn the processor beside the crowd")
    parser.add_argument("--crowd-only", action="store_true", help="ask for no large answers")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    print("\n".join(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
