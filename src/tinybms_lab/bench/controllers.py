"""What decides the limits in a run, our engine or the firmware's task, and what of it is on the bus, and when.

Frame 0x351 carries the three limits in steps of 0.1, rounded, saturated (victron-can.md, 2). A burst
goes out once a second with what was decided before; a limit that fell does not wait for it.
"""

import json
import math
from dataclasses import dataclass, replace
from typing import Protocol

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    ChargeState,
    Chemistry,
    Evidence,
    LimitSettings,
    Memory,
    chemistry_of,
    in_wire_steps,
    step,
)
from tinybms_bridge.battery.plausibility import PlausibilityMemory, PlausibilitySettings, judge
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Ratings, Snapshot
from tinybms_lab.bench.baseline import FirmwareConfig, FirmwareInput, FirmwareResult, compute
from tinybms_lab.bench.battery import floor_v
from tinybms_lab.gx.dvcc import BatteryLimits

__all__ = [
    "RESOLUTION",
    "Bursts",
    "Controller",
    "EngineController",
    "FirmwareController",
    "SentLimits",
    "Statistics",
    "firmware_config",
    "quantised",
]

RESOLUTION = 0.1
"""Volts or amperes of one step."""
_LARGEST_CURRENT_A = 3276.7
_LARGEST_VOLTAGE_V = 6553.5
_BURST_S = 1.0
"""A decision waits this long for the next burst of frames, at worst."""


@dataclass(frozen=True, slots=True)
class SentLimits(BatteryLimits):
    """What a GX gets to know; the charge state behind it, and when it was decided."""

    state: ChargeState
    decided_s: float = 0.0
    in_doubt: bool = False
    """Whether the reading that it was decided with is to be followed by the next one at once."""
    soc_percent: float = math.nan
    """State of charge in the frames."""
    balancing: bool = False
    """Whether the battery is held at a high voltage for the sake of unequal cells."""


class Bursts:
    """What is on the bus of what was decided."""

    def __init__(self) -> None:
        self.sent: SentLimits | None = None
        self._waiting: SentLimits | None = None
        self._burst_s = -math.inf

    def decide(self, decided: SentLimits | None, now_s: float, dt_s: float) -> None:
        """Take what is decided at ``now_s``, for a step of ``dt_s`` seconds.

        In steps of up to a second what was decided at the step before goes out, at the time of a burst or because a
        limit fell; a longer step holds many bursts.
        """
        before, self._waiting = self._waiting, decided
        if decided is None or dt_s > _BURST_S:
            self.sent, self._burst_s = decided, now_s
        elif now_s - self._burst_s >= _BURST_S - 1e-6 or _fell(self.sent, before):
            self.sent, self._burst_s = before, now_s


def _fell(old: BatteryLimits | None, new: BatteryLimits | None) -> bool:
    if old is None or new is None:
        return False
    return new.cvl_v < old.cvl_v or new.ccl_a < old.ccl_a or new.dcl_a < old.dcl_a


def quantised(cvl_v: float, ccl_a: float, dcl_a: float, state: ChargeState, decided_s: float = 0.0) -> SentLimits:
    """Return the limits as they arrive: rounded to the nearest step, half away from zero."""
    return SentLimits(
        _step(cvl_v, _LARGEST_VOLTAGE_V),
        _step(ccl_a, _LARGEST_CURRENT_A),
        _step(dcl_a, _LARGEST_CURRENT_A),
        state,
        decided_s,
    )


def _step(value: float, largest: float) -> float:
    return math.floor(min(max(value, 0.0), largest) * 10.0 + 0.5 + 1e-9) / 10.0


_ABOVE_FULL_V = 0.05
"""Ceiling of the firmware above full charge: 3.65 V for LFP cells that are full at 3.60 V."""

_PLAUSIBLE = PlausibilitySettings()

Statistics = tuple[float, float]
"""Largest charge and discharge current that the BMS has ever seen: registers 103 and 102."""


class Controller(Protocol):
    """Decides the limits."""

    name: str

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:
        """Return what to send at ``now_s``; ``snapshot`` is the latest sample, however old. None: nothing is sent."""
        ...

    def restart(self) -> None:
        """Forget everything that a restart of the bridge forgets."""
        ...


