"""``tinybms-bridge stats``: what the BMS has counted in its life, and who it is."""

import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from tinybms_bridge.cli.common import fail, json_option, run_until_signal
from tinybms_bridge.cli.device import pack_option
from tinybms_bridge.errors import BridgeError

if TYPE_CHECKING:
    from tinybms_bridge.battery.snapshot import Identity
    from tinybms_bridge.tinybms.device_statistics import DeviceStatistics

__all__ = ["stats_command"]

_RESET_WORDS = {
    "UNKNOWN": "unknown",
    "LOW_POWER": "low-power reset",
    "WINDOW_WATCHDOG": "watchdog (its program ran too fast or hung)",
    "INDEPENDENT_WATCHDOG": "watchdog (its program hung)",
    "SOFTWARE": "asked for by software",
    "POWER_ON": "power was switched on",
    "PIN": "reset pin",
    "OPTION_BYTES": "options of its processor were loaded",
}
_WAKE_WORDS = {
    "CHARGER_CONNECTED": "a charger was connected",
    "IGNITION": "ignition",
    "DISCHARGING": "discharging was detected",
    "UART": "communication on the UART",
    "UNKNOWN": "unknown",
}


@click.command("stats")
@click.option("--device", default="auto", show_default=True, metavar="PORT", help="Serial port of the BMS.")
@pack_option
@json_option
def stats_command(device: str, pack: str, as_json: bool) -> None:
    """Show the lifetime statistics of the BMS.

    Largest values and counts since they were last cleared (see `tinybms-bridge reset statistics`). They are history:
    none of them is a limit.
    """
    from tinybms_bridge.cli.device import with_doctor

    try:
        found = run_until_signal(lambda: _read(device, pack))
    except BridgeError as error:
        fail(with_doctor(error, device))
    if found is None:
        fail("interrupted before everything was read")
    _show(found, as_json)


@dataclass(frozen=True, slots=True)
class _Life:
    """What was read, and when."""

    identity: "Identity"
    statistics: "DeviceStatistics"
    lifetime_s: int
    now: datetime

    @property
    def cleared_at(self) -> datetime | None:
        """When the statistics were cleared; None if never, or if the counter was set back since."""
        cleared_s = self.statistics.cleared_at_s
        if not 0 < cleared_s <= self.lifetime_s:
            return None
        return (self.now - timedelta(seconds=self.lifetime_s - cleared_s)).replace(microsecond=0)


async def _read(device: str, pack: str) -> _Life:
    from tinybms_bridge.cli.device import connected
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.tinybms.device_statistics import read_identity, read_statistics
    from tinybms_bridge.tinybms.frames import CommandCode, LongValue, SimpleRequest

    async with connected(device, pack=pack) as client:
        identity = await read_identity(client)
        statistics = await read_statistics(client)
        reply = await client.request(SimpleRequest(CommandCode.LIFETIME))
    assert isinstance(reply, LongValue)
    return _Life(identity, statistics, reply.value, SystemClock().wall())


def _show(life: _Life, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_document(life), indent=1, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _rows(life):
        table.add_row(name, value)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _rows(life: _Life) -> list[tuple[str, str]]:
    identity, found = life.identity, life.statistics
    cleared = life.cleared_at
    return [
        ("Hardware", identity.hardware_version or "unknown"),
        ("Firmware", _firmware(identity)),
        ("Serial number", identity.serial_number or "unknown"),
        ("Running for", f"{life.lifetime_s / 86400:.1f} days since it was first powered"),
        ("Statistics since", "the beginning" if cleared is None else cleared.astimezone().strftime("%Y-%m-%d %H:%M")),
        ("Highest charge current", f"{found.max_charge_current_a:.1f} A"),
        ("Highest discharge current", f"{found.max_discharge_current_a:.1f} A"),
        ("Highest cell difference", f"{found.max_cell_difference_mv:.1f} mV"),
        ("Lowest, highest temperature", f"{found.min_temperature_c} °C, {found.max_temperature_c} °C"),
        ("Charges begun, completed", f"{found.charging_count}, {found.full_charge_count}"),
        ("Under-voltage protections", str(found.under_voltage_count)),
        ("Over-voltage protections", str(found.over_voltage_count)),
        ("Discharge over-current", str(found.discharge_over_current_count)),
        ("Charge over-current", str(found.charge_over_current_count)),
        ("Over-heat protections", str(found.over_heat_count)),
        ("Distance", f"{found.total_distance_km:.2f} km"),
        ("Last restart", _RESET_WORDS[found.reset_cause.name]),
        ("Last woken by", _WAKE_WORDS[found.wake_cause.name]),
    ]


def _firmware(identity: "Identity") -> str:
    if not identity.firmware_internal:
        return "unknown"
    return f"{identity.firmware}, bootloader {identity.bootloader_version}"


def _document(life: _Life) -> dict[str, Any]:
    from dataclasses import asdict

    counted = asdict(life.statistics) | {
        "reset_cause": life.statistics.reset_cause.name.lower(),
        "wake_cause": life.statistics.wake_cause.name.lower(),
    }
    cleared = life.cleared_at
    return {
        "identity": life.identity.as_dict(),
        "lifetime_s": life.lifetime_s,
        "cleared_at": None if cleared is None else cleared.isoformat(),
        "statistics": counted,
    }
