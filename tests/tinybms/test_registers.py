import json
import struct
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinybms_bridge.tinybms.registers import Kind, Register, RegisterValue, UnknownRegisterError, catalogue

RELAXED = settings(deadline=None)

REGISTERS = list(catalogue())
INTEGERS = [register for register in REGISTERS if register.kind not in {Kind.F32, Kind.BYTES, Kind.EVENT}]
NUMBERS = [register for register in INTEGERS if not register.choices]
CHOICES = [register for register in INTEGERS if register.choices]
FLOATS = [register for register in REGISTERS if register.kind is Kind.F32]
EVENTS = [register for register in REGISTERS if register.kind is Kind.EVENT]
BYTES = [register for register in REGISTERS if register.kind is Kind.BYTES]
TWO_WORDS = {Kind.U32, Kind.F32, Kind.EVENT}


def _key(register: Register) -> str:
    return register.key


def _words(register: Register, raw: int) -> tuple[int, ...]:
    """Return the words of a raw integer, independently of the code under test."""
    if register.kind is Kind.U32:
        return struct.unpack("<2H", struct.pack("<I", raw))
    return ((raw % (1 << register.width)) << register.offset,)


def _decode(key: str, *words: int) -> RegisterValue:
    return catalogue().by_key(key).decode(words)


def _encode(key: str, value: RegisterValue) -> tuple[int, ...]:
    return catalogue().by_key(key).encode(value)


# --- the table ---------------------------------------------------------------------------------------------


def test_table_is_loaded_once() -> None:
    """Every caller gets the same catalogue."""
    assert catalogue() is catalogue()


def test_every_register_from_0_to_599_is_described() -> None:
    """No address of the map is missing, and nothing lies beyond it."""
    assert [address for address in range(700) if catalogue().at(address)] == list(range(600))


def test_no_bit_is_described_twice() -> None:
    """Values that share a register own different bits of it."""
    for address in range(600):
        masks = [register.mask for register in catalogue().at(address)]
        assert sum(masks) <= 0xFFFF
        assert sum(masks) == reduce(or_, masks)


def test_rows_are_in_order_of_address() -> None:
    """Iteration follows address and bit, so that tables and backups read like the vendor's document."""
    places = [(register.address, register.offset) for register in catalogue()]

    assert places == sorted(places)
    assert len(catalogue()) == len(REGISTERS) == len({register.key for register in catalogue()}) == 163


@pytest.mark.parametrize("register", REGISTERS, ids=_key)
def test_row_is_consistent(register: Register) -> None:
    """Number of words, bits and range of each row agree with its kind."""
    low, high = register.raw_range

    assert register.kind is Kind.BYTES or register.words == (2 if register.kind in TWO_WORDS else 1)
    assert 0 <= register.offset < register.offset + register.width <= 16
    assert low <= high
    assert register.name
    if register.default_raw is not None:
        assert low <= register.default_raw <= high
    if register.choices and register.minimum_raw is not None:
        assert (min(register.choices), max(register.choices)) == (low, high)


def test_groups() -> None:
    """The groups are those the web pages and the docs are built from."""
    assert {register.group for register in catalogue()} == {
        "live",
        "statistics",
        "events",
        "settings.cell",
        "settings.safety",
        "settings.soc",
        "settings.peripherals",
        "version",
        "reserved",
        "undocumented",
    }


def test_group_includes_its_parts() -> None:
    """``settings`` stands for all groups of settings, but not for names that only begin alike."""
    rows = catalogue().in_group("settings")

    assert set(catalogue().in_group("settings.cell")) < set(rows) == set(catalogue().settings())
    assert {register.group.split(".")[0] for register in rows} == {"settings"}
    assert catalogue().in_group("sett") == ()


def test_settings_are_the_writable_registers() -> None:
    """Reserved registers are never offered for writing; everything else from 300 to 343 is."""
    rows = catalogue().settings()
    reserved = {302, 309, 324, 325, 326, 327}

    assert {address for row in rows for address in range(row.address, row.address + row.words)} == (
        set(range(300, 344)) - reserved
    )
    assert all(row.access == "RW" and not row.is_reserved for row in rows)


