"""No English text stands inside a sentence of another language: what is told within a sentence is told by code."""

import ast
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import tinybms_bridge
from tinybms_bridge.hal.hardware_watchdog import HardwareState
from tinybms_bridge.hal.system_errors import SYSTEM_CODES, error_words
from tinybms_bridge.link.events import LinkChanged, PartStateChanged
from tinybms_bridge.link.state import CanState, PartStatus, UartState
from tinybms_bridge.services.ports import HistoryState
from tinybms_bridge.services.web.live.watch import Change
from tinybms_bridge.words import Message, message
from tinybms_bridge.words.english import SENTENCES as ENGLISH

ROOT = Path(tinybms_bridge.__file__).parent

WORDS_OF_OTHERS = {
    "said": "whatever has no code",
    "can.cannot_open": "python-can and its drivers",
    "serial.baud": "the driver of the port",
    "web.no_pair": "OpenSSL",
    "web.certificate_not_kept": "the system, with the file",
    "request.log_not_removed": "the system, with the file",
    "file.not_json": "the parser",
    "core.too_long": "the codec of the link, for who wrote the program",
    "EventCode.RESTARTED_AFTER_CRASH": "Python, with the line that failed",
    "plain.because": "whoever stopped charging or discharging",
    "core.unreadable": "the codec of the link, for who wrote the program",
}
"""Sentences in which words stand that this program does not know beforehand, and whose words they are."""

TEXTS = {"reason", "error", "text", "strerror", "hint", "trouble", "remark", "msg"}
"""Names of attributes that hold a text in English, on errors and in the state."""

LOOSE = {"str", "repr", "error_text"}
"""Functions that make a text of an error."""


def foreign() -> Iterator[tuple[str, str]]:
    """Yield code and place of each message that takes an error, or a text about one, for a parameter."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text())
        caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "message" or not node.args:
                continue
            for keyword in node.keywords:
                if _is_foreign(keyword.value, caught):
                    code = ast.unparse(node.args[0]).strip("'")
                    yield code, f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(keyword)}"


def _is_foreign(value: ast.expr, caught: set[str]) -> bool:
    match value:
        case ast.BoolOp(values=parts):
            return any(_is_foreign(each, caught) for each in parts)
        case ast.IfExp(body=body, orelse=other):
            return _is_foreign(body, caught) or _is_foreign(other, caught)
        case ast.Name(id=name):
            return name in caught
        case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=of), *_]):
            return name in LOOSE and of in caught
        case ast.Attribute(value=ast.Name(id=of), attr=attribute):
            return attribute in TEXTS and of != "self"
    return False


def test_the_reason_within_a_sentence_is_told_by_code() -> None:
    """``reason=str(error)`` puts English into a French sentence; words of others are listed with whose they are."""
    found = list(foreign())

    assert [place for code, place in found if code not in WORDS_OF_OTHERS] == []
    assert set(WORDS_OF_OTHERS) <= {code for code, _ in found}, "what is listed is needed"


@pytest.mark.parametrize(
    "kind", [UartState, CanState, PartStatus, HistoryState, HardwareState, Change, LinkChanged, PartStateChanged]
)
def test_what_tells_why_in_english_tells_it_by_code_as_well(kind: type) -> None:
    """Pages and services show the reason in the language of who looks."""
    assert is_dataclass(kind)
    assert {each.name: each.default for each in fields(kind)}["message"] is None


def test_every_class_of_the_state_that_tells_an_error_is_looked_at() -> None:
    """A new field of this kind needs its code, too."""
    known = {"UartState", "CanState", "PartStatus", "HistoryState", "LinkChanged", "PartStateChanged"}
    others = {"SetInhibit", "Bye", "LastReset"}
    found = set()
    for path in (*(ROOT / "link").glob("*.py"), ROOT / "services" / "ports.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                texts = {
                    each.target.id
                    for each in node.body
                    if isinstance(each, ast.AnnAssign)
                    and isinstance(each.target, ast.Name)
                    and ast.unparse(each.annotation) == "str"
                }
                if texts & {"reason", "error", "trouble"}:
                    found.add(node.name)

    assert found - others == known


@pytest.mark.parametrize("number", SYSTEM_CODES)
def test_an_error_of_the_system_has_words(number: int) -> None:
    """In English those of the system itself, so that they are found in its documents; in French ours."""
    told = error_words(OSError(number, ENGLISH[SYSTEM_CODES[number]]))

    assert told.text == ENGLISH[SYSTEM_CODES[number]]
    assert told.say("fr") not in ("", told.text)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(4711, "odd"), message("said", text="odd")),
        (OSError("without a number"), message("said", text="without a number")),
        (ValueError(), message("said", text="ValueError")),
    ],
)
def test_other_errors_keep_their_own_words(error: Exception, told: Message) -> None:
    """Nobody knows what a library will say."""
    assert error_words(error) == told
