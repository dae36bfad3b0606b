"""``tinybms-bridge run``, ``run-core`` and ``run-services``: the bridge between a real TinyBMS and a real CAN bus."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tinybms_bridge.cli.common import fail, occupy_standard_streams, run_until_signal
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.leave_out import without_openssl

__all__ = ["run_command", "run_core_command", "run_services_command"]


def _core_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that ``run`` and ``run-core`` share."""
    for option in reversed(
        (
            click.option(
                "-c", "--config", "config_path", metavar="FILE", help="Configuration file; see `tinybms-bridge check`."
            ),
            click.option("--device", metavar="PORT", help="Serial port, in place of hardware.uart.device."),
            click.option("--can-interface", metavar="NAME", help="CAN interface, in place of hardware.can.interface."),
            click.option("--can-channel", metavar="NAME", help="CAN channel, in place of hardware.can.channel."),
            click.option(
                "--log-level",
                type=click.Choice(["ERROR", "WARNING", "INFO", "DEBUG"]),
                help="Default: as configured.",
            ),
            click.option(
                "--socket",
                metavar="PATH",
                default="",
                envvar="TINYBMS_BRIDGE_SOCKET",
                help="Where services and commands reach the bridge.  [default: in the runtime or state directory]",
            ),
        )
    ):
        command = option(command)
    return command


@click.command("run")
@_core_options
@click.option("--plain", is_flag=True, help="Log lines also in a terminal, not the live view.")
@click.option("--no-services", is_flag=True, help="The core alone: no web pages, no history, no log file.")
def run_command(plain: bool, no_services: bool, **options: Any) -> None:  # noqa: ANN401 -- see _core_options
    """Run the bridge until Ctrl-C or SIGTERM.

    \b
    Without a configuration everything comes from the BMS's own settings. Examples:
      tinybms-bridge run                                        /dev/ttyUSB0 and can0
      tinybms-bridge run --device auto --can-channel can1
      tinybms-bridge run -c /etc/tinybms-bridge/config.json --plain
      tinybms-bridge run --no-services                          a small board: frames, and nothing beside

    Web pages, history and log file run in a process of their own, which is started with the bridge and again when it
    fails; nothing that happens there reaches the frames. Service managers start the two processes as `run-core` and
    `run-services`.

    In a terminal a live view is shown, with keys: q ends, ? explains, Tab turns the page. Otherwise plain log lines
    for the journal.
    A missing BMS or CAN adapter is reported once and waited for. A changed configuration file is in force within a
    second or two, or at once after SIGHUP, without a restart. Exit status: 0 ended on request,
    1 the path failed, 2 the configuration is wrong.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    _run_core(view=not plain, services=not no_services, **options)


@click.command("run-core")
@_core_options
def run_core_command(**options: Any) -> None:  # noqa: ANN401 -- see _core_options
    """Run the core alone: it reads the BMS, sends to the GX, and listens for services and commands.

    For service managers, which run the services as a unit of their own: `tinybms-bridge run-services`. At a terminal
    use `tinybms-bridge run`. Exit status as that of `run`.
    """
    _run_core(view=False, services=False, **options)


def _run_core(
    *,
    view: bool,
    services: bool,
    config_path: str | None,
    device: str | None,
    can_interface: str | None,
    can_channel: str | None,
    log_level: str | None,
    socket: str,
) -> None:
    without_openssl()

    from tinybms_bridge.app.core import Screen, open_core, run_core
    from tinybms_bridge.app.restart import StartAgain, start_again
    from tinybms_bridge.cli.terminal import is_terminal
    from tinybms_bridge.config.overrides import Overrides
    from tinybms_bridge.hal.logs import set_up_logging

    occupy_standard_streams()
    live = view and is_terminal(sys.stdout)
    overrides = Overrides(device=device, can_interface=can_interface, can_channel=can_channel, log_level=log_level)

    async def body() -> None:
        start = await open_core(config_path, overrides, socket=socket, services=services)
        if not live:
            set_up_logging(start.config.logging.log_level)
        await run_core(start, screen=Screen() if live else None)

    try:
        try:
            run_until_signal(body)
        except StartAgain:
            start_again()
    except BridgeError as error:
        fail(error)


@click.command("run-services")
@click.option(
    "--socket",
    metavar="PATH",
    default="",
    envvar="TINYBMS_BRIDGE_SOCKET",
    help="Where the core listens.  [default: in the runtime or state directory]",
)
@click.option(
    "--state-directory", metavar="DIR", help="Of the core, where its socket may be.  [default: the usual one]"
)
@click.option("--parent", type=int, default=0, hidden=True, help="End when this process, the core, has gone.")
@click.option("--quiet", is_flag=True, hidden=True, help="Something else has the terminal.")
def run_services_command(socket: str, state_directory: str | None, parent: int, quiet: bool) -> None:
    """Run web pages, history and log beside a core that runs already; they wait for it.

    They read its state and ask it for what is to be done, over a socket; without it they show what was last, with its
    age. A service manager starts this beside `tinybms-bridge run-core`; `tinybms-bridge run` does both.
    """
    from tinybms_bridge.app.restart import StartAgain, start_again
    from tinybms_bridge.app.services import ServicesOptions, run_services
    from tinybms_bridge.config.paths import state_directory as usual_directory
    from tinybms_bridge.hal.logs import set_up_logging
    from tinybms_bridge.link.path import client_paths

    occupy_standard_streams()
    set_up_logging("CRITICAL" if quiet else "INFO")
    try:
        paths = client_paths(socket, Path(usual_directory(state_directory or "")))
        run_until_signal(lambda: run_services(ServicesOptions(paths, parent=parent, quiet=quiet)))
    except StartAgain:
        start_again()
    except BridgeError as error:
        fail(error)
