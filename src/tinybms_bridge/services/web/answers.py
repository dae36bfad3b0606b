"""The base of every answer, live message and body; each number of an answer has the decimals that its unit is worth.

What the product has as a dataclass is answered as that class, ``Shown``: nothing is copied field by field.
"""

import ast
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from functools import cache
from itertools import pairwise
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema
from typing_extensions import is_typeddict

from tinybms_bridge.words import ENGLISH, Language, Message

__all__ = [
    "Answer",
    "ConfigNoticeAnswer",
    "Done",
    "MessageAnswer",
    "Mistake",
    "Request",
    "Shown",
    "examples",
    "extended",
    "in_language",
    "rounded",
    "shown",
]

T = TypeVar("T")

_BY_UNIT = {
    "cell_v": 4,
    "v": 3,
    "mv": 1,
    "a": 3,
    "ah": 2,
    "w": 1,
    "wh": 1,
    "kwh": 3,
    "c": 1,
    "percent": 1,
    "ms": 1,
    "s": 2,
    "h": 2,
    "left": 1,
    "day": 2,
}
"""By the end of a name, the longest that fits: about what the BMS, the clock or a count can tell."""

_BY_NAME = {
    "voltage": 2,
    "current": 2,
    "temperature": 1,
    "temperatures": 1,
    "scale": 6,
}
"""The names of the README that tell no unit, and steps of raw values."""

_OTHERWISE = 4
"""Of numbers whose unit stands beside them: the voltage of a cell, in V, is the finest."""


_WHOLE = frozenset({int, str, bool, type(None)})
"""What is most of an answer, and has nothing to round."""


