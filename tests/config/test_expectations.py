import pytest
from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.expectations import (
    choices,
    expectation,
    extra,
    is_nullable,
    is_secret,
    section_type,
    value_range,
    value_types,
)
from tinybms_bridge.config.models import Cvl, Section


class Sample(Section):
    """A section for these tests."""

    free: str = ""
    short: str = Field("", max_length=5)
    options: dict[str, int] = Field(default_factory=dict)
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
    assert expectation(field_at(path)) == sentence


def test_plain_fields_have_plain_words() -> None:
    """Keys without a rule still get a sentence."""
    assert expectation(Sample.model_fields["free"]) == "must be text"
    assert expectation(Sample.model_fields["short"]) == "must be text of at most 5 characters"


def test_the_parts_of_a_field() -> None:
    """Each part that the documentation shows is read from the model."""
    bulk_v = field_at("cvl.bulk_voltage_v")

    assert value_types(bulk_v) == (float,)
    assert is_nullable(bulk_v)
    assert value_range(bulk_v) == (3, 80)
    assert extra(bulk_v, "unit") == "V"
    assert extra(bulk_v, "rule") == ""
    assert choices(bulk_v) == ()


def test_fields_without_a_range() -> None:
    """Only both bounds together are a range."""
    assert value_range(Sample.model_fields["open_number"]) is None
    assert extra(Sample.model_fields["open_number"], "unit") == ""


def test_sections_are_told_from_values() -> None:
    """Walking the models must stop at dictionaries of free keys."""
    assert section_type(Configuration.model_fields["cvl"]) is Cvl
    assert section_type(Sample.model_fields["options"]) is None
    assert section_type(Sample.model_fields["free"]) is None


def test_secrets_are_recognised() -> None:
    """What is a secret is decided by its type alone."""
    assert is_secret(field_at("wifi.ap_fallback.password"))
    assert not is_secret(field_at("wifi.ap_fallback.ssid"))
    assert value_types(field_at("mqtt.password")) == (SecretStr,)


def field_at(path: str) -> FieldInfo:
    """Return the field at a dotted path."""
    *parents, key = path.split(".")
    model: type[Section] = Configuration
    for parent in parents:
        inner = section_type(model.model_fields[parent])
        assert inner is not None
        model = inner
    return model.model_fields[key]
