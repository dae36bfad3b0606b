"""Builders of samples and a driver of the limit engine."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import FreshnessSettings
from tinybms_bridge.battery.limits import Limits, LimitSettings, Memory, RateMemory, SocSource, step
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot, Temperatures

LFP_16 = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.65,
    fully_discharged_cell_v=2.90,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.50,
    charge_over_current_a=60.0,
    discharge_over_current_a=120.0,
    discharge_peak_current_a=150.0,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=100.0,
)
"""A 16 cell LFP pack whose over-voltage cutoff leaves room for 58.4 V."""

UNRAMPED = RateMemory(cvl_v=math.inf, ccl_a=math.inf, dcl_a=math.inf, running=True)
"""As if everything had been allowed just before: what is decided first is no rise."""


def _snapshot(
    *,
    soc: float = 50.0,
    delta_mv: float = 20.0,
    max_cell_v: float = 3.55,
    cells_v: tuple[float, ...] | None = None,
    current_a: float = 0.0,
    sequence: int = 1,
    taken_at_s: float = 0.0,
    ratings: Ratings | None = LFP_16,
) -> Snapshot:
    if cells_v is None:
        count = 16 if ratings is None else ratings.series_cells
        cells_v = (*(max_cell_v for _ in range(count - 1)), max_cell_v - delta_mv / 1000.0)
    return Snapshot(
        sequence=sequence,
        taken_at_s=taken_at_s,
        pack=PackValues(voltage_v=sum(cells_v), current_a=current_a, soc_percent=soc),
        cells=Cells(cells_v),
        temperatures=Temperatures(internal_c=25.0),
        ratings=ratings,
        image=sequence.to_bytes(8),  # a BMS that lives: something moves with each sample
    )


def _counts(memory: Memory, snapshot: Snapshot) -> bool:
    """Return whether what was read counts."""
    counted = memory.counted
    return counted is not None and (counted.pack, counted.cells, counted.temperatures) == (
        snapshot.pack,
        snapshot.cells,
        snapshot.temperatures,
    )


def _drive(
    settings: LimitSettings,
    samples: Iterable[Mapping[str, Any]],
    *,
    memory: Memory | None = None,
    period_s: float = 1.0,
) -> list[Limits]:
    """Feed one sample a period to the engine and return what it decides; the first sample is fresh, and no rise.

    The state of charge is that of the samples.
    A sample that is new is read again at once until it counts, as the bridge does.
    """
    settings = replace(settings, freshness=FreshnessSettings(start_samples=1), soc_source=SocSource.BMS)
    memory = replace(memory or Memory(), rates=UNRAMPED)
    decided = []
    for number, sample in enumerate(samples, start=1):
        now_s = 100.0 + number * period_s
        snapshot = _snapshot(sequence=number, taken_at_s=now_s, **sample)
        limits, memory = step(snapshot, settings, memory, now_s)
        for again in range(1, 3):
            if not _counts(memory, snapshot):
                now_s += min(0.1, period_s / 4)
                snapshot = replace(snapshot, sequence=10_000 * again + number, taken_at_s=now_s)
                limits, memory = step(snapshot, settings, memory, now_s)
        assert limits is not None
        decided.append(limits)
    return decided


@pytest.fixture(scope="session")
def make_ratings() -> Callable[..., Ratings]:
    """Return a builder of sound LFP settings with the named fields changed."""
    return partial(replace, LFP_16)


@pytest.fixture(scope="session")
def unramped() -> RateMemory:
    """Return a memory of limits that no first limit rises above."""
    return UNRAMPED


@pytest.fixture(scope="session")
def counts() -> Callable[[Memory, Snapshot], bool]:
    """Return whether the memory of the engine says that a sample counts."""
    return _counts


@pytest.fixture(scope="session")
def make_snapshot() -> Callable[..., Snapshot]:
    """Return a builder of a sample of an LFP pack at rest; the pack voltage is the sum of the cells."""
    return _snapshot


@pytest.fixture(scope="session")
def drive() -> Callable[..., list[Limits]]:
    """Return a driver: settings and samples (as arguments of the builder) in, one decision for each sample out."""
    return _drive
