"""JSON of dataclasses, both ways."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot
from tinybms_bridge.link.codec import DecodeError, decoder, from_json, printable, to_json


class Colour(StrEnum):
    """Texts on the wire."""

    RED = "red"
    BLUE = "blue"


class Level(Enum):
    """Numbers on the wire."""

    LOW = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class Inner:
    """Something inside."""

    depth_m: float
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Every form of field that the link carries."""

    count: int
    share: float
    known: bool
    colour: Colour
    level: Level = Level.LOW
    inner: Inner | None = None
    cells: tuple[float, ...] = ()
    by_colour: Mapping[Colour, Inner] = field(default_factory=dict)
    value: float | int | str | None = None
    any_of: frozenset[str] = frozenset()
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    raw: bytes = b""


finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**53), 2**53)
texts = st.text(st.characters(codec="utf-8"))
inners = st.builds(Inner, finite, st.none() | texts)
samples = st.builds(
    Sample,
    count=whole,
    share=finite,
    known=st.booleans(),
    colour=st.sampled_from(Colour),
    level=st.sampled_from(Level),
    inner=st.none() | inners,
    cells=st.lists(finite).map(tuple),
    by_colour=st.dictionaries(st.sampled_from(Colour), inners).map(MappingProxyType),
    value=st.none() | texts | finite | whole,
    any_of=st.frozensets(texts),
    at=st.datetimes(timezones=st.just(UTC)),
    raw=st.binary(),
)


@given(samples)
def test_value_comes_back_as_it_was(sample: Sample) -> None:
    """What is written is read as an equal value of the same type, whatever is in it."""
    assert decoder(Sample)(from_json(to_json(sample))) == sample


def test_values_of_the_battery_come_back_as_they_were() -> None:
    """Enums as keys, mappings that cannot be changed, and fields that are found once when the object is made."""
    alarms = Alarms(MappingProxyType({AlarmName.GENERAL: AlarmLevel.ALARM}))
    snapshot = Snapshot(7, 1.5, PackValues(13.2, -3.0, 50.0), Cells((3.3, 3.2), (True, False)), image=b"\x00\xff")

    assert decoder(Alarms)(from_json(to_json(alarms))) == alarms
    back = decoder(Snapshot)(from_json(to_json(snapshot)))

    assert back == snapshot
    assert (back.cells.min_v, back.cells.max_v, back.image) == (3.2, 3.3, snapshot.image)


GOOD: dict[str, Any] = {"count": 1, "share": 2.5, "known": True, "colour": "red"}


def test_newer_and_older_documents_are_read() -> None:
    """What is unknown is passed over, and what is missing is what it is by default."""
    assert decoder(Sample)(GOOD | {"novel": {"a": 1}}) == Sample(1, 2.5, True, Colour.RED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 1.0}, "count: must be a whole number"),
        ({"count": True}, "count: must be a whole number"),
        ({"count": "1"}, "count: must be a whole number"),
        ({"share": "2"}, "share: must be a number"),
        ({"share": None}, "share: must be a number"),
        ({"share": True}, "share: must be a number"),
        ({"share": float("inf")}, "share: must be a number"),
        ({"known": 1}, "known: must be true or false"),
        ({"colour": "green"}, "colour: must be one of red, blue"),
        ({"level": 3}, "level: must be one of 1, 2"),
        ({"inner": []}, "inner: is not of the expected form"),
        ({"inner": {"depth_m": "deep"}}, "inner.depth_m: must be a number"),
        ({"inner": {}}, "inner.depth_m: is missing"),
        ({"inner": {"depth_m": 1, "name": 5}}, "inner.name: must be a text"),
        ({"cells": [1, "x"]}, "cells: must be a number"),
        ({"by_colour": {"green": {"depth_m": 1}}}, "by_colour: is not of the expected form"),
        ({"value": []}, "value: is not of the expected form"),
        ({"at": "soon"}, "at: is not of the expected form"),
        ({"raw": "not base64!"}, "raw: must be bytes in base64"),
        ({"raw": 5}, "raw: must be bytes in base64"),
    ],
)
def test_wrong_value_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    """Nothing is made to fit: a text is no number, and a truth is none either."""
    with pytest.raises(DecodeError) as caught:
        decoder(Sample)(GOOD | change)

    assert str(caught.value) == message


@pytest.mark.parametrize("document", [None, [], "text", 5, {}])
def test_document_of_another_form_is_refused(document: object) -> None:
    """Whatever it is, the error is of one type."""
    with pytest.raises(DecodeError):
        decoder(Sample)(document)


@given(st.binary())
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    """Any bytes give a value or the one error."""
    try:
        from_json(data)
    except DecodeError as error:
        assert str(error).startswith("is not JSON: ")  # noqa: PT017 -- most random bytes end here, some are JSON


def test_what_is_no_data_is_not_written() -> None:
    """An object of the program does not leave it by accident."""
    with pytest.raises(TypeError):
        to_json({"x": object()})


def test_text_of_the_other_side_is_one_short_line() -> None:
    """Nobody writes lines of their own into our log, or very long ones."""
    assert printable("a\nb\x1b[31m") == "a?b?[31m"
    assert printable("x" * 500, 20) == "x" * 17 + "..."
    assert printable("x" * 20, 20) == "x" * 20
