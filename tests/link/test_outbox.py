"""What waits for a client that does not read."""

import json
import logging
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.link.outbox import Branches, EventRing, Outbox, QueuedMessage
from tinybms_bridge.link.wire import FROM_CORE, BranchChange, EventMessage, EventsLost, LinkMessage, MessageReader

ENOUGH = 1_000_000


def change(sequence: int, name: str = "a", value: object = 0) -> QueuedMessage:
    """Return a change of a branch."""
    return QueuedMessage(BranchChange(sequence, name, value))


def event(sequence: int) -> QueuedMessage:
    """Return an event."""
    return QueuedMessage(EventMessage(sequence, "rained", sequence))


def messages(data: bytes) -> list[LinkMessage]:
    """Return the messages in bytes."""
    reader = MessageReader(FROM_CORE, ENOUGH)
    reader.feed(data)
    return list(iter(reader.take, None))


def test_only_the_newest_of_each_branch_waits() -> None:
    """A client that reads again sees the present, not all that it slept through."""
    box = Outbox()
    for sequence, name in ((1, "a"), (2, "b"), (3, "a"), (4, "a")):
        box.put_branch(name, change(sequence, name, sequence))

    assert len(box) == 2
    assert messages(box.take(ENOUGH)) == [BranchChange(2, "b", 2), BranchChange(4, "a", 4)]
    assert box.merged == 2
    assert box.empty


def test_events_are_dropped_from_the_oldest_and_told() -> None:
    """The count comes before those that are left."""
    box = Outbox(most_events=3)
    for sequence in range(1, 6):
        box.put_event(event(sequence))

    found = messages(box.take(ENOUGH))

    assert found == [EventsLost(2), *(EventMessage(n, "rained", n) for n in (3, 4, 5))]
    assert (box.events_lost, box.empty, messages(box.take(ENOUGH))) == (2, True, [])


def test_changes_and_events_come_in_the_order_of_their_numbers() -> None:
    """An event is told after the change that came before it."""
    box = Outbox()
    for sequence in range(1, 7):
        if sequence % 2:
            box.put_branch(f"b{sequence}", change(sequence, f"b{sequence}"))
        else:
            box.put_event(event(sequence))

    found = messages(box.take(ENOUGH))

    assert [getattr(each, "sequence", 0) for each in found] == [1, 2, 3, 4, 5, 6]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.booleans())))
def test_what_is_taken_is_the_newest_in_order(steps: list[tuple[str, bool, bool]]) -> None:
    """Whatever is put and taken in between: numbers only grow, and the last value of each branch arrives."""
    box, numbers = Outbox(most_events=4), count(1)
    told: list[LinkMessage] = []
    newest: dict[str, int] = {}
    events = 0
    for name, is_event, take in steps:
        sequence = next(numbers)
        if is_event:
            box.put_event(event(sequence))
            events += 1
        else:
            box.put_branch(name, change(sequence, name, sequence))
            newest[name] = sequence
        assert len(box) <= 8
        if take:
            told += messages(box.take(1))
    while not box.empty:
        told += messages(box.take(1))

    order = [each.sequence for each in told if isinstance(each, BranchChange | EventMessage)]
    assert order == sorted(order)
    assert {each.branch: each.value for each in told if isinstance(each, BranchChange)} == newest
    lost = sum(each.events for each in told if isinstance(each, EventsLost))
    assert sum(isinstance(each, EventMessage) for each in told) + lost == events


def test_taking_ends_when_it_is_enough() -> None:
    """The rest stays where newer values may still replace it; but one message goes whatever its size."""
    box = Outbox()
    box.put_branch("a", change(1, "a", "x" * 1000))
    box.put_branch("b", change(2, "b"))

    assert messages(box.take(10)) == [BranchChange(1, "a", "x" * 1000)]
    assert len(box) == 1


def test_whole_branch_replaces_its_entries() -> None:
    """An entry of a map that was told before the whole map is told no more; one after it is."""
    branches = Branches()
    branches.put("tanks.a", change(1))
    branches.put("tank", change(2))
    branches.put("tanks.b", change(3))
    assert [name for name, _ in branches.since(0)] == ["tanks.a", "tank", "tanks.b"]

    assert branches.put("tanks", change(4))
    assert not branches.put("tanks.a", change(5))

    assert [name for name, _ in branches.since(0)] == ["tank", "tanks", "tanks.a"]
    assert [name for name, _ in branches.since(4)] == ["tanks.a"]


def test_ring_knows_what_it_does_not_know() -> None:
    """Who comes back too late is told everything again instead of something with a hole."""
    ring = EventRing(most=3)
    for sequence in (2, 4, 6, 8):
        ring.put(event(sequence))

    assert [each.sequence for each in ring.since(2) or []] == [4, 6, 8]
    assert [each.sequence for each in ring.since(7) or []] == [8]
    assert ring.since(8) == []
    assert ring.since(1) is None


def test_message_is_encoded_once_for_all() -> None:
    """Several clients get the very same bytes."""
    entry = change(1, "a", {"x": 1})

    assert entry.frame() is entry.frame()
    assert json.loads(entry.frame()[4:]) == {"type": "change", "sequence": 1, "branch": "a", "value": {"x": 1}}


def test_value_that_is_no_data_is_told_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the program in one branch keeps nothing else from the clients."""
    box = Outbox()
    box.put_branch("a", change(1, "a", object()))
    box.put_branch("b", change(2, "b"))

    with caplog.at_level(logging.ERROR):
        found = messages(box.take(ENOUGH))

    assert found == [BranchChange(2, "b", 0)]
    assert [record.getMessage() for record in caplog.records] == [
        "a cannot be sent to the services: Type is not JSON serializable: object"
    ]
