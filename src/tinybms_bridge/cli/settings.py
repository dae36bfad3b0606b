"""Command group ``settings``: show, change, back up, compare and restore the settings of a connected TinyBMS."""

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import click

from tinybms_bridge.cli.common import EXIT_FAILURE, EXIT_REFUSED, end_with, fail, json_option, mistake, run_until_signal
from tinybms_bridge.cli.device import pack_option
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.suggestions import did_you_mean
from tinybms_bridge.words import Message, message

if TYPE_CHECKING:
    from tinybms_bridge.link.device import LinkedSettings
    from tinybms_bridge.tinybms.settings import (
        ActionName,
        Backup,
        BmsSettings,
        Plan,
        Readout,
        Report,
        Result,
        SettingProblem,
    )

__all__ = ["settings_command"]

T = TypeVar("T")
Settings: TypeAlias = "BmsSettings | LinkedSettings"
Job = Callable[[Settings], Awaitable[T]]
Command = Callable[..., Any]

_NO_TERMINAL_WIDTH = 160

_device = click.option("--device", default="auto", show_default=True, metavar="PORT", help="Serial port of the BMS.")
_settle = click.option(
    "--settle-s",
    type=click.FloatRange(0.05, 5.0),
    default=0.5,
    show_default=True,
    help="Wait between a write and its reading back.",
)
_yes = click.option("--yes", is_flag=True, help="Do not ask before writing.")
_confirm = click.option(
    "--confirm", is_flag=True, help="Accept that this cuts power, restarts the BMS or changes what is measured."
)
_dry_run = click.option("--dry-run", is_flag=True, help="Check all, show what would be written, and write nothing.")


def _writes(command: Command) -> Command:
    """Add the options of the commands that write."""
    for option in (json_option, _settle, _confirm, _yes, _dry_run, pack_option, _device):
        command = option(command)
    return command


