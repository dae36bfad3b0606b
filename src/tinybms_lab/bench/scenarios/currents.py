"""Currents that do not obey: a derated CCL under feed-in, a stop at 12 V, a charger of which no GX knows."""

from dataclasses import replace

from tinybms_bridge.battery.limits import Inhibited, LimitSettings
from tinybms_lab.bench.scenario import Bound, ForeignSource, Scenario, UserProfile, What
from tinybms_lab.bench.scenarios.parts import NO_SALE, SELLING, pack
from tinybms_lab.bench.weather import Constant

__all__ = ["SCENARIOS"]

_TURNS_PER_H = 8.0
"""What obeys nothing is tried again each quarter of an hour."""
_COLD_C, _HOT_C = 4.0, 51.0


def _derated(
    name: str,
    title: str,
    chemistry: str,
    cells: int,
    capacity_ah: float,
    temperature_c: float,
    over_a: float,
    foreign: ForeignSource | None = None,
) -> Scenario:
    """Return an hour of feed-in with a CCL that temperature has lowered; what flows may be ``over_a`` above it."""
    # Near the target the cell voltage lowers CCL as well, which CVL itself sees to: the hour ends below.
    battery = pack(chemistry, cells, capacity_ah, 0.5 if chemistry == "lfp" else 0.35, temperature_c=temperature_c)
    one_c_w = capacity_ah * cells * battery.kind.ocv_v(0.5)
    return Scenario(
        name,
        title,
        battery=battery,
        system=replace(SELLING, export_max_w=0.3 * one_c_w),
        sun=Constant(0.7 * one_c_w),
        load=Constant(0.05 * one_c_w),
        ambient=Constant(temperature_c),
        start_h=11.0,
        hours=1.0,
        longest_step_s=2.0,
        foreign=foreign,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(
            Bound(What.OVER_CCL, most=over_a, from_s=300.0, for_s=30.0),
            Bound(What.BELOW_PACK, most=0.75),
        ),
    )


SCENARIOS = (
    _derated("cold-derated-sale", "Cells at 4 °C while surplus is sold", "lfp", 16, 280.0, _COLD_C, 12.0),
    _derated("cold-derated-lfp-8", "8 cells of 20 Ah at 4 °C while surplus is sold", "lfp", 8, 20.0, _COLD_C, 2.5),
    _derated("cold-derated-lfp-4", "4 cells of 100 Ah at 4 °C while surplus is sold", "lfp", 4, 100.0, _COLD_C, 5.0),
    _derated("hot-derated-sale", "Li-ion cells at 51 °C while surplus is sold", "li-ion", 16, 100.0, _HOT_C, 8.0),
    Scenario(
        "stop-lfp-4-sale",
        "Charging stopped by hand, four cells of 3.2 V while surplus is sold",
        settings=LimitSettings(inhibited=Inhibited(charge=True)),
        battery=pack("lfp", 4, 100.0, 0.2),
        system=replace(SELLING, export_max_w=100.0),
        sun=Constant(1200.0),
        load=Constant(60.0),
        start_h=11.0,
        hours=2.0,
        expects_float=False,
        bounds=(Bound(What.CHARGED, most=3.0),),
        user_profile=UserProfile(soc_percent=(10.0, 25.0)),
    ),
    Scenario(
        "obeys-nothing",
        "A charger of which no GX knows gives 90 A into cells at 4 °C: CVL does not sink in vain",
        battery=pack("lfp", 16, 280.0, 0.5, temperature_c=_COLD_C),
        system=NO_SALE,
        sun=Constant(0.0),
        load=Constant(0.0),
        ambient=Constant(_COLD_C),
        foreign=ForeignSource(90.0, 57.0, 300.0),
        start_h=11.0,
        hours=1.0,
        longest_step_s=2.0,
        expects_float=False,
        most_short_percent=100.0,
        bounds=(Bound(What.BELOW_PACK, most=0.35, from_s=600.0, for_s=180.0),),
        excused=("plating",),  # what hears neither CCL nor CVL no limit can keep from cold cells: the user is told
        most_turns_per_h=_TURNS_PER_H,
    ),
)
"""In the order of the table."""
