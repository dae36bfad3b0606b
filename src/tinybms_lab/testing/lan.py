"""Machines on a switch, as network namespaces of this one: real interfaces and packets that reach no real network.

As root, or as anybody where the kernel lets everybody have namespaces of their own. Whatever is started on such a
machine ends with it.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import IO, Any, Self

__all__ = ["Lan", "LanMachine", "why_no_lan"]

_END_S = 20.0
_PROGRAMS = ("unshare", "nsenter", "ip", "cat")


@cache
def why_no_lan() -> str:
    """Return why there can be none on this machine; empty where there can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no network namespaces here: there is no {missing[0]}"
    words = ["ip", "link", "add", "name", "lan0", "type", "veth", "peer", "name", "lan1"]
    done = _call([*_unshare(), *words], check=False)
    return "" if done.returncode == 0 else f"no network namespaces here: {done.stderr.strip()[:120]}"


@dataclass(eq=False)
class LanMachine:
    """One machine, which is a namespace that a process keeps."""

    keeper: subprocess.Popen[str]
    programs: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """What is put before a command so that it runs there."""
        own = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(self.keeper.pid), *own, "--net"]

    def configure(self, *words: str) -> None:
        """Change interfaces and addresses there, as ip(8) takes it."""
        _call([*self.words, "ip", *words])

    def call(self, *words: str) -> str:
        """Run a program there to its end and return what it says."""
        return _call([*self.words, *words]).stdout

    def begin(self, *words: str, stderr: IO[Any] | int | None = None) -> subprocess.Popen[str]:
        """Start a program there, with pipes to it and from it."""
        pipe = subprocess.PIPE
        program = subprocess.Popen([*self.words, *words], stdin=pipe, stdout=pipe, stderr=stderr, text=True)  # noqa: S603 -- of the test
        self.programs.append(program)
        return program

    def end(self) -> None:
        """End all that runs there, and the machine."""
        for program in self.programs:
            with suppress(ProcessLookupError):
                program.terminate()
        for program in [*self.programs, self.keeper]:
            for stream in (program.stdin, program.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            try:
                program.wait(_END_S)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


class Lan:
    """A switch and what is plugged into it."""

    def __init__(self) -> None:
        self._machines: list[LanMachine] = []
        self._ports = 0
        self._switch = self._new()
        self._switch.configure("link", "add", "name", "switch", "type", "bridge", "mcast_snooping", "0")
        self._switch.configure("link", "set", "switch", "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for machine in reversed(self._machines):
            machine.end()

    def machine(self, *addresses: str) -> LanMachine:
        """Return a new machine with these addresses on ``eth0``, which is plugged in."""
        machine = self._new()
        machine.configure("link", "set", "lo", "up")
        self.plug(machine, "eth0", *addresses)
        return machine

    def plug(self, machine: LanMachine, name: str, *addresses: str) -> str:
        """Give a machine another interface, plugged into this switch; return the name of the port."""
        self._ports += 1
        port, end = f"port{self._ports}", f"end{self._ports}"
        self._switch.configure("link", "add", "name", port, "type", "veth", "peer", "name", end)
        self._switch.configure("link", "set", port, "master", "switch", "up")
        self._switch.configure("link", "set", end, "netns", str(machine.keeper.pid), "name", name)
        for address in addresses:
            machine.configure("address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        machine.configure("link", "set", name, "up")
        return port

    def cable(self, port: str, *, plugged: bool) -> None:
        """Pull a cable, or put it back."""
        self._switch.configure("link", "set", port, "up" if plugged else "down")

    def _new(self) -> LanMachine:
        before: list[str] = []
        if self._machines and os.geteuid() != 0:  # in the user namespace of the switch, or no cable leads there
            target = str(self._switch.keeper.pid)
            before = ["nsenter", "--target", target, "--user", "--preserve-credentials"]
        words = [*before, *(["unshare", "--net"] if before else _unshare()), "sh", "-c", "echo up; exec cat"]
        pipe = subprocess.PIPE
        keeper = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 -- our own words
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "up\n":
            raise RuntimeError("no network namespace")
        self._machines.append(LanMachine(keeper))
        return self._machines[-1]


def _unshare() -> list[str]:
    return ["unshare", "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]


def _call(words: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 -- our own words
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return done
