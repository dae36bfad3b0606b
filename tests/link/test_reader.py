"""Values of a branch, read again and again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.link.codec import DecodeError, Trusting, decoder, from_json, to_json
from tinybms_bridge.link.reader import BranchReader


class Colour(StrEnum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Leaf:
    """Plain values only."""

    length_m: float
    colour: Colour = Colour.RED
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """Holds others in every way."""

    leaf: Leaf
    number: int = 0
    perhaps: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    by_colour: Mapping[Colour, float] = field(default_factory=dict)
    leaf_by_colour: Mapping[Colour, Leaf] = field(default_factory=dict)
    double_m: float = field(default=0.0, init=False, compare=False)

    def __post_init__(self) -> None:
        """Find something once."""
        object.__setattr__(self, "double_m", self.leaf.length_m * 2)


@dataclass(frozen=True, slots=True)
class Tree:
    """The whole."""

    branch: Branch | None = None
    branches: Mapping[str, Branch] = field(default_factory=dict)


lengths = st.sampled_from([0.0, 1.0, 2.5])
leaves = st.builds(Leaf, lengths, st.sampled_from(Colour), st.sampled_from([None, "a", "b"]))
branches = st.builds(
    Branch,
    leaves,
    st.integers(0, 2),
    st.none() | leaves,
    st.lists(leaves, max_size=3).map(tuple),
    st.dictionaries(st.sampled_from("ab"), leaves),
    st.dictionaries(st.sampled_from(Colour), lengths),
    st.dictionaries(st.sampled_from(Colour), leaves),
)
trees = st.builds(Tree, st.none() | branches, st.dictionaries(st.sampled_from("xy"), branches))


@given(st.lists(trees, max_size=6))
def test_value_is_what_was_written_whatever_came_before(told: list[Tree]) -> None:
    """Nothing of an earlier value stays where the new one says something else."""
    reader = BranchReader(Tree)

    for tree in told:
        back = reader.read(from_json(to_json(tree)))
        assert back == tree
        assert all(type(key) is Colour for key in (back.branch.leaf_by_colour if back.branch else ()))


def test_what_has_not_changed_is_the_same_object() -> None:
    """Who watches can compare by ``is``; what was found once is found again only where it changed."""
    reader = BranchReader(Tree)
    first = Tree(Branch(Leaf(1.0), leaves=(Leaf(1.0), Leaf(2.0))), {"x": Branch(Leaf(5.0))})
    second = Tree(Branch(Leaf(1.0), number=3, leaves=(Leaf(1.0), Leaf(3.0))), {"x": Branch(Leaf(5.0))})

    before = reader.read(from_json(to_json(first)))
    after = reader.read(from_json(to_json(second)))

    assert before.branch is not None
    assert after.branch is not None
    assert after == second
    assert after.branch.leaf is before.branch.leaf
    assert after.branch.leaves[0] is before.branch.leaves[0]
    assert after.branches["x"] is before.branches["x"]
    assert after.branch.double_m == 2.0
    assert reader.read(from_json(to_json(second))) is after


def test_order_of_the_fields_does_not_matter() -> None:
    """A core of another version may write them in another one, and what comes after is compared with that."""
    reader = BranchReader(Leaf)
    told = [
        {"length_m": 1.0, "colour": "blue", "name": "a"},
        {"name": "b", "length_m": 1.0, "colour": "blue"},
        {"name": "b", "length_m": 2.0, "colour": "blue"},
        {"colour": "red", "name": "c", "length_m": 2.0},
    ]
    outer = BranchReader(Tree)
    leaves = [Leaf(1.0, Colour.BLUE, name) for name in "ab"] + [Leaf(2.0, Colour.BLUE, "b"), Leaf(2.0, Colour.RED, "c")]
    assert [reader.read(each) for each in told] == leaves
    assert [outer.read({"branch": {"leaf": each}}) for each in told] == [Tree(Branch(leaf)) for leaf in leaves]
    turned = [outer.read({"branch": {"number": 1, "leaf": each}}) for each in told]
    turned += [outer.read({"branch": {"leaf": each, "number": 2}}) for each in told]
    assert turned == [Tree(Branch(leaf, number)) for number in (1, 2) for leaf in leaves]


def test_missing_and_unknown_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Of another minor version: defaults for the one, nothing for the other."""
    reader = BranchReader(Tree)

    assert reader.read({"branch": {"leaf": {"length_m": 1}, "novel": 1}}) == Tree(Branch(Leaf(1.0)))
    assert reader.read({"branch": {"leaf": {"length_m": 1}, "number": 2}}) == Tree(Branch(Leaf(1.0), 2))
    assert reader.read({"branch": {"leaf": {"length_m": 1}}}) == Tree(Branch(Leaf(1.0)))
    assert reader.read({}) == Tree()
    assert not caplog.records


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "x",
        {"branch": 5},
        {"branch": {}},
        {"branch": {"leaf": None}},
        {"branch": {"leaf": {"length_m": "long"}}},
        {"branch": {"leaf": {"length_m": 1, "colour": "green"}}},
        {"branch": {"leaf": {"length_m": 1}, "leaves": 5}},
        {"branch": {"leaf": {"length_m": 1}, "leaves": [1]}},
        {"branch": {"leaf": {"length_m": 1}, "by_name": [1]}},
        {"branch": {"leaf": {"length_m": 1}, "by_colour": {"green": 1}}},
        {"branches": {"x": None}},
    ],
)
def test_errors_are_those_of_the_decoder(document: Any) -> None:
    """With the same words, and the next value is read as if nothing had been."""
    good = Tree(Branch(Leaf(1.0), leaves=(Leaf(2.0),), by_name={"a": Leaf(3.0)}))
    reader = BranchReader(Tree)
    reader.read(from_json(to_json(good)))

    with pytest.raises(DecodeError) as expected:
        decoder(Tree, Trusting)(document)
    with pytest.raises(DecodeError) as caught:
        reader.read(document)

    assert str(caught.value) == str(expected.value)
    assert reader.read(from_json(to_json(good))) == good
