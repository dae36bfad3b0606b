"""Figures of the link: a state of the battery as JSON and back, from core to services, a flood of commands, memory.

The core is a process of its own, and so are those that flood it. Prints one table.
"""

import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

from benchmarks.parts import Row, cpu_s, print_table

from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.core.battery import Battery, BatterySettings
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.client import open_link
from tinybms_bridge.link.commands import ResetStatistics
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.server import LinkServer
from tinybms_bridge.link.session import Caller
from tinybms_bridge.link.state import CoreState
from tinybms_bridge.link.wire import FROM_CORE, MOST_FROM_CORE, BranchChange, Call, Hello, MessageReader, encode
from tinybms_lab.testing.fake_clock import FakeClock

STATES = 100
ROUNDS = 60
WATCH_S = 20.0
FLOOD_S = 10.0

RATINGS = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.5,
    fully_discharged_cell_v=3.0,
    over_voltage_cell_v=3.65,
    under_voltage_cell_v=2.8,
    charge_over_current_a=120.0,
    discharge_over_current_a=150.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=280.0,
)

WITHOUT_LINK = """
from pathlib import Path
import tinybms_bridge.core.bridge, tinybms_bridge.config.configuration, tinybms_bridge.link.state
"""
WITH_LINK = """
from tinybms_bridge.link.codec import decoder
from tinybms_bridge.link.commands import Configure, LinkDialect, ResetStatistics, SetInhibit
from tinybms_bridge.link.server import LinkServer
from tinybms_bridge.link.wire import FROM_CLIENT, prepare
prepare(FROM_CLIENT)
for kind in (Configure, ResetStatistics, SetInhibit):
    decoder(kind, LinkDialect)
"""
RESIDENT = """
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line))
"""


