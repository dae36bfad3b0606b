"""Lines of candump in, lines of text and JSON records out."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.candump import (
    CaptureRemark,
    Recorded,
    as_record,
    as_text,
    expect_whole,
    log_line,
    parse_line,
)
from tinybms_bridge.victron.can.codec import decode_frame

LIMITS = CanFrame(0x351, bytes.fromhex("4302E8039E07D001"))


@pytest.mark.parametrize(
    "line",
    [
        "(1436509052.249713) can0 351#4302E8039E07D001",
        "(1436509052.249713) can0 351#4302E8039E07D001 R",
        "(1436509052.249713) vcan-1.0 351#4302e8039e07d001\n",
        "(1436509052.249713)  can0  351   [8]  43 02 E8 03 9E 07 D0 01",
        "(1436509052.249713)  can0  RX - -  351   [8]  43 02 E8 03 9E 07 D0 01   'C.......'",
    ],
)
def test_lines_with_a_time(line: str) -> None:
    """The log format and the columns of candump -t give frame and time."""
    assert parse_line(line) == Recorded(LIMITS, 1436509052.249713)


@pytest.mark.parametrize(
    "line",
    [
        "can0 351#4302E8039E07D001",
        "351#4302E8039E07D001",
        "0x351#4302E8039E07D001",
        "351#43.02.E8.03.9E.07.D0.01",
        "  can0  351   [8]  43 02 E8 03 9E 07 D0 01",
        "can0  351   [8]  43 02 E8 03 9E 07 D0 01   'C.......'",
        "  slcan0  TX B E  351   [8]  43 02 E8 03 9E 07 D0 01",
        "351   [8]  43 02 E8 03 9E 07 D0 01",
        "351: 43 02 e8 03 9e 07 d0 01",
        "0x351: 43 02 e8 03 9e 07 d0 01\r\n",
    ],
)
def test_lines_without_a_time(line: str) -> None:
    """Every way to write a frame that people paste is understood."""
    assert parse_line(line) == Recorded(LIMITS)


@pytest.mark.parametrize(("line", "frame"), [("305#", CanFrame(0x305, b"")), ("can0 305 [0]", CanFrame(0x305, b""))])
def test_frame_without_data(line: str, frame: CanFrame) -> None:
    """An empty frame is a frame."""
    assert parse_line(line) == Recorded(frame)


@pytest.mark.parametrize("line", ["", "\n", "   \t", "# recorded on a Cerbo", "  # 351#00"])
def test_empty_lines_and_comments_hold_no_frame(line: str) -> None:
    """They are no mistakes either."""
    assert parse_line(line) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hello world", "not a line of candump: 'hello world'"),
        ("351", "not a line of candump"),
        ("351#4X", "not a line of candump"),
        ("can0 351 [2] 43", "announces 2 bytes and shows 1"),
        ("351#430", "half a byte at its end"),
        ("351#112233445566778899", "has 9 bytes, 8 are allowed"),
        ("351##1112233", "CAN FD"),
        ("351#R", "remote frame"),
        ("can0  351   [8]  remote request", "remote frame"),
        ("00000351#00", "more than 11 bits"),
        ("800#00", "more than 11 bits"),
        ("18FF50E5#00", "more than 11 bits"),
    ],
)
def test_mistakes_are_told_apart(line: str, problem: str) -> None:
    """A line that is no classic frame with an 11-bit id is refused with the reason."""
    with pytest.raises(ValueError, match=problem):
        parse_line(line)


@given(st.text(max_size=80))
def test_any_text_is_a_frame_or_nothing_or_a_mistake(line: str) -> None:
    """No input whatsoever raises anything but ValueError, or gives an impossible frame."""
    try:
        recorded = parse_line(line)
    except ValueError:
        return
    if isinstance(recorded, Recorded):
        assert 0 <= recorded.frame.arbitration_id <= 0x7FF
        assert len(recorded.frame.data) <= 8


@given(st.integers(0, 0x7FF), st.binary(max_size=8))
def test_frames_in_logs_can_be_pasted_back(identifier: int, data: bytes) -> None:
    """What this program prints for a frame, it reads."""
    frame = CanFrame(identifier, data)
    assert parse_line(str(frame)) == Recorded(frame)


def line_of(identifier: int, data: str, time_s: float | None = None) -> str:
    """Return the printed line of a frame."""
    frame = CanFrame(identifier, bytes.fromhex(data))
    return as_text(Recorded(frame, time_s), decode_frame(frame))


def test_numbers_have_their_decimals_and_units() -> None:
    """A value shows the resolution of its field."""
    assert line_of(0x355, "3C00640084170000") == (
        "0x355  state_of_charge       soc 60 %  soh 100 %  soc_high_resolution 60.20 %"
    )


def test_lines_are_aligned_with_and_without_a_time() -> None:
    """Names begin in one column; the time stands before them."""
    assert line_of(0x379, "1801") == "0x379  installed_capacity    capacity 280 Ah"
    assert line_of(0x379, "1801000000000000") == line_of(0x379, "1801")
    assert line_of(0x379, "1801", 1.5) == "         1.500000  0x379  installed_capacity    capacity 280 Ah"


def test_texts_are_quoted_and_harmless() -> None:
    """A text from the bus cannot send commands to the terminal."""
    assert line_of(0x35E, "1B5B324A00000000") == "0x35E  manufacturer_name     text '\\\\x1b[2J'"


def test_frame_without_fields_is_its_name() -> None:
    """The keep-alive says nothing but that it came."""
    assert line_of(0x305, "0000000000000000") == "0x305  gx_keep_alive"


@pytest.mark.parametrize(
    ("data", "summary"),
    [
        ("AAAAAA02AAAAAA02", "active: none  ok 26  not supported 0  system_status 0"),
        ("0000000000000000", "active: none  ok 0  not supported 26  system_status 0"),
        (
            "A6AAAA02A6AAAA0A",
            "active: alarm_high_voltage, warning_high_voltage  ok 24  not supported 0  system_status 2",
        ),
    ],
)
def test_alarms_are_summed_up(data: str, summary: str) -> None:
    """Of 26 alarm fields, a line names those that are active."""
    assert line_of(0x35A, data) == f"0x35A  alarms                {summary}"


def test_record_has_everything() -> None:
    """Programs get values, units, bytes and time, in JSON as it is."""
    record = as_record(Recorded(LIMITS, 12.5), decode_frame(LIMITS))
    assert json.loads(json.dumps(record)) == {
        "time": 12.5,
        "id": "0x351",
        "name": "limits",
        "values": {
            "charge_voltage_limit": 57.9,
            "charge_current_limit": 100.0,
            "discharge_current_limit": 195.0,
            "discharge_voltage": 46.4,
        },
        "units": {
            "charge_voltage_limit": "V",
            "charge_current_limit": "A",
            "discharge_current_limit": "A",
            "discharge_voltage": "V",
        },
        "data": "4302e8039e07d001",
    }


def test_record_without_a_time_has_none() -> None:
    """A missing time is not a 0."""
    assert "time" not in as_record(Recorded(LIMITS), decode_frame(LIMITS))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("351##04302E8039E07D001", "a CAN FD frame"),
        ("351#R", "a remote frame"),
        ("12345678#00", "more than 11 bits"),
        ("800#00", "more than 11 bits"),
        ("351#430", "half a byte"),
        ("can0 351 [2] 43", "announces 2 bytes and shows 1"),
        ("351#000102030405060708", "9 bytes, 8 are allowed"),
    ],
)
def test_what_no_frame_of_the_protocol_is(line: str, words: str) -> None:
    """Each is refused with its reason."""
    with pytest.raises(ValueError, match=words):
        parse_line(line)


def test_what_a_recording_says_beside_its_frames() -> None:
    """Errors of the bus and frames that were lost are remarks, not mistakes."""
    error = parse_line("(1.5) can0 20000004#0004000000000000")
    lost = parse_line("DROPCOUNT: dropped 3 CAN frames on 'can0' socket (total drops 7)")

    assert isinstance(error, CaptureRemark)
    assert error.text.startswith("bus error: controller")
    assert isinstance(lost, CaptureRemark)
    assert lost.text == "candump lost 3 frames of can0, 7 in all"


def test_a_date_is_local_time_and_a_swapped_line_is_turned_round() -> None:
    """``-t A`` and ``-S``; and a frame goes back into a line that says the same."""
    dated = parse_line("(2026-01-02 03:04:05.250000) can0 351 [8] 43 02 E8 03 9E 07 D0 01")
    turned = parse_line("can0 351 [8] 01`D0`07`9E`03`E8`02`43")

    assert isinstance(dated, Recorded)
    assert dated.time_s == datetime(2026, 1, 2, 3, 4, 5, 250_000).astimezone().timestamp()
    assert turned == Recorded(LIMITS)
    assert parse_line(log_line(LIMITS, 12.5)) == Recorded(LIMITS, 12.5)


@pytest.mark.parametrize(("data", "words"), [("43", "has 1 byte, expected 6"), ("4302", "has 2 bytes, expected 6")])
def test_a_frame_that_is_too_short_for_its_name(data: str, words: str) -> None:
    """Said with what is expected."""
    with pytest.raises(ValueError, match=words):
        expect_whole(CanFrame(0x351, bytes.fromhex(data)))
    expect_whole(LIMITS)
