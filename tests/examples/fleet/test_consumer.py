"""The consumer between a stream and a database that fail in every way: each message gets into the database."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from examples.fleet.consumer import SETTLE_S, Consumer, parser
from examples.fleet.database import PROBE, AwayError, RefusedError
from examples.fleet.stream import Entry
from examples.fleet.window import Key, Window
from hypothesis import example, given, settings
from hypothesis import strategies as st

ARRIVED_MS = 1_800_000_000_000
BOOT = "0123456789abcdef"


def entry(number: int, seq: int, *, site: str = "mill", boot: str = BOOT, **content: Any) -> Entry:
    """Return an entry of the stream with one state of a battery."""
    body = {"boot": boot, "seq": seq, "at": "2027-01-15T08:00:00Z", "charged_kwh": seq} | content
    subject = f"fleet.{site}.tinybms.battery.state"
    return Entry(subject, json.dumps(body).encode(), number, ARRIVED_MS, 0, f"$JS.ACK.{number}")


@dataclass
class Stream:
    """A stream with a durable consumer: what is not acknowledged is delivered again when it is given back."""

    ready: list[Entry]
    acknowledged: set[int] = field(default_factory=set)
    delivered: dict[int, Entry] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    most: int = 10_000

    async def fetch(self) -> list[Entry]:
        """Deliver what there is, or fail."""
        await asyncio.sleep(0)
        if self.failures:
            raise ConnectionError(self.failures.pop(0))
        batch, self.ready = self.ready[: self.most], self.ready[self.most :]
        self.delivered.update((each.number, each) for each in batch)
        return batch

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Take it off for good."""
        for each in entries:
            self.acknowledged.add(each.number)
            self.delivered.pop(each.number, None)

    async def give_back(self, entries: Sequence[Entry]) -> None:
        """Deliver it again, unless it was acknowledged."""
        for each in entries:
            if self.delivered.pop(each.number, None) is not None:
                self.ready.append(each)

    def redeliver(self) -> None:
        """Deliver all that was not acknowledged again, as a node does after a while or for a new consumer."""
        self.ready += self.delivered.values()
        self.delivered.clear()


@dataclass
class Store:
    """A database that has samples on disk after five seconds, and loses the rest when it is killed."""

    clock: Callable[[], float]
    samples: list[tuple[float, str]] = field(default_factory=list)
    away: bool = False
    refuses: Callable[[str], bool] = lambda _: False
    waited: int = 0

    @property
    def memory(self) -> list[str]:
        """All that it has at present."""
        return [line for _, line in self.samples]

    async def write(self, lines: Sequence[str]) -> None:
        """Accept samples; none need no request."""
        await asyncio.sleep(0)
        if not lines:
            return
        if self.away:
            raise AwayError("killed")
        if any(map(self.refuses, lines)):
            raise RefusedError("400 cannot parse")
        self.samples += [(self.clock(), line) for line in lines if line != PROBE]

    async def until_back(self, on_failure: Callable[[AwayError], None]) -> None:
        """Come back after one failure more."""
        await asyncio.sleep(0)
        self.waited += 1
        on_failure(AwayError("still"))
        self.away = False

    def kill(self) -> None:
        """Lose what is not on disk."""
        self.samples = [(at_s, line) for at_s, line in self.samples if self.clock() - at_s >= 5.0]
        self.away = True


