import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Key, keys_of
from tinybms_bridge.config.loader import parse
from tinybms_bridge.config.models import Section
from tinybms_bridge.errors import ConfigError, ConfigProblem

SAMPLES = Path(__file__).parent / "samples"

Complaints = Callable[[object], dict[str, str]]
Nested = Callable[[str, object], dict[str, Any]]


def _leaves(model: type[Section], prefix: str = "") -> Iterator[tuple[str, Key]]:
    for name, key in keys_of(model).items():
        if key.section is None:
            yield f"{prefix}{name}", key
        else:
            yield from _leaves(key.section, f"{prefix}{name}.")


@pytest.fixture(scope="session")
def leaves() -> dict[str, Key]:
    """Every key of the configuration by its dotted path."""
    return dict(_leaves(Configuration))


@pytest.fixture(scope="session")
def nested() -> Nested:
    """Make a document with one value at a dotted path."""

    def make(path: str, value: object) -> dict[str, Any]:
        document: Any = value
        for key in reversed(path.split(".")):
            document = {key: document}
        assert isinstance(document, dict)
        return document

    return make


@pytest.fixture(scope="session")
def problems() -> Callable[[str | bytes], list[ConfigProblem]]:
    """Parse a text and return what is wrong with it, in order; nothing when it is accepted."""

    def find(text: str | bytes) -> list[ConfigProblem]:
        try:
            parse(text, "test.json")
        except ConfigError as error:
            return error.problems
        return []

    return find


@pytest.fixture(scope="session")
def complaints(problems: Callable[[str | bytes], list[ConfigProblem]]) -> Complaints:
    """Parse a document and return the message for each wrong path; empty when it is accepted."""

    def find(document: object) -> dict[str, str]:
        return {problem.path: problem.message.text for problem in problems(json.dumps(document))}

    return find


@pytest.fixture(scope="session")
def samples() -> dict[str, bytes]:
    """The sample files of the README and of the firmware by name."""
    return {path.stem: path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))}