class EngineController:
    """The charge-limit engine of this package.

    Args:
        settings: of the engine.
        longest_step_s: longest time between two samples in calm times, which must not count as silence.

    """

    def __init__(self, settings: LimitSettings, longest_step_s: float) -> None:
        self.name = "engine"
        self._fine = settings
        patience_s = max(settings.freshness.fresh_timeout_s, 2.0 * longest_step_s)
        self._coarse = replace(settings, freshness=replace(settings.freshness, fresh_timeout_s=patience_s))
        self._memory = Memory()
        self._believed = PlausibilityMemory()
        self._last_s: float | None = None

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:  # noqa: ARG002 -- statistics are no limits
        """See ``Controller.decide``."""
        settings = self._settings(now_s)
        if snapshot is not None and snapshot.taken_at_s != self._believed.judged_at_s:
            _, self._believed = judge(self._believed, snapshot, _PLAUSIBLE)
        limits, self._memory = step(self._believed.accepted, settings, self._memory, now_s)
        if limits is None or not limits.may_send:
            return None
        limits = in_wire_steps(limits)
        sent = quantised(limits.cvl_v, limits.ccl_a, limits.dcl_a, limits.state, now_s)
        return replace(
            sent,
            in_doubt=self._memory.readings.read_again,
            soc_percent=self._soc_percent,
            balancing=limits.balancing.active,
        )

    def restart(self) -> None:
        """See ``Controller.restart``: what the bridge writes to its state file comes back, nothing else does."""
        written = json.dumps(SavedState.of(EnergyTotals(), self._memory).to_document())
        self._memory = SavedState.from_document(json.loads(written)).memory
        self._believed = PlausibilityMemory()

    @property
    def evidence(self) -> Evidence:
        """What use has shown of the battery."""
        return self._memory.evidence

    @property
    def _soc_percent(self) -> float:
        shown = self._memory.sample
        return math.nan if shown is None else shown.pack.soc_percent

    def _settings(self, now_s: float) -> LimitSettings:
        """Return the settings; after a long step of the bench a gap between samples is no sign of silence."""
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        return self._coarse if gap_s > self._fine.freshness.fresh_timeout_s / 2.0 else self._fine


class FirmwareController:
    """The task of the ESP32 firmware (firmware.md, 5.1): every 20 s, first result 20 s after boot."""

    def __init__(self, config: FirmwareConfig, period_s: float = 20.0) -> None:
        self.name = "firmware"
        self._config = config
        self._period_s = period_s
        self._result: FirmwareResult | None = None
        self._due_s: float | None = None

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:
        """See ``Controller.decide``. The age of the sample plays no part: the firmware never looks at it."""
        if snapshot is None:
            return None
        if self._due_s is None:
            self._due_s = now_s + self._period_s
        if now_s >= self._due_s:
            self._due_s += self._period_s * (1 + (now_s - self._due_s) // self._period_s)
            inputs = _inputs(snapshot, statistics)
            self._result = compute(inputs, self._config, self._result or FirmwareResult())
        return self._frame(snapshot, statistics, now_s)

    def restart(self) -> None:
        """See ``Controller.restart``: the firmware saves nothing."""
        self._result = self._due_s = None

    def _frame(self, snapshot: Snapshot, statistics: Statistics, now_s: float) -> SentLimits:
        """Return the frame; what is not above 0 is replaced (firmware.md, 3)."""
        result = self._result or FirmwareResult()
        sent = quantised(
            result.cvl_v if result.cvl_v > 0.0 else snapshot.pack.voltage_v,
            result.ccl_a if result.ccl_a > 0.0 else statistics[0],
            result.dcl_a if result.dcl_a > 0.0 else statistics[1],
            result.state,
            now_s,
        )
        return replace(sent, soc_percent=snapshot.pack.soc_percent)


def firmware_config(ratings: Ratings) -> FirmwareConfig:
    """Return the firmware's configuration for a battery: its defaults, per cell, for LFP, else scaled to the cells.

    The firmware knows LFP only. For other cells a user has to set it up; taken here is what is kindest to it: the
    target of the BMS, and a protection that begins there.
    """
    default = FirmwareConfig()
    cells = ratings.series_cells
    default = replace(default, cells=cells, target_v=default.target_v / default.cells * cells)
    if chemistry_of(ratings) is Chemistry.LFP:
        return default
    full_v, least_v = ratings.fully_charged_cell_v, floor_v(ratings, LimitSettings()) / cells
    return replace(
        default,
        target_v=full_v * cells,
        cell_max_v=full_v + _ABOVE_FULL_V,
        cell_safety_v=full_v,
        cell_release_v=full_v - (default.cell_safety_v - default.cell_release_v),
        cell_min_float_v=least_v,
        sustain_cell_v=least_v,
    )


def _inputs(snapshot: Snapshot, statistics: Statistics) -> FirmwareInput:
    return FirmwareInput(
        soc=snapshot.pack.soc_percent,
        imbalance_mv=snapshot.cells.delta_mv,
        pack_v=snapshot.pack.voltage_v,
        base_ccl_a=statistics[0],
        base_dcl_a=statistics[1],
        current_a=snapshot.pack.current_a,
        cell_max_v=snapshot.cells.max_v,
    )
