"""``tinybms-bridge decode``: Victron CAN-bus BMS frames in words, from a candump recording or from a live bus."""

import json
import os
import sys
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from tinybms_bridge.cli.common import fail, run_until_signal
from tinybms_bridge.errors import BridgeError, LinkError

if TYPE_CHECKING:
    from tinybms_bridge.hal.can import CanFrame, CanSettings
    from tinybms_bridge.victron.can.candump import CaptureRemark, Recorded

__all__ = ["decode_command"]


@click.command("decode")
@click.argument("files", nargs=-1, type=click.File("rb"), metavar="[FILE]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for each frame, on a line of its own.")
@click.option("--live", is_flag=True, help="Watch a bus instead of reading a recording, until Ctrl-C.")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Watch the CAN bus of this configuration file.")
@click.option("--interface", metavar="NAME", help="Adapter for --live.  [default: udp_multicast]")
@click.option("--channel", metavar="NAME", help="Channel for --live, for example can0.")
@click.option("--bitrate", type=click.IntRange(min=1), metavar="BIT/S", help="Where the adapter sets it.")
def decode_command(
    files: tuple[IO[bytes], ...],
    as_json: bool,
    live: bool,
    config: Path | None,
    interface: str | None,
    channel: str | None,
    bitrate: int | None,
) -> None:
    """Say what Victron CAN-bus BMS frames mean.

    Reads FILE, or standard input: any form of candump, recordings of other tools (Vector ASC, PEAK TRC, BLF, BusMaster,
    SavvyCAN, also packed with gzip), and any text whose lines hold an id and bytes, such as a program's log or a web
    page. Lines that cannot be decoded are reported with their number. Ends with 1 when not a single frame could be
    decoded.

    \b
    Examples:
      tinybms-bridge decode --live                     what `demo` on this machine sends (udp_multicast)
      tinybms-bridge decode --live -c bridge.json      the bus of a bridge, with all options of its adapter
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
            _watch(_bus(config, interface, channel, bitrate), as_json=as_json)
        else:
            if config or interface or channel or bitrate:
                raise click.UsageError("these options choose a bus to watch: add --live")
            streams: tuple[IO[bytes], ...] = files or (sys.stdin.buffer,)
            if not sum(_decode_stream(stream, as_json=as_json) for stream in streams):
                fail("not a single frame could be decoded")
    except BrokenPipeError:  # the reader, for example head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _decode_stream(stream: IO[bytes], *, as_json: bool) -> int:
    """Print each frame of a recording as it comes; return how many could be decoded."""
    from tinybms_bridge.cli.recordings import read_recording
    from tinybms_bridge.victron.can.candump import CaptureRemark

    decoded, name = 0, _name(stream)
    try:
        for entry in read_recording(stream):
            place = name if entry.line is None else f"{name}:{entry.line}"
            try:
                if isinstance(entry.found, CaptureRemark):
                    _print_remark(entry.found, as_json=as_json)
                else:
                    _print(_frame_of(entry.found), as_json=as_json)
                    decoded += 1
            except (ValueError, LookupError) as error:
                click.echo(f"{place}: {error}", err=True)
    except BrokenPipeError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:  # what was read before was printed
        click.echo(f"{name}: {error}", err=True)
    return decoded


def _frame_of(found: "Recorded | ValueError") -> "Recorded":
    if isinstance(found, ValueError):
        raise found
    return found


def _name(stream: IO[bytes]) -> str:
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) else "<stdin>"


def _print_remark(remark: "CaptureRemark", *, as_json: bool) -> None:
    from tinybms_bridge.victron.can.candump import remark_as_record, remark_as_text

    text = json.dumps(remark_as_record(remark), separators=(",", ":")) if as_json else remark_as_text(remark)
    click.echo(text)


def _print(recorded: "Recorded", *, as_json: bool) -> None:
    """Print one frame. Raises LookupError for an id that the protocol does not have, ValueError for a cut frame."""
    from tinybms_bridge.victron.can.candump import as_record, as_text, expect_whole
    from tinybms_bridge.victron.can.codec import decode_frame

    decoded = decode_frame(recorded.frame)
    expect_whole(recorded.frame)
    if as_json:
        click.echo(json.dumps(as_record(recorded, decoded), separators=(",", ":")))
    else:
        click.echo(as_text(recorded, decoded))


def _bus(config: Path | None, interface: str | None, channel: str | None, bitrate_bps: int | None) -> "CanSettings":
    """Return the bus to watch: of a configuration, or of the options, which win."""
    from dataclasses import replace

    from tinybms_bridge.hal.can import CanSettings

    if config is None:
        return CanSettings(interface or "udp_multicast", channel or "", bitrate_bps or 500_000)
    from tinybms_bridge.config.opening import load_configuration
    from tinybms_bridge.config.overrides import Overrides
    from tinybms_bridge.core.settings import can_settings

    try:
        loaded, _ = load_configuration(str(config), Overrides(can_interface=interface, can_channel=channel))
    except BridgeError as error:
        fail(error)
    settings = replace(can_settings(loaded), accept_ids=())
    return replace(settings, bitrate_bps=bitrate_bps) if bitrate_bps else settings


def _watch(settings: "CanSettings", *, as_json: bool) -> None:
    try:
        run_until_signal(lambda: _print_received(settings, as_json=as_json))
    except LinkError as error:
        fail(error)


async def _print_received(settings: "CanSettings", *, as_json: bool) -> None:
    """Print what the bus carries until cancelled, and each unknown id and each id of a cut frame once."""
    import asyncio
    import time

    from tinybms_bridge.hal.can import open_can
    from tinybms_bridge.victron.can.candump import Recorded

    received: asyncio.Queue[CanFrame] = asyncio.Queue(1000)
    odd: set[int] = set()

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
            except (LookupError, ValueError) as error:
                if frame.arbitration_id not in odd:
                    odd.add(frame.arbitration_id)
                    click.echo(f"{error}; further ones are not shown", err=True)
    finally:
        await port.close()
