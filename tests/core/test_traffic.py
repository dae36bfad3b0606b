import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.core.traffic import UartTraffic, log_can_frame
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.tinybms.statistics import TraceEntry


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (TraceEntry(1.0, "tx", bytes.fromhex("aa03003855")), "UART tx AA 03 00 38 55"),
        (TraceEntry(1.0, "note", b"", "the serial device vanished"), "UART note the serial device vanished"),
    ],
)
def test_uart_traffic_is_shown_as_hex(caplog: pytest.LogCaptureFixture, entry: TraceEntry, shown: str) -> None:
    """As it was on the wire, with its direction, at DEBUG."""
    caplog.set_level(logging.DEBUG, "tinybms_bridge")
    UartTraffic()(entry)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.DEBUG, shown)]


@pytest.mark.parametrize(
    ("frame", "direction", "words"),
    [
        (CanFrame(0x351, bytes(8)), "tx", ("CAN tx 351", "00 00 00 00 00 00 00 00")),
        (CanFrame(0x305, bytes(8)), "rx", ("CAN rx 305",)),
        (CanFrame(0x35A, b"\xaa"), "dropped", ("CAN dropped 35A", " AA")),
    ],
)
def test_can_traffic_has_the_name_of_the_frame(
    caplog: pytest.LogCaptureFixture, frame: CanFrame, direction: str, words: tuple[str, ...]
) -> None:
    """Identifier, name and bytes: a known frame can be recognised without a table."""
    caplog.set_level(logging.DEBUG, "tinybms_bridge")
    log_can_frame(frame, direction)
    (message,) = caplog.messages
    assert all(word in message for word in words)
    assert len(message.split()[3]) > 2, "the name stands between identifier and bytes"


def test_unknown_frame_is_shown_without_a_name(caplog: pytest.LogCaptureFixture) -> None:
    """A frame of another device on the bus."""
    caplog.set_level(logging.DEBUG, "tinybms_bridge")
    log_can_frame(CanFrame(0x7FE, b"\x01\x02"), "rx")
    assert caplog.messages == ["CAN rx 7FE 01 02"]


def test_traffic_is_silent_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    """The switch alone floods nobody whose level is INFO."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    log_can_frame(CanFrame(0x351, bytes(8)), "tx")
    UartTraffic()(TraceEntry(1.0, "tx", b"\xaa"))
    assert caplog.messages == []


def test_pieces_of_a_reply_become_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """However the adapter cuts it; bytes after a pause, and those after a request, are others."""
    caplog.set_level(logging.DEBUG, "tinybms_bridge")
    traffic = UartTraffic()
    pieces = (
        ("tx", 1.00, b"\xaa\x18"),
        ("rx", 1.01, b"\x01"),
        ("rx", 1.05, b"\x02"),
        ("rx", 1.09, b"\x03"),
        ("rx", 1.20, b"\x04"),
        ("tx", 1.21, b"\xaa"),
        ("rx", 1.22, b"\x05"),
    )
    for direction, at_s, data in pieces:
        traffic(TraceEntry(at_s, direction, data))  # type: ignore[arg-type]  # one of the three words
    assert caplog.messages == ["UART tx AA 18", "UART rx 01 02 03", "UART rx 04", "UART tx AA"]
    traffic.flush()
    traffic.flush()
    assert caplog.messages[4:] == ["UART rx 05"]


@given(st.lists(st.tuples(st.sampled_from(["tx", "rx"]), st.binary(min_size=1, max_size=9), st.floats(0.0, 0.2))))
def test_no_byte_is_lost_or_changed(pieces: list[tuple[str, bytes, float]]) -> None:
    """Whatever comes in which pieces: the lines of each direction hold the same bytes, in order."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinybms_bridge.core.traffic.log.debug", lambda text, *words: lines.append(text % words))
        traffic, now_s = UartTraffic(), 0.0
        for direction, data, pause_s in pieces:
            now_s += pause_s
            traffic(TraceEntry(now_s, direction, data))  # type: ignore[arg-type]  # one of the three words
        traffic.flush()
    for direction in ("tx", "rx"):
        head = f"UART {direction} "
        shown = b"".join(bytes.fromhex(line.removeprefix(head)) for line in lines if line.startswith(head))
        assert shown == b"".join(data for each, data, _ in pieces if each == direction)
