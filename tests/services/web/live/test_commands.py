"""What clients may say."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.live.commands import BadCommand, Command, RateLimit, parse_command
from tinybms_bridge.services.web.live.messages import Topic


def test_topics_and_interval() -> None:
    """Both parts of a message are read."""
    command = parse_command('{"subscribe": ["status", "can"], "interval_ms": 250}')
    assert command == Command(frozenset({Topic.STATUS, Topic.CAN}), 250)


def test_parts_are_optional() -> None:
    """What is left out stays as it is."""
    assert parse_command('{"interval_ms": 100}') == Command(None, 100)
    assert parse_command('{"subscribe": []}') == Command(frozenset(), None)
    assert parse_command('{"registers": false}') == Command(registers=False)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "JSON"),
        ("[" * 5000, "JSON"),
        ("[]", "object"),
        ("{}", "object"),
        ('{"send_can": 1}', "object"),
        ('{"subscibe": ["status"]}', r"did you mean subscribe\?"),
        ('{"subscribe": "status"}', "list"),
        ('{"subscribe": ["nothing"]}', "status, limits, registers, can, events"),
        ('{"subscribe": [1]}', "list"),
        ('{"subscribe": [{}]}', "list"),
        ('{"interval_ms": 99}', "100 to 60000"),
        ('{"interval_ms": 60001}', "100 to 60000"),
        ('{"interval_ms": true}', "100 to 60000"),
        ('{"interval_ms": 500.5}', "100 to 60000"),
        ('{"interval_ms": "500"}', "100 to 60000"),
        ('{"registers": "no"}', "true or false"),
        ('{"registers": 0}', "true or false"),
        ('{"registers": [1]}', "true or false"),
    ],
)
def test_bad_messages_say_what_is_allowed(text: str, hint: str) -> None:
    """A message that is not understood is refused with what would be."""
    with pytest.raises(BadCommand, match=hint):
        parse_command(text)


@given(st.text(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_gives_a_command_or_a_refusal(text: str) -> None:
    """No text of a stranger raises anything else."""
    command = None
    with suppress(BadCommand):
        command = parse_command(text)
    assert command is None or command != Command()


def test_flood_empties_the_bucket() -> None:
    """A burst passes, then only the steady rate."""
    limit = RateLimit(burst=3, per_s=1.0)
    assert [limit.allow(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert limit.allow(1.0)
    assert not limit.allow(1.5)
    assert [limit.allow(100.0) for _ in range(4)] == [True, True, True, False]
