"""``tinybms-bridge doctor``: looks at everything a bridge needs, and says in words what is wrong and what to do."""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import EXIT_FAILURE, fail, json_option, language_option, run_until_signal
from tinybms_bridge.doctor.findings import Finding, Verdict, as_document, problem, worst
from tinybms_bridge.words import ENGLISH, Language, message, say

if TYPE_CHECKING:
    from tinybms_bridge.config.configuration import Configuration
    from tinybms_bridge.config.loader import LoadedConfig
    from tinybms_bridge.link.state import CoreState

__all__ = ["doctor_command"]

_COLOURS = {
    Verdict.OK: "green",
    Verdict.SKIPPED: "cyan",
    Verdict.WARNING: "yellow",
    Verdict.PROBLEM: "red",
}


@dataclass(frozen=True, slots=True)
class _Choices:
    """What the command line says."""

    config_path: str | None
    device: str | None
    pack: str | None
    can_interface: str | None
    can_channel: str | None
    listen_s: float


@dataclass(frozen=True, slots=True)
class _Basis:
    """What the examination goes by."""

    config: "Configuration"
    port: str | None
    """Serial port that the user chose."""
    folder: Path
    """The state directory."""
    findings: list[Finding]
    """On the configuration."""
    pack: str | None = None
    """The only pack to examine; None: all."""
    knows_pack: bool = True
    """Whether there is that pack."""


