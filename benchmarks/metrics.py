"""What a scrape costs: processor time on the event loop and in the thread, size, memory of the library; one table."""

import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.parts import Row, print_table

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.model import ChargeState, Limits
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.snapshot import Cells, Identity, PackValues, Snapshot, Temperatures
from tinybms_bridge.battery.state import BatteryState, PackState
from tinybms_bridge.config.models.base import Secret
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.link.state import CanState, CoreInfo, PackDetails, PartStatus, UartState, WatchdogState
from tinybms_bridge.services.metrics import MetricsService
from tinybms_bridge.services.metrics.family import Picture
from tinybms_bridge.services.ports import Hearing, HistoryState, Moment
from tinybms_bridge.services.standing import ServiceStanding

_ROUNDS = 200
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_CELLS = 16

_LOAD = """
import resource, sys
def rss_mb():
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024
import tinybms_bridge.app.services, tinybms_bridge.services.web.routes, tinybms_bridge.services.web.service
import tinybms_bridge.services.web.app, tinybms_bridge.services.web.server, tinybms_bridge.services.metrics
before = rss_mb()
import tinybms_bridge.services.metrics.exposition
print(rss_mb() - before)
"""


def core_with(packs: int) -> Any:  # noqa: ANN401 -- as much of ``Core`` as metrics read
    """Return a core that tells of so many packs of 16 cells."""
    clock = SystemClock()
    now_s = clock.monotonic()
    names = [f"pack-{number}" for number in range(packs)] if packs > 1 else ["main"]
    cells = Cells(tuple(3.31 + 0.001 * (cell % 7) for cell in range(_CELLS)), (False,) * _CELLS)
    snapshot = Snapshot(1, now_s, PackValues(53.0, 12.5, 81.5, 97.2), cells, Temperatures(31.0, 18.4, 21.6))
    battery = BatteryState(
        made_s=now_s + 1e6,  # it does not grow old while this runs
        packs={name: PackState(snapshot, Identity("2.1", 1, 254, serial_number=name)) for name in names},
        freshness=Freshness.FRESH,
        decided=Limits(56.0, 40.0, 120.0, 48.0, ChargeState.BULK, Freshness.FRESH),
        alarms=Alarms(dict.fromkeys(AlarmName, AlarmLevel.OK)),
        notices=Notices(dict.fromkeys(NoticeName, AlarmLevel.OK)),
    )
    return SimpleNamespace(
        clock=clock,
        uptime_s=3600.0,
        history=SimpleNamespace(state=lambda: HistoryState(bytes=1_000_000)),
        moment=lambda: Moment.of(battery, clock, Hearing(connected=True, since_s=60.0)),
        info=CoreInfo,
        packs=lambda: {name: PackDetails(UartState(up=True)) for name in names},
        outputs=lambda: {"can": CanState(up=True)},
        parts=lambda: [PartStatus(f"part-{number}", "running") for number in range(25)],
        services=dict,
        watchdog=WatchdogState,
        inhibits=tuple,
    )


def median_ms(work: Callable[[], object]) -> tuple[float, float]:
    """Return the median and the worst of some rounds, in processor time: other programs count for little."""
    took = []
    for _ in range(_ROUNDS):
        begun_s = time.thread_time()
        work()
        took.append((time.thread_time() - begun_s) * 1e3)
    return statistics.median(took), max(took)


def scrapes(packs: int) -> list[Row]:
    """What a scrape of so many packs costs."""
    core = core_with(packs)
    service = MetricsService(core, Secret(), ServiceStanding("metrics", core.clock), lambda _source: None)
    made = service.scrape("")()
    loop_ms, loop_most_ms = median_ms(lambda: Picture.take(core))
    plain_ms, _ = median_ms(service.scrape(""))
    other_ms, _ = median_ms(service.scrape(_OPENMETRICS))
    packed = zlib.compress(made.text, 1)
    name = f"scrape, {packs} pack{'s' if packs > 1 else ''} of {_CELLS} cells"
    return [
        (f"{name}: on the event loop", f"{loop_ms * 1e3:.0f} us", f"most {loop_most_ms * 1e3:.0f} us"),
        (f"{name}: in the thread", f"{plain_ms:.2f} ms", ""),
        (f"{name}: as OpenMetrics", f"{other_ms:.2f} ms", ""),
        (f"{name}: values", f"{made.samples}", f"{len(made.text) / 1e3:.0f} kB, packed {len(packed) / 1e3:.1f} kB"),
    ]


def memory() -> list[Row]:
    """What the library takes of the memory of the services, once somebody has scraped."""
    took = [
        float(subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    return [("memory that the first scrape takes", f"{statistics.median(took):.1f} MB", "")]


def main() -> None:
    """Print the figures."""
    print_table([*scrapes(1), *scrapes(16), *memory()])


if __name__ == "__main__":
    main()
