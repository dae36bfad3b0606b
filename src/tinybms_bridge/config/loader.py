"""From a text to a configuration: all problems at once, or a configuration with notices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tinybms_bridge.config.changes import without_masks
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.firmware import translate
from tinybms_bridge.config.json_text import read_object
from tinybms_bridge.config.notices import Notice, notices_of
from tinybms_bridge.config.validation import judge, shown_key
from tinybms_bridge.errors import ConfigError, ConfigProblem

__all__ = ["LoadedConfig", "interpret", "load", "parse"]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A usable document."""

    configuration: Configuration
    document: dict[str, Any]
    """The keys that the user gave, under the names of the models, secrets in clear."""
    notices: tuple[Notice, ...]


def parse(text: str | bytes, source: str) -> tuple[Configuration, list[Notice]]:
    """Return the configuration in a JSON text, with notices.

    Accepts our names, those of the README and those of the ESP32 firmware. ``source`` names the text in messages.
    Raises ConfigError with every problem, in the order of the text; no problem shows a secret.
    """
    loaded = load(text, source)
    return loaded.configuration, list(loaded.notices)


def load(text: str | bytes, source: str) -> LoadedConfig:
    """Do what ``parse`` does and also return the document itself."""
    document, doubled = read_object(text, source)
    return interpret(document, source, doubled)


def interpret(document: Mapping[str, Any], source: str, found: Iterable[ConfigProblem] = ()) -> LoadedConfig:
    """Return what a parsed document means; ``found`` are problems that are already known.

    Raises ConfigError as ``parse`` does.
    """
    translation = translate(document)
    clear, masked = without_masks(translation.document)
    verdict = judge(clear)
    judged = [replace(problem, path=_origin(problem.path, translation.origins)) for problem in verdict.problems]
    problems = [*found, *translation.problems, *judged]
    if problems or verdict.configuration is None:
        raise ConfigError(_in_order(problems, document), source=source)
    remarks = [
        replace(notice, path=_origin(notice.path, translation.origins))
        for notice in (*masked, *notices_of(clear, verdict.configuration))
    ]
    return LoadedConfig(verdict.configuration, clear, (*translation.notices, *remarks))


def _origin(path: str, origins: Mapping[str, str]) -> str:
    """Return the path under which the user wrote a key, by its longest renamed beginning."""
    keys = path.split(".")
    for length in range(len(keys), 0, -1):
        written = origins.get(".".join(keys[:length]))
        if written is not None:
            return ".".join([written, *keys[length:]])
    return path


def _in_order(problems: list[ConfigProblem], document: Mapping[str, Any]) -> list[ConfigProblem]:
    """Sort problems as the file has their keys; a missing key stands with its section, the file itself comes first."""
    places = {path: place for place, path in enumerate(_paths(document), start=1)}

    def place(problem: ConfigProblem) -> int:
        path = problem.path
        while path and path not in places:
            path = path.rpartition(".")[0]
        return places.get(path, len(places) + 1 if problem.path else 0)

    return sorted(problems, key=place)


def _paths(document: Mapping[str, Any], prefix: str = "") -> list[str]:
    paths: list[str] = []
    for key, value in document.items():
        path = f"{prefix}{shown_key(key)}"
        paths.append(path)
        if isinstance(value, Mapping):
            paths += _paths(value, f"{path}.")
    return paths
