from tinybms_bridge.errors import BridgeError, LinkError
from tinybms_bridge.tinybms.frames import FrameError


def test_text_shows_bytes_and_both_crcs() -> None:
    """A wrong CRC is shown with the frame and both numbers in hex."""
    error = FrameError("wrong CRC", b"\xaa\x14\x7e\xaf", expected_crc=0x1F7F, received_crc=0xAF7E)

    assert str(error) == "wrong CRC: AA 14 7E AF (CRC computed 0x1F7F, received 0xAF7E)"


def test_text_without_crc() -> None:
    """Where the CRC is not the problem it is not mentioned."""
    assert str(FrameError("unknown command 0x08", b"\xaa\x08")) == "unknown command 0x08: AA 08"


def test_text_without_bytes() -> None:
    """An empty frame is said to be empty."""
    assert str(FrameError("not a request", b"")) == "not a request: no bytes"


def test_attributes() -> None:
    """What the text says can also be read without parsing it."""
    error = FrameError("wrong CRC", b"\xaa", expected_crc=1, received_crc=2)

    assert (error.reason, error.frame, error.expected_crc, error.received_crc) == ("wrong CRC", b"\xaa", 1, 2)


def test_place_in_the_error_tree() -> None:
    """Bad bytes are a fault of the line: the caller may retry."""
    assert issubclass(FrameError, LinkError)
    assert issubclass(FrameError, BridgeError)
