"""The state of the core as last heard."""

import logging
from dataclasses import dataclass

import pytest

from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.wire import BranchChange, EventMessage, EventsLost, WholeState
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.link_place import EVENTS, Rained, Tank, Tree


@pytest.fixture
def mirror(clock: FakeClock) -> Mirror[Tree]:
    """A mirror that knows nothing yet."""
    return Mirror(Tree, EVENTS, clock.monotonic)


def test_before_anything_is_heard_all_is_unknown(mirror: Mirror[Tree], clock: FakeClock) -> None:
    """Defaults, and no connection since the start."""
    assert mirror.state == Tree()
    assert (mirror.connected, mirror.since_s, mirror.last_heard_s) == (False, clock.monotonic(), None)


def test_state_then_changes(mirror: Mirror[Tree]) -> None:
    """Each change replaces one branch, or one entry of a map."""
    mirror.take_state(WholeState(5, {"tank": {"level_m": 1.0}, "tanks": {"a": {"level_m": 2.0}}}), "run")
    assert mirror.state == Tree(Tank(1.0), {"a": Tank(2.0)})
    assert (mirror.run_id, mirror.sequence) == ("run", 5)

    mirror.take_change(BranchChange(6, "tanks.b", {"level_m": 3.0}))
    mirror.take_change(BranchChange(7, "count", 4))

    assert mirror.state == Tree(Tank(1.0), {"a": Tank(2.0), "b": Tank(3.0)}, 4)
    assert mirror.sequence == 7


def test_whole_state_forgets_what_it_does_not_name(mirror: Mirror[Tree]) -> None:
    """A core that has started again knows nothing of a tank; the old one must not stay."""
    mirror.take_state(WholeState(5, {"tank": {"level_m": 1.0}}), "first")

    mirror.take_state(WholeState(1, {"count": 1}), "second")

    assert mirror.state == Tree(count=1)


def test_entries_of_a_map_change_one_by_one_and_as_a_whole(mirror: Mirror[Tree]) -> None:
    """Each keeps its place in what is known, a whole map replaces them all, and other branches stay the same object."""
    mirror.take_state(WholeState(1, {"tank": {"level_m": 9.0}, "tanks": {"a": {"level_m": 1.0}}}), "run")
    tank = mirror.state.tank
    mirror.take_change(BranchChange(2, "tanks.b", {"level_m": 2.0}))
    mirror.take_change(BranchChange(3, "tanks.b", {"level_m": 3.0}))
    assert mirror.state.tanks == {"a": Tank(1.0), "b": Tank(3.0)}

    mirror.take_change(BranchChange(4, "tanks", {"b": {"level_m": 4.0}}))
    mirror.take_change(BranchChange(5, "tanks.b", {"level_m": 5.0}))
    assert mirror.state.tanks == {"b": Tank(5.0)}
    assert mirror.state.tank is tank


def test_who_waits_is_called_once_for_all_that_came_together(mirror: Mirror[Tree]) -> None:
    """With the branches that have another value; who waits for others is not called."""
    all_of_them: list[frozenset[str]] = []
    tanks: list[frozenset[str]] = []
    mirror.on_change(all_of_them.append)
    end = mirror.on_change(tanks.append, "tank", "tanks")

    mirror.take_change(BranchChange(1, "count", 1))
    mirror.tell_changes()
    mirror.take_change(BranchChange(2, "tanks.a", {}))
    mirror.take_change(BranchChange(3, "count", 2))
    mirror.tell_changes()
    mirror.tell_changes()
    end()
    mirror.take_change(BranchChange(4, "tank", {}))
    mirror.tell_changes()

    assert all_of_them == [{"count"}, {"tanks", "count"}, {"tank"}]
    assert tanks == [{"tanks", "count"}]


def test_whole_state_changes_everything(mirror: Mirror[Tree]) -> None:
    """Also what is unknown again."""
    seen: list[frozenset[str]] = []
    mirror.on_change(seen.append)

    mirror.take_state(WholeState(1, {}), "run")
    mirror.tell_changes()

    assert seen == [{"tank", "tanks", "count"}]


