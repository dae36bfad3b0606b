"""The whole program on a simulated BMS, as processes: for tests of the pages and for the pictures of the documents."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ANSWER_MS", "WAIT_S", "RunningBridge", "free_port", "until"]

WAIT_S = 120.0
"""Longer than anything takes on a machine that is busy with something else."""

ANSWER_MS = 2000
"""How long the bridge waits for its BMS: a program that a busy machine holds up is no BMS that is silent."""


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is true. Raises TimeoutError."""
    end_s = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError(f"not within {WAIT_S:.0f} s: {what}")
        time.sleep(0.05)


@dataclass
class RunningBridge:
    """A simulated BMS and the whole program on it, in a home of their own."""

    home: Path
    port: int
    document: dict[str, Any] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.home / "config.json"

    @classmethod
    def prepare(cls, home: Path, changes: dict[str, Any] | None = None, *simulator: str) -> "RunningBridge":
        """Return one that does not run yet, beside its simulated BMS, which does."""
        bridge, bms = cls(home, free_port()), home / "bms"
        bridge.begin("simulate", "simulate", "--link", str(bms), "--quiet", *(simulator or ("--profile", "idle")))
        until(bms.exists, "the simulated BMS is there")
        bridge.document = {
            "hardware": {"uart": {"device": str(bms), "timeout_ms": ANSWER_MS}, "can": {"interface": "virtual"}},
            "tinybms": {"uart_retry_count": 1},  # with more than one attempt it would say that this is too long
            "advanced": {"state_directory": str(home / "state")},
            **(changes or {}),
        }
        bridge.document["web_server"] = {
            "port": bridge.port,
            "listen_address": "127.0.0.1",
            **bridge.document.get("web_server", {}),
        }
        bridge.config.write_text(json.dumps(bridge.document))
        return bridge

    def add_user(self, name: str, password: str, role: str) -> None:
        """Make a user."""
        words = ("users", "-c", str(self.config), "add", name, "--role", role, "--password-stdin")
        self.call(*words, text=f"{password}\n")

    def call(self, *words: str, text: str = "", good: Collection[int] = (0,)) -> str:
        """Run a command of the program to its end, with an exit status that is good, and return what it tells."""
        done = subprocess.run(  # noqa: S603 -- the program itself
            [sys.executable, "-m", "tinybms_bridge", *words],
            cwd=self.home,
            env=self._environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )
        if done.returncode not in good or (done.returncode and not done.stdout):
            raise RuntimeError(done.stderr)
        return done.stdout

    def begin(self, name: str, *words: str) -> None:
        """Start a command of the program; its words go to a file of its name."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 -- the program itself
                [sys.executable, "-m", "tinybms_bridge", *words],
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start(self) -> None:
        """Start the program and wait until it sends limits made from fresh data."""
        self.begin("run", "run", "--plain", "-c", str(self.config))
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until limits made from fresh data are sent."""
        until(self._ready, "the bridge is ready")

    def stop(self) -> None:
        """End the program in order."""
        process = self.processes.pop("run")
        process.terminate()
        if (code := process.wait(WAIT_S)) != 0:
            raise RuntimeError(f"it ended with {code}")

    def kill_services(self) -> None:
        """Kill the process of the web server; the core starts it again."""
        os.kill(self.services_pid, signal.SIGKILL)

    @property
    def services_pid(self) -> int:
        """The process of the web server."""
        core = self.processes["run"].pid
        for child in Path(f"/proc/{core}/task/{core}/children").read_text().split():
            with suppress(OSError):  # another child, which has ended meanwhile
                if b"run-services" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        raise ProcessLookupError("there is no process of the web server")

    def end(self) -> None:
        """End everything that was started."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def _environment(self) -> dict[str, str]:
        home = str(self.home)
        names = ("TINYBMS_BRIDGE_CONFIG", "TINYBMS_BRIDGE_SOCKET", "NOTIFY_SOCKET")
        kept = {name: value for name, value in os.environ.items() if name not in names}
        return {**kept, "HOME": home, "XDG_STATE_HOME": home, "TMPDIR": home, "TZ": "UTC"}

    @property
    def _tls(self) -> bool:
        return bool(self.document.get("web_server", {}).get("tls_self_signed"))

    def _ready(self) -> bool:
        if self.processes["run"].poll() is not None:
            raise RuntimeError((self.home / "run.log").read_text()[-3000:])
        try:
            unchecked = ssl._create_unverified_context() if self._tls else None  # noqa: S323, SLF001 -- our own
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5.0, context=unchecked) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


def free_port() -> int:
    """Return a port of this machine that nobody uses, and that nobody else is given before this process ends.

    The system gives the ports above to connections: one of those may be taken before it is listened on. What is taken
    is marked by a name in the kernel's abstract socket namespace, which goes with the process.
    """
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(first_given - 1, 1023, -1):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0tinybms-lab/port/{port}")
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            claim.close()
        else:
            claim.detach()  # open as long as this process
            return port
    raise RuntimeError("every port is taken")
