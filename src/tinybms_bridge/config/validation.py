"""Judging a document: every problem at once, in our words, with paths as the models name them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tinybms_bridge.config.checks import CROSS_CHECK, Finding
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.expectations import expectation, is_secret, section_type
from tinybms_bridge.config.models import Section
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.suggestions import did_you_mean

__all__ = ["Verdict", "judge", "lookup", "shown_key", "shown_value"]

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """A configuration, or why there is none."""

    configuration: Configuration | None
    problems: tuple[ConfigProblem, ...] = ()


def judge(document: dict[str, Any]) -> Verdict:
    """Validate a document under the names of the models; one mistake never hides another.

    Checks across keys are also done when single keys are wrong, except where such a key takes part.
    """
    try:
        return Verdict(Configuration.model_validate(document))
    except ValidationError as error:
        problems, wrong = _key_problems(error, document)
        findings = _findings(error) if not wrong else _findings_without(document, wrong)
    concerned = {".".join(path) for path in wrong}
    for finding in findings:
        if not any(_within(path, concerned) for path in finding.paths):
            problems.append(_cross_problem(finding, document))
    return Verdict(None, tuple(problems))


def lookup(document: object, path: Iterable[str]) -> object:
    """Return the value at a path of keys, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def shown_key(key: str) -> str:
    """Return a key of a stranger's file fit for a message: printable and short."""
    printable = key if key.isprintable() else ascii(key)[1:-1]
    return printable if len(printable) <= _LONGEST_SHOWN else printable[: _LONGEST_SHOWN - 1] + "…"


def shown_value(value: object, field: FieldInfo | None) -> object:
    """Return the value for a message: None for secrets, objects and lists, and for what may hide a password."""
    if field is None or is_secret(field) or section_type(field) is not None:
        return None
    if not isinstance(value, str | int | float | bool):
        return None
    if isinstance(value, str) and ("@" in value or "-----BEGIN" in value):
        return None
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return value[: _LONGEST_SHOWN - 1] + "…"
    return None if isinstance(value, int) and abs(value) > 10**_LONGEST_SHOWN else value


def _key_problems(error: ValidationError, document: dict[str, Any]) -> tuple[list[ConfigProblem], set[tuple[str, ...]]]:
    problems: dict[tuple[str, ...], ConfigProblem] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == CROSS_CHECK:
            continue
        path, field, owner = _locate(detail)
        if path not in problems:
            problems[path] = _key_problem(path, field, owner, document)
    return list(problems.values()), set(problems)


def _key_problem(
    path: tuple[str, ...], field: FieldInfo | None, owner: type[Section], document: dict[str, Any]
) -> ConfigProblem:
    where = ".".join(shown_key(key) for key in path)
    if field is None:
        return ConfigProblem(where, None, _unknown_key(path[-1], owner))
    return ConfigProblem(where, shown_value(lookup(document, path), field), expectation(field))


def _locate(detail: ErrorDetails) -> tuple[tuple[str, ...], FieldInfo | None, type[Section]]:
    """Return the keys down to the wrong value, its field (None: unknown key) and the model that owns it."""
    owner: type[Section] = Configuration
    field: FieldInfo | None = None
    path: list[str] = []
    for part in detail["loc"]:
        path.append(str(part))
        field = owner.model_fields.get(str(part))
        inner = section_type(field) if field is not None else None
        if inner is None or len(path) == len(detail["loc"]):
            break
        owner = inner
    return tuple(path), field, owner


def _unknown_key(key: str, owner: type[Section]) -> str:
    homes = _homes(Configuration, key)
    if homes:
        return "unknown key here; it belongs to " + " or ".join(f'"{home}"' for home in homes)
    hint = did_you_mean(key, owner.model_fields)
    if not hint and owner is Configuration:
        return "unknown section; the sections are " + ", ".join(owner.model_fields)
    return f"unknown key{hint}"


def _homes(model: type[Section], key: str, prefix: str = "") -> list[str]:
    homes = [prefix] if prefix and key in model.model_fields else []
    for name, field in model.model_fields.items():
        inner = section_type(field)
        if inner is not None:
            homes += _homes(inner, key, f"{prefix}.{name}" if prefix else name)
    return homes


def _findings(error: ValidationError) -> list[Finding]:
    found: list[Finding] = []
    for detail in error.errors(include_url=False):
        if detail["type"] == CROSS_CHECK:
            found += detail["ctx"]["findings"]
    return found


def _findings_without(document: dict[str, Any], wrong: set[tuple[str, ...]]) -> list[Finding]:
    try:
        Configuration.model_validate(_pruned(document, wrong))
    except ValidationError as error:
        return _findings(error)
    return []


def _pruned(document: Mapping[str, Any], wrong: set[tuple[str, ...]], at: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        key: _pruned(value, wrong, (*at, key)) if isinstance(value, Mapping) else value
        for key, value in document.items()
        if (*at, key) not in wrong
    }


def _within(path: str, concerned: set[str]) -> bool:
    return any(path == other or path.startswith(f"{other}.") for other in concerned)


def _cross_problem(finding: Finding, document: dict[str, Any]) -> ConfigProblem:
    """Report a finding at the first of its keys that the document gives."""
    seen = list(zip(finding.paths, finding.messages, strict=False))
    given = (pair for pair in seen if lookup(document, pair[0].split(".")) is not None)
    where, message = next(given, seen[0])
    path = tuple(where.split("."))
    return ConfigProblem(where, shown_value(lookup(document, path), _field(path)), message)


def _field(path: tuple[str, ...]) -> FieldInfo:
    owner: type[Section] = Configuration
    for key in path[:-1]:
        owner = section_type(owner.model_fields[key]) or owner
    return owner.model_fields[path[-1]]