def test_events_go_to_who_waits_for_their_type(mirror: Mirror[Tree]) -> None:
    """Others, and kinds of a newer core, go to nobody."""
    rains: list[object] = []
    others: list[object] = []
    mirror.on_event(rains.append, Rained)
    end = mirror.on_event(others.append, Tank)
    everything: list[object] = []
    mirror.on_event(everything.append)

    mirror.take_event(EventMessage(1, "rained", {"amount_mm": 2.0}))
    mirror.take_event(EventMessage(2, "snowed", {"amount_mm": 2.0}))
    end()

    assert rains == everything == [Rained(2.0)]
    assert others == []
    assert mirror.sequence == 2


def test_lost_events_are_counted(mirror: Mirror[Tree]) -> None:
    """So that a list of events can say that it has a hole."""
    mirror.take_lost(EventsLost(3))
    mirror.take_lost(EventsLost(2))

    assert mirror.events_lost == 5


def test_what_cannot_be_read_is_unknown_and_said_once(mirror: Mirror[Tree], caplog: pytest.LogCaptureFixture) -> None:
    """The old value would be taken for the present one."""
    mirror.take_state(WholeState(1, {"tank": {"level_m": 1.0}, "count": 3}), "run")
    with caplog.at_level(logging.WARNING):
        for sequence in (2, 3):
            mirror.take_change(BranchChange(sequence, "tank", {"level_m": "high"}))
            mirror.take_change(BranchChange(sequence, "count.a", 1))
            mirror.take_event(EventMessage(sequence, "rained", []))

    assert mirror.state == Tree()
    assert [record.getMessage() for record in caplog.records] == [
        "what the core says of tank cannot be read: level_m: is not of the expected form",
        "what the core says of count.a cannot be read: is no map",
        "an event of kind rained cannot be read: is not of the expected form",
    ]


def test_newer_core_is_read_as_far_as_it_goes(mirror: Mirror[Tree]) -> None:
    """Branches and fields that are unknown are passed over."""
    seen: list[frozenset[str]] = []
    mirror.on_change(seen.append)

    mirror.take_state(WholeState(1, {"tank": {"level_m": 1.0, "colour": "red"}, "weather": {"x": 1}}), "run")
    mirror.tell_changes()
    mirror.take_change(BranchChange(2, "weather", {"x": 2}))
    mirror.tell_changes()

    assert mirror.state == Tree(Tank(1.0))
    assert len(seen) == 1


def test_lost_connection_keeps_the_state_and_its_time(mirror: Mirror[Tree], clock: FakeClock) -> None:
    """Who shows it can say since when nothing is known."""
    seen: list[bool] = []
    end = mirror.on_connection(seen.append)
    clock.suspend(10)
    mirror.heard()
    mirror.set_connected(True)
    mirror.set_connected(True)
    mirror.take_state(WholeState(1, {"count": 1}), "run")
    clock.suspend(5)
    mirror.set_connected(False)
    clock.suspend(60)

    assert mirror.state == Tree(count=1)
    assert not mirror.connected
    assert clock.monotonic() - mirror.since_s == 60
    assert mirror.last_heard_s == clock.monotonic() - 65
    assert seen == [True, False]
    end()
    mirror.set_connected(True)
    assert seen == [True, False]


def test_fault_of_one_who_waits_is_no_matter_of_the_others(
    mirror: Mirror[Tree], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and everybody else is called."""
    seen: list[object] = []

    def fail(_argument: object) -> None:
        raise ZeroDivisionError

    mirror.on_change(fail)
    mirror.on_change(seen.append)
    mirror.on_event(fail)
    mirror.on_event(seen.append)
    mirror.take_change(BranchChange(1, "count", 1))
    mirror.tell_changes()
    mirror.take_event(EventMessage(2, "rained", {}))

    assert seen == [{"count"}, Rained()]
    assert len(caplog.records) == 2


def test_tree_without_a_default_is_no_tree(clock: FakeClock) -> None:
    """What is not known yet has to be something."""

    @dataclass(frozen=True, slots=True)
    class Bad:
        needed: int

    with pytest.raises(TypeError):
        Mirror(Bad, {}, clock.monotonic)
