"""``tinybms-bridge demo``: simulated battery, real bridge, simulated GX; what ``make run`` starts."""

import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinybms_bridge.app.restart import StartAgain, own_command, start_again
from tinybms_bridge.cli.common import fail, need_laboratory, run_until_signal
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.logs import set_up_logging

if TYPE_CHECKING:
    from rich.text import Text

    from tinybms_bridge.config.opening import Opened
    from tinybms_lab.gx.gx_view import GxView
    from tinybms_lab.gx.plant import BatteryTerminals, GxPlan

__all__ = ["demo_command", "pull_text", "watch_text", "web_text"]


@click.command("demo")
@click.option("--packs", type=click.IntRange(1, 16), default=1, show_default=True, help="BMS whose packs are parallel.")
@click.option("--cells", type=click.IntRange(4, 16), default=16, show_default=True, help="Cells in series.")
@click.option("--chemistry", type=click.Choice(["lfp", "li-ion", "lto"]), default="lfp", show_default=True)
@click.option("--capacity-ah", type=click.FloatRange(1, 655), default=100.0, show_default=True)
@click.option("--soc", type=click.FloatRange(0, 100), default=60.0, show_default=True, help="At the start, in percent.")
@click.option(
    "--speed", type=click.FloatRange(1, 600), default=60.0, show_default=True, help="Pack time over real time."
)
@click.option("--feed-in", is_flag=True, help="Sell what is left of the sun; chargers then stand at CVL + 0.4 V.")
@click.option("--island", is_flag=True, help="No grid: the inverter alone feeds the loads.")
@click.option("--can-interface", default="udp_multicast", show_default=True, help="python-can interface to send on.")
@click.option(
    "--can-channel", metavar="NAME", help="CAN channel; a free one of udp_multicast, or the interface's default."
)
@click.option(
    "--web-port", type=click.IntRange(1, 65535), help="Of the web server.  [default: 8080, or the next free one]"
)
@click.option("--plain", is_flag=True, help="Log lines also in a terminal, not the live view.")
def demo_command(
    packs: int,
    cells: int,
    chemistry: str,
    capacity_ah: float,
    soc: float,
    speed: float,
    feed_in: bool,
    island: bool,
    can_interface: str,
    can_channel: str | None,
    web_port: int | None,
    plain: bool,
) -> None:
    """Run everything simulated, but the bridge: nothing to connect, nothing to configure.

    A byte-accurate TinyBMS answers on a pseudo-terminal, the real bridge reads it and sends Victron frames, and a
    simulated GX with sun and a house makes of the limits what Victron's DVCC does: a decision each three seconds, and
    with --feed-in chargers that obey no CCL. A day takes four minutes.

    \b
    In another terminal, watch the frames, or ask the web server, which has a first page at http://localhost:8080/ :
      tinybms-bridge decode --live
      curl http://localhost:8080/api/status

    With --packs 4 there are four such BMS, each on a port of its own, whose packs are one battery in parallel, and sun
    and house are four times as large. The demo says how a pack is pulled and put back while it runs.

    A second demonstration on this machine takes a CAN channel and a web port of its own, and says which.

    Users, history, events and log are kept in a temporary directory, which is removed at the end; the demo says how
    `tinybms-bridge users` works on it.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    need_laboratory("demo")
    from tinybms_bridge.cli.demo_places import claim_places
    from tinybms_bridge.cli.terminal import is_terminal
    from tinybms_bridge.config.opening import open_in_memory
    from tinybms_bridge.config.overrides import Overrides
    from tinybms_lab.bms import CHEMISTRIES, BmsOptions
    from tinybms_lab.gx.dvcc import SystemPlan
    from tinybms_lab.gx.plant import sized

    if feed_in and island:
        raise click.UsageError("--feed-in and --island exclude each other: without a grid nobody buys")
    plan = sized(SystemPlan(feed_in=feed_in, island=island), packs)
    live = not plain and is_terminal(sys.stdout)
    if not live:
        set_up_logging("INFO")
    pack = {
        "chemistry": CHEMISTRIES[chemistry],
        "cells": cells,
        "capacity_ah": capacity_ah,
        "soc": soc / 100.0,
        "options": BmsOptions(speed=speed),
    }
    notes = _Notes()
    try:
        wanted = can_channel if can_interface == "udp_multicast" else can_channel or ""
        with (
            claim_places(can_channel=wanted, web_port=web_port) as places,
            tempfile.TemporaryDirectory(prefix="tinybms-bridge-demo-", ignore_cleanup_errors=True) as folder,
        ):
            battery = _one(pack) if packs == 1 else _several(packs, pack, Path(folder), speed, notes.add)
            overrides = Overrides(battery.device, can_interface, places.can_channel or None)
            web = {"port": places.web_port, "listen_address": "127.0.0.1"}
            document = {"web_server": web, "advanced": {"state_directory": folder}, **battery.document}
            opened = open_in_memory(document, overrides)
            watch, web_address = watch_text(opened), web_text(places.web_port, sought=web_port is None)
            if not live:
                click.echo(f"Simulated TinyBMS on {battery.place}; frames on {can_interface}. {watch}")
                click.echo(web_address)
                click.echo(ask_text(folder))
                if battery.hint:
                    click.echo(battery.hint)
                notes.tell = click.echo
            hints = [watch, *([web_address] if web_address.endswith(")") else []), battery.hint]
            notes.hints = "\n".join(hint for hint in hints if hint)
            try:
                run_until_signal(lambda: _run(opened, battery, plan, live=live, speed=speed, notes=notes))
            finally:
                battery.close()
    except StartAgain:
        try:
            start_again()
        except BridgeError as error:
            fail(error)
    except (BridgeError, ValueError, OSError) as error:
        fail(str(error) if isinstance(error, ValueError) else error)


@dataclass(frozen=True, slots=True)
class _Battery:
    """What is simulated behind the serial ports, and how the bridge finds it."""

    terminals: "BatteryTerminals"
    serve: Callable[[], Awaitable[None]]
    close: Callable[[], None]
    place: str
    """Where it is, for people."""
    device: str | None = None
    """The only port."""
    document: dict[str, Any] = field(default_factory=dict)
    """What the configuration says of several."""
    hint: str = ""
    """How a pack is pulled."""


def _one(pack: dict[str, Any]) -> _Battery:
    """Return one open BMS. Raises ValueError, OSError."""
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_lab.bms import PtyServer, SimulatedBms

    clock = SystemClock()
    device = SimulatedBms.build(clock, **pack)
    server = PtyServer(device, clock)
    server.open()
    return _Battery(device, server.run, server.close, server.path, server.path)


def _several(count: int, pack: dict[str, Any], folder: Path, speed: float, say: Callable[[str], None]) -> _Battery:
    """Return so many open BMS in parallel. Raises ValueError, OSError."""
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_lab.bms import DRIVE_S, BankServer, BatteryBank, unequal_units

    clock = SystemClock()
    bank = BatteryBank(unequal_units(clock, count, **pack), ahead_s=DRIVE_S * speed)
    ports = folder / "packs"
    ports.mkdir()
    server = BankServer(bank, clock, ports, say=say)
    server.open()
    return _Battery(
        bank,
        server.run,
        server.close,
        f"{ports}/: {', '.join(bank.units)}",
        document={"packs": {name: {"uart": {"device": str(server.path(name))}} for name in bank.units}},
        hint=pull_text(server.control),
    )


@dataclass(slots=True)
class _Notes:
    """What a demonstration shows beside the battery: how to do what, and what was done last."""

    hints: str = ""
    last: str = ""
    tell: Callable[[str], None] | None = None
    """Prints a note at once, where there is no live view."""

    def add(self, text: str) -> None:
        """Note what was done."""
        self.last = text
        if self.tell is not None:
            self.tell(text)

    @property
    def shown(self) -> str:
        """The lines of the live view."""
        return "\n".join(text for text in (self.hints, self.last) if text)


async def _run(opened: "Opened", battery: _Battery, plan: "GxPlan", *, live: bool, speed: float, notes: _Notes) -> None:
    """Run simulator, GX and bridge side by side; the bridge decides when all ends."""
    import asyncio
    from dataclasses import replace

    from tinybms_bridge.app.core import CoreStart, Screen, run_core
    from tinybms_bridge.core.settings import can_settings
    from tinybms_bridge.hal.can import open_can
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_lab.gx.simulator import GxSimulator

    port = await open_can(replace(can_settings(opened.config), accept_ids=()))
    gx = GxSimulator(port, SystemClock(), battery.terminals, plan)
    helpers = [asyncio.ensure_future(battery.serve()), asyncio.create_task(gx.run())]
    try:
        title = f"tinybms-bridge demo: simulated but for the bridge, {speed:g} times as fast"
        screen = Screen(title, lambda: _gx_text(gx.view(), notes.shown), speed)
        await run_core(CoreStart(opened.config), screen=screen if live else None, status_s=2.0)
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await port.close()


def watch_text(opened: "Opened") -> str:
    """Say how to see the frames, as it can be typed in another terminal in this folder."""
    from tinybms_bridge.core.settings import can_settings

    settings = can_settings(opened.config)
    if settings.interface == "virtual":
        return "No other process can watch this interface."
    words = [own_command(), "decode", "--live"]
    if settings.interface != "udp_multicast":
        words += ["--interface", settings.interface]
    if settings.channel:
        words += ["--channel", settings.channel]
    return f"Watch the frames: {' '.join(words)}"


def ask_text(folder: str) -> str:
    """Say how another terminal asks the bridge, which listens in the demonstration's own folder."""
    from tinybms_bridge.link.path import SOCKET_NAME, SOCKET_VARIABLE

    return f"Ask the bridge: {SOCKET_VARIABLE}={folder}/{SOCKET_NAME} {own_command()} status --watch"


