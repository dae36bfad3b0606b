"""What is known of a GX and of the chargers it controls: facts that limits, frames and configuration share.

Sources: Victron's ``dvcc.py`` and the CAN-bus protocol of batteries (victron-can.md, 2 and 4).
"""

from typing import Final

__all__ = [
    "INSTALLED_CAPACITY_BYTES",
    "LONGEST_BURST_MS",
    "MPPT_OFFSET_V",
    "RESERVED_NAMES",
    "SHORTEST_BURST_MS",
    "STOPPED_BELOW_V",
    "reserved_beginning",
]

MPPT_OFFSET_V: Final = 0.4
"""What a solar charger adds to CVL while the system feeds in, so that it is the inverter that holds the pack."""

STOPPED_BELOW_V: Final = MPPT_OFFSET_V + 0.2
"""With CVL so far below the pack every charger that obeys CVL has stopped, one that feeds in as well; the rest is for
the errors of two meters."""

SHORTEST_BURST_MS: Final = 100
LONGEST_BURST_MS: Final = 2000
"""Bounds of the time between two bursts of frames: a GX gives a battery up after 3 s of silence, and a bus with
other devices on it bears ten bursts a second."""

INSTALLED_CAPACITY_BYTES: Final = (2, 8)
"""Lengths that 0x379 may have: 2 in the protocol, 8 for readers that fail on two."""

RESERVED_NAMES: Final = ("BYD", "DYNESS", "LG", "PELIO", "PYLON")
"""Beginnings of names for which a GX replaces the battery's limits by its own (dvcc.py; Dyness counts as Pylontech)."""


def reserved_beginning(name: str) -> str | None:
    """Return with which of ``RESERVED_NAMES`` a name begins; None for one that a GX takes as it is."""
    return next((start for start in RESERVED_NAMES if name.strip().upper().startswith(start)), None)
