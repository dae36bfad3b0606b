"""The window of the consumer: exact within its bounds, never in doubt at the cost of a message."""

import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest
from examples.fleet.window import BOOTS_PER_SITE, RANGES_PER_BOOT, Ranges, Seen, Window, WindowFile
from hypothesis import given
from hypothesis import strategies as st

from examples.fleet import window as window_module

KEY = ("hill-farm", "0123456789abcdef")
numbers = st.lists(st.integers(1, 60), max_size=120)


@given(numbers)
def test_ranges_hold_what_a_set_holds(given_numbers: list[int]) -> None:
    """In any order and with repetitions, as disjoint ranges that do not touch."""
    ranges = Ranges()
    for number in given_numbers:
        ranges.add(number)
    pairs = list(ranges)

    assert {number for number in range(70) if number in ranges} == set(given_numbers)
    assert {number for first, last in pairs for number in range(first, last + 1)} == set(given_numbers)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(pairs))
    if given_numbers:
        assert ranges.missing == max(given_numbers) - min(given_numbers) + 1 - len(set(given_numbers))


@given(numbers, st.integers(1, 5))
def test_ranges_that_are_too_many_forget_the_lowest_only(given_numbers: list[int], most: int) -> None:
    """What is forgotten is taken for new; nothing that never came is taken for seen."""
    original = window_module.RANGES_PER_BOOT
    window_module.RANGES_PER_BOOT = most
    try:
        ranges = Ranges()
        for number in given_numbers:
            ranges.add(number)
    finally:
        window_module.RANGES_PER_BOOT = original

    assert {number for number in range(70) if number in ranges} <= set(given_numbers)
    assert len(list(ranges)) <= most
    if given_numbers:
        assert len(list(ranges)) > 0


@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from(["take", "settle", "forget"])), max_size=80))
def test_a_message_is_new_until_it_is_settled_or_pending(steps: list[tuple[int, str]]) -> None:
    """Against a model of two sets: pending is forgotten when the database was away, settled never is."""
    window, settled = Window(), set[int]()
    pending: dict[int, int] = {}
    for entry, (seq, step) in enumerate(steps):
        if step == "take":
            known = seq in settled or seq in pending
            assert window.take(KEY, seq, entry) == (Seen.AGAIN if known else Seen.NEW)
            if not known:
                pending[seq] = entry
        elif step == "settle":
            window.settle([(KEY, number) for number in pending])
            settled |= pending.keys()
            pending = {}
        else:
            window.forget_pending()
            pending = {}


def test_the_same_entry_that_comes_again_is_not_another_copy() -> None:
    """Acknowledging it would acknowledge what is not sure yet."""
    window = Window()

    assert window.take(KEY, 5, 100) == Seen.NEW
    assert window.take(KEY, 5, 100) == Seen.SAME
    assert window.take(KEY, 5, 101) == Seen.AGAIN
    assert window.take((KEY[0], "f" * 16), 5, 102) == Seen.NEW
    window.settle([(KEY, 5)])
    assert window.take(KEY, 5, 100) == Seen.AGAIN


def test_what_was_forgotten_meanwhile_is_not_settled() -> None:
    """A batch that was given back does not count as written, even where it is settled late."""
    window = Window()
    window.take(KEY, 5, 100)
    window.forget_pending()

    assert window.settle([(KEY, 5)]) == set()
    assert window.take(KEY, 5, 100) == Seen.NEW


def test_boots_of_a_site_are_bounded_by_the_latest() -> None:
    """A bridge that starts every second does not grow the window, and the boot in use stays."""
    window = Window()
    in_use = ("hill-farm", "in use")
    for number in range(100):
        for key in (in_use, ("hill-farm", f"{number:016x}")):
            window.take(key, number + 1, 2 * number)
            window.settle([(key, number + 1)])

    assert len(window.settled["hill-farm"]) == BOOTS_PER_SITE
    assert list(window.settled["hill-farm"]["in use"]) == [(1, 100)]


def filled(path: Path) -> Window:
    """Save a window with a gap, and return it."""
    with WindowFile(path) as file:
        window = file.load()
        for seq in (1, 2, 3, 7):
            window.take(KEY, seq, seq)
        window.heard_s["hill-farm"] = 1234.5
        file.save(window, window.settle([(KEY, seq) for seq in (1, 2, 3, 7)]))
    return window


def test_a_window_survives_a_restart(tmp_path: Path) -> None:
    """What was saved is seen by the next process, with when each site was heard; what was pending is new."""
    path = tmp_path / "window.db"
    saved = filled(path)
    with WindowFile(path) as file:
        window = file.load()

        assert window.settled == saved.settled
        assert window.heard_s == {"hill-farm": 1234.5}
        assert window.take(KEY, 7, 9) == Seen.AGAIN
        assert window.take(KEY, 5, 9) == Seen.NEW
        assert window.missing == 3


def test_boots_that_were_forgotten_leave_the_file(tmp_path: Path) -> None:
    """The file is bounded as the memory is."""
    path = tmp_path / "window.db"
    with WindowFile(path) as file:
        window = file.load()
        for number in range(BOOTS_PER_SITE + 5):
            key = ("mill", f"{number:016x}")
            window.take(key, 1, number)
            file.save(window, window.settle([(key, 1)]))
    with WindowFile(path) as file:
        assert [*file.load().settled["mill"]] == [f"{number:016x}" for number in range(5, BOOTS_PER_SITE + 5)]


@pytest.mark.parametrize("damage", [b"", b"no database" * 1000, None])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: bytes | None) -> None:
    """Duplicates are written twice after that, which the database folds; the consumer starts."""
    path = tmp_path / "window.db"
    filled(path)
    if damage is None:
        with sqlite3.connect(path) as database:
            database.execute("UPDATE seen SET ranges = '[[9, 3]]'")
        database.close()
    else:
        path.write_bytes(damage)
    with WindowFile(path) as file:
        window = file.load()

    assert window.settled == {}
    assert (file.set_aside is not None) == (damage != b"")


def test_a_window_has_one_owner(tmp_path: Path) -> None:
    """A second consumer says so at its start, in place of losing what the first has seen."""
    path = tmp_path / "window.db"
    with WindowFile(path), pytest.raises(BlockingIOError, match="in use by another consumer"):
        WindowFile(path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """It is an error of the machine, and no damage."""
    with pytest.raises(OSError, match="cannot be opened"):
        WindowFile(tmp_path / "missing" / "window.db")


def test_a_disk_that_is_full_is_an_error_of_the_system(tmp_path: Path) -> None:
    """The consumer goes on and tells it; see test_consumer.py."""
    with WindowFile(tmp_path / "window.db") as file:
        window = file.load()
        window.take(KEY, 1, 1)
        file._database.execute("PRAGMA query_only = ON")
        with pytest.raises(OSError, match="cannot be saved"):
            file.save(window, window.settle([(KEY, 1)]))


def test_many_gaps_stay_bounded() -> None:
    """Every second number missing for ever costs no more than the bound."""
    ranges = Ranges()
    for number in range(1, 20 * RANGES_PER_BOOT, 2):
        ranges.add(number)

    assert len(list(ranges)) == RANGES_PER_BOOT
    assert 20 * RANGES_PER_BOOT - 1 in ranges
