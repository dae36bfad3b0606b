"""From the bridge to one message."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tinybms_bridge.services.web.face import EventEntry, MonitoredFrame
from tinybms_bridge.services.web.live.encoder import BATCHES, encode, newest
from tinybms_bridge.services.web.live.messages import Topic


@pytest.fixture
def busy(face: Any, make_frame: Callable[..., MonitoredFrame]) -> Any:
    """A bridge with 300 frames and 120 entries."""
    face.seen_frames.extend(make_frame(number) for number in range(1, 301))
    face.event_list.extend(EventEntry(number, None, "bridge", "info", "x", "") for number in range(1, 121))
    return face


@pytest.mark.parametrize("topic", list(Topic))
def test_every_topic_has_a_message(busy: Any, topic: Topic) -> None:
    """Each topic gives JSON; only the flat one has no name of a topic."""
    message = json.loads(encode(busy, topic, 0).text)
    assert message.get("topic", "status") == topic


def test_registers_are_left_out_on_request(busy: Any) -> None:
    """Of the flat message only; the topic of that name is what it says."""
    full, bare = encode(busy, Topic.STATUS, 0), encode(busy, Topic.STATUS, 0, registers=False)
    assert "registers" in json.loads(full.text)
    assert "registers" not in json.loads(bare.text)
    assert encode(busy, Topic.REGISTERS, 0, registers=False) == encode(busy, Topic.REGISTERS, 0)


def test_batches_are_bounded(busy: Any) -> None:
    """A message holds the newest hundred frames or the next fifty entries, however many there are."""
    frames, events = encode(busy, Topic.CAN, 0), encode(busy, Topic.EVENTS, 0)
    assert [len(json.loads(frames.text)["frames"]), len(json.loads(events.text)["events"])] == [100, 50]
    assert (frames.last, events.last) == (300, 50)


def test_no_entry_is_left_out(busy: Any) -> None:
    """What does not fit into one message follows in the next."""
    seen, last = [], 0
    while (made := encode(busy, Topic.EVENTS, last)).text:
        seen += [event["number"] for event in json.loads(made.text)["events"]]
        last = made.last
    assert seen == list(range(1, 121))


@pytest.mark.parametrize(("after", "missed"), [(0, 200), (10, 190), (199, 1), (200, 0), (299, 0)])
def test_frames_that_are_left_out_are_counted(busy: Any, after: int, missed: int) -> None:
    """A client that looks rarely knows of the gap, also of frames that nobody remembers."""
    del busy.seen_frames[:50]
    document = json.loads(encode(busy, Topic.CAN, after).text)
    assert document["missed"] == (missed if after else 150)
    assert document["frames"][-1]["number"] == 300


@pytest.mark.parametrize("topic", sorted(BATCHES))
def test_nothing_new_is_no_message(busy: Any, topic: Topic) -> None:
    """After the newest number there is nothing to send."""
    assert encode(busy, topic, newest(busy, topic)).text == ""


def test_numbers_of_the_newest(busy: Any, face: Any) -> None:
    """Each list has its own numbers; other topics have none."""
    assert [newest(busy, topic) for topic in (Topic.CAN, Topic.EVENTS, Topic.STATUS)] == [300, 120, 0]
    face.seen_frames.clear()
    assert newest(face, Topic.CAN) == 0
