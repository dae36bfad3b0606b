"""What the configuration says of the announcement."""

import subprocess
import sys
from typing import Any

import pytest

from tinybms_bridge import __version__
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.services.mdns.options import MdnsOptions


def options(**document: Any) -> MdnsOptions | None:
    """Return what a document says."""
    return MdnsOptions.from_config(interpret(document, "test").configuration)


def test_without_a_word_the_seed_is_kept() -> None:
    """http://tinybms-bridge.local, as every text of the firmware has it."""
    assert options() == MdnsOptions("tinybms-bridge", "TinyBMS bridge (TinyBMS s516)", __version__)


def test_the_host_name_of_the_firmware_and_the_name_of_the_battery_are_announced() -> None:
    """One thing has one name: what DHCP is told, and what a person types."""
    found = options(wifi={"hostname": "boat"}, victron={"battery_name": "House"})

    assert found is not None
    assert (found.host, found.instance) == ("boat", "TinyBMS bridge (House)")


@pytest.mark.parametrize(
    "document",
    [
        {"mdns": {"enabled": False}},
        {"web_server": {"enabled": False}},
        {"web_server": {"listen_address": "127.0.0.1"}},
        {"web_server": {"listen_address": "127.1.2.3"}},
        {"web_server": {"listen_address": "::1"}},
    ],
)
def test_nothing_is_announced_of_what_nobody_else_can_reach(document: dict[str, Any]) -> None:
    """Off, without pages, and for this machine alone."""
    assert options(**document) is None


def test_an_address_that_only_looks_like_that_of_this_machine_is_announced() -> None:
    """::1:2 is somewhere else."""
    assert options(web_server={"listen_address": "::1:2"}) is not None


def test_who_may_read_nothing_without_a_login_is_not_told_the_version() -> None:
    """The network is told no more than the pages tell."""
    found = options(web_server={"enable_auth": True})

    assert found is not None
    assert found.version == ""


def test_a_service_that_is_off_imports_no_library() -> None:
    """The library is loaded where something is announced."""
    code = "import sys, tinybms_bridge.app.services; print('zeroconf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