def test_at_shared_and_wide_registers() -> None:
    """An address gives every value that owns bits of it, from whichever of its words."""
    assert [register.key for register in catalogue().at(330)] == ["charger_type", "discharge_over_current_timeout"]
    assert [register.key for register in catalogue().at(37)] == ["pack_voltage"]
    assert [register.key for register in catalogue().at(450)] == ["reserved_400_499"]
    assert catalogue().at(600) == ()


def test_masks_of_shared_registers() -> None:
    """A read-modify-write of one value leaves the others alone."""
    masks = {register.key: register.mask for address in (329, 330, 501) for register in catalogue().at(address)}

    assert masks == {
        "invert_external_current_sensor": 0x0001,
        "disable_switch_diagnostics": 0x0002,
        "enable_charger_restart_level": 0x0004,
        "charger_type": 0x00FF,
        "discharge_over_current_timeout": 0xFF00,
        "firmware_public_version": 0x00FF,
        "power_type": 0x0100,
        "current_sensor": 0x0600,
    }


def test_unknown_key_names_the_nearest() -> None:
    """A mistyped key is answered with the keys that look like it."""
    with pytest.raises(UnknownRegisterError, match=r"'fully_charge_voltage'; did you mean fully_charged_voltage") as e:
        catalogue().by_key("fully_charge_voltage")

    assert isinstance(e.value, KeyError)
    assert e.value.key == "fully_charge_voltage"
    assert e.value.nearest[0] == "fully_charged_voltage"


def test_unknown_key_without_likeness() -> None:
    """A key like no other is answered without a suggestion."""
    with pytest.raises(UnknownRegisterError) as caught:
        catalogue().by_key("zzzzzz")

    assert str(caught.value) == "no register is called 'zzzzzz'"


# --- decoding ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "words", "value"),
    [
        ("cell_3_voltage", (39800,), 3.98),
        ("lifetime_counter", (0x93CD, 0x00FE), 16683981),
        ("pack_voltage", (0x1EB8, 0x425F), 55.78),
        ("pack_current", (0xD4FE, 0xC040), -3.013),
        ("min_cell_voltage", (3980,), 3.98),
        ("external_temperature_1", (0x8000,), None),
        ("external_temperature_2", (0xFFCE,), -5.0),
        ("state_of_health", (49123,), 98.246),
        ("state_of_charge", (0xF208, 0x04FA), 83.554824),
        ("internal_temperature", (97,), 9.7),
        ("online_status", (0x97,), "idle"),
        ("online_status", (0x95,), "unknown (149)"),
        ("detected_cells", (14,), 14),
        ("total_distance", (150, 0), 1.5),
        ("max_discharge_current", (1234,), 123.4),
        ("min_pack_temperature", (0x1908,), 8),
        ("max_pack_temperature", (0x1908,), 25),
        ("min_pack_temperature", (0x19F6,), -10),
        ("last_reset_event", (0x0304,), "software_reset"),
        ("last_wakeup_event", (0x0304,), "uart_communication"),
        ("event_0", (0x1226, 0x6500), "0x65@4646"),
        ("event_48", (0x4E2B, 0x64B9), "0x64@12144171"),
        ("event_5", (0, 0), None),
        ("event_5", (0x1234, 0x0001), None),
        ("fully_charged_voltage", (4200,), 4.2),
        ("battery_capacity", (320,), 3.2),
        ("pulses_per_unit", (0x86A0, 0x0001), 100000),
        ("over_heat_cutoff", (60,), 60),
        ("low_temperature_charger_cutoff", (0xFFD8,), -40),
        ("state_of_health_set", (0xFFFF,), None),
        ("state_of_charge_set", (0xFFFF,), None),
        ("state_of_charge_set", (40000,), 80.0),
        ("disable_switch_diagnostics", (0b101,), "enabled"),
        ("enable_charger_restart_level", (0b101,), "enabled"),
        ("charger_type", (0x1E01,), "cc_cv"),
        ("discharge_over_current_timeout", (0x1E01,), 30),
        ("precharge_pin", (16,), "aiho2_active_high"),
        ("precharge_pin", (1,), "unknown (1)"),
        ("broadcast_time", (1,), "0.1s"),
        ("hardware_version", (0x0102,), 2),
        ("hardware_changes_version", (0x0102,), 1),
        ("firmware_public_version", (0x0301,), 1),
        ("power_type", (0x0301,), "high_power"),
        ("current_sensor", (0x0301,), "internal_hall"),
        ("profile_version", (0x0418,), 4),
        ("serial_number", (0x3632, 0x1347, 0x3434, 0x3733, 0x001F, 0x004D), "32364713343433371F004D00"),
        ("reserved_49", (0x0102,), "0201"),
    ],
)
def test_decode(key: str, words: tuple[int, ...], value: RegisterValue) -> None:
    """Each kind of register gives its value in its unit, exactly as a person would write it."""
    decoded = _decode(key, *words)

    assert decoded == value
    assert type(decoded) is type(value)


