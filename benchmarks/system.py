"""Figures of the whole program against a simulated TinyBMS in a process of its own; prints one table."""

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.parts import Row, cpu_s, print_table, rss_mb, simulator

from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.battery import Battery
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings, open_can
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_bridge.tinybms.frames import ReadModbus
from tinybms_lab.testing.can_memory import MemoryCanBus

WIRE_MS = 125 * 10 / 115200 * 1000
BMS_LATENCY_MS = 1.0
POLL_INTERVAL_S = 0.1


async def poll_cycle(device: str, polls: int = 200) -> list[Row]:
    """Fast reads with the pause that the bridge has between them: how long one takes, against the time on the wire."""

    async def open_port(on_data: OnData, on_lost: OnLost) -> SerialPort:
        return await open_serial(device, 115200, on_data, on_lost)

    client = TinyBmsClient(open_port, SystemClock())
    await client.connect()
    await client.request(ReadModbus(0, 56))
    took_ms = []
    cpu_s = time.process_time()
    for _ in range(polls):
        started_s = time.perf_counter()
        await client.request(ReadModbus(0, 56))
        took_s = time.perf_counter() - started_s
        took_ms.append(took_s * 1000)
        await asyncio.sleep(POLL_INTERVAL_S - took_s)
    cpu_us = (time.process_time() - cpu_s) / polls * 1e6
    await client.close()
    median_ms, floor_ms = statistics.median(took_ms), WIRE_MS + BMS_LATENCY_MS
    return [
        ("poll cycle, median", f"{median_ms:.2f} ms", f"<= {1.15 * floor_ms:.2f} ms (1.15 x wire and BMS latency)"),
        ("poll cycle / (wire + 1 ms)", f"{median_ms / floor_ms:.3f}", "<= 1.15"),
        ("poll cycle, 99th percentile", f"{statistics.quantiles(took_ms, n=100)[98]:.2f} ms", ""),
        ("CPU of one transaction, with pty", f"{cpu_us:.0f} us", ""),
    ]


async def uart_to_can(device: str, bursts: int = 60) -> list[Row]:
    """From the last byte of a reply to 0x351 at the CAN port, each sample forcing a burst."""
    clock, can_bus = SystemClock(), MemoryCanBus()

    async def open_port(on_data: OnData, on_lost: OnLost) -> SerialPort:
        return await open_serial(device, 115200, on_data, on_lost)

    async def open_memory() -> CanPort:
        return can_bus.open()

    bridge = Bridge(Configuration(), Machine(clock, open_port, open_memory, MemoryStorage()), SavedUnits())
    latencies_ms: list[float] = []
    enough = asyncio.Event()

    def on_frame(frame: CanFrame) -> None:
        snapshot = bridge.battery.snapshot
        if frame.arbitration_id == 0x351 and snapshot is not None:
            latencies_ms.append((clock.monotonic() - snapshot.taken_at_s) * 1000)
            if len(latencies_ms) >= bursts:
                enough.set()

    can_bus.open().subscribe(on_frame)
    assert isinstance(bridge.battery, Battery)
    accept = bridge.battery.accept

    def accept_and_send(snapshot: Snapshot, now_s: float) -> bool:
        accepted = accept(snapshot, now_s)
        if bridge.can.transmitter is not None:
            bridge.can.transmitter.kick()
        return accepted

    bridge.battery.accept = accept_and_send  # type: ignore[method-assign]
    task = asyncio.create_task(bridge.run())
    await enough.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    # Periodic bursts in between carry a sample up to 100 ms old; the forced ones are the fast ones.
    forced_ms = sorted(latencies_ms)[: bursts * 3 // 4]
    return [("UART to CAN, forced, median", f"{statistics.median(forced_ms):.2f} ms", "seed: 70 to 90 ms")]


async def first_frame(device: str, folder: Path) -> list[Row]:
    """Start the program and wait for its first frame; then look at its memory."""
    seen = asyncio.Event()
    port = await open_can(CanSettings())
    port.subscribe(lambda _frame: seen.set())
    environment = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder)}
    config = folder / "bare.json"
    config.write_text('{"web_server": {"enabled": false}, "advanced": {"history_enabled": false}}')
    started_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tinybms_bridge", "run", "--plain", "-c", str(config)),
        *("--device", device, "--can-interface", "udp_multicast"),
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        await seen.wait()
    first_s = time.perf_counter() - started_s
    before_s = cpu_s(process.pid)
    await asyncio.sleep(10)
    load_percent = (cpu_s(process.pid) - before_s) / 10 * 100
    memory_mb = rss_mb(process.pid)
    process.terminate()
    code = await process.wait()
    await port.close()
    assert code == 0, f"run ended with {code}"
    return [
        ("process start to first frame", f"{first_s:.2f} s", "<= 1.5 s after the BMS answers"),
        ("resident memory, no services", f"{memory_mb:.1f} MB", "<= 50 MB"),
        ("load at 10 polls/s and 1 burst/s", f"{load_percent:.1f} % of a core", ""),
    ]


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with simulator(folder) as device:
            rows = await poll_cycle(device)
            rows += await uart_to_can(device)
            rows += await first_frame(device, folder)
    print_table(rows)


if __name__ == "__main__":
    asyncio.run(main())
