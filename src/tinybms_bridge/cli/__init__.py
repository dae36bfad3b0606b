"""The command line: one module per command, heavy imports inside the command."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from tinybms_bridge import __version__
from tinybms_bridge.cli.common import EXIT_FAILURE, error_document

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Mapping[str, str] = {
    "run": "tinybms_bridge.cli.run:run_command",
    "run-core": "tinybms_bridge.cli.run:run_core_command",
    "run-services": "tinybms_bridge.cli.run:run_services_command",
    "demo": "tinybms_bridge.cli.demo:demo_command",
    "status": "tinybms_bridge.cli.status:status_command",
    "inhibit": "tinybms_bridge.cli.inhibit:inhibit_command",
    "release": "tinybms_bridge.cli.inhibit:release_command",
    "simulate": "tinybms_bridge.cli.simulate:simulate_command",
    "decode": "tinybms_bridge.cli.decode:decode_command",
    "registers": "tinybms_bridge.cli.registers:registers_command",
    "settings": "tinybms_bridge.cli.settings:settings_command",
    "events": "tinybms_bridge.cli.events:events_command",
    "stats": "tinybms_bridge.cli.stats:stats_command",
    "reset": "tinybms_bridge.cli.reset:reset_command",
    "check": "tinybms_bridge.cli.check:check_command",
    "users": "tinybms_bridge.cli.users:users_command",
    "can": "tinybms_bridge.cli.can:can_command",
    "doctor": "tinybms_bridge.cli.doctor:doctor_command",
    "install-service": "tinybms_bridge.cli.install_service:install_service_command",
    "bench": "tinybms_bridge.cli.bench:bench_command",
}
"""Where each command lives."""


class _Program(click.Group):
    """Imports the module of a command when it is asked for; with --json, mistakes of the command line are JSON, too."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, attribute = target.split(":")
        command: Any = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, which knows only commands that are imported, and suggests none of the others."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,  # noqa: ANN401 - as click has it
    ) -> Any:  # noqa: ANN401
        """As click does, but for mistakes of a command line with --json."""
        given = list(sys.argv[1:] if args is None else args)
        if not standalone_mode or "--json" not in given:
            return super().main(given, prog_name, complete_var, standalone_mode, **extra)
        try:
            status = super().main(given, prog_name, complete_var, standalone_mode=False, **extra)
        except click.Abort:
            _end("interrupted", EXIT_FAILURE)
        except click.ClickException as error:
            _end(error.format_message(), error.exit_code)
        sys.exit(status if isinstance(status, int) else 0)


def _end(message: str, status: int) -> NoReturn:
    click.echo(error_document(message, status), err=True)
    sys.exit(status)


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="tinybms-bridge")
def cli() -> None:
    """Make a battery with an Enepaq TinyBMS s516 a first-class battery of a Victron Energy system.

    \b
    Start here:
      tinybms-bridge demo                    everything simulated, nothing to connect
      tinybms-bridge check bridge.json       say all that is wrong with a configuration
      tinybms-bridge run -c bridge.json      the real thing
      tinybms-bridge status                  how the running bridge is
      tinybms-bridge decode --live           watch the CAN frames of a running demo

    \b
    Exit status of every command:
      0  done, and all is well
      1  it failed, or what was looked at is not as it should be
      2  it cannot be carried out as it is: the command, its values, its files or the configuration
    With --json standard output holds the result as JSON, or nothing; after a failure the last line on standard
    error is a JSON object with "error".
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped


def main() -> None:
    """Run the command line."""
    cli.main(prog_name="tinybms-bridge")
