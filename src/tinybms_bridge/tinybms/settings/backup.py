"""The backup of the settings: a JSON file that people can read, compare and edit; and what restores it to a unit.

``{"format": "tinybms-settings", "version": 1, "created": ..., "identity": {...}, "settings": {name: value}}``.
Registers that set the state of charge or health are not in it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from tinybms_bridge.battery.snapshot import Identity, firmware_text
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.errors import SettingProblem, SettingsError
from tinybms_bridge.tinybms.settings.fields import Setting, all_settings, find_setting
from tinybms_bridge.tinybms.settings.plan import Plan, make_plan
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.words import Message, message

__all__ = [
    "FORMAT",
    "MAX_BYTES",
    "VERSION",
    "Backup",
    "Difference",
    "backup_of",
    "backup_text",
    "differences",
    "parse_backup",
    "restore_plan",
]


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
        raise _broken(message("backup.incomplete"))
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
        raise _broken(message("backup.no_backup", format=FORMAT))
    if document.get("version") != VERSION or isinstance(document["version"], bool):
        raise _broken(message("backup.other_version", version=VERSION))
    problems: list[SettingProblem] = []
    created = document.get("created")
    if not isinstance(created, str):
        problems.append(SettingProblem("created", message("backup.no_time"), created))
    identity = _identity(document.get("identity"), problems)
    settings = _settings(document.get("settings"), identity, problems)
    problems += [
        SettingProblem(key, message("backup.no_part"))
        for key in document
        if key not in {"format", "version", "created", "identity", "settings"}
    ]
    if problems:
        raise SettingsError(problems)
    return Backup(str(created), identity, settings)


def _broken(what: Message) -> SettingsError:
    return SettingsError([SettingProblem("", what)])


def _object(data: bytes) -> dict[str, object]:
    if len(data) > MAX_BYTES:
        raise _broken(message("file.too_long", bytes=len(data), most=MAX_BYTES))
    doubled: list[str] = []

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        doubled.extend(dict.fromkeys(key for key in keys if keys.count(key) > 1))
        return dict(pairs)

    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=collect)
    except json.JSONDecodeError as error:
        raise _broken(message("file.not_json", cause=error.msg, line=error.lineno, column=error.colno)) from None
    except (ValueError, RecursionError):
        raise _broken(message("backup.not_json")) from None
    if not isinstance(document, dict):
        raise _broken(message("must_be.object"))
    if doubled:
        raise SettingsError([SettingProblem(key, message("file.given_twice")) for key in doubled])
    return document


def _identity(entry: object, problems: list[SettingProblem]) -> Identity:
    if not isinstance(entry, dict):
        problems.append(SettingProblem("identity", message("must_be.object"), entry))
        return Identity()
    known: dict[str, Any] = {field.name: field.default for field in fields(Identity)}
    for name, default in known.items():
        value = entry.get(name)
        if isinstance(value, bool) or not isinstance(value, type(default)):
            told = message("must_be.any_text" if isinstance(default, str) else "must_be.any_whole_number")
            problems.append(SettingProblem(f"identity.{name}", told, value))
        else:
            known[name] = value
    problems += [
        SettingProblem(f"identity.{key}", message("config.unknown_key", meant=nearest(key, known)))
        for key in entry
        if key not in known
    ]
    return Identity(**known)


def _settings(entry: object, identity: Identity, problems: list[SettingProblem]) -> dict[str, RegisterValue]:
    if not isinstance(entry, dict):
        problems.append(SettingProblem("settings", message("must_be.object"), entry))
        return {}
    for name, value in entry.items():
        setting = find_setting(name)
        problems += (
            [SettingProblem(name, setting, value)] if isinstance(setting, Message) else _mistyped(setting, value)
        )
    missing = [
        each.name
        for each in all_settings().values()
        if each.firmware <= identity.firmware_internal and each.name not in entry
    ]
    problems += [SettingProblem(name, message("backup.missing")) for name in missing]
    return dict(entry)


def _mistyped(setting: Setting, value: object) -> Iterator[SettingProblem]:
    if setting.choices:
        known = isinstance(value, str) and (value in setting.choices.values() or _UNKNOWN_CHOICE.fullmatch(value))
        if not known:
            yield SettingProblem(setting.name, message("must_be.one_of", choices=list(setting.choices.values())), value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield SettingProblem(setting.name, message("must_be.any_number"), value)


_CELLS = "series_cells"


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting whose value in the backup is not that of the unit."""

    setting: Setting
    backup: RegisterValue
    """None when the backup has no such setting."""
    unit: RegisterValue
    """None when the unit has no such setting."""


def differences(backup: Backup, readout: Readout) -> tuple[Difference, ...]:
    """Return every setting that differs or that only one side has, in order of registers."""
    pairs = [(each, backup.settings.get(each.name), readout.value(each)) for each in all_settings().values()]
    return tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2])


def restore_plan(backup: Backup, readout: Readout, *, force: bool = False) -> Plan:
    """Return the plan that gives a unit the settings of a backup.

    Settings that the firmware of the unit does not have are left out, and said.

    Args:
        backup: What to restore.
        readout: The present settings of the unit.
        force: Restore a backup of a battery with another number of cells, or to a unit that does not tell its firmware.

    Raises:
        SettingsError: One of these without ``force``, or values that the unit cannot take.

    """
    doubts = [] if force else list(_doubts(backup, readout))
    if doubts:
        raise SettingsError([SettingProblem("", doubt) for doubt in doubts])
    wanted = {each.name: backup.settings[each.name] for each in readout.settings() if each.name in backup.settings}
    return make_plan(readout, wanted, from_unit=True, notes=_notes(backup, readout))


def _doubts(backup: Backup, readout: Readout) -> Iterator[Message]:
    cells = backup.settings[_CELLS]
    if cells != readout.series_cells:
        yield message("backup.other_cells", backup_cells=cells, bms_cells=readout.series_cells)
    if not readout.identified:
        yield message("backup.unknown_firmware")


def _notes(backup: Backup, readout: Readout) -> list[Message]:
    notes = []
    theirs, ours = backup.identity, readout.identity
    if theirs.serial_number != ours.serial_number:
        notes.append(message("caution.other_unit", serial=theirs.serial_number))
    if theirs.firmware_internal != ours.firmware_internal:
        before, now = (firmware_text(each.firmware_internal) for each in (theirs, ours))
        notes.append(message("caution.other_firmware", backup=before, bms=now))
    here = {each.name for each in readout.settings()}
    left_out = [name for name in backup.settings if name not in here]
    if left_out:
        notes.append(message("caution.left_out", names=left_out))
    kept = [name for name in here if name not in backup.settings]
    if kept:
        notes.append(message("caution.not_in_backup", names=sorted(kept)))
    return notes
