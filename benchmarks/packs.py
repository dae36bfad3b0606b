"""What the lines to many packs cost, 1, 4 and 16 of them polled ten times a second by one process.

    python -m benchmarks.packs                   # today's code
    python -m benchmarks.packs 794789b           # beside that of a revision

The BMS are in a process of their own (``benchmarks.lines``). What counts is the processor time of the side that asks:
client, poller and the reading of events, on the event loop of the core. Then each reply of sixteen packs is decided
from as if its pack were the only one, which is more than a battery of them needs; and all adapters are gone for a
while, as when their hub resets. Both revisions take turns, so that whatever else the machine does hits both. At last
the core of today is run as a program, with sixteen packs as one battery and frames on a CAN bus of its own.
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
from itertools import pairwise
from pathlib import Path
from typing import Any

PACKS = (1, 4, 16)
POLLING = (
    *("Packs", "Code", "CPU", "Replies/s", "CPU of one", "Turns; sleeps for one", "Latency"),
    *("Memory; by share", "Errors"),
)
OUTAGE = (
    *("Packs", "Code", "All gone: CPU", "Turns/s", "Openings/s; most in 50 ms"),
    *("All back: CPU", "All answer after", "Openings/s; most in 50 ms"),
)
CORE = (
    *("Packs", "Core alone: CPU", "Resident; by share", "Wake-ups/s", "Requests/s"),
    *("Frames 0x351: period off 1 s, 99th; most", "All gone: CPU"),
)
ROUNDS = 3
MEASURED_S = 8.0
CORE_S = 60.0
CHANNEL = "239.74.163.90"
START_APART_S = 0.00625
"""Adapters never come at one moment."""
SETTLED_S = 3.0
"""Identity, settings, events and statistics are read meanwhile."""


class CountedSelector(selectors.DefaultSelector):
    """Counts the turns of the event loop."""

    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See ``BaseSelector.select``."""
        self.turns += 1
        return super().select(timeout)


class Side:
    """The side that asks, of one revision: a client and a poller for each line in a folder.

    Args:
        folder: Where the lines are.
        packs: How many there are.
        deciding: Whether limits and alarms are decided from each snapshot, for each pack by itself.

    """

    def __init__(self, folder: Path, packs: int, *, deciding: bool = False) -> None:
        from tinybms_bridge.hal.clock import SystemClock

        self._clock = SystemClock()
        self._folder = folder
        self._deciding = deciding
        self.packs = packs
        self.opened_s: list[float] = []
        """When a port was opened, or tried to be."""
        self.pollers: list[Any] = []
        self.clients: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to poll all of them, and wait until that is nothing new any more."""
        from tinybms_bridge.hal.interpreter import keep_what_is_loaded

        for index in range(self.packs):
            self._start(index)
            await asyncio.sleep(START_APART_S)
        with contextlib.suppress(ImportError):  # before the packs had moments, each kept that of its start
            from tinybms_bridge.tinybms.pace import pace_of

            for index, poller in enumerate(self.pollers):
                poller.pace = pace_of(index, self.packs)
        await asyncio.sleep(SETTLED_S)
        keep_what_is_loaded()

    def _start(self, index: int) -> None:
        from tinybms_bridge.battery.snapshot import Snapshot
        from tinybms_bridge.core.battery import Battery, BatterySettings
        from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
        from tinybms_bridge.link.bus import Bus
        from tinybms_bridge.tinybms.client import TinyBmsClient
        from tinybms_bridge.tinybms.device_log import DeviceLog
        from tinybms_bridge.tinybms.poller import Poller, PollSettings

        async def open_port(on_data: OnData, on_lost: OnLost) -> SerialPort:
            self.opened_s.append(time.monotonic())
            return await open_serial(str(self._folder / f"bms-{index}"), 115200, on_data, on_lost)

        client = TinyBmsClient(open_port, self._clock)
        log = DeviceLog(client, self._clock, on_events=lambda _events: None)
        battery = Battery(Bus(self._clock.monotonic, self._clock.wall), BatterySettings())

        def take(snapshot: Snapshot) -> None:
            if poller.identity is not None:
                log.identify(poller.identity)
            snapshot = log.observe(snapshot)
            if self._deciding:
                battery.accept(snapshot, self._clock.monotonic())
                battery.state()

        poller = Poller(client, self._clock, PollSettings(), on_snapshot=take, on_link=lambda _state: None)
        poller.slow.add("events", log.read_events, interval_s=60.0)
        poller.slow.add("newest events", log.read_newest, interval_s=3.0, retry_s=1.0)
        poller.slow.add("statistics", log.read_statistics, interval_s=60.0)
        self.pollers.append(poller)
        self.clients.append(client)
        self._tasks.append(asyncio.create_task(poller.run()))

    @property
    def replies(self) -> int:
        """Replies so far."""
        return sum(client.statistics.success for client in self.clients)

    async def end(self) -> None:
        """Close all ports."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def polling(side: Side, seconds: float, selector: CountedSelector) -> dict[str, float]:
    """Return what it takes to poll."""
    await side.start()
    before, replies = usage(selector), side.replies
    await asyncio.sleep(seconds)
    used = {name: value - before[name] for name, value in usage(selector).items()}
    counted = [client.statistics for client in side.clients]
    found = {
        "cpu_percent": used["cpu_s"] / used["s"] * 100.0,
        "replies_s": (side.replies - replies) / used["s"],
        "turns_s": used["turns"] / used["s"],
        "sleeps_s": used["sleeps"] / used["s"],
        "errors": sum(each.errors + each.retries for each in counted),
        "latency_ms": statistics.fmean(each.latency.average_ms for each in counted),
        **memory_mb(),
    }
    await side.end()
    return found


