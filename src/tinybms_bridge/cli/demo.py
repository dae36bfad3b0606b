"""``tinybms-bridge demo``: simulated battery, real bridge, simulated GX; what ``make run`` starts."""

import sys
import tempfile
from typing import TYPE_CHECKING

import click

from tinybms_bridge.app.restart import StartAgain, own_command, start_again
from tinybms_bridge.cli.common import fail, need_laboratory, run_until_signal
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.logs import set_up_logging

if TYPE_CHECKING:
    from rich.text import Text

    from tinybms_bridge.config.opening import Opened
    from tinybms_lab.bms import PtyServer, SimulatedBms
    from tinybms_lab.gx.dvcc import SystemPlan
    from tinybms_lab.gx.gx_view import GxView

__all__ = ["demo_command", "watch_text", "web_text"]


@click.command("demo")
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

    A second demonstration on this machine takes a CAN channel and a web port of its own, and says which.

    Users, history, events and log are kept in a temporary directory, which is removed at the end; the demo says how
    `tinybms-bridge users` works on it.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    need_laboratory("demo")
    from tinybms_bridge.cli.demo_places import claim_places
    from tinybms_bridge.cli.terminal import is_terminal
    from tinybms_bridge.config.opening import open_in_memory
    from tinybms_bridge.config.overrides import Overrides
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_lab.bms import CHEMISTRIES, BmsOptions, PtyServer, SimulatedBms
    from tinybms_lab.gx.dvcc import SystemPlan

    if feed_in and island:
        raise click.UsageError("--feed-in and --island exclude each other: without a grid nobody buys")
    system = SystemPlan(feed_in=feed_in, island=island)
    live = not plain and is_terminal(sys.stdout)
    if not live:
        set_up_logging("INFO")
    clock = SystemClock()
    try:
        device = SimulatedBms.build(
            clock,
            chemistry=CHEMISTRIES[chemistry],
            cells=cells,
            capacity_ah=capacity_ah,
            soc=soc / 100.0,
            options=BmsOptions(speed=speed),
        )
        server = PtyServer(device, clock)
        server.open()
        wanted = can_channel if can_interface == "udp_multicast" else can_channel or ""
        with (
            claim_places(can_channel=wanted, web_port=web_port) as places,
            tempfile.TemporaryDirectory(prefix="tinybms-bridge-demo-", ignore_cleanup_errors=True) as folder,
        ):
            overrides = Overrides(server.path, can_interface, places.can_channel or None)
            web = {"port": places.web_port, "listen_address": "127.0.0.1"}
            opened = open_in_memory({"web_server": web, "advanced": {"state_directory": folder}}, overrides)
            watch, web_address = watch_text(opened), web_text(places.web_port, sought=web_port is None)
            if not live:
                click.echo(f"Simulated TinyBMS on {server.path}; frames on {can_interface}. {watch}")
                click.echo(web_address)
                click.echo(ask_text(folder))
            hints = f"{watch}\n{web_address}" if web_address.endswith(")") else watch
            run_until_signal(lambda: _run(opened, device, server, system, live=live, speed=speed, hints=hints))
    except StartAgain:
        try:
            start_again()
        except BridgeError as error:
            fail(error)
    except (BridgeError, ValueError, OSError) as error:
        fail(str(error) if isinstance(error, ValueError) else error)


async def _run(
    opened: "Opened",
    device: "SimulatedBms",
    server: "PtyServer",
    system: "SystemPlan",
    *,
    live: bool,
    speed: float,
    hints: str,
) -> None:
    """Run simulator, GX and bridge side by side; the bridge decides when all ends."""
    import asyncio
    from dataclasses import replace

    from tinybms_bridge.app.core import CoreStart, Screen, run_core
    from tinybms_bridge.core.settings import can_settings
    from tinybms_bridge.hal.can import open_can
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_lab.gx.simulator import GxPlan, GxSimulator

    port = await open_can(replace(can_settings(opened.config), accept_ids=()))
    gx = GxSimulator(port, SystemClock(), device, GxPlan(system=system))
    helpers = [asyncio.create_task(server.run()), asyncio.create_task(gx.run())]
    try:
        title = f"tinybms-bridge demo: simulated but for the bridge, {speed:g} times as fast"
        screen = Screen(title, lambda: _gx_text(gx.view(), hints), speed)
        await run_core(CoreStart(opened.config), screen=screen if live else None, status_s=2.0)
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        server.close()
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
