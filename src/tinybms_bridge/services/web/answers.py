"""The base of every answer, live message and body; each number of an answer has the decimals that its unit is worth."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from tinybms_bridge.words import ENGLISH, Language, Message

__all__ = ["Answer", "ConfigNoticeAnswer", "Done", "MessageAnswer", "Request", "examples", "rounded"]

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

    In an object the name of each value is its key, in a list that of the list.
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
    return value


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
    """Return the fields that may hold a fraction, themselves or within a list or an object without a model."""
    return tuple(name for name, field in model.model_fields.items() if _holds_fraction(field.annotation))


def _holds_fraction(annotation: object) -> bool:
    return annotation in (float, Any) or any(_holds_fraction(part) for part in get_args(annotation))


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


class ConfigNoticeAnswer(Answer):
    """Something to know about the configuration in force."""

    path: str
    """Dotted path of the key; empty for the whole file."""
    message: str
