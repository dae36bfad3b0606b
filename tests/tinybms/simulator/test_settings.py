import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import SettingsTable
from tinybms_bridge.tinybms.live import decode_ratings
from tinybms_bridge.tinybms.registers import catalogue
from tinybms_bridge.tinybms.simulator.chemistry import CHEMISTRIES, LFP, LTO, Chemistry
from tinybms_bridge.tinybms.simulator.firmware import FIRMWARE_242, HIGH_POWER, LOW_POWER
from tinybms_bridge.tinybms.simulator.settings import SettingsBlock, default_settings


@pytest.fixture
def block() -> SettingsBlock:
    """Settings of a 16-cell LFP pack of 100 Ah on the newest firmware."""
    return SettingsBlock(default_settings(LFP, HIGH_POWER, 16, 100.0))


@pytest.mark.parametrize("chemistry", CHEMISTRIES.values(), ids=list(CHEMISTRIES))
@pytest.mark.parametrize("board", [LOW_POWER, HIGH_POWER], ids=["low", "high"])
def test_defaults_are_within_the_documented_ranges(chemistry: Chemistry, board: object) -> None:
    """Writing every default back is accepted: nothing holds what the device itself would refuse."""
    board = LOW_POWER if board is LOW_POWER else HIGH_POWER
    defaults = default_settings(chemistry, board, 4, 0.5)
    block = SettingsBlock(defaults)
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


@pytest.mark.parametrize("address", [0, 50, 299, 344, 399, 400, 500, 12801])
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


@pytest.mark.parametrize("address", [302, 309, 324, 327])
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

    assert (low[0], high[0], default[0], current[0]) == (1200, 4500, 3600, 3500)
    assert (low[20], high[20]) == (0x10000 - 40, 10)
    assert (high[12], high[13]) == (100000 & 0xFFFF, 100000 >> 16)
    assert high[30] == 30 << 8 | 2
    assert high[29] == 0b111
    assert (low[2], high[2], low[99], high[99]) == (0, 0, 0, 0)
    assert [len(table) for table in (low, high, default, current)] == [100] * 4


@given(st.sampled_from([r for r in catalogue().settings() if r.words == 1]), st.data())
def test_whatever_is_in_range_is_accepted(register: object, data: st.DataObject) -> None:
    """Every setting, alone in its register or not, over its whole range."""
    (register,) = [r for r in catalogue().settings() if r is register]
    block = SettingsBlock(default_settings(LFP, HIGH_POWER, 16, 100.0))
    raw = data.draw(st.integers(*register.raw_range))
    word = block[register.address] & ~register.mask | (raw << register.offset) & register.mask

    assert block.write([(register.address, word & 0xFFFF)])


def test_firmware_242_takes_writes_to_missing_registers_and_reads_zero() -> None:
    """What Rev B calls reserved keeps nothing."""
    block = SettingsBlock(default_settings(LFP, HIGH_POWER, 16, 100.0), FIRMWARE_242.masks)

    assert [block[a] for a in (305, 310, 311, 321, 322, 323)] == [0] * 6
    assert block.write([(305, 70), (330, 10 << 8 | 1)])
    assert (block[305], block[330]) == (0, 1)
    assert block.words(SettingsTable.MAXIMUM)[10] == 0
