"""Raw registers to the domain's values: the live block, the settings that bound every limit, the identity.

Ten times a second, so shifts and ``struct`` stand here for what the catalogue says; a test proves both equal.
Nothing here judges whether a value is plausible.
"""

import struct
from collections.abc import Sequence

from tinybms_bridge.battery.snapshot import (
    BmsStatus,
    Cells,
    Identity,
    PackValues,
    Ratings,
    Snapshot,
    Switches,
    Temperatures,
)
from tinybms_bridge.tinybms.frames.wire import WORD_MAX, pack_words, tidy_float

__all__ = [
    "IDENTITY_ADDRESS",
    "IDENTITY_COUNT",
    "LIVE_ADDRESS",
    "LIVE_COUNT",
    "RATINGS_ADDRESS",
    "RATINGS_COUNT",
    "decode_identity",
    "decode_live",
    "decode_ratings",
    "decode_soc",
    "decode_soh",
    "least_current_a",
]

LIVE_ADDRESS = 0
LIVE_COUNT = 56
RATINGS_ADDRESS = 300
RATINGS_COUNT = 44
IDENTITY_ADDRESS = 500
IDENTITY_COUNT = 10

_HIGH_POWER = 0x100
_HIGH_POWER_LEAST_A, _LOW_POWER_LEAST_A = 0.8, 0.08
"""Thresholds of the two boards (tinybms-protocol.md, 5.4 and 5.6)."""
_MAX_CELLS = 16
_CELL_COUNTS = range(4, _MAX_CELLS + 1)
_LOAD_SWITCHES, _LOAD_FET = range(9), 0
_CHARGER_SWITCHES, _CHARGER_FET = range(1, 10), 1
_DUAL_PORT, _SINGLE_PORT = 0, 1
"""Values of the low bytes of registers 331, 333 and 340."""
_CHARGE_RESTART = 0b100
_MOST_PERCENT = 100
_FULL_SOH = 50000
_NO_SENSOR = -32768

_NONE_WANTED = tuple([(False,) * count for count in range(_MAX_CELLS + 1)])

_LIVE_LAYOUT = struct.Struct("<16H 32x 2I 2f 4x 2h 2x H I h 2x H 3H 4x")
"""Registers 0-15 cells, 32 lifetime, 34 time left, 36 voltage, 38 current, 42 and 43 external temperatures, 45 state of
health, 46 state of charge, 48 internal temperature, 50 status, 51 and 52 balancing, 53 detected cells."""


def decode_live(
    words: Sequence[int],
    *,
    sequence: int,
    taken_at_s: float,
    ratings: Ratings | None = None,
    series_cells: int | None = None,
    has_soh: bool = True,
) -> Snapshot:
    """Return the snapshot held by registers 0 to 55 (tinybms-protocol.md, 2).

    Args:
        words: The 56 registers.
        sequence: Number of the sample.
        taken_at_s: Monotonic time of the sample.
        ratings: The settings of the BMS, when known; their number of cells decides.
        series_cells: Number of cells to use while ``ratings`` is None; else the number that the BMS detected.
        has_soh: Whether the firmware has a state of health.

    Raises:
        ValueError: If there are not 56 words of 16 bits. No content of 56 words raises.

    """
    if len(words) != LIVE_COUNT:
        raise ValueError(f"{len(words)} live registers, expected {LIVE_COUNT}")
    image = pack_words(words)
    fields = _LIVE_LAYOUT.unpack(image)
    lifetime_s, time_left_s, voltage_v, current_a = fields[16:20]
    external_1, external_2, soh_raw, soc_raw, internal, status_raw, wanted, bled, detected = fields[20:]
    status = BmsStatus.from_raw(status_raw)
    count = _cell_count(series_cells if ratings is None else ratings.series_cells, detected)
    return Snapshot(
        sequence=sequence,
        taken_at_s=taken_at_s,
        pack=PackValues(
            voltage_v=tidy_float(voltage_v),
            current_a=tidy_float(current_a),
            soc_percent=decode_soc(soc_raw),
            soh_percent=decode_soh(soh_raw) if has_soh else None,
            status=status,
            status_raw=status_raw,
            lifetime_s=lifetime_s,
            time_left_s=time_left_s if status is BmsStatus.DISCHARGING else None,
        ),
        cells=_cells(fields[:_MAX_CELLS], bled, wanted, count),
        temperatures=Temperatures(_celsius(internal), _celsius(external_1), _celsius(external_2)),
        ratings=ratings,
        image=image,
    )


