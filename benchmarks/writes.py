"""What the running program writes: by process and by file, as the kernel charges it and as it reaches a device.

    python -m benchmarks.writes b5c75f4 --minutes 30       # with another revision beside today's
    python -m benchmarks.writes --folder /mnt/own --own    # alone on a device on which nothing else writes

``write_bytes`` of /proc/PID/io counts 4 KB each time that a process makes a clean page dirty. Where the file system has
no journal that includes its own tables; where it has one, a thread of the kernel writes them, and the journal, and no
process is charged. So ``--own`` counts the sectors that the device of the folder got. A file system in a file does:

    truncate -s 512M card.img && mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 card.img
    mount -o loop card.img /mnt/own
"""

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cost import WORLDS, running, unpack
from benchmarks.parts import Row, family, print_table, written_bytes

import tinybms_bridge

START_S = 60.0
"""Until then the program is busy with its start: tables are made, events of it are saved."""
LOOK_S = 0.1
QUIET_S = 0.5
"""What is written within this time of something else belongs to it."""
DAY_S = 86_400.0
SECTOR_BYTES = 512


@dataclass
class Written:
    """What a program has written since the first look, looked at again and again."""

    pid: int
    folder: Path
    """Its state directory."""
    by_process: Counter[str] = field(default_factory=Counter)
    by_file: Counter[str] = field(default_factory=Counter)
    saves: Counter[str] = field(default_factory=Counter)
    _known: dict[int, int] = field(default_factory=dict)
    _files: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    _burst: set[str] = field(default_factory=set)
    _burst_bytes: int = 0
    _quiet_since_s: float = 0.0

    def begin(self) -> None:
        """Take what is there as it is."""
        self._known = {pid: written_bytes(pid) for pid in family(self.pid)}
        self._files = dict(_files(self.folder))

    def look(self) -> None:
        """Take what has been written since the last look."""
        files, now_s, moved = dict(_files(self.folder)), time.monotonic(), 0
        changed = {name for name in files.keys() | self._files.keys() if files.get(name) != self._files.get(name)}
        for pid in family(self.pid):
            total = written_bytes(pid)
            moved += total - self._known.get(pid, 0)
            self.by_process[_name(pid)] += total - self._known.get(pid, 0)
            self._known[pid] = total
        self._files = files
        if moved or changed:
            self._burst |= {name.removesuffix(".bak").removesuffix("-wal") for name in changed}
            self._burst_bytes += moved
            self._quiet_since_s = now_s
        elif now_s - self._quiet_since_s > QUIET_S:
            self.end()

    def end(self) -> None:
        """Give what was written at one time to the files that changed then."""
        if self._burst or self._burst_bytes:
            what = " + ".join(sorted(self._burst)) or "nothing in the state directory"
            self.by_file[what] += self._burst_bytes
            self.saves[what] += 1
        self._burst, self._burst_bytes = set(), 0


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if not entry.name.startswith("."):
                    yield entry.name, (status.st_ino, status.st_mtime_ns, status.st_size)


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return "services" if b"run-services" in words else "core"


def device_bytes(folder: Path) -> int:
    """Return what the device of a folder was given to write, after everything that waits has been given to it."""
    os.sync()
    number = folder.stat().st_dev
    fields = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat").read_text().split()
    return int(fields[6]) * SECTOR_BYTES


async def measure(folder: Path, before: Path | None, seconds: float, *, own: bool) -> list[Row]:
    """Run the programs side by side and compare what they write."""
    now = Path(tinybms_bridge.__file__).parents[1]
    sources = {"now": now} if before is None else {"before": before, "now": now}
    async with contextlib.AsyncExitStack() as stack:
        found = {}
        for channel, (what, source) in enumerate(sources.items(), 70):
            home = folder / what
            world = WORLDS["core and services, 10 polls/s"]
            pid = await stack.enter_async_context(running(home, world, channel, source))
            found[what] = Written(pid, home / ".local/state/tinybms-bridge")
        await asyncio.sleep(START_S)
        for each in found.values():
            each.begin()
        begun_s, on_device = time.monotonic(), device_bytes(folder) if own else 0
        while time.monotonic() - begun_s < seconds:
            await asyncio.sleep(LOOK_S)
            for each in found.values():
                each.look()
        a_day = DAY_S / (time.monotonic() - begun_s) / 1e6
        rows = [("reached the device", f"{(device_bytes(folder) - on_device) * a_day:.1f} MB", "")] if own else []
        for each in found.values():
            each.end()
    for what, each in found.items():
        rows.append((f"{what}: written by the day", f"{each.by_process.total() * a_day:.1f} MB", "40; 30 MB"))
        rows += [(f"{what}: … {name}", f"{count * a_day:.1f} MB", "") for name, count in each.by_process.items()]
        for name, count in each.by_file.most_common():
            saves = each.saves[name]
            rows.append((f"{what}: … {name}", f"{count * a_day:.1f} MB", f"{saves} × {count / saves / 1e3:.1f} KB"))
    return rows


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", help="of the program of before; today's alone without one")
    parser.add_argument("--minutes", type=float, default=15.0, help="how long, after the first minute")
    parser.add_argument("--folder", type=Path, help="where both keep their files; a temporary folder without it")
    parser.add_argument("--own", action="store_true", help="count what reaches the device of the folder, too")
    arguments = parser.parse_args()
    if arguments.own and arguments.revision:
        parser.error("a device counts for one program only")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        before = unpack(arguments.revision, Path(name) / "before-source") if arguments.revision else None
        rows = await measure(Path(name), before, arguments.minutes * 60.0, own=arguments.own)
    print_table(rows)


if __name__ == "__main__":
    asyncio.run(main())
