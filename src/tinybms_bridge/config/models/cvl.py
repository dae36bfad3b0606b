"""Section ``cvl`` (also ``cvl_algorithm``): the charge-limit engine.

Defaults that the README shows win over the firmware's file and code; what hangs on the chemistry is null, which means
from the BMS's own settings or from the chemistry (``battery.limits.charging``).
"""

from typing import Literal

from tinybms_bridge.config.models.base import Section, flag, number, text
from tinybms_bridge.config.models.curves import Curves

__all__ = ["Cvl"]


class Cvl(Section):
    """Charge states, cell protection and voltages."""

    enabled: bool = flag(True, "Charge states", "Use the charge states; off = bulk voltage, protections stay active.")
    chemistry: Literal["auto", "lfp", "li-ion", "lto"] = text(
        "auto", "Chemistry", "Chemistry of the cells; auto = recognised from the BMS's own settings."
    )
    series_cell_count: int | None = number(
        None, 4, 16, "", "Cells in series", "Number of cells in series; null = from the BMS (register 307)."
    )
    charge_defaults: Literal["by_chemistry", "before"] = text(
        "by_chemistry",
        "Charge defaults",
        "Values that are not set; before = those of earlier versions, around register 300.",
    )
    bulk_voltage_v: float | None = number(
        None,
        3,
        80,
        "V",
        "Bulk voltage",
        "Charge target of the pack; null = by chemistry, at most register 300 × cells.",
    )
    bulk_soc_threshold: float = number(
        80, 0, 100, "%", "End of bulk", "State of charge at which TRANSITION begins (README 80, firmware 90)."
    )
    transition_soc_threshold: float = number(
        85, 0, 100, "%", "End of transition", "State of charge at which FLOAT_APPROACH begins (README 85, firmware 95)."
    )
    float_soc_threshold: float | None = number(
        None, 0, 100, "%", "Start of float", "SOC at which FLOAT begins (README 95); null = when the battery is full."
    )
    float_exit_soc: float | None = number(
        None, 0, 100, "%", "End of float", "SOC below which FLOAT ends (README 92); null = by the cell voltage."
    )
    soc_hysteresis_percent: float = number(
        0.5, 0, 5, "%", "SOC hysteresis", "How far below its threshold a charge state is kept."
    )
    float_approach_offset_mv: float = number(
        50, 0, 5000, "mV", "Offset before float", "Pack voltage below the target in FLOAT_APPROACH."
    )
    float_offset_mv: float | None = number(
        None,
        0,
        5000,
        "mV",
        "Offset in float",
        "Pack voltage below the target in FLOAT (README 100); null = by chemistry.",
    )
    minimum_ccl_in_float_a: float | None = number(
        None,
        0,
        750,
        "A",
        "Charge current in float",
        "Highest charge current in FLOAT and IMBALANCE_HOLD; 0 = no cap; null = what balancing needs.",
    )
    keep_lost_sensor: bool = flag(
        True,
        "Keep lost sensors",
        "A lost external temperature sensor limits charging by its last reading; off = it is gone for good.",
    )
    imbalance_hold_threshold_mv: float = number(
        50, 1, 1000, "mV", "Start of a hold", "Difference of the cells above which a hold begins (firmware 100)."
    )
    imbalance_release_threshold_mv: float = number(
        20, 0, 1000, "mV", "End of a hold", "Difference of the cells at which a hold ends (firmware 30 or 50)."
    )
    imbalance_hold_max_s: float = number(
        14_400, 60, 86_400, "s", "Longest hold", "A hold ends after this time even if the cells still differ."
    )
    imbalance_min_cell_voltage_v: float | None = number(
        None, 0.8, 4.5, "V", "Holds only above", "A hold begins only with a cell above this; null = near full charge."
    )
    imbalance_drop_per_mv: float = number(
        0.0005, 0, 0.1, "V/mV", "Drop per mV", "Charge voltage taken off for each mV above the start of a hold."
    )
    imbalance_drop_max_v: float = number(
        2, 0, 10, "V", "Largest drop", "Largest reduction of the charge voltage by a hold."
    )
    over_voltage_margin_v: float = number(
        0.1, 0, 2, "V", "Margin to over-voltage", "Kept between CVL + 0.4 V and the over-voltage cutoff of the pack."
    )
    cell_max_voltage_v: float | None = number(
        None,
        1.2,
        4.5,
        "V",
        "Highest cell voltage",
        "The charge limit never exceeds this per cell; null = by chemistry.",
    )
    cell_safety_threshold_v: float | None = number(
        None, 1.2, 4.5, "V", "Start of protection", "Cell voltage at which protection begins; null = by chemistry."
    )
    cell_safety_release_v: float | None = number(
        None, 1.2, 4.5, "V", "End of protection", "Cell voltage at which protection ends; null = by chemistry."
    )
    cell_min_float_voltage_v: float | None = number(
        None, 0.8, 4.5, "V", "Floor of reductions", "No reduction goes below this per cell; null = by chemistry."
    )
    floor_cell_voltage_v: float | None = number(
        None, 0.8, 4.5, "V", "Lowest CVL per cell", "The charge voltage limit is never below this; null = by chemistry."
    )
    resting_cell_voltage_v: float | None = number(
        None, 0.8, 4.5, "V", "Resting voltage per cell", "Charge voltage limit while data is old; null = by chemistry."
    )
    cell_protection_kp: float = number(
        120, 0, 1000, "V/V", "Protection gain", "Pack volts taken off per cell volt above the start of protection."
    )
    dynamic_current_nominal_a: float = number(
        157, 1, 1000, "A", "Nominal current", "Charge current that doubles the protection gain."
    )
    max_recovery_step_v: float | None = number(
        None,
        0,
        5,
        "V",
        "Recovery step",
        "Largest rise of the charge voltage per CVL period; 0 = no limit; null = 0.4 V for 16 cells.",
    )
    protection_relearn_s: float = number(
        3600, 60, 86_400, "s", "Try again after", "Time after which a charge voltage that was too high is tried again."
    )
    current_rise_s: float = number(
        30, 0, 600, "s", "Rise of the currents", "Time in which CCL and DCL rise from 0 to their base; 0 = at once."
    )
    curves: Curves = Curves()
    soc_source: Literal["bridge", "bms"] = text(
        "bridge",
        "State of charge",
        "Whose count it is: bridge = counted from the current and set right at full, bms = as the BMS says.",
    )
    profile: Literal["normal", "storage", "full_once"] = text(
        "normal", "Charge profile", "How to charge; storage = about half full, full_once = full once, then normal."
    )
    soc_max_percent: float = number(100, 20, 100, "%", "Upper SOC", "Charging ends at this SOC; 100 = no bound.")
    soc_min_percent: float = number(
        0, 0, 80, "%", "Lower SOC", "Discharging ends at this SOC, and off grid the inverter; 0 = where the BMS cuts."
    )
    soc_window_hysteresis_percent: float = number(
        5, 0.5, 20, "%", "Hysteresis of the SOC bounds", "How far SOC must come back before a bound is lifted."
    )
    storage_soc_percent: float = number(55, 20, 90, "%", "Storage SOC", "Where the profile storage keeps the battery.")
    full_charge_interval_days: float = number(
        14, 0, 365, "d", "Full charge every", "Upper SOC is ignored this long after a full charge; 0 = never."
    )
    balance_at_full_voltage: bool = flag(
        False,
        "Balance at register 300",
        "Bring the highest cell to register 300 on balancing days; dual port, register 329 bit 2 and no feed-in only.",
    )
    force_charge_start_percent: float = number(
        0, 0, 80, "%", "Force charge at", "SOC at which the bridge asks for a charge; 0 = never."
    )
    force_charge_stop_percent: float = number(30, 1, 100, "%", "Force charge until", "SOC at which it stops asking.")
    sustain_soc_entry_percent: float = number(
        5,
        0,
        100,
        "%",
        "Start of sustain",
        "SOC at which SUSTAIN begins if the lowest cell agrees; 0 with an end of 0 = off.",
    )
    sustain_soc_exit_percent: float = number(
        8, 0, 100, "%", "End of sustain", "SOC at which SUSTAIN ends if the lowest cell has not ended it before."
    )
    sustain_voltage_v: float = number(
        0,
        0,
        80,
        "V",
        "Sustain voltage",
        "Of the pack in SUSTAIN, at least the resting one; 0 = from the value per cell.",
    )
    sustain_per_cell_voltage_v: float | None = number(
        None, 0.8, 4.5, "V", "Sustain voltage per cell", "In SUSTAIN, at least the resting one; null = the target."
    )
    sustain_ccl_limit_a: float | None = number(
        None, 0, 750, "A", "Sustain charge current", "Highest charge current in SUSTAIN; null = 0.1C, at least 5 A."
    )
    sustain_dcl_limit_a: float = number(
        5, 0, 750, "A", "Sustain discharge current", "Highest discharge current in SUSTAIN."
    )
