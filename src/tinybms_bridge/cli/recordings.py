"""Recordings of a CAN bus, as people have them, to frames: files of other tools, logs of programs, text of a web page.

What python-can reads, it reads (Vector ASC, PEAK TRC, BLF, its own CSV). SavvyCAN's CSV is told by its header. Anything
else is taken line by line: first as a line of candump, then as any line that holds an id of the protocol and bytes.
Text may be UTF-8 or UTF-16, with or without a byte order mark, and packed with gzip.
"""

import csv
import gzip
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.can_errors import describe_error, is_error_id
from tinybms_bridge.victron.can.candump import LARGEST_ID, CaptureRemark, NotCandumpError, Recorded, parse_line
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

__all__ = ["RecordedFrame", "read_recording"]

_GZIP, _BLF = b"\x1f\x8b", b"LOGG"
_SNIFFED_BYTES = 4096
_BUSMASTER_HEAD = "***"
_SAVVYCAN = "Time Stamp,ID,Extended"
_PYTHON_CAN_CSV = "timestamp,arbitration_id,extended"

_IDENTIFIER = re.compile(r"(?<![0-9A-Za-z.:])(?:0[xX]0{0,5})?([0-7][0-9A-Fa-f]{2})(?![0-9A-Za-z])")
_BYTE = r"(?:0[xX])?[0-9A-Fa-f]{2}"
_BYTES = re.compile(rf"(?<![0-9A-Za-z])(?:{_BYTE}(?:[\s,;:.|-]+{_BYTE})*|(?:[0-9A-Fa-f]{{2}}){{2,8}})(?![0-9A-Za-z])")
_UNIX_TIME = re.compile(r"(?<![\d.])(\d{9,10}\.\d+)(?![\d.])")


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """What one place of a recording says."""

    line: int | None
    """Number of the line, from 1; None in a file without lines."""
    found: Recorded | CaptureRemark | ValueError
    """A frame; something that is no frame but worth telling; or why the line cannot be read."""


def read_recording(stream: IO[bytes]) -> Iterator[RecordedFrame]:
    """Yield what a recording holds, as it comes; lines that say nothing are passed over.

    Raises OSError, EOFError or zlib.error for a packed file that is damaged or ends too soon, ValueError for a binary
    file that is damaged.
    """
    buffered = _buffered(stream)
    head = buffered.peek(_SNIFFED_BYTES)
    if head.startswith(_GZIP):
        buffered = _buffered(cast("IO[bytes]", gzip.GzipFile(fileobj=buffered)))
        head = buffered.peek(_SNIFFED_BYTES)
    if head.startswith(_BLF):
        yield from _binary(buffered)
        return
    text = io.TextIOWrapper(buffered, encoding=_encoding(head), errors="replace")
    try:
        yield from _text(text)
    finally:
        text.detach()


def _buffered(stream: IO[bytes]) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))


def _encoding(head: bytes) -> str:
    """Return the encoding of a text; UTF-16 shows by its zero bytes, since a mark alone may be noise."""
    for order, zeros in (("le", head[1::2]), ("be", head[0::2])):
        if zeros and zeros.count(0) > 0.4 * len(zeros):
            return "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else f"utf-16-{order}"
    return "utf-8-sig"


def _text(text: IO[str]) -> Iterator[RecordedFrame]:
    first = next(iter(text), "")
    lines = _Lines(first, text)
    if first.startswith(_SAVVYCAN):
        return _savvycan(lines)
    reader = _reader_for(first)
    return _by_line(lines) if reader is None else _by_python_can(lines, reader)


def _reader_for(first: str) -> Callable[[Any], Iterable[Any]] | None:
    """Return the reader of python-can for a text that begins with this line."""
    from can.io import ASCReader, CSVReader, TRCReader

    if first.startswith(_PYTHON_CAN_CSV):
        return CSVReader
    if first.startswith(";$FILEVERSION"):
        return TRCReader
    if re.match(r"date\s+\w{3}\s", first, re.IGNORECASE):
        return ASCReader
    return None


class _Lines(io.TextIOBase):
    """The lines of a text, the first of which was read already; counts them, and can begin anew with its head."""

    def __init__(self, first: str, rest: IO[str]) -> None:
        self.number = 0
        """Number of the line that was read last."""
        self.latest = ""
        self.mode = "r"
        self._waiting = [first] if first else []
        self._rest = rest
        self._head: list[str] | None = []

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # noqa: ARG002 -- whole lines only
        """Return the next line."""
        line = self._waiting.pop(0) if self._waiting else self._rest.readline()
        self.latest = line
        self.number += bool(line)
        if self._head is not None and line:
            self._head.append(line)
        return line

    def __next__(self) -> str:  # type: ignore[override]  # typeshed has bytes here
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def close(self) -> None:
        """Stay open: a reader of python-can closes what it was given when it ends."""

    def end_head(self) -> None:
        """Take what was read before the latest line as the head."""
        if self._head is not None:
            self._kept, self._head = self._head[:-1], None

    def begin_anew(self) -> None:
        """Give the lines of the head once more, without counting them, then those that have not been read yet."""
        self.end_head()
        self._waiting = list(self._kept)
        self.number -= len(self._kept)


