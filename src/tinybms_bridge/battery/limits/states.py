"""Stage 2: the six charge states of the ESP32 firmware, with hysteresis, a memory of FLOAT, and a cap on every hold.

Order of precedence: SUSTAIN (nearly empty), IMBALANCE_HOLD (cells differ), FLOAT (latched from ``float_soc``, unless
the cells contradict, down to ``float_exit``), then FLOAT_APPROACH, TRANSITION and BULK by SOC. A state that is held
stays until SOC is ``soc_hysteresis`` below its threshold.

No state rests on the counted SOC alone, which drifts: the cells have to agree, or not to contradict where they cannot
know. Without a count that is known they decide alone.

The reasons of its numbers: charge-control.md#stage-2-charge-state-and-wishes.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits.charging import FloatRule
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, ChargeState, LimitCode
from tinybms_bridge.battery.limits.resistance import current_adds_v
from tinybms_bridge.battery.limits.settings import StateSettings
from tinybms_bridge.battery.quick import maker, quick

__all__ = ["CellsSay", "StateMemory", "apply_state", "cells_say", "next_state"]

_RECOVERED_S = 60.0
"""SUSTAIN ends when the lowest cell has rested above its end for so long: longer than a cloud or a load."""

_RECOVERED_V = 0.07
"""How far the lowest cell has to rest above where SUSTAIN began: more than the estimate of its resistance is off."""

_FED_IN_S = 60.0
"""A GX needs seconds to follow a new limit, and chargers some more; who charges on after this time obeys no CCL."""


@quick
@dataclass(frozen=True, slots=True)
class CellsSay:
    """What the cells say about the state of charge; as a rule they do not contradict."""

    empty: bool = True
    """The lowest one is nearly empty."""
    recovered: bool = False
    """It is clearly not, any more."""
    near_full: bool = True
    """They may be as full as a high count says."""
    fell: bool = False
    """They are clearly not full any more."""
    held: bool = True
    """The highest one is at the target without its current, so that a hold leaves no more than its small current."""
    at_voltage: bool = True
    """They are where FLOAT keeps them; before, its small current would only keep them from there."""
    below_float: bool = False
    """They are clearly below, so that FLOAT may charge them again."""
    below_held: bool = False
    """The highest one is clearly below the target, so that a hold may charge them on."""
    near_top: bool = True
    """They are where a difference matters; at the bottom and on the plateau of LFP it says nothing."""
    far_from_top: bool = False
    """They are well below there, where a hold ends as well."""


_HELD_HYSTERESIS_V = 0.04
"""How far the highest cell without its current may fall before a hold charges on with what its voltage allows."""

_BULK, _TRANSITION, _FLOAT_APPROACH, _FLOAT, _IMBALANCE_HOLD, _SUSTAIN = ChargeState

_AGREE = CellsSay()
_BY_SOC = FloatRule()


@quick
@dataclass(frozen=True, slots=True)
class StateMemory:
    """What the state machine remembers; all of it survives a restart."""

    state: ChargeState = _BULK
    float_latched: bool = False
    """FLOAT was reached and SOC has not fallen below ``float_exit`` since."""
    hold_elapsed_s: float = 0.0
    """Time spent in holds because of the present imbalance."""
    hold_spent: bool = False
    """The present imbalance has used up its hold; cleared when the cells come together."""
    hold_capped: bool = True
    """The highest cell has come to the target in this hold: CCL is that of a hold."""
    float_capped: bool = False
    """The cells have come to their charge voltage since FLOAT began: CCL is that of FLOAT."""
    recovered_s: float = 0.0
    """Time in which the lowest cell has rested above the end of SUSTAIN."""
    fed_in_s: float = 0.0
    """Time in SUSTAIN in which clearly more was charged than CCL allows; what has reached its end stays there."""


_new_memory, _new_word = maker(StateMemory), maker(CellsSay)


def cells_say(context: Context) -> CellsSay:
    """Return what the cells of this sample say; what hangs on rest is averaged but for the beginning of SUSTAIN."""
    rest, cells = context.rest, context.snapshot.cells
    lowest_v = cells.min_v - current_adds_v(context.snapshot, context.ratings)
    max_v, empty_v = cells.max_v, context.preset.empty_v
    return _new_word(
        empty=lowest_v < empty_v,
        recovered=lowest_v >= empty_v + _RECOVERED_V,
        near_full=rest.max_v >= context.near_full_cell_v and context.others_near_full,
        fell=rest.max_v < context.no_longer_full_cell_v,
        at_voltage=(rest.max_v if context.charging.follows_full else max_v) >= context.float_cell_v,
        below_float=rest.max_v < context.float_again_cell_v,
        held=rest.max_v >= context.hold_cap_cell_v,
        below_held=rest.max_v < context.hold_cap_cell_v - _HELD_HYSTERESIS_V,
        near_top=max_v >= context.hold_min_cell_v,
        far_from_top=max_v < context.hold_end_cell_v,
    )


def next_state(
    memory: StateMemory,
    soc_percent: float,
    delta_mv: float,
    settings: StateSettings,
    elapsed_s: float,
    cells: CellsSay = _AGREE,
    *,
    known: bool = True,
    over: bool = False,
    until_full: bool = False,
    over_ccl: bool = False,
    rule: FloatRule = _BY_SOC,
    rebulk: bool = False,
) -> StateMemory:
    """Return the memory after ``elapsed_s`` more seconds with this SOC and cell difference.

    ``known``: the count is one that the BMS has given. ``over``: the charge is over, whatever the SOC. ``until_full``:
    nothing but that ends this charge. ``over_ccl``: clearly more is charged than CCL allows. ``rebulk``: the battery
    has been discharged so far since FLOAT began that a new charge begins.
    """
    if not settings.enabled:
        return StateMemory()
    if rule.follows_full:
        begins, goes_on = False, memory.float_latched and not rebulk
    else:
        begins = known and cells.near_full and soc_percent >= rule.soc_percent
        goes_on = memory.float_latched and not cells.fell and soc_percent >= rule.exit_soc_percent
    latched = over or ((begins or goes_on) and not until_full)
    kept = memory.float_capped and not cells.below_float
    capped = latched and (kept or cells.at_voltage or (over and not rule.follows_full))
    recovered_s = memory.recovered_s + elapsed_s if cells.recovered else 0.0
    if not over and _sustains(memory.state, soc_percent if known else None, cells.empty, recovered_s, settings):
        sustained = memory if memory.state is _SUSTAIN else StateMemory()
        return _new_memory(
            _SUSTAIN,
            latched,
            hold_spent=memory.hold_spent and delta_mv > settings.imbalance_release_mv,
            float_capped=capped,
            recovered_s=recovered_s,
            fed_in_s=_fed_in_s(sustained.fed_in_s, over_ccl, elapsed_s),
        )
    held_s, spent = _held(memory, delta_mv, settings, elapsed_s)
    # A full battery gains nothing by a hold: FLOAT balances as well.
    if not spent and not over and _holds(memory.state, delta_mv, settings, cells):
        hold_capped = cells.held or (memory.hold_capped and not cells.below_held)
        return _new_memory(_IMBALANCE_HOLD, latched, held_s, float_capped=capped, hold_capped=hold_capped)
    state = _by_soc(memory.state, latched, soc_percent, settings)
    return _new_memory(state, latched, held_s, spent, hold_capped=cells.held, float_capped=capped)


def apply_state(
    draft: Draft, context: Context, memory: StateMemory, uneven: bool = False, hold_a: float | None = None
) -> None:
    """Lower the draft to what the state allows (firmware.md, 5.2).

    ``uneven``: the charge is over although the cells are far apart. ``hold_a``: the current of FLOAT and of a hold,
    where it is another than the battery's own.
    """
    states = context.settings.states
    if not states.enabled:
        return
    state, target_v = memory.state, draft[CVL]
    if state is _FLOAT_APPROACH:
        _lower_cvl(draft, target_v - states.float_approach_offset_v, context, memory)
    elif state is _FLOAT:
        _lower_cvl(draft, context.charging.float_v, context, memory, uneven)
        if memory.float_capped:
            _cap_float_current(draft, context, memory, uneven, hold_a)
    elif state is _IMBALANCE_HOLD:
        if memory.float_latched:  # an imbalance must not raise the CVL of FLOAT
            _lower_cvl(draft, context.charging.float_v, context, memory)
        _apply_hold(draft, target_v, context, memory)
        if memory.hold_capped:
            _cap_float_current(draft, context, memory, hold_a=hold_a)
    elif state is _SUSTAIN:
        _apply_sustain(draft, context, memory)


def _sustains(
    state: ChargeState, soc_percent: float | None, empty: bool, recovered_s: float, settings: StateSettings
) -> bool:
    """Return whether the battery is nearly empty: begun by count and cells, ended by either; None = not known."""
    if settings.sustain_exit_soc_percent <= settings.sustain_entry_soc_percent:
        return False
    if state is _SUSTAIN:
        low = soc_percent is None or soc_percent < settings.sustain_exit_soc_percent
        return low and recovered_s < _RECOVERED_S
    return empty and (soc_percent is None or soc_percent <= settings.sustain_entry_soc_percent)


def _fed_in_s(fed_in_s: float, over_ccl: bool, elapsed_s: float) -> float:
    if fed_in_s >= _FED_IN_S:
        return _FED_IN_S
    return min(_FED_IN_S, fed_in_s + elapsed_s) if over_ccl else max(0.0, fed_in_s - elapsed_s)


def _held(memory: StateMemory, delta_mv: float, settings: StateSettings, elapsed_s: float) -> tuple[float, bool]:
    """Return the time in holds, and whether the present imbalance has used it up."""
    if delta_mv <= settings.imbalance_release_mv:
        return 0.0, False
    holding = memory.state is _IMBALANCE_HOLD
    held_s = memory.hold_elapsed_s + (elapsed_s if holding else 0.0)
    spent = memory.hold_spent or held_s >= settings.imbalance_hold_max_s
    return (0.0 if spent else held_s), spent


def _holds(state: ChargeState, delta_mv: float, settings: StateSettings, cells: CellsSay) -> bool:
    if delta_mv <= settings.imbalance_release_mv:
        return False
    if state is _IMBALANCE_HOLD:
        return not cells.far_from_top
    return cells.near_top and delta_mv > settings.imbalance_hold_mv


def _by_soc(before: ChargeState, latched: bool, soc_percent: float, settings: StateSettings) -> ChargeState:
    kept_percent = settings.soc_hysteresis_percent
    if latched:
        return _FLOAT
    if soc_percent >= settings.transition_soc_percent - (kept_percent if before is _FLOAT_APPROACH else 0.0):
        return _FLOAT_APPROACH
    if soc_percent >= settings.bulk_soc_percent - (kept_percent if before is _TRANSITION else 0.0):
        return _TRANSITION
    return _BULK


def _lower_cvl(draft: Draft, limit_v: float, context: Context, memory: StateMemory, uneven: bool = False) -> None:
    limit_v = max(limit_v, context.floor_v)
    if uneven:
        draft.lower(CVL, limit_v, LimitCode.UNEVEN, value=context.snapshot.cells.delta_mv, detail=memory.state)
        return
    soc_percent = context.snapshot.pack.soc_percent
    draft.lower(CVL, limit_v, LimitCode.STATE, value=soc_percent, detail=memory.state)


def _cap_float_current(
    draft: Draft, context: Context, memory: StateMemory, uneven: bool = False, hold_a: float | None = None
) -> None:
    limit_a = context.charging.hold_a if hold_a is None else hold_a
    delta_mv = context.snapshot.cells.delta_mv
    if limit_a > 0.0:
        code, value = (LimitCode.UNEVEN, delta_mv) if uneven else (LimitCode.STATE, None)
        draft.lower(CCL, limit_a, code, value=value, detail=memory.state)


def _apply_hold(draft: Draft, target_v: float, context: Context, memory: StateMemory) -> None:
    states, delta_mv = context.settings.states, context.snapshot.cells.delta_mv
    excess_mv = max(0.0, delta_mv - states.imbalance_hold_mv)
    drop_v = min(states.imbalance_drop_max_v, excess_mv * states.imbalance_drop_v_per_mv)
    draft.lower(
        CVL,
        max(target_v - drop_v, context.floor_v),
        LimitCode.IMBALANCE,
        value=delta_mv,
        threshold=states.imbalance_hold_mv,
        detail=memory.state,
    )


def _apply_sustain(draft: Draft, context: Context, memory: StateMemory) -> None:
    """Lower the currents; CVL stays, and is at rest where chargers feed in and obey no CCL.

    A CVL of the user's counts down to the resting voltage: below, a pack with one weak cell would never come out of
    SUSTAIN, and a GX that feeds in would empty it further.
    """
    states = context.settings.states
    cell_v = 0.0 if states.sustain_cell_v is None else states.sustain_cell_v
    sustain_v = states.sustain_voltage_v or cell_v * context.ratings.series_cells
    limits = [(CCL, context.charging.sustain_ccl_a), (DCL, states.sustain_dcl_a)]
    if memory.fed_in_s >= _FED_IN_S:
        limits.append((CVL, context.resting_v))
    elif sustain_v > 0.0:
        limits.append((CVL, max(sustain_v, context.resting_v)))
    for quantity, limit in limits:
        draft.lower(
            quantity,
            limit,
            LimitCode.SUSTAIN,
            value=context.snapshot.pack.soc_percent,
            threshold=states.sustain_exit_soc_percent,
        )
