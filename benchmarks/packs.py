"""What the lines to many packs cost, 1, 4 and 16 of them polled ten times a second by one process.

    python -m benchmarks.packs                   # today's code
    python -m benchmarks.packs 794789b           # beside that of a revision
    python -m benchmarks.packs --gone            # while every adapter is gone, as after a reset of their hub

The BMS are in a process of their own (``benchmarks.lines``). What counts is the processor time of the side that asks:
client, poller and the reading of events, on the event loop of the core, without any decision. Both revisions take
turns, so that whatever else the machine does hits both.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PACKS = (1, 4, 16)
COLUMNS = (
    *("Packs", "Code", "CPU", "Replies/s", "CPU of one", "Turns; sleeps for one", "Latency"),
    *("Memory; by share", "Errors"),
)
ROUNDS = 3
MEASURED_S = 8.0
START_APART_S = 0.00625
"""Adapters never come at one moment."""
SETTLED_S = 3.0
"""Identity, settings, events and statistics are read meanwhile."""


class CountedSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Counts the turns of the event loop."""

    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See ``BaseSelector.select``."""
        self.turns += 1
        return super().select(timeout)


async def side(folder: Path, packs: int, seconds: float, selector: CountedSelector) -> dict[str, float]:
    """Poll the lines in a folder, and return what that takes; runs with the package of either revision."""
    from tinybms_bridge.battery.snapshot import Snapshot
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.hal.interpreter import keep_what_is_loaded
    from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
    from tinybms_bridge.tinybms.client import TinyBmsClient
    from tinybms_bridge.tinybms.device_log import DeviceLog
    from tinybms_bridge.tinybms.poller import Poller, PollSettings

    clock = SystemClock()
    pollers = []

    def start(index: int) -> None:
        async def open_port(on_data: OnData, on_lost: OnLost) -> SerialPort:
            return await open_serial(str(folder / f"bms-{index}"), 115200, on_data, on_lost)

        client = TinyBmsClient(open_port, clock)
        log = DeviceLog(client, clock, on_events=lambda _events: None)

        def take(snapshot: Snapshot) -> None:
            if poller.identity is not None:
                log.identify(poller.identity)
            log.observe(snapshot)

        poller = Poller(client, clock, PollSettings(), on_snapshot=take, on_link=lambda _state: None)
        poller.slow.add("events", log.read_events, interval_s=60.0)
        poller.slow.add("newest events", log.read_newest, interval_s=3.0, retry_s=1.0)
        poller.slow.add("statistics", log.read_statistics, interval_s=60.0)
        pollers.append((poller, client, asyncio.create_task(poller.run())))

    for index in range(packs):
        start(index)
        await asyncio.sleep(START_APART_S)
    with contextlib.suppress(ImportError):  # before the packs had moments, each kept that of its start
        from tinybms_bridge.tinybms.pace import Pace, phase_of

        for index, (poller, _, _) in enumerate(pollers):
            poller.pace = Pace(phase=phase_of(index, packs))
    await asyncio.sleep(SETTLED_S)
    keep_what_is_loaded()
    before = usage(selector)
    replies = sum(client.statistics.success for _, client, _ in pollers)
    await asyncio.sleep(seconds)
    used = {name: value - before[name] for name, value in usage(selector).items()}
    replies = sum(client.statistics.success for _, client, _ in pollers) - replies
    errors = sum(client.statistics.errors + client.statistics.retries for _, client, _ in pollers)
    latency_ms = [client.statistics.latency.average_ms for _, client, _ in pollers if client.statistics.success]
    memory = memory_mb()
    for _, _, task in pollers:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return {
        "cpu_percent": used["cpu_s"] / used["s"] * 100.0,
        "replies_s": replies / used["s"],
        "turns_s": used["turns"] / used["s"],
        "sleeps_s": used["sleeps"] / used["s"],
        "errors": errors,
        "latency_ms": statistics.fmean(latency_ms) if latency_ms else 0.0,
        **memory,
    }


def usage(selector: CountedSelector) -> dict[str, float]:
    """Return what this process has used so far."""
    sleeps = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    return {"s": time.monotonic(), "cpu_s": time.process_time(), "turns": selector.turns, "sleeps": sleeps}


def memory_mb() -> dict[str, float]:
    """Return the memory of this process: resident, and with shared pages by their share."""
    found = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            found[f"{name.lower()}_mb"] = int(rest.split()[0]) / 1024
    return found


@contextlib.contextmanager
def lines(folder: Path, packs: int) -> Iterator["subprocess.Popen[str]"]:
    """Run the BMS; what is written to the process makes them vanish and come back."""
    command = [sys.executable, "-m", "benchmarks.lines", str(folder), str(packs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.stdin.close()


def measured(folder: Path, packs: int, source: Path | None, seconds: float = MEASURED_S) -> dict[str, float]:
    """Return what one side takes, in a process of its own."""
    environment = {**os.environ} if source is None else {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-m", "benchmarks.packs", "--side", str(folder), str(packs), str(seconds)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(told)
    return found


def compared(packs: int, sources: dict[str, Path | None], rounds: int) -> dict[str, dict[str, float]]:
    """Let the revisions take turns; return the median of each figure."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sources}
    with tempfile.TemporaryDirectory() as name, lines(Path(name), packs):
        for _ in range(rounds):
            for what, source in sources.items():
                found[what].append(measured(Path(name), packs, source))
    return {
        what: {key: statistics.median(each[key] for each in all_of) for key in all_of[0]}
        for what, all_of in found.items()
    }


def told(packs: int, what: str, used: dict[str, float]) -> str:
    """Return one row of the table."""
    replies_s = used["replies_s"]
    each = "–" if not replies_s else f"{used['cpu_percent'] * 1e4 / replies_s:.0f} µs"
    turns, sleeps = (f"{used[key] / replies_s:.2f}" if replies_s else "–" for key in ("turns_s", "sleeps_s"))
    cells: Sequence[Any] = (
        packs,
        what,
        f"{used['cpu_percent']:.1f} %",
        f"{replies_s:.1f}",
        each,
        f"{turns}; {sleeps}",
        f"{used['latency_ms']:.1f} ms",
        f"{used['rss_mb']:.1f}; {used['pss_mb']:.1f} MB",
        f"{used['errors']:.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", help="whose code takes turns with today's")
    parser.add_argument("--packs", type=int, action="append", help="how many, instead of 1, 4 and 16")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        folder, packs, seconds = arguments.side
        selector = CountedSelector()
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            print(json.dumps(runner.run(side(Path(folder), int(packs), float(seconds), selector))))
        return
    from benchmarks.cost import unpack

    with tempfile.TemporaryDirectory() as name:
        sources: dict[str, Path | None] = {}
        if arguments.revision:
            sources[arguments.revision] = unpack(arguments.revision, Path(name))
        sources["now"] = None
        print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
        for packs in arguments.packs or PACKS:
            for what, used in compared(packs, sources, arguments.rounds).items():
                print(told(packs, what, used), flush=True)


if __name__ == "__main__":
    main()
