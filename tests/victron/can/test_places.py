"""The names of extremes: each tells the pack and the cell in the eight characters of its frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.victron.can.places import short_names

LOOKS = st.sampled_from("abAB01_-. éß中")


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (("a", "b", "roof"), ("a", "b", "roof")),
        (("left", "middle", "right"), ("left", "midd", "righ")),
        (("pack-01", "pack-02", "pack-16"), ("p01", "p02", "p16")),
        (("pack1", "pack12", "a"), ("p1", "p12", "a")),
        (("garage left", "garage right", "shed"), ("gl", "gr", "shed")),
        (("battery", "batteries"), ("bary", "baes")),
        (("écurie", "garage"), ("ecur", "gara")),
        (("batterie-x-links", "batterie-x-lang"), ("baks", "bang")),
        (("中", "日本"), ("01", "02")),
        (("pa02xx", "pa02xy", "pa02"), ("paxx", "paxy", "pa02")),
    ],
)
def test_names_are_cut_so_that_one_can_read_them(names: tuple[str, ...], short: tuple[str, ...]) -> None:
    """What fits stays; what does not is cut by one rule, and the first that keeps all apart is the one."""
    assert tuple(short_names(names).values()) == short


def test_sixteen_long_names_that_differ_in_their_middle_only() -> None:
    """Where no cut keeps them apart, the place in the configuration does."""
    names = tuple(f"battery-shelf{letter}-house" for letter in "abcdefghijklmnop")
    assert tuple(short_names(names).values()) == tuple(f"ba{number:02d}" for number in range(1, 17))


def test_sixteen_similar_long_names() -> None:
    """The usual way to name many packs gives names that are read at once."""
    names = tuple(f"battery-house-{number:02d}" for number in range(1, 17))
    assert tuple(short_names(names).values()) == tuple(f"bh{number:02d}" for number in range(1, 17))


@given(st.lists(st.text(LOOKS, max_size=12), min_size=1, max_size=16, unique=True))
def test_any_names_are_kept_apart(names: list[str]) -> None:
    """Two packs with one name would send somebody to the wrong battery; a GX shows letters and digits of ASCII."""
    short = short_names(tuple(names))
    assert len({each.lower() for each in short.values()}) == len(names)
    assert all(1 <= len(each) <= 4 and each.isascii() and each.isalnum() for each in short.values())
