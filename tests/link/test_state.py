"""The state tree across the link."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.link.codec import Trusting, decoder, from_json, to_json
from tinybms_bridge.link.reader import BranchReader
from tinybms_bridge.link.state import CanState, CoreState, PartStatus, UartState, lines_together
from tinybms_bridge.words import Message
from tinybms_lab.testing.words import said

PLAIN: dict[object, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(codec="utf-8"), max_size=8),
    bool: st.booleans(),
    bytes: st.binary(max_size=8),
    NoneType: st.none(),
    object: st.none() | st.integers(0, 9),
    Any: st.none() | st.integers(0, 9) | st.dictionaries(st.sampled_from("ab"), st.integers(0, 9)),
}


def values_of(kind: object) -> st.SearchStrategy[Any]:
    """Return a strategy for any type of which a field of the state may be."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of(*map(values_of, arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=2).map(MappingProxyType)
    assert isinstance(kind, type), f"a field of type {kind} cannot cross the link"
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{each.name: values_of(hints[each.name]) for each in fields(kind) if each.init})
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    return st.from_type(kind)


def branches() -> Iterator[tuple[str, Any]]:
    """Yield each branch with its type."""
    hints = get_type_hints(CoreState)
    for each in fields(CoreState):
        yield each.name, hints[each.name]


@pytest.mark.parametrize(("name", "kind"), list(branches()))
def test_branch_comes_back_as_it_was(name: str, kind: Any) -> None:
    """Every field of every branch, whatever it holds, read alone and again and again."""
    reader = BranchReader(kind)

    @given(values_of(kind))
    def comes_back(value: object) -> None:
        document = from_json(to_json(value))
        assert decoder(kind, Trusting)(document) == value
        assert reader.read(document) == value

    comes_back()


@pytest.mark.parametrize(
    ("kind", "document", "told"),
    [
        (UartState, {"reason": "no reply"}, said("no reply")),
        (CanState, {"error": "gone"}, said("gone")),
        (PartStatus, {"name": "web", "state": "failed", "error": "port in use"}, said("port in use")),
        (UartState, {"up": True}, None),
        (
            UartState,
            {"reason": "x", "message": {"code": "can.closed", "text": "closed"}},
            Message("can.closed", {}, "closed"),
        ),
        (
            UartState,
            {"reason": "x", "message": {"code": "of.tomorrow", "text": "y", "more": 1}},
            Message("of.tomorrow", {}, "y"),
        ),
    ],
)
def test_a_core_of_another_version_still_tells_why(kind: type, document: object, told: Message | None) -> None:
    """One before told a text alone; a later one may tell a code that nobody here knows."""
    read: Any = decoder(kind)(document)

    assert read.why() == told
    assert told is None or read.why().say("fr") not in ("", told.code)


def test_tree_has_a_default_for_each_branch() -> None:
    """Before the core was heard, everything is unknown."""
    state = CoreState()

    assert decoder(CoreState, Trusting)({}) == state
    assert state.battery.main.latest is None


def test_several_lines_as_one() -> None:
    """Counters add up and times are the longest; one that is down is told with its pack; no field is forgotten."""
    names = [each.name for each in fields(UartState) if each.type in (int, float)]
    one: dict[str, Any] = dict.fromkeys(names, 1)
    two: dict[str, Any] = dict.fromkeys(names, 2)
    up, down = UartState(True, device="/dev/a", **one), UartState(False, "no answer", device="/dev/b", **two)
    found = lines_together({"a": up, "b": down})
    assert (found.up, found.device, found.reason) == (False, "/dev/a, /dev/b", "pack b: no answer")
    assert {name: getattr(found, name) for name in names} == {
        name: 2 if name.startswith("latency") or name == "poll_interval_ms" else 3 for name in names
    }
    assert lines_together({"a": up, "c": up}).up
    assert lines_together({"a": up}) is up, "the only line is as it is"
    assert lines_together({}) == UartState()
