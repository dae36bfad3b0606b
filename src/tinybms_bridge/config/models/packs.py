"""Section ``packs``: the packs of the battery by name, each with the port of its BMS."""

from dataclasses import dataclass, field
from typing import Annotated

from tinybms_bridge.config.models.base import Section, flag, number, text
from tinybms_bridge.words import message

__all__ = ["MOST_PACKS", "PackEntry", "PackName", "PackUart", "Packs"]

MOST_PACKS = 16
"""As many as the charge control, the history and the screens are made and tried for (design: packs)."""

_LONGEST_NAME = 16
_RESERVED = "candidates"
"""Stands in a path of the API where the name of a pack may."""

PackName = Annotated[
    str,
    text(
        "Name of the pack",
        "Stands in topics, file names, paths of the API and labels.",
        rule=message("must_be.pack_name", longest=_LONGEST_NAME, reserved=_RESERVED),
        longest=_LONGEST_NAME,
        pattern=rf"^(?!{_RESERVED}$)[A-Za-z0-9][A-Za-z0-9_-]*$",
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class PackUart(Section):
    """Serial line to the BMS of the pack."""

    device: Annotated[
        str,
        text(
            "Serial port",
            'Path of the serial port; "auto" searches for the BMS, which only one pack can.',
            rule=message("must_be.serial_port"),
            pattern=r"^[^\x00-\x1F\x7F]{0,200}$",
        ),
    ] = ""
    timeout_ms: Annotated[
        int | None,
        number(20, 5000, "ms", "Reply timeout", "Longest wait for a reply; null = `hardware.uart.timeout_ms`."),
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PackEntry(Section):
    """One pack: a TinyBMS with its cells, on a port of its own."""

    uart: PackUart = field(default_factory=PackUart)
    enabled: Annotated[
        bool,
        flag(
            "In service",
            "Read the pack and count it as part of the battery; false takes it out of service.",
        ),
    ] = True
    serial_number: Annotated[
        str,
        text(
            "Serial number",
            "Serial number of the BMS that this pack has to have; empty takes the one that answers at the port.",
            rule=message("must_be.bms_serial"),
            pattern=r"^(?:(?!0{24}$|[Ff]{24}$)[0-9A-Fa-f]{24})?$",
        ),
    ] = ""


def _are_packs(packs: dict[str, PackEntry]) -> bool:
    return len(packs) <= MOST_PACKS


Packs = Annotated[
    dict[PackName, PackEntry],
    text(
        "Packs",
        "The packs by name, 16 at most; without any there is one, `main`, at `hardware.uart`.",
        rule=message("must_be.packs", most=MOST_PACKS),
        holds=_are_packs,
    ),
]
