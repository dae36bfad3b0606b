"""Builders of one step's inputs for tests of single stages, and an engine with its clock in the hand of the test."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    Limits,
    LimitSettings,
    Memory,
    Quantity,
    RateMemory,
    SocSource,
    step,
)
from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Reason
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Ratings, Snapshot, Temperatures

BEFORE = LimitSettings(defaults=ChargeDefaults.BEFORE)
"""The figures of single stages are about values around register 300; those by chemistry have tests of their own."""


@pytest.fixture(scope="session", name="sample")
def _sample(make_snapshot: Callable[..., Snapshot]) -> Callable[..., Snapshot]:
    """Return a builder of samples that also takes fields of ``PackValues``, bits of cells, temperatures and events."""

    def build(
        *,
        temperatures_c: tuple[float | None, ...] = (25.0,),
        open_events: tuple[int, ...] = (),
        cause_unread: bool = False,
        pack: dict[str, Any] | None = None,
        cell_bits: dict[str, Any] | None = None,
        **more: Any,
    ) -> Snapshot:
        snapshot = make_snapshot(**more)
        cells = replace(snapshot.cells, **cell_bits) if cell_bits else snapshot.cells
        return replace(
            snapshot,
            pack=replace(snapshot.pack, **(pack or {})),
            cells=cells,
            temperatures=Temperatures(*temperatures_c),
            open_events=open_events,
            cause_unread=cause_unread,
        )

    return build


@pytest.fixture(scope="session", name="context")
def _context(sample: Callable[..., Snapshot]) -> Callable[..., Context]:
    """Return a builder of the context of one step: settings first, then what ``sample`` takes."""

    def build(settings: LimitSettings | None = None, **more: Any) -> Context:
        snapshot: Snapshot = sample(**more)
        assert snapshot.ratings is not None
        return make_context(snapshot, snapshot.ratings, settings or BEFORE)

    return build


@pytest.fixture(scope="session")
def make_draft() -> Callable[..., Draft]:
    """Return a builder of a draft as the stages before may leave it: CVL, CCL, DCL, and the CVL of a stop."""

    def build(cvl_v: float = 58.4, ccl_a: float = 50.0, dcl_a: float = 100.0, stop_v: float = 53.6) -> Draft:
        limits = {Quantity.CVL: cvl_v, Quantity.CCL: ccl_a, Quantity.DCL: dcl_a}
        draft = Draft({quantity: Reason(quantity, LimitCode.CONFIGURED, limit) for quantity, limit in limits.items()})
        draft.stop_v = stop_v
        return draft

    return build


@dataclass
class _Engine:
    """The engine with its memory and its clock; every sample is good."""

    sample: Callable[..., Snapshot]
    counts: Callable[[Memory, Snapshot], bool]
    settings: LimitSettings = field(default_factory=lambda: BEFORE)
    memory: Memory = field(default_factory=Memory)
    now_s: float = 1000.0
    number: int = 0
    snapshot: Snapshot | None = None
    limits: Limits | None = None

    def offer(self, *, every_s: float = 0.1, **more: Any) -> Limits | None:
        """Hand over one sample; return what was decided, if anything."""
        self.now_s += every_s
        self.number += 1
        self.snapshot = self.sample(sequence=self.number, taken_at_s=self.now_s, **more)
        self.limits, self.memory = step(self.snapshot, self.settings, self.memory, self.now_s)
        return self.limits

    def feed(self, count: int = 1, **more: Any) -> Limits:
        """Hand over equal samples; return what was decided from the last one.

        What is new is read again at once until it counts, as the bridge does.
        """
        for _ in range(count):
            self.offer(**more)
            for _ in range(2):
                if self.snapshot is not None and not self.counts(self.memory, self.snapshot):
                    self.offer(**{**more, "every_s": 0.1})
        assert self.limits is not None
        return self.limits

    def last_for(self, seconds: float, *, every_s: float = 1.0, **more: Any) -> Limits:
        """Hand over equal samples for some time."""
        return self.feed(max(1, round(seconds / every_s)), every_s=every_s, **more)

    def wait(self, seconds: float, *, every_s: float = 0.5) -> Limits | None:
        """Let time pass without a sample."""
        for _ in range(round(seconds / every_s)):
            self.now_s += every_s
            self.limits, self.memory = step(self.snapshot, self.settings, self.memory, self.now_s)
        return self.limits

    def restart(self) -> None:
        """Start anew with what is saved; the clock and the numbers begin again."""
        document = json.dumps(SavedState.of(EnergyTotals(), self.memory).to_document())
        self.memory = SavedState.from_document(json.loads(document)).memory
        self.now_s, self.number, self.snapshot, self.limits = 5.0, 0, None, None


@pytest.fixture(scope="session")
def make_engine(
    sample: Callable[..., Snapshot], counts: Callable[[Memory, Snapshot], bool], unramped: RateMemory
) -> Callable[..., _Engine]:
    """Return a builder of engines.

    The first sample already counts unless ``start_samples`` says otherwise, and then its limits are no rise unless
    ``ramped`` says so. The state of charge is that of the samples unless ``soc_source`` says otherwise.
    """

    def build(
        settings: LimitSettings | None = None,
        *,
        start_samples: int = 1,
        ramped: bool = False,
        soc_source: SocSource = SocSource.BMS,
        **more: Any,
    ) -> _Engine:
        settings = replace(settings or BEFORE, soc_source=soc_source)
        freshness = replace(settings.freshness, start_samples=start_samples)
        memory = Memory() if ramped else Memory(rates=unramped)
        return _Engine(sample, counts, replace(settings, freshness=freshness), memory, **more)

    return build


@pytest.fixture(scope="session")
def li_ion(make_ratings: Callable[..., Ratings]) -> Ratings:
    """Settings of a 14-cell Li-ion pack: 4.15 V full, 3.00 V empty, cutoff 4.25 V."""
    return make_ratings(
        series_cells=14, fully_charged_cell_v=4.15, fully_discharged_cell_v=3.0, over_voltage_cell_v=4.25
    )


@pytest.fixture(scope="session")
def lto(make_ratings: Callable[..., Ratings]) -> Ratings:
    """Settings of a 12-cell LTO pack: 2.65 V full, 1.80 V empty, cutoffs 1.70 and 2.80 V."""
    return make_ratings(
        series_cells=12,
        fully_charged_cell_v=2.65,
        fully_discharged_cell_v=1.8,
        over_voltage_cell_v=2.80,
        under_voltage_cell_v=1.7,
    )
