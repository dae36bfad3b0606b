from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import SettingsTable
from tinybms_bridge.tinybms.live import decode_ratings
from tinybms_bridge.tinybms.registers import Register, catalogue
from tinybms_lab.bms.chemistry import CHEMISTRIES, LFP, LTO, ChemistryModel
from tinybms_lab.bms.settings import (
    BoardHardware,
    OutOfRange,
    SettingsBlock,
    default_settings,
    setting_range,
)
from tinybms_lab.bms.variants import FIRMWARE_242, HIGH_POWER, LOW_POWER, Board

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
    hardware = BoardHardware(board, external)

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

    assert setting_range(register(318), words, BoardHardware(board, external))[1] == limit_a


def test_the_peak_cutoff_stays_above_the_slow_one() -> None:
    """305 above 317, and 317 below 305."""
    words, hardware = settings(), BoardHardware(HIGH_POWER)

    assert setting_range(register(305), words, hardware) == (151, 300)
    assert setting_range(register(317), settings(changes={305: 100}), hardware) == (1, 99)


def test_without_a_peak_cutoff_nothing_is_below_it() -> None:
    """Firmware 242 holds 0 there."""
    assert setting_range(register(317), settings(changes={305: 0}), BoardHardware(HIGH_POWER)) == (1, 150)


@pytest.mark.parametrize(("board", "least"), [(LOW_POWER, 100), (HIGH_POWER, 1000)])
def test_the_finishing_current_can_be_seen_by_the_board(board: Board, least: int) -> None:
    """Below the activity threshold a charge would never be seen to end."""
    low, high = setting_range(register(304), settings(board), BoardHardware(board))

    assert (low, high) == (least, 5000)
    assert low / 1000.0 > board.idle_current_a


@pytest.mark.parametrize("chemistry", CHEMISTRIES.values(), ids=list(CHEMISTRIES))
@pytest.mark.parametrize("board", [LOW_POWER, HIGH_POWER], ids=["low", "high"])
def test_what_is_delivered_is_in_range(chemistry: ChemistryModel, board: Board) -> None:
    """Every setting, dynamic limits and hardware included."""
    words = default_settings(chemistry, board, 8, 20.0)
    for setting in catalogue().settings():
        if setting.words == 1 and setting.address not in {323, 328} and setting.raw_range[0] >= 0:
            low, high = setting_range(setting, words, BoardHardware(board))
            assert low <= (words[setting.address] & setting.mask) >> setting.offset <= high, setting.key


def test_other_settings_do_not_move() -> None:
    """Their documented range, whatever else is set."""
    strange = {300: 4400, 315: 4500, 316: 900, 301: 1000, 317: 1, 340: 1}
    for setting in catalogue().settings():
        if setting.address not in {300, 301, 304, 305, 315, 316, 317, 318}:
            found = setting_range(setting, settings(changes=strange), BoardHardware(HIGH_POWER))
            assert found == setting.raw_range


@pytest.fixture
def block() -> SettingsBlock:
    """Settings of a 16-cell LFP pack of 100 Ah on the newest firmware."""
    return SettingsBlock(default_settings(LFP, HIGH_POWER, 16, 100.0))


@pytest.mark.parametrize("chemistry", CHEMISTRIES.values(), ids=list(CHEMISTRIES))
@pytest.mark.parametrize("board", [LOW_POWER, HIGH_POWER], ids=["low", "high"])
def test_defaults_are_within_the_documented_ranges(chemistry: ChemistryModel, board: object) -> None:
    """Writing every default back is accepted: nothing holds what the device itself would refuse."""
    board = LOW_POWER if board is LOW_POWER else HIGH_POWER
    defaults = default_settings(chemistry, board, 4, 0.5)
    block = SettingsBlock(defaults, hardware=BoardHardware(board))
    pairs = [(a, v) for a, v in defaults.items() if a < 344 and a not in {323, 328}]

    assert block.write(pairs)
    assert dict(block) == defaults


def test_defaults_describe_the_pack() -> None:
    """The bridge derives its limits from these."""
    ratings = decode_ratings(SettingsBlock(default_settings(LTO, LOW_POWER, 12, 66.0)).words()[:44])

    assert ratings.series_cells == 12
    assert ratings.capacity_ah == 66.0
    assert (ratings.charge_over_current_a, ratings.discharge_over_current_a) == (30, 60)
    assert ratings.low_temperature_charge_c == -20
    assert ratings.fully_charged_cell_v == 2.7


@pytest.mark.parametrize(("cells", "capacity_ah"), [(3, 100.0), (16, 700.0), (16, 0.01)])
def test_a_pack_that_the_registers_cannot_hold_is_refused(cells: int, capacity_ah: float) -> None:
    """The message names the register."""
    with pytest.raises(ValueError, match=r"register 30[67] .* is outside"):
        default_settings(LFP, HIGH_POWER, cells, capacity_ah)