def pull_text(control: Path) -> str:
    """Say how a pack is pulled and put back, as it can be typed in another terminal."""
    return f"Pull a pack: echo pull b > {control}; its data only: silence b; put it back: plug b"


def web_text(port: int, *, sought: bool) -> str:
    """Say where the web server answers, and why not where a newcomer looks for it if the port was sought."""
    from tinybms_bridge.cli.demo_places import DEFAULT_WEB_PORT

    elsewhere = f" (port {DEFAULT_WEB_PORT} is in use)" if sought and port != DEFAULT_WEB_PORT else ""
    return f"Web server on http://localhost:{port}/{elsewhere}"


def _gx_text(view: "GxView", hints: str) -> "Text":
    """Return what the simulated GX shows, and how to see more."""
    from rich.text import Text

    shown = (
        "" if view.cvl_v is None else f"  obeys CVL {view.cvl_v:.1f} V, CCL {view.ccl_a:.1f} A, DCL {view.dcl_a:.1f} A"
    )
    text = Text.assemble(("Simulated GX ", "bold magenta"), f"{view.mode.lower().replace('_', ' ')}{shown}\n")
    text.append(f"  sun {view.solar_w:.0f} of {view.solar_available_w:.0f} W, loads {view.served_w:.0f}")
    text.append("" if view.served_w > view.load_w - 0.5 else f" of {view.load_w:.0f}")
    text.append(f" W, battery {view.current_a:+.1f} A, grid {view.grid_w - view.sold_w:+.0f} W")
    return text.append(f"\n{hints}", style="bright_black") if hints else text
