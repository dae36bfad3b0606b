"""The two switches of the BMS and what flows through them (user manual Rev D, port modes and protections)."""

from collections.abc import Iterable
from dataclasses import dataclass

from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.protection_rules import Protection, SinglePort
from tinybms_bridge.tinybms.simulator.surroundings import Demand, Wiring
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

__all__ = ["ALL_OFF", "Flow", "Switches", "conduct", "dual_port", "single_port"]


@dataclass(frozen=True, slots=True)
class Switches:
    """Which switches are closed; in single-port mode both fields are the one switch."""

    load: bool
    charger: bool


ALL_OFF = Switches(load=False, charger=False)
"""Nothing flows."""


def dual_port(active: Iterable[Protection], limits: Thresholds, *, charge: bool) -> Switches:
    """Return the switches of the dual-port mode; ``charge`` tells whether the course of the charge wants current."""
    rows = tuple(active)
    return Switches(
        load=all(row.load for row in rows), charger=charge and all(row.leaves_charger(limits) for row in rows)
    )


def single_port(active: Iterable[Protection], *, charge_over: bool, load: bool, charger: bool) -> Switches:
    """Return the one switch of the single-port mode.

    Args:
        active: the active protections.
        charge_over: whether the course of the charge wants no current: full, or balancing.
        load: a load is detected.
        charger: a charger drives current.

    """
    wishes = {row.single for row in active}
    if charge_over:
        wishes.add(SinglePort.LOAD_ONLY)
    on = SinglePort.OFF not in wishes
    if SinglePort.LOAD_ONLY in wishes:
        on = on and load
    if SinglePort.CHARGE_ONLY in wishes:
        on = on and charger and not load
    return Switches(load=on, charger=on)


@dataclass(frozen=True, slots=True)
class Flow:
    """What flows."""

    current_a: float
    """Positive = into the pack."""
    stuck: EventId | None = None
    """The switch that conducts more than the activity threshold although it is open."""


def conduct(demand: Demand, switches: Switches, wiring: Wiring, limits: Thresholds) -> Flow:
    """Return the part of the demand that closed and stuck switches let through."""
    paths = [
        (demand.charger_a, switches.charger, wiring.stuck_charger, EventId.CHARGER_SWITCH_STUCK),
        (demand.load_a, switches.load, wiring.stuck_load, EventId.LOAD_SWITCH_STUCK),
    ]
    if limits.single_port:
        both_a = demand.charger_a + demand.load_a
        paths = [(both_a, switches.load, wiring.stuck_load, EventId.PORT_SWITCH_STUCK)]
    current_a = 0.0
    culprit: EventId | None = None
    for wanted_a, closed, stuck, event in paths:
        if closed or stuck:
            current_a += wanted_a
            if not closed and abs(wanted_a) > limits.idle_a:
                culprit = event
    return Flow(current_a, culprit)