def test_a_write_is_read_back(block: SettingsBlock) -> None:
    """Two neighbours and one far away."""
    assert block.write([(300, 3550), (301, 2900), (320, 0x10000 - 5)])
    assert (block[300], block[301], block[320]) == (3550, 2900, 0xFFFB)


@pytest.mark.parametrize(
    ("address", "value"),
    [
        (300, 1199),
        (300, 4501),
        (304, 5001),
        (306, 9),
        (307, 3),
        (307, 17),
        (308, 14),
        (314, 0),
        (319, 91),
        (320, 0x10000 - 41),
        (320, 11),
        (323, 50001),
        (328, 50001),
        (330, 0x0003),
        (330, 31 << 8 | 1),
        (333, 0),
        (343, 3),
    ],
)
def test_values_outside_the_static_range_are_refused(block: SettingsBlock, address: int, value: int) -> None:
    """The catalogue decides, for part of a register too."""
    before = block.words()

    assert not block.write([(address, value)])
    assert block.words() == before


@pytest.mark.parametrize("address", [0, 50, 299, 400, 500, 12801])
def test_addresses_outside_the_settings_are_refused(block: SettingsBlock, address: int) -> None:
    """A real unit answered NACK to a write to 12801."""
    assert not block.write([(address, 1)])


def test_a_refused_pair_undoes_the_others(block: SettingsBlock) -> None:
    """All or none."""
    before = block.words()

    assert not block.write([(300, 3550), (301, 9000)])
    assert block.words() == before


def test_a_value_of_two_registers_is_judged_as_a_whole(block: SettingsBlock) -> None:
    """1 to 100000 pulses: either half alone may be any number that keeps the whole in range."""
    assert block.write([(312, 0x86A0), (313, 1)])
    assert not block.write([(312, 0x86A1)])
    assert block.write([(313, 0), (312, 1)])
    assert not block.write([(312, 0)])


@pytest.mark.parametrize("address", [302, 309, 324, 327, 344, 399])
def test_reserved_registers_take_anything_and_keep_zero(block: SettingsBlock, address: int) -> None:
    """A bulk write of 300 to 316 crosses two of them."""
    assert block.write([(address, 12345)])
    assert block[address] == 0


@pytest.mark.parametrize("address", [323, 328])
def test_write_to_set_registers_always_read_ffff(block: SettingsBlock, address: int) -> None:
    """The value is taken over at once."""
    assert block[address] == 0xFFFF
    assert block.write([(address, 25000)])
    assert block[address] == 0xFFFF


def test_the_tables_of_command_1d(block: SettingsBlock) -> None:
    """Minimum, maximum, default and current value of each register from 300."""
    block.write([(300, 3500)])
    low, high, default, current = (block.words(table) for table in SettingsTable)

    assert (low[0], high[0], default[0], current[0]) == (2810, 3740, 3600, 3500)
    assert (low[20], high[20]) == (0x10000 - 40, 10)
    assert (high[12], high[13]) == (100000 & 0xFFFF, 100000 >> 16)
    assert high[30] == 30 << 8 | 2
    assert high[29] == 0b111
    assert (low[2], high[2], low[99], high[99]) == (0, 0, 0, 0)
    assert [len(table) for table in (low, high, default, current)] == [100] * 4


@given(st.sampled_from([r for r in catalogue().settings() if r.words == 1]), st.data())
def test_whatever_is_in_range_is_accepted(register: object, data: st.DataObject) -> None:
    """Every setting, alone in its register or not, over its whole range as it stands."""
    (register,) = [r for r in catalogue().settings() if r is register]
    block = SettingsBlock(default_settings(LFP, HIGH_POWER, 16, 100.0), hardware=BoardHardware(HIGH_POWER))
    raw = data.draw(st.integers(*setting_range(register, block, BoardHardware(HIGH_POWER))))
    word = block[register.address] & ~register.mask | (raw << register.offset) & register.mask

    assert block.write([(register.address, word & 0xFFFF)])


def test_firmware_242_takes_writes_to_missing_registers_and_reads_zero() -> None:
    """What Rev B calls reserved keeps nothing."""
    block = SettingsBlock(default_settings(LFP, HIGH_POWER, 16, 100.0), FIRMWARE_242.masks)

    assert [block[a] for a in (305, 310, 311, 321, 322, 323)] == [0] * 6
    assert block.write([(305, 70), (330, 10 << 8 | 1)])
    assert (block[305], block[330]) == (0, 1)
    assert block.words(SettingsTable.MAXIMUM)[10] == 0


def _block(out_of_range: OutOfRange = OutOfRange.NACK, *, keeps: bool = False) -> SettingsBlock:
    defaults = default_settings(LFP, HIGH_POWER, 16, 100.0)
    return SettingsBlock(
        defaults, hardware=BoardHardware(HIGH_POWER), out_of_range=out_of_range, keeps_partial_writes=keeps
    )


