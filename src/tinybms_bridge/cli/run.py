"""``tinybms-bridge run``: the bridge between a real TinyBMS and a real CAN bus."""

import sys

import click

from tinybms_bridge.app.restart import StartAgain, start_again
from tinybms_bridge.cli.common import fail, occupy_standard_streams, run_until_signal
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.logs import set_up_logging

__all__ = ["run_command"]


@click.command("run")
@click.option("-c", "--config", "config_path", metavar="FILE", help="Configuration file; see `tinybms-bridge check`.")
@click.option("--device", metavar="PORT", help="Serial port, in place of hardware.uart.device.")
@click.option("--can-interface", metavar="NAME", help="python-can interface, in place of hardware.can.interface.")
@click.option("--can-channel", metavar="NAME", help="CAN channel, in place of hardware.can.channel.")
@click.option("--plain", is_flag=True, help="Log lines also in a terminal, not the live view.")
@click.option("--log-level", type=click.Choice(["ERROR", "WARNING", "INFO", "DEBUG"]), help="Default: as configured.")
def run_command(
    config_path: str | None,
    device: str | None,
    can_interface: str | None,
    can_channel: str | None,
    plain: bool,
    log_level: str | None,
) -> None:
    """Run the bridge until Ctrl-C or SIGTERM.

    \b
    Without a configuration everything comes from the BMS's own settings. Examples:
      tinybms-bridge run                                        /dev/ttyUSB0 and can0
      tinybms-bridge run --device auto --can-channel can1
      tinybms-bridge run -c /etc/tinybms-bridge/config.json --plain

    In a terminal a live view is shown, with keys: q ends, ? explains, Tab turns the page. Otherwise plain log lines
    for the journal.
    A missing BMS or CAN adapter is reported once and waited for. A changed configuration file is in force within a
    second or two, or at once after SIGHUP, without a restart. Exit status: 0 ended on request,
    1 the path failed, 2 the configuration is wrong.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.app.assembly import run_bridge
    from tinybms_bridge.cli.terminal import is_terminal
    from tinybms_bridge.config.opening import open_configuration
    from tinybms_bridge.config.overrides import Overrides

    occupy_standard_streams()
    try:
        overrides = Overrides(device=device, can_interface=can_interface, can_channel=can_channel, log_level=log_level)
        opened = open_configuration(config_path, overrides)
        live = not plain and is_terminal(sys.stdout)
        if not live:
            set_up_logging(opened.config.logging.log_level)
        try:
            run_until_signal(lambda: run_bridge(opened.config, opened.remarks, live=live, opened=opened))
        except StartAgain:
            start_again()
    except BridgeError as error:
        fail(error)
