"""Command ``check``: say all that is wrong with a configuration, before it is used."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
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
def check_command(file: str | None, *, show: bool, schema: bool) -> None:
    """Validate a configuration and say all that is wrong.

    FILE is a JSON file, "-" for standard input; without it the usual file is checked: $TINYBMS_BRIDGE_CONFIG,
    ./tinybms-bridge.json, /etc/tinybms-bridge/config.json or ~/.config/tinybms-bridge/config.json. Files of the ESP32
    firmware are understood too. Each problem is one line: path, value, what is allowed.
    """
    if schema:
        from tinybms_bridge.config.describe import json_schema

        click.echo(_pretty(json_schema()))
        return
    path, data = _read(file)
    _check(path, data, show=show)


def _read(file: str | None) -> tuple[Path | None, bytes]:
    """Return the path, None for standard input, and content; end with status 2 when it cannot be read."""
    from tinybms_bridge.config.paths import default_path

    if file == "-":
        return None, sys.stdin.buffer.read()
    path = default_path() if file is None else Path(file)
    try:
        return path, path.read_bytes()
    except OSError as error:
        hint = "; without a file every key has its default" if file is None else ""
        click.echo(f"{path}: cannot be read: {error.strerror}{hint}", err=True)
        sys.exit(2)


def _check(path: Path | None, data: bytes, *, show: bool) -> None:
    from tinybms_bridge.config.battery import check_alone
    from tinybms_bridge.config.exposure import exposure
    from tinybms_bridge.config.loader import parse
    from tinybms_bridge.errors import ConfigError

    name = "standard input" if path is None else str(path)
    try:
        configuration, notices = parse(data, name)
    except ConfigError as error:
        _refuse(name, error.problems)
    unfit = check_alone(configuration)
    if unfit:
        _refuse(name, unfit)
    for notice in (*notices, exposure(path, configuration) if path else None):
        if notice is not None:
            click.echo(f"notice: {notice}", err=True)
    if show:
        click.echo(_pretty(configuration.public_dict()))
    click.echo(f"{name}: usable", err=True)


def _refuse(name: str, problems: "Sequence[ConfigProblem]") -> NoReturn:
    for problem in problems:
        click.echo(_line(problem.path, problem.value, problem.message))
    click.echo(f"{name}: {len(problems)} problem{'' if len(problems) == 1 else 's'}", err=True)
    sys.exit(1)


def _line(path: str, value: object, message: str) -> str:
    """Return one problem as the file would write its value."""
    is_odd = isinstance(value, str) and not value.isprintable()
    shown = "" if value is None else f" = {json.dumps(value, ensure_ascii=is_odd)}"
    return f"{path or 'configuration'}{shown}: {message}"


def _pretty(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
