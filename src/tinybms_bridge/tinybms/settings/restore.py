"""A backup against a unit: what differs, and the plan that restores it."""

from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.backup import Backup
from tinybms_bridge.tinybms.settings.errors import Problem, SettingsError
from tinybms_bridge.tinybms.settings.fields import Setting, all_settings
from tinybms_bridge.tinybms.settings.plan import Plan, make_plan
from tinybms_bridge.tinybms.settings.table import Readout, firmware_text

__all__ = ["Difference", "differences", "restore_plan"]

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
        raise SettingsError([Problem("", f"{doubt}; nothing is written unless it is forced") for doubt in doubts])
    wanted = {each.name: backup.settings[each.name] for each in readout.settings() if each.name in backup.settings}
    return make_plan(readout, wanted, from_unit=True, notes=_notes(backup, readout))


def _doubts(backup: Backup, readout: Readout) -> Iterator[str]:
    cells = backup.settings[_CELLS]
    if cells != readout.series_cells:
        yield f"the backup is of {cells} cells in series, this BMS is set to {readout.series_cells}"
    if not readout.identified:
        yield "the BMS does not tell its firmware, so some settings would be left out"


def _notes(backup: Backup, readout: Readout) -> list[str]:
    notes = []
    theirs, ours = backup.identity, readout.identity
    if theirs.serial_number != ours.serial_number:
        notes.append(f"the backup is of another unit, serial number {theirs.serial_number or 'unknown'}")
    if theirs.firmware_internal != ours.firmware_internal:
        versions = [firmware_text(each.firmware_internal) for each in (theirs, ours)]
        notes.append("the backup is of firmware {}, this BMS has firmware {}".format(*versions))
    here = {each.name for each in readout.settings()}
    left_out = [name for name in backup.settings if name not in here]
    if left_out:
        notes.append(f"left out, because this firmware does not have them: {', '.join(left_out)}")
    kept = [name for name in here if name not in backup.settings]
    if kept:
        notes.append(f"not in the backup, left as they are: {', '.join(sorted(kept))}")
    return notes
