import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import BmsStatus, Identity, Ratings, Snapshot, Switches
from tinybms_bridge.tinybms.frames import CommandCode, Framer, ReadBlock, RegistersReply, from_float, from_u32
from tinybms_bridge.tinybms.live import (
    IDENTITY_ADDRESS,
    IDENTITY_COUNT,
    LIVE_ADDRESS,
    LIVE_COUNT,
    RATINGS_ADDRESS,
    RATINGS_COUNT,
    decode_identity,
    decode_live,
    decode_ratings,
    least_current_a,
)
from tinybms_bridge.tinybms.registers import RegisterValue, catalogue

RELAXED = settings(deadline=None)
WORD = st.integers(0, 0xFFFF)
LIVE_WORDS = st.lists(WORD, min_size=LIVE_COUNT, max_size=LIVE_COUNT)
STATUS_WORDS = st.one_of(WORD, st.sampled_from([0x91, 0x92, 0x93, 0x96, 0x97, 0x9B]))

RATINGS = Ratings(
    series_cells=14,
    fully_charged_cell_v=4.15,
    fully_discharged_cell_v=3.0,
    over_voltage_cell_v=4.2,
    under_voltage_cell_v=2.9,
    charge_over_current_a=20.0,
    discharge_over_current_a=60.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=66.0,
)
CAPTURED_CELLS = (3.98, 3.981, 3.982, 3.983, 3.983, 3.984, 3.989, 3.99, 3.983, 3.983, 3.983, 3.984, 3.988, 3.988)


def _captured() -> list[int]:
    """Return registers 0 to 55 of the 14-cell unit, out of the two packets of the golden file."""
    golden = json.loads((Path(__file__).parent / "golden_uart.json").read_text(encoding="utf-8"))
    vectors: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in golden["vectors"]}
    framer = Framer()
    framer.expect(ReadBlock(0, 57))
    (reply,) = framer.feed(bytes.fromhex("".join(vectors[f"inf_07_0_57_rsp_{n}"]["hex"] for n in (1, 2))))
    assert isinstance(reply, RegistersReply)
    assert reply.command is CommandCode.READ_BLOCK
    return list(reply.values[:LIVE_COUNT])


@pytest.fixture
def words() -> list[int]:
    """Registers 0 to 55 of a real 14-cell unit."""
    return _captured()


def _decode(
    words: Sequence[int], ratings: Ratings | None = None, series_cells: int | None = None, has_soh: bool = True
) -> Snapshot:
    return decode_live(words, sequence=7, taken_at_s=12.5, ratings=ratings, series_cells=series_cells, has_soh=has_soh)


def _catalogued(words: Sequence[int], key: str, first: int = 0) -> RegisterValue:
    register = catalogue().by_key(key)
    start = register.address - first
    return register.decode(words[start : start + register.words])


def _same(ours: object, theirs: RegisterValue) -> bool:
    both_nan = isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours) and math.isnan(theirs)
    return both_nan or ours == theirs


# --- live ----------------------------------------------------------------------------------------------------


def test_blocks() -> None:
    """The addresses to ask for are the vendor's."""
    assert (LIVE_ADDRESS, LIVE_COUNT) == (0, 56)
    assert (RATINGS_ADDRESS, RATINGS_COUNT) == (300, 44)
    assert (IDENTITY_ADDRESS, IDENTITY_COUNT) == (500, 10)


def test_real_unit(words: list[int]) -> None:
    """The captured unit: 55.78 V, idle, 83.554824 %, 14 cells in order, no external sensors."""
    snapshot = _decode(words)

    assert (snapshot.sequence, snapshot.taken_at_s, snapshot.ratings) == (7, 12.5, None)
    assert snapshot.cells.voltages_v == CAPTURED_CELLS
    assert snapshot.cells.balancing == (False,) * 14
    assert (snapshot.pack.voltage_v, snapshot.pack.current_a) == (55.78, 0.0)
    assert snapshot.pack.soc_percent == 83.554824
    assert (snapshot.pack.status, snapshot.pack.status_raw) == (BmsStatus.IDLE, 0x97)
    assert snapshot.pack.lifetime_s == 16683981
    assert snapshot.temperatures.internal_c == 9.7
    assert snapshot.temperatures.external_1_c is None
    assert snapshot.temperatures.external_2_c is None


def test_real_unit_is_coherent(words: list[int]) -> None:
    """The cells of the capture add up to the pack voltage: pins, scale and word order are right together."""
    snapshot = _decode(words)

    assert sum(snapshot.cells.voltages_v) == pytest.approx(snapshot.pack.voltage_v, abs=0.01)
    assert (snapshot.cells.min_v, snapshot.cells.max_v) == (3.98, 3.99)


