"""Settings, plans and reports as rows of text for a table, and as values for JSON."""

from tinybms_bridge.battery.snapshot import firmware_text
from tinybms_bridge.tinybms.settings.backup import Difference
from tinybms_bridge.tinybms.settings.fields import Setting, all_settings
from tinybms_bridge.tinybms.settings.plan import Plan, SettingChange
from tinybms_bridge.tinybms.settings.rules import Caution, present_range
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.values import allowed_values, range_text, shown_value
from tinybms_bridge.tinybms.settings.writer import Outcome, Report, Result
from tinybms_bridge.words import ENGLISH, Language

__all__ = [
    "Row",
    "caution_document",
    "difference_document",
    "document",
    "outcome_text",
    "plan_document",
    "report_document",
    "rows_of_differences",
    "rows_of_plan",
    "rows_of_report",
    "rows_of_settings",
    "unit_text",
]

Row = list[str]
"""Register, name, values, unit, and what follows."""


def unit_text(readout: Readout) -> str:
    """Return which unit this is."""
    identity = readout.identity
    return (
        f"serial number {identity.serial_number or 'unknown'}, firmware {firmware_text(identity.firmware_internal)},"
        f" {readout.series_cells} cells"
    )


def outcome_text(result: Result) -> str:
    """Return what became of a setting."""
    return result.description.text


def document(readout: Readout) -> dict[str, object]:
    """Return all settings with ranges, defaults and the identity of the unit, ready for JSON."""
    return {
        "identity": readout.identity.as_dict(),
        "own_limits": readout.own is not None,
        "own_limits_missing": str(readout.own_missing or ""),
        "settings": [_entry(readout, setting) for setting in all_settings().values()],
    }


def plan_document(plan: Plan, *, dry_run: bool) -> dict[str, object]:
    """Return what a plan would write, ready for JSON."""
    return {
        "identity": plan.readout.identity.as_dict(),
        "dry_run": dry_run,
        "changes": [_change(each) for each in plan.changes],
        "unchanged": [each.name for each in plan.unchanged],
        "cautions": [str(caution) for caution in plan.cautions],
        "consequences": [str(caution) for caution in plan.consequences],
        "coded_cautions": [caution_document(caution) for caution in plan.cautions],
    }


def caution_document(caution: Caution, language: Language = ENGLISH) -> dict[str, object]:
    """Return something to know before a change, with its text in a language, ready for JSON."""
    return {
        "name": caution.name,
        **caution.message.document(),
        "text": caution.message.say(language),
        "needs_confirmation": caution.needs_confirmation,
    }


def report_document(report: Report) -> dict[str, object]:
    """Return what became of a plan, ready for JSON; to be joined with that of the plan."""
    return {
        "good": report.good,
        "results": [result.as_dict() for result in report.results],
        "side_effects": [_change(each) for each in report.side_effects],
        "unverified": str(report.unverified or ""),
    }


def difference_document(difference: Difference) -> dict[str, object]:
    """Return a setting that differs between a backup and a unit, ready for JSON."""
    setting = difference.setting
    return {
        "name": setting.name,
        "register": setting.address,
        "unit": setting.unit,
        "bms": difference.unit,
        "backup": difference.backup,
    }


def _change(change: SettingChange) -> dict[str, object]:
    setting = change.setting
    return {
        "name": change.name,
        "register": setting.address,
        "unit": setting.unit,
        "old": change.old,
        "new": change.new,
    }


def rows_of_settings(readout: Readout, *, limits: bool) -> list[Row]:
    """Return register, name, value, unit, and with ``limits`` the allowed values, who says so, and the default."""
    rows = []
    for setting in all_settings().values():
        here = readout.available(setting)
        row = _row(setting, shown_value(readout.value(setting)) if here else "not available")
        if limits and here:
            allowed = present_range(readout, setting)
            row += [range_text(setting, allowed), allowed.origin, shown_value(readout.default(setting))]
        rows.append(row)
    return rows


def rows_of_plan(plan: Plan) -> list[Row]:
    """Return register, name, present value, new value, unit."""
    return [_row(each.setting, shown_value(each.old), shown_value(each.new)) for each in plan.changes]


def rows_of_report(report: Report) -> list[Row]:
    """Return register, name, value before, wanted value, unit, outcome; what was right before is left out."""
    return [
        [*_row(each.change.setting, shown_value(each.change.old), shown_value(each.change.new)), outcome_text(each)]
        for each in report.results
        if each.outcome is not Outcome.UNCHANGED
    ]


def rows_of_differences(differences: tuple[Difference, ...]) -> list[Row]:
    """Return register, name, value of the unit, value in the backup, unit."""
    return [_row(each.setting, shown_value(each.unit), shown_value(each.backup)) for each in differences]


def _row(setting: Setting, *values: str) -> Row:
    return [str(setting.address), setting.name, *values, setting.unit]


def _entry(readout: Readout, setting: Setting) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": setting.name,
        "title": setting.register.name,
        "register": setting.address,
        "unit": setting.unit,
        "available": readout.available(setting),
        "value": readout.value(setting),
        "default": readout.default(setting),
        "note": setting.register.note,
    }
    if readout.available(setting):
        allowed = present_range(readout, setting)
        entry |= {"allowed": allowed_values(setting, allowed), "allowed_by": allowed.origin}
    return entry
