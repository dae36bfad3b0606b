"""``tinybms-bridge simulate``: a TinyBMS without a TinyBMS, on a pseudo-terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tinybms_bridge.cli.common import fail, need_laboratory, run_until_signal
from tinybms_bridge.errors import ConfigError
from tinybms_bridge.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybms_bridge.hal.clock import Clock
    from tinybms_lab.bms import (
        BankServer,
        BmsScenario,
        CurrentProfile,
        DumpDevice,
        FaultInjector,
        PtyServer,
        SimulatedBms,
    )

__all__ = ["simulate_command"]

_FIRST_STATUS_S = 0.3
_STATUS_INTERVAL_S = 5.0
_PACK_OPTIONS = ("cells", "chemistry", "capacity_ah", "soc", "profile", "dump", "firmware", "ambient_c")
"""A scenario brings its own."""


@click.command("simulate")
@click.option("--cells", type=click.IntRange(4, 16), default=16, show_default=True, help="Cells in series.")
@click.option(
    "--chemistry",
    type=click.Choice(["lfp", "li-ion", "lto"]),
    default="lfp",
    show_default=True,
    help="Kind of cell; also chooses the settings of the BMS.",
)
@click.option(
    "--capacity-ah",
    type=click.FloatRange(0.1, 655.0),
    default=100.0,
    show_default=True,
    help="Capacity of the pack.",
)
@click.option(
    "--soc",
    type=click.FloatRange(0.0, 100.0),
    default=60.0,
    show_default=True,
    help="State of charge at the start, in percent.",
)
@click.option(
    "--profile",
    default="cycle",
    show_default=True,
    metavar="PROFILE",
    help="idle, cycle, charge, discharge, or seconds:amperes items such as 300:-20,300:+30 (W for watts).",
)
@click.option(
    "--dump",
    metavar="FILE|real",
    help="Replay registers of a JSON file, or `real`: a capture of a 14-cell unit. Replaces the pack and its options.",
)
@click.option(
    "--firmware",
    type=click.Choice(["242", "254"]),
    default="254",
    show_default=True,
    help="Last part of the version: 2.3.242 has the register map of 2018, 2.3.254 the one of 2025.",
)
@click.option(
    "--baudrate", type=click.IntRange(300, 4_000_000), default=115200, show_default=True, help="Speed of the line."
)
@click.option(
    "--chunk",
    type=click.IntRange(1, 4096),
    metavar="BYTES",
    help="Deliver this many bytes at a time: 64 like a USB adapter, 1 singly; else as they come.",
)
@click.option(
    "--link",
    type=click.Path(path_type=Path),
    help="Make a symbolic link to the port, removed at the end; with --packs a folder of them.",
)
@click.option(
    "--packs",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="So many BMS, each with a port, whose packs are one battery in parallel.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 1000.0),
    default=1.0,
    show_default=True,
    help="How much faster than real the pack charges and discharges.",
)
@click.option("--ambient-c", type=float, default=25.0, show_default=True, help="Temperature of the room.")
@click.option(
    "--scenario",
    metavar="NAME|FILE",
    help="Play a built-in scenario or one from a TOML file; it brings its own pack and BMS.",
)
@click.option("--list-scenarios", is_flag=True, help="Name the built-in scenarios and stop.")
@click.option(
    "--fault",
    "fault_items",
    multiple=True,
    metavar="NAME=CHANCE",
    help="Let the line fail, with this chance for each reply: bit_flip=0.01, lost_byte, late_reply, and others.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same faults.")
@click.option("--quiet", is_flag=True, help="Print nothing after the first line.")
@click.pass_context
def simulate_command(
    context: click.Context,
    cells: int,
    chemistry: str,
    capacity_ah: float,
    soc: float,
    profile: str,
    dump: str | None,
    firmware: str,
    baudrate: int,
    chunk: int | None,
    link: Path | None,
    packs: int,
    speed: float,
    ambient_c: float,
    scenario: str | None,
    list_scenarios: bool,
    fault_items: tuple[str, ...],
    seed: int,
    quiet: bool,
) -> None:
    """Simulate a TinyBMS with a battery behind it.

    The first line printed is the serial port to connect to; a status line follows every few seconds. The port
    behaves like the wired UART of a TinyBMS: 115200 baud, about 1 ms to answer, asleep after 10 s without traffic.
    Ctrl-C unplugs it.

    \b
    Examples:
      tinybms-bridge simulate --link ~/tinybms
      tinybms-bridge simulate --chemistry li-ion --cells 14 --profile 600:-40,600:+40
      tinybms-bridge simulate --dump real
      tinybms-bridge simulate --scenario cold-morning --speed 20
      tinybms-bridge simulate --fault bit_flip=0.01 --fault silence=0.02 --seed 7
      tinybms-bridge simulate --packs 4 --link ~/packs

    \b
    Then, in another terminal:
      tinybms-bridge run --device ~/tinybms
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    need_laboratory("simulate")
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_lab.bms import (
        CHEMISTRIES,
        FIRMWARES,
        BmsOptions,
        PtyServer,
        SimulatedBms,
        parse_profile,
    )

    if list_scenarios:
        _list_scenarios()
        return
    faults = _injector(fault_items, seed)
    clock = SystemClock()
    if packs > 1:
        if scenario is not None or dump is not None:
            raise click.UsageError("--packs makes packs of its own: leave out --scenario and --dump")
        _simulate_bank(
            packs,
            link,
            quiet=quiet,
            profile=profile,
            speed=speed,
            pack={
                "chemistry": CHEMISTRIES[chemistry],
                "cells": cells,
                "capacity_ah": capacity_ah,
                "soc": soc / 100.0,
                "ambient_c": ambient_c,
                "options": BmsOptions(firmware=FIRMWARES[int(firmware)], speed=speed),
            },
            line={"baudrate": baudrate, "chunk": chunk},
            injectors=lambda number: _injector(fault_items, seed + number),
        )
        return
    plan = None
    try:
        if scenario is not None:
            _refuse_pack_options(context)
            plan = _find_scenario(scenario)
            chunk = chunk or plan.chunk
            device: SimulatedBms | DumpDevice = plan.build(clock, speed=speed)
        elif dump is not None:
            device = _replay(dump, clock)
        else:
            device = SimulatedBms.build(
                clock,
                chemistry=CHEMISTRIES[chemistry],
                cells=cells,
                capacity_ah=capacity_ah,
                soc=soc / 100.0,
                ambient_c=ambient_c,
                profile=parse_profile(profile, capacity_ah=capacity_ah),
                options=BmsOptions(firmware=FIRMWARES[int(firmware)], speed=speed),
            )
        server = PtyServer(
            device,
            clock,
            baudrate=baudrate,
            link=link,
            chunk=chunk,
            quirks=plan.quirks if plan else None,
            faults=faults,
        )
        server.open()
    except ConfigError as error:
        fail(error)
    except (OSError, ValueError) as error:
        fail(error if isinstance(error, OSError) else str(error))
    try:
        run_until_signal(lambda: _serve(server, device, quiet, plan), punctual=True)
    finally:
        server.close()