@RELAXED
@given(words=LIVE_WORDS, status=STATUS_WORDS)
def test_equal_to_the_catalogue(words: list[int], status: int) -> None:
    """The quick decoding and the catalogue agree on every value, whatever the registers hold."""
    words[50] = status
    snapshot = _decode(words, series_cells=16)
    pack, temperatures = snapshot.pack, snapshot.temperatures
    pairs = {
        "pack_voltage": pack.voltage_v,
        "pack_current": pack.current_a,
        "state_of_charge": pack.soc_percent,
        "lifetime_counter": pack.lifetime_s,
        "internal_temperature": temperatures.internal_c,
        "external_temperature_1": temperatures.external_1_c,
        "external_temperature_2": temperatures.external_2_c,
        **{f"cell_{pin}_voltage": voltage for pin, voltage in enumerate(snapshot.cells.voltages_v, start=1)},
    }

    assert [key for key, ours in pairs.items() if not _same(ours, _catalogued(words, key))] == []
    assert pack.soh_percent in {None, _catalogued(words, "state_of_health")}
    assert pack.time_left_s in {None, _catalogued(words, "estimated_time_left")}
    assert pack.status is BmsStatus.UNKNOWN or pack.status.name.lower() == _catalogued(words, "online_status")
    assert sum(on << bit for bit, on in enumerate(snapshot.cells.balancing)) == words[52]


@RELAXED
@given(words=LIVE_WORDS, series_cells=st.one_of(st.none(), st.integers(-5, 70000)), has_soh=st.booleans())
def test_any_content_is_accepted(words: list[int], series_cells: int | None, has_soh: bool) -> None:
    """Fifty-six words of any content give a snapshot with as many cells as balancing flags."""
    snapshot = _decode(words, series_cells=series_cells, has_soh=has_soh)

    assert 4 <= snapshot.cells.count <= 16
    assert len(snapshot.cells.balancing) == snapshot.cells.count


@pytest.mark.parametrize("count", range(4, 17))
def test_cells_are_on_the_upper_pins(words: list[int], count: int) -> None:
    """Cell n of N is register and bit 15 - N + n, so the last cell is always register 15."""
    words[:16] = [30000 + register for register in range(16)]
    words[52] = 1 << 15 | 1 << (16 - count)
    cells = _decode(words, series_cells=count).cells

    assert cells.voltages_v == tuple((30000 + 15 - count + n) / 10000 for n in range(1, count + 1))
    assert [n for n, on in enumerate(cells.balancing, start=1) if on] == [1, count]


@pytest.mark.parametrize(
    ("ratings", "series_cells", "detected", "count"),
    [
        (RATINGS, 8, 4, 14),
        (RATINGS, None, 4, 14),
        (None, 8, 4, 8),
        (None, None, 4, 4),
        (None, 3, 6, 6),
        (None, 17, 6, 6),
        (None, None, 0, 16),
        (None, None, 17, 16),
        (replace(RATINGS, series_cells=0), 8, 4, 4),
        (replace(RATINGS, series_cells=99), None, 0, 16),
    ],
)
def test_number_of_cells(
    words: list[int], ratings: Ratings | None, series_cells: int | None, detected: int, count: int
) -> None:
    """The BMS's setting decides, then the caller, then the detected number; nonsense falls to the next."""
    words[53] = detected

    assert _decode(words, ratings, series_cells=series_cells).cells.count == count


def test_ratings_travel_with_the_sample(words: list[int]) -> None:
    """The settings known at the time are part of the snapshot."""
    assert _decode(words, RATINGS).ratings is RATINGS


@pytest.mark.parametrize(
    ("raw", "has_soh", "percent"),
    [
        (50000, True, 100.0),
        (49123, True, 98.246),
        (1, True, 0.002),
        (0, True, None),
        (50001, True, None),
        (0xFFFF, True, None),
        (49123, False, None),
    ],
)
def test_state_of_health(words: list[int], raw: int, has_soh: bool, percent: float | None) -> None:
    """Old firmware, 0 and more than 100 % mean that the state of health is not known."""
    words[45] = raw

    assert _decode(words, has_soh=has_soh).pack.soh_percent == percent


