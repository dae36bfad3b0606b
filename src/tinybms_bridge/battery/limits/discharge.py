"""Stage 4, discharging near empty: DCL is what brings the lowest cell just above the level where the BMS cuts the load.

The voltage of a loaded cell says little of what it can give: a limit that follows it falls with the load that it lets
through, rises with the load that it has ended, and saws. What the cell would show without the current and its
resistance say it: (V - R x I - level) / R is the same with every load. The estimate of the resistance need not be
right: the cell ends at the level with any, and a better one only gets there sooner.

Off grid a DCL of 0 switches the lights off, and is the only one that is obeyed. So it takes seconds near the level
where the BMS cuts, and resistance alone never leads to it. Then, and after a cut by the BMS itself, discharging pauses:
a cell recovers as soon as the load is off, and without a pause the same load would cut it again within seconds. Each
pause is longer than the one before, until the battery was charged.

The reasons of its numbers: charge-control.md#near-empty.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.bms_event_kinds import DISCHARGED, UNDER_VOLTAGE
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import DCL, LimitCode
from tinybms_bridge.battery.limits.resistance import MOST_OHM_AH, ResistanceMemory, cell_resistance_ohm
from tinybms_bridge.battery.quick import maker, quick, replace

__all__ = ["CALM", "LONGEST_PAUSE_S", "NO_PAUSE", "DischargeMemory", "Pause", "end_pause", "limit_discharge"]

_ABOVE_V = 0.04
"""DCL keeps the lowest cell this far above register 301: room for the delay of a GX and for what a minute of load adds
to the voltage that its resistance takes."""

_AT_ONCE_V = 0.02
"""Down from there to here the lag of DCL shrinks to nothing."""

_DOWN_S, _UP_S = 10.0, 60.0
"""Lags of DCL: a load that comes and goes within seconds moves it little, and a cell recovers within a minute."""

_STEP_SHARE = 0.03
_STEP_V = 0.005
"""A change by less than the smaller of this share of the first DCL, and what moves a cell by so much, is left out."""

_RISE_STEPS = 2.0
"""So many steps it has to be for a rise: readings with a noise of 2 mV make no turns of a limit that comes down."""

_LEAST_A = 1.0
"""What resistance leaves of DCL at the least, since 0 is a decision of its own."""

_LOW_V, _LOW_S = 0.01, 2.0
"""Below register 301 and this for so long a cell is empty: at register 301 the BMS cuts the load itself. Below register
316, where it cuts everything, a cell is empty at once."""

_FAR_V = 0.2
"""With the estimate alone a cell that is this far above register 301 under its load gives what it is asked for: the
estimate may be three times what it is, and in frost would hold back a battery that is full."""

_SAGS_V, _SAGS_REST_V, _SAGS_S = 0.03, 0.15, 10.0
"""So is one that is below the first of these under load, and would be below the second without it: what is so near
empty at rest will not recover under any load. A strong load of seconds alone does not show that, and a load that obeys
DCL is given less instead."""

_ROOM_SHARE, _ROOM_A = 0.1, 2.0
"""Above DCL: what a GX makes of it, and the offset of a sensor."""

_AGAIN_V = 0.06
"""No pause ends before the lowest cell, without load, is this far above register 301: anything would bring it back."""

_FIRST_S, LONGEST_PAUSE_S = 60.0, 900.0
"""A cell settles within the first; the longest has four starts of an inverter in an hour."""

_FORGOTTEN_S = 21600.0
_CHARGED_SHARE = 0.1
"""After so long, or so much charge, an empty battery is one for the first time again."""

_CHARGED_V, _CHARGED_S = 0.1, 60.0
"""Charge for so long, with the lowest cell this far above register 301 but for what the current adds, ends a pause."""

_CUTS = frozenset({UNDER_VOLTAGE, DISCHARGED})
"""Events with which the BMS has cut the load because a cell is empty."""


@quick
@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of discharging; it survives a restart."""

    on: bool = False
    length_s: float = 0.0
    """Of this or the last one; 0 before the first."""
    since_s: float = 0.0
    """Time since it began; while the bridge is off it stands still."""
    charged_ah: float = 0.0
    """Charge that went in since, less what came out."""

    @property
    def left_s(self) -> float:
        """Time until it may end."""
        return max(0.0, self.length_s - self.since_s) if self.on else 0.0


NO_PAUSE = Pause()


@quick
@dataclass(frozen=True, slots=True)
class DischargeMemory:
    """What is remembered of the discharge."""

    pause: Pause = NO_PAUSE
    emptied: bool = False
    """The user's curve has left nothing of DCL, and the cell has not recovered since; it survives a restart."""
    limit_a: float | None = None
    """DCL by resistance, without its steps; None where it holds nothing back."""
    held_a: float | None = None
    """The same in its steps."""
    low_s: float | None = None
    """For how long the lowest cell has been at the level where the BMS cuts; None = it is not."""
    sagging_s: float | None = None
    """For how long it has been near it, under load and at rest."""
    charging_s: float = 0.0
    """For how long charge has flowed into a cell that is above it."""
    cut: bool = False
    """The BMS has cut the load, and has not given it back."""


