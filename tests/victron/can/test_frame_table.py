"""The frame table itself: what it must contain, and what it must not."""

from collections.abc import Iterator

import pytest

from tinybms_bridge.battery.alarms import AlarmName
from tinybms_bridge.victron.can.field import Encoding
from tinybms_bridge.victron.can.frame_format import FrameFormat, Need
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS
from tinybms_bridge.victron.can.outgoing import OPTIONAL_FRAMES

SENT = (0x351, 0x355, 0x356, 0x35A, *OPTIONAL_FRAMES)
LENGTHS = {0x355: 6, 0x356: 6, 0x35F: 6, 0x379: 2}


def bits(frame: FrameFormat) -> Iterator[int]:
    """Yield every bit that a field of the frame uses."""
    for field in frame.fields.values():
        yield from range(field.first_bit, field.first_bit + field.length_bits)


def test_table_has_the_frames_of_the_reference_and_no_others() -> None:
    """Frames of other makers' protocols, 0x359, 0x35C and 0x360, are not in the table and so can never be sent."""
    assert set(FRAME_FORMATS) == {*SENT, 0x305, 0x307}


def test_frames_of_the_gx_are_marked_as_received() -> None:
    """0x305 and 0x307 are the GX's own; nothing else is."""
    received = {identifier for identifier, frame in FRAME_FORMATS.items() if frame.need is Need.RECEIVED}
    assert received == {0x305, 0x307}


def test_minimum_set_is_marked() -> None:
    """The four frames without which a GX has no battery are known as such."""
    minimum = [identifier for identifier, frame in FRAME_FORMATS.items() if frame.need is Need.MINIMUM]
    assert minimum == [0x351, 0x355, 0x356, 0x35A]


@pytest.mark.parametrize("identifier", SENT)
def test_lengths_are_those_of_the_reference(identifier: int) -> None:
    """Each frame has the DLC of section 2."""
    assert FRAME_FORMATS[identifier].length == LENGTHS.get(identifier, 8)


@pytest.mark.parametrize("identifier", SENT)
def test_frames_go_out_each_second(identifier: int) -> None:
    """The cycle time of the table is that of the protocol."""
    assert FRAME_FORMATS[identifier].period_s == 1.0


@pytest.mark.parametrize("identifier", [*SENT, 0x307])
def test_fields_do_not_overlap_and_fit(identifier: int) -> None:
    """No bit belongs to two fields, and none lies outside of its frame."""
    used = list(bits(FRAME_FORMATS[identifier]))
    assert len(used) == len(set(used))
    assert max(used) < 8 * FRAME_FORMATS[identifier].length


@pytest.mark.parametrize("identifier", [*SENT, 0x305, 0x307])
def test_every_frame_names_its_source(identifier: int) -> None:
    """The comment of a frame says which section of the reference it comes from."""
    assert "(section " in FRAME_FORMATS[identifier].comment


@pytest.mark.parametrize("identifier", SENT)
def test_bounds_of_numbers_fit_their_bits(identifier: int) -> None:
    """No bound of the table is beyond what the bits can hold."""
    for field in FRAME_FORMATS[identifier].fields.values():
        if field.encoding is Encoding.NUMBER:
            low = -(1 << field.length_bits - 1) if field.signed else 0
            high = (1 << field.length_bits - int(field.signed)) - 1
            assert low <= field.min_raw < field.max_raw <= high


def test_limits_cannot_carry_the_dangerous_values() -> None:
    """By its table alone, CVL is never 0 or 65535 and no current limit is negative."""
    limits = FRAME_FORMATS[0x351].fields
    assert (limits["charge_voltage_limit"].min_raw, limits["charge_voltage_limit"].max_raw) == (1, 65534)
    assert limits["charge_current_limit"].min_raw == 0
    assert limits["discharge_current_limit"].min_raw == 0


@pytest.mark.parametrize("name", list(AlarmName))
def test_each_alarm_has_its_pair_and_its_warning(name: AlarmName) -> None:
    """Every alarm of the domain has a place in bytes 0-3 and the same place in bytes 4-7."""
    fields = FRAME_FORMATS[0x35A].fields
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
    assert FRAME_FORMATS[0x35A].fields[f"alarm_{name.value}"].first_bit == 8 * byte + bit


def test_only_the_firmware_version_is_big_endian() -> None:
    """Everything else that a battery sends is little-endian."""
    big = [
        (identifier, name)
        for identifier in SENT
        for name, f in FRAME_FORMATS[identifier].fields.items()
        if f.big_endian
    ]
    assert big == [(0x35F, "firmware_version")]


def test_shortest_whole_frame_of_each_id() -> None:
    """Only what the documents let a sender leave out may be missing: the rest of a shorter frame was cut."""
    shorter = {i: f.shortest for i, f in FRAME_FORMATS.items() if f.shortest != f.length}
    texts = {i for i, f in FRAME_FORMATS.items() if list(f.fields) == ["text"]}
    assert {i: n for i, n in shorter.items() if i not in texts} == {0x305: 0, 0x351: 6, 0x355: 4, 0x35F: 4, 0x373: 4}
    assert {shorter[i] for i in texts} == {0, 1}


def test_unknown_id_has_no_format() -> None:
    """An id that is not in the table raises KeyError."""
    with pytest.raises(KeyError):
        FRAME_FORMATS[0x35C]
