"""What keeps two demonstrations apart: each has a CAN channel and a web port that no other one has."""

import os
import socket
from collections.abc import Iterator

import pytest

from tinybms_bridge.cli import demo_places
from tinybms_bridge.cli.demo_places import claim_places
from tinybms_bridge.errors import LinkError

NAMES = f"tinybms-bridge-test-{os.getpid()}"
"""No demonstration that runs on this machine is seen."""


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_first_one_has_the_places_that_are_documented() -> None:
    """`decode --live` without options watches the default channel: it has to be that of the first demonstration."""
    with claim_places(names=NAMES, first_port=1024) as places:
        assert places.can_channel == ""
        assert places.web_port >= 1024


def test_each_has_a_channel_and_a_port_of_its_own() -> None:
    """Also where they begin in the same moment, before any of them listens."""
    with (
        claim_places(names=NAMES) as first,
        claim_places(names=NAMES) as second,
        claim_places(names=NAMES) as third,
    ):
        assert [each.can_channel for each in (first, second, third)] == ["", "239.74.163.3", "239.74.163.4"]
        assert first.web_port < second.web_port < third.web_port


def test_what_has_ended_leaves_its_places() -> None:
    """The next one is the first again, beside others that go on."""
    with claim_places(names=NAMES) as ended, claim_places(names=NAMES) as going:
        pass
    with claim_places(names=NAMES) as later:
        assert later.can_channel == ended.can_channel
        assert later.can_channel != going.can_channel


def test_a_port_on_which_somebody_listens_is_passed_over(listening: int) -> None:
    """Port 8080 is a popular one."""
    with claim_places(names=NAMES, first_port=listening) as places:
        assert places.web_port > listening


def test_what_the_user_chose_is_not_looked_at(listening: int) -> None:
    """Whoever names a bus wants that bus, and whoever names a port hears that it is in use."""
    with (
        claim_places(names=NAMES, can_channel="239.1.1.1", web_port=listening) as chosen,
        claim_places(names=NAMES) as other,
    ):
        assert (chosen.can_channel, chosen.web_port) == ("239.1.1.1", listening)
        assert other.can_channel == "", "a chosen channel takes none of the others"


def test_all_places_taken_is_told(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do then is said."""
    monkeypatch.setattr(demo_places, "_GROUPS", ("",))
    monkeypatch.setattr(demo_places, "_PORTS_TRIED", 1)
    with claim_places(names=NAMES), pytest.raises(LinkError, match="--can-channel"), claim_places(names=NAMES):
        pass
    with pytest.raises(LinkError, match="--web-port"), claim_places(names=NAMES, first_port=listening):
        pass
