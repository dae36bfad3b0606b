"""The user's wishes of the battery: charge profile, SOC window, full charges, force charge."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ChargeProfile", "PolicySettings"]


class ChargeProfile(StrEnum):
    """Named ways of charging."""

    NORMAL = "normal"
    STORAGE = "storage"
    """Keep the battery about half full."""
    FULL_ONCE = "full_once"
    """Charge fully once, whatever the window says; then as ``normal``."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The user's wishes."""

    profile: ChargeProfile = ChargeProfile.NORMAL
    soc_max_percent: float = 100.0
    """Charging ends here; 100 = no upper bound."""
    soc_min_percent: float = 0.0
    """Discharging ends here; 0 = only where the BMS cuts. Off grid the inverter then switches off."""
    soc_window_hysteresis_percent: float = 5.0
    storage_soc_percent: float = 55.0
    full_charge_interval_days: float = 14.0
    """A window is ignored this long after the last full charge, so that the BMS can set its SOC right; 0 = never."""
    balance_at_full_voltage: bool = False
    """On balancing days the highest cell comes to register 300, where the unit bears that."""
    force_charge_start_percent: float = 0.0
    """At or below this SOC a charge is asked for; 0 = never."""
    force_charge_stop_percent: float = 30.0
