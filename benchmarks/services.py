"""What the services cost that somebody may want: MQTT, metrics, notifications; and the spool after an outage.

    python -m benchmarks.services

The whole program runs on a simulated BMS, first with the web server alone, then with all of them and a real Mosquitto
on this machine, each for a minute; nobody looks at the pages. Then an hour of messages waits in the spool.
"""

import asyncio
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import aiomqtt
from benchmarks.parts import Row, cpu_s, family, print_table, rss_mb

from tinybms_bridge.hal.blocking import in_thread
from tinybms_bridge.services.mqtt.spool import KeptMessage, Spool
from tinybms_lab.testing.running_bridge import RunningBridge, free_port

MEASURED_S = 60.0
SETTLED_S = 15.0
HOUR_S = 3600
SCRAPED_S = 5.0


def mosquitto(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a broker; return its process and port."""
    port = free_port()
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_type none\n")
    return subprocess.Popen([shutil.which("mosquitto") or "mosquitto", "-c", str(file)]), port


def measured(folder: Path, changes: dict[str, Any]) -> dict[str, float]:
    """Run the program for a while; return share of a core of each process, in percent, and memory."""
    bridge = RunningBridge.prepare(folder, changes)
    try:
        bridge.start()
        core, services = family(bridge.processes["run"].pid)[:2]
        time.sleep(SETTLED_S)
        before, started_s = [cpu_s(pid) for pid in (core, services)], time.monotonic()
        while time.monotonic() - started_s < MEASURED_S:
            if changes:  # what a Prometheus server does
                urllib.request.urlopen(f"{bridge.url}/metrics", timeout=30.0).read()
            time.sleep(SCRAPED_S)
        passed_s = time.monotonic() - started_s
        used = [(cpu_s(pid) - was) / passed_s * 100.0 for pid, was in zip((core, services), before, strict=True)]
        shared_mb = sum(map(pss_mb, (core, services)))
        both_mb = rss_mb(core) + rss_mb(services)
        return {"core": used[0], "services": used[1], "mb": both_mb, "pss_mb": shared_mb}
    finally:
        bridge.end()


def pss_mb(pid: int) -> float:
    """Return the memory of a process, in which each shared page counts by its share."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Pss:")]
    return int(line.split()[1]) / 1024


def costs(folder: Path) -> list[Row]:
    """Compare the program without and with every service."""
    broker, port = mosquitto(folder)
    wanted = {
        "mqtt": {
            "enabled": True,
            "port": port,
            "default_qos": 1,
            "commands": True,
            "value_topics": True,
            "home_assistant": {"enabled": True},
        },
        "notifications": {
            "enabled": True,
            "webhook": {"enabled": True, "url": f"http://127.0.0.1:{free_port()}/nobody"},
        },
    }
    try:
        bare = measured(_made(folder / "bare"), {})
        full = measured(_made(folder / "full"), wanted)
    finally:
        broker.kill()
        broker.wait()
    more = full["services"] - bare["services"]
    return [
        ("services, web alone", f"{bare['services']:.2f} %", ""),
        ("services, MQTT, Home Assistant, metrics, notifications", f"{full['services']:.2f} %", ""),
        ("... beyond the web", f"{more:.2f} %", "<= 1 % of a core"),
        ("core, without and with them", f"{bare['core']:.2f}, {full['core']:.2f} %", "unaffected"),
        ("both processes, web alone: resident, by share", f"{bare['mb']:.0f}, {bare['pss_mb']:.0f} MB", ""),
        ("both processes, all: resident, by share", f"{full['mb']:.0f}, {full['pss_mb']:.0f} MB", "<= 120 MB"),
    ]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def replay(folder: Path) -> list[Row]:
    """Fill a spool with an hour of one pack, as the service does, and send it to a broker beside a live topic."""
    from tinybms_bridge.services.mqtt.connection import together

    broker, port = mosquitto(folder)
    spool = Spool(folder / "spool", 100_000_000, in_thread)
    payload = b'{"boot":"0123456789abcdef","seq":1,' + b'"voltage":53.1234,' * 60 + b'"end":1}'
    for _ in range(HOUR_S):
        for topic in ("victron/tinybms/replay/battery/state", "victron/tinybms/replay/packs/main/state"):
            spool.add(KeptMessage(topic, payload))
        if spool.kept_bytes % 7 == 0:
            await spool.flush()
    await spool.flush()
    sent, waits_ms = 0, []
    async with aiomqtt.Client("127.0.0.1", port, max_inflight_messages=200) as client:
        client.pending_calls_threshold = 10_000

        async def live() -> None:
            while True:
                began_s = time.perf_counter()
                await asyncio.sleep(0.02)
                waits_ms.append((time.perf_counter() - began_s - 0.02) * 1000.0)

        watching = asyncio.create_task(live())
        started_s = time.perf_counter()
        while (batch := await spool.take()) is not None:
            for begin in range(0, len(batch.messages), 100):
                part = batch.messages[begin : begin + 100]
                await together(*(client.publish(each.topic, each.payload, qos=1) for each in part))
                sent += len(part)
            await spool.done(batch)
        took_s = time.perf_counter() - started_s
        watching.cancel()
    broker.kill()
    broker.wait()
    return [
        ("spool of an hour, messages", f"{sent} of {2 * HOUR_S}", "all but those over the size"),
        ("... replayed with QoS 1", f"{took_s:.2f} s", "<= 10 s"),
        ("... the event loop is held up meanwhile, median", f"{statistics.median(waits_ms):.1f} ms", ""),
        ("... at most", f"{max(waits_ms):.1f} ms", ""),
    ]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = costs(_made(folder / "costs"))
        rows += asyncio.run(replay(_made(folder / "replay")))
    print_table(rows)


if __name__ == "__main__":
    main()
