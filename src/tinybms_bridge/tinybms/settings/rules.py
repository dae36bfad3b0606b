"""What must hold between settings (protocol reference, 5.8; user manual Rev D)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations, pairwise

from tinybms_bridge.tinybms.settings.fields import Setting, by_name
from tinybms_bridge.tinybms.settings.values import shown_value

__all__ = ["PINNED", "Severity", "Violation", "pin_of", "violations"]

_LADDER = (
    "under_voltage_cutoff_v",
    "fully_discharged_voltage_v",
    "fully_charged_voltage_v",
    "over_voltage_cutoff_v",
)
_STEP_MV = 10
_PEAK, _DISCHARGE = "discharge_peak_current_cutoff_a", "discharge_over_current_cutoff_a"
_PEAK_FIRMWARE = 251

PINNED = (
    "speed_sensor_input",
    "ignition",
    "precharge_pin",
    "charger_detection",
    "single_port_switch_type",
    "charger_switch_type",
    "load_switch_type",
)
"""Settings that give a function to an I/O pin, the least important for the power first."""

_PINS = frozenset({"aido1", "aido2", "dido1", "dido2", "aiho1", "aiho2"})
_TOO_FAST = frozenset({"0.1s", "0.2s", "0.5s"})


class Severity(Enum):
    """How sure it is that a combination is bad."""

    WRONG = "wrong"
    DOUBTFUL = "doubtful"
    """The manual is against it, yet units hold it: a backup of such a unit may be restored."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold."""

    names: tuple[str, ...]
    """The settings concerned."""
    severity: Severity
    message: str
    rule: str

    @property
    def key(self) -> tuple[str, tuple[str, ...], Severity]:
        """Tells violations apart whatever their numbers are."""
        return self.rule, self.names, self.severity


def violations(words: Sequence[int], firmware: int) -> tuple[Violation, ...]:
    """Return every rule that registers 300 to 343 break on a unit with this internal firmware."""
    return (*_ladder(words), *_peak(words, firmware), *_pins(words), *_broadcast(words), *_charger_type(words))


def pin_of(setting: Setting, words: Sequence[int]) -> str | None:
    """Return the I/O pin that a setting of ``PINNED`` uses, or None."""
    choice = str(setting.value(words))
    pin = choice.removesuffix("_active_low").removesuffix("_active_high")
    return pin if pin in _PINS else None


def _shown(name: str, words: Sequence[int]) -> str:
    each = by_name(name)
    return f"{name} ({shown_value(each.value(words), each.unit)})"


def _ladder(words: Sequence[int]) -> Iterator[Violation]:
    for lower, upper in pairwise(_LADDER):
        if by_name(upper).raw(words) - by_name(lower).raw(words) < _STEP_MV:
            message = f"{_shown(lower, words)} must be at least {_STEP_MV} mV below {_shown(upper, words)}"
            yield Violation((lower, upper), Severity.WRONG, message, "order of voltages")


def _peak(words: Sequence[int], firmware: int) -> Iterator[Violation]:
    if firmware < _PEAK_FIRMWARE:
        return
    above_a = by_name(_PEAK).raw(words) - by_name(_DISCHARGE).raw(words)
    if above_a <= 0:
        severity = Severity.WRONG if above_a else Severity.DOUBTFUL
        message = f"{_shown(_PEAK, words)} must be above {_shown(_DISCHARGE, words)}"
        yield Violation((_PEAK, _DISCHARGE), severity, message, "peak current")


def _pins(words: Sequence[int]) -> Iterator[Violation]:
    used = [(name, pin_of(by_name(name), words)) for name in PINNED]
    for (first, pin), (second, other) in combinations(used, 2):
        if pin is not None and pin == other:
            message = f"{_shown(first, words)} and {_shown(second, words)} use the same pin {pin}"
            yield Violation((first, second), Severity.WRONG, message, f"pin {pin}")


def _broadcast(words: Sequence[int]) -> Iterator[Violation]:
    names = ("broadcast_time", "broadcast_protocol")
    time, protocol = (by_name(name).value(words) for name in names)
    if protocol == "soc_bar" and time in _TOO_FAST:
        message = f"{_shown(names[0], words)} is too fast for {_shown(names[1], words)}; from 1s on, or disabled"
        yield Violation(names, Severity.WRONG, message, "broadcast")


def _charger_type(words: Sequence[int]) -> Iterator[Violation]:
    name = "charger_type"
    if str(by_name(name).value(words)).endswith("_reserved"):
        message = f"{_shown(name, words)} is reserved; the vendor supports cc_cv only"
        yield Violation((name,), Severity.DOUBTFUL, message, "charger type")
