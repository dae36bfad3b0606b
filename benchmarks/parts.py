"""What the figures of the whole program share: its processes, their load and memory, and the table."""

import asyncio
import contextlib
import os
import platform
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Row", "cpu_s", "family", "print_table", "program", "rss_mb", "simulator", "written_bytes"]

Row = tuple[str, str, str]
"""What was measured, the figure, the aim."""


@contextlib.asynccontextmanager
async def program(
    folder: Path, *arguments: str, source: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``tinybms-bridge`` with arguments in a home of its own; ends it with SIGTERM and checks its exit code.

    ``source`` is a folder with another revision of the package.
    """
    path = {} if source is None else {"PYTHONPATH": str(source)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tinybms_bridge", *arguments),
        env={**os.environ, **path, "HOME": str(folder), "XDG_STATE_HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        code = await process.wait()
    if code != 0:
        raise RuntimeError(f"{arguments[0]} ended with {code}")


@contextlib.asynccontextmanager
async def simulator(folder: Path) -> AsyncIterator[str]:
    """Run ``tinybms-bridge simulate`` and give its port."""
    link = folder / "bms"
    arguments = ("simulate", "--link", str(link), "--profile", "idle", "--quiet")
    async with program(folder, *arguments) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        yield str(link)


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    children = [
        int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()
    ]
    return [pid, *(each for child in children for each in family(child))]


def written_bytes(pid: int | str = "self") -> int:
    """Return what a process has sent towards the disk, as the kernel counts it."""
    lines = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(lines["write_bytes"])


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_table(rows: Sequence[Row]) -> None:
    """Print the figures with date and machine."""
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {platform.python_implementation()} {platform.python_version()}, ", end="")
    print(f"{os.cpu_count()} cores, {platform.machine()}\n")
    for name, value, aim in rows:
        print(f"{name:52} {value:>22}   {aim}")
