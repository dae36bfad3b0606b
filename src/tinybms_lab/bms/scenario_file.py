"""Scenario files in TOML: read, checked as a whole, every mistake told with its line and what is allowed."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.suggestions import did_you_mean
from tinybms_bridge.words import message
from tinybms_lab.bms.device import BmsOptions
from tinybms_lab.bms.scenario import BmsScenario, BmsTable, LineTable, PackPlan, StepTable
from tinybms_lab.bms.settings import BoardHardware, setting_range

__all__ = ["built_in_scenarios", "line_of", "load_scenario", "parse_scenario"]

_STEP = "step"
_HEADER = re.compile(r"\s*\[+\s*([\w.-]+)\s*\]+")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "": tuple(field.alias or name for name, field in BmsScenario.model_fields.items()),
    "pack": tuple(PackPlan.model_fields),
    "bms": tuple(BmsTable.__annotations__),
    "line": tuple(LineTable.__annotations__),
    _STEP: tuple(StepTable.__annotations__),
}
"""What may stand in each section."""
_WORDS = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must be a text",
}
_NOWHERE = 1_000_000
_TABLE_ERRORS = ("model_type", "dict_type", "tuple_type")


def load_scenario(path: Path) -> BmsScenario:
    """Return the scenario in a file. Raises OSError, and ConfigError as ``parse_scenario``."""
    return parse_scenario(path.read_text(encoding="utf-8"), name=path.stem, source=str(path))


def built_in_scenarios() -> dict[str, BmsScenario]:
    """Return the scenarios that come with the package, by name. Reads files: call it off the event loop."""
    folder = files(__package__ or "").joinpath("data", "scenarios")
    found = {entry.name.removesuffix(".toml"): entry for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return {name: parse_scenario(found[name].read_text(encoding="utf-8"), name=name) for name in sorted(found)}


def parse_scenario(text: str, *, name: str, source: str = "") -> BmsScenario:
    """Return the scenario in TOML text.

    Raises:
        ConfigError: every mistake in it, with line, key, value and what is allowed.

    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = ConfigProblem("", None, message("said", text=f"is not TOML: {error}"))
        raise ConfigError([problem], source=source or name) from error
    try:
        scenario = BmsScenario.model_validate(document, context={"name": name, "cells": _cells(document)})
    except ValidationError as error:
        found = sorted(error.errors(include_url=False), key=lambda each: _line(text, each["loc"]) or _NOWHERE)
        raise ConfigError([_problem(text, each) for each in found], source=source or name) from error
    problems = list(_out_of_order(text, scenario))
    if problems:
        raise ConfigError(problems, source=source or name)
    return scenario


def _cells(document: Mapping[str, Any]) -> int:
    """Return the number of cells that the steps are about; the usual one where the file's own is wrong."""
    try:
        return PackPlan.model_validate({"cells": document["pack"]["cells"]}).cells
    except (KeyError, TypeError, ValidationError):
        return PackPlan().cells


def _problem(text: str, error: ErrorDetails) -> ConfigProblem:
    """Return a mistake in the words of the file."""
    loc = error["loc"]
    kind = error["type"]
    message = _message(error, loc, kind)
    value = None if kind in ("missing", "extra_forbidden") or loc == (_STEP,) else error["input"]
    if len(loc) == 2 and loc[0] == _STEP:  # the step as a whole
        value = None
    return _at(text, loc, value, message)


def _message(error: ErrorDetails, loc: Sequence[int | str], kind: str) -> str:
    if kind == "extra_forbidden":
        names = _KEYS[str(loc[0]) if len(loc) > 1 else ""]
        return f"is not known: use {', '.join(names)}{did_you_mean(loc[-1], names)}"
    if kind == "missing" and loc[-1] == "at":
        return 'is missing: give a time such as "10s"'
    if kind in _TABLE_ERRORS:
        return f"must be written as [[{_STEP}]]" if loc[0] == _STEP else f"must be a table: [{loc[0]}]"
    if kind == "value_error":
        return str(error.get("ctx", {}).get("error", error["msg"]))
    return _WORDS.get(kind, error["msg"])


def _out_of_order(text: str, scenario: BmsScenario) -> Iterable[ConfigProblem]:
    """Yield the settings of a scenario that the BMS would not take beside the others."""
    delivered = scenario.delivered()
    words = delivered | scenario.settings.words(delivered.__getitem__)
    hardware = BoardHardware(BmsOptions(**scenario.bms).board, scenario.bms.get("external_current_sensor", False))
    for register, encoded in scenario.settings.entries:
        low, high = setting_range(register, words, hardware)
        if register.words == 1 and register.raw_range[0] >= 0 and not low <= encoded[0] >> register.offset <= high:
            limits = register.decode((low & 0xFFFF,)), register.decode((high & 0xFFFF,))
            what = f"is outside {limits[0]} to {limits[1]} {register.unit}, as the other settings stand"
            yield _at(text, ("settings", register.key), register.decode(encoded), what)


def _at(text: str, loc: Sequence[int | str], value: object, what: str) -> ConfigProblem:
    """Return a problem with its path as a person writes it, steps counted from 1, and the line that it is in."""
    path = "".join(
        f"[{int(part) + 1}]" if index == 1 and loc[0] == _STEP else f".{part}" for index, part in enumerate(loc)
    )
    line = _line(text, loc)
    return ConfigProblem(f"line {line}: {path[1:]}" if line else path[1:], value, message("said", text=what))


def _line(text: str, loc: Sequence[int | str]) -> int | None:
    if len(loc) == 1:
        return line_of(text, key=str(loc[0]))
    if loc[0] == _STEP:
        return line_of(text, _STEP, int(loc[1]), str(loc[2]) if len(loc) > 2 else "")
    return line_of(text, str(loc[0]), key=str(loc[1]))


def line_of(text: str, section: str = "", index: int = 0, key: str = "") -> int | None:
    """Return the number (from 1) of the line of a key, else that of its section; None when neither is found.

    Args:
        text: the file.
        section: name in a ``[section]`` or ``[[section]]`` header; empty for what stands before the first one, and
            for the headers themselves.
        index: which of several headers of that name, from 0.
        key: key in that section; empty for the header itself.

    """
    begin, end = _span(text.splitlines(), section, index)
    if begin is None:
        return None
    if key:
        wanted = re.compile(
            rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]|\s*\[\s*{re.escape(section)}\s*\.\s*{re.escape(key)}\b"
        )
        for number, line in enumerate(text.splitlines()[begin:end], start=begin + 1):
            if wanted.match(line):
                return number
    if section:
        return begin + 1
    return line_of(text, key) if key else None


def _span(lines: list[str], section: str, index: int) -> tuple[int | None, int]:
    """Return the first line of a section, its header included, and the line after its last, both from 0."""
    begin = 0 if not section else None
    seen = -1
    for number, line in enumerate(lines):
        header = _HEADER.match(line)
        if header is None or (section and header[1].startswith(f"{section}.")):
            continue
        if begin is not None:
            return begin, number
        seen += header[1] == section
        if seen == index and header[1] == section:
            begin = number
    return begin, len(lines)
