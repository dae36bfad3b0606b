"""Recordings of other tools and texts of any kind become frames; what cannot be read is told with its line."""

import bz2
import gzip
import io
import zlib
from pathlib import Path

import can
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.cli.decode import decode_command
from tinybms_bridge.cli.recordings import RecordedFrame, read_recording
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.candump import CaptureRemark, Recorded

LIMITS = CanFrame(0x351, bytes.fromhex("2802E8035E01C201"))
CHARGE = CanFrame(0x355, bytes.fromhex("4B0064004C1D"))
HEX = "28 02 E8 03 5E 01 C2 01"


def entries(text: str | bytes) -> list[RecordedFrame]:
    """Return what a recording holds."""
    return list(read_recording(io.BytesIO(text.encode() if isinstance(text, str) else text)))


def frames(text: str | bytes) -> list[CanFrame]:
    """Return its frames."""
    return [entry.found.frame for entry in entries(text) if isinstance(entry.found, Recorded)]


@pytest.mark.parametrize(
    "line",
    [
        f" (2025-07-04 06:05:04.250000)  can0  351   [8]  {HEX}",
        f" (000.250000)  can0  351   [8]  {HEX}",
        "  can0  351   [8]  01`C2`01`5E`03`E8`02`28",
        "  can0  351   [8]  00101000 00000010 11101000 00000011 01011110 00000001 11000010 00000001",
        "  can0  351   [8]  00000001`11000010`00000001`01011110`00000011`11101000`00000010`00101000",
        f"  can0  RX - -  351   [8]  {HEX}",
        f"  can0  TX - -  351   [8]  {HEX}   '(.....^.'",
        "(1751609104.250000) can0 351#2802E8035E01C201 T",
    ],
)
def test_every_form_of_candump(line: str) -> None:
    """Times, dates, swapped and binary bytes, extra columns: what candump prints is read."""
    assert frames(line) == [LIMITS]


def test_dates_are_local_time() -> None:
    """A recording with dates keeps the distances of its frames."""
    lines = " (2025-07-04 06:05:04.250000)  can0  305   [0]\n (2025-07-04 06:05:05.500000)  can0  305   [0]\n"
    first, second = (entry.found for entry in entries(lines))
    assert isinstance(first, Recorded)
    assert isinstance(second, Recorded)
    assert first.time_s is not None
    assert second.time_s == pytest.approx(first.time_s + 1.25)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("can0  20000004   [8]  00 08 00 00 00 00 00 00   ERRORFRAME", "controller (transmit errors at the warning"),
        ("(1.5) can0 20000040#0000000000000000", "bus error: bus off: the controller has given up"),
        ("(1.5) can0 20000008#0000040000000000", "bus error: protocol (bit stuffing)"),
        ("(1.5) can0 20000200#0000000000000C60", "bus error: error counters (transmit 12, receive 96)"),
        ("(1.5) can0 20000220#0000000000008000", "nobody acknowledged a frame"),
        ("(1.5) can0 20001000#0000000000000000", "bus error: of unknown class 0x1000"),
        ("DROPCOUNT: dropped 7 CAN frames on 'can0' socket (total drops 9)", "candump lost 7 frames of can0, 9 in all"),
    ],
)
def test_errors_of_the_bus_are_named(line: str, text: str) -> None:
    """An error frame and a loss of candump are told in words; neither is a frame or a mistake."""
    (entry,) = entries(line)
    assert isinstance(entry.found, CaptureRemark)
    assert text in entry.found.text


def test_details_below_an_error_frame_are_no_mistake() -> None:
    """What candump -e adds on a line of its own was told with the frame."""
    text = "can0  20000004   [8]  00 04 00 00 00 00 00 00   ERRORFRAME\n\tcontroller-problem{rx-error-warning}\n305#\n"
    assert [type(entry.found) for entry in entries(text)] == [CaptureRemark, Recorded]


ASC = """\
date Fri Jul 4 06:05:04.250 am 2025
base hex  timestamps absolute
no internal events logged
Begin Triggerblock Fri Jul 4 06:05:04.250 am 2025
   0.000000 Start of measurement
   0.250000 1  351             Rx   d 8 28 02 E8 03 5E 01 C2 01
   0.300000 1  351             Rx   d 8 28 02 XX
   0.350000 1  355             Rx   d 6 4B 00 64 00 4C 1D
End TriggerBlock
"""

TRC = """\
;$FILEVERSION=1.1
;$STARTTIME=45842.25352
;
     1)       250.0  Rx         0351  8  28 02 E8 03 5E 01 C2 01
     2)       quark  Rx         0351  8  28 02
     3)       350.0  Rx         0355  6  4B 00 64 00 4C 1D
"""

SAVVYCAN = """\
Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8
250000,00000351,false,Rx,0,8,28,02,E8,03,5E,01,C2,01,
300000,00000351,false,Rx,0,8,28,zz,E8,03,5E,01,C2,01,
350000,00000355,false,Rx,0,6,4B,00,64,00,4C,1D,
"""


