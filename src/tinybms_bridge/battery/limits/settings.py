"""Settings of the charge-limit engine, and the user's wishes: charge profile, SOC window, full charges, force charge.

None means: from the BMS's own settings or from the chemistry.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from tinybms_bridge.battery.freshness import FreshnessSettings
from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.limits.presets import Chemistry
from tinybms_bridge.battery.limits.soc_count import SocSource

__all__ = [
    "ChargeDefaults",
    "ChargeProfile",
    "Inhibited",
    "LimitSettings",
    "PolicySettings",
    "ProtectionSettings",
    "RateSettings",
    "StateSettings",
]


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


class ChargeDefaults(StrEnum):
    """Where the values come from that nobody has typed."""

    BY_CHEMISTRY = "by_chemistry"
    """One coherent set for each chemistry (``charging``)."""
    BEFORE = "before"
    """From register 300 and the head room to 315, as before there was such a set."""


@dataclass(frozen=True, slots=True)
class StateSettings:
    """Thresholds and offsets of the six charge states (section ``cvl`` of the configuration)."""

    enabled: bool = True
    bulk_soc_percent: float = 80.0
    """At this SOC BULK becomes TRANSITION."""
    transition_soc_percent: float = 85.0
    """At this SOC TRANSITION becomes FLOAT_APPROACH."""
    float_soc_percent: float | None = None
    """At this SOC FLOAT begins; None = with a full battery."""
    float_exit_soc_percent: float | None = None
    """Below this SOC FLOAT ends; None = by cell voltage."""
    soc_hysteresis_percent: float = 0.5
    """How far below its threshold a state is kept."""
    float_approach_offset_v: float = 0.05
    """Below the target, whole pack."""
    float_offset_v: float | None = None
    """The same in FLOAT; None = by chemistry."""
    maximum_ccl_in_float_a: float | None = None
    """CCL cap in FLOAT and IMBALANCE_HOLD; 0 = none; None = what balancing needs."""
    imbalance_hold_mv: float = 50.0
    imbalance_release_mv: float = 20.0
    imbalance_hold_max_s: float = 14400.0
    """A hold ends after this time even if the cells still differ; the next needs a release first."""
    imbalance_min_cell_v: float | None = None
    """A hold begins only when the highest cell is above this; None = near full charge, by chemistry."""
    imbalance_drop_v_per_mv: float = 0.0005
    imbalance_drop_max_v: float = 2.0
    sustain_entry_soc_percent: float = 5.0
    sustain_exit_soc_percent: float = 8.0
    """SUSTAIN is off unless exit > entry."""
    sustain_voltage_v: float = 0.0
    """Explicit CVL of SUSTAIN for the pack; 0 = per cell."""
    sustain_cell_v: float | None = None
    sustain_ccl_a: float | None = None
    """None = a tenth of the capacity, at least 5 A."""
    sustain_dcl_a: float = 5.0


@dataclass(frozen=True, slots=True)
class ProtectionSettings:
    """The CVL controller that follows the highest cell."""

    threshold_v: float | None = None
    """Cell voltage above which CVL is lowered; None = by chemistry, below register 300."""
    release_v: float | None = None
    """Cell voltage below which CVL may rise again; None = by chemistry."""
    gain: float = 120.0
    """Pack volts for each cell volt above the threshold."""
    nominal_current_a: float = 157.0
    """Charge current that doubles the gain."""
    relearn_s: float = 3600.0
    """Time after which a CVL that was too high is tried again, one step of 0.1 V higher."""


@dataclass(frozen=True, slots=True)
class RateSettings:
    """How fast limits may rise."""

    cvl_interval_s: float = 20.0
    cvl_least_rise_v: float = 0.09
    """A smaller rise is left out: one step of frame 0x351 is 0.1 V, and noise must not move it up and down."""
    cvl_step_v: float | None = None
    """Largest rise of CVL in one interval; 0 = no limit; None = 0.4 V for 16 cells, less for fewer."""
    current_rise_s: float = 30.0
    """Time in which CCL and DCL rise from 0 to their base; 0 = no limit."""


@dataclass(frozen=True, slots=True)
class Inhibited:
    """Which directions the user has inhibited."""

    charge: bool = False
    discharge: bool = False


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Everything that the engine may be told."""

    defaults: ChargeDefaults = ChargeDefaults.BY_CHEMISTRY
    chemistry: Chemistry | None = None
    bulk_voltage_v: float | None = None
    """Charge target of the pack; None = by chemistry, at most register 300 times the cells."""
    alarm_voltage_v: float | None = None
    """The user's over-voltage alarm threshold: the target is kept at or below it."""
    over_voltage_margin_v: float = 0.1
    """Kept between CVL + 0.4 V (what an MPPT adds) and the BMS's over-voltage cutoff of the pack."""
    cell_max_v: float | None = None
    """Ceiling per cell; None = by chemistry."""
    floor_cell_v: float | None = None
    resting_cell_v: float | None = None
    max_charge_current_a: float | None = None
    max_discharge_current_a: float | None = None
    current_fraction: float = 0.9
    """Share of the BMS's over-current cutoff that is offered when the user gives no maximum: at the cutoff it trips."""
    states: StateSettings = field(default_factory=StateSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    protection: ProtectionSettings = field(default_factory=ProtectionSettings)
    keep_lost_sensor: bool = True
    """An external temperature sensor that is lost limits charging with its last reading; False forgets it."""
    soc_source: SocSource = SocSource.BRIDGE
    """Whose count is the state of charge."""
    curves: tuple[tuple[str, Curve], ...] = ()
    """The user's derating curves by name; the others follow from the BMS's own settings."""
    rates: RateSettings = field(default_factory=RateSettings)
    freshness: FreshnessSettings = field(default_factory=FreshnessSettings)
    inhibited: Inhibited = field(default_factory=Inhibited)
