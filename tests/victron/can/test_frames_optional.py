"""The optional frames: what they carry, and when they are left out."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.snapshot import Cells, Identity, Temperatures
from tinybms_bridge.victron.can.codec import FrameSettings, decode_frame
from tinybms_bridge.victron.can.outgoing import OPTIONAL_FRAMES


def text(frames: Any, identifier: int) -> Any:
    """Return the text of a frame."""
    return decode_frame(frames[identifier]).values["text"]


def test_names_of_the_default_settings(encode: Any) -> None:
    """The long default name is in 0x370 and 0x371; 0x35E has its beginning, without the blank that ends it there."""
    frames = encode()
    assert frames[0x35E].data == b"TinyBMS\0"
    assert frames[0x370].data == b"TinyBMS "
    assert frames[0x371].data == b"s516\0\0\0\0"


def test_short_name_has_no_pair(encode: Any) -> None:
    """For a name of 8 characters or less only 0x35E is sent."""
    frames = encode(FrameSettings(battery_name="Pack 1"))
    assert text(frames, 0x35E) == "Pack 1"
    assert not {0x370, 0x371} & set(frames)


@pytest.mark.parametrize("name", ["", "Pack", "12345678", "123456789", "1234567890123456"])
@pytest.mark.parametrize("separate", [False, True])
def test_both_halves_of_a_name_or_none(encode: Any, name: str, separate: bool) -> None:
    """0x371 without 0x370, as in the old firmware, is impossible."""
    frames = encode(FrameSettings(battery_name=name, separate_manufacturer=separate))
    assert (0x370 in frames) == (0x371 in frames) == (len(name) > 8)
    if 0x370 in frames and not separate:
        assert frames[0x370].data == frames[0x35E].data


@pytest.mark.parametrize(
    ("internal", "version"), [(242, "2.42"), (254, "2.54"), (300, "3.0"), (9, "0.9"), (65535, "255.99")]
)
def test_firmware_version_of_the_bms(encode: Any, field_of: Any, internal: int, version: str) -> None:
    """Internal firmware 242 is 2.42, in two bytes with the major one first."""
    frame = encode(identity=Identity(firmware_internal=internal))[0x35F]
    assert field_of(frame, "firmware_version") == version


def test_version_frame_of_an_unknown_bms(encode: Any) -> None:
    """Before the BMS has said who it is, version and capacity are 0, which means unused."""
    assert encode(identity=None, ratings=None)[0x35F].data == bytes(6)


def test_version_frame_has_the_layout_of_the_field_capture(encode: Any) -> None:
    """Model and capacity are little-endian, the version between them is not."""
    frame = encode(FrameSettings(battery_model_id=0x1234), identity=Identity(firmware_internal=1604))[0x35F]
    assert frame.data.hex(" ") == "34 12 10 04 18 01"


@pytest.mark.parametrize(("capacity_ah", "sent"), [(280.0, 280), (99.5, 100), (99.49, 99), (0.4, 0), (70000.0, 65535)])
def test_capacity_is_rounded_to_ampere_hours(
    make_state: Any, encode: Any, field_of: Any, capacity_ah: float, sent: int
) -> None:
    """Installed and online capacity are the BMS's own setting, rounded and saturated."""
    frames = encode(ratings=replace(make_state().snapshot.ratings, capacity_ah=capacity_ah))
    assert field_of(frames[0x379], "capacity") == sent
    assert field_of(frames[0x35F], "online_capacity") == sent


@pytest.mark.parametrize(("length", "data"), [(2, "18 01"), (8, "18 01 00 00 00 00 00 00")])
def test_length_of_the_capacity_frame(encode: Any, field_of: Any, length: int, data: str) -> None:
    """Two bytes as documented, eight on request; both mean the same."""
    frame = encode(FrameSettings(installed_capacity_bytes=length))[0x379]
    assert frame.data.hex(" ") == data
    assert field_of(frame, "capacity") == 280
    assert encode()[0x379].data.hex(" ") == "18 01"


@pytest.mark.parametrize(
    ("ccl_a", "dcl_a", "expected"),
    [(100.0, 100.0, (1, 0, 0, 0)), (0.0, 100.0, (1, 1, 0, 0)), (100.0, 0.0, (1, 0, 1, 0)), (0.04, 0.0, (1, 1, 1, 0))],
)
def test_module_status_follows_the_limits(encode: Any, ccl_a: float, dcl_a: float, expected: tuple[int, ...]) -> None:
    """The one module is online, which readers take OK for, and beside that blocks what a limit of 0 blocks."""
    assert tuple(decode_frame(encode(ccl_a=ccl_a, dcl_a=dcl_a)[0x372]).values.values()) == expected


def test_a_module_that_gives_no_data_is_offline(encode: Any) -> None:
    """In HOLD the GX is not told of a module that is online."""
    frame = encode(ccl_a=0.0, dcl_a=50.0, freshness=Freshness.HOLD)[0x372]
    assert tuple(decode_frame(frame).values.values()) == (0, 1, 0, 1)


def test_cell_extremes_in_millivolts_and_kelvin(encode: Any) -> None:
    """Lowest and highest cell and sensor are those of the snapshot."""
    values = decode_frame(encode()[0x373]).values
    assert values == {
        "lowest_cell_voltage": 3310,
        "highest_cell_voltage": 3325,
        "lowest_cell_temperature": 292,
        "highest_cell_temperature": 295,
    }


