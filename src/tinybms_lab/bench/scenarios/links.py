"""Links and machines that die for a while."""

from tinybms_lab.bench.scenario import Bound, Fault, FaultKind, Scenario, What
from tinybms_lab.bench.scenarios.parts import HOUR_S, LIGHTS, NEVER_SILENT, pack
from tinybms_lab.bench.weather import Constant

__all__ = ["SCENARIOS"]


def _fault(kind: FaultKind, after_s: float, for_s: float) -> Fault:
    return Fault(kind, 11.0 * HOUR_S + after_s, for_s)


SCENARIOS = (
    Scenario(
        "line-dead",
        "The serial line is dead until it is reopened for the second time, 15 s after the last reply",
        battery=pack("li-ion", 4, 100.0, 0.5),
        sun=Constant(450.0),
        load=Constant(80.0),
        faults=(_fault(FaultKind.BMS_SILENT, 420.0, 18.0),),
        start_h=11.0,
        hours=0.25,
        expects_float=False,
        bounds=(
            Bound(What.CCL, most=0.0, from_s=425.0, to_s=438.0),
            Bound(What.CURRENT, most=0.5, from_s=431.0, to_s=438.0),
            Bound(What.CHARGED, least=2.0, from_s=480.0),
            LIGHTS,
            NEVER_SILENT,
        ),
    ),
    Scenario(
        "can-dead",
        "No frame reaches the GX until the adapter is reopened, 60 s after the last one that was received",
        battery=pack("lto", 4, 20.0, 0.5),
        sun=Constant(60.0),
        load=Constant(10.0),
        faults=(_fault(FaultKind.CAN_DEAD, 420.0, 65.0),),
        start_h=11.0,
        hours=0.25,
        expects_float=False,
        bounds=(
            Bound(What.CURRENT, most=0.5, from_s=430.0, to_s=484.0),
            Bound(What.CHARGED, least=0.4, from_s=500.0),
            Bound(What.UNSERVED, most=1.0, from_s=495.0),
        ),
    ),
    Scenario(
        "suspended",
        "The machine of the bridge sleeps for ten minutes and wakes up without its serial port",
        battery=pack("lfp", 8, 20.0, 0.6),
        sun=Constant(250.0),
        load=Constant(20.0),
        faults=(_fault(FaultKind.SUSPENDED, 420.0, 600.0), _fault(FaultKind.BMS_SILENT, 1019.0, 16.0)),
        start_h=11.0,
        hours=0.5,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(
            Bound(What.CURRENT, most=0.5, from_s=430.0, to_s=1034.0),
            Bound(What.CHARGED, least=1.5, from_s=1035.0),
        ),
    ),
)
"""In the order of the table."""