def decode_soc(raw: int) -> float:
    """Return the state of charge in percent that registers 46 and 47 hold."""
    return raw / 1_000_000


def decode_soh(raw: int) -> float | None:
    """Return the state of health in percent that register 45 holds; None for what is none."""
    return raw / 500 if 0 < raw <= _FULL_SOH else None


def decode_ratings(words_from_300: Sequence[int]) -> Ratings:
    """Return the ratings held by registers 300 to 343 (tinybms-protocol.md, 2).

    Raises:
        ValueError: If the registers up to 320 are not all there.

    """
    words = words_from_300
    if len(words) <= 20:
        raise ValueError(f"{len(words)} settings from register 300, needed are at least 21")
    return Ratings(
        series_cells=words[7],
        fully_charged_cell_v=words[0] / 1000,
        fully_discharged_cell_v=words[1] / 1000,
        over_voltage_cell_v=words[15] / 1000,
        under_voltage_cell_v=words[16] / 1000,
        charge_over_current_a=float(words[18]),
        discharge_over_current_a=float(words[17]),
        discharge_peak_current_a=None if words[5] in {0, WORD_MAX} else float(words[5]),
        over_heat_c=float(_signed(words[19])),
        low_temperature_charge_c=float(_signed(words[20])),
        capacity_ah=words[6] / 100,
        allowed_disbalance_mv=float(words[8]),
        charge_finished_current_a=words[4] / 1000,
        switches=_switches(words),
        early_balancing_cell_v=words[3] / 1000 or None,
        charge_restart=_charge_restart(words),
        charge_restart_percent=float(words[21]) if len(words) > 21 and 0 < words[21] <= _MOST_PERCENT else None,
    )


def _charge_restart(words: Sequence[int]) -> bool | None:
    """Return bit 2 of register 329; a register that is reserved reads as all ones."""
    flags = words[29] if len(words) > 29 else WORD_MAX
    return None if flags == WORD_MAX else bool(flags & _CHARGE_RESTART)


def _switches(words: Sequence[int]) -> Switches:
    """Return what registers 331, 333 and 340 say of the switches."""
    if len(words) <= 40:
        return Switches.UNKNOWN
    load, charger, mode = words[31] & 0xFF, words[33] & 0xFF, words[40] & 0xFF
    if mode == _SINGLE_PORT:
        return Switches.SINGLE
    if mode != _DUAL_PORT or load not in _LOAD_SWITCHES or charger not in _CHARGER_SWITCHES:
        return Switches.UNKNOWN
    return Switches.TWO_FETS if (load, charger) == (_LOAD_FET, _CHARGER_FET) else Switches.APART


def decode_identity(words_from_500: Sequence[int]) -> Identity:
    """Return the identity held by registers 500 to 509 (tinybms-protocol.md, 2).

    Raises:
        ValueError: If there are not 10 words of 16 bits.

    """
    words = words_from_500
    if len(words) != IDENTITY_COUNT:
        raise ValueError(f"{len(words)} registers from 500, expected {IDENTITY_COUNT}")
    return Identity(
        hardware_version=f"{words[0] & 0xFF}.{words[0] >> 8}",
        firmware_public=words[1] & 0xFF,
        firmware_internal=words[2],
        bootloader_version=words[3] & 0xFF,
        profile_version=words[3] >> 8,
        serial_number=pack_words(words[4:]).hex().upper(),
    )


def least_current_a(words_from_500: Sequence[int]) -> float:
    """Return the current below which the BMS reads 0, by the power type of its board (register 501, bit 8)."""
    return _HIGH_POWER_LEAST_A if words_from_500[1] & _HIGH_POWER else _LOW_POWER_LEAST_A


def _cell_count(configured: int | None, detected: int) -> int:
    if configured is not None and configured in _CELL_COUNTS:
        return configured
    return detected if detected in _CELL_COUNTS else _MAX_CELLS


def _cells(raw: tuple[int, ...], bled: int, wanted: int, count: int) -> Cells:
    """Cell n of N, counted from the lowest potential, is register and bit 15 - N + n."""
    first = _MAX_CELLS - count
    return Cells(
        voltages_v=tuple([value / 10_000 for value in raw[first:]]),
        balancing=tuple([bool(bled >> bit & 1) for bit in range(first, _MAX_CELLS)]),
        wanted=tuple([bool(wanted >> bit & 1) for bit in range(first, _MAX_CELLS)]) if wanted else _NONE_WANTED[count],
    )


def _celsius(raw: int) -> float | None:
    return None if raw == _NO_SENSOR else raw / 10


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word
