"""What a process takes of the machine, from /proc (proc(5))."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessUse", "entries_of", "process_use"]

_PROC = Path("/proc")
_KIB = 1024
_CPU_FIELDS = slice(11, 13)
"""Time in user and kernel mode among what follows the name in /proc/PID/stat (proc_pid_stat(5))."""


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """Memory in bytes, threads, processor time since the start; None where the system does not tell."""

    resident: int | None = None
    resident_max: int | None = None
    """The most it has used."""
    threads: int | None = None
    cpu_s: float | None = None


def process_use(pid: int | str = "self", proc: Path = _PROC) -> ProcessUse:
    """Return what a process takes. Reads files: call it in a thread."""
    found = entries_of(proc / str(pid) / "status")
    return ProcessUse(found.get("VmRSS"), found.get("VmHWM"), found.get("Threads"), _cpu_s(proc / str(pid) / "stat"))


def entries_of(path: Path) -> dict[str, int]:
    """Return the entries ``Name:  123 kB``, in bytes, and ``Name:  12`` of a file; empty where there is no such file.

    Reads the file: call it in a thread.
    """
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        if number.isdigit() and unit in ("", "kB"):
            found[name] = int(number) * (_KIB if unit else 1)
    return found


def _cpu_s(path: Path) -> float | None:
    try:
        fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        user, system = map(int, fields[_CPU_FIELDS])
    except (OSError, ValueError):
        return None
    return (user + system) / os.sysconf("SC_CLK_TCK")
