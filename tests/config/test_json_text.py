import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.config.json_text import MAX_BYTES, MAX_DEPTH, read_object
from tinybms_bridge.errors import ConfigError


def refusal(text: str | bytes) -> str:
    """Return the only message with which a text is refused."""
    with pytest.raises(ConfigError) as caught:
        read_object(text, "a.json")
    (problem,) = caught.value.problems
    assert caught.value.source == "a.json"
    assert problem.value is None
    return f"{problem.path}: {problem.message.text}" if problem.path else problem.message.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON: the text is empty at line 1, column 1"),
        ("  \n ", "is not JSON: the text is empty at line 2, column 2"),
        ('{"wifi": {', "is not JSON: the text ends too early at line 1, column 11"),
        ('{\n  "wifi" {}\n}', "is not JSON: a colon is missing after a key at line 2, column 10"),
        (
            '{"wifi": {} "mqtt": {}}',
            "is not JSON: a comma or a closing bracket is missing at line 1, column 13",
        ),
        ("{'wifi': {}}", "is not JSON: a key in double quotes is expected at line 1, column 2"),
        ("{wifi: {}}", "is not JSON: a key in double quotes is expected at line 1, column 2"),
        ('{"wifi": }', "is not JSON: a value is missing at line 1, column 10"),
        ('{"a": {}} x', "is not JSON: there is more text after the end of the object at line 1, column 11"),
        ('{"a": "x}', "is not JSON: a text is not closed with a double quote at line 1, column 7"),
        (
            '{"a": "x\ny"}',
            "is not JSON: a text contains a line break or tab; write \\n or \\t at line 1, column 9",
        ),
        ('{"a": "C:\\x"}', "is not JSON: a backslash must be written twice at line 1, column 10"),
    ],
)
def test_broken_json_is_shown_where_it_breaks(text: str, message: str) -> None:
    """The user gets line, column and a cause in plain words."""
    assert refusal(text) == message


@pytest.mark.parametrize("text", ['{"a": 1,}', '{"a": [1,]}'])
def test_trailing_commas_are_named(text: str) -> None:
    """The most frequent slip of all, said in all versions of Python."""
    message = refusal(text)

    assert message.startswith("is not JSON: a ")
    assert "line 1, column" in message


def test_broken_text_is_never_quoted() -> None:
    """The place where JSON breaks may be a password."""
    assert "hunter2" not in refusal('{"mqtt": {"password": "hunter2}}')
    assert "hunter2" not in refusal('{"mqtt": {"password": hunter2}}')


@pytest.mark.parametrize("text", ["[]", "5", '"wifi"', "null", "true", "[{}]"])
def test_only_an_object_is_a_configuration(text: str) -> None:
    """Other JSON is refused in words, not with a crash."""
    assert refusal(text) == "must be a JSON object ({...}) with one entry for each section"


def test_bytes_that_are_not_utf8_name_byte_and_line() -> None:
    """A file saved in an old encoding is a frequent cause of trouble with names."""
    assert refusal('{\n "wifi": "é"}'.encode("latin-1")) == (
        "is not UTF-8 text: byte 0xE9 in line 2; save the file as UTF-8"
    )


@pytest.mark.parametrize("text", ['\ufeff{"wifi": {}}', '\ufeff{"wifi": {}}'.encode()])
def test_a_byte_order_mark_is_skipped(text: str | bytes) -> None:
    """Some editors put one at the start."""
    assert read_object(text, "a.json") == ({"wifi": {}}, [])


def test_a_huge_file_is_refused_before_it_is_read() -> None:
    """A wrong path, to a log or a disk image, must not eat the memory."""
    assert refusal(b" " * (MAX_BYTES + 1)) == f"is {MAX_BYTES + 1} bytes long, more than the {MAX_BYTES} that are read"


def test_a_file_of_the_greatest_length_is_read() -> None:
    """The limit itself is allowed."""
    text = b'{"wifi": {}}'

    assert read_object(text + b" " * (MAX_BYTES - len(text)), "a.json")[0] == {"wifi": {}}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 500, 200_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    """Nesting must exhaust neither the reader nor the code after it."""
    assert refusal("[" * depth + "]" * depth) == f"is nested deeper than {MAX_DEPTH} levels"


def test_nesting_up_to_the_limit_is_read() -> None:
    """The limit is far beyond what a configuration needs, and itself allowed."""
    text = '{"a":' * (MAX_DEPTH - 1) + "1" + "}" * (MAX_DEPTH - 1)

    document, _ = read_object(text, "a.json")
    assert list(document) == ["a"]


def test_a_monstrous_number_is_refused() -> None:
    """Python refuses to read whole numbers of thousands of digits: that must not be a crash."""
    assert refusal('{"a": ' + "9" * 5000 + "}") == "contains a number with thousands of digits"


def test_keys_given_twice_are_named_with_their_path() -> None:
    """JSON readers silently keep the last one, which may be the old value."""
    text = '{"cvl": {"enabled": true, "enabled": false}, "wifi": {"ap_fallback": {"ssid": "a", "ssid": "b"}}}'

    document, problems = read_object(text, "a.json")

    assert [problem.path for problem in problems] == ["cvl.enabled", "wifi.ap_fallback.ssid"]
    assert {problem.message.text for problem in problems} == {"is given more than once"}
    assert document["cvl"] == {"enabled": False}


def test_a_section_given_three_times_is_one_problem() -> None:
    """One mistake, one line."""
    _, problems = read_object('{"cvl": {}, "cvl": {}, "cvl": {}}', "a.json")

    assert [problem.path for problem in problems] == ["cvl"]


def test_equal_keys_of_different_objects_are_fine() -> None:
    """Only keys of one and the same object clash."""
    _, problems = read_object('{"a": {"x": 1}, "b": {"x": 1, "y": [{"x": 1}, {"x": 2}]}}', "a.json")

    assert problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r'{"wifi": {"sta_ssid": "\ud800"}}', "wifi.sta_ssid: contains half a character (a lone \\uD8xx escape)"),
        (r'{"a": ["x", {"b": "\udfff"}]}', "a.b: contains half a character (a lone \\uD8xx escape)"),
        (r'{"\ud800": 1}', "\\ud800: contains half a character (a lone \\uD8xx escape)"),
    ],
)
def test_half_characters_are_refused(text: str, message: str) -> None:
    """They could be read but never be written back."""
    assert refusal(text) == message


def test_whole_characters_outside_the_basic_plane_are_read() -> None:
    """A pair of escapes is one good character."""
    assert read_object(r'{"a": "\ud83d\ude00"}', "a.json")[0] == {"a": "😀"}


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No content of a file may crash the reader."""
    document: object = {}
    with suppress(ConfigError):
        document, _ = read_object(data, "a.json")

    assert isinstance(document, dict)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=5))
@settings(deadline=None)
def test_good_json_is_read_as_it_is(document: dict[str, Any]) -> None:
    """The reader changes nothing."""
    assert read_object(json.dumps(document), "a.json") == (document, [])