@pytest.mark.parametrize("raw", [0x91, 0x92, 0x93, 0x96, 0x97, 0x9B, 0x95, 0])
def test_time_left_only_while_discharging(words: list[int], raw: int) -> None:
    """The estimate of the BMS is shown only in the one state in which it means something."""
    words[34:36] = from_u32(3600)
    words[50] = raw

    assert _decode(words).pack.time_left_s == (3600 if raw == 0x93 else None)


@pytest.mark.parametrize(
    ("raw", "status"), [(0x95, BmsStatus.UNKNOWN), (0, BmsStatus.UNKNOWN), (0x9B, BmsStatus.FAULT)]
)
def test_unknown_status_is_not_a_fault(words: list[int], raw: int, status: BmsStatus) -> None:
    """A status that the vendor does not document stays unknown and keeps its number."""
    words[50] = raw
    pack = _decode(words).pack

    assert (pack.status, pack.status_raw) == (status, raw)


def test_signs(words: list[int]) -> None:
    """Discharge current and frost are negative."""
    words[38:40] = from_float(-12.5)
    words[42], words[43], words[48] = 0xFFCE, 0x8001, 0xFF38
    snapshot = _decode(words)

    assert snapshot.pack.current_a == -12.5
    assert snapshot.temperatures.external_1_c == -5.0
    assert snapshot.temperatures.external_2_c == -3276.7
    assert snapshot.temperatures.internal_c == -20.0


@pytest.mark.parametrize("count", [0, 55, 57])
def test_wrong_number_of_live_registers(count: int) -> None:
    """A block of another size is refused, naming both numbers."""
    with pytest.raises(ValueError, match=f"{count} live registers, expected 56"):
        _decode([0] * count)


# --- ratings -------------------------------------------------------------------------------------------------


def _setting_words() -> list[int]:
    words = [0] * RATINGS_COUNT
    for offset, raw in {0: 4150, 1: 3000, 4: 1000, 5: 90, 6: 6600, 7: 14, 8: 15, 15: 4200, 16: 2900}.items():
        words[offset] = raw
    words[3], words[29] = 3200, 0
    words[17:22] = [60, 20, 60, 1, 80]
    return words


def test_ratings() -> None:
    """Each rating is taken from its own register, in volts, amperes, degrees and ampere-hours."""
    assert decode_ratings(_setting_words()) == replace(
        RATINGS,
        discharge_peak_current_a=90.0,
        allowed_disbalance_mv=15.0,
        charge_finished_current_a=1.0,
        early_balancing_cell_v=3.2,
        charge_restart=False,
        charge_restart_percent=80.0,
    )


@pytest.mark.parametrize(("flags", "restarts"), [(0b100, True), (0b011, False), (0xFFFF, None)])
def test_charge_restart(flags: int, restarts: bool | None) -> None:
    """Bit 2 of register 329 alone tells it, and a register that is not there tells nothing."""
    words = _setting_words()
    words[29] = flags

    assert decode_ratings(words).charge_restart is restarts
    assert decode_ratings(words[:29]).charge_restart is None


@pytest.mark.parametrize(("version", "least_a"), [(0x0301, 0.8), (0x0200, 0.08)])
def test_least_current(version: int, least_a: float) -> None:
    """Bit 8 of register 501 tells the board, and the board what it takes for no current."""
    assert least_current_a([0x0102, version, 254]) == least_a


def test_what_the_bms_wants_to_bleed(words: list[int]) -> None:
    """Register 51 is what it wants, register 52 what it does now."""
    words[51], words[52] = 0b1001 << 10, 0b1000 << 10
    cells = _decode(words).cells

    assert cells.wanted.count(True) == 2
    assert cells.balancing.count(True) == 1
    assert all(wanted for wanted, bled in zip(cells.wanted, cells.balancing, strict=True) if bled)


@pytest.mark.parametrize(
    ("load", "charger", "mode", "switches"),
    [
        pytest.param(0, 1, 0, Switches.TWO_FETS, id="both transistors of the board"),
        pytest.param(0x0100, 0x0201, 0x0300, Switches.TWO_FETS, id="the high bytes are reserved"),
        pytest.param(3, 1, 0, Switches.APART, id="an external load switch"),
        pytest.param(0, 6, 0, Switches.APART, id="an external charger switch"),
        pytest.param(0, 1, 1, Switches.SINGLE, id="single port"),
        pytest.param(9, 1, 0, Switches.UNKNOWN, id="a load switch that is in no list"),
        pytest.param(0, 0, 0, Switches.UNKNOWN, id="a charger switch that is in no list"),
        pytest.param(0, 1, 2, Switches.UNKNOWN, id="a mode that is in no list"),
    ],
)
def test_switches(load: int, charger: int, mode: int, switches: Switches) -> None:
    """What an overload cuts besides the load follows from registers 331, 333 and 340."""
    words = _setting_words()
    words[31], words[33], words[40] = load, charger, mode

    assert decode_ratings(words).switches is switches
    assert decode_ratings(words[:40]).switches is Switches.UNKNOWN


