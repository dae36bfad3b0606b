import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.simulator.memory import REGISTER_COUNT, OffMap, RegisterFile


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
