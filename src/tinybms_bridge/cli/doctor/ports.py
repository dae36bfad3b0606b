"""``doctor --ports``: which BMS answers on which serial port, through the running bridge or by asking here."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import fail, run_until_signal
from tinybms_bridge.words import Language, message

if TYPE_CHECKING:
    from tinybms_bridge.tinybms.found_units import Candidate

__all__ = ["lines_of", "show_ports"]


def show_ports(config_path: str | None, language: Language, *, as_json: bool) -> None:
    """Ask at the ports and show what answers."""
    found = run_until_signal(lambda: _find(config_path))
    if found is None:
        fail("interrupted before every port was asked")
    if as_json:
        from tinybms_bridge.link.codec import to_json

        document = {"candidates": [json.loads(to_json(each)) for each in found]}
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
        return
    for line in lines_of(found, language):
        click.echo(line)


async def _find(config_path: str | None) -> "Sequence[Candidate]":
    """Have the running bridge ask, which knows its own ports; without one, or for a file that is named, ask here."""
    from tinybms_bridge.cli.link import linked
    from tinybms_bridge.errors import LinkError
    from tinybms_bridge.link.commands import ListCandidates

    if config_path is None:
        try:
            async with linked("") as link:
                return await link.call(ListCandidates())
        except LinkError:  # none runs, or it is not ours to ask: who holds a port is named all the same
            pass
    return await _ask(config_path)


async def _ask(config_path: str | None) -> "Sequence[Candidate]":
    import asyncio

    from tinybms_bridge.cli.configuration import read_configuration
    from tinybms_bridge.config.configuration import Configuration
    from tinybms_bridge.config.models.hardware import BAUD_RATE
    from tinybms_bridge.config.packs import pack_ports
    from tinybms_bridge.errors import ConfigError
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.tinybms.candidates import find_candidates
    from tinybms_bridge.tinybms.found_units import KnownPort

    try:
        config = (await asyncio.to_thread(read_configuration, config_path)).configuration
    except ConfigError:  # what is wrong with it is for ``check``; the ports can be asked all the same
        config = Configuration()
    named = pack_ports(config) if config.packs else {}
    known = [KnownPort(port.device, name, free=True) for name, port in named.items() if port.device != "auto"]
    return await find_candidates(known, BAUD_RATE, SystemClock())


def lines_of(found: "Sequence[Candidate]", language: Language) -> list[str]:
    """Return two lines for each port: its name and place, and what answers there."""
    if not found:
        return [message("serial.none").say(language)]
    lines = []
    for each in found:
        place = "" if each.device in ("", each.path) else each.device
        about = ", ".join(text for text in (place, each.product) if text)
        named = message("candidate.pack", pack=each.pack).say(language) if each.pack else ""
        lines.append("  ".join(text for text in (each.path, f"({about})" if about else "", named) if text))
        lines += [f"    {told}" for told in _told(each, language)]
    return lines


def _told(candidate: "Candidate", language: Language) -> list[str]:
    told = []
    if candidate.unit is not None:
        unit, identity = candidate.unit, candidate.unit.identity
        about = message(
            "candidate.unit",
            serial=identity.serial_number,
            hardware=identity.hardware_version,
            firmware=identity.firmware,
            cells=unit.series_cells,
            capacity_ah=unit.capacity_ah,
            voltage_v=unit.voltage_v,
        )
        told.append(about.say(language))
    if candidate.message is not None:
        told.append(candidate.message.say(language))
    return told
