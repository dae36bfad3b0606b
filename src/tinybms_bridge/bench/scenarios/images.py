"""Images that do not change, in whole or in part."""

from tinybms_bridge.bench.battery import OddCell
from tinybms_bridge.bench.bounds import Bound, What
from tinybms_bridge.bench.dirt import Frozen, StandingCounter
from tinybms_bridge.bench.scenarios.parts import BEGIN_S, HEARD, LIGHTS, SELLING, noon, pack, untouched

__all__ = ["SCENARIOS"]

_HALF_HOUR = 30.0
_LONG_S = 1200.0
_NEARLY_FULL = pack("lfp", 4, 20.0, 0.90, odd=(OddCell(1, soc_offset=0.02),))
_LI_ION_8 = pack("li-ion", 8, 100.0, 0.6)
_FROZEN_S = 600.0
_STOPS_S = 12.0
"""4 s until an image is frozen, a burst, a loop of the GX, the lag of the chargers."""
_SILENT_S = 30.0

SCENARIOS = (
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
        (*untouched(pack("lto", 16, 20.0, 0.5), minutes=_HALF_HOUR), LIGHTS, HEARD),
        minutes=_HALF_HOUR,
    ),
)
"""In the order of the table."""