@click.command("doctor")
@click.option("-c", "--config", "config_path", metavar="FILE", help="Configuration file of the bridge.")
@click.option("--device", metavar="PORT", help="Serial port, in place of hardware.uart.device.")
@click.option("--pack", metavar="NAME", help="Of several packs the one to examine.")
@click.option("--ports", is_flag=True, help="Only tell which BMS answers on which serial port.")
@click.option("--can-interface", metavar="NAME", help="python-can interface, in place of hardware.can.interface.")
@click.option("--can-channel", metavar="NAME", help="CAN channel, in place of hardware.can.channel.")
@click.option(
    "--listen",
    "listen_s",
    type=click.FloatRange(0.1, 60.0),
    default=3.0,
    show_default=True,
    help="Seconds to listen for a GX.",
)
@language_option
@json_option
def doctor_command(
    config_path: str | None,
    device: str | None,
    pack: str | None,
    ports: bool,
    can_interface: str | None,
    can_channel: str | None,
    listen_s: float,
    language: Language,
    as_json: bool,
) -> None:
    """Find out what is wrong, and say what to do about it.

    Looks at the configuration, the serial port, the link to the BMS, its identity, settings, data, events and
    history, at the web port, the state directory and the clock of the machine, at the CAN adapter, and whether a GX is
    heard. It changes nothing and sends nothing on the CAN bus. Beside a bridge that runs here, without -c, it goes by
    the configuration and the directories which that has.

    Of several packs each BMS is examined, and two names of one BMS are found. With --ports it only tells what answers
    on which serial port: that of a running bridge is not touched, and one that another program has is not opened.

    \b
    Exit status: 0 when a bridge could work, warnings or not; 1 when there is a problem.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    if ports:
        if device is not None or pack is not None:
            raise click.UsageError("--ports asks at every port: leave out --device and --pack")
        from tinybms_bridge.cli.doctor.ports import show_ports

        show_ports(config_path, language, as_json=as_json)
        return
    choices = _Choices(config_path, device, pack, can_interface, can_channel, listen_s)
    findings = run_until_signal(lambda: _collect(choices, None if as_json else language))
    if findings is None:
        fail("interrupted before everything was examined")
    if as_json:
        click.echo(json.dumps(as_document(findings), indent=1, ensure_ascii=False))
    else:
        click.echo(_summary(findings, language))
    if worst(findings) is Verdict.PROBLEM:
        sys.exit(EXIT_FAILURE)


async def _collect(choices: _Choices, language: Language | None) -> list[Finding]:
    """Return every finding, showing each as it comes in a language; None: showing none."""
    findings = []
    async for finding in _examine(choices):
        findings.append(finding)
        if language is not None:
            _show(finding, language)
    return findings


def _show(finding: Finding, language: Language) -> None:
    word = say(f"verdict.{finding.verdict}", {}, language)
    check = say(f"check.{finding.check.lower().replace(' ', '_')}", {}, language, finding.check)
    line = say("doctor.line", {"check": check, "text": finding.message.say(language)}, language)
    click.echo(f"{click.style(f'{word:>8}', fg=_COLOURS[finding.verdict])}  {line}")
    advice = finding.advice_in(language)
    if advice:
        click.echo(f"{'':8}  → {advice}")


def _summary(findings: list[Finding], language: Language = ENGLISH) -> str:
    counts = {verdict: sum(f.verdict is verdict for f in findings) for verdict in Verdict}
    problems, warnings = counts[Verdict.PROBLEM], counts[Verdict.WARNING]
    code = "doctor.summary.problems" if problems else "doctor.summary.warnings" if warnings else "doctor.summary.well"
    return f"\n{say(code, {'problems': problems, 'warnings': warnings}, language)}"


async def _examine(choices: _Choices) -> AsyncIterator[Finding]:
    """Yield every finding in the order in which a user would solve them."""
    import asyncio

    from tinybms_bridge.cli.doctor.can import examine_can
    from tinybms_bridge.cli.doctor.packs import PackExamination
    from tinybms_bridge.core.settings import can_settings
    from tinybms_bridge.doctor.interface import judge_loopback
    from tinybms_bridge.doctor.machine import examine_machine
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.hal.processes import running_bridges
    from tinybms_bridge.services.web.service import bind

    running = await _running() if choices.config_path is None else None
    basis = await asyncio.to_thread(_load, choices, running)
    config = basis.config
    for finding in basis.findings:
        yield finding
    if basis.knows_pack:
        async for finding in PackExamination(config, basis.folder, basis.port, basis.pack).findings():
            yield finding
    bridges = await asyncio.to_thread(running_bridges)
    for finding in await asyncio.to_thread(examine_machine, config.web_server, basis.folder, bridges, bind):
        yield finding
    period_s = config.victron.pgn_update_interval_ms / 1000.0
    async for finding in examine_can(can_settings(config), SystemClock(), choices.listen_s, bridges, period_s):
        yield finding
    if config.hardware.can.mode == "loopback":
        output = None if running is None else running.outputs.get("can")
        for finding in judge_loopback(None if output is None else output.loopback):
            yield finding


async def _running() -> "CoreState | None":
    """Return the state of the bridge that runs here; None where none runs, or it is not ours to ask."""
    from tinybms_bridge.cli.link import linked
    from tinybms_bridge.errors import LinkError

    try:
        async with linked("") as link:
            return link.mirror.state
    except LinkError:
        return None


def _load(choices: _Choices, running: "CoreState | None") -> _Basis:
    """Return what to examine by: as the running bridge has it, else as its file says.

    The configuration is the default one if the user's cannot be used.
    """
    from tinybms_bridge.cli.configuration import read_configuration
    from tinybms_bridge.config.configuration import Configuration
    from tinybms_bridge.config.loader import LoadedConfig, interpret
    from tinybms_bridge.config.overrides import Overrides, override
    from tinybms_bridge.config.packs import pack_ports
    from tinybms_bridge.config.paths import state_directory
    from tinybms_bridge.doctor.verdicts import judge_configuration
    from tinybms_bridge.errors import ConfigError

    in_force = None if running is None else running.configuration
    config, port, findings = Configuration(), choices.device, []
    try:
        if in_force is not None and not in_force.file:  # as a demonstration has it
            loaded = LoadedConfig(config, {}, ())
        else:
            loaded = read_configuration(in_force.file if in_force else choices.config_path)
        config = loaded.configuration
        port = port or _port_of(loaded)
        findings += judge_configuration(loaded.notices)
    except ConfigError as error:
        findings += judge_configuration((), error)
    try:
        if in_force is not None:
            config, port = interpret(in_force.values, "tinybms-bridge").configuration, choices.device
        device = choices.device if len(pack_ports(config)) == 1 else None  # of several it is examined as it is
        config = override(config, Overrides(device, choices.can_interface, choices.can_channel))
    except ConfigError as error:
        findings += judge_configuration((), error)
    kept = running.core.state_directory if running is not None else ""
    folder, packs = Path(kept) if kept else state_directory(config.advanced.state_directory), list(pack_ports(config))
    knows_pack = choices.pack is None or choices.pack in packs
    if not knows_pack:
        findings.append(problem("packs", message("doctor.which_pack", name=choices.pack, packs=packs)))
    return _Basis(config, port, folder, findings, choices.pack, knows_pack)


def _port_of(loaded: "LoadedConfig") -> str | None:
    """Return the port of the only pack as the file has it; None where it names none, or there are several packs."""
    if loaded.configuration.packs:
        (port, *others) = (pack.uart.device for pack in loaded.configuration.packs.values())
        return None if others else port
    device: str | None = loaded.document.get("hardware", {}).get("uart", {}).get("device")
    return device
