import pytest
from annotated_types import Ge, GroupedMetadata, Le, MaxLen, Predicate

from tinybms_bridge.config.models.base import MASK, Meaning, Secret, listed, number, text


@pytest.mark.parametrize("secret", [Secret("hush hush"), Secret("x")])
def test_a_secret_never_prints(secret: Secret) -> None:
    """In a log line, a traceback or a message there are stars."""
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r:>30}", "%s" % secret):  # noqa: UP031 - a way to print
        assert secret.value not in shown.replace("Secret", "")
        assert MASK in shown


def test_a_secret_that_is_not_set_is_told_from_one_that_is() -> None:
    """A settings page shows the difference."""
    assert str(Secret()) == ""
    assert str(Secret("x")) == MASK


def test_secrets_are_equal_by_value() -> None:
    """A password that was typed again is no change."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")


def test_constraints_are_those_of_annotated_types() -> None:
    """Whatever knows that vocabulary understands the declarations."""
    assert isinstance(Meaning(), GroupedMetadata)
    assert list(Meaning()) == []
    assert list(number(1, 5, "V", "", "")) == [Ge(1), Le(5)]
    assert list(text("", "", longest=3)) == [MaxLen(3)]


@pytest.mark.parametrize(
    ("meaning", "good", "bad"),
    [
        (listed((2, 8), "B", "", ""), (2, 8, None), (0, 3)),
        (text("", "", pattern="^[a-z]{1,3}$"), ("a", "abc", None), ("", "abcd", "a\n", "a b")),
        (text("", "", holds=str.isupper), ("A", None), ("a", "")),
        (text("", "", pattern="[A-Za-z]+", holds=str.isupper), ("A", None), ("Ab", "", "A1")),
    ],
)
def test_lists_patterns_and_tests_decide(meaning: Meaning, good: tuple[object, ...], bad: tuple[object, ...]) -> None:
    """All of them together; null is the type's affair."""
    (mark,) = meaning
    assert isinstance(mark, Predicate)
    assert all(mark.func(value) for value in good)
    assert not any(mark.func(value) for value in bad)
