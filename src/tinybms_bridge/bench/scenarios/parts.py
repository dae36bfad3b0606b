"""Parts that several scenarios share."""

from tinybms_bridge.bench.battery import BatteryPlan, OddCell
from tinybms_bridge.bench.weather import ClearSky
from tinybms_bridge.victron.dvcc import SystemPlan

__all__ = ["HOUR_S", "LI_ION", "LTO", "NO_SALE", "SELLING", "SMALL_LFP", "STRONG_SUN", "UNEQUAL", "WEAK", "pack"]

HOUR_S = 3600.0

SELLING = SystemPlan(feed_in=True, island=False)
NO_SALE = SystemPlan(feed_in=False, island=False)
STRONG_SUN = ClearSky(9000.0)
UNEQUAL = (OddCell(5, soc_offset=0.03),)
WEAK = (OddCell(9, capacity_factor=0.8, resistance_factor=3.0),)
SMALL_LFP = BatteryPlan(
    capacity_ah=100.0, charge_cutoff_a=100.0, discharge_cutoff_a=150.0, peak_cutoff_a=250.0, soc_spread=0.005
)
LI_ION = BatteryPlan(
    chemistry="li-ion",
    cells=14,
    capacity_ah=100.0,
    charge_cutoff_a=80.0,
    discharge_cutoff_a=150.0,
    peak_cutoff_a=250.0,
    soc=0.75,
)
LTO = BatteryPlan(chemistry="lto", cells=12, capacity_ah=200.0, soc=0.7)


def pack(
    chemistry: str,
    cells: int,
    capacity_ah: float,
    soc: float,
    *,
    temperature_c: float = 25.0,
    soc_error_percent: float = 0.0,
    odd: tuple[OddCell, ...] = (),
) -> BatteryPlan:
    """Return a battery of any size whose BMS cuts a charge above 1C and a load above 1.5C."""
    return BatteryPlan(
        chemistry=chemistry,
        cells=cells,
        capacity_ah=capacity_ah,
        soc=soc,
        odd=odd,
        temperature_c=temperature_c,
        charge_cutoff_a=capacity_ah,
        discharge_cutoff_a=1.5 * capacity_ah,
        peak_cutoff_a=2.0 * capacity_ah,
        soc_error_percent=soc_error_percent,
    )
