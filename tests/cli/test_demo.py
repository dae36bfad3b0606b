from types import SimpleNamespace
from typing import Any

import pytest

from tinybms_bridge.cli.demo import watch_text
from tinybms_bridge.config.loader import interpret


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
