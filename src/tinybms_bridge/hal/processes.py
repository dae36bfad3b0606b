"""Other programs of this machine, from /proc: who holds a port, and which bridges run."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "OWN_GROUP",
    "Process",
    "own_devices",
    "port_holders",
    "processes_holding",
    "processes_listening",
    "running_bridges",
    "stop_command",
]

OWN_GROUP = 0
"""Of ``subprocess.Popen``: a group for the child alone. Ctrl-C at a terminal reaches every process of a group, and a
child that has just been started would answer with a traceback; its parent ends it in order."""
_PROC = Path("/proc")
_LOCKS = Path("/run/lock")
"""Where terminal programs say which serial port they use (Filesystem Hierarchy Standard, /var/lock)."""
_NAMES = frozenset({"tinybms-bridge", "tinybms_bridge"})
_LOCK_BYTES = 64
_TERMINAL = "tty-index:"
_LISTEN = "0A"
_CORE_COMMANDS = frozenset({"run", "run-core", "demo"})
_SERVICES_COMMANDS = frozenset({"run-services"})


@dataclass(frozen=True, slots=True)
class Process:
    """One process."""

    pid: int
    arguments: tuple[str, ...]

    @property
    def is_bridge(self) -> bool:
        """Whether it is this program with the core of a bridge in it, started as a script or with ``python -m``."""
        return self._runs(_CORE_COMMANDS)

    @property
    def is_services(self) -> bool:
        """Whether it is this program with the pages and the other services of a bridge."""
        return self._runs(_SERVICES_COMMANDS)

    def _runs(self, commands: frozenset[str]) -> bool:
        words = self.arguments
        if words and Path(words[0]).name.startswith("python"):
            words = tuple(word for word in words[1:] if not word.startswith("-"))
        if not words or not {Path(words[0]).name, Path(words[0]).parent.name} & _NAMES:
            return False
        return not commands.isdisjoint(words[1:])

    @property
    def name(self) -> str:
        """What it is called, without its arguments, which may hold what is nobody's business."""
        return Path(self.arguments[0]).name[:80] if self.arguments else ""

    def __str__(self) -> str:
        return f"{' '.join(self.arguments)[:80] or 'a program'} (process {self.pid})"


def stop_command(process: Process, proc: Path = _PROC) -> str:
    """Return how to end a bridge for good: as a service of systemd, which would start it again, or by its number."""
    try:
        group = (proc / str(process.pid) / "cgroup").read_text().strip().rpartition("\n")[2]
    except OSError:
        group = ""
    parent, _, unit = group.rpartition("/")
    if not unit.endswith(".service") or unit.startswith("user@"):
        return f"kill {process.pid}"
    return f"systemctl --user stop {unit}" if "/user@" in parent else f"sudo systemctl stop {unit}"


def processes_holding(path: str, proc: Path = _PROC) -> list[Process]:
    """Return the other processes that have a device open, as far as this user may see them. Blocks."""
    return port_holders([path], proc)[path]


def port_holders(paths: Sequence[str], proc: Path = _PROC, locks: Path = _LOCKS) -> dict[str, list[Process]]:
    """Return for each device the other processes that use it, as far as this user may see them. Blocks.

    Those that have it open, and those that say so by a lock file, which also a user sees who may not look into them.
    """
    devices = {path: os.path.realpath(path) for path in paths}
    found: dict[str, list[Process]] = {path: [] for path in paths}
    lockers = {path: _locker(locks / f"LCK..{Path(device).name}") for path, device in devices.items()}
    for process in _others(proc):
        opened = _open_files(proc / str(process.pid) / "fd")
        for path, device in devices.items():
            if device in opened or process.pid == lockers[path]:
                found[path].append(process)
    return found


def own_devices(proc: Path = _PROC) -> frozenset[str]:
    """Return the files that this process itself has open, by their real names. Blocks."""
    return frozenset(_open_files(proc / "self" / "fd"))


def _locker(file: Path) -> int | None:
    """Return the process that a lock file names, in digits as most programs write it; None for none."""
    try:
        with file.open("rb") as opened:
            return int(opened.read(_LOCK_BYTES))
    except (OSError, ValueError):
        return None


def processes_listening(port: int, proc: Path = _PROC) -> list[Process]:
    """Return the other processes that listen on a TCP port, as far as this user may see them. Blocks."""
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(proc / "net" / table, port)}
    return [process for process in _others(proc) if sockets & _open_files(proc / str(process.pid) / "fd")]


def _listening(table: Path, port: int) -> list[str]:
    """Return the inodes of the sockets that listen on a port; the table is that of proc(5), /proc/net/tcp."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:  # a kernel without IPv6
        return []
    ending = f":{port:04X}"
    return [row[9] for row in rows if len(row) > 9 and row[3] == _LISTEN and row[1].endswith(ending)]


def running_bridges(proc: Path = _PROC) -> list[Process]:
    """Return the bridges that run on this machine, without this process. Blocks."""
    return [process for process in _others(proc) if process.is_bridge]


def _others(proc: Path) -> Iterator[Process]:
    for entry in proc.iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        yield Process(int(entry.name), tuple(word.decode(errors="replace") for word in words if word))


def _open_files(folder: Path) -> set[str]:
    """Return what a process has open, but for terminals whose other end it is: it does not use such a port."""
    found, served = set(), set()
    try:
        for descriptor in folder.iterdir():
            target = str(descriptor.readlink())
            found.add(target)
            if target.endswith("/ptmx"):
                served |= _terminal_of(folder.with_name("fdinfo") / descriptor.name)
    except OSError:  # it has ended, or belongs to somebody else
        pass
    return found - served


def _terminal_of(info: Path) -> set[str]:
    """Return the terminal that the other end of a pseudo-terminal is (proc(5), ``fdinfo``)."""
    words = info.read_text().split()
    return {f"/dev/pts/{words[words.index(_TERMINAL) + 1]}"} if _TERMINAL in words else set()
