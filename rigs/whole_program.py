"""The whole program on a real SocketCAN: ``python -m rigs.whole_program [INTERFACE]``, as root, on vcan0.

``run`` with its services stands between a simulated TinyBMS on a pseudo-terminal and a GX that python-can plays.
The services are killed, the interface goes down and comes back, and the program is asked to end. Prints what was seen;
ends with an error at the first thing that is not as it should be.
"""

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import can
from benchmarks.parts import program, simulator

from rigs.socketcan import ip, until

LIMITS, PRESENCE = 0x351, 0x305
QUIET_S = 20.0
KILLED_S = 8.0
START_S = 180.0
"""An emulated machine is some thirty times as slow."""


class Gx:
    """Hears every frame and says once a second that it is there, in threads of its own."""

    def __init__(self, name: str) -> None:
        self.seen: list[tuple[float, int, bytes]] = []
        self._bus = can.Bus(name, interface="socketcan", ignore_config=True)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._hear, self._speak)]
        for thread in self._threads:
            thread.start()

    def since(self, begun_s: float) -> dict[int, list[float]]:
        """Return when each frame came, by id, from a time on."""
        found: dict[int, list[float]] = defaultdict(list)
        for at_s, identifier, _ in list(self.seen):
            if at_s >= begun_s:
                found[identifier].append(at_s)
        return found

    def close(self) -> None:
        """End both threads."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._bus.shutdown()

    def _hear(self) -> None:
        while not self._ended.is_set():
            try:
                message = self._bus.recv(0.2)
            except can.CanError:  # the interface is down
                time.sleep(0.05)
                continue
            if message is not None:
                self.seen.append((time.monotonic(), message.arbitration_id, bytes(message.data)))

    def _speak(self) -> None:
        while not self._ended.wait(1.0):
            try:
                self._bus.send(can.Message(arbitration_id=PRESENCE, data=bytes(8), is_extended_id=False))
            except can.CanError:
                continue


@contextmanager
def gx(name: str) -> Iterator[Gx]:
    """Run the GX."""
    one = Gx(name)
    try:
        yield one
    finally:
        one.close()


def services_of(pid: int) -> int | None:
    """Return the process of the services, which the core has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in children:
        if b"run-services" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return None


def check_window(what: str, times: dict[int, list[float]], identifiers: Sequence[int], seconds: float) -> None:
    """Every frame once a second, none missing; print by how much the periods are off."""
    assert sorted(times) == sorted(identifiers), f"{sorted(map(hex, times))}"
    for identifier, seen in times.items():
        assert abs(len(seen) - seconds) <= 3, f"{len(seen)} times {identifier:#x} in {seconds:.0f} s"
    periods = [b - a for seen in times.values() for a, b in pairwise(seen)]
    off_ms = [abs(period - 1.0) * 1000 for period in periods]
    p99 = statistics.quantiles(off_ms, n=100)[98]
    longest_s = max(b - a for a, b in pairwise(times[LIMITS]))
    print(
        f"{what}: {len(times)} frames each second; off 1 s by {p99:.1f} ms (99 %), {max(off_ms):.1f} ms at most;",
        end="",
    )
    print(f" longest without limits {longest_s:.3f} s", flush=True)
    assert longest_s < 3.0, "the GX had given the battery up"


async def check(name: str, folder: Path) -> None:
    """Run the program and look at the bus."""
    config = folder / "rig.json"
    async with simulator(folder) as device:
        hardware = {"uart": {"device": device}, "can": {"interface": "socketcan", "channel": name}}
        web = {"port": 8099, "listen_address": "127.0.0.1"}
        state = {"state_directory": str(folder / "state")}
        config.write_text(json.dumps({"hardware": hardware, "web_server": web, "advanced": state}))
        with gx(name) as bus:
            async with program(folder, "run", "--plain", "-c", str(config)) as process:
                await until("started: the first frame", lambda: bool(bus.since(0.0)), START_S)
                await until("the services run", lambda: services_of(process.pid) is not None, START_S)
                await asyncio.sleep(5.0)
                identifiers = tuple(bus.since(0.0))
                begun_s = time.monotonic()
                await asyncio.sleep(QUIET_S)
                check_window("at rest", bus.since(begun_s), identifiers, QUIET_S)

                killed = services_of(process.pid)
                assert killed is not None
                begun_s = time.monotonic()
                os.kill(killed, signal.SIGKILL)
                await asyncio.sleep(KILLED_S)
                check_window("services killed", bus.since(begun_s), identifiers, KILLED_S)
                await until(
                    "the services are there again", lambda: services_of(process.pid) not in (None, killed), START_S
                )

                ip("set", name, "down")
                await asyncio.sleep(4.0)
                count = len(bus.seen)
                ip("set", name, "up")
                await until("interface up again: the first frame", lambda: len(bus.seen) > count)
                begun_s = time.monotonic()
                await asyncio.sleep(KILLED_S)
                check_window("after an interface that was down", bus.since(begun_s), identifiers, KILLED_S)
            ended_s = time.monotonic()
            await asyncio.sleep(2.0)
            assert not bus.since(ended_s), "a frame after the end"
            print("asked to end: exit code 0, no frame after it")


def main(name: str = "vcan0") -> None:
    """Check everything on an interface."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(name, Path(folder)))
    print("all as it should be")


if __name__ == "__main__":
    main(*sys.argv[1:])