@pytest.mark.parametrize(
    ("pairs", "accepted"),
    [
        ([(300, 2800 + 10)], True),
        ([(300, 2800 + 9)], False),
        ([(300, 3740)], True),
        ([(300, 3741)], False),
        ([(315, 3610)], True),
        ([(315, 3609)], False),
        ([(301, 2510)], True),
        ([(301, 2509)], False),
        ([(316, 2790)], True),
        ([(316, 2791)], False),
        ([(315, 3800), (300, 3790)], True),
        ([(300, 3790), (315, 3800)], False),
        ([(316, 2000), (301, 2100)], True),
        ([(301, 2100), (316, 2000)], False),
    ],
)
def test_the_four_voltages_keep_their_distance_at_every_step(pairs: list[tuple[int, int]], accepted: bool) -> None:
    """Each value is judged when its turn comes: a bulk write in the wrong order is refused half way."""
    assert _block().write(pairs) is accepted


@pytest.mark.parametrize("keeps", [False, True])
def test_a_refused_write_leaves_the_values_before_the_bad_one_or_not(keeps: bool) -> None:
    """Nobody knows which; what follows the bad value is never written."""
    block = _block(keeps=keeps)

    assert not block.write([(308, 20), (303, 3300), (301, 9000), (310, 30)])
    assert (block[308], block[303], block[301], block[310]) == ((20, 3300, 2800, 20) if keeps else (15, 3400, 2800, 20))


@pytest.mark.parametrize(
    ("address", "value", "clamped"),
    [
        (300, 4400, 3740),
        (300, 100, 2810),
        (308, 5, 15),
        (320, 50, 10),
        (320, 0x10000 - 60, 0x10000 - 40),
        (330, 99 << 8 | 7, 30 << 8 | 2),
        (317, 700, 150),
    ],
)
def test_out_of_range_may_mean_the_nearest_value(address: int, value: int, clamped: int) -> None:
    """Part by part in a shared register."""
    block = _block(OutOfRange.CLAMP)

    assert block.write([(address, value)])
    assert block[address] == clamped


def test_out_of_range_may_mean_nothing() -> None:
    """The unit says that it is done; the good values beside are written."""
    block = _block(OutOfRange.IGNORE)
    before = block[300]

    assert block.write([(300, 4400), (308, 20), (330, 99 << 8)])
    assert (block[300], block[308], block[330]) == (before, 20, 0)


def test_values_of_two_registers_out_of_range() -> None:
    """Clamped or left as a whole."""
    clamping, ignoring = _block(OutOfRange.CLAMP), _block(OutOfRange.IGNORE)
    for block in (clamping, ignoring):
        assert block.write([(312, 0xFFFF), (313, 0xFFFF)])

    assert (clamping[312], clamping[313]) == (100000 & 0xFFFF, 100000 >> 16)
    assert (ignoring[312], ignoring[313]) == (1, 0)


@pytest.mark.parametrize("policy", OutOfRange)
def test_addresses_outside_are_refused_whatever_the_habit(policy: OutOfRange) -> None:
    """There is nothing to clamp."""
    assert not _block(policy).write([(400, 1)])


def test_values_that_are_set_are_handed_on_once() -> None:
    """328 and 323 keep 0xFFFF; the device takes the value of the last write, clamped if need be."""
    block = _block(OutOfRange.CLAMP)
    block.write([(328, 40000), (323, 60000)])
    assert block.taken_over() == {328: 40000, 323: 50000}

    block.write([(308, 20)])
    assert block.taken_over() == {}


def test_a_refused_write_hands_nothing_on() -> None:
    """Nor does it count as one that was carried out in part."""
    block = _block()
    block.write([(328, 40000), (301, 9000)])

    assert block.taken_over() == {}
    assert block[328] == 0xFFFF


def test_writes_are_counted() -> None:
    """So that others know when to look again."""
    block = _block()
    before = block.revision
    block.write([(308, 20)])
    block.write([(308, 5)])

    assert block.revision == before + 2


@given(
    st.lists(st.tuples(st.integers(298, 402), st.integers(0, 0xFFFF)), max_size=12),
    st.sampled_from(OutOfRange),
    st.booleans(),
)
def test_no_write_leaves_a_value_out_of_its_static_range(
    pairs: list[tuple[int, int]], policy: OutOfRange, keeps: bool
) -> None:
    """Whatever is sent, the unit holds values that mean something, and the four voltages in order."""
    block = _block(policy, keeps=keeps)
    block.write(pairs)

    for register in catalogue().settings():
        low, high = register.raw_range
        words = [block[register.address + i] for i in range(register.words)]
        raw = words[0] | words[1] << 16 if register.words == 2 else (words[0] & register.mask) >> register.offset
        if low < 0 and raw >> register.width - 1:
            raw -= 1 << register.width
        assert low <= raw <= high or words == [0xFFFF]
    assert block[316] + 10 <= block[301] <= block[300] - 10 <= block[315] - 20
