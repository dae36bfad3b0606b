"""Numbers of answers: as many decimals as their unit is worth, by one rule for all."""

import importlib
import json
import math
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import tinybms_bridge
from tinybms_bridge.services.web.answers import Answer, Shown, extended, rounded, shown


class Inner(Answer):
    """An answer within an answer."""

    spread_percent: float


class Example(Answer):
    """Every place in which a fraction can be."""

    voltage: float
    cvl_v: float | None
    highest_cell_v: float
    latency_avg_ms: float
    temperatures: list[float | None]
    statistics: dict[str, float | int | str] | None
    raw: list[dict[str, Any]]
    inner: Inner
    count: int
    name: str = "x"


def test_decimals_by_the_unit_in_the_name() -> None:
    """Whoever reads 17.11222555101757 ms learns nothing from the last ten digits."""
    found = Example(
        voltage=54.3217,
        cvl_v=53.690000000000005,
        highest_cell_v=3.41526,
        latency_avg_ms=17.11222555101757,
        temperatures=[25.449, None],
        statistics={"charged_wh": 0.04404851, "name": "a", "over_ah": 1.23456, "count": 3},
        raw=[{"value": 26.29450089899956}],
        inner=Inner(spread_percent=2.9217),
        count=7,
    )
    assert found.model_dump() == {
        "voltage": 54.32,
        "cvl_v": 53.69,
        "highest_cell_v": 3.4153,
        "latency_avg_ms": 17.1,
        "temperatures": [25.4, None],
        "statistics": {"charged_wh": 0.0, "name": "a", "over_ah": 1.23, "count": 3},
        "raw": [{"value": 26.2945}],
        "inner": {"spread_percent": 2.9},
        "count": 7,
        "name": "x",
    }


@pytest.mark.parametrize("value", [3, True, None, "3.14159", b"x"])
def test_what_is_no_fraction_stays(value: object) -> None:
    """Counters, switches and texts are not touched."""
    assert rounded("voltage", value) is value


def test_nothing_is_less_than_nothing() -> None:
    """A current of -0.001 A is shown as 0.0, not as -0.0."""
    assert math.copysign(1.0, rounded("current", -0.001)) == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_null(value: float) -> None:
    """JSON has no word for it, and a browser fails on one."""
    assert json.loads(Inner(spread_percent=value).model_dump_json()) == {"spread_percent": None}


@given(st.text(max_size=30), st.floats(-1e9, 1e9))
def test_no_name_makes_a_number_another_one(name: str, value: float) -> None:
    """Whatever a field is called, at least the tenths are right."""
    shown = rounded(name, value)
    assert isinstance(shown, float)
    assert abs(shown - value) <= 0.05 + 1e-6


@dataclass(frozen=True, slots=True)
class Part:
    """A part of something."""

    scale: Decimal = Decimal("0.001")
    """Units per raw step."""


@dataclass(frozen=True, slots=True)
class Line:
    """How a line is."""

    latency_avg_ms: float = 17.11222555101757
    """Of the good polls."""
    polls: int = 3
    part: Part = Part()
    choices: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({1: "one"}))
    since: datetime | None = None
    """None before the first."""
    secret: str = field(default="x", repr=False)

    @property
    def good(self) -> bool:
        """Whether it works."""
        return self.polls > 0

    @property
    def _inner(self) -> object:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedLine(Line):
    """A line with its name."""

    name: str
    """By which it is asked for."""


class Lines(Answer):
    """An answer that holds classes of others."""

    lines: list[Shown[NamedLine]]
    first: Shown[Line] | None = None


SHOWN = {
    "latency_avg_ms": 17.1,
    "polls": 3,
    "part": {"scale": 0.001},
    "choices": {1: "one"},
    "since": None,
    "good": True,
}


def test_a_class_is_answered_with_its_fields_and_properties() -> None:
    """Rounded like every answer; what its ``repr`` hides stays hidden."""
    assert shown(Line()) == SHOWN
    assert rounded("lines", [Line()]) == [SHOWN]


def test_a_class_that_adds_to_another_is_made_of_it() -> None:
    """What an answer has beside the class is all that it names; every value of the other one comes along."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    named = extended(NamedLine, Line(polls=7, since=since), name="a", latency_avg_ms=math.inf)
    assert named == NamedLine(polls=7, since=since, name="a", latency_avg_ms=math.inf)
    answer = json.loads(Lines(lines=[named]).model_dump_json())
    assert answer["lines"][0] == {
        **SHOWN,
        "choices": {"1": "one"},
        "polls": 7,
        "latency_avg_ms": None,
        "since": "2026-01-01T00:00:00Z",
        "name": "a",
    }


def test_the_document_says_what_the_class_says() -> None:
    """Types, texts of fields and properties, also of the class that it adds to, under its own name."""
    schema = Lines.model_json_schema(mode="serialization")
    assert schema["properties"]["lines"]["items"] == {"$ref": "#/$defs/NamedLine"}
    line, named, part = (schema["$defs"][name] for name in ("Line", "NamedLine", "Part"))
    assert set(line["required"]) == SHOWN.keys()
    assert set(named["required"]) == {*SHOWN, "name"}
    texts = {name: each.get("description") for name, each in named["properties"].items()}
    assert texts["latency_avg_ms"] == "Of the good polls."
    assert texts["since"] == "null before the first."
    assert (texts["good"], texts["name"]) == ("Whether it works.", "By which it is asked for.")
    assert (line["description"], named["description"]) == ("How a line is.", "A line with its name.")
    assert part["properties"]["scale"]["type"] == "number"
    assert line["properties"]["part"] == {"$ref": "#/$defs/Part"}


def classes() -> Iterator[type]:
    """Yield every class of the product."""
    for each in pkgutil.walk_packages(tinybms_bridge.__path__, "tinybms_bridge."):
        if not each.name.endswith("__main__"):
            module = importlib.import_module(each.name)
            yield from (
                found for found in vars(module).values() if isinstance(found, type) and found.__module__ == each.name
            )


def own_names(kind: type) -> frozenset[str]:
    """Return the fields that a class names itself."""
    return frozenset(name for name in vars(kind).get("__annotations__", {}) if not name.startswith("_"))


def names(kind: Any) -> frozenset[str]:
    """Return the fields and properties of a dataclass."""
    properties = {name for base in kind.__mro__ for name, each in vars(base).items() if isinstance(each, property)}
    return frozenset({each.name for each in fields(kind)} | properties)


MANY = 4
"""Fewer fields are alike by chance."""


class Copy(Answer):
    """What must not be."""

    latency_avg_ms: float
    polls: int
    since: datetime | None
    good: bool


def test_a_copy_is_one_also_of_properties_and_of_some_fields_only() -> None:
    """The test below would see such an answer."""
    assert len(own_names(Copy)) >= MANY
    assert own_names(Copy) <= names(Line)
    assert not own_names(Copy) <= names(Part)
    assert own_names(NamedLine) == {"name"}


def test_no_answer_copies_a_class() -> None:
    """One class from domain to UI: an answer that names the fields of a class again is ``Shown`` of that class."""
    found = set(classes())
    known = {kind: names(kind) for kind in found if is_dataclass(kind)}
    answers = [
        kind
        for kind in found
        if kind.__module__.startswith("tinybms_bridge.services.web.")
        and (issubclass(kind, BaseModel) or kind in known)
        and len(own_names(kind)) >= MANY
    ]
    assert len(answers) > 20
    copies = {
        f"{kind.__name__} of {other.__name__}"
        for kind in answers
        for other, theirs in known.items()
        if kind not in other.__mro__ and own_names(kind) <= theirs
    }
    assert copies == set()
