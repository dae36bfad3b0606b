import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.loader import interpret, load, parse
from tinybms_bridge.config.models import Section
from tinybms_bridge.config.models.base import MASK
from tinybms_bridge.config.values import public_values
from tinybms_bridge.errors import ConfigError, ConfigProblem

Problems = Callable[[str | bytes], list[ConfigProblem]]

README_SAMPLES = [
    "readme-installation",
    "readme-wifi",
    "readme-hardware",
    "readme-cvl",
    "readme-thresholds",
    "readme-post-settings",
    "readme-troubleshooting",
]


def test_an_empty_object_gives_the_defaults() -> None:
    """Every key may be left out."""
    assert parse("{}", "a.json") == (Configuration(), [])


@pytest.mark.parametrize("name", [*README_SAMPLES, "firmware-file", "firmware-rest"])
def test_every_sample_loads_as_it_is(name: str, samples: dict[str, bytes]) -> None:
    """Whoever comes from the README or the firmware keeps the file."""
    configuration, _ = parse(samples[name], name)

    assert configuration != Configuration() or name == "readme-cvl"


def test_all_samples_are_covered(samples: dict[str, bytes]) -> None:
    """A sample that is added must be tested."""
    assert set(samples) == {*README_SAMPLES, "firmware-file", "firmware-rest"}


def test_the_installation_sample_means_what_it_says(samples: dict[str, bytes]) -> None:
    """Values reach the configuration under our names."""
    configuration, notices = parse(samples["readme-installation"], "a.json")

    assert configuration.wifi.sta_ssid == "VotreSSID"
    assert configuration.wifi.sta_password.value == "VotreMotDePasse"
    assert configuration.hardware.uart.rx_pin == 16
    assert configuration.hardware.uart.baudrate == 115_200
    assert configuration.cvl.bulk_soc_threshold == 80.0
    assert [notice.path for notice in notices] == [
        "hardware.uart.baudrate",
        "hardware.uart.rx_pin",
        "hardware.uart.tx_pin",
        "hardware.can.tx_pin",
        "hardware.can.rx_pin",
        "wifi",
        "cvl.float_soc_threshold",
    ]


def test_the_cvl_sample_is_the_default(samples: dict[str, bytes]) -> None:
    """The README's charge states are those of this version; its FLOAT, which it names, keeps the values before."""
    configuration, _ = parse(samples["readme-cvl"], "a.json")
    named = {"float_soc_threshold": 95.0, "float_exit_soc": 92.0, "float_offset_mv": 100.0}

    assert {key: getattr(configuration.cvl, key) for key in named} == named
    assert (
        replace(configuration.cvl, float_soc_threshold=None, float_exit_soc=None, float_offset_mv=None)
        == Configuration().cvl
    )


def test_the_wifi_sample_opens_an_access_point(samples: dict[str, bytes]) -> None:
    """The nested access point of the README is read, and its published password remarked."""
    configuration, notices = parse(samples["readme-wifi"], "a.json")

    assert configuration.wifi.ap_fallback.enabled
    assert configuration.wifi.ap_fallback.ssid == "TinyBMS-AP"
    assert [notice.path for notice in notices] == ["wifi", "wifi.ap_fallback.password"]


def test_the_threshold_sample(samples: dict[str, bytes]) -> None:
    """Whole and decimal numbers of the README become decimals."""
    configuration, notices = parse(samples["readme-thresholds"], "a.json")
    thresholds = configuration.victron.thresholds

    assert (thresholds.overvoltage_v, thresholds.undervoltage_v) == (58.4, 42.0)
    assert (thresholds.imbalance_warn_mv, thresholds.imbalance_alarm_mv) == (50.0, 100.0)
    assert notices == []


def test_the_tips_of_the_readme(samples: dict[str, bytes]) -> None:
    """The keys of its troubleshooting section, with the section name it uses there."""
    configuration, _ = parse(samples["readme-troubleshooting"], "a.json")

    assert configuration.web_server.websocket_update_interval_ms == 2000
    assert configuration.hardware.can.mode == "loopback"
    assert configuration.advanced.watchdog_timeout_s == 60
    assert not configuration.advanced.enable_watchdog


