"""Every key of the configuration in French."""

import re

import pytest

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Key, every_key
from tinybms_bridge.words.french_keys import KEYS, SECTIONS

KEYS_BY_PATH: dict[str, Key] = dict(every_key(Configuration))
VALUES = {path: key for path, key in KEYS_BY_PATH.items() if key.section is None}


def test_every_key_and_section_has_french_words() -> None:
    """And none has words that is gone: a form would mix two languages, or fail."""
    assert set(VALUES) == set(KEYS)
    assert {path for path, key in KEYS_BY_PATH.items() if key.section is not None} | {""} == set(SECTIONS)


@pytest.mark.parametrize("path", sorted(VALUES))
def test_the_french_words_tell_the_same(path: str) -> None:
    """Registers, numbers, names of keys and what null means are in both; marks stand as French has them."""
    title, help_ = KEYS[path]
    english = VALUES[path].meaning.help

    assert title
    assert help_.endswith(".")
    assert _names(re.sub(r"(\d),(\d)", r"\1.\2", help_)) == _names(english)
    assert ("null =" in help_) == ("null =" in english)
    assert not re.search(r"\w[:;](\s|$)|\s[,.](\s|$)", help_.replace("mqtts://", ""))


def _names(text: str) -> set[str]:
    """Return numbers, and what stands in capitals or with underscores: none of it is translated."""
    return set(
        re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?!\w)|\b[A-Z]+_[A-Z]+\b|\b[a-z]+_[a-z_]+\b|\b(?:FLOAT|SUSTAIN)\b", text)
    )
