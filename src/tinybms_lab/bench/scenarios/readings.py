"""Readings that are not the truth: cells, single fields, and whole images.

Cells that are not what one reading says; one absurd or lost field of each reading, which costs its own use, not the
battery; images that do not change, in whole or in part.
"""

from tinybms_lab.bench.battery import OddCell
from tinybms_lab.bench.dirt import DirtyField, Frozen, Outliers, Replaced, SensorPlan, StandingCounter
from tinybms_lab.bench.scenario import Bound, What
from tinybms_lab.bench.scenarios.parts import BEGIN_S, HOUR_S, LIGHTS, NEVER_SILENT, SELLING, noon, pack, untouched
from tinybms_lab.bench.weather import Pulses

__all__ = ["SCENARIOS"]

_NOON_S = 12.0 * HOUR_S
_LFP_16 = pack("lfp", 16, 280.0, 0.6)
_LFP_8 = pack("lfp", 8, 100.0, 0.5)
_LFP_4 = pack("lfp", 4, 20.0, 0.14)
_LI_ION_16 = pack("li-ion", 16, 100.0, 0.7)
_LTO_8 = pack("lto", 8, 280.0, 0.6)
_READING_S = 0.125
"""Time between two readings of a load that goes on and off with them."""
_SAGGING = pack("lfp", 16, 280.0, 0.5, odd=(OddCell(10, resistance_factor=17.0),))
_BOARD_ONLY = SensorPlan(external=False, board=True)
_WITH_BOARD = SensorPlan(board=True)
_DARK = pack("lfp", 16, 100.0, 0.5)
_COLD = pack("lfp", 8, 100.0, 0.5, temperature_c=6.0)
_COLD_BOARD = pack("lfp", 16, 100.0, 0.5, temperature_c=6.0)
_HALF_HOUR = 30.0
_LONG_S = 1200.0
_LI_ION_8 = pack("li-ion", 8, 100.0, 0.6)
_NEARLY_FULL = pack("lfp", 4, 20.0, 0.90, odd=(OddCell(1, soc_offset=0.02),))
_FROZEN_S = 600.0
_STOPS_S = 12.0
"""4 s until an image is frozen, a burst, a loop of the GX, the lag of the chargers."""
_SILENT_S = 30.0