def rounded(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever an answer holds
    """Return a value, or all in it, with the decimals of its name; what is no fraction is returned as it is.

    In an object the name of each value is its key, in a list that of the list. For a dataclass see ``shown``.
    """
    kind = value.__class__
    if kind in _WHOLE:
        return value
    if kind is float:
        return round(value, _decimals(name)) + 0.0 if math.isfinite(value) else value  # no -0.0
    if kind is dict:
        return {key: entry if entry.__class__ in _WHOLE else rounded(key, entry) for key, entry in value.items()}
    if kind is list or kind is tuple:
        return [entry if entry.__class__ in _WHOLE else rounded(name, entry) for entry in value]
    plain = _plain(kind)
    if plain is None:
        return value
    return plain(value) if plain is shown else rounded(name, plain(value))


def shown(value: Any) -> dict[str, Any]:  # noqa: ANN401 - an object of any dataclass
    """Return what answers show of an object of a dataclass: its fields and properties, rounded.

    A field that its ``repr`` leaves out, a secret or what only the program needs, is left out here as well.
    """
    names, values = _members(value.__class__)
    return {
        name: entry if entry.__class__ in _WHOLE else rounded(name, entry)
        for name, entry in zip(names, values(value), strict=True)
    }


@cache
def _plain(kind: type) -> Callable[[Any], Any] | None:
    """Return what makes a value of a type one that JSON knows; None for one that stays as it is."""
    if issubclass(kind, Message):
        return kind.document
    if is_dataclass(kind):
        return shown
    if issubclass(kind, Mapping):
        return dict
    return float if kind is Decimal else None


@cache
def _members(kind: type) -> tuple[tuple[str, ...], Callable[[object], tuple[Any, ...]]]:
    """Return the names of what is shown of a dataclass, and what reads all of it at once."""
    names = (*(each.name for each in fields(kind) if each.repr), *_properties(kind))
    if len(names) > 1:
        return names, attrgetter(*names)
    return names, lambda value: tuple(getattr(value, name) for name in names)


def _properties(kind: type) -> dict[str, property]:
    found = {name: each for base in reversed(kind.__mro__) for name, each in vars(base).items()}
    return {name: each for name, each in found.items() if isinstance(each, property) and not name.startswith("_")}


class _AsShown:
    """Lets pydantic answer a dataclass as ``shown`` does, without a validator for each of its fields."""

    def __get_pydantic_core_schema__(self, source: type, _handler: GetCoreSchemaHandler) -> CoreSchema:
        serialization = core_schema.plain_serializer_function_ser_schema(shown)
        return core_schema.is_instance_schema(source, serialization=serialization)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        told = _model_of(schema["cls"]).__pydantic_core_schema__
        return handler(core_schema.definitions_schema(told, []))  # makes a schema with a name of it, to refer to


Shown = Annotated[T, _AsShown()]
"""A dataclass of the product as the type of an answer or of a field of one."""


@cache
def _model_of(kind: type) -> type[BaseModel]:
    """Return a model whose schema says what ``shown`` makes of a dataclass; needed for the OpenAPI document only."""
    types, texts = get_type_hints(kind, include_extras=True), _attribute_docstrings(kind)
    told: dict[str, Any] = {
        each.name: (_shown_type(types[each.name]), Field(description=texts.get(each.name)))
        for each in fields(kind)
        if each.repr
    }
    for name, each in _properties(kind).items():
        text = _in_json(inspect.getdoc(each) or "")
        told[name] = _shown_type(get_type_hints(each.fget)["return"]), Field(description=text or None)
    return create_model(kind.__name__, __doc__=kind.__doc__, __module__=kind.__module__, **told)


class _Explained(Protocol):
    """What has a text in English for who reads no codes, and the same by code as its field ``message``."""

    def why(self) -> Message | None:
        """Return what is told by code; in words alone where nobody knows a code."""
        ...


E = TypeVar("E", bound=_Explained)


def in_language(explained: E, language: Language) -> E:
    """Return the same with the text of its ``message`` in a language; its other text stays English."""
    told = explained.why()
    if told is None:
        return explained
    told = replace(told, text=told.say(language))
    return replace(explained, message=told)  # type: ignore[type-var]


def _shown_type(annotation: Any) -> Any:  # noqa: ANN401 - a type of any form
    """Return the type of what ``rounded`` makes of a value of a type."""
    if annotation is Decimal:
        return float
    if annotation is Message:
        return MessageAnswer
    if is_dataclass(annotation):
        return Annotated[annotation, _AsShown()]
    origin, parts = get_origin(annotation), tuple(map(_shown_type, get_args(annotation)))
    if origin in (None, Annotated, Literal):
        return annotation
    return Union[parts] if origin in (Union, UnionType) else origin[parts]  # noqa: UP007 - parts known only now


def _in_json(text: str) -> str:
    return re.sub(r"\bNone\b", "null", text)


def _attribute_docstrings(kind: type) -> dict[str, str]:
    """Return the text below each field of a dataclass, its bases included; empty where there is no source."""
    found = {}
    for base in filter(is_dataclass, reversed(kind.__mro__)):
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except OSError:
            continue
        for before, after in pairwise(tree.body if isinstance(tree, ast.ClassDef) else ()):
            match before, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = _in_json(inspect.cleandoc(text))
    return found


def extended(kind: type[T], base: object, **more: object) -> T:
    """Return an object of a dataclass that is a subclass of that of ``base``, with the values that ``base`` has."""
    return kind(**{each.name: getattr(base, each.name) for each in fields(base)} | more)  # type: ignore[arg-type]


@cache
def _decimals(name: object) -> int:
    name = str(name)
    if name in _BY_NAME:
        return _BY_NAME[name]
    fitting = [unit for unit in _BY_UNIT if name == unit or name.endswith(f"_{unit}")]
    return _BY_UNIT[max(fitting, key=len)] if fitting else _OTHERWISE


class Answer(BaseModel):
    """Base of every answer and live message; its fractions have the decimals of their names (``rounded``)."""

    model_config = ConfigDict(use_attribute_docstrings=True, from_attributes=True, ser_json_inf_nan="null")

    @model_validator(mode="after")
    def _round(self) -> Self:
        values = self.__dict__
        for name in _fractions(type(self)):
            values[name] = rounded(name, values[name])
        return self


@cache
def _fractions(model: type[Answer]) -> tuple[str, ...]:
    """Return the fields that may hold a fraction, themselves or within a list or an object that is no model."""
    return tuple(name for name, field in model.model_fields.items() if _holds_fraction(field.annotation))


def _holds_fraction(annotation: object) -> bool:
    parts = get_type_hints(annotation).values() if is_typeddict(annotation) else get_args(annotation)
    return annotation in (float, Any) or any(map(_holds_fraction, parts))


def examples(*bodies: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what the document shows of a body, for ``json_schema_extra``."""
    return {"examples": [dict(body) for body in bodies]}


class Request(BaseModel):
    """Base of every body: types are exact, unknown keys are refused."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", strict=True, allow_inf_nan=False)


class Done(Answer):
    """Something was done."""

    success: Literal[True] = True
    message: str = Field(examples=["Configuration updated"])


class MessageAnswer(Answer):
    """Something told to a person."""

    code: str
    """Name for programs."""
    parameters: dict[str, Any]
    """What the text is made from."""
    text: str

    @classmethod
    def of(cls, message: Message, language: Language = ENGLISH) -> Self:
        """Return the answer with the text in a language."""
        return cls(code=message.code, parameters=dict(message.parameters), text=message.say(language))


class ConfigNoticeAnswer(MessageAnswer):
    """Something to know about the configuration in force."""

    path: str
    """Dotted path of the key; empty for the whole file."""
    message: str
    """The text, under its name of earlier versions."""

    @classmethod
    def about(cls, path: str, told: Message, language: Language = ENGLISH) -> Self:
        """Return the answer for a key, with the text in a language."""
        return cls(path=path, message=told.text, **{**told.document(), "text": told.say(language)})


class Mistake(ConfigNoticeAnswer):
    """Something in the configuration that cannot be used."""

    value: str | int | float | bool | None = None
