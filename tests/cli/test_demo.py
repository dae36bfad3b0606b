"""Command ``demo``: what it refuses, and what it shows of the GX. Its run is tested in end_to_end."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from tinybms_bridge.cli.demo import _gx_text, ask_text, demo_command, watch_text, web_text
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.link.path import client_paths, core_path
from tinybms_lab.gx.simulator import GxMode, GxView


def test_an_island_cannot_sell() -> None:
    """Two options that contradict each other are told before anything starts."""
    result = CliRunner().invoke(demo_command, ["--feed-in", "--island"])

    assert result.exit_code != 0
    assert "--feed-in and --island exclude each other" in result.output


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (GxView(mode=GxMode.FEEDING_IN, load_w=350.0, served_w=350.0, sold_w=1200.0), "loads 350 W"),
        (GxView(mode=GxMode.FEEDING_IN, load_w=350.0, served_w=350.0, sold_w=1200.0), "grid -1200 W"),
        (GxView(mode=GxMode.DISCHARGING, load_w=500.0, served_w=500.0, grid_w=80.0), "grid +80 W"),
        (GxView(mode=GxMode.DARK, load_w=500.0, served_w=0.0), "loads 0 of 500 W"),
        (GxView(mode=GxMode.WAITING), "Simulated GX waiting\n"),
        (
            GxView(mode=GxMode.CHARGING, cvl_v=57.6, ccl_a=90.0, dcl_a=135.0),
            "obeys CVL 57.6 V, CCL 90.0 A, DCL 135.0 A",
        ),
    ],
)
def test_the_gx_is_told_in_words(view: GxView, told: str) -> None:
    """What is sold counts against what is bought; loads in the dark are told apart."""
    assert told in _gx_text(view, "").plain


def test_another_terminal_is_told_where_the_bridge_listens(tmp_path: Path) -> None:
    """The core of a demonstration listens where the text says, since no command looks into a temporary directory."""
    variable, _, path = ask_text(str(tmp_path)).split()[3].partition("=")

    assert Path(path) == core_path("", tmp_path, {})
    assert client_paths("", Path("/elsewhere"), {variable: path}) == (Path(path),)


def opened(interface: str, channel: str | None = None) -> Any:
    """Return what the demonstration has opened, as far as its bus goes."""
    can_part = {"interface": interface} | ({"channel": channel} if channel else {})
    return SimpleNamespace(config=interpret({"hardware": {"can": can_part}}, "test").configuration)


@pytest.mark.parametrize(
    ("interface", "channel", "options"),
    [
        ("udp_multicast", None, "decode --live"),
        ("udp_multicast", "239.74.163.9", "decode --live --channel 239.74.163.9"),
        ("socketcan", "vcan0", "decode --live --interface socketcan --channel vcan0"),
    ],
)
def test_the_command_that_is_shown_watches_the_bus_of_the_demonstration(
    interface: str, channel: str | None, options: str
) -> None:
    """What a newcomer types off the screen has to work."""
    assert watch_text(opened(interface, channel)).endswith(options)


def test_a_bus_within_the_process_cannot_be_watched() -> None:
    """No command is shown that would show nothing."""
    assert "decode" not in watch_text(opened("virtual"))


@pytest.mark.parametrize(
    ("port", "sought", "told"), [(8080, True, ""), (8081, True, " (port 8080 is in use)"), (9000, False, "")]
)
def test_the_web_server_is_told_where_it_is(port: int, sought: bool, told: str) -> None:
    """A newcomer looks for it on 8080; one who chose another port needs no reason."""
    assert web_text(port, sought=sought) == f"Web server on http://localhost:{port}/{told}"
