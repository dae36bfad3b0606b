"""From UART bytes to Victron frames, over a real pseudo-terminal."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.link.events import SnapshotRejected


async def test_the_real_units_dump_gives_the_matching_frames(run_bridge: Any, start: Any, tmp_path: Path) -> None:
    """The capture of a 14-cell unit: 55.78 V, SOC 83.55 %, and the frames a GX would show them from."""
    link = tmp_path / "bms"
    simulator = await start("simulate", "--dump", "real", "--link", str(link))
    await simulator.line()
    async with run_bridge(str(link)) as watched:
        await watched.until(lambda: watched.count(0x382) > 0)
        snapshot, limits = watched.bridge.battery.snapshot, watched.bridge.battery.limits
    assert snapshot is not None
    assert limits is not None
    assert (round(snapshot.pack.voltage_v, 2), snapshot.cells.count) == (55.78, 14)
    assert snapshot.pack.soc_percent == pytest.approx(83.554824)
    assert snapshot.cells.voltages_v[0] == 3.98
    soc, voltage = watched.last(0x355), watched.last(0x356)
    assert soc is not None
    assert voltage is not None
    assert int.from_bytes(soc[0:2], "little") == 84
    assert int.from_bytes(soc[4:6], "little") == 8355
    assert int.from_bytes(voltage[0:2], "little") == 5578
    cvl = watched.last(0x351)
    assert cvl is not None
    assert int.from_bytes(cvl[0:2], "little") == round(limits.cvl_v * 10)
    assert not {0x305, 0x307, 0x359, 0x35C, 0x360} & {f.arbitration_id for _, f in watched.frames}


ACTIVE, SOUND = 1, 2
"""A pair of bits of frame 0x35A."""


def internal_warning(watched: Any) -> int:
    """Return the pair of the warning "BMS internal" in the last frame 0x35A."""
    data = watched.last(0x35A)
    assert data is not None
    return int(data[6] >> 6)


async def test_a_killed_bms_leads_to_hold_then_silence_then_frames_again(
    run_bridge: Any, start: Any, tmp_path: Path
) -> None:
    """FRESH for 3 s, HOLD for 30 s without charging, SILENT, and back after good samples; never earlier.

    That it is not later either is shown beside a clock that the test moves (``test_bridge.py``).
    """
    link = tmp_path / "bms"
    arguments = ("simulate", "--link", str(link), "--profile", "idle", "--soc", "60")
    simulator = await start(*arguments)
    await simulator.line()
    with keeping_the_terminal(link):
        async with run_bridge(str(link)) as watched:
            pipeline = watched.bridge.battery
            await watched.until(lambda: watched.count(0x351) >= 2)
            assert internal_warning(watched) == SOUND
            assert pipeline.limits is not None
            assert pipeline.limits.ccl_a > 0

            simulator.signal(signal.SIGKILL)
            held_s = await watched.until(lambda: pipeline.freshness is Freshness.HOLD)
            assert held_s - pipeline.snapshot.taken_at_s > 3.0
            await watched.until(lambda: int.from_bytes(watched.last(0x351)[2:4], "little") == 0)
            await watched.until(lambda: internal_warning(watched) == ACTIVE)
            stopped_s, hold = watched.now_s, pipeline.limits
            assert hold.ccl_a == 0.0
            assert hold.dcl_a > 0.0
            assert hold.cvl_v <= 16 * 3.35

            silent_s = await watched.until(lambda: pipeline.freshness is Freshness.SILENT)
            assert silent_s - pipeline.snapshot.taken_at_s > 33.0
            await asyncio.sleep(0.2)
            count = len(watched.frames)
            await asyncio.sleep(2.5)
            assert len(watched.frames) == count, "a silent bridge sends nothing at all"
            in_hold = [f for at_s, f in watched.frames if at_s > stopped_s and f.arbitration_id == 0x351]
            assert len(in_hold) >= 10
            assert {f.data[2:4] for f in in_hold} == {b"\0\0"}

            again = await start(*arguments)
            await again.line()
            await watched.until(lambda: pipeline.freshness is Freshness.FRESH)
            await watched.until(lambda: len(watched.frames) > count + 5)
            await watched.until(lambda: int.from_bytes(watched.last(0x351)[2:4], "little") > 0)
            sent = [f for _, f in watched.frames[count:] if f.arbitration_id == 0x351]
            currents_da = [int.from_bytes(frame.data[2:4], "little") for frame in sent]
            assert next(filter(None, currents_da)) < 900, "the charge current rises to 90 A by a ramp"
            await watched.until(lambda: internal_warning(watched) == SOUND)


@contextmanager
def keeping_the_terminal(path: Path) -> Iterator[None]:
    """Keep the number of a terminal until the end: whoever opens the path of a simulator that was killed finds nobody.

    The system would give it to the next terminal, of whatever program.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield
    finally:
        os.close(descriptor)


async def test_frames_are_spread_over_the_second(run_bridge: Any, start: Any, tmp_path: Path) -> None:
    """One burst a second, 0x351 first, its frames not at once: a flood breaks the detection by a GX."""
    link = tmp_path / "bms"
    simulator = await start("simulate", "--link", str(link), "--profile", "idle")
    await simulator.line()
    async with run_bridge(str(link)) as watched:
        await watched.until(lambda: watched.count(0x351) >= 6)
    sent = watched.frames
    starts_s = [at_s for at_s, frame in sent if frame.arbitration_id == 0x351]
    assert sent[0][1].arbitration_id == 0x351
    assert median(b - a for a, b in pairwise(starts_s)) > 2.0 / 3.0  # a machine that is busy delays some, not most
    assert median(b[0] - a[0] for a, b in pairwise(sent)) > 0.01
    assert {0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, 0x373, 0x378, 0x379} <= {f.arbitration_id for _, f in sent}


async def test_a_missing_cell_wire_is_never_sent(run_bridge: Any, start: Any, tmp_path: Path) -> None:
    """A unit that reports 0 mV or 65535 mV for a configured cell starts no frames, and the reason is known."""
    for raw in (0, 65535):
        dump = json.loads(_real_dump().read_text())
        dump["registers"]["7"] = raw
        file, link = tmp_path / f"cell-{raw}.json", tmp_path / f"bms-{raw}"
        file.write_text(json.dumps(dump))
        simulator = await start("simulate", "--dump", str(file), "--link", str(link))
        await simulator.line()
        async with run_bridge(str(link)) as watched:
            await watched.until(lambda: watched.bridge.battery.rejected >= 5)
            await asyncio.sleep(0.3)
            rejected = watched.bridge.bus.latest(SnapshotRejected)
        assert watched.frames == []
        assert rejected is not None
        assert "cell 6" in str(rejected.event.verdict)


def _real_dump() -> Path:
    import tinybms_lab.bms as room

    (found,) = (Path(room.__file__).parent / "data").glob("*.json")
    return found


async def test_energy_and_charge_state_survive_a_restart(run_bridge: Any, start: Any, tmp_path: Path) -> None:
    """What was counted is written when the bridge stops."""
    link = tmp_path / "bms"
    simulator = await start("simulate", "--link", str(link), "--profile", "300:+40", "--soc", "90")
    await simulator.line()
    async with run_bridge(str(link)) as watched:
        await watched.until(lambda: watched.bridge.battery.energy.charged_wh > 0.2)
    document = json.loads(watched.storage.data or b"{}")
    saved = document["units"][document["unit"]]
    assert saved["energy"]["charged_wh"] > 0.2
    assert saved["charge"]["state"] == "FLOAT_APPROACH"
