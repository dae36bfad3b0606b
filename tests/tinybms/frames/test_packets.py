import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import Command, split_packets
from tinybms_bridge.tinybms.frames.crc import has_valid_crc
from tinybms_bridge.tinybms.frames.packets import packet_count


def test_fifty_seven_registers_take_124_bytes() -> None:
    """The reply that a real unit sent for 57 registers: 0x82 with 63 bytes, then the other 51."""
    first, second = split_packets(Command.READ_BLOCK, bytes(114))

    assert len(first) + len(second) == 124
    assert (first[2], second[2]) == (0x82, 51)


def test_forty_five_registers_end_with_27_bytes() -> None:
    """The last packet that a real unit sent for 45 registers had length 27."""
    assert split_packets(Command.READ_BLOCK, bytes(90))[-1][2] == 27


@pytest.mark.parametrize(("size", "lengths"), [(0, [0]), (62, [62]), (63, [63]), (64, [0x82, 1]), (126, [0x82, 63])])
def test_borders(size: int, lengths: list[int]) -> None:
    """Sixty-three bytes still fit one packet, one more needs a second."""
    assert [frame[2] for frame in split_packets(Command.READ_LIST, bytes(size))] == lengths


def test_ids_count_packets_left() -> None:
    """By default the id says how many packets are left, itself included."""
    assert [frame[2] for frame in split_packets(Command.READ_BLOCK, bytes(200))] == [0x84, 0x83, 0x82, 11]


def test_ids_may_give_the_total() -> None:
    """The other reading of what was seen on hardware: every id is the number of packets."""
    frames = split_packets(Command.READ_BLOCK, bytes(200), count_down=False)

    assert [frame[2] for frame in frames] == [0x84, 0x84, 0x84, 11]


@given(st.binary(max_size=510), st.booleans())
def test_payload_is_kept_in_order(payload: bytes, count_down: bool) -> None:
    """Joining the packets gives the payload; each has its own header and CRC."""
    frames = split_packets(Command.READ_BLOCK, payload, count_down=count_down)

    assert b"".join(frame[3:-2] for frame in frames) == payload
    assert all(frame[:2] == b"\xaa\x07" and has_valid_crc(frame) for frame in frames)
    assert len(frames) == packet_count(len(payload))


@given(st.integers(64, 510))
def test_only_the_last_packet_lacks_the_flag(size: int) -> None:
    """Bit 7 is set in every packet but the last, and all those are full."""
    *others, last = split_packets(Command.READ_BLOCK, bytes(size))

    assert all(frame[2] & 0x80 and len(frame) == 68 for frame in others)
    assert not last[2] & 0x80