@RELAXED
@given(register=st.sampled_from(REGISTERS), data=st.data())
def test_decode_takes_any_words(register: Register, data: st.DataObject) -> None:
    """No content of a register raises, and a number has no more digits than its step."""
    words = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=register.words, max_size=register.words))
    value = register.decode(words)

    if isinstance(value, float) and register.kind is not Kind.F32:
        assert len(f"{value!r}".partition(".")[2]) <= register.decimals or "e" in repr(value)


@RELAXED
@given(register=st.sampled_from(REGISTERS), surplus=st.sampled_from([-1, 1]))
def test_wrong_number_of_words(register: Register, surplus: int) -> None:
    """Too few or too many words are refused, naming both numbers."""
    count = register.words + surplus
    with pytest.raises(ValueError, match=f"{register.key} has {register.words} words, got {count}"):
        register.decode([0] * count)


# --- encoding ----------------------------------------------------------------------------------------------


@RELAXED
@given(register=st.sampled_from(NUMBERS), data=st.data())
def test_numbers_round_trip(register: Register, data: st.DataObject) -> None:
    """Over its whole range every number comes back as the words it was read from."""
    raw = data.draw(st.integers(*register.raw_range))
    assume(raw != register.absent_raw)
    words = _words(register, raw)

    assert register.encode(register.decode(words)) == words


@pytest.mark.parametrize("register", NUMBERS, ids=_key)
def test_ends_of_the_range_round_trip(register: Register) -> None:
    """Both ends of the range and the value of the manual can be written; one step more cannot."""
    low, high = register.raw_range
    default = low if register.default_raw is None else register.default_raw
    samples = {low, high, default} - {register.absent_raw}

    assert all(register.encode(register.decode(_words(register, raw))) == _words(register, raw) for raw in samples)
    for outside in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"{register.key} = .*allowed is a"):
            register.encode(outside * register.scale)


@pytest.mark.parametrize("register", CHOICES, ids=_key)
def test_choices_round_trip(register: Register) -> None:
    """Every text of an enumeration is written as its raw value, and so is the raw value itself."""
    for raw, text in register.choices.items():
        assert register.decode(_words(register, raw)) == text
        assert register.encode(text) == register.encode(raw) == _words(register, raw)


@RELAXED
@given(register=st.sampled_from(FLOATS), value=st.floats(width=32, allow_nan=False))
def test_floats_round_trip(register: Register, value: float) -> None:
    """Every single comes back as the words it was read from."""
    words = struct.unpack("<2H", struct.pack("<f", value))

    assert register.encode(register.decode(words)) == words


@RELAXED
@given(register=st.sampled_from(EVENTS), number=st.integers(1, 255), time_s=st.integers(0, 0xFFFFFF))
def test_events_round_trip(register: Register, number: int, time_s: int) -> None:
    """Every slot of the log comes back as the words it was read from."""
    words = struct.unpack("<2H", struct.pack("<I", number << 24 | time_s))

    assert register.encode(register.decode(words)) == words


@RELAXED
@given(register=st.sampled_from(BYTES), data=st.data())
def test_bytes_round_trip(register: Register, data: st.DataObject) -> None:
    """Serial number and reserved areas come back as the words they were read from."""
    words = tuple(data.draw(st.lists(st.integers(0, 0xFFFF), min_size=register.words, max_size=register.words)))

    assert register.encode(register.decode(words)) == words


