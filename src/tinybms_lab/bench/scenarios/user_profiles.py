"""What users ask for: storage, an SOC window, full charges in time, charging at low SOC, stops by hand.

Each with settings of its own, and with what has to come of it in the battery; most of them also while surplus is sold,
where no CCL is heard.
"""

from dataclasses import replace

from tinybms_bridge.battery.limits import ChargeProfile, Inhibited, LimitSettings, PolicySettings
from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.scenario import Scenario, UserProfile
from tinybms_lab.bench.scenarios.parts import LI_ION, LTO, NO_SALE, SELLING, SMALL_LFP, STRONG_SUN
from tinybms_lab.bench.weather import ClearSky, Constant, Steps
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

_DRIFT_PERCENT = 3.0
"""What the charge of a battery that is to stay as it is may change by."""
_SALE_PERCENT = 6.0
"""How much of it may be sold: CVL has steps of 0.1 V, which on the plateau of LFP are a tenth of the charge."""
_HALF = BatteryPlan(soc=0.55)
_STORED = LimitSettings(policy=PolicySettings(profile=ChargeProfile.STORAGE))
_STOPPED = LimitSettings(inhibited=Inhibited(charge=True))


def _window(most: float, least: float = 0.0, full_every_days: float = 0.0) -> LimitSettings:
    """Return settings with bounds for the counted SOC."""
    return LimitSettings(
        policy=PolicySettings(soc_max_percent=most, soc_min_percent=least, full_charge_interval_days=full_every_days)
    )


def _stays(
    name: str,
    title: str,
    settings: LimitSettings,
    battery: BatteryPlan,
    system: SystemPlan,
    sun: ClearSky = STRONG_SUN,
) -> Scenario:
    """Return a day of strong sun in which the battery has to stay as full as it is."""
    sale_percent = _SALE_PERCENT if battery.chemistry == "lfp" and system.feed_in else _DRIFT_PERCENT
    least, most = 100.0 * battery.soc - sale_percent, 100.0 * battery.soc + _DRIFT_PERCENT
    return Scenario(
        name,
        title,
        settings=settings,
        battery=battery,
        system=system,
        sun=sun,
        hours=5.0,
        expects_float=False,
        user_profile=UserProfile(soc_percent=(least, most)),
    )


SCENARIOS = (
    _stays("storage-feed-in", "Profile storage (55 %) while surplus is sold", _STORED, _HALF, SELLING),
    _stays("storage-no-sale", "Profile storage on a grid that buys nothing", _STORED, _HALF, NO_SALE),
    Scenario(
        "storage-island",
        "Profile storage off grid: the night takes the battery down, the sun brings it back",
        settings=_STORED,
        battery=replace(SMALL_LFP, soc=0.57),
        load=Constant(100.0),
        start_h=0.0,
        hours=12.0,
        expects_float=False,
        user_profile=UserProfile(soc_percent=(42.0, 58.0), soc_end_percent=(52.0, 58.0)),
    ),
    _stays(
        "storage-li-ion-sale",
        "Profile storage for Li-ion cells while surplus is sold",
        _STORED,
        replace(LI_ION, soc=0.55),
        SELLING,
        ClearSky(4000.0),
    ),
    _stays("window-feed-in", "Charge up to 70 % while surplus is sold", _window(70.0), BatteryPlan(soc=0.7), SELLING),
    _stays(
        "window-lto-feed-in",
        "LTO cells up to 70 % while surplus is sold",
        _window(70.0),
        replace(LTO, soc=0.7),
        SELLING,
        ClearSky(4500.0),
    ),
    Scenario(
        "window-island",
        "Between 30 and 70 % off grid, for a day and a night",
        settings=_window(70.0, 30.0),
        battery=BatteryPlan(soc=0.5),
        load=Steps(350.0, ((18 * 3600.0, 1600.0),)),
        hours=16.0,
        expects_float=False,
        user_profile=UserProfile(soc_percent=(28.0, 74.0), soc_end_percent=(28.0, 31.0)),
    ),
    Scenario(
        "full-once",
        "Profile full_once with a count that is 12 % too high, and a window that must not matter",
        settings=LimitSettings(policy=PolicySettings(profile=ChargeProfile.FULL_ONCE, soc_max_percent=80.0)),
        battery=BatteryPlan(soc=0.6, soc_error_percent=12.0),
        hours=6.0,
        user_profile=UserProfile(full_charges=1),
    ),
    Scenario(
        "full-once-feed-in",
        "The same while surplus is sold",
        settings=LimitSettings(policy=PolicySettings(profile=ChargeProfile.FULL_ONCE, soc_max_percent=80.0)),
        battery=BatteryPlan(soc=0.6, soc_error_percent=12.0),
        system=SELLING,
        sun=STRONG_SUN,
        hours=6.0,
        user_profile=UserProfile(full_charges=1),
    ),
    Scenario(
        "full-in-time",
        "Up to 75 %, but full every second day: four days off grid",
        settings=_window(75.0, full_every_days=1.7),
        # Alike: cells that are apart are balanced first, and until then a full charge stays due.
        battery=replace(SMALL_LFP, soc=0.5, soc_spread=0.0, capacity_spread=0.0),
        sun=ClearSky(1500.0),
        load=Constant(160.0),
        start_h=6.0,
        hours=96.0,
        step_s=5.0,
        longest_step_s=60.0,
        user_profile=UserProfile(full_charges=2),
    ),
    Scenario(
        "force-charge",
        "Force charge at 20 %, no discharge below 15 %: from an empty evening into a sunny day",
        settings=LimitSettings(
            policy=PolicySettings(soc_min_percent=15.0, force_charge_start_percent=20.0, force_charge_stop_percent=40.0)
        ),
        battery=BatteryPlan(soc=0.18),
        sun=ClearSky(6000.0),
        load=Constant(600.0),
        start_h=4.0,
        hours=12.0,
        expects_float=False,
        user_profile=UserProfile(soc_percent=(13.5, 101.0), soc_end_percent=(80.0, 101.0)),
    ),
    _stays("stop-charge", "Charging stopped by hand, off grid", _STOPPED, _HALF, SystemPlan()),
    _stays("stop-charge-feed-in", "Charging stopped by hand while surplus is sold", _STOPPED, _HALF, SELLING),
    Scenario(
        "stop-discharge",
        "Discharging stopped by hand, a night on the grid",
        settings=LimitSettings(inhibited=Inhibited(discharge=True)),
        battery=_HALF,
        system=NO_SALE,
        sun=Constant(0.0),
        load=Constant(2000.0),
        start_h=18.0,
        hours=4.0,
        expects_float=False,
        user_profile=UserProfile(soc_percent=(54.0, 56.0)),
    ),
)
"""In the order of the table."""
