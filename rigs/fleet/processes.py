"""The programs of the rig: started, watched, killed; each on ports of loopback that nobody else has."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Program", "Usage", "fetched", "folder_size", "found", "running"]

TICKS = os.sysconf("SC_CLK_TCK")
LOOPBACK = "127.0.0.1"
PATIENCE_S = 30.0


def found(name: str, package: str) -> str:
    """Return where a program is: beside this Python, or in the path; exit where it is not."""
    beside = Path(sys.executable).with_name(name)
    where = str(beside) if beside.exists() else shutil.which(name)
    if where is None:
        sys.exit(f"error: {name} is missing: {package}")
    return where


def fetched(url: str, timeout_s: float = 60.0) -> bytes:
    """Return what a server of the rig answers."""
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310
        return bytes(answer.read())


def folder_size(path: Path) -> int:
    """Return the bytes on disk below a folder, as du counts them."""
    return sum(each.stat().st_blocks * 512 for each in path.rglob("*") if each.is_file())


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used."""

    cpu_s: float = 0.0
    peak_mb: float = 0.0

    def __sub__(self, earlier: "Usage") -> "Usage":
        return Usage(self.cpu_s - earlier.cpu_s, self.peak_mb)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.cpu_s + other.cpu_s, max(self.peak_mb, other.peak_mb))


@dataclass(slots=True)
class Program:
    """One program of the rig, which may be killed and started again."""

    name: str
    words: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Usage = Usage()
    """What its earlier processes have used."""
    _process: subprocess.Popen[bytes] | None = None
    _latest: Usage = Usage()

    def start(self) -> None:
        """Start it; a second start counts on."""
        self.before, self._latest = self.before + self._latest, Usage()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [*self.words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )

    def say(self, line: str) -> None:
        """Write a line to it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def hang_up(self) -> None:
        """Have it read its files again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    @property
    def runs(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def usage(self) -> Usage:
        """Return what it has used since its first start, as far as it was looked at."""
        if self._process is not None and self.runs:
            self._latest = _usage_of(self._process.pid) or self._latest
        return self.before + self._latest

    def kill(self) -> None:
        """Kill it without a warning."""
        self.usage()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self, patience_s: float = PATIENCE_S) -> int | None:
        """Ask it to end, and wait; return its exit status."""
        if self._process is None:
            return None
        self.usage()
        if self.runs:
            self._process.send_signal(signal.SIGTERM)
        return self.wait(patience_s)

    def wait(self, patience_s: float) -> int | None:
        """Wait for its end by itself; kill it after a while. Return its exit status."""
        assert self._process is not None
        end_s = time.monotonic() + patience_s
        while self.runs and time.monotonic() < end_s:
            self.usage()
            time.sleep(0.05)
        if self.runs:
            self._process.kill()
        status = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return status


def _usage_of(pid: int) -> Usage | None:
    """Return what a process has used so far; None where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak_kb = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage((int(fields[11]) + int(fields[12])) / TICKS, peak_kb / 1024.0)


@contextmanager
def running(programs: Sequence[Program]) -> Iterator[None]:
    """Start programs, and end those that still run; the last first."""
    try:
        for program in programs:
            program.start()
        yield
    finally:
        for program in reversed(programs):
            program.end()
