"""What docs/fleet.md says that can be tried: its commands, alerts, names and numbers are those of the files."""

import re
import shlex
from pathlib import Path

import pytest

from examples.fleet import consumer, messages, nodes, sites, stream, window

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
PARSERS = {"nodes": nodes.parser, "sites": sites.parser, "stream": stream.parser, "consumer": consumer.parser}
NOT_PARSED = {
    "sudo": "sets a machine up",
    "scp": "copies to another machine",
    "nats-server": "the rig starts it with the same file",
    "victoria-metrics": "test_rules.py and the rig start it",
    "vmalert": "test_rules.py has it carry the rules out",
}
"""Commands of the page that are not tried here, with the reason."""


def commands() -> list[str]:
    """Return each line of the blocks, and each call within the prose."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`(python -m fleet\.[^`\n]+)`", PAGE)
    return [line for block in blocks for line in block.splitlines()] + [line for line in inline if line.count(" ") > 2]


@pytest.mark.parametrize("line", commands())
def test_every_command_can_be_typed(line: str) -> None:
    """By the options that the program has."""
    words = shlex.split(line)
    if words[0] in NOT_PARSED:
        return
    assert words[:2] == ["python", "-m"]
    module = words[2].removeprefix("fleet.")
    if words[3:] == ["--help"]:
        return

    PARSERS[module]().parse_args(words[3:])


def test_every_alert_is_told_and_there() -> None:
    """One that is added or renamed takes the page along."""
    rules = re.findall(r"- alert: (\w+)", (ROOT / "examples" / "fleet" / "rules.yml").read_text(encoding="utf-8"))
    section = PAGE.split("## Alarms")[1].split("\n## ")[0]
    told = {
        name for row in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }

    assert told == set(rules)


def test_bounds_of_the_page_are_those_of_the_consumer() -> None:
    """Numbers in prose grow old in silence."""
    assert f"{stream.BATCH:,}".replace(",", " ") in PAGE
    assert consumer.SETTLE_S == 10.0
    assert window.BOOTS_PER_SITE == 8
    assert window.RANGES_PER_BOOT == 256
    assert f"bounded to {window.BOOTS_PER_SITE} boots of a site and {window.RANGES_PER_BOOT} gaps" in PAGE
    assert (messages.AHEAD_MS, messages.BEHIND_MS) == (5 * 60_000, 30 * 86_400_000)
    assert f"comes again after {stream.ACK_WAIT_S} s" in PAGE
    assert consumer.LOOK_S == 15.0
    assert messages.LARGEST_MESSAGE == 64 * 1024


def test_every_file_of_the_folder_is_told_somewhere() -> None:
    """In the page, or in the docstring of the folder."""
    folder = ROOT / "examples" / "fleet"
    told = PAGE + (folder / "__init__.py").read_text(encoding="utf-8")
    files = [path for path in folder.iterdir() if path.is_file() and path.name != "__init__.py"]

    assert len(files) > 10
    library = {"messages", "window", "database", "metrics", "node"}
    assert [path.name for path in files if path.name.split(".")[0] not in library and path.stem not in told] == []
