"""Cells that are not what one reading says."""

from tinybms_bridge.bench.battery import OddCell
from tinybms_bridge.bench.bounds import Bound, What
from tinybms_bridge.bench.dirt import Outliers
from tinybms_bridge.bench.scenarios.parts import BEGIN_S, HOUR_S, LIGHTS, SELLING, noon, pack, untouched
from tinybms_bridge.bench.weather import Pulses

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
)
"""In the order of the table."""
