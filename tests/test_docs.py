"""What README, CONTRIBUTING, docs and help texts say that can be tried: links, commands, keys, files, targets."""

import re
import shlex
import string
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tinybms_bridge import __version__
from tinybms_bridge.app.units import (
    CONFIGURATION_FILE,
    CORE_UNIT,
    LOG_DIRECTORY,
    SERVICES_UNIT,
    STATE_DIRECTORY,
    TARGET_UNIT,
    unit_files,
)
from tinybms_bridge.cli import COMMANDS, cli
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Entries, Keys, keys_of
from tinybms_bridge.link.path import SERVICE_DIRECTORY, SOCKET_NAME

ROOT = Path(__file__).parents[1]
DOCS = sorted(ROOT.glob("docs/**/*.md"))
PAGES = sorted([*DOCS, *ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"])
SECTIONS = "|".join(keys_of(Configuration))

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose_of(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)


def code_of(text: str) -> Iterator[str]:
    """Yield each line of the blocks of code of a page, and each piece of code within its prose."""
    for block in re.findall(r"^`{3,}[^\n]*\n(.*?)^`{3,}", text, flags=re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    yield from inline_of(text)


def inline_of(text: str) -> list[str]:
    """Return each piece of code within the prose of a page; in a table a bar has a backslash before it."""
    return [piece.replace("\\|", "|") for piece in re.findall(r"`([^`\n]+)`", prose_of(text))]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page as GitHub makes them of its headings."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", prose_of(page.read_text(encoding="utf-8")), flags=re.MULTILINE):
        kept = string.ascii_letters + string.digits + "-_ "
        plain = "".join(letter for letter in heading.lower() if letter in kept or letter.isalnum())
        anchor, number = plain.replace(" ", "-"), 1
        while anchor in anchors:
            anchor, number = f"{plain.replace(' ', '-')}-{number}", number + 1
        anchors.add(anchor)
    return anchors


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""
    links = re.findall(r"\]\(([^)\s]+)\)", prose_of(page.read_text(encoding="utf-8")))
    wrong = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            wrong.append(link)

    assert wrong == []


def test_the_index_names_every_page_of_the_docs() -> None:
    """What nothing leads to is not read."""
    index = ROOT / "docs" / "README.md"
    links = re.findall(r"\]\(([^)#\s]+)", prose_of(index.read_text(encoding="utf-8")))
    linked = {(index.parent / link).resolve() for link in links}

    assert [page.name for page in DOCS if page != index and page not in linked] == []


PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*|\.\.\.|…")
PROGRAM = re.compile(r"""(?:^|[\s("'])(?:\$ )?(?:\.venv/bin/)?tinybms-bridge((?: [^|;&>#"`()→]*)?)""")


def commands_in(code: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of the program in a piece of code, without what may be left out."""
    for found in PROGRAM.finditer(code):
        words = shlex.split(found[1].replace("[", " ").replace("]", " "))
        if words and (words[0] in COMMANDS or words[0].startswith("-")):
            yield words


def mistake_in(words: list[str]) -> str:
    """Return what is wrong with the arguments of a call, as click sees it; nothing is run. Empty for nothing."""
    command: click.Command = cli
    context = click.Context(cli, info_name="tinybms-bridge")
    try:
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            _, found, words = command.resolve_command(context, words)
            assert found is not None
            command = found
            context = click.Context(command, info_name=command.name, parent=context)
        given, _, _ = command.make_parser(context).parse_args(list(words))
        for option in command.params:
            value = given.get(option.name or "")
            plain = isinstance(value, str) and not PLACEHOLDER.fullmatch(value) and not set(value) & set("/|")
            if plain and isinstance(option.type, click.Choice | click.IntRange | click.FloatRange):
                option.type_cast_value(context, value)
    except click.UsageError as error:
        return error.format_message()
    return ""


@each_page
def test_every_command_of_a_page_can_be_typed(page: Path) -> None:
    """Each command, option and choice exists; nothing is run."""
    text = page.read_text(encoding="utf-8")
    calls = [words for code in code_of(text) for words in commands_in(code)]
    calls += [
        words
        for code in inline_of(text)
        if len(words := code.split()) > 1 and words[0] in COMMANDS and re.fullmatch(r"[\w ./=-]+", code)
    ]

    assert [(" ".join(words), mistake) for words in calls if (mistake := mistake_in(words))] == []


def helps(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the help text of every command with its name."""
    yield " ".join(path), f"{command.help or ''}\n{command.epilog or ''}"
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from helps(inner, (*path, name))


def test_every_example_of_a_help_text_can_be_typed() -> None:
    """They are what people copy first."""
    examples = [
        (name, re.split(r"\s{3,}", line.strip())[0])
        for name, text in helps(cli)
        for line in text.splitlines()
        if re.match(r"\s*(?:\S.*\| )?tinybms-bridge ", line)
    ]
    wrong = [
        (name, line, mistake)
        for name, line in examples
        for words in commands_in(line)
        if (mistake := mistake_in(words))
    ]

    assert len(examples) > 30
    assert wrong == []


def test_what_cannot_be_typed_is_noticed() -> None:
    """The test of the tests above: an unknown option, command and choice."""
    wrong = (
        "$ tinybms-bridge check --shwo",
        "tinybms-bridge setings show",
        "x | tinybms-bridge users add a --role boss",
    )

    assert all(mistake_in(words) for line in wrong for words in commands_in(line))
    assert sum(len(list(commands_in(line))) for line in wrong if "setings" not in line) == 2
    assert mistake_in(["setings", "show"]) == "No such command 'setings'. Did you mean 'settings'?"


@each_page
def test_every_key_of_the_configuration_exists(page: Path) -> None:
    """A key that was renamed is no longer named; * stands for all of a section."""
    keys = [
        code
        for code in inline_of(page.read_text(encoding="utf-8"))
        if re.fullmatch(rf"(?:{SECTIONS})(?:\.[a-z_0-9]+|\.\*)+", code)
    ]

    assert [key for key in keys if not exists(key)] == []


def exists(key: str) -> bool:
    """Return whether the configuration has a key."""
    keys: Keys | None = keys_of(Configuration)
    for name in key.split("."):
        if keys is None:
            return False
        if name == "*" and not isinstance(keys, Entries):
            return True
        found = keys.get("any" if name == "*" else name)
        if found is None:
            return False
        keys = found.below
    return True


@each_page
def test_every_file_of_the_project_that_is_named_is_there(page: Path) -> None:
    """By its path from the root, from the package, or beside the page."""
    paths = {
        code
        for code in inline_of(page.read_text(encoding="utf-8"))
        if re.fullmatch(r"[\w-][\w.-]*(?:/[\w.-]+)+\.(?:py|md|json|csv|dbc|toml|sh|txt|png)", code)
    }
    places = (ROOT, ROOT / "src", ROOT / "src" / "tinybms_bridge", page.parent)

    assert [path for path in sorted(paths) if not any((place / path).exists() for place in places)] == []


@each_page
def test_every_target_of_make_exists(page: Path) -> None:
    """`make NAME` is what a newcomer types."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = {
        name for code in code_of(page.read_text(encoding="utf-8")) for name in re.findall(r"^make ([a-z-]+)", code)
    }

    assert named <= targets


@each_page
def test_no_page_promises_what_this_version_does_not_bring(page: Path) -> None:
    """No package on an index is there yet, and a name in the network is that of the bridge, with its port."""
    text = page.read_text(encoding="utf-8")
    promises = re.findall(r"[\w-]\.local/|pip install tinybms-bridge", text)

    assert promises == []


def test_the_page_of_the_command_line_names_every_command() -> None:
    """With the word "no" where there is no --json; a new command has to be put into it."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (`[^|]*) \| ([^|]*) \|$", page.split("## For other programs")[1].split("## ")[0], re.MULTILINE
    )
    told = {name: not text.startswith("no") for names, text in rows for name in re.findall(r"`([a-z- ]+)`", names)}

    for name, command in leaves(cli):
        has_json = any("--json" in option.opts for option in command.params)
        assert told.get(name, told.get(name.split()[0])) is has_json, name
    assert len(told) > 15


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is no group, with its name."""
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, (*path, name))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_as_the_page_says(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable of the page, which click makes of the name of the program."""
    from click.testing import CliRunner

    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    variable, instruction = re.findall(rf"(_\w+_COMPLETE)=({shell}_source)", page)[0]
    if shell == "bash":  # click asks the bash of the machine for its version
        monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)

    result = CliRunner(env={variable: instruction}).invoke(cli, [], prog_name="tinybms-bridge")

    assert result.exit_code == 0
    assert "_TINYBMS_BRIDGE_COMPLETE" in result.output


def _shape_of(text: str) -> dict[str, object]:
    """Return what two languages of one page have in common: commands, links, and how many parts of each kind."""
    lines = text.splitlines()
    commands = [
        line.partition("  #")[0].rstrip()
        for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    own = re.sub(r"\.fr\.md", ".md", text)
    return {
        "commands": commands,
        "links": sorted(set(re.findall(r"\]\(((?:docs|src|C)[^)]*)\)", own))),
        "sections": sum(line.startswith("## ") for line in lines),
        "promises": sum(line.startswith("- ") for line in lines),
        "steps": sum(re.match(r"\d+\. ", line) is not None for line in lines),
        "rows of tables": sum(line.startswith("|") for line in lines),
    }


def test_the_french_readme_says_all_that_the_english_one_says() -> None:
    """The same commands in the same order, the same links, and as many sections, promises, steps and rows."""
    english, french = (_shape_of((ROOT / name).read_text(encoding="utf-8")) for name in ("README.md", "README.fr.md"))
    assert french == english


TRANSLATED = sorted(path.name.removesuffix(".fr.md") for path in ROOT.glob("docs/*.fr.md"))


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_french_guide_says_all_that_the_english_one_says(name: str) -> None:
    """As the READMEs; and each leads to the other language, to its own pictures and to the French pages there are."""
    english, french = ((ROOT / "docs" / f"{name}{ending}").read_text(encoding="utf-8") for ending in (".md", ".fr.md"))
    links = re.findall(r"\]\(([^)\s#]+)", french)
    targets = re.findall(r"\]\(([^)\s#]+)", english)

    assert _shape_of(french) == _shape_of(english)
    assert [re.sub(r"\.fr\.(md|svg)$", r".en.\1", link).replace(".en.md", ".md") for link in links[1:]] == targets[1:]
    assert links[0] == f"{name}.md"
    assert targets[0] == f"{name}.fr.md"
    assert [link for link in links[1:] if link.removesuffix(".md") in TRANSLATED] == []


CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_changelog_tells_versions_from_the_newest_with_sections_in_one_order() -> None:
    """*Keep a Changelog*: no version twice, no section of a version empty, and the present one is there or to come."""
    titles = re.findall(r"^## (.*)$", CHANGELOG, flags=re.MULTILINE)
    assert titles[0] == "Unreleased"
    released = [re.fullmatch(r"(\d+)\.(\d+)\.(\d+) - \d{4}-\d\d-\d\d", title) for title in titles[1:]]
    numbers = [tuple(int(part) for part in found.groups()) for found in released if found]
    assert len(numbers) == len(titles) - 1
    assert numbers == sorted(set(numbers), reverse=True)
    assert tuple(int(part) for part in __version__.split(".")) >= numbers[0]

    order = ["Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]
    for title, text in zip(titles, re.split(r"^## .*$", CHANGELOG, flags=re.MULTILINE)[1:], strict=True):
        sections = re.findall(r"^### (.*)$", text, flags=re.MULTILINE)
        assert sections == [name for name in order if name in sections], title
        empty = re.findall(r"^### (.*)\n\s*(?=^###|\Z)", text, flags=re.MULTILINE)
        assert not empty or title == "Unreleased", (title, empty)


def test_every_path_of_where_to_change_what_is_there() -> None:
    """Files and folders, from the root or below the package; a file that moves takes the page along."""
    text = (ROOT / "docs" / "where-to-change.md").read_text(encoding="utf-8")
    paths = {code for code in inline_of(text) if re.fullmatch(r"[\w.-]+(?:/[\w.-]*)+", code)}
    places = (ROOT, ROOT / "src" / "tinybms_bridge")

    assert len(paths) > 40
    assert [path for path in sorted(paths) if not any((place / path).exists() for place in places)] == []


UNIT = re.compile(r"(?<![\w/.])tinybms-bridge(?:-\w+)?\.(?:service|target)\b|tinybms-bridge-(?:core|services)\b")


@each_page
def test_every_unit_that_is_named_is_made(page: Path) -> None:
    """What people give to systemctl and journalctl is what ``install-service`` and the package install."""
    made = {name for name in unit_files("/bin/true") if name.endswith((".service", ".target"))}
    named = set(UNIT.findall(page.read_text(encoding="utf-8")))

    assert {name if "." in name else f"{name}.service" for name in named} <= made


def test_the_page_of_installing_names_every_unit_and_place() -> None:
    """Who looks for a file of the service finds it there."""
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    places = (CONFIGURATION_FILE, STATE_DIRECTORY, LOG_DIRECTORY, f"{SERVICE_DIRECTORY}/{SOCKET_NAME}")
    units = (CORE_UNIT.removesuffix(".service"), SERVICES_UNIT.removesuffix(".service"), TARGET_UNIT)

    assert [name for name in (*places, *units) if f"`{name}`" not in text] == []
