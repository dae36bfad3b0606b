"""What every section of the configuration shares, and how a key says what it accepts and means.

A section is a frozen dataclass. What there is to know of a key beside its type and default is a ``Meaning`` in its
``Annotated`` type::

    timeout_ms: Annotated[int, number(20, 5000, "ms", "Reply timeout", "Longest wait for a reply.")] = 300

Nothing here needs a library: the checker (``config.validation``) has pydantic read the same declarations.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Literal

from tinybms_bridge.words import Message, message

__all__ = ["MASK", "Meaning", "Secret", "Section", "certificate", "flag", "listed", "number", "text"]

MASK = "********"
"""What is shown in place of a secret that is set."""


class Section:
    """One object of the file: types are exact, unknown keys are refused, values never change.

    The constructor takes values as they are: what comes from outside goes through ``config.validation`` first.
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "strict": True,
        "extra": "forbid",
        "allow_inf_nan": False,
    }

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:  # noqa: ANN401 - types of pydantic
        """Let an object of the file become a section, which strictness alone would refuse."""
        schema = handler(source)
        handler.resolve_ref_schema(schema)["strict"] = False
        return schema


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that is stored but never shown: neither ``str`` nor ``repr`` gives it away."""

    value: str = ""
    """The text itself."""

    def __str__(self) -> str:
        return MASK if self.value else ""

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:  # noqa: ANN401 - types of pydantic
        """Let a text of the file become a secret."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: Any, _handler: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """Describe a password field."""
        return {"type": "string", "format": "password", "writeOnly": True}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a key is for, and what it accepts within its type; null passes where the type has it.

    Iterating over it yields the constraints in the vocabulary of annotated-types, as its ``GroupedMetadata`` does.
    """

    title: str = ""
    help: str = ""
    """One sentence."""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    """Both ends of the range belong to it."""
    accepted: tuple[int, ...] = ()
    """The only values, where there are few."""
    longest: int | None = None
    """Characters of a text."""
    pattern: str = ""
    """Regular expression that a whole text matches."""
    holds: Callable[[Any], bool] | None = None
    """A test that no range or pattern can say."""
    rule: Message | None = None
    """What ``pattern`` and ``holds`` ask for: "must be …"; None where there are neither."""
    no_effect: Message | None = None
    """Why the key does nothing here; None for a key that does."""
    multiline: bool = False
    """Whether a text or secret has several lines, as PEM has."""

    __is_annotated_types_grouped_metadata__: ClassVar[Literal[True]] = True

    def __iter__(self) -> Iterator[object]:
        from annotated_types import Ge, Le, MaxLen, Predicate

        if self.low is not None:
            yield Ge(self.low)
        if self.high is not None:
            yield Le(self.high)
        if self.longest is not None:
            yield MaxLen(self.longest)
        if self.accepted or self.pattern or self.holds:
            yield Predicate(self._passes)

    def accepts(self, value: Any) -> bool:  # noqa: ANN401 - a value of the key's type
        """Tell whether a value of the right type may be used."""
        if value is None:
            return True
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            return False
        return (self.longest is None or len(value) <= self.longest) and self._passes(value)

    def _passes(self, value: Any) -> bool:  # noqa: ANN401 - as above
        """Do what ``accepts`` does for what annotated-types has no word for."""
        if value is None:
            return True
        if self.accepted and value not in self.accepted:
            return False
        if self.pattern and not re.fullmatch(self.pattern, value):
            return False
        return self.holds is None or self.holds(value)


def number(low: float, high: float, unit: str, title: str, help_: str, *, no_effect: Message | None = None) -> Meaning:
    """Describe a number from ``low`` to ``high`` in ``unit``; the type says whether it is whole or may be null."""
    return Meaning(title, help_, unit, low, high, no_effect=no_effect)


def listed(accepted: tuple[int, ...], unit: str, title: str, help_: str) -> Meaning:
    """Describe a whole number that must be one of ``accepted``."""
    return Meaning(title, help_, unit, accepted=accepted)


def flag(title: str, help_: str, *, no_effect: Message | None = None) -> Meaning:
    """Describe a switch."""
    return Meaning(title, help_, no_effect=no_effect)


def text(
    title: str,
    help_: str,
    *,
    rule: Message | None = None,
    longest: int | None = None,
    pattern: str = "",
    holds: Callable[[Any], bool] | None = None,
    no_effect: Message | None = None,
    multiline: bool = False,
) -> Meaning:
    """Describe a text, a choice or a secret; ``rule`` is shown when a value breaks ``pattern`` or ``holds``."""
    return Meaning(
        title, help_, rule=rule, longest=longest, pattern=pattern, holds=holds, no_effect=no_effect, multiline=multiline
    )


_LONGEST_PEM = 65_536
"""A chain of more certificates than anybody has."""


def certificate(title: str, help_: str) -> Meaning:
    """Describe a certificate, or several, as PEM text; it may be empty."""
    return text(
        title, help_, rule=message("must_be.certificate"), holds=_is_pem_or_empty, longest=_LONGEST_PEM, multiline=True
    )


def _is_pem_or_empty(value: str) -> bool:
    return not value or ("-----BEGIN CERTIFICATE-----" in value and "-----END CERTIFICATE-----" in value)
