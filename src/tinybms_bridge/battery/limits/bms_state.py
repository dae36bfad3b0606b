"""Stage 5: a fault of the BMS caps the direction that the BMS itself cuts, and only that direction.

Register 50 says only "fault"; the cause comes from the open events of the BMS (protocol reference, sections 3 and
5.1), and what some of them cut hangs on the switches of the unit. A fault that is not known, or not known to cut
anything, stops charging, never the loads: off grid a DCL of 0 switches the lights off, and a BMS that wants the loads
off has cut them already.
"""

from tinybms_bridge.battery.bms_event_kinds import Severity, Stops, kind_of
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import DCL, LimitCode
from tinybms_bridge.battery.snapshot import BmsStatus

__all__ = ["obey_bms"]

_UNKNOWN = "a fault of unknown cause"


def obey_bms(draft: Draft, context: Context) -> None:
    """Set the current limits to 0 in the directions that the BMS cuts; a charge stop lowers CVL as well.

    Settings of the BMS that contradict each other stop charging, too: with register 300 at or above 315 no curve of
    charging lies between them, and nobody knows which of them is wrong.
    """
    snapshot, ratings = context.snapshot, context.ratings
    full_v, cutoff_v = ratings.fully_charged_cell_v, ratings.over_voltage_cell_v
    if full_v >= cutoff_v:
        draft.stop_charge(0.0, LimitCode.CROSSED_CUTOFFS, value=full_v, threshold=cutoff_v)
    if not snapshot.open_events and snapshot.pack.status is not BmsStatus.FAULT and not snapshot.cause_unread:
        return
    kinds = [kind_of(number) for number in snapshot.open_events]
    causes = [(kind.text, kind.stops_with(context.ratings.switches)) for kind in kinds if kind.stops]
    if snapshot.cause_unread:
        causes.append((_UNKNOWN, Stops.CHARGE))
    elif not causes and snapshot.pack.status is BmsStatus.FAULT:
        faults = (kind.text for kind in kinds if kind.severity is Severity.FAULT)
        causes = [(next(faults, _UNKNOWN), Stops.CHARGE)]
    for text, stops in causes:
        if Stops.CHARGE in stops:
            draft.stop_charge(0.0, LimitCode.BMS_FAULT, detail=text)
        if Stops.DISCHARGE in stops:
            draft.lower(DCL, 0.0, LimitCode.BMS_FAULT, detail=text)
