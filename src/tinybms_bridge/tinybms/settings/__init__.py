"""The settings of a TinyBMS: read, judge, write in a safe order, verify, back up and restore."""

from tinybms_bridge.tinybms.settings.actions import ACTIONS, ActionInfo, ActionName, ActionResult
from tinybms_bridge.tinybms.settings.backup import (
    Backup,
    Difference,
    backup_of,
    backup_text,
    differences,
    parse_backup,
    restore_plan,
)
from tinybms_bridge.tinybms.settings.errors import (
    ConfirmationError,
    SettingProblem,
    SettingsError,
    SettingValueError,
    StaleSettingsError,
)
from tinybms_bridge.tinybms.settings.fields import Setting, all_settings, find_setting
from tinybms_bridge.tinybms.settings.manager import BmsSettings
from tinybms_bridge.tinybms.settings.plan import Plan, SettingChange, held_against, make_plan
from tinybms_bridge.tinybms.settings.rules import Caution, Violation, present_range, violations
from tinybms_bridge.tinybms.settings.table import Link, Readout
from tinybms_bridge.tinybms.settings.values import (
    RawRange,
    allowed_values,
    parse_number,
    parse_text,
    range_text,
    shown_value,
)
from tinybms_bridge.tinybms.settings.writer import Outcome, Report, Result, WriteOptions

__all__ = [
    "ACTIONS",
    "ActionInfo",
    "ActionName",
    "ActionResult",
    "Backup",
    "BmsSettings",
    "Caution",
    "ConfirmationError",
    "Difference",
    "Link",
    "Outcome",
    "Plan",
    "RawRange",
    "Readout",
    "Report",
    "Result",
    "Setting",
    "SettingChange",
    "SettingProblem",
    "SettingValueError",
    "SettingsError",
    "StaleSettingsError",
    "Violation",
    "WriteOptions",
    "all_settings",
    "allowed_values",
    "backup_of",
    "backup_text",
    "differences",
    "find_setting",
    "held_against",
    "make_plan",
    "parse_backup",
    "parse_number",
    "parse_text",
    "present_range",
    "range_text",
    "restore_plan",
    "shown_value",
    "violations",
]
