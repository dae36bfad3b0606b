import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.simulator.wire import Wire

_CHUNKS = st.sampled_from([None, 1, 3, 64])
_MESSAGES = st.lists(st.tuples(st.floats(min_value=0.0, max_value=0.05), st.binary(max_size=200)), max_size=6)


def _play(wire: Wire) -> list[tuple[float, bytes]]:
    """Deliver everything, each time when the wire says that it is worth it."""
    pieces: list[tuple[float, bytes]] = []
    while (now_s := wire.next_s) is not None:
        pieces += [(now_s, piece) for piece in wire.due(now_s)]
    return pieces


@given(_MESSAGES, _CHUNKS)
def test_every_byte_arrives_once_and_in_order(messages: list[tuple[float, bytes]], chunk: int | None) -> None:
    """However messages overlap and however they are cut."""
    wire = Wire(115200, chunk)
    for start_s, data in messages:
        wire.send(start_s, data)

    assert b"".join(piece for _, piece in _play(wire)) == b"".join(data for _, data in messages)
    assert wire.next_s is None


@given(_MESSAGES, _CHUNKS, st.sampled_from([9600, 115200, 1_000_000]))
def test_no_byte_is_early(messages: list[tuple[float, bytes]], chunk: int | None, baudrate: int) -> None:
    """Ten bits each, one message after the other."""
    wire = Wire(baudrate, chunk)
    free_s = 0.0
    due_s: list[float] = []
    for start_s, data in messages:
        wire.send(start_s, data)
        if data:
            begin_s = max(free_s, start_s)
            due_s += [begin_s + (i + 1) * 10 / baudrate for i in range(len(data))]
            free_s = begin_s + len(data) * 10 / baudrate

    delivered = 0
    for now_s, piece in _play(wire):
        delivered += len(piece)
        assert now_s >= due_s[delivered - 1] - 1e-9
    assert delivered == len(due_s)


def test_a_long_reply_comes_in_pieces_of_about_a_millisecond() -> None:
    """Not all at the end: a client sees it grow."""
    wire = Wire(115200)
    wire.send(0.0, bytes(117))
    pieces = _play(wire)

    assert [len(piece) for _, piece in pieces] == [11] * 10 + [7]
    assert pieces[-1][0] == pytest.approx(117 * 10 / 115200)


def test_a_late_timer_delivers_what_is_complete() -> None:
    """Nothing is lost or delayed twice when the loop was busy."""
    wire = Wire(115200)
    wire.send(0.0, bytes(100))

    assert [len(piece) for piece in wire.due(0.005)] == [57]
    assert [len(piece) for piece in wire.due(1.0)] == [43]


def test_an_adapter_collects_64_bytes() -> None:
    """As a CP2102 does: 64 and 55 of a 119-byte reply."""
    wire = Wire(115200, 64)
    wire.send(0.0, bytes(119))

    assert [(round(now_s * 1000, 1), len(piece)) for now_s, piece in _play(wire)] == [(5.6, 64), (10.3, 55)]


def test_single_bytes_are_delivered_singly() -> None:
    """The hardest case for a client's receiver."""
    wire = Wire(115200, 1)
    wire.send(0.0, b"abcdef")

    assert [piece for _, piece in _play(wire)] == [b"a", b"b", b"c", b"d", b"e", b"f"]


def test_a_message_waits_until_the_line_is_free() -> None:
    """Two replies do not mix."""
    wire = Wire(115200)
    wire.send(0.0, b"x" * 100)
    wire.send(0.001, b"y")

    now_s, piece = _play(wire)[-1]

    assert piece == b"y"
    assert now_s == pytest.approx(101 * 10 / 115200)


def test_receiving_takes_time_too() -> None:
    """A request of 8 bytes has arrived after 0.69 ms, a second one behind it later."""
    wire = Wire(115200)

    assert wire.received(1.0, 8) == pytest.approx(1.0 + 80 / 115200)
    assert wire.received(1.0, 8) == pytest.approx(1.0 + 160 / 115200)
    assert wire.received(2.0, 1) == pytest.approx(2.0 + 10 / 115200)


def test_a_slow_line_is_slow() -> None:
    """At 9600 baud a byte takes more than a millisecond."""
    wire = Wire(9600)
    wire.send(0.0, b"ab")

    assert wire.character_s == pytest.approx(0.00104, rel=0.01)
    assert [piece for _, piece in _play(wire)] == [b"a", b"b"]


def test_clearing_drops_what_is_under_way() -> None:
    """The device was unplugged."""
    wire = Wire(115200)
    wire.send(0.0, bytes(50))
    wire.due(0.001)
    wire.clear()

    assert wire.next_s is None
    assert wire.due(9.0) == []
    wire.send(0.5, b"z")
    assert wire.next_s == pytest.approx(0.5 + 10 / 115200)


@pytest.mark.parametrize(("baudrate", "chunk"), [(0, None), (-1, None), (115200, 0), (115200, -64)])
def test_impossible_lines_are_refused(baudrate: int, chunk: int | None) -> None:
    """Both numbers are told."""
    with pytest.raises(ValueError, match=f"got {baudrate} and {chunk}"):
        Wire(baudrate, chunk)
