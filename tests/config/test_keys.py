from dataclasses import dataclass, field
from typing import Annotated

import pytest

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Key, every_key, keys_of
from tinybms_bridge.config.models import Cvl, PackEntry, Section
from tinybms_bridge.config.models.base import Secret, text


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample(Section):
    """A section for these tests."""

    free: str = ""
    short: Annotated[str, text("Short", "A short text.", longest=5)] = ""
    options: dict[str, int] = field(default_factory=dict)
    open_number: float = 1.0


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("cvl.enabled", "must be true or false"),
        ("cvl.bulk_soc_threshold", "must be a number from 0 to 100 %"),
        ("cvl.series_cell_count", "must be a whole number from 4 to 16, or null"),
        ("cvl.bulk_voltage_v", "must be a number from 3 to 80 V, or null"),
        ("cvl.chemistry", 'must be one of "auto", "lfp", "li-ion", "lto"'),
        ("wifi.sta_static_ip", "must be an IPv4 address such as 192.168.1.20, or empty"),
        ("mqtt.username", "must be text of at most 256 characters"),
        ("mqtt.password", "must be text"),
        ("hardware.uart.baudrate", "must be 115200"),
        ("hardware.can", "must be an object"),
        ("tinybms.poll_interval_ms", "must be a whole number from 20 to 1000 ms"),
    ],
)
def test_a_key_says_what_it_accepts(path: str, sentence: str) -> None:
    """Range, unit, choices and null all appear in the sentence."""
    assert field_at(path).expectation.text == sentence


def test_plain_fields_have_plain_words() -> None:
    """Keys without a rule still get a sentence."""
    assert keys_of(Sample)["free"].expectation.text == "must be text"
    assert keys_of(Sample)["short"].expectation.text == "must be text of at most 5 characters"


def test_the_parts_of_a_field() -> None:
    """Each part that the documentation shows is read from the model."""
    bulk_v = field_at("cvl.bulk_voltage_v")

    assert bulk_v.type is float
    assert bulk_v.nullable
    assert bulk_v.range == (3.0, 80.0)
    assert bulk_v.meaning.unit == "V"
    assert bulk_v.meaning.rule is None
    assert bulk_v.choices == ()


def test_fields_without_a_range() -> None:
    """Only both bounds together are a range."""
    assert keys_of(Sample)["open_number"].range is None
    assert keys_of(Sample)["open_number"].meaning.unit == ""


def test_sections_are_told_from_values() -> None:
    """Walking the models must stop at dictionaries of free keys."""
    assert keys_of(Configuration)["cvl"].section is Cvl
    assert keys_of(Sample)["options"].section is None
    assert keys_of(Sample)["free"].section is None


def test_entries_of_a_map_are_keys_by_any_name_that_is_allowed() -> None:
    """Whoever walks a document goes through the names that people give as through those of the models."""
    packs = keys_of(Configuration)["packs"]

    assert packs.section is None
    assert packs.entries is not None
    assert packs.below is packs.entries
    entry = packs.entries.get("any")
    assert entry is not None
    assert (entry.section, entry.default, entry.nullable) == (PackEntry, PackEntry(), False)
    assert packs.entries.get("a b") is None
    assert field_at("packs").expectation.text == "must be an object of at most 16 packs by name"


def test_every_key_is_walked_once() -> None:
    """With sections and maps before what is in them, and one entry for all of a map."""
    walked = [path for path, _ in every_key(Configuration)]

    assert len(walked) == len(set(walked))
    assert walked[walked.index("packs") :][:5] == [
        "packs",
        "packs.*",
        "packs.*.uart",
        "packs.*.uart.device",
        "packs.*.uart.timeout_ms",
    ]
    assert walked.index("hardware") < walked.index("hardware.uart") < walked.index("hardware.uart.device")


def test_secrets_are_recognised() -> None:
    """What is a secret is decided by its type alone."""
    assert field_at("wifi.ap_fallback.password").is_secret
    assert not field_at("wifi.ap_fallback.ssid").is_secret
    assert field_at("mqtt.password").type is Secret


def field_at(path: str) -> Key:
    """Return the field at a dotted path."""
    *parents, key = path.split(".")
    model: type[Section] = Configuration
    for parent in parents:
        inner = keys_of(model)[parent].section
        assert inner is not None
        model = inner
    return keys_of(model)[key]
