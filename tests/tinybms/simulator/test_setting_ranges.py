from collections.abc import Mapping

import pytest

from tinybms_bridge.tinybms.registers import Register, catalogue
from tinybms_bridge.tinybms.simulator.chemistry import CHEMISTRIES, LFP, Chemistry
from tinybms_bridge.tinybms.simulator.firmware import HIGH_POWER, LOW_POWER, Board
from tinybms_bridge.tinybms.simulator.setting_ranges import Hardware, setting_range
from tinybms_bridge.tinybms.simulator.settings import default_settings

SINGLE_PORT = 340
SINGLE_SWITCH = 341
CHARGER_SWITCH = 333


def settings(board: Board = HIGH_POWER, changes: Mapping[int, int] | None = None) -> dict[int, int]:
    """Return raw settings of a 16-cell pack, with changes."""
    return default_settings(LFP, board, 16, 100.0) | dict(changes or {})


def register(address: int) -> Register:
    """Return the only setting at an address."""
    (found,) = catalogue().at(address)
    return found


@pytest.mark.parametrize(
    ("address", "span"),
    [(300, (2810, 3740)), (301, (2510, 3500)), (315, (3610, 4500)), (316, (800, 2790)), (303, (1000, 4500))],
)
def test_the_four_voltages_bound_each_other(address: int, span: tuple[int, int]) -> None:
    """316 + 10 <= 301, 301 + 10 <= 300, 300 + 10 <= 315, within the documented range."""
    assert setting_range(register(address), settings(), None) == span


def test_the_documented_range_still_counts() -> None:
    """301 ends at 3.5 V however high 300 is."""
    found = setting_range(register(301), settings(changes={300: 4400, 315: 4500}), None)

    assert found == (2510, 3500)


@pytest.mark.parametrize(
    ("board", "external", "changes", "limit_a"),
    [
        (LOW_POWER, False, {}, 60),
        (HIGH_POWER, False, {}, 150),
        (LOW_POWER, True, {}, 750),
        (HIGH_POWER, True, {}, 750),
        (HIGH_POWER, False, {SINGLE_PORT: 1}, 30),
        (HIGH_POWER, True, {SINGLE_PORT: 1}, 30),
        (HIGH_POWER, False, {SINGLE_PORT: 1, SINGLE_SWITCH: 5}, 150),
        (HIGH_POWER, False, {SINGLE_SWITCH: 0}, 150),
    ],
)
def test_the_largest_discharge_cutoff_depends_on_the_hardware(
    board: Board, external: bool, changes: dict[int, int], limit_a: int
) -> None:
    """30, 60, 150 or 750 A, as the manual lists them."""
    words = settings(board, {**changes, 305: 1000})
    hardware = Hardware(board, external)

    assert hardware.discharge_limit_a(words) == limit_a
    assert setting_range(register(317), words, hardware)[1] == limit_a


@pytest.mark.parametrize(
    ("board", "external", "changes", "limit_a"),
    [
        (LOW_POWER, False, {}, 30),
        (LOW_POWER, True, {}, 30),
        (HIGH_POWER, False, {}, 150),
        (HIGH_POWER, False, {CHARGER_SWITCH: 1}, 30),
        (HIGH_POWER, True, {}, 750),
        (HIGH_POWER, False, {SINGLE_PORT: 1, CHARGER_SWITCH: 6}, 30),
        (HIGH_POWER, False, {SINGLE_PORT: 1, SINGLE_SWITCH: 5, CHARGER_SWITCH: 1}, 150),
    ],
)
def test_the_largest_charge_cutoff_depends_on_the_switch(
    board: Board, external: bool, changes: dict[int, int], limit_a: int
) -> None:
    """30 A through the board's own transistor."""
    words = settings(board, changes)

    assert setting_range(register(318), words, Hardware(board, external))[1] == limit_a


def test_the_peak_cutoff_stays_above_the_slow_one() -> None:
    """305 above 317, and 317 below 305."""
    words, hardware = settings(), Hardware(HIGH_POWER)

    assert setting_range(register(305), words, hardware) == (151, 300)
    assert setting_range(register(317), settings(changes={305: 100}), hardware) == (1, 99)


def test_without_a_peak_cutoff_nothing_is_below_it() -> None:
    """Firmware 242 holds 0 there."""
    assert setting_range(register(317), settings(changes={305: 0}), Hardware(HIGH_POWER)) == (1, 150)


@pytest.mark.parametrize(("board", "least"), [(LOW_POWER, 100), (HIGH_POWER, 1000)])
def test_the_finishing_current_can_be_seen_by_the_board(board: Board, least: int) -> None:
    """Below the activity threshold a charge would never be seen to end."""
    low, high = setting_range(register(304), settings(board), Hardware(board))

    assert (low, high) == (least, 5000)
    assert low / 1000.0 > board.idle_current_a


@pytest.mark.parametrize("chemistry", CHEMISTRIES.values(), ids=list(CHEMISTRIES))
@pytest.mark.parametrize("board", [LOW_POWER, HIGH_POWER], ids=["low", "high"])
def test_what_is_delivered_is_in_range(chemistry: Chemistry, board: Board) -> None:
    """Every setting, dynamic limits and hardware included."""
    words = default_settings(chemistry, board, 8, 20.0)
    for setting in catalogue().settings():
        if setting.words == 1 and setting.address not in {323, 328} and setting.raw_range[0] >= 0:
            low, high = setting_range(setting, words, Hardware(board))
            assert low <= (words[setting.address] & setting.mask) >> setting.offset <= high, setting.key


def test_other_settings_do_not_move() -> None:
    """Their documented range, whatever else is set."""
    strange = {300: 4400, 315: 4500, 316: 900, 301: 1000, 317: 1, 340: 1}
    for setting in catalogue().settings():
        if setting.address not in {300, 301, 304, 305, 315, 316, 317, 318}:
            found = setting_range(setting, settings(changes=strange), Hardware(HIGH_POWER))
            assert found == setting.raw_range
