"""From wanted values to a plan: everything judged before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.cautions import Caution, cautions
from tinybms_bridge.tinybms.settings.errors import Problem, SettingsError
from tinybms_bridge.tinybms.settings.fields import Setting, Words, all_settings, by_name, find_setting
from tinybms_bridge.tinybms.settings.limits import writable_range
from tinybms_bridge.tinybms.settings.order import Step, in_safe_order
from tinybms_bridge.tinybms.settings.rules import Severity, violations
from tinybms_bridge.tinybms.settings.table import Readout, firmware_text
from tinybms_bridge.tinybms.settings.values import encode, shown_value

__all__ = ["Change", "Plan", "make_plan"]


@dataclass(frozen=True, slots=True)
class Change:
    """One setting and the value that it is to have."""

    setting: Setting
    old: RegisterValue
    new: RegisterValue

    @property
    def name(self) -> str:
        """Name of the setting."""
        return self.setting.name


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write, in which order, and what to know before."""

    readout: Readout
    """What the plan was made for."""
    changes: tuple[Change, ...]
    """Settings that get another value, in order of registers."""
    unchanged: tuple[Change, ...]
    """Settings that hold the wanted value already; they are not written."""
    steps: tuple[Step, ...]
    """Writes, in order."""
    cautions: tuple[Caution, ...] = ()
    """What to know; some of it must be confirmed."""

    @property
    def consequences(self) -> tuple[str, ...]:
        """What has to be confirmed; empty when nothing has."""
        return tuple(str(caution) for caution in self.cautions if caution.needs_confirmation)


def make_plan(
    readout: Readout, wanted: Mapping[str, object], *, from_unit: bool = False, notes: Sequence[str] = ()
) -> Plan:
    """Return the plan that gives a BMS the ``wanted`` values by name of setting.

    Args:
        readout: The present settings.
        wanted: Numbers in the unit of the name, or texts of choices.
        from_unit: The values were read from a unit: combinations that the manual doubts are cautions, not problems.
        notes: Further things to know.

    Raises:
        SettingsError: Anything is wrong; names every problem.

    """
    problems: list[Problem] = []
    encoded = _encoded(readout, wanted, problems)
    changed = {each: words for each, words in encoded.items() if each.put(readout.words, words) != readout.words}
    final = _final(readout.words, changed)
    doubts = _judged(readout, final, changed, problems, from_unit=from_unit)
    if problems:
        raise SettingsError(problems)
    changes = _changes(readout, final, changed)
    steps, parked = in_safe_order(readout, changed)
    if changes and readout.own_missing:
        notes = [*notes, f"values are held against the vendor's ranges, not those of this BMS ({readout.own_missing})"]
    rounded = _rounded(wanted, final)
    news = [(change.setting, change.new) for change in changes]
    return Plan(
        readout=readout,
        changes=changes,
        unchanged=_changes(readout, final, [each for each in encoded if each not in changed]),
        steps=steps,
        cautions=(*(Caution("", text) for text in notes), *rounded, *cautions(readout, news, final), *doubts, *parked),
    )


def _encoded(readout: Readout, wanted: Mapping[str, object], problems: list[Problem]) -> dict[Setting, Words]:
    encoded: dict[Setting, Words] = {}
    changing = [name for name, value in wanted.items() if not _held(readout, name, value)]
    for name, value in wanted.items():
        setting = find_setting(name)
        if isinstance(setting, str):
            problems.append(Problem(name, setting, value))
        elif not readout.available(setting):
            problems.append(Problem(name, _not_available(readout, setting), value))
        elif name not in changing:
            encoded[setting] = setting.cut(readout.words)
        else:
            try:
                encoded[setting] = encode(setting, value, writable_range(readout, setting, changing))
            except ValueError as error:
                problems.append(Problem(name, str(error), value))
    return dict(sorted(encoded.items(), key=lambda item: (item[0].address, item[0].register.offset)))


def _held(readout: Readout, name: str, value: object) -> bool:
    """Return whether the BMS holds exactly this value, whatever range it is in."""
    setting = all_settings().get(name)
    return setting is not None and not isinstance(value, bool) and value == readout.value(setting)


def _not_available(readout: Readout, setting: Setting) -> str:
    have, need = firmware_text(readout.identity.firmware_internal), firmware_text(setting.firmware)
    return f"not available on firmware {have}, needs {need}"


def _rounded(wanted: Mapping[str, object], final: Words) -> Iterator[Caution]:
    """Yield each number that lies between two steps of its register, with what it becomes."""
    for name, value in wanted.items():
        setting = by_name(name)
        held = setting.value(final)
        if isinstance(value, str) or isinstance(held, str) or held is None or value == held:
            continue
        step = shown_value(round(setting.register.scale, setting.register.decimals), setting.unit)
        yield Caution(name, f"{value:.10g} is rounded to {shown_value(held, setting.unit)} (the step is {step})")


def _final(words: Words, encoded: Mapping[Setting, Words]) -> Words:
    for setting, own in encoded.items():
        words = setting.put(words, own)
    return words


def _judged(
    readout: Readout, final: Words, changed: Mapping[Setting, Words], problems: list[Problem], *, from_unit: bool
) -> list[Caution]:
    """Add the broken rules that a change has to do with to ``problems``; return the others as cautions."""
    names = {setting.name for setting in changed}
    doubts: list[Caution] = []
    for violation in violations(final, readout.identity.firmware_internal):
        touched = [name for name in violation.names if name in names]
        if not touched:
            doubts.append(Caution("", f"not changed by this, but wrong: {violation.message}"))
        elif from_unit and violation.severity is Severity.DOUBTFUL:
            doubts.append(Caution("", violation.message))
        else:
            problems.append(Problem("", violation.message))
    return doubts


def _changes(
    readout: Readout, final: Words, settings: Mapping[Setting, Words] | Sequence[Setting]
) -> tuple[Change, ...]:
    return tuple(Change(each, each.value(readout.words), each.value(final)) for each in settings)
