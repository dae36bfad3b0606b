"""The frame table itself: what it must contain, and what it must not."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import resources

import pytest
from cantools.database.can import Database

from tinybms_bridge.battery.alarms import AlarmName
from tinybms_bridge.victron.can.dbc import FrameFormat, Need, frame_format, frame_formats
from tinybms_bridge.victron.can.field import Encoding
from tinybms_bridge.victron.can.outgoing import OPTIONAL_FRAMES

SENT = (0x351, 0x355, 0x356, 0x35A, *OPTIONAL_FRAMES)
LENGTHS = {0x355: 6, 0x356: 6, 0x35F: 6, 0x379: 2}


def bits(frame: FrameFormat) -> Iterator[int]:
    """Yield every bit that a field of the frame uses."""
    for field in frame.fields.values():
        yield from range(field.first_bit, field.first_bit + field.length_bits)


def test_table_has_the_frames_of_the_reference_and_no_others() -> None:
    """Frames of other makers' protocols, 0x359, 0x35C and 0x360, are not in the table and so can never be sent."""
    assert set(frame_formats()) == {*SENT, 0x305, 0x307}


def test_frames_of_the_gx_are_marked_as_received() -> None:
    """0x305 and 0x307 are the GX's own; nothing else is."""
    received = {identifier for identifier, frame in frame_formats().items() if frame.need is Need.RECEIVED}
    assert received == {0x305, 0x307}


def test_minimum_set_is_marked() -> None:
    """The four frames without which a GX has no battery are known as such."""
    minimum = [identifier for identifier, frame in frame_formats().items() if frame.need is Need.MINIMUM]
    assert minimum == [0x351, 0x355, 0x356, 0x35A]


@pytest.mark.parametrize("identifier", SENT)
def test_lengths_are_those_of_the_reference(identifier: int) -> None:
    """Each frame has the DLC of section 2."""
    assert frame_format(identifier).length == LENGTHS.get(identifier, 8)


@pytest.mark.parametrize("identifier", SENT)
def test_frames_go_out_each_second(identifier: int) -> None:
    """The cycle time of the table is that of the protocol."""
    assert frame_format(identifier).period_s == 1.0


@pytest.mark.parametrize("identifier", [*SENT, 0x307])
def test_fields_do_not_overlap_and_fit(identifier: int) -> None:
    """No bit belongs to two fields, and none lies outside of its frame."""
    used = list(bits(frame_format(identifier)))
    assert len(used) == len(set(used))
    assert max(used) < 8 * frame_format(identifier).length


@pytest.mark.parametrize("identifier", [*SENT, 0x305, 0x307])
def test_every_frame_names_its_source(identifier: int) -> None:
    """The comment of a frame says which section of the reference it comes from."""
    assert "(section " in frame_format(identifier).comment


@pytest.mark.parametrize("identifier", SENT)
def test_bounds_of_numbers_fit_their_bits(identifier: int) -> None:
    """No bound of the table is beyond what the bits can hold."""
    for field in frame_format(identifier).fields.values():
        if field.encoding is Encoding.NUMBER:
            low = -(1 << field.length_bits - 1) if field.signed else 0
            high = (1 << field.length_bits - int(field.signed)) - 1
            assert low <= field.min_raw < field.max_raw <= high


def test_limits_cannot_carry_the_dangerous_values() -> None:
    """By its table alone, CVL is never 0 or 65535 and no current limit is negative."""
    limits = frame_format(0x351).fields
    assert (limits["charge_voltage_limit"].min_raw, limits["charge_voltage_limit"].max_raw) == (1, 65534)
    assert limits["charge_current_limit"].min_raw == 0
    assert limits["discharge_current_limit"].min_raw == 0


@pytest.mark.parametrize("name", list(AlarmName))
def test_each_alarm_has_its_pair_and_its_warning(name: AlarmName) -> None:
    """Every alarm of the domain has a place in bytes 0-3 and the same place in bytes 4-7."""
    fields = frame_format(0x35A).fields
    assert fields[f"warning_{name.value}"].first_bit == fields[f"alarm_{name.value}"].first_bit + 32


