"""Error frames of SocketCAN in words."""

import pytest

from tinybms_bridge.victron.can.can_errors import describe_error, is_error_id

FLAG = 0x2000_0000


@pytest.mark.parametrize(
    ("bits", "data", "words"),
    [
        (0x004, "0004000000000000", "controller (receive errors at the warning level)"),
        (0x004, "", "controller"),
        (0x004 | 0x200, "0004000000006005", "controller (receive errors at the warning level)"),
        (0x040, "0000000000000000", "bus off"),
    ],
)
def test_what_an_error_frame_says(bits: int, data: str, words: str) -> None:
    """Class, details where there are any, and the counters of the controller where it tells them."""
    assert is_error_id(FLAG | bits)
    assert words in describe_error(FLAG | bits, bytes.fromhex(data))


def test_counters_and_unknown_classes() -> None:
    """The counters stand behind the last class; what nobody knows is shown as its number."""
    told = describe_error(FLAG | 0x004 | 0x200, bytes.fromhex("0004000000006005"))
    assert told.endswith("(transmit 96, receive 5)")
    assert describe_error(FLAG | 0x1000, bytes(8)) == "of unknown class 0x1000"
    assert not is_error_id(0x351)
