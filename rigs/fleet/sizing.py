"""How much a site needs in VictoriaMetrics: ``python -m rigs.fleet.sizing``, two minutes.

A day of a few batteries at 1 Hz is written as the consumer does it, with sun and load and with the noise of a real
measurement; a series that never changes costs next to nothing, so that a smooth simulation would flatter. Prints bytes
for each sample and for a site and year.
"""

import argparse
import math
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from examples.fleet.messages import Envelope, Series

from rigs.fleet.bridge import battery_state, pack_state
from rigs.fleet.cluster import DATABASE_WORDS
from rigs.fleet.processes import LOOPBACK, fetched, folder_size, found
from tinybms_lab.testing.running_bridge import free_port

DAY_S = 86_400
YEAR_DAYS = 365
BATCH = 50_000
SETTLED_S = 15.0


def day(randomness: random.Random, begin_s: int) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield each second of a day of a battery of 16 cells with what its bridge publishes."""
    soc_percent, charged_kwh, discharged_kwh = randomness.uniform(40.0, 60.0), 1234.0, 1101.0
    load_a, cloud = randomness.uniform(5.0, 15.0), 1.0
    spread_mv = [randomness.gauss(0.0, 4.0) for _ in range(16)]
    for second in range(DAY_S):
        sun = max(0.0, math.sin(math.pi * (second / DAY_S * 24.0 - 6.0) / 12.0))
        cloud = min(1.0, max(0.2, cloud + randomness.gauss(0.0, 0.01)))
        load_a = min(60.0, max(2.0, load_a + randomness.gauss(0.0, 0.2) + (randomness.random() < 0.001) * 20.0))
        current = round(80.0 * sun * cloud - load_a + randomness.gauss(0.0, 0.1), 2)
        soc_percent = min(100.0, max(5.0, soc_percent + current / 280.0 / 36.0))
        voltage = round(51.2 + (soc_percent - 50.0) * 0.03 + current * 0.004 + randomness.gauss(0.0, 0.005), 3)
        power_w = round(voltage * current, 1)
        charged_kwh += max(0.0, power_w) / 3_600_000.0
        discharged_kwh += max(0.0, -power_w) / 3_600_000.0
        cells_mv = [round(62.5 * voltage + each + randomness.gauss(0.0, 0.5)) for each in spread_mv]
        warmth_c = 4.0 * sun
        changes = {
            "voltage": voltage,
            "current": current,
            "soc_percent": round(soc_percent, 2),
            "bms_soc_percent": round(soc_percent, 2),
            "temperature": round(22.0 + warmth_c + randomness.gauss(0.0, 0.05), 1),
            "min_cell_mv": min(cells_mv),
            "max_cell_mv": max(cells_mv),
            "cell_imbalance_mv": max(cells_mv) - min(cells_mv),
            "power_w": power_w,
            "cells_mv": cells_mv,
            "temperatures": [round(base + warmth_c + randomness.gauss(0.0, 0.05), 1) for base in (27.0, 25.0, 25.0)],
            "ccl_limit_a": round(100.0 if soc_percent < 95.0 else 100.0 - 18.0 * (soc_percent - 95.0), 1),
            "charged_kwh": round(charged_kwh, 3),
            "discharged_kwh": round(discharged_kwh, 3),
        }
        age_ms = randomness.randrange(100)
        yield (begin_s + second) * 1000 + randomness.randrange(20), battery_state(0, 0, age_ms) | changes


def lines_of(sites: int, days: int, period_s: int) -> Iterator[list[str]]:
    """Yield the lines of many messages at a time."""
    series, begin_s = Series(), int(time.time()) - (days + 1) * DAY_S
    for site in range(sites):
        for number in range(days):
            batch: list[str] = []
            randomness = random.Random(f"{site} {number}")  # noqa: S311
            for count, (at_ms, battery) in enumerate(day(randomness, begin_s + number * DAY_S)):
                if count % period_s:
                    continue
                for topic, content in (
                    (("battery", "state"), battery),
                    (("packs", "a", "state"), pack_state(battery, "a")),
                ):
                    batch += series.lines_of(
                        Envelope(f"site-{site}", topic, "", 1, at_ms, spooled=False, content=content)
                    )
                if len(batch) > BATCH:
                    yield batch
                    batch = []
            yield batch


def main(arguments: Sequence[str]) -> None:
    """Write, wait for the merges, and tell."""
    parser = argparse.ArgumentParser(prog="python -m rigs.fleet.sizing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--period-s", type=int, default=1, help="seconds between two states (1)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rig-fleet-") as name:
        folder = Path(name)
        address = f"{LOOPBACK}:{free_port()}"
        words = [found("victoria-metrics", "apt install victoria-metrics"), f"-storageDataPath={folder / 'data'}"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603
                [*words, f"-httpListenAddr={address}", *DATABASE_WORDS], stdout=log, stderr=log
            )
            try:
                time.sleep(1.0)
                samples, begun_s = 0, time.monotonic()
                for lines in lines_of(options.sites, options.days, options.period_s):
                    samples += len(lines)
                    url = f"http://{address}/api/v1/import/prometheus"
                    urllib.request.urlopen(url, "\n".join(lines).encode(), timeout=60.0).close()
                took_s = time.monotonic() - begun_s
                fetched(f"http://{address}/internal/force_flush")
                fetched(f"http://{address}/internal/force_merge")
                time.sleep(SETTLED_S)
                size = folder_size(folder / "data")
            finally:
                process.terminate()
                process.wait()
    site_days = options.sites * options.days
    year_mb = size / site_days * YEAR_DAYS / 1e6
    print(
        f"{samples} samples of {options.sites} sites and {options.days} days written in {took_s:.0f} s; "
        f"{size / 1e6:.1f} MB on disk, {size / samples:.2f} bytes a sample, {year_mb:.0f} MB for a site and year, "
        f"{samples / site_days / DAY_S:.0f} values a second"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
