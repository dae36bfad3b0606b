import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.live import decode_identity
from tinybms_lab.bms.variants import (
    FIRMWARE_242,
    FIRMWARE_254,
    FIRMWARES,
    HIGH_POWER,
    LOW_POWER,
    REGISTER_COUNT,
    Board,
    Firmware,
    OffMap,
    RegisterFile,
)

_SERIAL = bytes(range(1, 13))


@pytest.mark.parametrize("address", [45, 305, 310, 311, 321, 322, 323])
def test_firmware_242_lacks_the_registers_of_rev_d(address: int) -> None:
    """Rev B units answer them as reserved."""
    assert FIRMWARE_242.mask(address) == 0
    assert FIRMWARE_254.mask(address) == 0xFFFF


def test_firmware_242_lacks_some_bits() -> None:
    """The first bits of 329 came with 2.3.243, its third one and the high byte of 330 with Rev D."""
    assert FIRMWARE_242.mask(329) == 0
    assert FIRMWARE_254.mask(329) == 0xFFFF
    assert FIRMWARE_242.mask(330) == 0x00FF


@pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=[str(key) for key in FIRMWARES])
def test_a_firmware_names_itself(firmware: Firmware) -> None:
    """The bridge reads the version that was chosen."""
    identity = decode_identity(firmware.version_words(HIGH_POWER, _SERIAL))

    assert identity.firmware_internal == firmware.internal
    assert identity.hardware_version == "2.1"
    assert identity.serial_number == _SERIAL.hex().upper()


def test_version_words_are_those_seen_on_a_unit() -> None:
    """0x0102, 0x0301, 242 and 0x0418 of a 14-cell unit with firmware 242."""
    assert FIRMWARE_242.version_words(HIGH_POWER, _SERIAL)[:4] == [0x0102, 0x0301, 242, 0x0418]


@pytest.mark.parametrize(("board", "power_bit", "threshold_a"), [(LOW_POWER, 0, 0.08), (HIGH_POWER, 1, 0.8)])
def test_boards_tell_their_power_type(board: Board, power_bit: int, threshold_a: float) -> None:
    """Bit 8 of register 501 decides the activity threshold."""
    assert FIRMWARE_254.version_words(board, _SERIAL)[1] >> 8 & 1 == power_bit
    assert board.idle_current_a == threshold_a


@pytest.mark.parametrize(("board", "word"), [(LOW_POWER, 0x0400), (HIGH_POWER, 0x0500)])
def test_an_external_sensor_shows_in_register_501(board: Board, word: int) -> None:
    """Bits 9 and 10 say 2; the power type stays."""
    assert FIRMWARE_254.version_words(board, _SERIAL, external_sensor=True)[1] == word | 3


@pytest.mark.parametrize("board", [LOW_POWER, HIGH_POWER])
def test_the_peak_cutoff_exceeds_the_slow_one(board: Board) -> None:
    """The manual wants 305 above 317."""
    assert board.peak_cutoff_a > board.discharge_cutoff_a


def test_a_new_file_reads_zero() -> None:
    """Reserved registers inside the map are readable."""
    memory = RegisterFile()

    assert memory.read(0, 127) == (0,) * 127
    assert memory.read(510, 90) == (0,) * 90


@given(
    st.integers(min_value=0, max_value=340),
    st.lists(st.integers(min_value=0, max_value=0xFFFF), min_size=1, max_size=59),
)
def test_what_is_patched_is_read(address: int, words: list[int]) -> None:
    """Neighbours stay as they were."""
    memory = RegisterFile()
    memory.patch(address, words)

    assert memory.read(address, len(words)) == tuple(words)
    assert memory.read(0, 400) == (0,) * address + tuple(words) + (0,) * (400 - address - len(words))


def test_missing_bits_read_zero() -> None:
    """A firmware without a register answers 0 whatever the model says."""
    memory = RegisterFile(masks={45: 0, 330: 0x00FF})
    memory.patch(44, [1, 2, 3])
    memory.patch(330, [0x1234])

    assert memory.read(44, 3) == (1, 0, 3)
    assert memory.read(330, 1) == (0x0034,)


@pytest.mark.parametrize(
    ("address", "count"),
    [(400, 1), (499, 1), (395, 10), (450, 127), (495, 10), (600, 1), (599, 2), (0x2C01, 45), (65535, 1)],
)
def test_reading_off_the_map_is_refused_or_gives_garbage(address: int, count: int) -> None:
    """Real units did both; the option chooses."""
    refusing, babbling = RegisterFile(OffMap.NACK), RegisterFile(OffMap.GARBAGE)

    assert refusing.read(address, count) is None
    words = babbling.read(address, count)
    assert words is not None
    assert len(words) == count
    assert set(words) & {0xFFFF, 0xFFFB}


def test_garbage_begins_where_the_map_ends() -> None:
    """The documented part of such a read is right."""
    memory = RegisterFile(OffMap.GARBAGE)
    memory.patch(398, [11, 22])

    assert memory.read(398, 3) == (11, 22, 0xFFFF)


def test_the_whole_map_is_there() -> None:
    """Its two halves reach to the borders."""
    memory = RegisterFile()

    assert memory.read(0, 400) is not None
    assert memory.read(500, REGISTER_COUNT - 500) is not None
