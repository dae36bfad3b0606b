"""Which range counts for a setting: the BMS's own where it tells one that makes sense, else the vendor's.

Some of the BMS's limits move with other settings (protocol reference, 2.3 and 5.7): they are true for the present
state and wrong for the state after a batch that changes those as well.
"""

from collections.abc import Collection

from tinybms_bridge.tinybms.settings.fields import Setting, by_name
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.values import RawRange

__all__ = ["CURRENTS", "SHAPERS", "present_range", "writable_range"]

LADDER = frozenset(
    {"fully_charged_voltage_v", "fully_discharged_voltage_v", "over_voltage_cutoff_v", "under_voltage_cutoff_v"}
)
"""Each of these four limits its neighbours; the rules judge them together."""

SHAPERS = frozenset({"operation_mode", "load_switch_type", "charger_switch_type", "single_port_switch_type"})
"""What they are decides how much current may be set."""

CURRENTS = frozenset(
    {
        "charge_finished_current_a",
        "discharge_peak_current_cutoff_a",
        "discharge_over_current_cutoff_a",
        "charge_over_current_cutoff_a",
    }
)
"""Limits of these depend on board, sensor, mode and switches."""

_PEAK, _DISCHARGE = "discharge_peak_current_cutoff_a", "discharge_over_current_cutoff_a"


def present_range(readout: Readout, setting: Setting) -> RawRange:
    """Return the range that counts now.

    The BMS's own is not believed where it is empty, zero throughout, or does not contain the present value.
    """
    documented = RawRange(*setting.register.raw_range, "vendor")
    if readout.own is None:
        return documented
    low, high = setting.raw(readout.own.minimum), setting.raw(readout.own.maximum)
    if low == high == 0 or not low <= setting.raw(readout.words) <= high:
        return documented
    return RawRange(low, high, "bms")


def writable_range(readout: Readout, setting: Setting, changing: Collection[str]) -> RawRange:
    """Return the range to hold a new value against, in a batch that changes the settings called ``changing``."""
    documented = RawRange(*setting.register.raw_range, "vendor")
    if setting.name in LADDER or (setting.name in CURRENTS and not SHAPERS.isdisjoint(changing)):
        return documented
    own = present_range(readout, setting)
    if setting.name == _PEAK and _DISCHARGE in changing:
        return RawRange(min(own.low, documented.low), own.high, own.origin)
    if setting.name == _DISCHARGE and _PEAK in changing and _bound_by_peak(readout, own.high):
        return RawRange(own.low, max(own.high, documented.high), "vendor")
    return own


def _bound_by_peak(readout: Readout, high: int) -> bool:
    """Return whether a largest discharge current is but the present peak cutoff, which the batch moves too."""
    peak = by_name(_PEAK).raw(readout.words)
    return high in {peak - 1, peak}
