"""One absurd or lost field of each reading: it costs its own use, not the battery."""

from tinybms_bridge.bench.bounds import Bound, What
from tinybms_bridge.bench.dirt import Field, Replaced
from tinybms_bridge.bench.scenarios.parts import BEGIN_S, HEARD, LIGHTS, SELLING, noon, pack, untouched
from tinybms_bridge.bench.sensors import SensorPlan

__all__ = ["SCENARIOS"]

_BOARD_ONLY = SensorPlan(external=False, board=True)
_WITH_BOARD = SensorPlan(board=True)
_LI_ION_16 = pack("li-ion", 16, 100.0, 0.7)
_DARK = pack("lfp", 16, 100.0, 0.5)
_COLD = pack("lfp", 8, 100.0, 0.5, temperature_c=6.0)
_COLD_BOARD = pack("lfp", 16, 100.0, 0.5, temperature_c=6.0)
_HALF_HOUR = 30.0
_LONG_S = 1200.0
_LI_ION_8 = pack("li-ion", 8, 100.0, 0.6)

SCENARIOS = (
    noon(
        "sensor-absurd",
        "An external sensor is shorted: 200 °C for 20 minutes",
        _DARK,
        (Replaced(BEGIN_S, _LONG_S, Field.EXTERNAL_2, 200.0),),
        (*untouched(_DARK, minutes=_HALF_HOUR), LIGHTS, HEARD),
        minutes=_HALF_HOUR,
    ),
    noon(
        "sensor-absurd-cold",
        "An external sensor on cells of 6 °C breaks: -60.1 °C; its last reading limits on",
        _COLD,
        (Replaced(BEGIN_S, _LONG_S, Field.EXTERNAL_1, -60.1),),
        (
            Bound(What.CCL, least=14.0, most=17.0, from_s=BEGIN_S - 10.0),
            Bound(What.CHARGED, least=0.9 * 15.6 * 0.38, from_s=BEGIN_S),
            LIGHTS,
            HEARD,
        ),
        minutes=_HALF_HOUR,
        charge_c=0.15,
    ),
    noon(
        "board-absurd",
        "The board's own sensor shows 327.6 °C beside two good ones on the cells",
        _LI_ION_16,
        (Replaced(BEGIN_S, _LONG_S, Field.BOARD, 327.6),),
        (*untouched(_LI_ION_16, 0.15, _HALF_HOUR), LIGHTS, HEARD),
        minutes=_HALF_HOUR,
        charge_c=0.15,
        sensors=_WITH_BOARD,
    ),
    noon(
        "board-lost",
        "The only sensor is lost, at 6 °C: nobody knows how cold it gets",
        _COLD_BOARD,
        (Replaced(BEGIN_S, _LONG_S, Field.BOARD, None),),
        (
            Bound(What.CCL, least=14.0, most=17.0, to_s=BEGIN_S + 8.0, from_s=BEGIN_S - 10.0),
            Bound(What.CCL, most=0.0, from_s=BEGIN_S + 12.0, to_s=BEGIN_S + _LONG_S),
            Bound(What.CURRENT, most=0.5, from_s=BEGIN_S + 25.0, to_s=BEGIN_S + _LONG_S),
            Bound(What.DCL, least=0.89 * 150.0, from_s=BEGIN_S - 10.0),
            LIGHTS,
            HEARD,
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
        (Replaced(BEGIN_S, _LONG_S, Field.SOC, 4294.967),),
        (*untouched(pack("lfp", 4, 280.0, 0.6), minutes=_HALF_HOUR), LIGHTS, HEARD),
        minutes=_HALF_HOUR,
    ),
    noon(
        "soc-absurd-li-ion",
        "The register of SOC shows 655.35 % for 20 minutes while surplus is sold",
        _LI_ION_8,
        (Replaced(BEGIN_S, _LONG_S, Field.SOC, 655.35),),
        (*untouched(_LI_ION_8, 0.15, _HALF_HOUR), HEARD),
        minutes=_HALF_HOUR,
        charge_c=0.15,
        system=SELLING,
        poll_s=1.0,
    ),
)
"""In the order of the table."""
