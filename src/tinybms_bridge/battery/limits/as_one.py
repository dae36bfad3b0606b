"""Several packs in parallel as one: a snapshot and settings of the battery, made of those of its packs.

What is measured between the same two busbars is a mean, what flows a sum. The cells are all cells, those of one pack
after those of the other, so that the highest and the lowest of the battery are found as those of a pack are. The
settings are such that what is safe for every pack is safe for the battery; currents and capacity are sums.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tinybms_bridge.battery.quick import by_settings
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Switches, Temperatures

__all__ = ["Charge", "combine_ratings", "combine_snapshots"]


@dataclass(frozen=True, slots=True)
class Charge:
    """What a pack holds and can hold; of one that is silent for a moment the last that was known."""

    soc_percent: float
    capacity_ah: float
    known: bool = True
    """Whether the count is one that its BMS has given."""
    bms_percent: float | None = None
    """Its BMS's count, where the count is the bridge's."""


def combine_snapshots(
    packs: Sequence[Snapshot],
    charges: Sequence[Charge],
    ratings: Ratings | None,
    *,
    sequence: int,
    lifetime_s: int,
    members: Sequence[Snapshot] | None = None,
    filled: Sequence[Snapshot] | None = None,
) -> Snapshot:
    """Return one snapshot for packs in parallel.

    Args:
        packs: What is measured of each; at least one.
        charges: What the packs hold, also of such as are not measured now.
        ratings: Settings of the battery.
        sequence: Number of the snapshot.
        lifetime_s: The battery's own counter.
        members: Those of the packs whose cells count; None: all.
        filled: Those of the packs that can be charged, which decide whether it is full; None: all.

    """
    members = packs if members is None else members
    current_a = sum([each.pack.current_a for each in packs])
    status = _status(packs if filled is None else filled, current_a)
    voltage_v = sum([each.pack.voltage_v for each in packs]) / len(packs)
    capacity_ah = sum([each.capacity_ah for each in charges])
    return Snapshot(
        sequence,
        max([each.taken_at_s for each in packs]),
        PackValues(
            voltage_v,
            current_a,
            _weighted(charges, capacity_ah, lambda each: each.soc_percent),
            _soh(packs),
            status,
            status.value,
            lifetime_s,
            _time_left_s(packs) if current_a < 0.0 else None,
            sum([each.capacity_ah for each in charges if each.known]) * 2.0 >= capacity_ah,
            _bms_percent(charges, capacity_ah),
        ),
        _cells(members),
        _temperatures([each.temperatures for each in packs]),
        ratings,
        _together([each.open_events for each in packs]),
        any(each.cause_unread for each in packs),
    )


@by_settings
def combine_ratings(*packs: Ratings) -> Ratings:
    """Return settings with which the battery is treated; the packs have as many cells in series, and one chemistry."""
    first = packs[0]
    peaks_a = [each.discharge_peak_current_a for each in packs]
    early_v = [each.early_balancing_cell_v for each in packs]
    restart = [each.charge_restart for each in packs]
    restart_percent = [each.charge_restart_percent for each in packs]
    switches = {each.switches for each in packs}
    return replace(
        first,
        fully_charged_cell_v=min(each.fully_charged_cell_v for each in packs),
        fully_discharged_cell_v=max(each.fully_discharged_cell_v for each in packs),
        over_voltage_cell_v=min(each.over_voltage_cell_v for each in packs),
        under_voltage_cell_v=max(each.under_voltage_cell_v for each in packs),
        charge_over_current_a=sum(each.charge_over_current_a for each in packs),
        discharge_over_current_a=sum(each.discharge_over_current_a for each in packs),
        discharge_peak_current_a=None if None in peaks_a else sum(each for each in peaks_a if each is not None),
        over_heat_c=min(each.over_heat_c for each in packs),
        low_temperature_charge_c=max(each.low_temperature_charge_c for each in packs),
        capacity_ah=sum(each.capacity_ah for each in packs),
        allowed_disbalance_mv=max(each.allowed_disbalance_mv for each in packs),
        charge_finished_current_a=sum(each.charge_finished_current_a for each in packs),
        switches=switches.pop() if len(switches) == 1 else Switches.UNKNOWN,
        early_balancing_cell_v=None if None in early_v else max(each for each in early_v if each is not None),
        charge_restart=None if None in restart else all(restart),
        charge_restart_percent=None
        if None in restart_percent
        else min(each for each in restart_percent if each is not None),
        least_current_a=sum(each.least_current_a for each in packs),
    )


def _cells(members: Sequence[Snapshot]) -> Cells:
    """Return every cell; the bits where every pack tells them."""
    if len(members) == 1:
        return members[0].cells
    cells = [each.cells for each in members]
    voltages_v = tuple([cell_v for each in cells for cell_v in each.voltages_v])
    balancing = tuple([bit for each in cells for bit in each.balancing])
    wanted = tuple([bit for each in cells for bit in each.wanted])
    complete = len(voltages_v)
    return Cells(
        voltages_v,
        balancing if len(balancing) == complete else (),
        wanted if len(wanted) == complete else (),
    )


def _temperatures(packs: Iterable[Temperatures]) -> Temperatures:
    """Return the hottest board, and the coldest and the hottest sensor that stands for cells."""
    boards_c: list[float] = []
    sensors_c: list[float] = []
    for each in packs:
        if each.internal_c is not None:
            boards_c.append(each.internal_c)
        sensors_c += each.pack_c
    board_c = max(boards_c) if boards_c else None
    return Temperatures(board_c, min(sensors_c), max(sensors_c)) if sensors_c else Temperatures(board_c)


def _status(packs: Sequence[Snapshot], current_a: float) -> BmsStatus:
    """Return what the battery does: full where every BMS that can be charged says so, a fault where all have one."""
    found = {each.pack.status for each in packs}
    if found == {BmsStatus.FAULT} or found == {BmsStatus.FULLY_CHARGED}:
        return found.pop()
    if current_a == 0.0:
        return BmsStatus.IDLE
    return BmsStatus.CHARGING if current_a > 0.0 else BmsStatus.DISCHARGING


def _weighted(charges: Sequence[Charge], capacity_ah: float, percent: Callable[[Charge], float]) -> float:
    if not 0.0 < capacity_ah < math.inf:
        return sum([percent(each) for each in charges]) / max(1, len(charges))
    return sum([percent(each) * each.capacity_ah for each in charges]) / capacity_ah


def _bms_percent(charges: Sequence[Charge], capacity_ah: float) -> float | None:
    if all(each.bms_percent is None for each in charges):
        return None
    return _weighted(
        charges, capacity_ah, lambda each: each.soc_percent if each.bms_percent is None else each.bms_percent
    )


def _soh(packs: Sequence[Snapshot]) -> float | None:
    """Return the health of the packs that tell it, by their capacity."""
    known = [
        (each.pack.soh_percent, 1.0 if each.ratings is None else each.ratings.capacity_ah)
        for each in packs
        if each.pack.soh_percent is not None
    ]
    whole = sum([weight for _, weight in known])
    return sum([soh * weight for soh, weight in known]) / whole if whole > 0.0 else None


def _time_left_s(packs: Sequence[Snapshot]) -> int | None:
    known = [each.pack.time_left_s for each in packs if each.pack.time_left_s is not None]
    return sum(known) // len(known) if known else None


def _together(events: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    found = [each for each in events if each]
    if len(found) <= 1:
        return found[0] if found else ()
    return tuple(sorted({number for each in found for number in each}))
