"""Framing and messages of the link."""

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.link.failures import Failure
from tinybms_bridge.link.wire import (
    FROM_CLIENT,
    FROM_CORE,
    LINK_VERSION,
    BranchChange,
    Bye,
    Call,
    CallAnswer,
    CallProgress,
    EventMessage,
    EventsLost,
    Hello,
    KeepAlive,
    LinkMessage,
    MessageReader,
    Unknown,
    WholeState,
    encode,
    why_incompatible,
)
from tinybms_bridge.words import Message

ALL = {**FROM_CORE, **FROM_CLIENT}
MOST = 2000

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(0, 2**53)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, values, max_size=3)
told = st.builds(Message, texts, objects, texts)
failures = st.builds(
    Failure, texts, told, hint=st.none() | told, names=st.lists(texts, max_size=2).map(tuple), code=numbers
)
messages: st.SearchStrategy[LinkMessage] = st.one_of(
    st.builds(Hello, texts, program_version=texts, who=texts, run=texts, sequence=numbers, resumed=st.booleans()),
    st.builds(WholeState, numbers, objects),
    st.builds(BranchChange, numbers, texts, values),
    st.builds(EventMessage, numbers, texts, values),
    st.builds(EventsLost, numbers),
    st.builds(Call, numbers, texts, objects),
    st.builds(CallProgress, numbers, values),
    st.builds(CallAnswer, numbers, values, st.none() | failures),
    st.just(KeepAlive()),
    st.builds(Bye, texts),
)


def read(reader: MessageReader, *chunks: bytes) -> list[LinkMessage]:
    """Feed chunks and return every message that they give."""
    found: list[LinkMessage] = []
    for chunk in chunks:
        reader.feed(chunk)
        while (message := reader.take()) is not None:
            found.append(message)
    return found


