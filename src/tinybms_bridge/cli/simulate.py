"""``tinybms-bridge simulate``: a TinyBMS without a TinyBMS, on a pseudo-terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import fail, run_until_signal

if TYPE_CHECKING:
    from tinybms_bridge.hal.clock import Clock
    from tinybms_bridge.tinybms.simulator import DumpDevice, PtyServer, SimulatedBms

__all__ = ["simulate_command"]

_FIRST_STATUS_S = 0.3
_STATUS_INTERVAL_S = 5.0


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
    help="Register map: 242 is the one of 2018, 254 the one of 2025.",
)
@click.option("--baudrate", type=int, default=115200, show_default=True, help="Speed of the line.")
@click.option("--link", type=click.Path(path_type=Path), help="Make a symbolic link to the port, removed at the end.")
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 1000.0),
    default=1.0,
    show_default=True,
    help="How much faster than real the pack charges and discharges.",
)
@click.option("--ambient-c", type=float, default=25.0, show_default=True, help="Temperature of the room.")
@click.option("--quiet", is_flag=True, help="Print nothing after the first line.")
def simulate_command(
    cells: int,
    chemistry: str,
    capacity_ah: float,
    soc: float,
    profile: str,
    dump: str | None,
    firmware: str,
    baudrate: int,
    link: Path | None,
    speed: float,
    ambient_c: float,
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

    \b
    Then, in another terminal:
      tinybms-bridge run --device ~/tinybms
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.tinybms.simulator import (
        CHEMISTRIES,
        FIRMWARES,
        BmsOptions,
        PtyServer,
        SimulatedBms,
        parse_profile,
    )

    clock = SystemClock()
    try:
        if dump is not None:
            device: SimulatedBms | DumpDevice = _replay(dump, clock)
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
        server = PtyServer(device, clock, baudrate=baudrate, link=link)
        server.open()
    except (OSError, ValueError) as error:
        fail(str(error))
    try:
        run_until_signal(lambda: _serve(server, device, quiet))
    finally:
        server.close()


def _replay(dump: str, clock: "Clock") -> "DumpDevice":
    from tinybms_bridge.tinybms.simulator import DumpDevice, load_dump, real_dump

    return DumpDevice(real_dump() if dump == "real" else load_dump(Path(dump)), clock)


async def _serve(server: "PtyServer", device: "SimulatedBms | DumpDevice", quiet: bool) -> None:
    import asyncio

    click.echo(server.path)
    serving = asyncio.create_task(server.run())
    try:
        await asyncio.wait([serving], timeout=_FIRST_STATUS_S)
        while not quiet and not serving.done():
            click.echo(_status(server, device))
            await asyncio.wait([serving], timeout=_STATUS_INTERVAL_S)
        await serving
    finally:
        server.close()
        await serving


def _status(server: "PtyServer", device: "SimulatedBms | DumpDevice") -> str:
    """Return one line about the pack and the traffic, read from the registers as a client would."""
    from tinybms_bridge.tinybms.live import LIVE_ADDRESS, LIVE_COUNT, decode_live

    words = device.read(LIVE_ADDRESS, LIVE_COUNT)
    assert words is not None
    snapshot = decode_live(words, sequence=1, taken_at_s=0.0)
    pack, cells = snapshot.pack, snapshot.cells
    hottest_c = snapshot.temperatures.hottest_c
    warmth = "" if hottest_c is None else f"  {hottest_c:.1f} °C"
    asleep = "  asleep" if device.asleep else ""
    return (
        f"{pack.voltage_v:.2f} V {pack.current_a:+.1f} A  SOC {pack.soc_percent:.1f} %"
        f"  cells {cells.min_v:.3f}..{cells.max_v:.3f} V{warmth}"
        f"  {pack.status.name.lower().replace('_', ' ')}{asleep}  {server.responder.requests} requests"
    )
