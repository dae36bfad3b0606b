"""How the process and the machine are: memory and threads, from ``/proc`` where there is one."""

import os
import sys
import threading
from pathlib import Path

from tinybms_bridge.services.web.answers import Answer

__all__ = ["Memory", "Process", "memory", "process"]

_KIB = 1024


class Memory(Answer):
    """Bytes; null where the system does not tell."""

    resident: int | None
    """Memory that the bridge uses."""
    resident_max: int | None
    """The most it has used."""
    available: int | None
    """What the machine could still give."""
    total: int | None


class Process(Answer):
    """The running program."""

    pid: int
    python: str
    threads: int
    cpu_s: float
    """Processor time since the start."""


def memory(proc: Path = Path("/proc")) -> Memory:
    """Return the use of memory. Reads files: call it in a thread."""
    own = _table(proc / "self" / "status")
    machine = _table(proc / "meminfo")
    return Memory(
        resident=own.get("VmRSS"),
        resident_max=own.get("VmHWM"),
        available=machine.get("MemAvailable"),
        total=machine.get("MemTotal"),
    )


def process() -> Process:
    """Return facts of the process."""
    used = os.times()
    return Process(
        pid=os.getpid(),
        python=sys.version.split()[0],
        threads=threading.active_count(),
        cpu_s=used.user + used.system,
    )


def _table(path: Path) -> dict[str, int]:
    """Return the entries ``Name:  123 kB`` of a file, in bytes; empty where there is no such file."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        if unit == "kB" and number.isdigit():
            found[name] = int(number) * _KIB
    return found