@click.group("settings")
def settings_command() -> None:
    """Show, change, back up, compare and restore the settings of the TinyBMS.

    A bridge that runs on this machine is asked, and goes on meanwhile; without one the command opens the port itself.
    Writing is careful: everything is checked before anything is written, each register is read back, and after a
    failure the rest stays as it is; the same command again does what is left.

    \b
    Examples:
      tinybms-bridge settings show --limits
      tinybms-bridge settings set over_voltage_cutoff_v=3.8 fully_charged_voltage_v=3.6 --dry-run
      tinybms-bridge settings backup pack.json
      tinybms-bridge settings diff pack.json
      tinybms-bridge settings restore pack.json
      tinybms-bridge settings action set_state_of_charge 80

    \b
    Exit status: 0 done, 1 something failed, 2 the request cannot be carried out as it is.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped


@settings_command.command("show")
@_device
@pack_option
@click.option("--limits", is_flag=True, help="With the allowed values and the factory defaults, as the BMS tells them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for other programs; always with limits.")
def show_command(device: str, pack: str, limits: bool, as_json: bool) -> None:
    """Show all settings of the BMS."""
    readout = _with_bms(device, pack, lambda bms: bms.read())
    if as_json:
        from tinybms_bridge.tinybms.settings.describe import document

        _print_document(document(readout))
    else:
        _print_settings(readout, limits)


@settings_command.command("set")
@click.argument("assignments", metavar="NAME=VALUE...", nargs=-1, required=True)
@_writes
def set_command(
    assignments: tuple[str, ...],
    device: str,
    pack: str,
    dry_run: bool,
    yes: bool,
    confirm: bool,
    settle_s: float,
    as_json: bool,
) -> None:
    """Change settings of the BMS.

    Names and units are those of `settings show`: over_voltage_cutoff_v=3.8 is in volts, load_switch_type=aido1 is one
    of the listed words. All values of one command are judged together.
    """
    wanted = _parse(assignments)
    plan = _with_bms(device, pack, lambda bms: bms.plan(wanted))
    _carry_out(plan, device, pack, _Consent(dry_run, yes, confirm), settle_s, as_json=as_json)


@settings_command.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Although the BMS does not tell its firmware: some settings are missing.")
@_device
@pack_option
@json_option
def backup_command(file: Path, force: bool, device: str, pack: str, as_json: bool) -> None:
    """Save all settings of the BMS in a JSON file; a file of that name is kept as FILE.bak."""
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.hal.storage import FileStorage, why_not_writable
    from tinybms_bridge.tinybms.settings import SettingsError, backup_of, backup_text
    from tinybms_bridge.tinybms.settings.describe import unit_text

    reason = why_not_writable(file)  # before the BMS is read
    if reason:
        _refuse(f"{file} cannot be written: {reason}")
    readout = _with_bms(device, pack, lambda bms: bms.read())
    try:
        backup = backup_of(readout, SystemClock().wall(), force=force)
    except SettingsError as error:
        _refuse_all(error.problems, f"{file}: ")
    try:
        FileStorage(file, mode=0o644).write(backup_text(backup).encode())
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")
    if as_json:
        document = {"file": str(file), "settings": len(backup.settings), "identity": backup.identity.as_dict()}
        _print_document(document)
    else:
        click.echo(f"{file}: {len(backup.settings)} settings of {unit_text(readout)}")


@settings_command.command("diff")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_device
@pack_option
@json_option
def diff_command(file: Path, device: str, pack: str, as_json: bool) -> None:
    """Compare a backup with the BMS; the exit status is 0 whether they differ or not."""
    from tinybms_bridge.tinybms.settings import differences
    from tinybms_bridge.tinybms.settings.describe import difference_document, rows_of_differences, unit_text

    backup = _read_backup(file)
    readout = _with_bms(device, pack, lambda bms: bms.read())
    found = differences(backup, readout)
    if as_json:
        document = {
            "identity": readout.identity.as_dict(),
            "backup": {"created": backup.created, "identity": backup.identity.as_dict()},
            "differences": [difference_document(each) for each in found],
        }
        _print_document(document)
        return
    click.echo(f"BMS: {unit_text(readout)}")
    click.echo(f"backup: serial number {backup.identity.serial_number or 'unknown'}, of {backup.created}")
    if not found:
        click.echo("no difference")
        return
    _print_table(("Reg", "Setting", "BMS", "Backup", "Unit"), rows_of_differences(found))


@settings_command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--force", is_flag=True, help="Although the number of cells differs, or the BMS does not tell its firmware."
)
@_writes
def restore_command(
    file: Path,
    force: bool,
    device: str,
    pack: str,
    dry_run: bool,
    yes: bool,
    confirm: bool,
    settle_s: float,
    as_json: bool,
) -> None:
    """Write the settings of a backup to the BMS, after showing what differs."""
    from tinybms_bridge.tinybms.settings import restore_plan

    backup = _read_backup(file)

    async def make(bms: "Settings") -> "Plan":
        return restore_plan(backup, await bms.read(), force=force)

    plan = _with_bms(device, pack, make)
    source = _Source(backup, force)
    _carry_out(plan, device, pack, _Consent(dry_run, yes, confirm), settle_s, source, as_json=as_json)


@settings_command.command("action")
@click.argument("name", required=False)
@click.argument("value", required=False)
@_device
@pack_option
@click.option("--confirm", is_flag=True, help="Accept the consequence without being asked.")
@_settle
@json_option
def action_command(
    name: str | None, value: str | None, device: str, pack: str, confirm: bool, settle_s: float, as_json: bool
) -> None:
    """Do what is no setting: set the state of charge, restart, and so on; without NAME, list the actions."""
    from tinybms_bridge.cli.link import user_name
    from tinybms_bridge.link.device import LinkedSettings
    from tinybms_bridge.tinybms.settings import ACTIONS, ActionName, ActionResult, SettingsError, parse_number

    if name is None and as_json:
        _print_document([_action_document(each) for each in ACTIONS])
        return
    if name is None:
        rows = [
            [each.value, str(info.value or ""), f"{info.title}: {info.consequence}"] for each, info in ACTIONS.items()
        ]
        _print_table(("Action", "Value", "Meaning"), rows)
        return
    try:
        action = ActionName(name)
    except ValueError:
        _refuse(f"no action is called {name!r}; there are {', '.join(ACTIONS)}{did_you_mean(name, ACTIONS)}")
    given = None if value is None else parse_number(value)
    try:
        action.check_given(given)
    except SettingsError as error:
        _refuse_all(error.problems)
    if not confirm:
        _ask(f"{action.info.title}: {action.info.consequence}. Go on?", ["--confirm"])

    def act(bms: "Settings") -> Awaitable[ActionResult]:
        if isinstance(bms, LinkedSettings):
            return bms.perform(action, given, confirm=True, by=user_name())
        return bms.perform(action, given, confirm=True)

    result = _with_bms(device, pack, act, settle_s)
    if as_json:
        _print_document(result.as_dict() | {"good": result.outcome.good})
    else:
        click.echo(f"{action}: {result.outcome}" + (f" ({result.detail})" if result.detail is not None else ""))
    if not result.outcome.good:
        sys.exit(EXIT_FAILURE)


def _action_document(action: "ActionName") -> dict[str, object]:
    info = action.info
    return {
        "action": action.value,
        "title": info.title.text,
        "consequence": info.consequence.text,
        "value": str(info.value or ""),
        "code": info.consequence.code,
    }


def _with_bms(device: str, pack: str, job: Job[T], settle_s: float = 0.5) -> T:
    """Return what ``job`` returns for the BMS at ``device``; end the command with one clear line if it fails."""
    from tinybms_bridge.cli.device import BridgeDevice, connected, with_doctor
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.link.device import LinkedSettings
    from tinybms_bridge.tinybms.client import TinyBmsClient
    from tinybms_bridge.tinybms.settings import BmsSettings, SettingsError, WriteOptions

    async def body() -> tuple[T]:
        async with connected(device, pack=pack) as client:
            if isinstance(client, BridgeDevice):
                return (await job(LinkedSettings(client.link, client.pack)),)
            assert isinstance(client, TinyBmsClient)
            return (await job(BmsSettings(client, SystemClock(), WriteOptions(settle_s=settle_s))),)

    try:
        done = run_until_signal(body)
    except SettingsError as error:
        _refuse_all(error.problems)
    except BridgeError as error:
        fail(with_doctor(error, device))
    if done is None:
        fail("interrupted; the same command again does what is left")
    return done[0]


def _refuse(text: str) -> NoReturn:
    end_with([text], EXIT_REFUSED)


def _refuse_all(problems: Sequence["SettingProblem"], source: str = "") -> NoReturn:
    mistakes = [mistake(each.name, each.message) for each in problems]
    end_with([f"{source}{each}" for each in problems], EXIT_REFUSED, problems=mistakes, note="nothing was written")


def _print_document(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _parse(assignments: Sequence[str]) -> dict[str, object]:
    """Return the wanted values by name; end the command with every mistake that can be told without the BMS."""
    from tinybms_bridge.tinybms.settings import SettingProblem, SettingValueError, find_setting, parse_text

    wanted: dict[str, object] = {}
    problems: list[SettingProblem] = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        setting = find_setting(name)
        if not equals:
            problems.append(SettingProblem(assignment, message("setting.no_assignment")))
        elif name in wanted:
            problems.append(SettingProblem(name, message("file.given_twice"), text))
        elif isinstance(setting, Message):
            problems.append(SettingProblem(name, setting, text))
        else:
            wanted[name] = text
            try:
                wanted[name] = parse_text(setting, text)
            except SettingValueError as error:
                problems.append(SettingProblem(name, error.what, text))
    if problems:
        _refuse_all(problems)
    return wanted


def _read_backup(file: Path) -> "Backup":
    from tinybms_bridge.tinybms.settings import SettingsError, parse_backup

    try:
        return parse_backup(file.read_bytes())
    except OSError as error:
        _refuse(f"{file} cannot be read: {error.strerror}")
    except SettingsError as error:
        _refuse_all(error.problems, f"{file}: ")


@dataclass(frozen=True, slots=True)
class _Consent:
    """How far the options let a command go."""

    dry_run: bool
    yes: bool
    confirm: bool


@dataclass(frozen=True, slots=True)
class _Source:
    """What a plan was made from, if not from values of the command line."""

    backup: "Backup | None" = None
    force: bool = False


_TYPED = _Source()


def _carry_out(
    plan: "Plan", device: str, pack: str, consent: _Consent, settle_s: float, source: _Source = _TYPED, *, as_json: bool
) -> None:
    """Write a plan as far as the user lets it; with ``as_json`` tell at the end only, in one document."""
    from tinybms_bridge.tinybms.settings.describe import plan_document, report_document

    if not as_json:
        _show_plan(plan)
    told = plan_document(plan, dry_run=consent.dry_run)
    if not plan.steps or consent.dry_run:
        if as_json:
            _print_document(told)
        elif plan.steps:
            click.echo("dry run: nothing was written")
        else:
            click.echo("nothing to write: the BMS holds all of this already")
        return
    _ask_what_is_open(plan, consent)
    report = _written(plan, device, pack, settle_s, source, quiet=as_json)
    if as_json:
        _print_document(told | report_document(report))
    else:
        _show_report(report)
    if not report.good:
        sys.exit(EXIT_FAILURE)


def _written(plan: "Plan", device: str, pack: str, settle_s: float, source: _Source, *, quiet: bool) -> "Report":
    """Write a plan and return what became of it, telling of each setting as it is done unless ``quiet``."""
    from tinybms_bridge.cli.link import user_name
    from tinybms_bridge.link.device import LinkedSettings
    from tinybms_bridge.tinybms.settings import Outcome
    from tinybms_bridge.tinybms.settings.describe import outcome_text

    def progress(result: "Result") -> None:
        if not quiet and result.outcome is not Outcome.UNCHANGED:
            click.echo(f"{result.name}: {outcome_text(result)}", err=True)

    def interrupted(report: "Report") -> None:
        if not quiet:
            _show_report(report)

    def job(bms: "Settings") -> "Awaitable[Report]":
        if not isinstance(bms, LinkedSettings):
            return bms.apply(plan, confirm=True, on_result=progress, on_interrupt=interrupted)
        by, backup = user_name(), source.backup
        if backup is not None:
            return bms.apply_backup(backup, plan, force=source.force, confirm=True, by=by, on_result=progress)
        wanted = {each.name: each.new for each in (*plan.changes, *plan.unchanged)}
        return bms.apply(wanted, plan, confirm=True, by=by, on_result=progress)

    return _with_bms(device, pack, job, settle_s)


def _ask_what_is_open(plan: "Plan", consent: _Consent) -> None:
    """Ask what the options leave open; end the command when the answer is no or nobody can be asked."""
    questions = {}
    if not consent.yes:
        questions["--yes"] = f"Write {len(plan.changes)} setting(s) to the BMS?"
    if plan.consequences and not consent.confirm:
        told = "\n  ".join(str(each) for each in plan.consequences)
        questions["--confirm"] = f"This needs a second yes:\n  {told}\nGo on?"
    for question in questions.values():
        _ask(question, list(questions))


def _ask(question: str, options: Sequence[str]) -> None:
    if not sys.stdin.isatty():
        _refuse(
            f"this needs {' and '.join(options)}, because nobody can be asked here; nothing was written\n{question}"
        )
    if not click.confirm(question, err=True):
        fail("nothing was written")


def _show_plan(plan: "Plan") -> None:
    from tinybms_bridge.tinybms.settings.describe import rows_of_plan, unit_text

    click.echo(f"BMS: {unit_text(plan.readout)}")
    if plan.changes:
        _print_table(("Reg", "Setting", "Now", "New", "Unit"), rows_of_plan(plan))
        order = ", ".join(f"{step.address}{' (for a moment)' if step.temporary else ''}" for step in plan.steps)
        click.echo(f"order of registers: {order}")
    if plan.unchanged:
        click.echo(f"{len(plan.unchanged)} more hold the wanted value already")
    for caution in plan.cautions:
        click.echo(f"{'WARNING' if caution.needs_confirmation else 'warning'}: {caution}", err=True)


def _show_report(report: "Report") -> None:
    from tinybms_bridge.tinybms.settings import shown_value
    from tinybms_bridge.tinybms.settings.describe import rows_of_report

    _print_table(("Reg", "Setting", "Before", "Wanted", "Unit", "Outcome"), rows_of_report(report))
    for change in report.side_effects:
        old, new = shown_value(change.old), shown_value(change.new, change.setting.unit)
        click.echo(f"warning: the BMS itself changed {change.name} from {old} to {new}", err=True)
    if report.unverified is not None:
        click.echo(f"warning: the last look at all settings failed: {report.unverified}", err=True)
    if not report.good:
        click.echo("not complete; the same command again does what is left", err=True)


def _print_settings(readout: "Readout", limits: bool) -> None:
    from tinybms_bridge.tinybms.settings import violations
    from tinybms_bridge.tinybms.settings.describe import rows_of_settings, unit_text

    click.echo(f"BMS: {unit_text(readout)}")
    extra = ("Allowed", "Source", "Default") if limits else ()
    _print_table(("Reg", "Setting", "Value", "Unit", *extra), rows_of_settings(readout, limits=limits))
    if limits and readout.own is None:
        click.echo(f"the BMS does not tell its own limits ({readout.own_missing}): these are the vendor's", err=True)
    for violation in violations(readout.words, readout.identity.firmware_internal):
        click.echo(f"warning: {violation.message}", err=True)


def _print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else _NO_TERMINAL_WIDTH).print(table)