CALM = DischargeMemory()
"""Far from empty: nothing is remembered, and nothing is worked out."""


@quick
@dataclass(frozen=True, slots=True)
class _Lowest:
    """The lowest cell and what it can give."""

    above_v: float
    """Its voltage above register 301."""
    rested_v: float
    """The same without the current."""
    gives_a: float
    """Current with which the first cell is where DCL keeps it."""
    ohm: float
    """The largest resistance of any cell."""
    learned: bool


_new_memory, _new_pause, _new_lowest = maker(DischargeMemory), maker(Pause), maker(_Lowest)


def limit_discharge(
    draft: Draft,
    context: Context,
    memory: DischargeMemory,
    resistance: ResistanceMemory,
    elapsed_s: float,
    *,
    fresh: bool = True,
    starting: bool = False,
) -> DischargeMemory:
    """Lower DCL near empty; return the memory after ``elapsed_s`` more seconds, which stands still unless ``fresh``.

    ``starting``: no DCL was in force before, from which it could come down.
    """
    snapshot, base_a = context.snapshot, draft.first(DCL)
    left = context.curves["discharge_by_cell_voltage"].at(snapshot.cells.min_v)
    calm = memory is CALM and left > 0.0 and not snapshot.open_events
    if calm and _is_far(context, resistance, base_a):
        return memory
    lowest = _lowest(context, resistance)
    if calm and lowest.above_v > _SAGS_V and lowest.gives_a >= base_a:
        return memory
    if fresh:
        pause, low_s, sagging_s, charging_s, cut = _judge(memory, context, lowest, elapsed_s)
        limit_a, held_a = _follow(memory, base_a, lowest, elapsed_s, at_once=starting or pause.on)
        emptied = left <= 0.0 or (memory.emptied and left < context.curves["discharge_by_cell_voltage"].most)
        memory = _new_memory(pause, emptied, limit_a, held_a, low_s, sagging_s, charging_s, cut)
    _lower(draft, context, memory)
    return CALM if memory == CALM else memory


def end_pause(memory: DischargeMemory) -> DischargeMemory:
    """Return the memory after a person has ended the pause: the next one is a first one again."""
    return replace(memory, pause=NO_PAUSE, low_s=None, sagging_s=None, charging_s=0.0)


def _is_far(context: Context, resistance: ResistanceMemory, base_a: float) -> bool:
    """Return whether the cells give the first DCL in any cold; nothing more is to be asked then."""
    snapshot, ratings = context.snapshot, context.ratings
    factors = resistance.bounds_of(snapshot.cells.count)
    above_v = snapshot.cells.min_v - ratings.fully_discharged_cell_v
    if not factors:
        return above_v > _FAR_V
    most_ohm = MOST_OHM_AH * max(factors) / max(ratings.capacity_ah, 1e-9)
    return above_v - _ABOVE_V > most_ohm * max(0.0, base_a + snapshot.pack.current_a)


def _lowest(context: Context, resistance: ResistanceMemory) -> _Lowest:
    cells, ratings = context.snapshot.cells, context.ratings
    current_a, level_v = context.snapshot.pack.current_a, ratings.fully_discharged_cell_v + _ABOVE_V
    usual_ohm = cell_resistance_ohm(ratings.capacity_ah, context.snapshot.temperatures.coldest_c)
    factors = resistance.bounds_of(cells.count)
    above_v = cells.min_v - ratings.fully_discharged_cell_v
    if not usual_ohm > 0.0:
        return _new_lowest(above_v, above_v, math.inf, 0.0, learned=False)
    if not factors:
        gives_a = math.inf if above_v > _FAR_V else (above_v - _ABOVE_V) / usual_ohm - current_a
        return _new_lowest(above_v, above_v - current_a * usual_ohm, gives_a, usual_ohm, learned=False)
    ohm, factor = usual_ohm * max(factors), factors[cells.min_number - 1]
    room_v = min([(cell_v - level_v) / factor for cell_v, factor in zip(cells.voltages_v, factors, strict=True)])
    gives_a, learned = room_v / usual_ohm - current_a, bool(resistance.factors)
    return _new_lowest(above_v, above_v - current_a * usual_ohm * factor, gives_a, ohm, learned)