@RELAXED
@given(register=st.sampled_from(INTEGERS), data=st.data())
def test_encode_stays_inside_the_mask(register: Register, data: st.DataObject) -> None:
    """A value never sets bits that belong to its neighbours."""
    raw = data.draw(st.sampled_from(sorted(register.choices)) if register.choices else st.integers(*register.raw_range))
    assume(raw != register.absent_raw)
    value = raw if register.choices else register.decode(_words(register, raw))

    assert all(word & ~register.mask == 0 for word in register.encode(value))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("fully_charged_voltage", 3.65, (3650,)),
        ("fully_charged_voltage", 3.6501, (3650,)),
        ("battery_capacity", 100, (10000,)),
        ("low_temperature_charger_cutoff", -5, (0xFFFB,)),
        ("series_cells", 14.0, (14,)),
        ("discharge_over_current_timeout", 5, (0x0500,)),
        ("enable_charger_restart_level", "enabled", (0x0004,)),
        ("enable_charger_restart_level", True, (0x0004,)),
        ("current_sensor", "external", (0x0400,)),
        ("max_pack_temperature", -1, (0xFF00,)),
        ("external_temperature_1", None, (0x8000,)),
        ("event_0", None, (0, 0)),
        ("pack_voltage", 55.78, (0x1EB8, 0x425F)),
        ("serial_number", "32364713343433371f004d00", (0x3632, 0x1347, 0x3434, 0x3733, 0x001F, 0x004D)),
    ],
)
def test_encode(key: str, value: RegisterValue, words: tuple[int, ...]) -> None:
    """Values are scaled, rounded to the step, shifted to their bits and split low word first."""
    assert _encode(key, value) == words


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fully_charged_voltage", 4.6, "fully_charged_voltage = 4.6: allowed is a number 1.2..4.5 V"),
        ("series_cells", 17, "series_cells = 17: allowed is a whole number 4..16 cells"),
        ("series_cells", 14.5, "series_cells = 14.5: allowed is a whole number 4..16 cells"),
        ("series_cells", "14", "series_cells = '14': allowed is a whole number 4..16 cells"),
        ("over_heat_cutoff", 91, "over_heat_cutoff = 91: allowed is a whole number 20..90 °C"),
        ("under_voltage_count", -1, "under_voltage_count = -1: allowed is a whole number 0..65535"),
        ("state_of_charge_set", 100.1, "state_of_charge_set = 100.1: allowed is a number 0.0..100.0 %"),
        ("battery_capacity", float("nan"), "battery_capacity = nan: allowed is a number 0.1..655.0 Ah"),
        ("series_cells", float("inf"), "series_cells = inf: allowed is a whole number 4..16 cells"),
        ("operation_mode", "dual", "operation_mode = 'dual': allowed are dual_port, single_port"),
        ("operation_mode", 2, "operation_mode = 2: allowed are dual_port, single_port"),
        ("operation_mode", "unknown (2)", "operation_mode = 'unknown (2)': allowed are dual_port, single_port"),
        ("series_cells", None, "series_cells needs a value"),
        ("state_of_charge_set", None, "state_of_charge_set needs a value"),
        ("serial_number", "12", "serial_number has 24 hex digits, got 2"),
        ("serial_number", "xy", "serial_number = 'xy': not hex digits"),
        ("serial_number", 12, "serial_number = 12: not a text"),
        ("event_0", 12, "event_0 = 12: not a text"),
        ("event_0", "later", "event 'later' is not of the form 0x65@4646"),
        ("event_0", "0x65@16777216", "event '0x65@16777216': number 0x01..0xFF, time 0..16777215 s"),
        ("event_0", "0x00@5", "event '0x00@5': number 0x01..0xFF, time 0..16777215 s"),
        ("pack_voltage", "55.78", "pack_voltage = '55.78': allowed is a number in V"),
        ("pack_voltage", 1e39, "1e+39 is too large for a 32-bit float"),
    ],
)
def test_encode_refuses(key: str, value: RegisterValue, message: str) -> None:
    """What a register cannot hold is refused in words that name value, range and unit."""
    with pytest.raises(ValueError, match=r"allowed|needs|has|not|event|large") as caught:
        _encode(key, value)

    assert str(caught.value) == message


# --- against a real unit -----------------------------------------------------------------------------------


def test_capture_of_a_real_unit() -> None:
    """The catalogue reads the registers of the 14-cell unit as the golden file does."""
    golden = json.loads((Path(__file__).parent / "golden_uart.json").read_text(encoding="utf-8"))
    vectors: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in golden["vectors"]}
    cells = vectors["cap_modbus_0_16_rsp"]["decoded"]

    shown = [catalogue().at(address)[0].decode([raw]) for address, raw in enumerate(cells["registers"])]

    assert shown[2:] == cells["cells_low_to_high_V"]
    assert shown[:2] == [0.0, 0.0]
