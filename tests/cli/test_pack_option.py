"""``--pack``: which BMS of the running bridge a command means, and what is said where that is not clear."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tinybms_bridge.cli import cli
from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.commands import COMMANDS
from tinybms_bridge.link.state import CoreState, PackDetails, UartState

Invoke = Callable[..., Result]
FOUR = CoreState(packs={name: PackDetails(UartState(device=f"/dev/tty{name}")) for name in "abcd"})
EVERY = (
    ("registers", "--live"),
    ("stats",),
    ("events",),
    ("reset", "events", "--yes"),
    ("settings", "show"),
    ("settings", "set", "fully_charged_voltage_v=3.5", "--dry-run"),
    ("settings", "action", "clear_events", "--confirm"),
)
REFUSING = {name: LinkError("no answer") for name in COMMANDS if name.startswith("device.")}


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_of_several_packs_one_has_to_be_named(
    invoke: Invoke, core: Callable[..., Any], command: tuple[str, ...]
) -> None:
    """No BMS is guessed, least of all for what erases or writes."""
    served = core(FOUR)
    result = invoke(cli, *command)
    assert result.exit_code != 0
    assert "there are several packs; name one with --pack: a, b, c or d" in result.stderr
    assert served.asked == []


@pytest.mark.parametrize("place", [("--pack", "c"), ("--device", "/dev/ttyc")], ids=" ".join)
@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_the_named_pack_is_asked(
    invoke: Invoke, core: Callable[..., Any], command: tuple[str, ...], place: tuple[str, str]
) -> None:
    """And no other one, by its name or by the port that the bridge has for it."""
    served = core(FOUR, **REFUSING)
    assert "no answer" in invoke(cli, *command, *place).stderr
    assert {each.pack for each in served.asked} == {"c"}


def test_a_name_that_there_is_not_says_the_nearest(invoke: Invoke, core: Callable[..., Any]) -> None:
    """A mistyped pack is never another one."""
    core(CoreState(packs={name: PackDetails() for name in ("garage", "cellar")}))
    result = invoke(cli, "stats", "--pack", "garrage")
    assert result.exit_code != 0
    assert "there is no pack called 'garrage'; did you mean garage?" in result.stderr


def test_without_a_bridge_there_are_no_packs(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A name means a pack of a bridge that runs; a port is named by its path."""
    monkeypatch.setenv("TINYBMS_BRIDGE_SOCKET", str(tmp_path / "none.sock"))
    result = invoke(cli, "stats", "--pack", "a")
    assert result.exit_code != 0
    assert "--pack a means a pack of a running bridge" in result.stderr