def _judge(
    memory: DischargeMemory, context: Context, lowest: _Lowest, elapsed_s: float
) -> tuple[Pause, float | None, float | None, float, bool]:
    """Return the pause, the times that lead to one and out of it, and whether the BMS has cut the load."""
    snapshot, ratings, pause = context.snapshot, context.ratings, memory.pause
    current_a, capacity_ah = snapshot.pack.current_a, ratings.capacity_ah
    cut = not _CUTS.isdisjoint(snapshot.open_events)
    low_s = _lasting_s(memory.low_s, lowest.above_v < _LOW_V, elapsed_s)
    obeyed = memory.held_a is not None and -current_a <= (1.0 + _ROOM_SHARE) * memory.held_a + _ROOM_A
    sags = lowest.learned and not obeyed and lowest.above_v < _SAGS_V and lowest.rested_v < _SAGS_REST_V
    sagging_s = _lasting_s(memory.sagging_s, sags, elapsed_s)
    charges = current_a > ratings.least_current_a and lowest.rested_v > _CHARGED_V
    charging_s = min(memory.charging_s + elapsed_s, _CHARGED_S) if charges and pause.on else 0.0
    if pause.length_s > 0.0:
        charged_ah = max(0.0, pause.charged_ah + current_a * elapsed_s / 3600.0)
        pause = _new_pause(pause.on, pause.length_s, pause.since_s + elapsed_s, charged_ah)
    if pause.on:
        over = pause.since_s >= pause.length_s or charging_s >= _CHARGED_S
        if over and not cut and min(lowest.above_v, lowest.rested_v) >= _AGAIN_V:
            pause = replace(pause, on=False)
    elif pause.since_s >= _FORGOTTEN_S or pause.charged_ah >= _CHARGED_SHARE * capacity_ah > 0.0:
        pause = NO_PAUSE
    empty = (low_s or 0.0) >= _LOW_S or (sagging_s or 0.0) >= _SAGS_S
    empty = empty or snapshot.cells.min_v < ratings.under_voltage_cell_v
    if not pause.on and (empty or (cut and not memory.cut)):
        pause = Pause(True, min(2.0 * pause.length_s, LONGEST_PAUSE_S) or _FIRST_S)
    return pause, low_s, sagging_s, charging_s, cut


def _lasting_s(before_s: float | None, lasts: bool, elapsed_s: float) -> float | None:
    """Return for how long something lasts; it begins with the first sample that shows it."""
    if not lasts:
        return None
    return 0.0 if before_s is None else min(before_s + elapsed_s, _SAGS_S)


def _follow(
    memory: DischargeMemory, base_a: float, lowest: _Lowest, elapsed_s: float, *, at_once: bool
) -> tuple[float | None, float | None]:
    """Return DCL by resistance, without and with its steps; None where it is what the first stage has set, or more."""
    most_a = base_a * (1.0 + _STEP_SHARE)  # a little above, so that a rise comes to its end
    target_a = min(max(lowest.gives_a, min(_LEAST_A, base_a)), most_a)
    before_a = base_a if memory.limit_a is None else memory.limit_a
    near = max(0.0, min(1.0, (lowest.above_v - _AT_ONCE_V) / (_ABOVE_V - _AT_ONCE_V)))
    lag_s = 0.0 if at_once else _UP_S if target_a > before_a else _DOWN_S * near
    limit_a = target_a if lag_s <= 0.0 else before_a + (target_a - before_a) * elapsed_s / (elapsed_s + lag_s)
    if not limit_a < base_a:
        return None, None
    held_a = base_a if memory.held_a is None else memory.held_a
    step_a = _STEP_SHARE * base_a if not lowest.ohm > 0.0 else min(_STEP_SHARE * base_a, _STEP_V / lowest.ohm)
    step_a *= _RISE_STEPS if limit_a > held_a else 1.0
    if at_once or abs(limit_a - held_a) > step_a or (limit_a < held_a and near <= 0.0):
        held_a = limit_a
    return limit_a, held_a if held_a < base_a else None


def _lower(draft: Draft, context: Context, memory: DischargeMemory) -> None:
    """Lower DCL to what is remembered; the last cause is the one that binds."""
    cells, empty_v = context.snapshot.cells, context.ratings.fully_discharged_cell_v
    cell = cells.min_number
    if memory.held_a is not None:
        level_v = empty_v + _ABOVE_V
        draft.lower(DCL, memory.held_a, LimitCode.NEAR_EMPTY, value=cells.min_v, threshold=level_v, cell=cell)
    if memory.emptied:
        draft.lower(DCL, 0.0, LimitCode.CELL_VOLTAGE, value=cells.min_v, threshold=0.0, cell=cell)
    if memory.pause.on:
        wait_s = float(math.ceil(memory.pause.left_s))
        draft.lower(DCL, 0.0, LimitCode.EMPTY, value=cells.min_v, threshold=empty_v, cell=cell, wait_s=wait_s)