def _by_python_can(lines: _Lines, reader: Callable[[Any], Iterable[Any]]) -> Iterator[RecordedFrame]:
    """Read with python-can; a line that its reader stumbles over is told, and the rest is read."""
    reached = 0
    while reached < lines.number or not reached:
        reached = lines.number
        try:
            for message in reader(lines):
                lines.end_head()
                yield RecordedFrame(lines.number, _message(message))
        except (ValueError, LookupError, TypeError, NotImplementedError) as error:
            yield RecordedFrame(lines.number, ValueError(f"{lines.latest.strip()[:60]!r}: {error}"))
            lines.begin_anew()
        else:
            return


def _binary(stream: IO[bytes]) -> Iterator[RecordedFrame]:
    from can.io import BLFReader
    from can.io.blf import BLFParseError

    try:
        for message in BLFReader(cast("BinaryIO", stream)):
            yield RecordedFrame(None, _message(message))
    except (BLFParseError, struct.error, zlib.error, LookupError, OverflowError) as error:
        raise ValueError(f"the file is damaged: {error}") from error


def _message(message: Any) -> Recorded | CaptureRemark | ValueError:  # noqa: ANN401 -- python-can's Message
    """Return what a message of python-can says."""
    if message.is_error_frame:
        return CaptureRemark(
            f"bus error: {describe_error(message.arbitration_id, bytes(message.data))}", message.timestamp
        )
    kinds = (
        (message.is_fd, "a CAN FD frame; the protocol has classic ones only"),
        (message.is_remote_frame, "a remote frame; it carries no data"),
        (message.is_extended_id, f"id {message.arbitration_id:08X} has more than 11 bits; the protocol has none"),
    )
    wrong = next((text for is_so, text in kinds if is_so), None)
    if wrong is not None:
        return ValueError(wrong)
    return Recorded(CanFrame(message.arbitration_id, bytes(message.data)), message.timestamp)


def _savvycan(lines: _Lines) -> Iterator[RecordedFrame]:
    """Yield the rows of SavvyCAN's CSV: time in microseconds, id and bytes in hex."""
    rows = csv.reader(lines)
    names = [name.strip() for name in next(rows)]
    for row in rows:
        if not any(row):
            continue
        try:
            yield RecordedFrame(lines.number, _savvycan_row(dict(zip(names, row, strict=False))))
        except (KeyError, ValueError) as error:
            yield RecordedFrame(
                lines.number, ValueError(f"not a row of SavvyCAN: {lines.latest.strip()[:60]!r} ({error})")
            )


def _savvycan_row(row: dict[str, str]) -> Recorded | CaptureRemark:
    identifier, length = int(row["ID"], 16), int(row["LEN"])
    data = bytes(int(row[f"D{number}"], 16) for number in range(1, length + 1))
    time_s = int(row["Time Stamp"]) / 1e6
    if is_error_id(identifier):
        return CaptureRemark(f"bus error: {describe_error(identifier, data)}", time_s)
    if identifier > LARGEST_ID or row["Extended"].strip().lower() == "true":
        raise ValueError(f"id {identifier:X} has more than 11 bits; the protocol has none")
    return Recorded(CanFrame(identifier, data), time_s)


def _by_line(lines: _Lines) -> Iterator[RecordedFrame]:
    for line in lines:
        if line.startswith(_BUSMASTER_HEAD):
            continue
        found: Recorded | CaptureRemark | ValueError | None
        try:
            found = parse_line(line)
        except NotCandumpError as error:
            found = _anywhere(line) or error
        except ValueError as error:
            found = error
        if found is not None:
            yield RecordedFrame(lines.number, found)


def _anywhere(line: str) -> Recorded | None:
    """Return the frame of a line of any program that names an id (of the protocol, or with 0x) and, behind it, bytes.

    The longest run of bytes counts, since dates and lengths look like one byte or two.
    """
    for identifier in _IDENTIFIER.finditer(line):
        number = int(identifier[1], 16)
        if number not in FRAME_FORMATS and not identifier[0].lower().startswith("0x"):
            continue
        runs = [
            re.findall(r"[0-9A-Fa-f]{2}", re.sub(r"0[xX]", " ", run[0]))
            for run in _BYTES.finditer(line, identifier.end())
        ]
        longest = max((run for run in runs if len(run) <= 8), key=len, default=[])
        if longest:
            moment = _UNIX_TIME.search(line, 0, identifier.start())
            data = bytes.fromhex("".join(longest))
            return Recorded(CanFrame(number, data), float(moment[1]) if moment else None)
    return None
