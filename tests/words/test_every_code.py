"""Every code has words in every language, and every sentence a code that gives what it names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinybms_bridge
from tinybms_bridge.battery.alarms import AlarmName
from tinybms_bridge.battery.bms_event_kinds import EVENT_KINDS, Severity
from tinybms_bridge.battery.limits import BalancingPhase, ChargeProfile, LimitCode, Quantity, Reason, RemarkCode
from tinybms_bridge.battery.limits.reasons import parameters_of
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import every_key
from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.hal.can_faults import CanFault
from tinybms_bridge.hal.system_errors import SYSTEM_CODES, USB_ADVICE
from tinybms_bridge.link.event_list import EventSource
from tinybms_bridge.link.events import EventCode
from tinybms_bridge.services.mqtt.discovery import WORDS as HOME_ASSISTANT
from tinybms_bridge.tinybms.settings import ActionName, Outcome, all_settings
from tinybms_bridge.tinybms.settings.rules import OF_THE_MOMENT
from tinybms_bridge.words import LANGUAGES, Language, codes
from tinybms_bridge.words.catalogue import fields_of
from tinybms_bridge.words.english import SENTENCES as ENGLISH
from tinybms_bridge.words.french import SENTENCES as FRENCH

BESIDE = r"\.(advice|explanation)$"
"""What stands beside the sentence of a code."""

SOURCES = sorted(Path(tinybms_bridge.__file__).parent.rglob("*.py"))

REASON = set(parameters_of(Reason(Quantity.CVL, LimitCode.STATE, 0.0)))

FAULT = {"name", "command", "found_kbit_s", "rate_kbit_s", "frames", "wanted", "found_percent"}
"""``tests/hal/test_can_faults.py`` holds that each has what its own sentence names."""

CAN_COLUMNS = ("interface", "kind", "up", "bitrate", "state", "restart", "queue", "errors", "bus_offs", "yes", "no")

ADVICE = {"register", "setting", "present", "advised", "unit", "reason", "obstacle"}

MADE_BY_NAME: dict[str, set[str]] = {
    "limit": {"quantity", "unit", "limit", "reason"},
    **{f"limit.{code}": REASON for code in LimitCode},
    **{f"limited_by.{code}": REASON for code in LimitCode},
    "limit.pack_silent.cold": REASON,
    **{f"headline.{doing}": {"current_a", "power_w", "why", "left"} for doing in ("charging", "discharging")},
    **{f"headline.{doing}": {"current_a", "power_w", "why"} for doing in ("resting", "full", "full_charging")},
    **{f"headline.{code}": {"remark", "line", "discharges"} for code in ("hold", "silent")},
    **{f"headline.{code}": {"cause"} for code in ("no_charge", "no_discharge")},
    **{f"limit.rate.{how}": REASON for how in ("small", "slope", "step")},
    **{f"bms.{kind.key}": set() for kind in EVENT_KINDS.values()},
    "bms.unknown_fault": set(),
    **{f"link_failure.{code}": {"error"} for code in ("noise", "silence")},
    **{code: set() for code in (*USB_ADVICE.values(), "usb.check")},
    **{code: set() for code in SYSTEM_CODES.values()},
    **{f"can.{code}": {"reason", "advice"} for code in ("lost", "sending_fails")},
    **{f"doctor.{code}": {"count", "seconds"} for code in ("gx", "gx_unnamed")},
    **{f"doctor.{code}": {"count", "mean_ms", "most_ms"} for code in ("polls", "polls_slow")},
    **{f"doctor.summary.{code}": {"problems", "warnings"} for code in ("problems", "warnings", "well")},
    **{f"advice.line.{code}": ADVICE for code in ("choice", "better")},
    **{f"can_fault.{fault.removeprefix('can_')}": FAULT for fault in CanFault},
    **{f"can_list.{column}": set() for column in CAN_COLUMNS},
    **{f"ha.{name}": set() for name in sorted(HOME_ASSISTANT)},
    "battery.resistance_not_learned": {"hours", "least_a", "watts"},
    "battery.weak_cell": {"cells", "less_percent"},
    "battery.resistive_cell": {"cells", "times", "at_least"},
    "battery.capacity_wrong": {"found_ah", "set_ah", "at_least", "command_ah"},
    **{f"battery.{code}.over": set() for code in RemarkCode},
    **{f"alarm.{name}": {"level", "cause"} for name in AlarmName},
    **{f"notice.{name}": {"level", "cause"} for name in NoticeName},
    **{code: {"present"} for code in OF_THE_MOMENT},
    "cause.pack_silent": {"silent_s"},
    "cause.pack_joining": {"apart_v"},
    "cause.pack_odd": {"cells", "expected"},
    "cause.pack_double": {"device"},
    **{f"must_be.{kind}": {"low", "high", "unit", "null"} for kind in ("number", "whole_number")},
}
"""Codes that are put together from a member of an enumeration, and their parameters."""

CHECKS = {
    *("configuration", "serial_port", "link", "bms", "identity", "settings", "advice", "polling", "plausibility"),
    *("state", "events", "history", "balancing", "count", "battery", "web_port", "state_directory", "clock", "can"),
    *("gx", "core", "watchdog", "packs"),
}
"""What the doctor looks at."""

NAMES: dict[str, set[str]] = {
    "balancing_phase": set(BalancingPhase),
    "direction": {"charge", "discharge"},
    "sensor": {"external_sensor_1", "external_sensor_2", "internal_sensor", "board_sensor"},
    "window": {"minimum", *ChargeProfile},
    "unlisted": set(Severity),
    "status": {status.name.lower() for status in BmsStatus},
    "verdict": set(Verdict),
    "check": CHECKS,
    "severity": set(Severity),
    "can_state": {"error_active", "error_warning", "error_passive", "bus_off", "stopped", "sleeping"},
    "source": set(EventSource),
    "column": {"time", "severity", "number", "source", "what"},
    "action": set(ActionName),
    "pack_condition": set(PackCondition),
    "outcome": {outcome.replace(" ", "_") for outcome in Outcome},
    "nack": {"0", "unknown"},
    "mqtt_refusal": {"login", "client_id", "busy", "other"},
    "full_voltage": {"single_port", "unknown_switches", "no_restart", "feed_in"},
    "level": {"over", "warning", "alarm"},
    "notify_way": {"webhook", "ntfy", "email"},
    "register": set(all_settings()),
    "service_name": {"mdns", "metrics", "mqtt", "notifications"},
    "choice": {text for setting in all_settings().values() for text in setting.choices.values()},
    "reading_of": {
        *("cell", "pack_voltage", "pack_current", "number_of_cells", "state_of_charge"),
        *("internal_temperature", "external_1_temperature", "external_2_temperature"),
    },
}
"""Families of names that sentences look up with ``@``."""


def messages() -> Iterator[tuple[str, set[str], str]]:
    """Yield code, parameters and place of each message that the product makes with a code in full."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name not in ("message", "say"):
                continue
            names = {each.arg for each in node.keywords if each.arg is not None}
            if name == "say":
                if len(node.args) < 2 or not isinstance(node.args[1], ast.Dict):
                    continue
                names = _keys(node.args[1])
            for code in _codes(node.args[0]):
                with_null = {"null"} if code.startswith("must_be.") else set()  # ``Key.expectation`` adds it
                yield code, names | with_null, f"{path.name}:{node.lineno}"