@pytest.mark.parametrize(
    ("name", "byte", "bit"),
    [
        (AlarmName.HIGH_VOLTAGE, 0, 2),
        (AlarmName.LOW_VOLTAGE, 0, 4),
        (AlarmName.HIGH_TEMPERATURE, 0, 6),
        (AlarmName.LOW_TEMPERATURE, 1, 0),
        (AlarmName.HIGH_TEMPERATURE_CHARGE, 1, 2),
        (AlarmName.LOW_TEMPERATURE_CHARGE, 1, 4),
        (AlarmName.HIGH_DISCHARGE_CURRENT, 1, 6),
        (AlarmName.HIGH_CHARGE_CURRENT, 2, 0),
        (AlarmName.BMS_INTERNAL, 2, 6),
        (AlarmName.CELL_IMBALANCE, 3, 0),
    ],
)
def test_alarms_lie_where_section_3_says(name: AlarmName, byte: int, bit: int) -> None:
    """The old firmware had a layout of its own, and so a GX showed wrong names."""
    assert frame_format(0x35A).fields[f"alarm_{name.value}"].first_bit == 8 * byte + bit


def test_only_the_firmware_version_is_big_endian() -> None:
    """Everything else that a battery sends is little-endian."""
    big = [
        (identifier, name) for identifier in SENT for name, f in frame_format(identifier).fields.items() if f.big_endian
    ]
    assert big == [(0x35F, "firmware_version")]


def test_field_that_is_not_in_the_frame_is_refused() -> None:
    """A misspelt field raises instead of being left out."""
    with pytest.raises(ValueError, match="frame 0x355 has no field state"):
        frame_format(0x355).encode({"soc": 1, "state": 2})


def test_fields_left_out_are_zero() -> None:
    """Only the given fields are set."""
    assert frame_format(0x355).encode({"soh": 100}).data == bytes.fromhex("000064000000")


def test_shorter_frame_ends_before_its_last_fields() -> None:
    """A length cuts whole fields off and leaves the others as they are."""
    values = {"voltage": 52.17, "current": -30.1, "temperature": 23.5}
    assert frame_format(0x356).encode(values, 4).data == bytes.fromhex("6114D3FE")


@pytest.mark.parametrize("length", range(9))
def test_frame_of_any_length_decodes_to_the_fields_it_holds(length: int) -> None:
    """A frame cut short on its way gives fewer fields, never wrong ones, and never an exception."""
    data = bytes.fromhex("4302E8039E07D001")[:length]
    names = ["charge_voltage_limit", "charge_current_limit", "discharge_current_limit", "discharge_voltage"]
    assert list(frame_format(0x351).decode(data)) == names[: length // 2]


def test_text_shorter_than_its_frame_is_read() -> None:
    """Some batteries send a name in fewer than 8 bytes."""
    assert frame_format(0x35E).decode(b"PACK") == {"text": "PACK"}


def test_shortest_whole_frame_of_each_id() -> None:
    """Only what the documents let a sender leave out may be missing: the rest of a shorter frame was cut."""
    shorter = {i: f.shortest for i, f in frame_formats().items() if f.shortest != f.length}
    texts = {i for i, f in frame_formats().items() if list(f.fields) == ["text"]}
    assert {i: n for i, n in shorter.items() if i not in texts} == {0x305: 0, 0x351: 6, 0x355: 4, 0x35F: 4, 0x373: 4}
    assert {shorter[i] for i in texts} == {0, 1}


def test_unknown_id_has_no_format() -> None:
    """An id that is not in the table raises KeyError."""
    with pytest.raises(KeyError):
        frame_format(0x35C)


def test_table_can_be_used_by_any_tool_that_reads_dbc() -> None:
    """The file is a valid database by the strict rules of cantools, written out and read in again as well."""
    text = resources.files("tinybms_bridge.victron.can").joinpath("victron_bms.dbc").read_text("utf-8")
    strict, again = Database(strict=True), Database(strict=True)
    strict.add_dbc_string(text)
    again.add_dbc_string(strict.as_dbc_string())
    data = bytes.fromhex("4302E8039E07D001")
    assert again.decode_message(0x351, data) == strict.decode_message(0x351, data)


def test_table_is_loaded_at_the_first_use_only() -> None:
    """Importing the codec costs neither the parser nor its memory."""
    code = "import sys, tinybms_bridge.victron.can.codec; sys.exit('cantools' in sys.modules or 'can' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
