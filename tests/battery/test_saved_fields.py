from dataclasses import dataclass, field
from enum import StrEnum

import pytest

from tinybms_bridge.battery.saved_fields import Counter, Declaration, Flag, Items, Number, OneOf, Rule, Saving


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    volts: float = 1.0
    seen: tuple[float, ...] = ()
    passing: object = None


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    colour: Colour = Colour.RED
    count: int | None = None
    on: bool = False


def declared(
    *,
    rules: dict[str, Rule] | None = None,
    not_saved: dict[str, str] | None = None,
    older_keys: dict[str, str] | None = None,
) -> Declaration:
    """Return a declaration for ``Outer``."""
    return Declaration(
        sections={"inner": "inside"},
        places={"colour": ("outside", "colour"), "count": ("outside", "number"), "on": ("outside", "on")},
        rules={"inner.seen": Items(Number(), 2)} if rules is None else rules,
        not_saved={"inner.passing": "begins again"} if not_saved is None else not_saved,
        older_keys=older_keys or {},
    )


def test_a_value_is_written_where_it_is_read() -> None:
    """One declaration gives both ways; what is not saved has its start value afterwards."""
    saving = Saving(Outer, declared())
    whole = Outer(Inner(2.5, (1.0, 2.0), passing="now"), Colour.BLUE, 7, on=True)
    document = saving.document(whole)
    assert document == {
        "inside": {"volts": 2.5, "seen": [1.0, 2.0]},
        "outside": {"colour": "blue", "number": 7, "on": True},
    }
    assert saving.read(document) == saving.lasting(whole) == Outer(Inner(2.5, (1.0, 2.0)), Colour.BLUE, 7, on=True)


def test_a_field_without_a_rule_is_refused() -> None:
    """Nobody can add a field whose type says nothing, and find out after a restart."""
    with pytest.raises(TypeError, match=r"inner\.seen"):
        Saving(Outer, declared(rules={}))
    with pytest.raises(TypeError, match=r"inner\.passing"):
        Saving(Outer, declared(not_saved={}))


def test_a_declaration_of_what_is_not_there_is_refused() -> None:
    """A field that was renamed is renamed in the declaration too."""
    with pytest.raises(TypeError, match=r"inner\.seem"):
        Saving(Outer, declared(rules={"inner.seen": Items(Number(), 2), "inner.seem": Number()}))
    with pytest.raises(AttributeError, match="passed"):
        Saving(Outer, declared(not_saved={"inner.passing": "so", "inner.passed": "so"}))


def test_a_key_of_before_is_read_where_the_new_one_is_missing() -> None:
    """The new one counts where it is there, even if it makes no sense."""
    saving = Saving(Outer, declared(older_keys={"on": "lit"}))
    found = [saving.read({"outside": part}).on for part in ({"lit": True}, {"lit": True, "on": False}, {"on": 1})]
    assert found == [True, False, False]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (Flag(), [True, False], [1, "true", None]),
        (Number(), [0, 1.5, -0.0], [-1, True, "1", None, float("nan"), float("inf"), 10**400]),
        (Number(above_least=True), [0.1], [0.0]),
        (Number(-2.0, 2.0), [-2.0, 2.0], [2.1, -2.1]),
        (Counter(), [0, (1 << 32) - 1], [-1, 1 << 32, 1.0, True, "1"]),
        (OneOf(Colour), ["red"], ["green", None, 1]),
        (Items(Counter(), 2), [[], [1, 2]], [[1, 2, 3], [1, "2"], (1,), "12", None]),
    ],
)
def test_what_makes_no_sense_is_no_value(rule: Rule, good: list[object], bad: list[object]) -> None:
    """Each rule takes its own values and no others."""
    for value in good:
        read = rule.read(value)
        assert (list(read) if isinstance(read, tuple) else read) == value
    for value in bad:
        with pytest.raises(ValueError, match=r".+"):
            rule.read(value)


def test_a_number_above_its_bound_is_the_bound_where_that_is_asked() -> None:
    """A time that has run out has run out; infinity is none."""
    assert Number(most=9.0, at_most=True).read(12) == 9.0
    with pytest.raises(ValueError, match="out of range"):
        Number(most=9.0, at_most=True).read(float("inf"))
