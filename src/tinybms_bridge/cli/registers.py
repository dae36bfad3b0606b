"""``tinybms-bridge registers``: the register catalogue, or the live values of a connected TinyBMS, as a table."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import fail, json_option, run_until_signal
from tinybms_bridge.cli.device import pack_option
from tinybms_bridge.errors import BridgeError, DeviceRefused

if TYPE_CHECKING:
    from tinybms_bridge.tinybms.registers import Register

__all__ = ["registers_command"]

_BLOCKS = {"live": (0, 56), "statistics": (100, 18), "events": (200, 98), "settings": (300, 44), "version": (500, 10)}


@click.command("registers")
@click.option("--live", is_flag=True, help="Read the values from a connected BMS.")
@click.option("--device", default="auto", show_default=True, metavar="PORT", help="Serial port for --live.")
@pack_option
@click.option("--group", type=click.Choice(list(_BLOCKS)), help="Only this part of the map.")
@json_option
def registers_command(live: bool, device: str, pack: str, group: str | None, as_json: bool) -> None:
    """Show the registers of the TinyBMS.

    \b
    Examples:
      tinybms-bridge registers                              every register the vendor documents
      tinybms-bridge registers --group settings             those that can be set
      tinybms-bridge registers --live --device /dev/ttyUSB0 what a unit answers now
      tinybms-bridge registers --live --json | jq '.[] | select(.key == "pack_voltage").value'
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.cli.device import with_doctor
    from tinybms_bridge.tinybms.registers import catalogue

    chosen = [r for r in catalogue() if not r.is_reserved and (group is None or r.group.split(".")[0] == group)]
    words: dict[int, int] = {}
    if live:
        try:
            read = run_until_signal(lambda: _read_blocks(device, pack, {r.group.split(".")[0] for r in chosen}))
        except BridgeError as error:
            fail(with_doctor(error, device))
        if read is None:
            fail("interrupted before everything was read")
        words = read
        chosen = [r for r in chosen if r.address in words]
    if as_json:
        rows = [_row(register, words if live else None) for register in chosen]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _print_table(chosen, words if live else None)


async def _read_blocks(device: str, pack: str, groups: Iterable[str]) -> dict[int, int]:
    """Return the words of each block that the BMS knows. Raises DeviceRefused when it refuses all, LinkError."""
    from tinybms_bridge.cli.device import connected
    from tinybms_bridge.tinybms.frames import ReadModbus, RegistersReply

    words: dict[int, int] = {}
    refused: DeviceRefused | None = None
    async with connected(device, pack=pack) as client:
        for group in sorted(groups):
            address, count = _BLOCKS[group]
            try:
                reply = await client.request(ReadModbus(address, count))
            except DeviceRefused as refusal:
                refused = refusal
                click.echo(f"registers {address} to {address + count - 1}: {refusal}", err=True)
                continue
            assert isinstance(reply, RegistersReply)
            words.update(enumerate(reply.values, start=address))
    if refused is not None and not words:
        raise refused
    return words


def _raw(register: "Register", words: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(words[register.address + offset] for offset in range(register.words))


def _span(register: "Register") -> tuple[float, float] | None:
    """Return the documented range in the register's unit, or None."""
    if register.minimum_raw is None or register.maximum_raw is None:
        return None
    return round(register.minimum_raw * register.scale, 6), round(register.maximum_raw * register.scale, 6)


def _row(register: "Register", words: Mapping[int, int] | None) -> dict[str, object]:
    row: dict[str, object] = {
        "address": register.address,
        "key": register.key,
        "name": register.name,
        "unit": register.unit,
        "access": register.access,
    }
    if words is not None:
        raw = _raw(register, words)
        return row | {"value": register.decode(raw), "raw": raw}
    choices = list(register.choices.values())
    return row | {"type": register.kind, "scale": register.scale, "range": _span(register), "choices": choices}


def _print_table(registers: list["Register"], words: Mapping[int, int] | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("Reg", "Key", "Range or choices" if words is None else "Value", "Unit", "Access"):
        table.add_column(title, overflow="fold")
    for register in registers:
        shown = _limits_text(register) if words is None else _value_text(register, words)
        table.add_row(str(register.address), register.key, shown, register.unit, register.access)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _value_text(register: "Register", words: Mapping[int, int]) -> str:
    value = register.decode(_raw(register, words))
    return "-" if value is None else str(value)


def _limits_text(register: "Register") -> str:
    if register.choices:
        return ", ".join(register.choices.values())
    span = _span(register)
    return "" if span is None else f"{span[0]:g} to {span[1]:g}"
