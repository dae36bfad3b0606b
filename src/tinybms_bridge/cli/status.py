"""``tinybms-bridge status``: the running bridge on one screen, once or as it goes on."""

import asyncio
import json
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from tinybms_bridge.cli.common import EXIT_FAILURE, fail, json_option, run_until_signal
from tinybms_bridge.cli.link import linked, socket_option
from tinybms_bridge.errors import BridgeError, LinkError

if TYPE_CHECKING:
    from tinybms_bridge.cli.live import LastLines
    from tinybms_bridge.link.client import Connection
    from tinybms_bridge.link.state import CoreState

__all__ = ["status_command"]

_LEAST_HEIGHT = 24
_PIPED_WIDTH, _PIPED_HEIGHT = 100, 40


@click.command("status")
@click.option("--watch", is_flag=True, help="Go on until q or Ctrl-C, as the view of `run` does.")
@json_option
@socket_option
def status_command(watch: bool, as_json: bool, socket: str) -> None:
    """Show how the running bridge is: battery, limits with reasons, GX, alarms.

    \b
    Examples:
      tinybms-bridge status                 one screen
      tinybms-bridge status --watch         with keys: ? explains them
      tinybms-bridge status --json | jq .battery.decided.ccl_a

    It asks the bridge that runs on this machine, and disturbs nothing. Exit status: 0 fresh data is sent to the GX,
    1 it is not, or no bridge runs here.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.cli.terminal import is_terminal

    if watch and (as_json or not is_terminal(sys.stdout)):
        raise click.UsageError("--watch draws on a terminal; for programs there is --json without it")
    try:
        healthy = run_until_signal(lambda: _watch(socket) if watch else _once(socket, as_json=as_json))
    except BridgeError as error:
        fail(error)
    if healthy is False:
        sys.exit(EXIT_FAILURE)


async def _once(socket: str, *, as_json: bool) -> bool:
    from tinybms_bridge.hal.clock import SystemClock

    async with linked(socket) as link:
        state = link.mirror.state
        if as_json:
            click.echo(json.dumps(document_of(state), indent=1, ensure_ascii=False))
        else:
            await _print(link)
        return is_healthy(state, SystemClock().monotonic())


async def _print(link: "Connection[CoreState]") -> None:
    from tinybms_bridge.cli.live import LastLines, LiveView
    from tinybms_bridge.hal.clock import SystemClock

    lines = LastLines()
    await _take_log(link, lines)
    view = LiveView(lambda: link.mirror.state, SystemClock(), lines, "tinybms-bridge status")
    view.look()
    piped = not sys.stdout.isatty()
    size = shutil.get_terminal_size((_PIPED_WIDTH, _PIPED_HEIGHT))
    height = _PIPED_HEIGHT if piped else max(size.lines - 1, _LEAST_HEIGHT)
    picture = view.picture(size.columns, height, foot=False)
    while picture and not picture[-1].plain.strip():
        picture.pop()
    for line in picture:
        click.echo(line.plain.rstrip() if piped else view.encoded([line], size.columns)[0])


async def _watch(socket: str) -> None:
    """Follow the bridge until q, a signal, or its end. Raises LinkError when it ends."""
    from tinybms_bridge.cli.live import LastLines, LiveView
    from tinybms_bridge.hal.clock import SystemClock

    task = asyncio.current_task()
    assert task is not None
    async with linked(socket) as link:
        lines = LastLines()
        await _take_log(link, lines)
        view = LiveView(lambda: link.mirror.state, SystemClock(), lines, "tinybms-bridge status", quit=task.cancel)
        drawing = asyncio.create_task(view.run(), name="view")
        await asyncio.wait((drawing, link.closed), return_when=asyncio.FIRST_COMPLETED)
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
    raise LinkError(link.closed.result() if link.closed.done() else "the view ended")


async def _take_log(link: "Connection[CoreState]", lines: "LastLines") -> None:
    """Show the lines that the core has logged, and those to come."""
    from tinybms_bridge.hal.logs import LogLine
    from tinybms_bridge.link.commands import ReadLog
    from tinybms_bridge.link.state import LogWritten

    def take(event: object) -> None:
        if isinstance(event, LogWritten):
            lines.handle(LogLine(event.at, event.level, event.source, event.text).record())

    for line in await link.call(ReadLog()):
        take(line)
    link.mirror.on_event(take, LogWritten)


def is_healthy(state: "CoreState", now_s: float) -> bool:
    """Tell whether limits from fresh data go to a GX's bus."""
    from tinybms_bridge.battery.freshness import Freshness

    view = state.battery.view(now_s)
    output = state.outputs.get("can")
    return view.freshness is Freshness.FRESH and view.limits is not None and output is not None and output.up


def document_of(state: "CoreState") -> dict[str, Any]:
    """Return the state tree for programs, without the configuration, which holds secrets, and without tokens."""
    from tinybms_bridge.link.codec import to_json

    shown = replace(state, services=replace(state.services, setup_token=""))
    document: dict[str, Any] = json.loads(to_json(shown))
    del document["configuration"]["values"]
    battery = document["battery"]
    for sample in (battery["combined"], *(pack["latest"] for pack in battery["packs"].values())):
        if sample is not None:
            sample.pop("image", None)
    return document
