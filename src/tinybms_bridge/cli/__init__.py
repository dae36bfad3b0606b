"""The command line: one module per command, heavy imports inside the command."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from tinybms_bridge import __version__

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Mapping[str, str] = {
    "run": "tinybms_bridge.cli.run:run_command",
    "demo": "tinybms_bridge.cli.demo:demo_command",
    "simulate": "tinybms_bridge.cli.simulate:simulate_command",
    "decode": "tinybms_bridge.cli.decode:decode_command",
    "registers": "tinybms_bridge.cli.registers:registers_command",
    "settings": "tinybms_bridge.cli.settings:settings_command",
    "events": "tinybms_bridge.cli.events:events_command",
    "stats": "tinybms_bridge.cli.stats:stats_command",
    "reset": "tinybms_bridge.cli.reset:reset_command",
    "check": "tinybms_bridge.cli.check:check_command",
    "users": "tinybms_bridge.cli.users:users_command",
    "doctor": "tinybms_bridge.cli.doctor:doctor_command",
    "bench": "tinybms_bridge.cli.bench:bench_command",
}
"""Where each command lives."""


class _LazyGroup(click.Group):
    """Imports the module of a command when it is asked for."""

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


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="tinybms-bridge")
def cli() -> None:
    """Make a battery with an Enepaq TinyBMS s516 a first-class battery of a Victron Energy system.

    \b
    Start here:
      tinybms-bridge demo                    everything simulated, nothing to connect
      tinybms-bridge check bridge.json       say all that is wrong with a configuration
      tinybms-bridge run -c bridge.json      the real thing
      tinybms-bridge decode --live           watch the CAN frames of a running demo
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped


def main() -> None:
    """Run the command line."""
    cli.main(prog_name="tinybms-bridge")