SCENARIOS = (
    noon(
        "outlier-high",
        "One reading shows cell 7 0.40 V too high",
        _LFP_16,
        (Outliers(BEGIN_S, 5.0, ((6, 0.40),)),),
        untouched(_LFP_16),
    ),
    noon(
        "outlier-high-sale",
        "One reading a second, one of them 0.40 V too high for cell 7, while surplus is sold",
        _LFP_8,
        (Outliers(BEGIN_S, 5.0, ((6, 0.40),)),),
        untouched(_LFP_8),
        system=SELLING,
        poll_s=1.0,
    ),
    noon(
        "outlier-low",
        "One reading shows a cell of an island 0.45 V too low",
        _LFP_4,
        (Outliers(BEGIN_S, 5.0, ((1, -0.45),), in_sum=True),),
        (*untouched(_LFP_4), LIGHTS),
        poll_s=1.0,
    ),
    noon(
        "outlier-pair",
        "One reading shifts the border of two neighbours by 0.45 V; their sum stays",
        _LI_ION_16,
        (Outliers(BEGIN_S, 5.0, ((4, 0.45), (5, -0.45))),),
        (*untouched(_LI_ION_16), LIGHTS),
    ),
    noon(
        "outliers-repeated",
        "Every third reading of a minute shows cell 3 0.40 V too high",
        _LFP_8,
        (Outliers(BEGIN_S, 60.0, ((2, 0.40),), every=3),),
        untouched(_LFP_8),
    ),
    noon(
        "outliers-low-island",
        "Every third reading of a minute shows cell 12 of an island 0.49 V too low",
        pack("lfp", 16, 280.0, 0.16),
        (Outliers(BEGIN_S + 2.0, 60.0, ((11, -0.49),), every=3),),
        (*untouched(pack("lfp", 16, 280.0, 0.16)), LIGHTS),
        poll_s=1.0,
    ),
    noon(
        "outliers-two-cells",
        "A bad contact: for a minute two neighbours now and then against each other",
        _LTO_8,
        (Outliers(BEGIN_S, 60.0, ((2, 0.44), (3, -0.44)), every=37, chance=0.05),),
        (*untouched(_LTO_8), LIGHTS),
    ),
    noon(
        "pulsed-load",
        "A pulsed load takes a bad cell to 2.85 V every second reading: that is true, and counts",
        _SAGGING,
        (),
        (
            Bound(What.DCL, most=190.0, from_s=BEGIN_S + 35.0, to_s=BEGIN_S + 55.0),
            Bound(What.DCL, least=0.89 * 1.5 * 280.0, from_s=BEGIN_S - 10.0, to_s=BEGIN_S),
        ),
        charge_c=0.0,
        step_s=_READING_S,
        longest_step_s=2.0,
        minutes=8.0,
        load=Pulses(400.0, 7000.0, _NOON_S + BEGIN_S, 2.0 * _READING_S, _READING_S),
    ),
    noon(
        "sensor-absurd",
        "An external sensor is shorted: 200 °C for 20 minutes",
        _DARK,
        (Replaced(BEGIN_S, _LONG_S, DirtyField.EXTERNAL_2, 200.0),),
        (*untouched(_DARK, minutes=_HALF_HOUR), LIGHTS, NEVER_SILENT),
        minutes=_HALF_HOUR,
    ),
    noon(
        "sensor-absurd-cold",
        "An external sensor on cells of 6 °C breaks: -60.1 °C; its last reading limits on",
        _COLD,
        (Replaced(BEGIN_S, _LONG_S, DirtyField.EXTERNAL_1, -60.1),),
        (
            Bound(What.CCL, least=14.0, most=17.0, from_s=BEGIN_S - 10.0),
            Bound(What.CHARGED, least=0.9 * 15.6 * 0.38, from_s=BEGIN_S),
            LIGHTS,
            NEVER_SILENT,
        ),
        minutes=_HALF_HOUR,
        charge_c=0.15,
    ),
    noon(
        "board-absurd",
        "The board's own sensor shows 327.6 °C beside two good ones on the cells",
        _LI_ION_16,
        (Replaced(BEGIN_S, _LONG_S, DirtyField.BOARD, 327.6),),
        (*untouched(_LI_ION_16, 0.15, _HALF_HOUR), LIGHTS, NEVER_SILENT),
        minutes=_HALF_HOUR,
        charge_c=0.15,
        sensors=_WITH_BOARD,
    ),
    noon(
        "board-lost",
        "The only sensor is lost, at 6 °C: nobody knows how cold it gets",
        _COLD_BOARD,
        (Replaced(BEGIN_S, _LONG_S, DirtyField.BOARD, None),),
        (
            Bound(What.CCL, least=14.0, most=17.0, to_s=BEGIN_S + 8.0, from_s=BEGIN_S - 10.0),
            Bound(What.CCL, most=0.0, from_s=BEGIN_S + 12.0, to_s=BEGIN_S + _LONG_S),
            Bound(What.CURRENT, most=0.5, from_s=BEGIN_S + 25.0, to_s=BEGIN_S + _LONG_S),
            Bound(What.DCL, least=0.89 * 150.0, from_s=BEGIN_S - 10.0),
            LIGHTS,
            NEVER_SILENT,
        ),
        minutes=_HALF_HOUR,
        charge_c=0.15,
        sensors=_BOARD_ONLY,
        most_short_percent=100.0,
    ),
    noon(
        "soc-absurd",
        "The register of SOC shows 4294.97 % for 20 minutes",
        pack("lfp", 4, 280.0, 0.6),
        (Replaced(BEGIN_S, _LONG_S, DirtyField.SOC, 4294.967),),
        (*untouched(pack("lfp", 4, 280.0, 0.6), minutes=_HALF_HOUR), LIGHTS, NEVER_SILENT),
        minutes=_HALF_HOUR,
    ),
    noon(
        "soc-absurd-li-ion",
        "The register of SOC shows 655.35 % for 20 minutes while surplus is sold",
        _LI_ION_8,
        (Replaced(BEGIN_S, _LONG_S, DirtyField.SOC, 655.35),),
        (*untouched(_LI_ION_8, 0.15, _HALF_HOUR), NEVER_SILENT),
        minutes=_HALF_HOUR,
        charge_c=0.15,
        system=SELLING,
        poll_s=1.0,
    ),
    noon(
        "frozen-charging",
        "The image freezes for ten minutes while the last cells of a charge rise",
        _NEARLY_FULL,
        (Frozen(BEGIN_S, _FROZEN_S),),
        (
            Bound(What.CURRENT, most=0.5, from_s=BEGIN_S + _STOPS_S, to_s=BEGIN_S + _FROZEN_S),
            Bound(What.CCL, most=0.0, from_s=BEGIN_S + 6.0, to_s=BEGIN_S + _FROZEN_S),
            Bound(What.DCL, least=1.0, from_s=BEGIN_S, to_s=BEGIN_S + _SILENT_S),
        ),
        minutes=22.0,
        longest_step_s=1.0,
        most_short_percent=100.0,
        charge_c=0.4,
    ),
    noon(
        "frozen-sale",
        "The image freezes for ten minutes while surplus is sold, at one reading a second",
        _LI_ION_8,
        (Frozen(BEGIN_S, _FROZEN_S),),
        (
            Bound(What.CCL, most=0.0, from_s=BEGIN_S + 7.0, to_s=BEGIN_S + _FROZEN_S),
            Bound(What.CURRENT, most=0.5, from_s=BEGIN_S + _SILENT_S + _STOPS_S, to_s=BEGIN_S + _FROZEN_S),
        ),
        minutes=22.0,
        longest_step_s=1.0,
        most_short_percent=100.0,
        charge_c=0.4,
        system=SELLING,
        poll_s=1.0,
    ),
    noon(
        "counter-stands",
        "The lifetime counter stands for 20 minutes while readings move: no more than a notice",
        pack("lto", 16, 20.0, 0.5),
        (StandingCounter(BEGIN_S, _LONG_S),),
        (*untouched(pack("lto", 16, 20.0, 0.5), minutes=_HALF_HOUR), LIGHTS, NEVER_SILENT),
        minutes=_HALF_HOUR,
    ),
)
"""In the order of the table."""