@pytest.mark.parametrize(("text", "bad_line"), [(ASC, 7), (TRC, 5), (SAVVYCAN, 3)])
def test_recordings_of_other_tools_are_read_past_a_bad_line(text: str, bad_line: int) -> None:
    """The line that cannot be read is told, the frames before and behind it are decoded."""
    found = entries(text)
    assert [entry.found.frame for entry in found if isinstance(entry.found, Recorded)] == [LIMITS, CHARGE]
    assert [entry.line for entry in found if isinstance(entry.found, ValueError)] == [bad_line]


def test_busmaster() -> None:
    """Its head is no mistake, its lines are frames."""
    text = f"***BUSMASTER Ver 3.2.2***\n***HEX***\n06:05:04:2500 Rx 1 0x351 s 8 {HEX} \n***[STOP LOGGING SESSION]***\n"
    assert [entry.found for entry in entries(text)] == [Recorded(LIMITS)]


@pytest.mark.parametrize("suffix", [".asc", ".blf", ".csv", ".trc", ".log", ".log.gz"])
def test_what_python_can_writes_is_read(tmp_path: Path, suffix: str) -> None:
    """Recordings by python-can's own tools, packed or not."""
    path = tmp_path / f"recording{suffix}"
    with can.Logger(path) as logger:
        for frame in (LIMITS, CHARGE):
            logger(
                can.Message(
                    timestamp=1751609104.25, arbitration_id=frame.arbitration_id, data=frame.data, is_extended_id=False
                )
            )
    assert frames(path.read_bytes()) == [LIMITS, CHARGE]


@pytest.mark.parametrize(
    "line",
    [
        f"0x351 – {HEX} – charge voltage and currents",
        f"06:05:04.250 [CAN] TX id=0x351 dlc=8 data={HEX}",
        "2025-07-04T06:05:04Z DEBUG can: sent 0x00000351 [28 02 e8 03 5e 01 c2 01]",
        "<tr><td>351</td><td>28,02,E8,03,5E,01,C2,01</td></tr>",
        "Message(id: 351, bytes: 0x28 0x02 0xE8 0x03 0x5E 0x01 0xC2 0x01)",
        "got 351: 2802E8035E01C201 (limits)",
    ],
)
def test_lines_of_programs_and_pages(line: str) -> None:
    """A line that holds an id and its bytes is enough."""
    assert frames(line) == [LIMITS]


@pytest.mark.parametrize(
    "line", ["on 03.51.2025 it was 351", "call 10351 for 28 02", "the battery has 355 Ah", "12:30:22.351 28 02"]
)
def test_numbers_in_prose_are_no_frames(line: str) -> None:
    """A number that happens to be an id makes no frame without bytes, nor as a part of another number."""
    assert frames(line) == []
    assert isinstance(entries(line)[0].found, ValueError)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_of_editors(encoding: str, end: str) -> None:
    """Byte order marks, UTF-16 and line ends of Windows change nothing."""
    text = end.join(["(1.25) can0 351#2802E8035E01C201", "(1.35) can0 355#4B0064004C1D", ""])
    assert frames(text.encode(encoding)) == [LIMITS, CHARGE]


def test_a_packed_recording_that_ends_too_soon_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """What could be unpacked is shown, and the end is told."""
    lines = "".join(f"({number}.0) can0 351#{number:04X}E8035E01C201\n" for number in range(5000))
    path = tmp_path / "cut.log.gz"
    path.write_bytes(gzip.compress(lines.encode())[:-20000])
    result = CliRunner().invoke(decode_command, [str(path)])
    assert result.exit_code == 0
    assert "0x351" in result.stdout
    assert f"{path}: Compressed file ended" in result.stderr


def test_a_damaged_binary_recording_is_told(tmp_path: Path) -> None:
    """No traceback for a BLF that is none."""
    path = tmp_path / "broken.blf"
    path.write_bytes(b"LOGG" + bytes(200))
    result = CliRunner().invoke(decode_command, [str(path)])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: not a single frame could be decoded"
    assert not isinstance(result.exception, ValueError)


def test_remarks_in_json() -> None:
    """Programs that read the output see errors of the bus as objects of their own."""
    result = CliRunner().invoke(decode_command, ["--json"], input="(1.5) can0 20000040#0000000000000000\n305#\n")
    assert result.stdout.splitlines()[0] == '{"time":1.5,"remark":"bus error: bus off: the controller has given up"}'


@given(
    st.one_of(
        st.binary(max_size=300), st.binary(max_size=300).map(gzip.compress), st.binary(max_size=99).map(bz2.compress)
    )
)
def test_any_bytes_are_read_without_a_traceback(data: bytes) -> None:
    """Whatever a file holds, it gives frames, remarks or mistakes, or one clear error."""
    try:
        found = entries(data)
    except (OSError, EOFError, ValueError, zlib.error):
        return
    assert all(isinstance(entry.found, Recorded | CaptureRemark | ValueError) for entry in found)