async def outage(side: Side, seconds: float, selector: CountedSelector) -> dict[str, float]:
    """Return what it takes while every adapter is gone for a time, and when they are back.

    Whoever started this process has the lines vanish and come back when it is told so.
    """
    await side.start()
    found: dict[str, float] = {}
    for name in ("gone", "back"):
        await asyncio.to_thread(told_so, name)
        before, side.opened_s = usage(selector), []
        ended_s = before["s"] + seconds
        while time.monotonic() < ended_s:
            await asyncio.sleep(0.05)
            if name == "back" and "answering_s" not in found and all(poller.link.up for poller in side.pollers):
                found["answering_s"] = time.monotonic() - before["s"]
        used = {name: value - before[name] for name, value in usage(selector).items()}
        found[f"{name}_cpu_percent"] = used["cpu_s"] / used["s"] * 100.0
        found[f"{name}_turns_s"] = used["turns"] / used["s"]
        found[f"{name}_opened_s"] = len(side.opened_s) / used["s"]
        found[f"{name}_at_once"] = at_once(side.opened_s)
    await side.end()
    return found


def told_so(name: str) -> None:
    """Tell who started this process, and wait until that is done."""
    print(name, flush=True)
    sys.stdin.readline()


def at_once(times_s: Sequence[float]) -> float:
    """Return the most of them within 50 ms."""
    return max((sum(begun_s <= each < begun_s + 0.05 for each in times_s) for begun_s in times_s), default=0)


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


