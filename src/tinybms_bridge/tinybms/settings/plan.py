"""From wanted values to a plan: everything judged before anything is written, in an order that is safe throughout.

Every rule that holds before and after holds in between as well. The BMS has dynamic limits (tinybms-protocol.md, 5.8):
a batch in ascending order can be refused half way, and a power loss may leave any intermediate state for good.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.snapshot import firmware_text
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.errors import SettingProblem, SettingsError, SettingValueError
from tinybms_bridge.tinybms.settings.fields import Setting, Words, all_settings, by_name, find_setting
from tinybms_bridge.tinybms.settings.rules import (
    CURRENTS,
    PINNED,
    Caution,
    RuleSeverity,
    cautions,
    pin_of,
    present_range,
    violations,
    writable_range,
)
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.values import encode
from tinybms_bridge.words import Message, message

__all__ = ["Plan", "SettingChange", "Step", "held_against", "in_safe_order", "make_plan"]


_MODE = 340
_ORDER = (306, 307, 303, 308, 304, 315, 316, 300, 301, 305, 317, 318, 319, 320, 310, 311, 321, 322, 329, 330, 332, 312,
          314, 334, 335, 336, 337, 338, 339, 331, 333, 341, 342, 343, _MODE)  # fmt: skip
"""Preferred order: capacity and balancing, cutoffs, charge levels, the rest, the switches, and the restart last."""

_Key = tuple[str, tuple[str, ...], RuleSeverity]


@dataclass(frozen=True, slots=True)
class Step:
    """One write to one setting, or to the settings that share a register."""

    address: int
    mask: int
    """Bits of each word that belong to the settings; the others are kept as found."""
    before: Words
    """The words before, as planned."""
    after: Words
    """The words after, as planned."""
    settings: tuple[Setting, ...]
    temporary: bool = False
    """The value frees a pin for another setting; the wanted one follows."""

    @property
    def restarts(self) -> bool:
        """Whether the BMS restarts by itself (register 340)."""
        return self.address == _MODE

    def merged(self, present: Words) -> Words:
        """Return the words to write where the register holds ``present``."""
        return tuple(now & ~self.mask | new & self.mask for now, new in zip(present, self.after, strict=True))

    def done(self, present: Words) -> bool:
        """Return whether ``present`` holds the values of this step."""
        return self._masked(present) == self._masked(self.after)

    def undone(self, present: Words) -> bool:
        """Return whether ``present`` holds the values from before this step."""
        return self._masked(present) == self._masked(self.before)

    def _masked(self, words: Words) -> Words:
        return tuple(word & self.mask for word in words)


def in_safe_order(readout: Readout, wanted: Mapping[Setting, Words]) -> tuple[tuple[Step, ...], list[Caution]]:
    """Return the writes for ``wanted``, and what to know of the temporary ones among them."""
    return _Planner(readout, wanted).run()


class _Planner:
    """Takes one write after the other; among those that break no rule, the first in the preferred order."""

    def __init__(self, readout: Readout, wanted: Mapping[Setting, Words]) -> None:
        self._readout = readout
        self._firmware = readout.identity.firmware_internal
        self._state = readout.words
        self._steps: list[Step] = []
        self._parked: list[Caution] = []
        groups: dict[int, dict[Setting, Words]] = {}
        for each, words in sorted(wanted.items(), key=lambda item: self._rank(*item)):
            groups.setdefault(each.address, {})[each] = words
        self._pending = list(groups.values())
        final = self._state
        for group in self._pending:
            final = _put(final, group)
        self._allowed = self._broken(self._state) | self._broken(final)

    def run(self) -> tuple[tuple[Step, ...], list[Caution]]:
        while self._pending:
            group = self._next()
            if group is None:
                self._park()
            else:
                self._pending.remove(group)
                self._take(group)
        return tuple(self._steps), self._parked

    def _rank(self, each: Setting, words: Words) -> tuple[bool, int]:
        """Rank a write; a current outside its present limits waits for the switches and the mode that allow it."""
        allowed = present_range(self._readout, each)
        raw = each.raw(each.put(self._readout.words, words))
        waits = each.name in CURRENTS and allowed.origin == "bms" and not allowed.low <= raw <= allowed.high
        return waits, _ORDER.index(each.address)

    def _next(self) -> dict[Setting, Words] | None:
        """Return the first write after which its own settings break no rule, else the first that breaks no new one."""
        second: dict[Setting, Words] | None = None
        for group in self._pending:
            broken = self._broken(_put(self._state, group))
            if not broken <= self._allowed:
                continue
            names = {each.name for each in group}
            if all(names.isdisjoint(concerned) for _, concerned, _ in broken):
                return group
            second = second or group
        return second

    def _park(self) -> None:
        """Free a pin: all that is left are settings that exchange their pins."""
        pending = {each.name for group in self._pending for each in group}
        name = next(name for name in PINNED if name in pending and pin_of(by_name(name), self._state))
        each = by_name(name)
        raw, text = min(each.choices.items())  # disabled, internal or the own transistors: no pin
        self._take({each: (raw << each.register.offset,)}, temporary=True)
        self._parked.append(Caution(name, message("caution.frees_pin", value=text)))

    def _take(self, group: Mapping[Setting, Words], *, temporary: bool = False) -> None:
        after = _put(self._state, group)
        first = next(iter(group))
        mask = 0
        for each in group:
            mask |= each.register.mask
        self._steps.append(
            Step(first.address, mask, first.cut(self._state), first.cut(after), tuple(group), temporary=temporary)
        )
        self._state = after

    def _broken(self, words: Words) -> frozenset[_Key]:
        return frozenset(violation.key for violation in violations(words, self._firmware))


def _put(words: Words, group: Mapping[Setting, Words]) -> Words:
    for each, own in group.items():
        words = each.put(words, own)
    return words


@dataclass(frozen=True, slots=True)
class SettingChange:
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
    changes: tuple[SettingChange, ...]
    """Settings that get another value, in order of registers."""
    unchanged: tuple[SettingChange, ...]
    """Settings that hold the wanted value already; they are not written."""
    steps: tuple[Step, ...]
    """Writes, in order."""
    cautions: tuple[Caution, ...] = ()
    """What to know; some of it must be confirmed."""

    @property
    def consequences(self) -> tuple[Caution, ...]:
        """What has to be confirmed; empty when nothing has."""
        return tuple(caution for caution in self.cautions if caution.needs_confirmation)


def make_plan(
    readout: Readout, wanted: Mapping[str, object], *, from_unit: bool = False, notes: Sequence[Message] = ()
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
    problems: list[SettingProblem] = []
    encoded = _encoded(readout, wanted, problems)
    changed = {each: words for each, words in encoded.items() if each.put(readout.words, words) != readout.words}
    final = _final(readout.words, changed)
    doubts = _judged(readout, final, changed, problems, from_unit=from_unit)
    if problems:
        raise SettingsError(problems)
    changes = _changes(readout, final, changed)
    steps, parked = in_safe_order(readout, changed)
    if changes and readout.own_missing:
        notes = [*notes, message("caution.vendor_ranges", reason=readout.own_missing)]
    rounded = _rounded(wanted, final)
    news = [(change.setting, change.new) for change in changes]
    return Plan(
        readout=readout,
        changes=changes,
        unchanged=_changes(readout, final, [each for each in encoded if each not in changed]),
        steps=steps,
        cautions=(*(Caution("", each) for each in notes), *rounded, *cautions(readout, news, final), *doubts, *parked),
    )


def _encoded(readout: Readout, wanted: Mapping[str, object], problems: list[SettingProblem]) -> dict[Setting, Words]:
    encoded: dict[Setting, Words] = {}
    changing = [name for name, value in wanted.items() if not _held(readout, name, value)]
    for name, value in wanted.items():
        setting = find_setting(name)
        if isinstance(setting, Message):
            problems.append(SettingProblem(name, setting, value))
        elif not readout.available(setting):
            problems.append(SettingProblem(name, _not_available(readout, setting), value))
        elif name not in changing:
            encoded[setting] = setting.cut(readout.words)
        else:
            try:
                encoded[setting] = encode(setting, value, writable_range(readout, setting, changing))
            except SettingValueError as error:
                problems.append(SettingProblem(name, error.what, value))
    return dict(sorted(encoded.items(), key=lambda item: (item[0].address, item[0].register.offset)))


def _held(readout: Readout, name: str, value: object) -> bool:
    """Return whether the BMS holds exactly this value, whatever range it is in."""
    setting = all_settings().get(name)
    return setting is not None and not isinstance(value, bool) and value == readout.value(setting)


def _not_available(readout: Readout, setting: Setting) -> Message:
    have, need = firmware_text(readout.identity.firmware_internal), firmware_text(setting.firmware)
    return message("setting.other_firmware", have=have, need=need)


def _rounded(wanted: Mapping[str, object], final: Words) -> Iterator[Caution]:
    """Yield each number that lies between two steps of its register, with what it becomes."""
    for name, value in wanted.items():
        setting = by_name(name)
        held = setting.value(final)
        if isinstance(value, str) or isinstance(held, str) or held is None or value == held:
            continue
        step = round(setting.register.scale, setting.register.decimals)
        yield Caution(name, message("caution.rounded", given=value, value=held, step=step, unit=setting.unit))


def _final(words: Words, encoded: Mapping[Setting, Words]) -> Words:
    for setting, own in encoded.items():
        words = setting.put(words, own)
    return words


def _judged(
    readout: Readout, final: Words, changed: Mapping[Setting, Words], problems: list[SettingProblem], *, from_unit: bool
) -> list[Caution]:
    """Add the broken rules that a change has to do with to ``problems``; return the others as cautions."""
    names = {setting.name for setting in changed}
    doubts: list[Caution] = []
    for violation in violations(final, readout.identity.firmware_internal):
        touched = [name for name in violation.names if name in names]
        if not touched:
            doubts.append(Caution("", message("caution.already_wrong", problem=violation.message)))
        elif from_unit and violation.severity is RuleSeverity.DOUBTFUL:
            doubts.append(Caution("", violation.message))
        else:
            problems.append(SettingProblem("", violation.message))
    return doubts


def _changes(
    readout: Readout, final: Words, settings: Mapping[Setting, Words] | Sequence[Setting]
) -> tuple[SettingChange, ...]:
    return tuple(SettingChange(each, each.value(readout.words), each.value(final)) for each in settings)


def held_against(advice: Sequence[Advice], readout: Readout) -> tuple[Advice, ...]:
    """Return the advice as it stands for a BMS with these settings, limits of its own and firmware."""
    return tuple(_left_over(advice, readout))


def _left_over(advice: Sequence[Advice], readout: Readout) -> Iterator[Advice]:
    for each in advice:
        if not each.setting:
            yield each
            continue
        try:
            plan = make_plan(readout, {each.setting: each.advised})
        except SettingsError as error:
            obstacle = message("problems", problems=[problem.message for problem in error.problems])
            yield replace(each, obstacle=obstacle)
            continue
        for change in plan.changes:
            yield replace(each, present=change.old)