class Rig:
    """A consumer with its parts and a clock that only moves when told."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self.stream, self.store = Stream([*entries]), Store(lambda: self.now_s)
        self.now_s, self.sites, self.said = 100.0, {"mill", "hill"}, list[str]()
        self.saved: list[set[Key]] = []
        self.disk_full = False
        self.window = Window()
        self.consumer = self.started()

    def started(self) -> Consumer:
        """Return a consumer as a new process has it, with the window that was saved."""

        def save(_window: Window, changed: set[Key]) -> None:
            if self.disk_full:
                raise OSError("no space left on device")
            self.saved.append(changed)

        return Consumer(
            self.stream, self.store, self.window, save, lambda: self.sites,
            clock=lambda: self.now_s, now=lambda: ARRIVED_MS / 1000.0 + 0.5, say=self.said.append,
        )  # fmt: skip

    async def steps(self, count: int = 1, seconds: float = 1.0) -> None:
        """Go on."""
        for _ in range(count):
            await self.consumer.step()
            self.now_s += seconds

    def crash(self) -> None:
        """Begin anew with what was settled, as after a kill."""
        self.window.forget_pending()
        self.stream.redeliver()
        self.consumer = self.started()


def kwh(lines: Sequence[str]) -> list[int]:
    """Return the sequence numbers of samples."""
    return [int(line.split()[1]) for line in lines]


async def test_a_message_is_acknowledged_when_the_database_surely_has_it() -> None:
    """Not when it was accepted: that is in memory there. The window is saved before."""
    rig = Rig([entry(1, 1), entry(2, 2)])
    await rig.steps()
    assert kwh(rig.store.memory) == [1, 2]
    assert rig.stream.acknowledged == set()
    assert rig.consumer.statistics.unsettled == 2

    await rig.steps(2, SETTLE_S)

    assert rig.stream.acknowledged == {1, 2}
    assert rig.saved == [{("mill", BOOT)}]
    assert rig.consumer.statistics.unsettled == 0


async def test_a_duplicate_is_written_once() -> None:
    """In one batch, in a later one, and after it was settled; each copy is acknowledged, other boots are others."""
    rig = Rig([entry(1, 1), entry(2, 1), entry(3, 1, boot="f" * 16), entry(4, 1, site="hill")])
    await rig.steps()
    rig.stream.ready = [entry(5, 1)]
    await rig.steps(2, SETTLE_S)
    rig.stream.ready = [entry(6, 1)]
    await rig.steps(2, SETTLE_S)

    assert kwh(rig.store.memory) == [1, 1, 1]
    assert rig.stream.acknowledged == {1, 2, 3, 4, 5, 6}
    assert rig.consumer.statistics.duplicates == 3


async def test_an_entry_that_is_delivered_again_while_it_is_not_sure_is_not_acknowledged() -> None:
    """Otherwise a database that is killed then would have it never."""
    rig = Rig([entry(1, 1)])
    await rig.steps()
    rig.stream.redeliver()
    await rig.steps()
    assert rig.stream.acknowledged == set()

    rig.store.kill()
    rig.stream.ready.append(entry(2, 2))
    await rig.steps(2)
    await rig.steps(2, SETTLE_S)

    assert sorted(kwh(rig.store.memory)) == [1, 2]
    assert rig.stream.acknowledged == {1, 2}


async def test_a_database_that_was_killed_gets_the_last_seconds_again() -> None:
    """What it had accepted and not on disk is written again, and what was settled is not."""
    rig = Rig([entry(1, 1)])
    await rig.steps(2, SETTLE_S)
    rig.stream.ready = [entry(2, 2)]
    await rig.steps()
    rig.store.kill()
    rig.stream.ready = [entry(3, 3)]
    await rig.steps(3)

    assert sorted(kwh(rig.store.memory)) == [1, 2, 3]
    assert rig.store.waited == 1
    assert rig.consumer.statistics.given_back == 1
    assert rig.consumer.statistics.messages == 3
    assert [word for word in rig.said if word.startswith("database")] == [
        "database: killed; everything of the last 10 s is written again",
        "database: well again",
    ]


async def test_a_database_that_was_killed_while_nothing_came_is_noticed() -> None:
    """Nothing is settled on the strength of a database that nobody has asked since."""
    rig = Rig([entry(1, 1)])
    await rig.steps()
    rig.store.kill()
    await rig.steps(3, SETTLE_S)
    assert rig.stream.acknowledged == set()

    await rig.steps(3, SETTLE_S)

    assert rig.stream.acknowledged == {1}
    assert kwh(rig.store.memory) == [1]


async def test_messages_without_a_sample_prove_nothing() -> None:
    """Nothing was written for them, so that a database which was killed meanwhile is asked."""
    rig = Rig([entry(1, 1)])
    await rig.steps()
    rig.store.kill()
    empty = {"at": "2027-01-15T08:00:00Z", "boot": BOOT, "registers": []}
    for seq in (2, 3, 4):
        payload = json.dumps(empty | {"seq": seq}).encode()
        rig.stream.ready.append(Entry("fleet.mill.tinybms.packs.a.registers", payload, seq, ARRIVED_MS, 0, ""))
        await rig.steps(1, SETTLE_S)
    await rig.steps(3, SETTLE_S)

    assert kwh(rig.store.memory) == [1]
    assert rig.stream.acknowledged == {1, 2, 3, 4}


async def test_a_consumer_that_was_killed_loses_nothing_and_repeats_little() -> None:
    """A new one has the window that was saved; what was not settled comes again."""
    rig = Rig([entry(1, 1)])
    await rig.steps(2, SETTLE_S)
    rig.stream.ready = [entry(2, 2)]
    await rig.steps()
    rig.crash()
    rig.stream.ready.append(entry(3, 1))
    await rig.steps(3, SETTLE_S)

    assert kwh(rig.store.memory) == [1, 2, 2]
    assert rig.stream.acknowledged == {1, 2, 3}


async def test_what_cannot_be_used_is_counted_and_acknowledged() -> None:
    """It never comes back to block the others, and never reaches the database."""
    garbage = Entry("fleet.mill.tinybms.battery.state", b"\xff", 1, ARRIVED_MS, 0, "$JS.ACK.1")
    rig = Rig(
        [garbage, entry(2, 1, site="stranger"), entry(3, 2, at="1970-01-01T00:00:00Z"), entry(4, 3, soc_percent="5")]
    )
    await rig.steps(2, SETTLE_S)

    assert kwh(rig.store.memory) == [3]
    assert rig.stream.acknowledged == {1, 2, 3, 4}
    assert rig.consumer.statistics.dropped == {
        ("not_json", "mill"): 1,
        ("unknown_site", ""): 1,
        ("clock", "mill"): 1,
        ("text_for_number", "mill"): 1,
    }


async def test_what_the_database_refuses_is_found_and_dropped() -> None:
    """Alone: the thousand others of its batch are written."""
    rig = Rig([entry(number, number) for number in range(1, 1001)])
    rig.store.refuses = lambda line: " 617 " in line
    await rig.steps(2, SETTLE_S)

    assert sorted(kwh(rig.store.memory)) == [number for number in range(1, 1001) if number != 617]
    assert len(rig.stream.acknowledged) == 1000
    assert rig.consumer.statistics.dropped == {("refused_by_database", "mill"): 1}
    assert rig.consumer.statistics.messages == 999


async def test_a_database_that_refuses_everything_costs_no_message() -> None:
    """A wrong address or version answers as for a bad sample; nothing is dropped for that."""
    rig = Rig([entry(1, 1), entry(2, 2)])
    rig.store.refuses = lambda _: True
    await rig.steps(5, SETTLE_S)
    assert rig.stream.acknowledged == set()
    assert rig.store.waited == 5

    rig.store.refuses = lambda _: False
    await rig.steps(3, SETTLE_S)

    assert sorted(kwh(rig.store.memory)) == [1, 2]
    assert rig.stream.acknowledged == {1, 2}


async def test_a_stream_without_a_leader_is_told_once() -> None:
    """A line when it goes and one when it is back, however often it was asked."""
    rig = Rig([entry(1, 1)])
    rig.stream.failures = ["503 no answer"] * 7
    await rig.steps(9)

    assert rig.said == ["stream: 503 no answer", "stream: well again"]
    assert rig.consumer.statistics.stream_failures == 7
    assert kwh(rig.store.memory) == [1]


async def test_a_disk_that_is_full_stops_nothing() -> None:
    """Messages are written and acknowledged; that the window is not saved is told once and shown."""
    rig = Rig([entry(1, 1)])
    rig.disk_full = True
    await rig.steps(2, SETTLE_S)
    rig.stream.ready = [entry(2, 2)]
    await rig.steps(2, SETTLE_S)
    assert rig.stream.acknowledged == {1, 2}
    assert "tinybms_fleet_window_saved 0" in rig.consumer.page()

    rig.disk_full = False
    rig.stream.ready = [entry(3, 3)]
    await rig.steps(2, SETTLE_S)

    assert "tinybms_fleet_window_saved 1" in rig.consumer.page()
    assert len([word for word in rig.said if word.startswith("window")]) == 1


async def test_sites_come_and_go_while_it_runs() -> None:
    """A new site is taken from the next look on; one that is removed is a stranger; damage changes nothing."""
    rig = Rig([entry(1, 1, site="new")])
    await rig.steps()
    rig.sites = {"mill", "new"}
    rig.consumer.look()
    rig.stream.ready = [entry(2, 2, site="new"), entry(3, 3, site="hill")]
    await rig.steps()

    def damaged() -> set[str]:
        raise ValueError("no register")

    rig.consumer._sites_now = damaged
    rig.consumer.look()
    rig.stream.ready = [entry(4, 4, site="new")]
    await rig.steps()

    assert kwh(rig.store.memory) == [2, 4]
    assert rig.consumer.statistics.dropped == {("unknown_site", ""): 2}
    page = rig.consumer.page()
    assert f'tinybms_fleet_site_last_seen_seconds{{site="new"}} {ARRIVED_MS / 1000.0}' in page
    assert 'tinybms_fleet_site_last_seen_seconds{site="mill"} 0.0' in page
    assert 'site="hill"' not in page


async def test_the_end_gives_back_what_is_not_sure() -> None:
    """The next process has it at once."""
    rig = Rig([entry(1, 1)])
    await rig.steps()
    ended = asyncio.Event()
    ended.set()
    await rig.consumer.run(ended)

    assert [each.number for each in rig.stream.ready] == [1]


async def test_delays_and_spooled_messages_are_counted() -> None:
    """What a bridge had kept says nothing of the way to the database."""
    rig = Rig([entry(1, 1), entry(2, 2, spooled=True), replace(entry(3, 3), waiting=12)])
    await rig.steps()
    page = rig.consumer.page()

    assert "tinybms_fleet_messages_spooled_total 1" in page
    assert "tinybms_fleet_lag_messages 12" in page
    assert "tinybms_fleet_delay_seconds_count 2" in page
    assert 'tinybms_fleet_delay_seconds_bucket{le="0.5"} 2' in page


happenings = st.lists(
    st.sampled_from(["step", "step", "step", "kill database", "kill consumer", "redeliver", "no leader"]), max_size=40
)


@settings(max_examples=300)
@given(happenings, st.integers(1, 8), st.randoms(use_true_random=False))
@example(["step", "kill database"], 8, random.Random(1))
@example(["step", "redeliver", "step", "kill database"], 8, random.Random(1))
def test_whatever_happens_every_message_is_in_the_database(
    happening: list[str], most: int, randomness: random.Random
) -> None:
    """At no time is every copy of a message acknowledged that the database does not have.

    Six messages come in any order, two of them twice; both are killed at any moment, the database with all
    that it has accepted in the last five seconds.
    """
    sequence = [number % 6 + 1 for number in range(8)]
    randomness.shuffle(sequence)
    rig = Rig([entry(number, seq) for number, seq in enumerate(sequence, start=1)])
    rig.stream.most = most

    async def play() -> None:
        for each in happening + ["redeliver"] + 60 * ["step"]:
            if each == "step":
                await rig.steps(1, 4.0)
            elif each == "kill database":
                rig.store.kill()
            elif each == "kill consumer":
                rig.crash()
            elif each == "redeliver":
                rig.stream.redeliver()
            else:
                rig.stream.failures.append("503")
            still = {sequence[number - 1] for number in range(1, 9) if number not in rig.stream.acknowledged}
            assert set(sequence) - still <= set(kwh(rig.store.memory))

    asyncio.run(play())

    assert rig.stream.acknowledged == set(range(1, 9))


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option has words, and an example is there to copy."""
    made = parser()
    made.print_help()
    text = capsys.readouterr().out

    assert "Example: python -m fleet.consumer --servers" in " ".join(text.split())
    assert all(action.help for action in made._actions)
