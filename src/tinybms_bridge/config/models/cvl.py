"""Section ``cvl`` (also ``cvl_algorithm``): the charge-limit engine.

Defaults that the README shows win over the firmware's file and code; what hangs on the chemistry is null, which means
from the BMS's own settings or from the chemistry (``battery.limits.charging``).
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from tinybms_bridge.config.models.base import Section, flag, number, text
from tinybms_bridge.config.models.curves import Curves

__all__ = ["Cvl"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cvl(Section):
    """Charge states, cell protection and voltages."""

    enabled: Annotated[
        bool, flag("Charge states", "Use the charge states; off = bulk voltage, protections stay active.")
    ] = True
    chemistry: Annotated[
        Literal["auto", "lfp", "li-ion", "lto"],
        text("Chemistry", "Chemistry of the cells; auto = recognised from the BMS's own settings."),
    ] = "auto"
    series_cell_count: Annotated[
        int | None,
        number(4, 16, "", "Cells in series", "Number of cells in series; null = from the BMS (register 307)."),
    ] = None
    charge_defaults: Annotated[
        Literal["by_chemistry", "before"],
        text("Charge defaults", "Values that are not set; before = those of earlier versions, around register 300."),
    ] = "by_chemistry"
    bulk_voltage_v: Annotated[
        float | None,
        number(
            3, 80, "V", "Bulk voltage", "Charge target of the pack; null = by chemistry, at most register 300 × cells."
        ),
    ] = None
    bulk_soc_threshold: Annotated[
        float,
        number(0, 100, "%", "End of bulk", "State of charge at which TRANSITION begins (README 80, firmware 90)."),
    ] = 80.0
    transition_soc_threshold: Annotated[
        float,
        number(
            0, 100, "%", "End of transition", "State of charge at which FLOAT_APPROACH begins (README 85, firmware 95)."
        ),
    ] = 85.0
    float_soc_threshold: Annotated[
        float | None,
        number(
            0, 100, "%", "Start of float", "SOC at which FLOAT begins (README 95); null = when the battery is full."
        ),
    ] = None
    float_exit_soc: Annotated[
        float | None,
        number(0, 100, "%", "End of float", "SOC below which FLOAT ends (README 92); null = by the cell voltage."),
    ] = None
    soc_hysteresis_percent: Annotated[
        float, number(0, 5, "%", "SOC hysteresis", "How far below its threshold a charge state is kept.")
    ] = 0.5
    float_approach_offset_mv: Annotated[
        float, number(0, 5000, "mV", "Offset before float", "Pack voltage below the target in FLOAT_APPROACH.")
    ] = 50.0
    float_offset_mv: Annotated[
        float | None,
        number(
            0,
            5000,
            "mV",
            "Offset in float",
            "Pack voltage below the target in FLOAT (README 100); null = by chemistry.",
        ),
    ] = None
    maximum_ccl_in_float_a: Annotated[
        float | None,
        number(
            0,
            750,
            "A",
            "Charge current in float",
            "Highest charge current in FLOAT and IMBALANCE_HOLD; 0 = no cap; null = what balancing needs.",
        ),
    ] = None
    keep_lost_sensor: Annotated[
        bool,
        flag(
            "Keep lost sensors",
            "A lost external temperature sensor limits charging by its last reading; off = it is gone for good.",
        ),
    ] = True
    imbalance_hold_threshold_mv: Annotated[
        float,
        number(1, 1000, "mV", "Start of a hold", "Difference of the cells above which a hold begins (firmware 100)."),
    ] = 50.0
    imbalance_release_threshold_mv: Annotated[
        float,
        number(0, 1000, "mV", "End of a hold", "Difference of the cells at which a hold ends (firmware 30 or 50)."),
    ] = 20.0
    imbalance_hold_max_s: Annotated[
        float, number(60, 86_400, "s", "Longest hold", "A hold ends after this time even if the cells still differ.")
    ] = 14_400.0
    imbalance_min_cell_voltage_v: Annotated[
        float | None,
        number(
            0.8, 4.5, "V", "Holds only above", "A hold begins only with a cell above this; null = near full charge."
        ),
    ] = None
    imbalance_drop_per_mv: Annotated[
        float, number(0, 0.1, "V/mV", "Drop per mV", "Charge voltage taken off for each mV above the start of a hold.")
    ] = 0.0005
    imbalance_drop_max_v: Annotated[
        float, number(0, 10, "V", "Largest drop", "Largest reduction of the charge voltage by a hold.")
    ] = 2.0
    over_voltage_margin_v: Annotated[
        float,
        number(
            0, 2, "V", "Margin to over-voltage", "Kept between CVL + 0.4 V and the over-voltage cutoff of the pack."
        ),
    ] = 0.1
    cell_max_voltage_v: Annotated[
        float | None,
        number(
            1.2, 4.5, "V", "Highest cell voltage", "The charge limit never exceeds this per cell; null = by chemistry."
        ),
    ] = None
    cell_safety_threshold_v: Annotated[
        float | None,
        number(1.2, 4.5, "V", "Start of protection", "Cell voltage at which protection begins; null = by chemistry."),
    ] = None
    cell_safety_release_v: Annotated[
        float | None,
        number(1.2, 4.5, "V", "End of protection", "Cell voltage at which protection ends; null = by chemistry."),
    ] = None
    floor_cell_voltage_v: Annotated[
        float | None,
        number(
            0.8, 4.5, "V", "Lowest CVL per cell", "The charge voltage limit is never below this; null = by chemistry."
        ),
    ] = None
    resting_cell_voltage_v: Annotated[
        float | None,
        number(
            0.8, 4.5, "V", "Resting voltage per cell", "Charge voltage limit while data is old; null = by chemistry."
        ),
    ] = None
    cell_protection_kp: Annotated[
        float,
        number(0, 1000, "V/V", "Protection gain", "Pack volts taken off per cell volt above the start of protection."),
    ] = 120.0
    dynamic_current_nominal_a: Annotated[
        float, number(1, 1000, "A", "Nominal current", "Charge current that doubles the protection gain.")
    ] = 157.0
    max_recovery_step_v: Annotated[
        float | None,
        number(
            0,
            5,
            "V",
            "Recovery step",
            "Largest rise of the charge voltage per CVL period; 0 = no limit; null = 0.4 V for 16 cells.",
        ),
    ] = None
    protection_relearn_s: Annotated[
        float,
        number(
            60, 86_400, "s", "Try again after", "Time after which a charge voltage that was too high is tried again."
        ),
    ] = 3600.0
    current_rise_s: Annotated[
        float,
        number(
            0, 600, "s", "Rise of the currents", "Time in which CCL and DCL rise from 0 to their base; 0 = at once."
        ),
    ] = 30.0
    curves: Curves = field(default_factory=Curves)
    soc_source: Annotated[
        Literal["bridge", "bms"],
        text(
            "State of charge",
            "Whose count it is: bridge = counted from the current and set right at full, bms = as the BMS says.",
        ),
    ] = "bridge"
    profile: Annotated[
        Literal["normal", "storage", "full_once"],
        text("Charge profile", "How to charge; storage = about half full, full_once = full once, then normal."),
    ] = "normal"
    soc_max_percent: Annotated[
        float, number(20, 100, "%", "Upper SOC", "Charging ends at this SOC; 100 = no bound.")
    ] = 100.0
    soc_min_percent: Annotated[
        float,
        number(
            0, 80, "%", "Lower SOC", "Discharging ends at this SOC, and off grid the inverter; 0 = where the BMS cuts."
        ),
    ] = 0.0
    soc_window_hysteresis_percent: Annotated[
        float,
        number(0.5, 20, "%", "Hysteresis of the SOC bounds", "How far SOC must come back before a bound is lifted."),
    ] = 5.0
    storage_soc_percent: Annotated[
        float, number(20, 90, "%", "Storage SOC", "Where the profile storage keeps the battery.")
    ] = 55.0
    full_charge_interval_days: Annotated[
        float,
        number(0, 365, "d", "Full charge every", "Upper SOC is ignored this long after a full charge; 0 = never."),
    ] = 14.0
    balance_at_full_voltage: Annotated[
        bool,
        flag(
            "Balance at register 300",
            "Bring the highest cell to register 300 on balancing days; dual port,"
            " register 329 bit 2 and no feed-in only.",
        ),
    ] = False
    force_charge_start_percent: Annotated[
        float, number(0, 80, "%", "Force charge at", "SOC at which the bridge asks for a charge; 0 = never.")
    ] = 0.0
    force_charge_stop_percent: Annotated[
        float, number(1, 100, "%", "Force charge until", "SOC at which it stops asking.")
    ] = 30.0
    sustain_soc_entry_percent: Annotated[
        float,
        number(
            0,
            100,
            "%",
            "Start of sustain",
            "SOC at which SUSTAIN begins if the lowest cell agrees; 0 with an end of 0 = off.",
        ),
    ] = 5.0
    sustain_soc_exit_percent: Annotated[
        float,
        number(0, 100, "%", "End of sustain", "SOC at which SUSTAIN ends if the lowest cell has not ended it before."),
    ] = 8.0
    sustain_voltage_v: Annotated[
        float,
        number(
            0,
            80,
            "V",
            "Sustain voltage",
            "Of the pack in SUSTAIN, at least the resting one; 0 = from the value per cell.",
        ),
    ] = 0.0
    sustain_per_cell_voltage_v: Annotated[
        float | None,
        number(0.8, 4.5, "V", "Sustain voltage per cell", "In SUSTAIN, at least the resting one; null = the target."),
    ] = None
    sustain_ccl_limit_a: Annotated[
        float | None,
        number(0, 750, "A", "Sustain charge current", "Highest charge current in SUSTAIN; null = 0.1C, at least 5 A."),
    ] = None
    sustain_dcl_limit_a: Annotated[
        float, number(0, 750, "A", "Sustain discharge current", "Highest discharge current in SUSTAIN.")
    ] = 5.0
