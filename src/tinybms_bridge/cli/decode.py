"""``tinybms-bridge decode``: Victron CAN-bus BMS frames in words, from a candump recording or from a live bus."""

import json
import os
import sys
from typing import IO, TYPE_CHECKING

import click

from tinybms_bridge.cli.common import fail, run_until_signal
from tinybms_bridge.errors import LinkError

if TYPE_CHECKING:
    from tinybms_bridge.cli.candump import Recorded
    from tinybms_bridge.hal.can import CanFrame, CanSettings

__all__ = ["decode_command"]


@click.command("decode")
@click.argument("files", nargs=-1, type=click.File("r", encoding="utf-8", errors="replace"), metavar="[FILE]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per frame and line, for other programs.")
@click.option("--live", is_flag=True, help="Watch a bus instead of reading a recording, until Ctrl-C.")
@click.option("--interface", default="udp_multicast", show_default=True, metavar="NAME", help="Adapter for --live.")
@click.option("--channel", default="", metavar="NAME", help="Channel for --live, for example can0.")
@click.option("--bitrate", default=500_000, show_default=True, metavar="BIT/S", help="Where the adapter sets it.")
def decode_command(
    files: tuple[IO[str], ...], as_json: bool, live: bool, interface: str, channel: str, bitrate: int
) -> None:
    """Say what Victron CAN-bus BMS frames mean.

    Reads FILE, or standard input, in any format of candump; lines that cannot be decoded are reported with their
    number. Ends with 1 when not a single frame could be decoded.

    \b
    Examples:
      tinybms-bridge decode --live                     frames of the bridge or demo running on this machine
      tinybms-bridge decode --live --interface socketcan --channel can0
      candump -L can0 | tinybms-bridge decode          while candump runs
      tinybms-bridge decode recording.log              a file written by candump -l
      echo '351#4302E8039E07D001' | tinybms-bridge decode
      tinybms-bridge decode --json recording.log | jq '.values.charge_voltage_limit // empty'
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    try:
        if live:
            if files:
                raise click.UsageError("--live watches a bus; leave the files out")
            _watch(interface, channel, bitrate, as_json=as_json)
        else:
            streams: tuple[IO[str], ...] = files or (sys.stdin,)
            if not sum(_decode_stream(stream, as_json=as_json) for stream in streams):
                sys.exit(1)
    except BrokenPipeError:  # the reader, for example head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _decode_stream(stream: IO[str], *, as_json: bool) -> int:
    """Print each frame of a recording as it comes; return how many could be decoded."""
    from tinybms_bridge.cli.candump import parse_line

    decoded = 0
    name = getattr(stream, "name", "input")
    for number, line in enumerate(stream, start=1):
        try:
            recorded = parse_line(line)
            if recorded is not None:
                _print(recorded, as_json=as_json)
                decoded += 1
        except (ValueError, LookupError) as error:
            click.echo(f"{name}:{number}: {error}", err=True)
    return decoded


def _print(recorded: "Recorded", *, as_json: bool) -> None:
    """Print one frame. Raises LookupError for an id that the protocol does not have."""
    from tinybms_bridge.cli.candump import as_record, as_text
    from tinybms_bridge.victron.codec import decode_frame

    decoded = decode_frame(recorded.frame)
    if as_json:
        click.echo(json.dumps(as_record(recorded, decoded), separators=(",", ":")))
    else:
        click.echo(as_text(recorded, decoded))


def _watch(interface: str, channel: str, bitrate_bps: int, *, as_json: bool) -> None:
    from tinybms_bridge.hal.can import CanSettings

    settings = CanSettings(interface=interface, channel=channel, bitrate_bps=bitrate_bps)
    try:
        run_until_signal(lambda: _print_received(settings, as_json=as_json))
    except LinkError as error:
        fail(error)


async def _print_received(settings: "CanSettings", *, as_json: bool) -> None:
    """Print what the bus carries until cancelled, and each unknown id once."""
    import asyncio
    import time

    from tinybms_bridge.cli.candump import Recorded
    from tinybms_bridge.hal.can import open_can

    received: asyncio.Queue[CanFrame] = asyncio.Queue(1000)
    unknown: set[int] = set()

    def keep(frame: "CanFrame") -> None:
        if not received.full():
            received.put_nowait(frame)

    port = await open_can(settings)
    port.subscribe(keep)
    click.echo(f"watching {settings}; Ctrl-C ends", err=True)
    try:
        while True:
            frame = await received.get()
            try:
                _print(Recorded(frame, time.time()), as_json=as_json)
            except LookupError as error:
                if frame.arbitration_id not in unknown:
                    unknown.add(frame.arbitration_id)
                    click.echo(f"{error}; further ones are not shown", err=True)
    finally:
        await port.close()