def _list_scenarios() -> None:
    from tinybms_lab.bms import built_in_scenarios
    from tinybms_lab.bms.event_printer import in_words

    scenarios = built_in_scenarios()
    width = max(len(name) for name in scenarios)
    for name, scenario in scenarios.items():
        click.echo(f"{name:{width}}  {scenario.title} ({in_words(scenario.duration_s)})")


def _injector(items: tuple[str, ...], seed: int) -> "FaultInjector":
    """Return what goes wrong; ends with the usage and code 2 on an item that is no fault."""
    import random

    from tinybms_lab.bms import FaultInjector, parse_faults

    try:
        plan = parse_faults(items)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--fault") from error
    return FaultInjector(plan, random.Random(seed))  # noqa: S311 -- faults are no secret, and must be repeatable


def _refuse_pack_options(context: click.Context) -> None:
    """End with the usage and code 2 when an option stands beside a scenario that decides it."""
    given = [name for name in _PACK_OPTIONS if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise click.UsageError(f"a scenario brings its own pack and BMS: leave out {names}")


def _find_scenario(name: str) -> "BmsScenario":
    """Return a built-in scenario or one from a file. Raises ConfigError, OSError, ValueError."""
    from tinybms_lab.bms import built_in_scenarios, load_scenario

    built_in = built_in_scenarios()
    if name in built_in:
        return built_in[name]
    path = Path(name)
    if not path.exists():
        names = f"{', '.join(built_in)}{did_you_mean(name, built_in)}"
        raise click.BadParameter(f"{name} is neither a file nor one of {names}", param_hint="--scenario")
    return load_scenario(path)


def _replay(dump: str, clock: "Clock") -> "DumpDevice":
    from tinybms_lab.bms import DumpDevice, load_dump, real_dump

    return DumpDevice(real_dump() if dump == "real" else load_dump(Path(dump)), clock)


async def _serve(
    server: "PtyServer", device: "SimulatedBms | DumpDevice", quiet: bool, scenario: "BmsScenario | None"
) -> None:
    import asyncio

    from tinybms_lab.bms.event_printer import EventPrinter

    click.echo(server.path)
    event_printer = EventPrinter(device, server.responder)
    serving = asyncio.create_task(server.run())
    if scenario is not None:
        _play(scenario, server, device, quiet)
    try:
        await asyncio.wait([serving], timeout=_FIRST_STATUS_S)
        while not quiet and not serving.done():
            click.echo("\n".join(event_printer.lines()))
            await asyncio.wait([serving], timeout=_STATUS_INTERVAL_S)
        await serving
    finally:
        server.close()
        await serving


def _play(scenario: "BmsScenario", server: "PtyServer", device: "SimulatedBms | DumpDevice", quiet: bool) -> None:
    """Start a scenario on the running simulation; its notes are printed when their time has come."""
    from tinybms_lab.bms import SimulatedBms, Stage
    from tinybms_lab.bms.event_printer import in_words

    def say(text: str) -> None:
        if not quiet:
            click.echo(f"# {text}")

    assert isinstance(device, SimulatedBms)
    say(f"{scenario.name}: {scenario.title} ({in_words(scenario.duration_s)})")
    scenario.play(Stage(device, server.line.faults, say))
    device.at(scenario.duration_s, lambda: say("the scenario is over; the simulation goes on"))


def _simulate_bank(
    count: int,
    link: Path | None,
    *,
    quiet: bool,
    profile: str,
    speed: float,
    pack: dict[str, Any],
    line: dict[str, Any],
    injectors: "Callable[[int], FaultInjector]",
) -> None:
    """Simulate several BMS in parallel, with their ports in a folder, until a signal."""
    import itertools
    import tempfile

    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_lab.bms import DRIVE_S, BankServer, BatteryBank, parse_profile, unequal_units

    clock = SystemClock()
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(prefix="tinybms-packs-", ignore_cleanup_errors=True) as own:
        folder = Path(own) if link is None else link
        try:
            wanted = parse_profile(profile, capacity_ah=count * pack["capacity_ah"])
            bank = BatteryBank(unequal_units(clock, count, **pack), ahead_s=DRIVE_S * speed)
            folder.mkdir(exist_ok=True)
            server = BankServer(
                bank, clock, folder, say=_note_unless(quiet), faults=lambda: injectors(next(numbers)), **line
            )
            server.open()
        except (OSError, ValueError) as error:
            fail(error if isinstance(error, OSError) else str(error))
        try:
            run_until_signal(lambda: _serve_bank(server, wanted, quiet=quiet), punctual=True)
        finally:
            server.close()


async def _serve_bank(server: "BankServer", profile: "CurrentProfile", *, quiet: bool) -> None:
    import asyncio

    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_lab.bms.event_printer import EventPrinter

    units = server.bank.units
    for name in units:
        click.echo(f"{name}  {server.path(name)}")
    _note_unless(quiet)(f"echo pull b > {server.control} takes pack b away, silence b its data, plug b puts it back")
    printers = {name: EventPrinter(unit.bms, server.server(name).responder) for name, unit in units.items()}
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        group.create_task(server.bank.drive(profile, SystemClock()))
        await asyncio.sleep(_FIRST_STATUS_S)
        while not quiet:
            for name, printer in printers.items():
                printer.responder = server.server(name).responder
                pulled = "" if units[name].plugged else "  pulled"
                click.echo("\n".join(f"{name}  {told}" for told in printer.lines()) + pulled)
            await asyncio.sleep(_STATUS_INTERVAL_S)


def _note_unless(quiet: bool) -> "Callable[[str], None]":
    """Return what prints a note for people, or nothing."""
    return (lambda _: None) if quiet else (lambda text: click.echo(f"# {text}"))