def measured(
    what: str, folder: Path, packs: int, source: Path | None, hub: "subprocess.Popen[str]", seconds: float = MEASURED_S
) -> dict[str, float]:
    """Return what one side takes, in a process of its own; ``hub`` has the lines."""
    environment = {**os.environ} if source is None else {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-m", "benchmarks.packs", "--side", what, str(folder), str(packs), str(seconds)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                found: dict[str, float] = json.loads(line)
                return found
            tell(hub, "reset")
            process.stdin.write("\n")
            process.stdin.flush()
    raise RuntimeError(f"{what} ended with {process.returncode}")


def tell(hub: "subprocess.Popen[str]", command: str) -> None:
    """Give the process of the lines a command."""
    assert hub.stdin is not None
    hub.stdin.write(f"{command}\n")
    hub.stdin.flush()


def counted(hub: "subprocess.Popen[str]") -> int:
    """Return how many requests the lines have had."""
    assert hub.stdout is not None
    tell(hub, "count")
    return int(hub.stdout.readline())


def compared(what: str, packs: int, sources: dict[str, Path | None], rounds: int) -> dict[str, dict[str, float]]:
    """Let the revisions take turns; return the median of each figure."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sources}
    with tempfile.TemporaryDirectory() as name, lines(Path(name), packs) as hub:
        for _ in range(rounds):
            for code, source in sources.items():
                found[code].append(measured(what, Path(name), packs, source, hub))
    return {
        code: {key: statistics.median(each[key] for each in all_of) for key in all_of[0]}
        for code, all_of in found.items()
    }


async def core(packs: int, seconds: float = CORE_S) -> Sequence[Any]:
    """Run the program without services on so many packs; return what it takes and how its frames come."""
    from benchmarks.cost import START_S, Usage
    from benchmarks.parts import program, rss_mb
    from benchmarks.services import pss_mb

    from tinybms_bridge.hal.can import CanFrame, CanSettings, open_can

    seen_s: list[float] = []

    def on_frame(frame: CanFrame) -> None:
        if frame.arbitration_id == 0x351:
            seen_s.append(time.monotonic())

    with tempfile.TemporaryDirectory() as name, lines(Path(name), packs) as hub:
        folder = Path(name)
        devices = {f"p{index}": {"uart": {"device": str(folder / f"bms-{index}")}} for index in range(packs)}
        hardware: dict[str, Any] = {"can": {"interface": "udp_multicast", "channel": CHANNEL}}
        config = {"hardware": hardware, "web_server": {"enabled": False}, "advanced": {"history_enabled": False}}
        if packs > 1:
            config["packs"] = devices
        else:
            hardware |= devices["p0"]
        (folder / "config.json").write_text(json.dumps(config))
        port = await open_can(CanSettings("udp_multicast", CHANNEL))
        port.subscribe(on_frame)
        async with program(folder, "run", "--plain", "--no-services", "-c", str(folder / "config.json")) as process:
            assert process.stdout is not None
            drained = asyncio.create_task(process.stdout.read())
            await asyncio.sleep(START_S)
            before, requests = Usage.of(process.pid), counted(hub)
            seen_s.clear()
            await asyncio.sleep(seconds)
            after, requests = Usage.of(process.pid), counted(hub) - requests
            off_ms = sorted(abs(later_s - sooner_s - 1.0) * 1e3 for sooner_s, later_s in pairwise(seen_s))
            tell(hub, "reset")
            gone = Usage.of(process.pid)
            await asyncio.sleep(MEASURED_S)
            still_gone = Usage.of(process.pid)
            resident_mb, shared_mb = rss_mb(process.pid), pss_mb(process.pid)
            drained.cancel()
        await port.close()
    took_s = after.at_s - before.at_s
    return (
        packs,
        f"{(after.cpu_s - before.cpu_s) / took_s * 100.0:.1f} %",
        f"{resident_mb:.1f}; {shared_mb:.1f} MB",
        f"{(after.wakeups - before.wakeups) / took_s:.0f}",
        f"{requests / took_s:.1f}",
        f"{off_ms[len(off_ms) * 99 // 100]:.1f}; {off_ms[-1]:.1f} ms" if off_ms else "none",
        f"{(still_gone.cpu_s - gone.cpu_s) / (still_gone.at_s - gone.at_s) * 100.0:.1f} %",
    )


def polling_row(packs: int, code: str, used: dict[str, float]) -> Sequence[Any]:
    """Return one row of the table."""
    replies_s = used["replies_s"]
    return (
        packs,
        code,
        f"{used['cpu_percent']:.1f} %",
        f"{replies_s:.1f}",
        f"{used['cpu_percent'] * 1e4 / replies_s:.0f} µs",
        f"{used['turns_s'] / replies_s:.2f}; {used['sleeps_s'] / replies_s:.2f}",
        f"{used['latency_ms']:.1f} ms",
        f"{used['rss_mb']:.1f}; {used['pss_mb']:.1f} MB",
        f"{used['errors']:.0f}",
    )


def outage_row(packs: int, code: str, used: dict[str, float]) -> Sequence[Any]:
    """Return one row of the table."""
    return (
        packs,
        code,
        f"{used['gone_cpu_percent']:.1f} %",
        f"{used['gone_turns_s']:.0f}",
        f"{used['gone_opened_s']:.1f}; {used['gone_at_once']:.0f}",
        f"{used['back_cpu_percent']:.1f} %",
        f"{used['answering_s']:.1f} s",
        f"{used['back_opened_s']:.1f}; {used['back_at_once']:.0f}",
    )


def table(columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    """Print a table in Markdown."""
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", help="whose code takes turns with today's")
    parser.add_argument("--packs", type=int, action="append", help="how many, instead of 1, 4 and 16")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        what, folder, packs, seconds = arguments.side
        selector = CountedSelector()
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            side = Side(Path(folder), int(packs), deciding=what == "deciding")
            measure = outage if what == "outage" else polling
            print(json.dumps(runner.run(measure(side, float(seconds), selector))))
        return
    from benchmarks.cost import unpack

    with tempfile.TemporaryDirectory() as name:
        sources: dict[str, Path | None] = {}
        if arguments.revision:
            sources[arguments.revision] = unpack(arguments.revision, Path(name))
        sources["now"] = None
        for what, columns, row, numbers in (
            ("polling", POLLING, polling_row, arguments.packs or PACKS),
            ("deciding", POLLING, polling_row, arguments.packs or PACKS[-1:]),
            ("outage", OUTAGE, outage_row, arguments.packs or PACKS[-1:]),
        ):
            print(f"\n{what}")
            table(
                columns,
                (
                    row(packs, code, used)
                    for packs in numbers
                    for code, used in compared(what, packs, sources, arguments.rounds).items()
                ),
            )
    print("\nthe core as a program")
    table(CORE, (asyncio.run(core(packs)) for packs in arguments.packs or PACKS))


if __name__ == "__main__":
    main()
