"""The backup of the settings: a JSON file that people can read, compare and edit.

``{"format": "tinybms-settings", "version": 1, "created": ..., "identity": {...}, "settings": {name: value}}``.
Registers that set the state of charge or health are not in it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.suggestions import did_you_mean
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.errors import Problem, SettingsError
from tinybms_bridge.tinybms.settings.fields import Setting, all_settings, find_setting
from tinybms_bridge.tinybms.settings.table import Readout

__all__ = ["FORMAT", "MAX_BYTES", "VERSION", "Backup", "backup_of", "backup_text", "parse_backup"]

FORMAT = "tinybms-settings"
VERSION = 1
MAX_BYTES = 262_144
"""Longest file that is read; a backup has about 2000 bytes."""

_UNKNOWN_CHOICE = re.compile(r"unknown \(\d{1,5}\)")


@dataclass(frozen=True, slots=True)
class Backup:
    """The settings of one unit at one moment."""

    created: str
    """ISO time, for people."""
    identity: Identity
    """The unit they were read from."""
    settings: Mapping[str, RegisterValue]
    """Values by name of setting."""


def backup_of(readout: Readout, created: datetime, *, force: bool = False) -> Backup:
    """Return the backup of all settings that the unit has.

    Raises:
        SettingsError: The unit does not tell its firmware; with ``force`` only what every firmware has is saved.

    """
    if not readout.identified and not force:
        message = (
            "the BMS does not tell its firmware, so some settings would be missing in the backup unless it is forced"
        )
        raise SettingsError([Problem("", message)])
    values = {setting.name: readout.value(setting) for setting in readout.settings()}
    return Backup(created.isoformat(timespec="seconds"), readout.identity, values)


def backup_text(backup: Backup) -> str:
    """Return the file for a backup, one setting a line."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "created": backup.created,
        "identity": asdict(backup.identity),
        "settings": dict(backup.settings),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def parse_backup(data: bytes) -> Backup:
    """Return the backup in a file.

    Raises:
        SettingsError: Not a backup, or a damaged one: every unknown, missing, doubled or mistyped entry is named.

    """
    document = _object(data)
    if document.get("format") != FORMAT:
        raise _broken(f'is no backup: "format" must be "{FORMAT}"')
    if document.get("version") != VERSION or isinstance(document["version"], bool):
        raise _broken(f'"version" must be {VERSION}; a newer file needs a newer program')
    problems: list[Problem] = []
    created = document.get("created")
    if not isinstance(created, str):
        problems.append(Problem("created", "must be a time in double quotes", created))
    identity = _identity(document.get("identity"), problems)
    settings = _settings(document.get("settings"), identity, problems)
    problems += [
        Problem(key, "is no part of a backup")
        for key in document
        if key not in {"format", "version", "created", "identity", "settings"}
    ]
    if problems:
        raise SettingsError(problems)
    return Backup(str(created), identity, settings)


def _broken(message: str) -> SettingsError:
    return SettingsError([Problem("", message)])


def _object(data: bytes) -> dict[str, object]:
    if len(data) > MAX_BYTES:
        raise _broken(f"is {len(data)} bytes long, a backup has less than {MAX_BYTES}")
    doubled: list[str] = []

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        doubled.extend(dict.fromkeys(key for key in keys if keys.count(key) > 1))
        return dict(pairs)

    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=collect)
    except json.JSONDecodeError as error:
        raise _broken(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError):
        raise _broken("is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise _broken("is no JSON object")
    if doubled:
        raise SettingsError([Problem(key, "is given more than once") for key in doubled])
    return document


def _identity(entry: object, problems: list[Problem]) -> Identity:
    if not isinstance(entry, dict):
        problems.append(Problem("identity", "must be an object", entry))
        return Identity()
    known: dict[str, Any] = {field.name: field.default for field in fields(Identity)}
    for name, default in known.items():
        value = entry.get(name)
        if isinstance(value, bool) or not isinstance(value, type(default)):
            kind = "a text" if isinstance(default, str) else "a whole number"
            problems.append(Problem(f"identity.{name}", f"must be {kind}", value))
        else:
            known[name] = value
    problems += [
        Problem(f"identity.{key}", f"is unknown{did_you_mean(key, known)}") for key in entry if key not in known
    ]
    return Identity(**known)


def _settings(entry: object, identity: Identity, problems: list[Problem]) -> dict[str, RegisterValue]:
    if not isinstance(entry, dict):
        problems.append(Problem("settings", "must be an object", entry))
        return {}
    for name, value in entry.items():
        setting = find_setting(name)
        problems += [Problem(name, setting, value)] if isinstance(setting, str) else _mistyped(setting, value)
    missing = [
        each.name
        for each in all_settings().values()
        if each.firmware <= identity.firmware_internal and each.name not in entry
    ]
    problems += [Problem(name, "is missing") for name in missing]
    return dict(entry)


def _mistyped(setting: Setting, value: object) -> Iterator[Problem]:
    if setting.choices:
        known = isinstance(value, str) and (value in setting.choices.values() or _UNKNOWN_CHOICE.fullmatch(value))
        if not known:
            yield Problem(setting.name, f"must be one of {', '.join(setting.choices.values())}", value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield Problem(setting.name, "must be a number", value)
