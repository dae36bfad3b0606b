"""A code with its parameters, and its English text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from tinybms_bridge.words.catalogue import ENGLISH, Language, knows, say

__all__ = ["JsonValue", "Message", "message"]

JsonValue: TypeAlias = Any
"""What JSON can hold: a text, number, truth value or nothing, a list of these, or a mapping with texts as keys."""

_NONE: Mapping[str, JsonValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell a person; programs go by its code."""

    code: str
    parameters: Mapping[str, JsonValue] = field(default_factory=lambda: _NONE, hash=False)
    text: str = ""
    """In English: what is shown by whoever does not know the code."""

    def say(self, language: Language = ENGLISH) -> str:
        """Return the sentence in a language; in English as it was made."""
        if language == ENGLISH and self.text:
            return self.text
        return say(self.code, self.parameters, language, self.text)

    def advice(self, language: Language = ENGLISH) -> str:
        """Return what to do about it; empty where the catalogue knows nothing."""
        return self._beside("advice", language)

    @property
    def advice_message(self) -> "Message | None":
        """What to do about it, as a message; None where the catalogue knows nothing."""
        code = f"{self.code}.advice"
        return Message(code, self.parameters, self.advice()) if knows(code) else None

    def explanation(self, language: Language = ENGLISH) -> str:
        """Return what it means; empty where the catalogue knows nothing."""
        return self._beside("explanation", language)

    def document(self) -> dict[str, JsonValue]:
        """Return what JSON carries of it."""
        return {"code": self.code, "parameters": dict(self.parameters), "text": self.text}

    def _beside(self, what: str, language: Language) -> str:
        code = f"{self.code}.{what}"
        return say(code, self.parameters, language) if knows(code) else ""

    def __str__(self) -> str:
        return self.text


def message(code: str, /, **parameters: object) -> Message:
    """Return a message with its English text; parameters become what JSON can hold."""
    known = {name: _json(value) for name, value in parameters.items()}
    name = code.value if isinstance(code, StrEnum) else code
    return Message(name, known, say(name, known))


def _json(value: object) -> JsonValue:
    match value:
        case Message():
            return value.document()
        case StrEnum():
            return value.value
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(name): _json(each) for name, each in value.items()}
        case Sequence() | frozenset() | set():
            return [_json(each) for each in value]
        case _:
            return str(value)
