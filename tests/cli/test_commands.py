import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
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
    others = {target.split(":")[0] for target in COMMANDS.values()} - {COMMANDS[command].split(":")[0]}
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


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["rum"], "No such command 'rum'. Did you mean 'run'?"),
        (["xyzzy"], "No such command 'xyzzy'."),
        (["settings", "shw"], "No such command 'shw'. Did you mean 'show'?"),
        (["users", "ad"], "No such command 'ad'. Did you mean 'add'?"),
        (["settings", "show", "--limts"], "No such option '--limts'. Did you mean '--limits'?"),
        (["settings", "set", "--yess"], "No such option '--yess'. Did you mean '--yes'?"),
    ],
)
def test_a_typo_is_told_with_the_nearest(arguments: list[str], text: str) -> None:
    """It ends with 2, names what was typed and what was probably meant; with --json as an object."""
    plain, as_json = (CliRunner().invoke(cli, [*arguments, *more]) for more in ([], ["--json"]))

    assert (plain.exit_code, plain.stderr.splitlines()[-1]) == (2, f"Error: {text}")
    assert (as_json.exit_code, as_json.stdout) == (2, "")
    assert json.loads(as_json.stderr) == {"error": text, "exit_status": 2}


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something, with its words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, (*path, name))


WITHOUT_JSON = {
    "run": "its output is a log or a live view; the API and `doctor --json` tell programs how it is",
    "run-core": "its output is a log or a live view; the API and `doctor --json` tell programs how it is",
    "run-services": "its output is a log or a live view; the API and `doctor --json` tell programs how it is",
    "demo": "likewise",
    "install-service": "says each step when it is done, and what comes next",
    "can up": "says what was done; `can list --json` tells how it is",
    "can down": "says what was done; `can list --json` tells how it is",
    "can forget": "says what was done",
    "simulate": "the first line is the port; what follows is for people",
    "bench story": "draws pictures",
    "users add": "says that it is done",
    "users remove": "says that it is done",
    "users password": "says that it is done",
    "users role": "says that it is done",
    "users token": "prints the token alone",
    "users setup-token": "prints the token alone",
}
"""Commands that have no --json, with the reason."""


def test_every_command_with_something_to_script_has_json() -> None:
    """Under one name and meaning everywhere; what has none is on the list, with its reason."""
    without = {" ".join(path) for path, each in leaves(cli) if "as_json" not in {option.name for option in each.params}}

    assert without <= set(WITHOUT_JSON)
    for path, each in leaves(cli):
        for option in each.params:
            if option.name == "as_json":
                assert option.opts == ["--json"], path


NOWHERE = ["--device", "/dev/tty-not-here"]
FAILING = {
    "status": (["--socket", "none.sock"], 1),
    "inhibit": (["charge", "--socket", "none.sock"], 1),
    "release": (["charge", "--socket", "none.sock"], 1),
    "decode": ([], 1),
    "registers": (["--live", *NOWHERE], 1),
    "settings show": (NOWHERE, 1),
    "settings set": ([*NOWHERE, "allowed_disbalance_v=0.02"], 1),
    "settings backup": ([*NOWHERE, "pack.json"], 1),
    "settings diff": ([*NOWHERE, "none.json"], 2),
    "settings restore": ([*NOWHERE, "none.json"], 2),
    "settings action": (["no_such_action"], 2),
    "events": (NOWHERE, 1),
    "stats": (NOWHERE, 1),
    "reset": (["events", "--yes", *NOWHERE], 1),
    "check": (["none.json"], 2),
    "users list": (["--no-such-option"], 2),
    "doctor": (["--config"], 2),
    "can list": (["--no-such-option"], 2),
    "can check": (["--config"], 2),
    "bench charge": (["--only", "no-such-scenario"], 2),
}
"""Arguments with which each command fails, and the exit status that says how."""


@pytest.mark.parametrize("command", FAILING)
def test_every_command_fails_alike(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1: it was tried; 2: it cannot be carried out as it is. Standard output stays empty.

    With --json the last line on standard error is an object with the words, and the status in it, too.
    """
    monkeypatch.chdir(tmp_path)
    arguments, status = FAILING[command]
    words = [*command.split(), *arguments]

    plain = CliRunner().invoke(cli, words, input="")
    as_json = CliRunner().invoke(cli, [*words[: len(command.split())], "--json", *arguments], input="")

    assert (plain.exit_code, plain.stdout) == (status, "")
    assert plain.stderr.lower().splitlines()[-1].startswith("error: ")
    assert (as_json.exit_code, as_json.stdout) == (status, "")
    document = json.loads(as_json.stderr.splitlines()[-1])
    assert document["exit_status"] == status
    assert document["error"]


def test_the_failures_of_every_command_with_json_are_tried() -> None:
    """A new command is tried, too."""
    assert set(FAILING) == {" ".join(path) for path, _ in leaves(cli)} - set(WITHOUT_JSON)


def test_an_answer_that_nobody_gives_is_told_in_json() -> None:
    """A question without a terminal ends the command; a script finds that out as it does everything else."""
    result = CliRunner().invoke(cli, ["reset", "events", "--json"], input="")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "nothing was done" in json.loads(result.stderr.splitlines()[-1])["error"]


def test_help_tells_the_exit_status() -> None:
    """The rule for every command stands where people look first."""
    text = CliRunner().invoke(cli, ["--help"]).output

    assert [line.strip()[:3] for line in text.split("Exit status of every command:")[1].splitlines()[1:4]] == [
        "0  ",
        "1  ",
        "2  ",
    ]


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
