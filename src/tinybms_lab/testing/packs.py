"""States of a battery of several packs, for tests of what shows them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.model import ChargeState, LimitCode, Limits, Quantity, Reason
from tinybms_bridge.battery.snapshot import Cells, Identity, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.battery.state import BatteryState, PackCondition, PackState
from tinybms_bridge.words import message

__all__ = ["NOW_S", "battery_of", "four_packs", "one_pack", "pack_state", "sixteen_packs"]

NOW_S = 1000.0
"""Monotonic time of the states, which is that of a new ``FakeClock``: each was made then."""

_SERIES = 4
_RATINGS = Ratings(
    series_cells=_SERIES,
    fully_charged_cell_v=3.55,
    fully_discharged_cell_v=2.9,
    over_voltage_cell_v=3.65,
    under_voltage_cell_v=2.8,
    charge_over_current_a=100.0,
    discharge_over_current_a=120.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=100.0,
)
_LIVE = (PackCondition.IN_USE, PackCondition.JOINING)
"""Conditions of a pack whose values count."""


def pack_state(
    number: int,
    condition: PackCondition = PackCondition.IN_USE,
    *,
    cells_v: tuple[float, ...] = (3.31, 3.32, 3.33, 3.34),
    current_a: float = 10.0,
    soc_percent: float = 60.0,
    warmest_c: float = 22.0,
    capacity_ah: float = 100.0,
    **changes: Any,  # noqa: ANN401 -- by name of a field
) -> PackState:
    """Return the state of a pack whose BMS has this serial number; a silent one was heard last 2 min ago."""
    age_s = 0.2 if condition in _LIVE else 120.0
    sample = Snapshot(
        sequence=number,
        taken_at_s=NOW_S - age_s,
        pack=PackValues(sum(cells_v), current_a, soc_percent, soh_percent=98.0, lifetime_s=1000 * number),
        cells=Cells(cells_v),
        temperatures=Temperatures(internal_c=30.0, external_1_c=warmest_c - 4.0, external_2_c=warmest_c),
        ratings=replace(_RATINGS, series_cells=len(cells_v), capacity_ah=capacity_ah),
    )
    freshness = Freshness.FRESH if condition in _LIVE else Freshness.SILENT
    energy = EnergyTotals(1000.0 * number, 900.0 * number)
    known = PackState(
        sample,
        Identity("2.1", 215, 254, 10, 5, f"{number:024X}"),
        condition,
        freshness,
        _limits(95.0, 110.0, freshness),
        charge_share=0.25,
        discharge_share=0.25,
        energy=energy,
        saved_energy=energy,
    )
    return replace(known, **changes)


def battery_of(packs: Mapping[str, PackState], **changes: Any) -> BatteryState:  # noqa: ANN401 -- by name of a field
    """Return several packs as one: those in use and joining are members; energy is more than the sum of the packs'."""
    members = tuple(name for name, pack in packs.items() if pack.condition in _LIVE and pack.latest is not None)
    freshness = Freshness.FRESH if members else Freshness.SILENT
    known = BatteryState(
        made_s=NOW_S,
        packs=dict(packs),
        freshness=freshness,
        decided=_limits(200.0, 300.0, freshness),
        alarms=Alarms(dict.fromkeys(AlarmName, AlarmLevel.OK)),
        energy=EnergyTotals(123_400.0, 98_700.0),
        saved_energy=EnergyTotals(123_400.0, 98_700.0),
        combined=_combined([packs[name] for name in members]),
        members=members,
    )
    return replace(known, **changes)


