"""The order of the writes: every rule that holds before and after holds in between as well.

The BMS has dynamic limits (protocol reference, 5.8): a batch in ascending order can be refused half way, and a power
loss may leave any intermediate state for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tinybms_bridge.tinybms.settings.cautions import Caution
from tinybms_bridge.tinybms.settings.fields import Setting, Words, by_name
from tinybms_bridge.tinybms.settings.limits import CURRENTS, present_range
from tinybms_bridge.tinybms.settings.rules import PINNED, Severity, pin_of, violations
from tinybms_bridge.tinybms.settings.table import Readout

__all__ = ["Step", "in_safe_order"]

_MODE = 340
_ORDER = (306, 307, 303, 308, 304, 315, 316, 300, 301, 305, 317, 318, 319, 320, 310, 311, 321, 322, 329, 330, 332, 312,
          314, 334, 335, 336, 337, 338, 339, 331, 333, 341, 342, 343, _MODE)  # fmt: skip
"""Preferred order: capacity and balancing, cutoffs, charge levels, the rest, the switches, and the restart last."""

_Key = tuple[str, tuple[str, ...], Severity]


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
        self._parked.append(Caution(name, f"is set to {text} for a moment, to free its pin for another setting"))

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