@RELAXED
@given(st.lists(WORD, min_size=RATINGS_COUNT, max_size=RATINGS_COUNT))
def test_ratings_equal_to_the_catalogue(words: list[int]) -> None:
    """The quick decoding of the settings and the catalogue agree, whatever the registers hold."""
    ratings = decode_ratings(words)
    pairs: dict[str, float] = {
        "series_cells": ratings.series_cells,
        "fully_charged_voltage": ratings.fully_charged_cell_v,
        "fully_discharged_voltage": ratings.fully_discharged_cell_v,
        "over_voltage_cutoff": ratings.over_voltage_cell_v,
        "under_voltage_cutoff": ratings.under_voltage_cell_v,
        "charge_over_current_cutoff": ratings.charge_over_current_a,
        "discharge_over_current_cutoff": ratings.discharge_over_current_a,
        "over_heat_cutoff": ratings.over_heat_c,
        "low_temperature_charger_cutoff": ratings.low_temperature_charge_c,
        "battery_capacity": ratings.capacity_ah,
        "charge_finished_current": ratings.charge_finished_current_a,
    }

    assert {key: _catalogued(words, key, first=300) for key in pairs} == pairs
    assert ratings.discharge_peak_current_a in {None, _catalogued(words, "discharge_peak_current_cutoff", first=300)}
    assert ratings.allowed_disbalance_mv / 1000 == _catalogued(words, "allowed_disbalance", first=300)


@pytest.mark.parametrize(("raw", "peak_a"), [(0, None), (0xFFFF, None), (1, 1.0), (60, 60.0)])
def test_peak_current_of_old_firmware(raw: int, peak_a: float | None) -> None:
    """Where register 305 is reserved there is no peak limit, not one of zero amperes."""
    words = _setting_words()
    words[5] = raw

    assert decode_ratings(words).discharge_peak_current_a == peak_a


def test_ratings_below_zero() -> None:
    """The temperature limits are signed."""
    words = _setting_words()
    words[19:21] = [0xFFFF, 0xFFD8]
    ratings = decode_ratings(words)

    assert (ratings.over_heat_c, ratings.low_temperature_charge_c) == (-1.0, -40.0)


def test_ratings_need_registers_up_to_320() -> None:
    """A reply that ends before the last rating is refused, naming both numbers; register 320 is enough."""
    with pytest.raises(ValueError, match="20 settings from register 300, needed are at least 21"):
        decode_ratings(_setting_words()[:20])
    whole = replace(decode_ratings(_setting_words()), charge_restart=None, charge_restart_percent=None)
    assert decode_ratings(_setting_words()[:21]) == whole


# --- identity ------------------------------------------------------------------------------------------------


def test_identity() -> None:
    """Versions as seen on hardware; the serial number has 24 digits, low byte of each register first."""
    words = [0x0102, 0x0301, 242, 0x0418, 0x3632, 0x1347, 0x3434, 0x3733, 0x001F, 0x004D]

    assert decode_identity(words) == Identity(
        hardware_version="2.1",
        firmware_public=1,
        firmware_internal=242,
        bootloader_version=24,
        profile_version=4,
        serial_number="32364713343433371F004D00",
    )


@RELAXED
@given(st.lists(WORD, min_size=IDENTITY_COUNT, max_size=IDENTITY_COUNT))
def test_identity_equal_to_the_catalogue(words: list[int]) -> None:
    """The quick decoding of the identity and the catalogue agree, whatever the registers hold."""
    identity = decode_identity(words)
    product, changes = identity.hardware_version.split(".")
    pairs = {
        "hardware_version": int(product),
        "hardware_changes_version": int(changes),
        "firmware_public_version": identity.firmware_public,
        "firmware_internal_version": identity.firmware_internal,
        "bootloader_version": identity.bootloader_version,
        "profile_version": identity.profile_version,
        "serial_number": identity.serial_number,
    }

    assert {key: _catalogued(words, key, first=500) for key in pairs} == pairs


def test_wrong_number_of_identity_registers() -> None:
    """A block of another size is refused, naming both numbers."""
    with pytest.raises(ValueError, match="9 registers from 500, expected 10"):
        decode_identity([0] * 9)
