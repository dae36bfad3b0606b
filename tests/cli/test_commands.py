import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tinybms_bridge import __version__
from tinybms_bridge.cli import COMMANDS, cli

HEAVY = ("pydantic", "can", "cantools", "serialx", "rich", "msgpack")
"""Libraries that take from 20 ms to half a second to import; none is needed to show a help text."""

PROBE = """
import json, sys
from tinybms_bridge.cli import cli
code = cli.main(json.loads(sys.argv[1]), prog_name="tinybms-bridge", standalone_mode=False)
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
sys.exit(code or 0)
"""


def in_fresh_interpreter(*arguments: str) -> tuple[str, set[str]]:
    """Run the program in an interpreter of its own; returns what it printed and which modules it imported."""
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)], capture_output=True, text=True, timeout=30, check=True
    )
    return ended.stdout, set(json.loads(ended.stderr))


def test_help_lists_every_command_with_a_sentence() -> None:
    """Whoever types --help sees what there is, and one line about each."""
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    listed = result.output.split("Commands:")[1].splitlines()
    found = {line.split()[0]: line.split(maxsplit=1)[1:] for line in listed if line.strip()}
    assert list(found) == list(COMMANDS)
    assert all(about and len(about[0]) > 20 for about in found.values())


def test_help_imports_nothing_heavy() -> None:
    """The list of commands appears at once, also on the smallest computer."""
    output, modules = in_fresh_interpreter("--help")
    assert "Commands:" in output
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_imports_nothing_heavy(command: str) -> None:
    """The help of a command shows its options without loading what only its work needs."""
    output, modules = in_fresh_interpreter(command, "--help")
    assert output.startswith(f"Usage: tinybms-bridge {command}")
    assert modules.isdisjoint(HEAVY)
    others = {f"tinybms_bridge.cli.{name}" for name in COMMANDS if name != command}
    assert modules.isdisjoint(others), "only the module of this command is needed"


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help(command: str, option: str) -> None:
    """Both spellings work everywhere, and the text says more than the list of options."""
    output, _ = in_fresh_interpreter(command, option)  # click remembers the help options of a command's first use
    assert output.index("Options:") > 100


def test_version_is_that_of_the_package() -> None:
    """-V tells the name and the version, for reports of faults."""
    for option in ("-V", "--version"):
        result = CliRunner().invoke(cli, [option])
        assert (result.exit_code, result.output.split()[0]) == (0, "tinybms-bridge,")
        assert __version__ in result.output


def test_unknown_command_is_a_clear_line() -> None:
    """A typo ends with 2 and names what was typed."""
    result = CliRunner().invoke(cli, ["rum"])
    assert result.exit_code == 2
    assert "rum" in result.output


def test_no_command_shows_what_there_is() -> None:
    """The bare name is a question, too; nothing is started by accident."""
    result = CliRunner().invoke(cli, [])
    assert "tinybms-bridge demo" in result.output
    assert "Commands:" in result.output


def test_module_is_the_program() -> None:
    """``python -m tinybms_bridge`` is the command under its usual name."""
    ended = subprocess.run(
        [sys.executable, "-m", "tinybms_bridge", "--help"], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout.startswith("Usage: tinybms-bridge ")
    assert ended.stderr == ""