def test_problems_come_in_the_order_of_the_file(problems: Problems) -> None:
    """Reading the list beside the file must be easy, whatever kind of mistake each is."""
    text = """{
      "mqtt": {"port": 0, "prt": 1},
      "wifi": {"sta_ip_mode": "static", "mode": 5},
      "cvl": {"float_exit_soc": 96, "enabled": 1, "enabled": 1},
      "advanced": {"watchdog_timeout_s": 1}
    }"""

    assert [problem.path for problem in problems(text)] == [
        "mqtt.port",
        "mqtt.prt",
        "wifi.sta_static_ip",
        "wifi.sta_gateway",
        "wifi.mode",
        "cvl.float_exit_soc",
        "cvl.enabled",
        "cvl.enabled",
        "advanced.watchdog_timeout_s",
    ]


def test_problems_carry_the_names_of_the_file(problems: Problems) -> None:
    """The user searches for the key that is written in the file, not for ours."""
    text = '{"cvl_algorithm": {"bulk_transition_soc": 120, "float_exit_soc": 99}, "system": {"web_port": 0}}'

    assert [(problem.path, problem.value) for problem in problems(text)] == [
        ("cvl_algorithm.bulk_transition_soc", 120),
        ("cvl_algorithm.float_exit_soc", 99),
        ("system.web_port", 0),
    ]


def test_problems_inside_an_envelope_have_its_path(problems: Problems) -> None:
    """Documents of the firmware's REST interface are one level deeper."""
    (problem,) = problems('{"config": {"mqtt": {"port": 0}}, "success": true}')

    assert problem.path == "config.mqtt.port"


def test_both_names_of_a_section_are_a_problem(problems: Problems) -> None:
    """Which one counts must not depend on their order."""
    for text in ('{"cvl": {}, "cvl_algorithm": {}}', '{"cvl_algorithm": {}, "cvl": {}}'):
        (problem,) = problems(text)
        assert problem.message.text == "is the same section as another one in this file; keep only one"
    assert len(problems('{"webserver": {"port": 0}, "system": {}, "web_server": {}}')) == 3


def test_a_key_given_twice_is_a_problem(problems: Problems) -> None:
    """The file is refused even though each value would do."""
    (problem,) = problems('{"cvl": {"enabled": true, "enabled": true}}')

    assert str(problem) == "cvl.enabled: is given more than once"


def test_no_problem_shows_a_secret(problems: Problems) -> None:
    """All ways in which a password can stand in a wrong place."""
    text = """{
      "wifi": {"sta_password": "hush", "password": "hush", "paswort": "hush", "ap_fallback": {"password": 1}},
      "mqtt": {"password": ["hush"], "uri": "mqtt://x:hush@y"},
      "web_server": {"password": null},
      "hush": "hush"
    }"""
    found = problems(text)

    assert len(found) >= 7
    assert all("hush" not in str(problem) for problem in found if problem.path != "hush")


def test_no_notice_shows_a_secret() -> None:
    """Notices are logged at every start."""
    text = '{"wifi": {"ssid": "a", "password": "hush hush", "sta_password": "other hush"}}'
    configuration, notices = parse(text, "a.json")

    assert configuration.wifi.sta_password.value == "other hush"
    assert notices
    assert all("hush" not in str(notice) for notice in notices)


def test_the_document_keeps_what_the_user_gave() -> None:
    """The store writes this back: only the user's keys, under our names, secrets included."""
    loaded = load('{"cvl_algorithm": {"enabled": true}, "wifi": {"password": "12345678!"}}', "a.json")

    assert loaded.document == {"cvl": {"enabled": True}, "wifi": {"sta_password": "12345678!"}}