def four_packs(**changes: Any) -> BatteryState:  # noqa: ANN401 -- by name of a field
    """Return four packs: ``a`` takes most, the BMS of ``b`` has cut charging, ``c`` is silent, ``d`` joins.

    The highest cell is b's third, the lowest d's first; the warmest sensor is a's second, the coldest d's first.
    """
    packs = {
        "a": pack_state(1, current_a=24.0, charge_share=0.6, discharge_share=0.4, warmest_c=31.0),
        "b": pack_state(
            2,
            cells_v=(3.41, 3.42, 3.62, 3.43),
            current_a=0.0,
            soc_percent=97.0,
            charge_blocked=True,
            charge_share=0.0,
            limits=replace(_limits(0.0, 110.0), reasons=(_REPORTED,)),
            alarms=Alarms({AlarmName.HIGH_VOLTAGE: AlarmLevel.ALARM}, {AlarmName.HIGH_VOLTAGE: _HIGH}),
        ),
        "c": pack_state(3, PackCondition.SILENT, current_a=5.0),
        "d": pack_state(
            4, PackCondition.JOINING, cells_v=(3.2, 3.21, 3.22, 3.23), current_a=16.0, soc_percent=20.0, warmest_c=9.0
        ),
    }
    alarms = Alarms(
        dict.fromkeys(AlarmName, AlarmLevel.OK)
        | {AlarmName.HIGH_VOLTAGE: AlarmLevel.ALARM, AlarmName.BMS_INTERNAL: AlarmLevel.WARNING},
        {
            AlarmName.HIGH_VOLTAGE: _HIGH,
            AlarmName.BMS_INTERNAL: AlarmCause(message("cause.pack_silent", silent_s=120.0), pack="c"),
        },
    )
    limits = replace(_limits(158.3, 275.0), cvl_v=14.1, reasons=(_TARGET, _SILENT, _SHARE, _JOINING))
    return replace(battery_of(packs, alarms=alarms, decided=limits), **changes)


def one_pack(**changes: Any) -> BatteryState:  # noqa: ANN401 -- by name of a field
    """Return a battery of one pack: what is decided is decided of it."""
    pack = pack_state(1, freshness=None, limits=None, charge_share=None, discharge_share=None)
    return replace(battery_of({"main": pack}, **changes), combined=None, members=())


def sixteen_packs(name: str = "pack-{:02d}", **changes: Any) -> BatteryState:  # noqa: ANN401 -- by name of a field
    """Return sixteen packs that are all in use, each a little fuller than the one before, named by their number."""
    packs = {
        name.format(number): pack_state(
            number,
            cells_v=tuple(3.3 + 0.001 * number + 0.0001 * cell for cell in range(_SERIES)),
            current_a=10.0 + number,
            soc_percent=50.0 + number,
            charge_share=1.0 / 16.0,
            discharge_share=1.0 / 16.0,
        )
        for number in range(1, 17)
    }
    return battery_of(packs, **changes)


def _limits(ccl_a: float, dcl_a: float, freshness: Freshness = Freshness.FRESH) -> Limits:
    return Limits(14.2, ccl_a, dcl_a, 11.6, ChargeState.BULK, freshness)


def _combined(packs: list[PackState]) -> Snapshot | None:
    """Return the members as one sample, the oldest of whose readings tells its age."""
    samples = [pack.latest for pack in packs if pack.latest is not None]
    if not samples:
        return None
    capacities_ah = [sample.ratings.capacity_ah for sample in samples if sample.ratings is not None]
    charge_ah = sum(sample.pack.soc_percent * capacity for sample, capacity in zip(samples, capacities_ah, strict=True))
    readings_c = [temperature for sample in samples for temperature in sample.temperatures.pack_c]
    return Snapshot(
        sequence=max(sample.sequence for sample in samples),
        taken_at_s=min(sample.taken_at_s for sample in samples),
        pack=PackValues(
            voltage_v=sum(sample.pack.voltage_v for sample in samples) / len(samples),
            current_a=sum(sample.pack.current_a for sample in samples),
            soc_percent=charge_ah / sum(capacities_ah),
            soh_percent=98.0,
        ),
        cells=Cells(tuple(voltage_v for sample in samples for voltage_v in sample.cells.voltages_v)),
        temperatures=Temperatures(external_1_c=min(readings_c), external_2_c=max(readings_c)),
        ratings=replace(_RATINGS, capacity_ah=sum(capacities_ah)),
    )


_TARGET = Reason(Quantity.CVL, LimitCode.BMS_TARGET, 14.2, 3.55)
_SILENT = Reason(Quantity.CVL, LimitCode.PACK_SILENT, 14.1, value=120.0, pack="c")
_SHARE = Reason(Quantity.CCL, LimitCode.PACK_SHARE, 158.3, value=0.6, threshold=95.0, pack="a")
_JOINING = Reason(Quantity.DCL, LimitCode.PACK_JOINING, 275.0, value=0.44, threshold=0.3, pack="d")
_REPORTED = Reason(Quantity.CCL, LimitCode.CELL_VOLTAGE, 0.0, 3.62, 0.0, cell=3, pack="b")
_HIGH = AlarmCause(
    message("cause.cell_voltage", cell=3, value=3.62, threshold=3.6), value=3.62, threshold=3.6, unit="V", pack="b"
)
