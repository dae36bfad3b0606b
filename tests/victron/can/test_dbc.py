"""The table that the program reads is the DBC, and the DBC is one that any tool reads."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cantools.database.can import Database

from tinybms_bridge.victron.can import dbc
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS


def test_table_is_up_to_date() -> None:
    """frame_table.py is made from victron_bms.dbc as it is; else: python -m tinybms_bridge.victron.can.dbc."""
    assert dbc.table_source(dbc.read_dbc(dbc.DBC.read_text("utf-8"))) == dbc.TABLE.read_text("utf-8")


def test_frames_survive_their_way_through_the_source() -> None:
    """What the program reads equals what was read from the DBC, order included."""
    assert list(FRAME_FORMATS.values()) == list(dbc.read_dbc(dbc.DBC.read_text("utf-8")))
    assert [frame.arbitration_id for frame in FRAME_FORMATS.values()] == list(FRAME_FORMATS)


def test_texts_with_quotes_and_other_letters_survive() -> None:
    """A comment may hold what would end a Python text."""
    frame = replace(FRAME_FORMATS[0x355], comment='"°" and \\ (section 2)')
    assert 'comment="\\"°\\" and \\\\ (section 2)",' in dbc.table_source((frame,))


def test_field_that_our_format_cannot_tell_is_refused() -> None:
    """A big-endian field of odd bits would be packed wrongly; it stops the generator instead."""
    text = dbc.DBC.read_text("utf-8").replace("firmware_version : 23|16@0+", "firmware_version : 23|12@0+")
    with pytest.raises(ValueError, match="firmware_version is big-endian and not of whole bytes"):
        dbc.read_dbc(text)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("identifier", [each for each, frame in FRAME_FORMATS.items() if frame.fields])
def test_bits_lie_where_cantools_has_them(identifier: int, seed: int) -> None:
    """Packing and unpacking agree with an independent implementation, for any bytes."""
    database = Database()
    database.add_dbc_string(dbc.DBC.read_text("utf-8"))
    message, frame = database.get_message_by_frame_id(identifier), FRAME_FORMATS[identifier]
    data = bytes((37 * seed + 101 * byte * (seed + 1)) % 256 for byte in range(frame.length))
    raw = message.decode_simple(data, decode_choices=False, scaling=False)
    fields = frame.fields
    assert {name: field.from_bits(int.from_bytes(data, "little")) for name, field in fields.items()} == raw
    packed = sum(field.to_bits(field.from_bits(int.from_bytes(data, "little"))) for field in fields.values())
    assert packed.to_bytes(frame.length, "little") == message.encode(raw, scaling=False, strict=False)


def test_table_is_renewed_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a module it writes the table beside the DBC."""
    monkeypatch.setattr(dbc, "TABLE", tmp_path / "frame_table.py")
    dbc.main()
    assert dbc.TABLE.read_text("utf-8").startswith('"""Every frame with its fields; made from victron_bms.dbc by: ')


def test_table_can_be_used_by_any_tool_that_reads_dbc() -> None:
    """The file is a valid database by the strict rules of cantools, written out and read in again as well."""
    text = dbc.DBC.read_text("utf-8")
    strict, again = Database(strict=True), Database(strict=True)
    strict.add_dbc_string(text)
    again.add_dbc_string(strict.as_dbc_string())
    data = bytes.fromhex("4302E8039E07D001")
    assert again.decode_message(0x351, data) == strict.decode_message(0x351, data)


def test_program_needs_no_parser() -> None:
    """Encoder and decoder cost neither the parser of DBC files nor python-can, nor their memory."""
    code = "import sys, tinybms_bridge.victron.can.codec; sys.exit('cantools' in sys.modules or 'can' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