def raw(document: object) -> bytes:
    """Return any JSON as a message."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return len(body).to_bytes(4, "big") + body


@given(st.lists(messages, max_size=6), st.data())
def test_any_cut_of_the_stream_gives_the_same_messages(sent: list[LinkMessage], data: st.DataObject) -> None:
    """Bytes arrive in any pieces; what is read is what was written."""
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]

    reader = MessageReader(ALL, 100_000)

    assert read(reader, *chunks) == sent
    assert (reader.broken, reader.waiting) == ("", 0)


@given(st.lists(messages, max_size=3), st.lists(st.binary(max_size=300), max_size=6))
def test_garbage_never_raises(sent: list[LinkMessage], garbage: list[bytes]) -> None:
    """Whatever arrives gives messages or one reason; what was good before it has been read."""
    reader = MessageReader(ALL, MOST)

    found = read(reader, b"".join(map(encode, sent)), *garbage)

    assert found[: len(sent)] == sent or reader.broken
    assert reader.waiting <= MOST + 4 + 300


@given(messages, st.data())
def test_flipped_byte_never_raises(message: LinkMessage, data: st.DataObject) -> None:
    """A damaged message is another one, is waited for, or ends the reading."""
    stream = bytearray(encode(message))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    reader = MessageReader(ALL, MOST)

    found = read(reader, bytes(stream))

    assert len(found) <= 1
    assert not (found and reader.waiting and reader.broken)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ((2001).to_bytes(4, "big"), "a message of 2001 bytes is longer than the 2000 that are allowed"),
        (b"GET / HTTP/1.1\r\n", "a message of 1195725856 bytes is longer than the 2000 that are allowed"),
        (raw(b""), "is not JSON: "),
        (raw(b"{"), "is not JSON: "),
        (raw(b"\xff\xfe"), "is not JSON: "),
        (raw([1, 2]), "a message is no object with a type"),
        (raw({"a": 1}), "a message is no object with a type"),
        (raw({"type": 5}), "a message is no object with a type"),
        (raw({"type": "command", "id": 1}), "a message of type command: name: is missing"),
        (raw({"type": "command", "id": "1", "name": "x"}), "a message of type command: id: must be a whole number"),
        (raw({"type": "hello"}), "a message of type hello: link_version: is missing"),
        (raw({"type": "answer", "id": 1, "failure": 3}), "a message of type answer: failure: "),
    ],
)
def test_what_is_wrong_ends_the_reading_with_a_reason(sent: bytes, reason: str) -> None:
    """Nothing after it is believed, good as it may look."""
    reader = MessageReader(ALL, MOST)

    found = read(reader, encode(KeepAlive()) + sent, encode(KeepAlive()))

    assert found == [KeepAlive()]
    assert reader.broken.startswith(reason)
    assert (reader.waiting, reader.take()) == (0, None)


def test_announced_megabyte_is_not_waited_for() -> None:
    """The length alone is enough to refuse it: nothing is kept."""
    reader = MessageReader(ALL, MOST)

    assert read(reader, (1 << 20).to_bytes(4, "big") + b"x" * 1000) == []
    assert reader.broken
    assert reader.waiting == 0


def test_truncated_message_is_waited_for() -> None:
    """Half a message is no message, and no error."""
    whole = encode(BranchChange(3, "battery", {"soc": 1.5}))
    reader = MessageReader(ALL, MOST)

    assert read(reader, whole[:-1]) == []
    assert reader.broken == ""
    assert read(reader, whole[-1:]) == [BranchChange(3, "battery", {"soc": 1.5})]


def test_doubled_message_is_read_twice() -> None:
    """What it means twice is for who gets it to say."""
    assert read(MessageReader(ALL, MOST), encode(EventsLost(4)) * 2) == [EventsLost(4), EventsLost(4)]


def test_newer_peer_is_understood_as_far_as_it_goes() -> None:
    """Types of messages and fields that are unknown are passed over."""
    reader = MessageReader(FROM_CORE, MOST)

    found = read(reader, raw({"type": "novelty", "x": 1}), raw({"type": "lost", "events": 2, "since": "yesterday"}))

    assert found == [Unknown("novelty"), EventsLost(2)]
    assert reader.broken == ""


def test_each_side_listens_to_its_own_messages() -> None:
    """A client that sends a state tells the core nothing."""
    assert read(MessageReader(FROM_CLIENT, MOST), encode(WholeState(1, {}))) == [Unknown("state")]
    assert read(MessageReader(FROM_CORE, MOST), encode(Call(1, "x"))) == [Unknown("command")]


def test_message_that_is_too_long_is_not_sent() -> None:
    """The other side would close the connection for it."""
    with pytest.raises(ValueError, match=r"a message of 10\d\d bytes is longer than the 1000 that the link takes"):
        encode(Call(1, "x" * 970), most=1000)


def test_dataclasses_are_written_as_they_are() -> None:
    """A branch is a value of the program; nobody turns it into something else first."""

    @dataclass(frozen=True, slots=True)
    class Value:
        voltage_v: float

    (change,) = read(MessageReader(FROM_CORE, MOST), encode(BranchChange(1, "a", Value(1.5))))

    assert change == BranchChange(1, "a", {"voltage_v": 1.5})


@pytest.mark.parametrize("theirs", ["1.0", "1.1", LINK_VERSION])
def test_neighbouring_minor_versions_work_together(theirs: str) -> None:
    """An update of one of the two programs is no reason to stop the other."""
    assert why_incompatible(theirs, "1.0") == ""
    assert why_incompatible("1.0", theirs) == ""


@pytest.mark.parametrize(("theirs", "ours"), [("1.2", "1.0"), ("1.0", "1.2"), ("2.0", "1.0"), ("0.9", "1.0")])
def test_other_versions_are_refused_in_words(theirs: str, ours: str) -> None:
    """The reason names both, and what to do."""
    assert why_incompatible(theirs, ours) == (
        f"it speaks version {theirs} of the link, this one {ours}; run both from the same version of the program"
    )


@pytest.mark.parametrize("theirs", ["", "1", "1.x", "x.1", "-1.0", "1.0.0", "1." + "9" * 40, "١.٠"])
def test_version_that_is_none_is_refused(theirs: str) -> None:
    """Nothing is guessed from it."""
    assert why_incompatible(theirs).startswith("it speaks an unknown version of the link, ")


def test_unknown_documents_need_a_type() -> None:
    """A message that could be anything is no message."""
    documents: list[Any] = [{}, {"Type": "alive"}, {"type": None}]
    assert all(not read(MessageReader(ALL, MOST), raw(each)) for each in documents)
