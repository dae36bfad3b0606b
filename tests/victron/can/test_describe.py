"""The generated documentation of the frames."""

from pathlib import Path

import pytest

from tinybms_bridge.victron.can import describe
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

DOCUMENT = Path(__file__).parents[3] / "docs" / "victron-frames.md"


def test_document_is_up_to_date() -> None:
    """docs/victron-frames.md shows the table as it is; else: python -m tinybms_bridge.victron.can.describe docs/..."""
    text = DOCUMENT.read_text("utf-8")
    assert describe.renewed(text) == text


def test_every_frame_and_field_is_in_the_tables() -> None:
    """No field of the frame table is left out."""
    tables = describe.frame_table() + describe.alarm_table()
    for frame in FRAME_FORMATS.values():
        assert f"| 0x{frame.arbitration_id:03X} | **{frame.name}**" in tables
        assert all(f"| {name} |" in tables for name in frame.fields)


def test_rows_have_the_columns_of_their_header() -> None:
    """The Markdown is well formed: every row has as many cells as the header."""
    for table in (describe.frame_table(), describe.alarm_table()):
        assert len({line.count("|") for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    "row",
    [
        "| | | 0 | charge_voltage_limit | un16 | 0.1 V | 0.1 to 6553.4 |",
        "| | | 2 | firmware_version | un16 big-endian | 1 | 0 to 65535 |",
        "| | | 4 | lowest_cell_temperature | un16 | 1 K | 0 to 65534; 65535 = no sensor |",
        "| 7 | warning_cell_imbalance | system_status | reserved | reserved |",
    ],
)
def test_rows_say_what_the_reference_says(row: str) -> None:
    """Byte, type, step and range of a field are those of the protocol."""
    assert row in describe.frame_table() + describe.alarm_table()


def test_tables_are_replaced_between_their_marks() -> None:
    """Old tables go, the text around them stays, and doing it twice changes nothing."""
    document = f"before\n{describe.BEGIN}\nOBSOLETE\n{describe.END}\nafter\n"
    renewed = describe.renewed(document)
    assert renewed.startswith("before\n")
    assert renewed.endswith("\nafter\n")
    assert "OBSOLETE" not in renewed
    assert describe.renewed(renewed) == renewed


@pytest.mark.parametrize("document", ["", describe.BEGIN, describe.END, f"{describe.END}{describe.BEGIN}"])
def test_document_without_marks_is_refused(document: str) -> None:
    """Nothing is written into a document that does not ask for it."""
    with pytest.raises(ValueError, match="lacks the marks"):
        describe.renewed(document)


def test_document_is_renewed_in_place(tmp_path: Path) -> None:
    """The module writes the tables into the named file."""
    path = tmp_path / "frames.md"
    path.write_text(f"# Frames\n{describe.BEGIN}{describe.END}\n", "utf-8")
    describe.main(path)
    assert describe.frame_table() in path.read_text("utf-8")
