"""What became of each setting."""

from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.plan import Change

__all__ = ["Outcome", "Report", "Result"]


class Outcome(StrEnum):
    """What became of one setting, as far as reading back can tell."""

    WRITTEN = "written"
    """Written and read back."""
    UNCHANGED = "unchanged"
    """It held the value already and was not written: the BMS's memory wears."""
    REFUSED = "refused"
    """The BMS answered NACK."""
    DIFFERS = "differs"
    """Written, but another value is read back."""
    NO_ANSWER = "no answer"
    """Nobody can say whether it was written."""
    NOT_TRIED = "not tried"
    """Not written, because something failed or changed before; ``found`` and ``detail`` tell of a freed pin."""

    @property
    def good(self) -> bool:
        """Whether the setting holds the wanted value."""
        return self in {Outcome.WRITTEN, Outcome.UNCHANGED}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one setting."""

    change: Change
    outcome: Outcome
    found: RegisterValue = None
    """The value read back, or None when nothing was read."""
    detail: str = ""
    """What happened, when it is not plain."""

    @property
    def name(self) -> str:
        """Name of the setting."""
        return self.change.name

    def as_dict(self) -> dict[str, object]:
        """Return the result as JSON-ready values."""
        return {
            "name": self.name,
            "register": self.change.setting.address,
            "unit": self.change.setting.unit,
            "old": self.change.old,
            "new": self.change.new,
            "outcome": self.outcome.value,
            "found": self.found,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a plan."""

    results: tuple[Result, ...]
    """One for each setting asked for, in order of registers."""
    side_effects: tuple[Change, ...] = ()
    """Settings nobody asked to change and that the BMS changed meanwhile."""
    unverified: str = ""
    """Why the last look at all settings failed, or empty."""

    @property
    def good(self) -> bool:
        """Whether every setting holds the wanted value."""
        return all(result.outcome.good for result in self.results)
