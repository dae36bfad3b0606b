"""Stage 2: the six charge states of the seed, with hysteresis, a memory of FLOAT, and a cap on every hold.

Order of precedence: SUSTAIN (nearly empty), IMBALANCE_HOLD (cells differ), FLOAT (latched from ``float_soc``, unless
the cells contradict, down to ``float_exit``), then FLOAT_APPROACH, TRANSITION and BULK by SOC. A state that is held
stays until SOC is ``soc_hysteresis`` below its threshold.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import ChargeState, LimitCode, Quantity
from tinybms_bridge.battery.limits.settings import StateSettings

__all__ = ["StateMemory", "apply_state", "next_state"]


@dataclass(frozen=True, slots=True)
class StateMemory:
    """What the state machine remembers; all of it survives a restart."""

    state: ChargeState = ChargeState.BULK
    float_latched: bool = False
    """FLOAT was reached and SOC has not fallen below ``float_exit`` since."""
    hold_elapsed_s: float = 0.0
    """Time spent in holds because of the present imbalance."""
    hold_spent: bool = False
    """The present imbalance has used up its hold; cleared when the cells come together."""
    float_capped: bool = False
    """The cells have come to their charge voltage since FLOAT began: CCL is that of FLOAT."""


def next_state(
    memory: StateMemory,
    soc_percent: float,
    delta_mv: float,
    settings: StateSettings,
    elapsed_s: float,
    *,
    full: bool = False,
    at_voltage: bool = True,
    soc_counts: bool = True,
    until_full: bool = False,
    near_top: bool = True,
    far_from_top: bool = False,
) -> StateMemory:
    """Return the memory after ``elapsed_s`` more seconds with this SOC and cell difference.

    ``full``: the battery counts as full whatever its SOC. ``at_voltage``: its highest cell is at the charge voltage;
    before, the small current of FLOAT would only keep it from getting there. ``soc_counts``: the cells do not
    contradict a high SOC; a counter drifts, and FLOAT on its word alone would leave the battery half charged.
    ``until_full``: nothing but full ends this charge. ``near_top``: the cells are where a difference matters; at the
    bottom and on the plateau of LFP it says nothing, and no hold begins. ``far_from_top``: well below there, where a
    hold ends as well.
    """
    if not settings.enabled:
        return StateMemory()
    begins = soc_counts and soc_percent >= settings.float_soc_percent
    goes_on = memory.float_latched and soc_percent >= settings.float_exit_soc_percent
    latched = full or ((begins or goes_on) and not until_full)
    capped = latched and (full or at_voltage or memory.float_capped)
    if _sustains(memory.state, soc_percent, settings):
        spent = memory.hold_spent and delta_mv > settings.imbalance_release_mv
        return StateMemory(ChargeState.SUSTAIN, latched, hold_spent=spent, float_capped=capped)
    held_s, spent = _held(memory, delta_mv, settings, elapsed_s)
    # A full battery gains nothing by a hold: FLOAT balances as well.
    if not spent and not full and _holds(memory.state, delta_mv, settings, near_top, far_from_top):
        return StateMemory(ChargeState.IMBALANCE_HOLD, latched, held_s, float_capped=capped)
    return StateMemory(_by_soc(memory.state, latched, soc_percent, settings), latched, held_s, spent, capped)


def apply_state(draft: Draft, context: Context, memory: StateMemory) -> None:
    """Lower the draft to what the state allows (reference firmware, section 5.2)."""
    states = context.settings.states
    if not states.enabled:
        return
    target_v = draft[Quantity.CVL]
    match memory.state:
        case ChargeState.FLOAT_APPROACH:
            _lower_cvl(draft, target_v - states.float_approach_offset_v, context, memory)
        case ChargeState.FLOAT:
            _lower_cvl(draft, target_v - states.float_offset_v, context, memory)
            if memory.float_capped:
                _cap_float_current(draft, states, memory)
        case ChargeState.IMBALANCE_HOLD:
            if memory.float_latched:  # an imbalance must not raise the CVL of FLOAT
                _lower_cvl(draft, target_v - states.float_offset_v, context, memory)
            _apply_hold(draft, target_v, context, memory)
            _cap_float_current(draft, states, memory)
        case ChargeState.SUSTAIN:
            _apply_sustain(draft, context)
        case ChargeState.BULK | ChargeState.TRANSITION:
            pass


def _sustains(state: ChargeState, soc_percent: float, settings: StateSettings) -> bool:
    if settings.sustain_exit_soc_percent <= settings.sustain_entry_soc_percent:
        return False
    if state is ChargeState.SUSTAIN:
        return soc_percent < settings.sustain_exit_soc_percent
    return soc_percent <= settings.sustain_entry_soc_percent


def _held(memory: StateMemory, delta_mv: float, settings: StateSettings, elapsed_s: float) -> tuple[float, bool]:
    """Return the time in holds, and whether the present imbalance has used it up."""
    if delta_mv <= settings.imbalance_release_mv:
        return 0.0, False
    holding = memory.state is ChargeState.IMBALANCE_HOLD
    held_s = memory.hold_elapsed_s + (elapsed_s if holding else 0.0)
    spent = memory.hold_spent or held_s >= settings.imbalance_hold_max_s
    return (0.0 if spent else held_s), spent


def _holds(state: ChargeState, delta_mv: float, settings: StateSettings, near_top: bool, far_from_top: bool) -> bool:
    if delta_mv <= settings.imbalance_release_mv:
        return False
    if state is ChargeState.IMBALANCE_HOLD:
        return not far_from_top
    return near_top and delta_mv > settings.imbalance_hold_mv


def _by_soc(before: ChargeState, latched: bool, soc_percent: float, settings: StateSettings) -> ChargeState:
    def reached(threshold_percent: float, state: ChargeState) -> bool:
        kept = settings.soc_hysteresis_percent if before is state else 0.0
        return soc_percent >= threshold_percent - kept

    if latched:
        return ChargeState.FLOAT
    if reached(settings.transition_soc_percent, ChargeState.FLOAT_APPROACH):
        return ChargeState.FLOAT_APPROACH
    if reached(settings.bulk_soc_percent, ChargeState.TRANSITION):
        return ChargeState.TRANSITION
    return ChargeState.BULK


def _lower_cvl(draft: Draft, limit_v: float, context: Context, memory: StateMemory) -> None:
    limit_v = max(limit_v, context.floor_v)
    soc_percent = context.snapshot.pack.soc_percent
    draft.lower(Quantity.CVL, limit_v, LimitCode.STATE, value=soc_percent, detail=memory.state)


def _cap_float_current(draft: Draft, states: StateSettings, memory: StateMemory) -> None:
    if states.minimum_ccl_in_float_a > 0.0:
        draft.lower(Quantity.CCL, states.minimum_ccl_in_float_a, LimitCode.STATE, detail=memory.state)


def _apply_hold(draft: Draft, target_v: float, context: Context, memory: StateMemory) -> None:
    states, delta_mv = context.settings.states, context.snapshot.cells.delta_mv
    excess_mv = max(0.0, delta_mv - states.imbalance_hold_mv)
    drop_v = min(states.imbalance_drop_max_v, excess_mv * states.imbalance_drop_v_per_mv)
    draft.lower(
        Quantity.CVL,
        max(target_v - drop_v, context.floor_v),
        LimitCode.IMBALANCE,
        value=delta_mv,
        threshold=states.imbalance_hold_mv,
        detail=memory.state,
    )


def _apply_sustain(draft: Draft, context: Context) -> None:
    states = context.settings.states
    cell_v = context.preset.sustain_v if states.sustain_cell_v is None else states.sustain_cell_v
    sustain_v = states.sustain_voltage_v or cell_v * context.ratings.series_cells
    for quantity, limit in (
        (Quantity.CVL, max(sustain_v, context.floor_v)),
        (Quantity.CCL, states.sustain_ccl_a),
        (Quantity.DCL, states.sustain_dcl_a),
    ):
        draft.lower(
            quantity,
            limit,
            LimitCode.SUSTAIN,
            value=context.snapshot.pack.soc_percent,
            threshold=states.sustain_exit_soc_percent,
        )
