"""Sentences by code and language, and how parameters are put into them.

A sentence is a line with fields, as ``str.format`` has them:

``{name}``, ``{name:.1f}``: the parameter; numbers get the decimal sign of the language, and a list its ", " and "and".
``{name:;}``, ``{name:,}``: a list with that sign between its items.
``{name:or}``: a list with "or" before its last item.
``[ ... ]``: left out when one of the parameters within is missing or empty.
``{name:one|many}``: the first word for one (in French also for none), the second for more; of a truth value the first
for true. A list counts its items.
``{name:?text}``: the text when the parameter is true or not empty.
``{name:^}``: the parameter with a capital letter.
``{name:@family}``: the words of the code ``family.value``; of each, where the value names several, comma between. A
number at its end, as in ``cell 3``, is the parameter ``number`` of ``family.cell``.

A parameter may itself be a message, ``{"code": ..., "parameters": {...}, "text": ...}``: its sentence is put in.
"""

import importlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from string import Formatter
from typing import Literal, TypeAlias

__all__ = ["ENGLISH", "LANGUAGES", "Language", "codes", "fields_of", "knows", "say"]

Language: TypeAlias = Literal["en", "fr"]

ENGLISH: Language = "en"


@dataclass(frozen=True, slots=True)
class _Grammar:
    """What a language does to numbers and lists."""

    module: str
    decimal_sign: str
    last_joint: str
    """Between the last two of a list."""
    choice_joint: str
    """Between the last two of which one is meant."""
    none_is_singular: bool
    """Whether a noun after 0 stands in the singular."""


_GRAMMARS: Mapping[Language, _Grammar] = {
    "en": _Grammar("english", ".", " and ", " or ", none_is_singular=False),
    "fr": _Grammar("french", ",", " et ", " ou ", none_is_singular=True),
}

LANGUAGES: tuple[Language, ...] = tuple(_GRAMMARS)
"""The languages of the catalogue."""

_UNKNOWN = "?"
"""In place of a parameter that is not there."""

_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_NUMBERED = re.compile(r"(.+)_(\d{1,9})")
_SEPARATORS = frozenset({";", ","})
_CHOICE = "or"
_FORMATTER = Formatter()


def say(code: str, parameters: Mapping[str, object], language: Language = ENGLISH, text: str = "") -> str:
    """Return the sentence of a code; where there is none, or its parameters do not fit, ``text``, or else the code.

    Never raises: codes and parameters may come from a later version.
    """
    sentence = _sentences(language).get(code)
    if sentence is None:
        return text or code
    try:
        return "".join(_filled(part, parameters, _GRAMMARS[language], language) for part in _parts(sentence))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        return text or code


def knows(code: str) -> bool:
    """Tell whether the catalogue has words for a code."""
    return code in _sentences(ENGLISH)


def codes(language: Language = ENGLISH) -> frozenset[str]:
    """Return every code that has words in a language."""
    return frozenset(_sentences(language))


def fields_of(sentence: str) -> frozenset[tuple[str, str]]:
    """Return the fields of a sentence: the name of each, and how it is shown where that is no matter of language."""
    found = set()
    for part in _parts(sentence):
        for _, name, spec in part.items:
            if name is not None:
                found.add((name, "" if "|" in spec or spec.startswith("?") else spec))
    return frozenset(found)


@cache
def _sentences(language: Language) -> Mapping[str, str]:
    """Return the lines of a language, which are loaded when they are first asked for: the core needs one only."""
    module = importlib.import_module(f"{__package__}.{_GRAMMARS[language].module}")
    sentences: Mapping[str, str] = module.SENTENCES
    return sentences


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a sentence."""

    items: tuple[tuple[str, str | None, str], ...]
    """Text, and the name and format of the field after it; None: no field follows."""
    optional: bool


@lru_cache(maxsize=2048)
def _parts(sentence: str) -> tuple[_Part, ...]:
    pieces = _OPTIONAL.split(sentence)
    return tuple(
        _Part(tuple((text, name, spec or "") for text, name, spec, _ in _FORMATTER.parse(piece)), bool(number % 2))
        for number, piece in enumerate(pieces)
        if piece
    )


def _filled(part: _Part, parameters: Mapping[str, object], grammar: _Grammar, language: Language) -> str:
    if part.optional and any(name is not None and _is_empty(parameters.get(name)) for _, name, _ in part.items):
        return ""
    return "".join(
        text if name is None else text + _shown(parameters.get(name), spec, grammar, language)
        for text, name, spec in part.items
    )


def _is_empty(value: object) -> bool:
    return value is None or value is False or value in ("", [], ())


def _shown(value: object, spec: str, grammar: _Grammar, language: Language) -> str:
    """Return one parameter as a sentence has it."""
    if spec.startswith("?"):
        return "" if _is_empty(value) else spec[1:]
    if spec == "^":
        text = _shown(value, "", grammar, language)
        return f"{text[:1].upper()}{text[1:]}"
    if spec.startswith("@"):
        return _looked_up(value, spec[1:], grammar, language)
    if "|" in spec:
        one, _, many = spec.partition("|")
        return one if _is_singular(value, grammar) else many
    if isinstance(value, Mapping):
        return _nested(value, language)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _listed(value, spec, grammar, language)
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return format(value, spec or ".10g").replace(".", grammar.decimal_sign)


def _listed(values: Sequence[object], spec: str, grammar: _Grammar, language: Language) -> str:
    own = "" if spec in _SEPARATORS or spec == _CHOICE else spec
    words = [_shown(each, own, grammar, language) for each in values]
    if spec in _SEPARATORS:
        return f"{spec} ".join(words)
    return _joined(words, grammar.choice_joint if spec == _CHOICE else grammar.last_joint)


def _nested(message: Mapping[str, object], language: Language) -> str:
    parameters = message.get("parameters", {})
    known = parameters if isinstance(parameters, Mapping) else {}
    return say(str(message["code"]), known, language, str(message.get("text", "")))


def _looked_up(value: object, family: str, grammar: _Grammar, language: Language) -> str:
    if value is None:
        return _UNKNOWN
    names = value.split(", ") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
    return _joined([_name(str(name), family, language) for name in names], grammar.last_joint)


def _name(name: str, family: str, language: Language) -> str:
    code = f"{family}.{name.lower().replace(' ', '_')}"
    numbered = _NUMBERED.fullmatch(code)
    if numbered and not knows(code):
        return say(numbered[1], {"number": int(numbered[2])}, language, name)
    return say(code, {}, language, name)


def _is_singular(value: object, grammar: _Grammar) -> bool:
    if isinstance(value, bool):
        return value
    count = len(value) if isinstance(value, Sequence) else value
    if not isinstance(count, int | float) or not math.isfinite(count):
        return False
    whole = round(abs(count))
    return whole == 1 or (whole == 0 and grammar.none_is_singular)


def _joined(words: Sequence[str], joint: str) -> str:
    *first, last = words or [""]
    return f"{', '.join(first)}{joint}{last}" if first else last
