"""Judging a document: every problem at once, in our words, with paths as the models name them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tinybms_bridge.config.checks import (
    ConfigFinding,
    charging_findings,
    link_findings,
    network_findings,
    notification_findings,
    pack_findings,
)
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Entries, Key, Keys, keys_of
from tinybms_bridge.config.models.base import Section
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.words import Message, message

__all__ = ["CHECKER", "ConfigVerdict", "judge", "lookup", "shown_key", "shown_value"]

CHECKER = TypeAdapter(Configuration)
"""Judges each key by itself."""

_SECTIONS = keys_of(Configuration)
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class ConfigVerdict:
    """A configuration, or why there is none."""

    configuration: Configuration | None
    problems: tuple[ConfigProblem, ...] = ()


def judge(document: dict[str, Any]) -> ConfigVerdict:
    """Validate a document under the names of the models; one mistake never hides another.

    Checks across keys are also done when single keys are wrong, except where such a key takes part.
    """
    configuration, problems = _by_key(document)
    wrong = set(problems)
    if configuration is None:
        configuration, _ = _by_key(_pruned(document, wrong))
    found = list(problems.values())
    if configuration is not None:
        concerned = {".".join(path) for path in wrong}
        found += [
            _cross_problem(finding, document)
            for finding in _across_keys(configuration)
            if not any(_within(path, concerned) for path in finding.paths)
        ]
    return ConfigVerdict(None if found else configuration, tuple(found))


def lookup(document: object, path: Iterable[str]) -> object:
    """Return the value at a path of keys, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def shown_key(key: str) -> str:
    """Return a key of a stranger's file fit for a message: printable and short."""
    printable = key if key.isprintable() else ascii(key)[1:-1]
    return printable if len(printable) <= _LONGEST_SHOWN else printable[: _LONGEST_SHOWN - 1] + "…"


def shown_value(value: object, key: Key | None) -> object:
    """Return the value for a message: None for secrets, objects and lists, and for what may hide a password."""
    if key is None or key.is_secret or key.below is not None:
        return None
    if not isinstance(value, str | int | float | bool):
        return None
    if isinstance(value, str) and ("@" in value or "-----BEGIN" in value):
        return None
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return value[: _LONGEST_SHOWN - 1] + "…"
    return None if isinstance(value, int) and abs(value) > 10**_LONGEST_SHOWN else value


def _by_key(document: dict[str, Any]) -> tuple[Configuration | None, dict[tuple[str, ...], ConfigProblem]]:
    """Return the configuration, or a problem for each wrong key by its path."""
    problems: dict[tuple[str, ...], ConfigProblem] = {}
    try:
        return CHECKER.validate_python(document), problems
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            path, key, owner = _locate(detail)
            if path not in problems:
                problems[path] = _key_problem(path, key, owner, document)
    return None, problems


def _across_keys(configuration: Configuration) -> list[ConfigFinding]:
    """Return what does not fit together although each key by itself is right."""
    return [
        *network_findings(configuration.wifi, configuration.mqtt, configuration.web_server, configuration.logging),
        *notification_findings(configuration.notifications),
        *pack_findings(configuration.packs),
        *link_findings(configuration.tinybms, configuration.victron),
        *charging_findings(configuration.cvl, configuration.victron.thresholds),
    ]


def _key_problem(path: tuple[str, ...], key: Key | None, owner: Keys, document: dict[str, Any]) -> ConfigProblem:
    where = ".".join(shown_key(name) for name in path)
    if key is None:
        return ConfigProblem(where, None, _unknown_key(path[-1], owner))
    return ConfigProblem(where, shown_value(lookup(document, path), key), key.expectation)


def _locate(detail: ErrorDetails) -> tuple[tuple[str, ...], Key | None, Keys]:
    """Return the names down to the wrong value, its key (None: unknown) and the keys that it is not one of."""
    owner: Keys = _SECTIONS
    key: Key | None = None
    path: list[str] = []
    for part in detail["loc"]:
        path.append(str(part))
        key = owner.get(str(part))
        if key is None or key.below is None or len(path) == len(detail["loc"]):
            break
        owner = key.below
    return tuple(path), key, owner


def _unknown_key(name: str, owner: Keys) -> Message:
    if isinstance(owner, Entries):
        return owner.expectation
    homes = _homes(Configuration, name)
    if homes:
        return message("config.misplaced_key", sections=[f'"{home}"' for home in homes])
    known = list(owner) if isinstance(owner, Mapping) else []
    meant = nearest(name, known)
    if not meant and owner is _SECTIONS:
        return message("config.unknown_section", sections=known)
    return message("config.unknown_key", meant=meant)


def _homes(section: type[Section], name: str, prefix: str = "") -> list[str]:
    homes = [prefix] if prefix and name in keys_of(section) else []
    for key in keys_of(section).values():
        if key.section is not None:
            homes += _homes(key.section, name, f"{prefix}.{key.name}" if prefix else key.name)
    return homes


def _pruned(document: Mapping[str, Any], wrong: set[tuple[str, ...]], at: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        key: _pruned(value, wrong, (*at, key)) if isinstance(value, Mapping) else value
        for key, value in document.items()
        if (*at, key) not in wrong
    }


def _within(path: str, concerned: set[str]) -> bool:
    return any(path == other or path.startswith(f"{other}.") for other in concerned)


def _cross_problem(finding: ConfigFinding, document: dict[str, Any]) -> ConfigProblem:
    """Report a finding at the first of its keys that the document gives."""
    seen = list(zip(finding.paths, finding.messages, strict=False))
    given = (pair for pair in seen if lookup(document, pair[0].split(".")) is not None)
    where, told = next(given, seen[0])
    path = tuple(where.split("."))
    return ConfigProblem(where, shown_value(lookup(document, path), _key(path)), told)


def _key(path: tuple[str, ...]) -> Key | None:
    key: Key | None = None
    keys: Keys | None = _SECTIONS
    for name in path:
        key = None if keys is None else keys.get(name)
        keys = None if key is None else key.below
    return key