def _keys(node: ast.Dict) -> set[str]:
    return {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def _codes(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return _codes(node.body) + _codes(node.orelse)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "EventCode":
        return [EventCode[node.attr].value]
    if isinstance(node, ast.Name) and node.id == "code":
        return []
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


WRITTEN = list(messages())


def of_names() -> set[str]:
    """Return the codes of the names that are looked up."""
    return {f"{family}.{name}" for family, names in NAMES.items() for name in names}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_of_the_configuration_says_what_it_accepts(language: Language) -> None:
    """Whoever types a wrong value reads what is right, and whoever sets a key without effect why, in his language."""
    for _path, key in every_key(Configuration):
        told = [key.expectation] if key.meaning.no_effect is None else [key.expectation, key.meaning.no_effect]
        for each in told:
            assert each.code in codes(language), key.name
            assert "?" not in each.say(language), key.name
        assert key.expectation.say(language).endswith("null") is key.nullable


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_words(language: str) -> None:
    """A code without words would be shown to a person as such."""
    wanted = {code for code, _, _ in WRITTEN} | set(MADE_BY_NAME) | set(EventCode) | of_names()

    assert sorted(wanted - codes("fr" if language == "fr" else "en")) == []


def test_no_words_are_left_of_a_code_that_is_gone() -> None:
    """What nothing says any more is not translated either; advice belongs to a code."""
    known = {code for code, _, _ in WRITTEN} | set(MADE_BY_NAME) | set(EventCode) | of_names()
    left = {code for code in ENGLISH if code not in known and re.sub(BESIDE, "", code) not in known}

    assert sorted(left) == []


def test_both_languages_have_the_same_codes() -> None:
    """A line that is missing in one language would be English there."""
    assert sorted(set(ENGLISH) ^ set(FRENCH)) == []


@pytest.mark.parametrize("code", sorted(ENGLISH))
def test_both_languages_tell_the_same(code: str) -> None:
    """A number that one language leaves out, or shows with other decimals, is a mistake of the translation."""
    assert fields_of(ENGLISH[code]) == fields_of(FRENCH[code])


@pytest.mark.parametrize(("code", "names", "place"), [*WRITTEN, *((c, n, "") for c, n in MADE_BY_NAME.items())])
def test_a_sentence_names_only_what_its_code_gives(code: str, names: set[str], place: str) -> None:
    """A field that is no parameter would be shown as a question mark."""
    for each in (code, f"{code}.advice", f"{code}.explanation"):
        asked = {name for name, _ in fields_of(ENGLISH.get(each, ""))}
        assert asked <= names, f"{each} asks for {sorted(asked - names)}, given at {place}: {sorted(names)}"


def test_what_is_looked_up_is_a_family_of_names() -> None:
    """A sentence that looks up a family which nobody fills would show the bare name."""
    families = {spec[1:] for sentence in ENGLISH.values() for _, spec in fields_of(sentence) if spec.startswith("@")}

    assert families <= set(NAMES)


@pytest.mark.parametrize("code", sorted(FRENCH))
def test_french_marks_stand_as_french_has_them(code: str) -> None:
    """A space before a colon or semicolon, none before comma or full stop; no decimal point in a number."""
    sentence = re.sub(r"\{[^}]*\}", "X", FRENCH[code])

    assert not re.search(r"\w[:;](\s|$)|\s[,.](\s|$)|(?<![\d.])\d+\.\d+(?![\d.])", sentence)


@pytest.mark.parametrize("code", [*(f"alarm.{name}" for name in AlarmName), *(f"notice.{name}" for name in NoticeName)])
def test_every_alarm_is_explained(code: str) -> None:
    """Whoever sees an alarm for the first time reads what it means, and mostly what to do."""
    assert ENGLISH[f"{code}.explanation"].endswith(".")
    assert ENGLISH.get(f"{code}.advice", ".").endswith(".")


@pytest.mark.parametrize("name", all_settings())
def test_every_setting_of_the_bms_is_explained(name: str) -> None:
    """Whoever knows no register reads what a setting does before changing it."""
    assert ENGLISH[f"register.{name}.explanation"].endswith(".")
    assert FRENCH[f"register.{name}.explanation"].endswith(".")


def test_the_page_of_events_has_every_code() -> None:
    """Who reads the list with a program finds what each code means."""
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
    plain = [code for code in EventCode if not code.startswith(("inhibit.discharge.", "freshness."))]

    assert [code for code in plain if f"`{code}`" not in page] == []
