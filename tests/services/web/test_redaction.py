"""What leaves the machine holds no secrets and no names of users."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tinybms_bridge.config.changes import with_secrets_of, without_masks
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.exposure import _secrets
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models.base import MASK, Secret, Section
from tinybms_bridge.config.values import public_values, values_of
from tinybms_bridge.services.web.redaction import Redaction, secrets_of, user_names_of

SECRET = 'pla"in & s\\imple é'


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"connecting with {SECRET} failed",
        "mqtt://host/?p=pla%22in%20%26%20s%5Cimple%20%C3%A9",
        '{"wifi": "pla\\"in & s\\\\imple \\u00e9"}',
        "cGxhImluICYgc1xpbXBsZSDDqQ==",
        SECRET.upper(),
        SECRET.encode().hex(),
    ],
)
def test_a_known_secret_is_taken_out_however_it_is_written(text: str) -> None:
    """As it is, in an address, in JSON, in base64 and in hex digits."""
    told = Redaction([SECRET]).text(text)
    assert MASK in told
    assert "imple" not in told.lower()


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer abcdef.SEKRET-1234",
        "authorization=Basic U0VLUkVU",
        "Cookie: tinybms_session=SEKRET; other=SEKRET",
        "connecting to mqtt://anna:SEKRET@broker.example:1883",
        "password=SEKRET, tries=3",
        'the body was {"password": "SEKRET words", "x": 1}',
        "wifi_psk: SEKRET",
        "GET /ws?token=SEKRET&lang=fr",
        "token eyJSEKRET.eyJSEKRET.SEKRET_sig",
        "api-key = 'SEKRET key'",
        "X-CSRF-Token: SEKRET",
        "-----BEGIN PRIVATE KEY-----\nSEKRET\nSEKRET\n-----END PRIVATE KEY-----\nrest",
    ],
)
def test_an_unknown_secret_is_found_by_its_form(line: str) -> None:
    """What a library or a proxy wrote into the log."""
    told = Redaction().text(line)
    assert "SEKRET" not in told
    assert MASK in told


@pytest.mark.parametrize("line", ["the setup token is wrong", "SOC 87.3 %, key frames: 3", "https://example.org/a@b"])
def test_other_text_stays(line: str) -> None:
    """Whoever helps has to be able to read it."""
    assert Redaction([], []).text(line) == line


def test_names_become_numbers_and_stay_apart() -> None:
    """Whole words only: a name within a word is none."""
    redaction = Redaction([], ["anna", "guy", ""])
    assert (
        redaction.text("login of Anna; guy wrote, as a savannah-guy")
        == "login of user-1; user-2 wrote, as a savannah-user-2"
    )


def test_a_short_secret_does_not_take_the_text_along() -> None:
    """It goes where it stands as a word."""
    assert Redaction(["a"]).text("a cat") == f"{MASK} cat"


def test_documents_keep_their_keys_and_numbers() -> None:
    """Values are searched at every depth, and what a key calls a secret is masked whole."""
    document: dict[str, Any] = {"anna": ["anna", 1, None, True], "mqtt": {"password": "short one", "port": 1883}}
    assert Redaction([], ["anna"]).value(document) == {
        "anna": ["user-1", 1, None, True],
        "mqtt": {"password": MASK, "port": 1883},
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Guarded(Section):
    """An entry with a secret."""

    key: Secret = Secret()


@dataclass(frozen=True, kw_only=True, slots=True)
class Doors(Section):
    """A section whose entries hold secrets, as one may some day."""

    doors: dict[str, Guarded] = field(default_factory=dict)


def test_secrets_in_the_entries_of_a_map_are_secrets() -> None:
    """For the support bundle, for what is shown, for backups, and for a file that everybody may read."""
    doors = Doors(doors={"front": Guarded(key=Secret("hush")), "back": Guarded()})
    shown, clear, keys = public_values(doors), values_of(doors), keys_of(Doors)

    assert secrets_of(doors) == ["hush"]
    assert list(_secrets(doors)) == ["doors.front.key"]
    assert shown == {"doors": {"front": {"key": MASK}, "back": {"key": ""}}}
    assert with_secrets_of(clear, shown, keys) == clear
    kept, notices = without_masks(shown, keys)
    assert kept == {"doors": {"front": {}, "back": {"key": ""}}}
    assert [notice.path for notice in notices] == ["doors.front.key"]


def test_every_secret_of_a_configuration_is_known() -> None:
    """By its type, so that a new key needs no line here."""
    configuration = interpret(
        {
            "mqtt": {"password": "one-one-1", "username": "broker-name"},
            "wifi": {"sta_password": "two-two-2", "ap_fallback": {"password": "three-three"}},
            "web_server": {"password": "four-four", "username": "boss-name"},
            "notifications": {
                "ntfy": {"topic": "five-five"},
                "email": {"username": "mailer", "password": "six-six", "recipients": ["me@example.org"]},
            },
        },
        "test",
    ).configuration
    assert sorted(secrets_of(configuration)) == [
        "five-five", "four-four", "one-one-1", "six-six", "three-three", "two-two-2",
    ]  # fmt: skip
    assert user_names_of(configuration) == ["broker-name", "boss-name", "mailer", "me@example.org"]
    assert (secrets_of(Configuration()), user_names_of(Configuration())) == ([], [])
