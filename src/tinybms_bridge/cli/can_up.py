"""``tinybms-bridge can up``, ``can down``, ``can forget``: an interface as the bridge needs it, for now or for good."""

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import EXIT_REFUSED, fail, language_option
from tinybms_bridge.errors import BridgeError, LinkError
from tinybms_bridge.words import Language, Message, message

if TYPE_CHECKING:
    from tinybms_bridge.hal.can_devices import CanDevice
    from tinybms_bridge.hal.can_setup import LinkPlan, WantedLink

__all__ = ["down_command", "forget_command", "up_command"]

_ENABLE = (
    "sudo systemctl enable --now systemd-networkd.service"
    " && sudo systemctl disable systemd-networkd-wait-online.service"
)
"""Where something else cares for the network, nobody shall wait at the start for networkd to be online."""

_interface = click.argument("interface", required=False)
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@click.command("up")
@_interface
@click.option("-c", "--config", "config_path", metavar="FILE", help="Configuration of the bridge, for the defaults.")
@click.option(
    "--bitrate",
    type=click.INT,
    callback=lambda _context, _option, value: _known_bitrate(value),
    help="Bit rate in bit/s.  [default: hardware.can.bitrate]",
)
@click.option(
    "--restart-ms",
    type=click.IntRange(1, 60_000),
    help="Pause after which the kernel restarts a controller that went bus-off.  [default: 100]",
)
@click.option(
    "--txqueuelen",
    type=click.IntRange(1, 1000),
    help="Frames that may wait for the bus; a long queue sends old values after an interruption.  [default: 10]",
)
@click.option("--once", is_flag=True, help="Until the next start of the machine only.")
@_dry_run
@language_option
def up_command(
    interface: str | None,
    config_path: str | None,
    bitrate: int | None,
    restart_ms: int | None,
    txqueuelen: int | None,
    once: bool,
    dry_run: bool,
    language: Language,
) -> None:
    """Bring a CAN interface up with the right settings, at once and at each start of the machine.

    Without INTERFACE it is the configured one, or the only one. An interface that is up as it should be is left alone;
    another one is down for a moment, and a running bridge opens it again within a second. systemd-networkd brings it up
    at each start, by a file in /etc/systemd/network. Needs the rights of root, but for --dry-run.

    \b
    Examples:
      sudo tinybms-bridge can up
      tinybms-bridge can up can0 --bitrate 250000 --dry-run
      sudo tinybms-bridge can up can0 --once
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.hal import can_setup
    from tinybms_bridge.hal.can_faults import RESTART_MS, TX_QUEUE_FRAMES

    try:
        configured, rate = _configured(config_path)
        wanted = can_setup.WantedLink(bitrate or rate, restart_ms or RESTART_MS, txqueuelen or TX_QUEUE_FRAMES)
        device = _device(interface, configured)
        plan = can_setup.plan_up(
            device, wanted, lasting=not once, ip=can_setup.find_ip(), folder=can_setup.NETWORK_FOLDER
        )
        if dry_run:
            _tell_plan(plan, language)
        else:
            _need_root()
            _carry_out(device, wanted, plan, language)
        _tell_lasting(device.name, wanted.bitrate_bps, plan, language)
    except BridgeError as error:
        _refuse(error, language)


def _known_bitrate(bitrate: int | None) -> int | None:
    """Return a bit rate that a configuration may have as well; the kernel would round others."""
    from tinybms_bridge.config.models.hardware import CAN_BITRATES

    if bitrate is not None and bitrate not in CAN_BITRATES:
        raise click.BadParameter(f"{bitrate} is none of {', '.join(map(str, CAN_BITRATES))}")
    return bitrate


def _configured(config_path: str | None) -> tuple[str, int]:
    """Return the interface that is configured, empty where it is none of the kernel, and the bit rate."""
    from tinybms_bridge.cli.configuration import read_configuration
    from tinybms_bridge.core.settings import can_settings

    settings = can_settings(read_configuration(config_path).configuration)
    return settings.channel if settings.interface == "socketcan" else "", settings.bitrate_bps


def _device(interface: str | None, configured: str) -> "CanDevice":
    from tinybms_bridge.hal.can_devices import can_devices
    from tinybms_bridge.hal.can_setup import choose_device

    return choose_device(interface, configured, can_devices())


def _need_root() -> None:
    """End the command with how to call it where the rights are missing."""
    if os.geteuid() != 0:
        from tinybms_bridge.app.restart import own_command

        command = shlex.join(["sudo", own_command(), *sys.argv[1:]])
        raise LinkError(message("can_setup.not_root"), hint=message("can_setup.run_as_root", command=command))


def _carry_out(device: "CanDevice", wanted: "WantedLink", plan: "LinkPlan", language: Language) -> None:
    from tinybms_bridge.hal import can_setup

    for command in plan.commands:
        can_setup.run_command(command)
    if not plan.commands:
        _tell(message("can_setup.already", name=device.name), language)
    else:
        rate = wanted.bitrate_bps / 1000.0
        pause_ms, frames = wanted.restart_ms, wanted.queue_frames
        told = message("can_setup.up", name=device.name, rate_kbit_s=rate, restart_ms=pause_ms, frames=frames)
        _tell(told, language)
    if plan.files:
        can_setup.write_files(device.name, plan.files, can_setup.NETWORK_FOLDER)
        can_setup.reload_networkd()
        for path in plan.files:
            _tell(message("can_setup.written", file=str(path)), language)


def _tell_plan(plan: "LinkPlan", language: Language) -> None:
    for command in plan.commands:
        _tell(message("can_setup.would_run", command=shlex.join(command)), language)
    for path, content in plan.files.items():
        _tell(message("can_setup.would_write", file=str(path)), language)
        for line in content.splitlines():
            click.echo(f"  {line}".rstrip())


def _tell_lasting(name: str, bitrate_bps: int, plan: "LinkPlan", language: Language) -> None:
    """Say how long it lasts, and what keeps it from lasting."""
    from tinybms_bridge.app.restart import own_command
    from tinybms_bridge.hal import can_faults
    from tinybms_bridge.hal.can_setup import networkd_state

    if not plan.files:
        _tell(message("can_setup.once"), language)
        return
    networkd = networkd_state()
    if not networkd.present:
        command = f"{can_faults.up_command(name, bitrate_bps, own_command())} --once"
        _tell(message("can_setup.no_systemd", command=command), language)
    elif not networkd.enabled:
        _tell(message("can_setup.networkd_off", command=_ENABLE), language)


@click.command("down")
@_interface
@click.option("-c", "--config", "config_path", metavar="FILE", help="Configuration of the bridge, for the default.")
@_dry_run
@language_option
def down_command(interface: str | None, config_path: str | None, dry_run: bool, language: Language) -> None:
    """Take a CAN interface down until the next start: a running bridge cannot send any more.

    Needs the rights of root, but for --dry-run.
    """
    from tinybms_bridge.hal import can_setup

    try:
        device = _device(interface, _configured(config_path)[0])
        command = (can_setup.find_ip(), "link", "set", device.name, "down")
        if dry_run:
            _tell(message("can_setup.would_run", command=shlex.join(command)), language)
            return
        _need_root()
        can_setup.run_command(command)
        _tell(message("can_setup.down", name=device.name), language)
        if can_setup.made_files(device.name, can_setup.NETWORK_FOLDER):
            _tell(message("can_setup.comes_back", name=device.name), language)
    except BridgeError as error:
        _refuse(error, language)


@click.command("forget")
@_interface
@click.option("-c", "--config", "config_path", metavar="FILE", help="Configuration of the bridge, for the default.")
@language_option
def forget_command(interface: str | None, config_path: str | None, language: Language) -> None:
    """Remove what `can up` has made for each start of the machine; the interface itself stays as it is.

    The interface need not be plugged in any more. Needs the rights of root.
    """
    from tinybms_bridge.hal import can_setup

    try:
        name = interface or _configured(config_path)[0] or "can0"
        if not can_setup.made_files(name, can_setup.NETWORK_FOLDER):
            _tell(message("can_setup.nothing_to_forget", name=name), language)
            return
        _need_root()
        removed = can_setup.forget_files(name, can_setup.NETWORK_FOLDER)
        can_setup.reload_networkd()
        for path in removed:
            _tell(message("can_setup.forgotten", file=str(path)), language)
        _tell(message("can_setup.stays", name=name), language)
    except BridgeError as error:
        _refuse(error, language)


def _refuse(error: BridgeError, language: Language) -> None:
    """End the command: 1 for what failed, 2 for what cannot be asked like that."""
    refused = ("can_setup.unknown", "can_setup.which", "can_setup.no_controller", "can_setup.not_root")
    status = EXIT_REFUSED if isinstance(error, LinkError) and error.what.code in refused else None
    if isinstance(error, LinkError):
        fail(error.description.say(language), status)
    fail(error, status)


def _tell(told: Message, language: Language) -> None:
    click.echo(told.say(language))
