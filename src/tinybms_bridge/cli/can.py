"""``tinybms-bridge can``: which CAN interfaces there are, and whether the one for the GX is set up right."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.can_up import down_command, forget_command, up_command
from tinybms_bridge.cli.common import EXIT_FAILURE, fail, json_option, language_option
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.words import ENGLISH, Language, message, say

if TYPE_CHECKING:
    from tinybms_bridge.doctor.findings import Finding
    from tinybms_bridge.hal.can import CanSettings
    from tinybms_bridge.hal.can_devices import CanDevice
    from tinybms_bridge.hal.can_usb import CanAdapter

__all__ = ["can_command"]


@click.group("can")
def can_command() -> None:
    """Look at the CAN interfaces of the machine, and set one up for the GX.

    \b
    Examples:
      tinybms-bridge can list
      tinybms-bridge can check can0
      sudo tinybms-bridge can up can0 --bitrate 500000
      sudo tinybms-bridge can forget can0
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped


@can_command.command("list")
@language_option
@json_option
def list_command(language: Language, as_json: bool) -> None:
    """Show the CAN interfaces of the kernel, and USB adapters for CAN."""
    from tinybms_bridge.hal.can_devices import can_devices
    from tinybms_bridge.hal.can_usb import driver_of, find_can_adapters

    devices, adapters = can_devices(), find_can_adapters()
    drivers = {device.name: driver_of(device.name) for device in devices}
    if as_json:
        interfaces = [{**asdict(device), "driver": drivers[device.name]} for device in devices]
        document = {"interfaces": interfaces, "adapters": [asdict(each) for each in adapters]}
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
    elif devices or adapters:
        _show_table(devices, drivers, language)
        _show_adapters(adapters, language)
    else:
        none = message("can_list.none")
        click.echo(f"{none.say(language)}\n{none.advice(language)}")


def _show_table(devices: Sequence["CanDevice"], drivers: dict[str, str], language: Language) -> None:
    if not devices:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("interface", "kind", "up", "bitrate", "state", "restart", "queue", "errors", "bus_offs"):
        table.add_column(say(f"can_list.{name}", {}, language))
    for device in devices:
        table.add_row(*_row(device, drivers[device.name], language))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _row(device: "CanDevice", driver: str, language: Language) -> list[str]:
    def shown(value: object) -> str:
        return "–" if value is None else str(value)

    counted, software = device.counters, say("can_list.software", {}, language)
    rate = None if device.bitrate_bps is None else f"{device.bitrate_bps / 1000:g}"
    state = say(f"can_state.{device.state}", {}, language, device.state) if device.state else "–"
    return [
        device.name,
        driver or (device.kind if device.has_controller else f"{device.kind} ({software})"),
        say("can_list.yes" if device.up else "can_list.no", {}, language),
        shown(rate),
        state,
        shown(device.restart_ms),
        shown(device.tx_queue_frames),
        str(counted.bus_errors + counted.rx_errors + counted.tx_errors),
        str(counted.bus_offs),
    ]


def _show_adapters(adapters: Sequence["CanAdapter"], language: Language) -> None:
    """Show the adapters that are no interface, with what to do about each."""
    from tinybms_bridge.doctor.interface import judge_adapters
    from tinybms_bridge.hal.can import CanSettings

    for finding in judge_adapters(CanSettings("socketcan"), adapters):
        click.echo(f"{finding.message.say(language)}\n  → {finding.advice_in(language)}")


@can_command.command("check")
@click.argument("interface", required=False)
@click.option("-c", "--config", "config_path", metavar="FILE", help="Configuration of the bridge.")
@click.option("--bitrate", type=click.INT, help="Bit rate in bit/s, in place of hardware.can.bitrate.")
@language_option
@json_option
def check_command(
    interface: str | None, config_path: str | None, bitrate: int | None, language: Language, as_json: bool
) -> None:
    """Check whether an interface is set up right for the GX, by default the configured one.

    Says what is wrong, and the command that mends it. Nothing is sent and nothing is changed.

    \b
    Exit status: 0 when frames can reach a GX, warnings or not; 1 when not.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.doctor.findings import Verdict, as_document, worst

    try:
        findings = _findings(interface, config_path, bitrate)
    except BridgeError as error:
        fail(error)
    if as_json:
        click.echo(json.dumps(as_document(findings), indent=1, ensure_ascii=False))
    else:
        for finding in findings:
            _show(finding, language)
    if worst(findings) is Verdict.PROBLEM:
        sys.exit(EXIT_FAILURE)


def _findings(interface: str | None, config_path: str | None, bitrate: int | None) -> list["Finding"]:
    from dataclasses import replace

    from tinybms_bridge.app.restart import own_command
    from tinybms_bridge.doctor.interface import judge_adapters, judge_interface
    from tinybms_bridge.hal.can_devices import can_devices
    from tinybms_bridge.hal.can_usb import find_can_adapters

    settings = _configured(config_path)
    if interface is not None:
        settings = replace(settings, interface="socketcan", channel=interface)
    if bitrate is not None:
        settings = replace(settings, bitrate_bps=bitrate)
    return [
        *judge_interface(settings, can_devices(), own_command()),
        *judge_adapters(settings, find_can_adapters()),
    ] or [_not_of_the_kernel(settings)]


def _not_of_the_kernel(settings: "CanSettings") -> "Finding":
    from tinybms_bridge.doctor.bus import CAN_CHECK
    from tinybms_bridge.doctor.findings import skipped

    return skipped(CAN_CHECK, message("doctor.can_no_interface", what=str(settings)))


def _configured(config_path: str | None) -> "CanSettings":
    from tinybms_bridge.cli.configuration import read_configuration
    from tinybms_bridge.core.settings import can_settings

    return can_settings(read_configuration(config_path).configuration)


def _show(finding: "Finding", language: Language = ENGLISH) -> None:
    word = say(f"verdict.{finding.verdict}", {}, language)
    click.echo(f"{word:>8}  {finding.message.say(language)}")
    advice = finding.advice_in(language)
    if advice:
        click.echo(f"{'':8}  → {advice}")


for _command in (up_command, down_command, forget_command):
    can_command.add_command(_command)
