import ipaddress
from pathlib import Path

import pytest

from tinybms_bridge.hal.on_link import on_link_networks

LINES = """\
20010db8000100000000000000000005 02 40 00 00     eth0
fe80000000000000021122fffe334455 02 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


def v6(path: Path) -> set[str]:
    """Return the IPv6 networks."""
    return {str(network) for network in on_link_networks(path) if network.version == 6}


def test_each_address_of_an_interface_has_its_network(tmp_path: Path) -> None:
    """As the kernel tells them."""
    path = tmp_path / "if_inet6"
    path.write_text(LINES)

    assert v6(path) == {"2001:db8:1::/64", "fe80::/64", "::1/128"}


@pytest.mark.parametrize(
    "text",
    ["", "\0\0", "x y z\n", "20 02\n", f"{'f' * 40} 02 40 00 00 eth0\n", f"{'2' * 32} 02 ff 00 00 eth0\n"],
)
def test_lines_that_are_none_are_left_out(tmp_path: Path, text: str) -> None:
    """Another kernel may write something else."""
    path = tmp_path / "if_inet6"
    path.write_text(text + LINES.splitlines()[0])

    assert v6(path) <= {"2001:db8:1::/64"}


@pytest.mark.parametrize("length", ["00", "01", "10"])
def test_a_tunnel_to_everywhere_makes_nobody_a_neighbour(tmp_path: Path, length: str) -> None:
    """Its prefix holds half of the Internet."""
    path = tmp_path / "if_inet6"
    path.write_text(f"20010db8000100000000000000000005 02 {length} 00 00     tun0\n")

    assert v6(path) == set()


def test_without_ipv6_there_is_the_loopback_of_ipv4(tmp_path: Path) -> None:
    """From the interfaces of this machine."""
    found = on_link_networks(tmp_path / "nothing")

    assert ipaddress.ip_network("127.0.0.0/8") in found
    assert all(network.version == 4 for network in found)