@pytest.mark.parametrize(("celsius", "kelvin"), [(-20.0, 253), (0.0, 273), (25.0, 298), (-0.65, 273), (-0.66, 272)])
def test_kelvin_is_rounded_to_nearest(encode: Any, field_of: Any, celsius: float, kelvin: int) -> None:
    """-20 degC is 253 K; frost does not wrap."""
    frame = encode(temperatures=Temperatures(external_1_c=celsius))[0x373]
    assert field_of(frame, "lowest_cell_temperature") == kelvin


def test_frames_about_sensors_without_a_sensor(encode: Any) -> None:
    """Without a sensor 0x373 ends after the voltages, and no sensor is named."""
    frames = encode(temperatures=Temperatures())
    assert len(frames[0x373].data) == 4
    assert not {0x376, 0x377} & set(frames)


def test_frames_about_cells_without_cells(encode: Any) -> None:
    """A snapshot without cells leaves the frames out and does not fail."""
    assert not {0x373, 0x374, 0x375} & set(encode(cells=Cells(())))


def test_extreme_cells_are_named_by_their_number(encode: Any) -> None:
    """Cells are counted from 1, with two digits."""
    cells = Cells(tuple(3.4 if number == 16 else 3.2 if number == 7 else 3.3 for number in range(1, 17)))
    frames = encode(cells=cells)
    assert (text(frames, 0x374), text(frames, 0x375)) == ("CELL 07", "CELL 16")


@pytest.mark.parametrize(
    ("temperatures", "coldest", "hottest"),
    [
        (Temperatures(internal_c=50.0, external_1_c=18.0, external_2_c=21.0), "SENSOR 1", "SENSOR 2"),
        (Temperatures(internal_c=50.0, external_1_c=21.0, external_2_c=-5.0), "SENSOR 2", "SENSOR 1"),
        (Temperatures(internal_c=50.0, external_2_c=21.0), "SENSOR 2", "SENSOR 2"),
        (Temperatures(internal_c=50.0), "INTERNAL", "INTERNAL"),
    ],
)
def test_extreme_sensors_are_named(encode: Any, temperatures: Temperatures, coldest: str, hottest: str) -> None:
    """The sensors are those that stand for the cells; the board's own only when it is alone."""
    frames = encode(temperatures=temperatures)
    assert (text(frames, 0x376), text(frames, 0x377)) == (coldest, hottest)


def test_energy_is_in_hundred_watt_hours(encode: Any) -> None:
    """500 Wh are 5 steps: the old firmware sent 50 000."""
    frame = encode(energy=EnergyTotals(charged_wh=500.0, discharged_wh=1249.0))[0x378]
    assert frame.data.hex(" ") == "05 00 00 00 0c 00 00 00"


@pytest.mark.parametrize(
    ("steps", "raw"), [(2**32 - 1, 2**32 - 1), (2**32 - 0.51, 2**32 - 1), (2**32 - 0.5, 0), (2**32, 0), (2**32 + 7, 7)]
)
def test_energy_counter_rolls_over_to_zero(encode: Any, steps: float, raw: int) -> None:
    """A full counter starts again instead of standing still at its end."""
    frame = encode(energy=EnergyTotals(charged_wh=steps * 100.0))[0x378]
    assert int.from_bytes(frame.data[:4], "little") == raw


def test_energy_that_is_no_number_is_left_out(encode: Any) -> None:
    """A broken counter costs its frame, not the burst."""
    frames = encode(energy=EnergyTotals(charged_wh=math.nan))
    assert 0x378 not in frames
    assert 0x351 in frames


def test_serial_number_is_the_end_of_the_long_one(encode: Any) -> None:
    """Two frames hold 16 characters; the last ones tell units apart."""
    frames = encode()
    assert text(frames, 0x380) + text(frames, 0x381) == "89abcdef01234567"


@pytest.mark.parametrize(
    ("serial", "halves"), [("ABC", ("ABC", "")), ("0123456789", ("01234567", "89")), ("é-1", ("1", ""))]
)
def test_short_or_odd_serial_number(encode: Any, serial: str, halves: tuple[str, str]) -> None:
    """Both frames go out together, and nothing that is not ASCII can stop the burst."""
    frames = encode(identity=Identity(serial_number=serial))
    assert (text(frames, 0x380), text(frames, 0x381)) == halves


@pytest.mark.parametrize("identity", [None, Identity()])
def test_unknown_serial_number_is_not_sent(encode: Any, identity: Identity | None) -> None:
    """Without a serial number there is no frame that says so."""
    assert not {0x380, 0x381} & set(encode(identity=identity))


def test_family_name(encode: Any) -> None:
    """The family goes into 0x382, and an empty one is not sent."""
    assert text(encode(), 0x382) == "TinyBMS"
    assert 0x382 not in encode(FrameSettings(family_name=""))


def test_battery_that_says_little_still_has_its_minimum(encode: Any) -> None:
    """With no ratings, identity, sensors and cells, frames are left out and never made up."""
    frames = encode(ratings=None, identity=None, temperatures=Temperatures(), cells=Cells(()))
    assert set(frames) == {0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, 0x370, 0x371, 0x372, 0x378, 0x382}
    assert set(OPTIONAL_FRAMES) - set(frames) == {0x373, 0x374, 0x375, 0x376, 0x377, 0x379, 0x380, 0x381}
