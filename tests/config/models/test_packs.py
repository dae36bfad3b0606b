import json
from collections.abc import Callable
from typing import Any

import pytest

from tinybms_bridge.config.describe import json_schema
from tinybms_bridge.config.loader import parse
from tinybms_bridge.config.values import from_values, values_of
from tinybms_bridge.errors import ConfigError

Complaints = Callable[[object], dict[str, str]]

NAME = "must be 1 to 16 letters (a-z), digits, _ or -, begin with a letter or a digit, and not be candidates"


def of_name(name: str, **more: object) -> dict[str, Any]:
    """Return a document with one pack."""
    return {"packs": {name: {"uart": {"device": "/dev/ttyUSB0"}, **more}}}


@pytest.mark.parametrize("name", ["a", "main", "0", "Port-front_2", "x" * 16, "constructor", "packs", "uart", "null"])
def test_names_of_packs(name: str, complaints: Complaints) -> None:
    """What is safe in a topic, a path, a file name and a label; what JavaScript has as a word is a name like others."""
    assert complaints(of_name(name)) == {}
    assert list(from_values(of_name(name)).packs) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a.b",
        "a/b",
        "../a",
        "a\\b",
        "a#",
        "+",
        "*",
        "a\x00",
        "a\n",
        "-a",
        "_a",
        "__proto__",
        "é",
        "ſ",
        "\u212a",
        "\u202eabc",
        "🔋",
        "x" * 17,
        "x" * 5000,
        "candidates",
        "[key]",
        '"',
        "<b>",
        "%2e",
    ],
)
def test_names_with_odd_characters_are_refused(name: str) -> None:
    """Whoever writes the file is told what a name may be, at that name; the core, which has no checker, refuses too."""
    for read in (lambda document: parse(json.dumps(document), "test"), from_values):
        with pytest.raises(ConfigError) as caught:
            read(of_name(name))
        (problem,) = caught.value.problems
        assert problem.path.startswith("packs.")
        assert problem.message.text == NAME


def test_what_an_odd_name_is_given_does_not_matter(complaints: Complaints) -> None:
    """One problem, not one for each value inside; a name in the checker's own words is no way around."""
    assert complaints({"packs": {"[key]": {"[key]": 1, "uart": 5}}}) == {"packs.[key]": NAME}
    assert complaints({"packs": {"a": {"[key]": 1, "uart": {"device": "/dev/ttyUSB0"}}}}) == {
        "packs.a.[key]": "unknown key"
    }


def test_sixteen_packs_and_no_more(complaints: Complaints) -> None:
    """As many as the rest of the program is made and tried for."""
    document = {"packs": {f"p{n}": {"uart": {"device": f"/dev/ttyUSB{n}"}} for n in range(16)}}
    assert complaints(document) == {}
    assert len(from_values(document).packs) == 16

    document["packs"]["p16"] = {"uart": {"device": "/dev/ttyUSB16"}}
    assert complaints(document) == {"packs": "must be an object of at most 16 packs by name"}
    with pytest.raises(ConfigError, match="at most 16 packs"):
        from_values(document)


@pytest.mark.parametrize("wrong", [None, [], "a", 1, True])
def test_packs_and_each_of_them_are_objects(wrong: object, complaints: Complaints) -> None:
    """A list of ports, as other programs have it, has no names."""
    assert complaints({"packs": wrong}) == {"packs": "must be an object of at most 16 packs by name"}
    assert complaints({"packs": {"a": wrong}}) == {"packs.a": "must be an object"}
    for document in ({"packs": wrong}, {"packs": {"a": wrong}}):
        with pytest.raises(ConfigError):
            from_values(document)


@pytest.mark.parametrize("serial", ["", "0123456789ABCDEF01234567", "0123456789abcdef01234567"])
def test_serial_numbers(serial: str, complaints: Complaints) -> None:
    """As a BMS tells them, in capitals or not."""
    assert complaints(of_name("a", serial_number=serial)) == {}


@pytest.mark.parametrize(
    "serial", ["0123", "0123456789ABCDEF0123456", "G" * 24, "0" * 24, "f" * 24, " " * 24, "0" * 25, None, 123]
)
def test_other_serial_numbers_are_refused(serial: object, complaints: Complaints) -> None:
    """A pack that is pinned to a unit that cannot exist would never be there."""
    assert list(complaints(of_name("a", serial_number=serial))) == ["packs.a.serial_number"]


def test_keys_of_the_only_line_that_a_pack_has_not(complaints: Complaints) -> None:
    """The line speed is the vendor's: where it belongs is told."""
    document = of_name("a")
    document["packs"]["a"]["uart"]["baudrate"] = 115_200

    assert complaints(document) == {"packs.a.uart.baudrate": 'unknown key here; it belongs to "hardware.uart"'}


def test_packs_keep_the_order_of_the_file() -> None:
    """People number their packs by it, through every process that reads the values."""
    document = {"packs": {name: {"uart": {"device": f"/dev/{name}"}} for name in ("z", "a", "m")}}
    configuration, _ = parse(json.dumps(document), "test")

    again = from_values(json.loads(json.dumps(values_of(configuration))))

    assert list(configuration.packs) == list(again.packs) == ["z", "a", "m"]
    assert again == configuration


def test_the_schema_describes_each_pack() -> None:
    """An editor completes the keys of any name and marks names that are none; French as well."""
    schema, french = json_schema(), json_schema("fr")
    packs = schema["properties"]["packs"]

    assert packs["additionalProperties"] == {"$ref": "#/$defs/PackEntry"}
    assert packs["propertyNames"]["maxLength"] == 16
    assert packs["propertyNames"]["rule"] == NAME
    assert packs["default"] == {}
    assert schema["$defs"]["PackEntry"]["properties"]["enabled"]["title"] == "In service"
    assert french["$defs"]["PackEntry"]["properties"]["enabled"]["title"] == "En service"
    assert french["$defs"]["PackUart"]["description"] == "Ligne série vers le BMS du pack."