def states() -> Callable[[], BatteryState]:
    """Return what makes the next state of a battery that charges, ten a second, with noise on what is measured."""
    clock, random, numbers = FakeClock(), Random(1), count(1)
    battery = Battery(Bus(clock.monotonic, clock.wall), BatterySettings())

    def following() -> BatteryState:
        number = next(numbers)
        now_s = 1000.0 + number / 10
        cells_v = tuple([round(3.33 + random.gauss(0.0, 0.0005), 4) for _ in range(16)])
        status = BmsStatus.CHARGING
        snapshot = Snapshot(
            number,
            now_s,
            PackValues(sum(cells_v), 40.0 + random.gauss(0.0, 0.02), 60.0, 100.0, status, status.value, number // 10),
            Cells(cells_v, (False,) * 16, (False,) * 16),
            Temperatures(24.5, 24.5 + 0.1 * (number % 3)),
            RATINGS,
            image=random.randbytes(112),
        )
        battery.accept(snapshot, now_s)
        return battery.state()

    for _ in range(600):  # until CCL has risen, as for most of a day
        following()
    return following


def best_us(work: Callable[[], object]) -> float:
    """Return the time of one of ``STATES`` in the best of many rounds: other programs have the machine as well."""
    took_s = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        work()
        took_s.append(time.perf_counter() - started_s)
    return min(took_s) / STATES * 1e6


def as_json_and_back() -> list[Row]:
    """The messages of a hundred states, made as the core does and read as the services do."""
    following = states()
    told = [BranchChange(number, "battery", following()) for number in range(STATES)]
    frames = [encode(each) for each in told]
    mirror = Mirror(CoreState, {}, time.monotonic)
    reader = MessageReader(FROM_CORE, MOST_FROM_CORE)

    def read() -> None:
        for frame in frames:
            reader.feed(frame)
            message = reader.take()
            assert isinstance(message, BranchChange)
            mirror.take_change(message)

    encoded_us = best_us(lambda: [encode(each) for each in told])
    decoded_us = best_us(read)
    assert mirror.state.battery == told[-1].value
    return [
        ("state of the battery as JSON and back", f"{encoded_us + decoded_us:.0f} us", "<= 60 us"),
        ("  encoded, decoded", f"{encoded_us:.0f} us, {decoded_us:.0f} us", ""),
        ("  bytes", f"{statistics.mean(map(len, frames)):.0f}", ""),
    ]


async def core(path: Path) -> None:
    """Be a core: publish ten states a second, and answer."""
    clock, following = SystemClock(), states()
    server = LinkServer(path, clock, ("battery",))

    async def nothing(_command: ResetStatistics, _caller: Caller) -> None:
        return

    server.handle(ResetStatistics, nothing)
    await server.start()
    while True:
        state = following()
        server.publish("battery", replace(state, made_s=clock.monotonic()))
        await clock.sleep(0.1)


def flood(path: Path) -> None:
    """Send commands as fast as the core takes them, and read no answer that does not have to be read."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(encode(Hello("1.0", who="flood")))
        commands = b"".join(encode(Call(number, ResetStatistics.name)) for number in range(1000))
        client.setblocking(False)
        rest = b""
        while True:
            with contextlib.suppress(BlockingIOError):
                rest = rest or commands
                rest = rest[client.send(rest) :]
            with contextlib.suppress(BlockingIOError):
                client.recv(1 << 20)
            time.sleep(0.0005)


def connect_again(path: Path) -> None:
    """Connect, say hello, and go, in a loop."""
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(encode(Hello("1.0", who="loop")))
            client.recv(1 << 16)


@contextlib.contextmanager
def process(what: str, path: Path) -> Iterator[int]:
    """Run a part of this benchmark in a process, and give its id."""
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.link", what, str(path)])
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()


async def to_services(path: Path) -> list[Row]:
    """From ``publish`` in the core to the callback of another process."""
    clock = SystemClock()
    mirror = Mirror(CoreState, {}, clock.monotonic)
    took_ms: list[float] = []
    async with open_link([path], mirror, clock, who="bench"):
        mirror.on_change(lambda _branches: took_ms.append((clock.monotonic() - mirror.state.battery.made_s) * 1000))
        await asyncio.sleep(WATCH_S)
    p99_ms = statistics.quantiles(took_ms, n=100)[98]
    return [
        ("state from core to services, median", f"{statistics.median(took_ms):.2f} ms", "<= 2 ms"),
        ("  99th percentile, largest", f"{p99_ms:.2f} ms, {max(took_ms):.2f} ms", ""),
    ]


def wait_for(path: Path) -> None:
    """Wait until the core listens."""
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            return
        time.sleep(0.05)


def load_percent(pid: int, seconds: float) -> float:
    """Return how much of a processor a process takes."""
    before_s = cpu_s(pid)
    time.sleep(seconds)
    return (cpu_s(pid) - before_s) / seconds * 100


def under_attack(pid: int, path: Path) -> list[Row]:
    """What clients that flood the core cost it."""
    idle = load_percent(pid, FLOOD_S)
    rows = []
    for name, what in (("commands without end", "flood"), ("connections without end", "connect")):
        with process(what, path):
            time.sleep(2.0)
            rows.append((f"core: {name}", f"{load_percent(pid, FLOOD_S) - idle:+.1f} % of a core", "<= 1 %"))
    return rows


def memory() -> list[Row]:
    """What the link adds to the core."""

    def resident_mb(code: str) -> float:
        sizes = [
            int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
            for _ in range(3)
        ]
        return statistics.median(sizes) / 1024

    without_mb = resident_mb(WITHOUT_LINK + RESIDENT)
    with_mb = resident_mb(WITHOUT_LINK + WITH_LINK + RESIDENT)
    return [("memory of the core with the link", f"{with_mb - without_mb:+.1f} MB", f"<= 4 MB on {without_mb:.1f}")]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core.sock"
        rows = as_json_and_back()
        with process("core", path) as pid:
            wait_for(path)
            rows += asyncio.run(to_services(path))
            rows += under_attack(pid, path)
        rows += memory()
    print_table(rows)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "core":
        asyncio.run(core(Path(sys.argv[2])))
    elif sys.argv[1] == "flood":
        flood(Path(sys.argv[2]))
    else:
        connect_again(Path(sys.argv[2]))
