from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.config.changes import ConfigChange, changed_paths, merged, with_secrets_of, without_masks
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models.base import MASK

DOCUMENTS = st.recursive(
    st.booleans() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


def change(document: dict[str, Any]) -> ConfigChange:
    """Return the change from the defaults to a document."""
    old, new = Configuration(), configured(document)
    return ConfigChange(old, new, tuple(changed_paths(old, new)))


def test_nothing_differs_between_equals() -> None:
    """Saving the same values must not restart anything."""
    assert change({"cvl": {"enabled": True}}).changed_paths == ()


def test_changed_keys_are_named() -> None:
    """Each part of the bridge looks for its own keys."""
    document = {
        "hardware": {"can": {"options": {"a": 1}, "bitrate": 250_000}},
        "wifi": {"ap_fallback": {"password": "12345678"}},
        "cvl": {"float_soc_threshold": 96},
    }

    assert change(document).changed_paths == (
        "wifi.ap_fallback.password",
        "hardware.can.options",
        "hardware.can.bitrate",
        "cvl.float_soc_threshold",
    )


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("hardware.can",), True),
        (("hardware",), True),
        (("hardware.can.bitrate",), True),
        (("hardware.uart",), False),
        (("hardware.ca",), False),
        (("cvl", "hardware.can"), True),
        ((), False),
    ],
)
def test_a_change_knows_what_it_touches(paths: tuple[str, ...], expected: bool) -> None:
    """Only the part whose keys changed is restarted."""
    assert change({"hardware": {"can": {"bitrate": 250_000}}}).touches(*paths) is expected


PACKS = {name: {"uart": {"device": f"/dev/{name}"}} for name in ("a", "b", "c")}


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({}, PACKS, ["packs.a", "packs.b", "packs.c"]),
        (PACKS, {}, ["packs.a", "packs.b", "packs.c"]),
        (
            PACKS,
            {**PACKS, "b": {"uart": {"device": "/dev/x"}, "enabled": False}},
            ["packs.b.uart.device", "packs.b.enabled"],
        ),
        (PACKS, {"a": PACKS["a"], "c": PACKS["c"], "d": PACKS["b"]}, ["packs.b", "packs.d"]),
        (PACKS, {"c": PACKS["c"], "a": PACKS["a"], "b": PACKS["b"]}, ["packs"]),
        (PACKS, {"d": {"uart": {"device": "/dev/d"}}, **PACKS}, ["packs.d"]),
    ],
)
def test_packs_that_come_go_change_or_move_are_named(old: Any, new: Any, paths: list[str]) -> None:
    """Only what changed: a pack that stays as it is must not have its line opened again."""
    before, after = configured({"packs": old}), configured({"packs": new})
    found = tuple(changed_paths(before, after))

    assert found == tuple(paths)
    assert ConfigChange(before, after, found).touches("packs")
    assert not ConfigChange(before, after, found).touches("hardware")


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": None}, {}),
        ({}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1}}, {"a": {"b": None}}, {"a": {}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"b": {"c": None}}, {"a": 1, "b": {}}),
    ],
)
def test_patches_follow_rfc_7396(document: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    """The cases of the standard: set, replace, remove, go deeper."""
    assert merged(document, patch) == expected


@given(DOCUMENTS, DOCUMENTS)
@settings(deadline=None)
def test_a_patch_is_idempotent_and_wins(document: dict[str, Any], patch: dict[str, Any]) -> None:
    """Applying a patch twice changes nothing more, and what it sets is set."""
    once = merged(document, patch)

    assert merged(once, patch) == once
    for key, value in patch.items():
        if not isinstance(value, dict):
            assert once[key] == value


def test_merging_changes_neither_side() -> None:
    """The store's document must survive a patch that is refused later."""
    document: dict[str, Any] = {"a": {"b": [1]}}
    patch: dict[str, Any] = {"c": {"d": [2]}}

    result = merged(document, patch)
    result["a"]["b"].append(9)
    result["c"]["d"].append(9)

    assert document == {"a": {"b": [1]}}
    assert patch == {"c": {"d": [2]}}


def test_masked_secrets_keep_their_value() -> None:
    """A page that sends the masked configuration back must not overwrite the passwords with stars."""
    known = {"wifi": {"sta_password": "real", "ap_fallback": {"password": "other"}}}
    sent = {"wifi": {"sta_password": MASK, "sta_ssid": "New", "ap_fallback": {"password": MASK}}}

    assert with_secrets_of(known, sent) == {
        "wifi": {"sta_password": "real", "sta_ssid": "New", "ap_fallback": {"password": "other"}}
    }


def test_masks_of_unset_secrets_are_left_out_and_told() -> None:
    """Where there was no password, stars are none; a restored backup says which ones have to be entered again."""
    sent = {"mqtt": {"password": MASK, "username": "u"}, "wifi": {"ap_fallback": {"password": MASK}}, "x": MASK}
    assert with_secrets_of({"mqtt": 5}, sent) == sent
    document, notices = without_masks(sent)
    assert document == {"mqtt": {"username": "u"}, "wifi": {"ap_fallback": {}}, "x": MASK}
    assert [notice.path for notice in notices] == ["mqtt.password", "wifi.ap_fallback.password"]


def test_new_secrets_are_taken() -> None:
    """Anything but the mask is a new password, an empty one included."""
    known = {"mqtt": {"password": "old"}}

    assert with_secrets_of(known, {"mqtt": {"password": "new"}}) == {"mqtt": {"password": "new"}}
    assert with_secrets_of(known, {"mqtt": {"password": ""}}) == {"mqtt": {"password": ""}}


def test_stars_elsewhere_are_stars() -> None:
    """Only secrets are masked."""
    document = {"wifi": {"sta_ssid": MASK}, "unknown": MASK, "cvl": MASK}

    assert with_secrets_of({"wifi": {"sta_ssid": "x"}}, document) == document
