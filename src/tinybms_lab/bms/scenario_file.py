"""Scenario files in TOML: read, checked as a whole, every mistake told with its line and what is allowed."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.suggestions import did_you_mean
from tinybms_lab.bms.device import BmsOptions
from tinybms_lab.bms.named_settings import NamedSettings, named_settings
from tinybms_lab.bms.scenario import PackPlan, Scenario, Step, built_in_scenario_texts
from tinybms_lab.bms.scenario_actions import action_kinds
from tinybms_lab.bms.scenario_checks import Check, duration_s
from tinybms_lab.bms.scenario_fields import (
    BMS_FIELDS,
    LINE_FIELDS,
    PACK_FIELDS,
    TABLES,
    TOP_FIELDS,
)
from tinybms_lab.bms.scenario_lines import line_of
from tinybms_lab.bms.settings import Hardware, setting_range
from tinybms_lab.bms.variants import Habits

__all__ = ["built_in_scenarios", "load_scenario", "parse_scenario"]


_STEP = "step"


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in a file. Raises OSError, and ConfigError as ``parse_scenario``."""
    return parse_scenario(path.read_text(encoding="utf-8"), name=path.stem, source=str(path))


def built_in_scenarios() -> dict[str, Scenario]:
    """Return the scenarios that come with the package, by name. Reads files: call it off the event loop."""
    return {name: parse_scenario(text, name=name) for name, text in built_in_scenario_texts().items()}


def parse_scenario(text: str, *, name: str, source: str = "") -> Scenario:
    """Return the scenario in TOML text.

    Raises:
        ConfigError: every mistake in it, with line, key, value and what is allowed.

    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([ConfigProblem("", None, f"is not TOML: {error}")], source=source or name) from error
    reader = _Reader(text)
    scenario = reader.scenario(document, name)
    if not reader.problems:
        reader.check_order(scenario)
    if reader.problems:
        raise ConfigError(reader.problems, source=source or name)
    return scenario


class _Reader:
    """Goes through one document and collects what is wrong with it."""

    def __init__(self, text: str) -> None:
        self.problems: list[ConfigProblem] = []
        self._text = text

    def scenario(self, document: Mapping[str, Any], name: str) -> Scenario:
        scalars = {key: value for key, value in document.items() if key not in (*TABLES, _STEP)}
        top = self._values(scalars, TOP_FIELDS, known=(*TOP_FIELDS, *TABLES, _STEP))
        for required in ("title", "duration"):
            if required not in document:
                self._problem("", 0, required, None, "is missing")
        line = self._table(document, "line", LINE_FIELDS)
        pack = PackPlan(**self._table(document, "pack", PACK_FIELDS))
        return Scenario(
            name=name,
            title=top.get("title", ""),
            duration_s=top.get("duration", 0.0),
            ends_with=top.get("ends_with", ()),
            pack=pack,
            options=self._table(document, "bms", BMS_FIELDS),
            chunk=line.pop("chunk", None),
            habits=Habits(**line),
            settings=self._settings(document.get("settings", {})),
            steps=self._steps(document.get(_STEP, []), pack.cells),
        )

    def check_order(self, scenario: Scenario) -> None:
        """Find the settings of a scenario that the BMS would not take beside the others."""
        delivered = scenario.delivered()
        words = delivered | scenario.settings.words(delivered.__getitem__)
        hardware = Hardware(BmsOptions(**scenario.options).board, bool(scenario.options.get("external_current_sensor")))
        for register, encoded in scenario.settings.entries:
            low, high = setting_range(register, words, hardware)
            if register.words == 1 and register.raw_range[0] >= 0 and not low <= encoded[0] >> register.offset <= high:
                limits = register.decode((low & 0xFFFF,)), register.decode((high & 0xFFFF,))
                message = f"is outside {limits[0]} to {limits[1]} {register.unit}, as the other settings stand"
                self._problem("settings", 0, register.key, register.decode(encoded), message)

    def _steps(self, entries: object, cells: int) -> tuple[Step, ...]:
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self._problem("", 0, _STEP, None, "must be written as [[step]]")
            return ()
        kinds = action_kinds(cells)
        checks = {"at": duration_s} | {key: kind.check for key, kind in kinds.items()}
        return tuple(self._step(entry, index, checks, kinds) for index, entry in enumerate(entries))

    def _step(
        self, entry: Mapping[str, Any], index: int, checks: Mapping[str, Check], kinds: Mapping[str, Any]
    ) -> Step:
        values = self._values(entry, checks, section=_STEP, index=index)
        if "at" not in entry:
            self._problem(_STEP, index, "at", None, 'is missing: give a time such as "10s"')
        if not entry.keys() - {"at"}:
            self._problem(_STEP, index, "", None, f"does nothing: add one of {', '.join(kinds)}")
        return Step(values.get("at", 0.0), tuple((kinds[key], value) for key, value in values.items() if key != "at"))

    def _settings(self, table: object) -> NamedSettings:
        if not isinstance(table, dict):
            self._problem("", 0, "settings", table, "must be a table: [settings]")
            return NamedSettings()
        good = [named_settings({key: table[key]}) for key in self._passing(table)]
        return NamedSettings(tuple(entry for settings in good for entry in settings.entries))

    def _passing(self, table: Mapping[str, Any]) -> list[str]:
        checks = {key: lambda value, key=key: named_settings({key: value}) for key in table}
        return list(self._values(table, checks, section="settings"))

    def _table(self, document: Mapping[str, Any], name: str, checks: Mapping[str, Check]) -> dict[str, Any]:
        table = document.get(name, {})
        if not isinstance(table, dict):
            self._problem("", 0, name, table, f"must be a table: [{name}]")
            return {}
        return self._values(table, checks, section=name)

    def _values(
        self,
        table: Mapping[str, Any],
        checks: Mapping[str, Check],
        *,
        section: str = "",
        index: int = 0,
        known: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Return the values in use of the keys that are right."""
        values: dict[str, Any] = {}
        for key, value in table.items():
            if key not in checks:
                names = known or tuple(checks)
                self._problem(
                    section, index, key, None, f"is not known: use {', '.join(names)}{did_you_mean(key, names)}"
                )
                continue
            try:
                values[key] = checks[key](value)
            except ValueError as error:
                self._problem(section, index, key, value, str(error))
        return values

    def _problem(self, section: str, index: int, key: str, value: object, message: str) -> None:
        where = f"{section}[{index + 1}]" if section == _STEP else section
        path = ".".join(part for part in (where, key) if part)
        line = line_of(self._text, section, index, key)
        self.problems.append(ConfigProblem(f"line {line}: {path}" if line else path, value, message))
