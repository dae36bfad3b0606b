"""What the running program costs, with another revision beside today's: processor time, wake-ups, bytes to the disk.

    python -m benchmarks.cost b5c75f4                  # the core alone at 10 polls/s and 1 poll/s
    python -m benchmarks.cost b5c75f4 --minutes 10     # longer, with what is written in a day
    python -m benchmarks.cost b5c75f4 --memory         # resident memory, without a CAN library, as with SocketCAN

Both programs run at the same time, each with a simulated TinyBMS and a CAN bus of its own, so that whatever else the
machine does hits both. Processor time is the kernel's, of all threads; what is written is what it has sent to the disk.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.parts import Row, family, print_table, program, rss_mb, simulator, written_bytes

import tinybms_bridge

START_S = 8.0
"""Until then the program is busy with its start."""

CORE: Mapping[str, Any] = {"web_server": {"enabled": False}, "advanced": {"history_enabled": False}}
SLOW: Mapping[str, Any] = {
    "tinybms": {"poll_interval_ms": 1000, "poll_interval_min_ms": 1000, "poll_interval_max_ms": 1000}
}
WORLDS: Mapping[str, Mapping[str, Any]] = {
    "core, 10 polls/s": CORE,
    "core, 1 poll/s": {**CORE, **SLOW},
    "core and services, 10 polls/s": {},
}
"""What is measured, and its configuration."""

ALONE = "--no-services"
"""The option for the core alone; what was before it had one process for everything."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since its start."""

    at_s: float
    cpu_s: float
    wakeups: int
    written_bytes: int

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """Look at a process and its children."""
        found = cls(time.perf_counter(), 0.0, 0, 0)
        for each in family(pid):
            cpu_s = time.clock_gettime((~each << 3) | 2)  # clock_getcpuclockid(3)
            found = cls(
                found.at_s,
                found.cpu_s + cpu_s,
                found.wakeups + _wakeups(each),
                found.written_bytes + written_bytes(each),
            )
        return found


def _wakeups(pid: int) -> int:
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            found += int(lines["voluntary_ctxt_switches"])
    return found


def unpack(revision: str, folder: Path) -> Path:
    """Return a folder with the packages of a revision. Raises subprocess.CalledProcessError: there is none."""
    archive = subprocess.run(["git", "archive", revision, "src"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder / "src"


@contextlib.asynccontextmanager
async def running(
    folder: Path, configuration: Mapping[str, Any], channel: int, source: Path, *, can: bool = True
) -> AsyncIterator[int]:
    """Run the program on a BMS and a bus of its own; give its process.

    ``can``: over python-can's multicast; otherwise with a SocketCAN interface that is not there, for which it waits.
    """
    config = _prepare(
        folder, {"web_server": {"port": 18_000 + channel, "listen_address": "127.0.0.1"}, **configuration}
    )
    kind, name = ("udp_multicast", f"239.74.163.{channel}") if can else ("socketcan", f"none{channel}")
    async with simulator(folder) as device:
        arguments = ("run", "--plain", "-c", str(config), "--device", device, *_alone(configuration, source))
        arguments += ("--can-interface", kind, "--can-channel", name)
        async with program(folder, *arguments, source=source) as process:
            drained = asyncio.create_task(_drain(process))
            yield process.pid
            drained.cancel()


def _alone(configuration: Mapping[str, Any], source: Path) -> tuple[str, ...]:
    known = ALONE in (source / "tinybms_bridge" / "cli" / "run.py").read_text()
    return (ALONE,) if known and "web_server" in configuration else ()


def _prepare(folder: Path, configuration: Mapping[str, Any]) -> Path:
    """Make a home for the program; return its configuration file."""
    folder.mkdir(parents=True)
    config = folder / "config.json"
    config.write_text(json.dumps(configuration))
    return config


async def _drain(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    while await process.stdout.readline():
        pass


async def measure(name: str, before: Path | None, seconds: float, folder: Path, channels: tuple[int, int]) -> list[Row]:
    """Run both programs side by side and compare what they use."""
    now = Path(tinybms_bridge.__file__).parents[1]
    sources = {"now": now} if before is None else {"before": before, "now": now}
    async with contextlib.AsyncExitStack() as stack:
        pids = {
            what: await stack.enter_async_context(running(folder / what, WORLDS[name], channel, source))
            for (what, source), channel in zip(sources.items(), channels, strict=False)
        }
        await asyncio.sleep(START_S)
        begun = {what: Usage.of(pid) for what, pid in pids.items()}
        await asyncio.sleep(seconds)
        ended = {what: Usage.of(pid) for what, pid in pids.items()}
    rows = []
    for what in pids:
        old, new = begun[what], ended[what]
        took_s = new.at_s - old.at_s
        rows += [
            (f"{name}, {what}: CPU", f"{(new.cpu_s - old.cpu_s) / took_s * 1e3:.1f} ms/s", ""),
            (f"{name}, {what}: wake-ups", f"{(new.wakeups - old.wakeups) / took_s:.0f} /s", ""),
            (
                f"{name}, {what}: written, by the day",
                f"{(new.written_bytes - old.written_bytes) / took_s * 86_400 / 1e6:.1f} MB",
                "",
            ),
        ]
    return rows


async def memory(before: Path | None, seconds: float, folder: Path) -> list[Row]:
    """Run both programs side by side, with their services, and see what they hold once they have started."""
    now = Path(tinybms_bridge.__file__).parents[1]
    sources = {"now": now} if before is None else {"before": before, "now": now}
    rows = []
    async with contextlib.AsyncExitStack() as stack:
        pids = {
            what: await stack.enter_async_context(running(folder / what, {}, channel, source, can=False))
            for channel, (what, source) in enumerate(sources.items(), 40)
        }
        await asyncio.sleep(2.0 * START_S + seconds)
        for what, pid in pids.items():
            each_mb = [rss_mb(each) for each in family(pid)]
            told = " + ".join(f"{each:.1f}" for each in each_mb)
            rows.append((f"resident memory, {what}: core, services", f"{told} = {sum(each_mb):.1f} MB", ""))
    return rows


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", help="of the program of before; today's alone without one")
    parser.add_argument("--only", action="append", choices=list(WORLDS), help="what to measure")
    parser.add_argument("--minutes", type=float, default=0.5, help="length of each")
    parser.add_argument("--memory", action="store_true", help="resident memory of core and services, and no more")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as name:
        before = unpack(arguments.revision, Path(name) / "before") if arguments.revision else None
        if arguments.memory:
            print_table(await memory(before, arguments.minutes * 60.0, Path(name) / "memory"))
            return
        rows = []
        for number, world in enumerate(arguments.only or WORLDS):
            channels = 10 + 2 * number, 11 + 2 * number
            rows += await measure(world, before, arguments.minutes * 60.0, Path(name) / str(number), channels)
    print_table(rows)


if __name__ == "__main__":
    asyncio.run(main())