def test_interpreting_does_not_change_the_document() -> None:
    """A caller's dictionary stays as it is."""
    document = {"cvl_algorithm": {"float_offset": -0.2}, "wifi": {"ap_fallback": True, "ap_password": "12345678!"}}
    before = json.dumps(document)

    interpret(document, "a.json")

    assert json.dumps(document) == before


def test_what_check_shows_can_be_loaded(samples: dict[str, bytes]) -> None:
    """The effective values of any sample are themselves a good file."""
    for name, text in samples.items():
        configuration, _ = parse(text, name)
        shown = json.dumps(public_values(configuration)).replace(f'"{MASK}"', '"a secret"')
        again, _ = parse(shown, name)
        assert again.cvl == configuration.cvl
        assert again.hardware == configuration.hardware


def test_masks_of_a_backup_are_no_passwords() -> None:
    """A download used as a file: stars never become the password of a network, and each is told under its own name."""
    text = json.dumps({"wifi": {"ssid": "Home", "password": MASK}, "mqtt": {"username": "boat", "password": MASK}})
    loaded = load(text, "backup.json")

    assert loaded.configuration.wifi.sta_password.value == ""
    assert loaded.document == {"wifi": {"sta_ssid": "Home"}, "mqtt": {"username": "boat"}}
    assert [str(notice) for notice in loaded.notices if MASK in notice.message.text] == [
        "wifi.password: ******** stands for a secret that is not known here; it is not set",
        "mqtt.password: ******** stands for a secret that is not known here; it is not set",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_any_json_is_accepted_or_refused(document: object) -> None:
    """No document crashes the loader."""
    outcome = _outcome(json.dumps(document))

    assert isinstance(outcome, Configuration | list)


def _known(model: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    """Build documents with known keys and values of every kind."""
    keys: dict[str, st.SearchStrategy[Any]] = {}
    for name, key in keys_of(model).items():
        inner = key.section
        plain: st.SearchStrategy[Any] = st.sampled_from(
            [None, True, 0, 1, -0.05, 3.4, 50, 95, 1000, 10**30, "", "auto", "x", [], {}]
        )
        keys[name] = plain if inner is None else _known(inner) | plain
    aliases = ["ssid", "ap_ssid", "ap_fallback", "watchdog_config", "imbalance_offset", "web_port", "level", "can_mode"]
    unknown = st.dictionaries(st.sampled_from(aliases), st.sampled_from([True, 1, "a", {"timeout_s": 5}]), max_size=2)
    known = st.fixed_dictionaries({}, optional=keys)
    return st.builds(lambda one, other: {**one, **other}, known, unknown)


def _sections() -> st.SearchStrategy[dict[str, Any]]:
    other_names = st.sampled_from([{}, {"cvl": "cvl_algorithm"}, {"web_server": "system"}, {"web_server": "webserver"}])
    rename = st.builds(
        lambda document, names: {names.get(key, key): value for key, value in document.items()},
        _known(Configuration),
        other_names,
    )
    return rename | st.builds(lambda document: {"config": document, "success": True}, rename)


@given(_sections())
@settings(max_examples=200, deadline=None)
def test_any_document_of_known_keys_is_accepted_or_refused(document: dict[str, Any]) -> None:
    """Values of every kind at every key: a configuration or problems with text, never a crash."""
    outcome = _outcome(json.dumps(document))

    if isinstance(outcome, list):
        assert outcome
        assert all(problem.message.text and str(problem) for problem in outcome)


def _outcome(text: str) -> Configuration | list[ConfigProblem]:
    try:
        return parse(text, "a.json")[0]
    except ConfigError as error:
        return error.problems


@given(_sections())
@settings(max_examples=100, deadline=None)
def test_what_was_accepted_is_accepted_again_under_our_names(document: dict[str, Any]) -> None:
    """A saved file loads to the same configuration, with nothing left to translate."""
    with suppress(ConfigError):
        loaded = interpret(document, "a.json")
        again = interpret(loaded.document, "a.json")
        assert again.configuration == loaded.configuration
        assert again.document == loaded.document
