"""What the readings of a BMS demand by themselves, whatever an algorithm makes of them.

Where a BMS would open a switch (protocol reference, section 5.1) the limit of that direction has to be 0; where no
reading has come for longer than a GX waits, no current may be promised to a charger.
"""

import math

from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.victron.dvcc import BMS_TIMEOUT_S

__all__ = ["demands"]


def demands(snapshot: Snapshot, age_s: float) -> tuple[float, float]:
    """Return the most that CCL and DCL may be, ``age_s`` after this sample was taken; infinite for no bound."""
    ratings = snapshot.ratings
    assert ratings is not None
    cells, temperatures = snapshot.cells.voltages_v, snapshot.temperatures
    coldest_c, hottest_c = temperatures.coldest_c, temperatures.hottest_c
    hot = hottest_c is not None and hottest_c > ratings.over_heat_c
    cold = coldest_c is not None and coldest_c < ratings.low_temperature_charge_c
    low = min(cells) < ratings.under_voltage_cell_v
    high = max(cells) > ratings.over_voltage_cell_v
    no_charge = hot or cold or high or low or age_s > BMS_TIMEOUT_S
    return 0.0 if no_charge else math.inf, 0.0 if hot or low else math.inf
