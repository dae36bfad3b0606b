"""Command ``check``: say all that is wrong with a configuration, before it is used."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import EXIT_FAILURE, EXIT_REFUSED, end_with, json_option, mistake

if TYPE_CHECKING:
    from tinybms_bridge.config.configuration import Configuration
    from tinybms_bridge.config.notices import Notice
    from tinybms_bridge.errors import ConfigProblem

__all__ = ["check_command"]

_EXAMPLES = """\b
Examples:
  tinybms-bridge check                     the usual file
  tinybms-bridge check my.json             another file
  tinybms-bridge check --show my.json      with every value
  tinybms-bridge check --schema            JSON Schema for an editor
  tinybms-bridge check - < config.json     what comes through a pipe

\b
Exit status: 0 usable, 1 problems, 2 the file cannot be read."""


@click.command("check", epilog=_EXAMPLES)
@click.argument("file", required=False)
@click.option("--show", is_flag=True, help="Print every value; null = by the BMS or the chemistry; secrets are masked.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the configuration and end.")
@json_option
def check_command(file: str | None, *, show: bool, schema: bool, as_json: bool) -> None:
    """Validate a configuration and say all that is wrong.

    FILE is a JSON file, "-" for standard input; without it the usual file is checked: $TINYBMS_BRIDGE_CONFIG,
    ./tinybms-bridge.json, /etc/tinybms-bridge/config.json or ~/.config/tinybms-bridge/config.json. Files of the ESP32
    firmware are understood too. Each problem is one line: path, value, what is allowed.
    """
    if schema:
        from tinybms_bridge.config.describe import json_schema

        click.echo(_pretty(json_schema()))
        return
    found = _judge(*_read(file))
    if as_json:
        click.echo(_pretty(_document(found, show=show)))
    else:
        _show(found, show=show)
    if found.problems:
        sys.exit(EXIT_FAILURE)


def _read(file: str | None) -> tuple[Path | None, bytes]:
    """Return the path, None for standard input, and content; end with status 2 when it cannot be read."""
    from tinybms_bridge.config.paths import default_path

    if file == "-":
        return None, sys.stdin.buffer.read()
    path = default_path() if file is None else Path(file)
    try:
        return path, path.read_bytes()
    except OSError as error:
        hint = "without a file every key has its default" if file is None else ""
        text = f"{path}: cannot be read: {error.strerror}" + (f"; {hint}" if hint else "")
        end_with([text], EXIT_REFUSED, hint=hint)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What there is to say about a file."""

    name: str
    problems: "Sequence[ConfigProblem]" = ()
    notices: "Sequence[Notice]" = ()
    configuration: "Configuration | None" = None


def _judge(path: Path | None, data: bytes) -> _Checked:
    from tinybms_bridge.config.battery import check_alone
    from tinybms_bridge.config.exposure import exposure
    from tinybms_bridge.config.loader import parse
    from tinybms_bridge.errors import ConfigError

    name = "standard input" if path is None else str(path)
    try:
        configuration, notices = parse(data, name)
    except ConfigError as error:
        return _Checked(name, error.problems)
    unfit = check_alone(configuration)
    if unfit:
        return _Checked(name, unfit)
    told = (*notices, exposure(path, configuration) if path else None)
    return _Checked(name, (), [notice for notice in told if notice is not None], configuration)


def _show(found: _Checked, *, show: bool) -> None:
    for problem in found.problems:
        click.echo(_line(problem.path, problem.value, problem.message.text))
    for notice in found.notices:
        click.echo(f"notice: {notice}", err=True)
    if show and found.configuration is not None:
        click.echo(_pretty(_values(found.configuration)))
    count = len(found.problems)
    click.echo(f"{found.name}: {f'{count} problem' + 's' * (count > 1) if count else 'usable'}", err=True)


def _document(found: _Checked, *, show: bool) -> dict[str, object]:
    document: dict[str, object] = {
        "file": found.name,
        "usable": not found.problems,
        "problems": [{"value": each.value} | mistake(each.path, each.message) for each in found.problems],
        "notices": [str(notice) for notice in found.notices],
        "coded_notices": [mistake(notice.path, notice.message) for notice in found.notices],
    }
    if show and found.configuration is not None:
        document["configuration"] = _values(found.configuration)
    return document


def _values(configuration: "Configuration") -> dict[str, object]:
    from tinybms_bridge.config.values import public_values

    return public_values(configuration)


def _line(path: str, value: object, message: str) -> str:
    """Return one problem as the file would write its value."""
    is_odd = isinstance(value, str) and not value.isprintable()
    shown = "" if value is None else f" = {json.dumps(value, ensure_ascii=is_odd)}"
    return f"{path or 'configuration'}{shown}: {message}"


def _pretty(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
