"""What bounds a setting, what must hold between settings, and what a change does to the power, in plain words.

The range that counts is the BMS's own where it tells one that makes sense, else the vendor's. Some of the BMS's limits
move with other settings (tinybms-protocol.md, 2.3, 5.7 and 5.8): they are true for the present state
and wrong for the state after a batch that changes those as well.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations, pairwise

from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot
from tinybms_bridge.errors import said_of
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.fields import Setting, by_name
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.values import RawRange
from tinybms_bridge.words import Message, message

__all__ = [
    "CURRENTS",
    "OF_THE_MOMENT",
    "PINNED",
    "SHAPERS",
    "Caution",
    "RuleSeverity",
    "Violation",
    "cautions",
    "pin_of",
    "present_range",
    "violations",
    "writable_range",
]


LADDER = frozenset(
    {"fully_charged_voltage_v", "fully_discharged_voltage_v", "over_voltage_cutoff_v", "under_voltage_cutoff_v"}
)
"""Each of these four limits its neighbours; the rules judge them together."""

SHAPERS = frozenset({"operation_mode", "load_switch_type", "charger_switch_type", "single_port_switch_type"})
"""What they are decides how much current may be set."""

CURRENTS = frozenset(
    {
        "charge_finished_current_a",
        "discharge_peak_current_cutoff_a",
        "discharge_over_current_cutoff_a",
        "charge_over_current_cutoff_a",
    }
)
"""Limits of these depend on board, sensor, mode and switches."""

_PEAK, _DISCHARGE = "discharge_peak_current_cutoff_a", "discharge_over_current_cutoff_a"


def present_range(readout: Readout, setting: Setting) -> RawRange:
    """Return the range that counts now.

    The BMS's own is not believed where it is empty, zero throughout, or does not contain the present value.
    """
    documented = RawRange(*setting.register.raw_range, "vendor")
    if readout.own is None:
        return documented
    low, high = setting.raw(readout.own.minimum), setting.raw(readout.own.maximum)
    if low == high == 0 or not low <= setting.raw(readout.words) <= high:
        return documented
    return RawRange(low, high, "bms")


def writable_range(readout: Readout, setting: Setting, changing: Collection[str]) -> RawRange:
    """Return the range to hold a new value against, in a batch that changes the settings called ``changing``."""
    documented = RawRange(*setting.register.raw_range, "vendor")
    if setting.name in LADDER or (setting.name in CURRENTS and not SHAPERS.isdisjoint(changing)):
        return documented
    own = present_range(readout, setting)
    if setting.name == _PEAK and _DISCHARGE in changing:
        return RawRange(min(own.low, documented.low), own.high, own.origin)
    if setting.name == _DISCHARGE and _PEAK in changing and _bound_by_peak(readout, own.high):
        return RawRange(own.low, max(own.high, documented.high), "vendor")
    return own


def _bound_by_peak(readout: Readout, high: int) -> bool:
    """Return whether a largest discharge current is but the present peak cutoff, which the batch moves too."""
    peak = by_name(_PEAK).raw(readout.words)
    return high in {peak - 1, peak}


_LADDER = (
    "under_voltage_cutoff_v",
    "fully_discharged_voltage_v",
    "fully_charged_voltage_v",
    "over_voltage_cutoff_v",
)
_STEP_MV = 10

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


class RuleSeverity(Enum):
    """How sure it is that a combination is bad."""

    WRONG = "wrong"
    DOUBTFUL = "doubtful"
    """The manual is against it, yet units hold it: a backup of such a unit may be restored."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold."""

    names: tuple[str, ...]
    """The settings concerned."""
    severity: RuleSeverity
    message: Message
    rule: str

    @property
    def key(self) -> tuple[str, tuple[str, ...], RuleSeverity]:
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


def _ladder(words: Sequence[int]) -> Iterator[Violation]:
    for lower, upper in pairwise(_LADDER):
        if by_name(upper).raw(words) - by_name(lower).raw(words) < _STEP_MV:
            told = message(
                "rule.order_of_voltages",
                lower=lower,
                lower_v=by_name(lower).value(words),
                upper=upper,
                upper_v=by_name(upper).value(words),
                step_mv=_STEP_MV,
            )
            yield Violation((lower, upper), RuleSeverity.WRONG, told, "order of voltages")


def _peak(words: Sequence[int], firmware: int) -> Iterator[Violation]:
    if firmware < by_name(_PEAK).firmware:
        return
    above_a = by_name(_PEAK).raw(words) - by_name(_DISCHARGE).raw(words)
    if above_a <= 0:
        severity = RuleSeverity.WRONG if above_a else RuleSeverity.DOUBTFUL
        peak_a, cutoff_a = by_name(_PEAK).value(words), by_name(_DISCHARGE).value(words)
        told = message("rule.peak_current", peak=_PEAK, peak_a=peak_a, cutoff=_DISCHARGE, cutoff_a=cutoff_a)
        yield Violation((_PEAK, _DISCHARGE), severity, told, "peak current")


def _pins(words: Sequence[int]) -> Iterator[Violation]:
    used = [(name, pin_of(by_name(name), words)) for name in PINNED]
    for (first, pin), (second, other) in combinations(used, 2):
        if pin is not None and pin == other:
            told = message(
                "rule.same_pin",
                first=first,
                first_value=by_name(first).value(words),
                second=second,
                second_value=by_name(second).value(words),
                pin=pin,
            )
            yield Violation((first, second), RuleSeverity.WRONG, told, f"pin {pin}")


def _broadcast(words: Sequence[int]) -> Iterator[Violation]:
    names = ("broadcast_time", "broadcast_protocol")
    time, protocol = (by_name(name).value(words) for name in names)
    if protocol == "soc_bar" and time in _TOO_FAST:
        yield Violation(names, RuleSeverity.WRONG, message("rule.broadcast", time=time, protocol=protocol), "broadcast")


def _charger_type(words: Sequence[int]) -> Iterator[Violation]:
    name = "charger_type"
    value = str(by_name(name).value(words))
    if value.endswith("_reserved"):
        yield Violation((name,), RuleSeverity.DOUBTFUL, message("rule.charger_type", value=value), "charger type")


_LARGEST_DOCUMENTED_A = 750


@dataclass(frozen=True, slots=True)
class Caution:
    """Something to know before a change is made."""

    name: str
    """The setting; empty when it is about the whole."""
    message: Message
    needs_confirmation: bool = False
    """It restarts the BMS, cuts the power or changes what is measured."""

    @property
    def description(self) -> Message:
        """All of it in one line."""
        return said_of(self.name, self.message) if self.name else self.message

    def __str__(self) -> str:
        return self.description.text


_CONFIRM: Mapping[str, Message] = {
    "series_cells": message("caution.series_cells"),
    "operation_mode": message("caution.operation_mode"),
    "load_switch_type": message("caution.load_switch"),
    "charger_switch_type": message("caution.charger_switch"),
    "single_port_switch_type": message("caution.single_port_switch"),
}

_TELL: Mapping[str, Message] = {
    "charger_detection": message("caution.charger_detection"),
    "ignition": message("caution.ignition"),
    "invert_external_current_sensor": message("caution.inverted_current"),
    "temperature_sensor_type": message("caution.temperature_sensor"),
}

_TELL_VALUE: Mapping[tuple[str, RegisterValue], Message] = {
    ("disable_switch_diagnostics", "disabled"): message("caution.no_switch_diagnostics"),
    ("automatic_recovery_s", 0): message("caution.no_recovery"),
    ("ignition", "disabled"): message("caution.no_ignition"),
}


def cautions(readout: Readout, changes: Sequence[tuple[Setting, RegisterValue]], words: Sequence[int]) -> list[Caution]:
    """Return what to know before ``changes`` (setting and new value) are made, which lead to ``words``."""
    found: list[Caution] = []
    for setting, value in changes:
        found += _of_kind(setting.name, value)
        found += _of_moment(setting.name, value, readout.live)
        if readout.high_power is False and setting.name in PINNED and _needs_high_power(setting, value, words):
            found.append(Caution(setting.name, message("caution.high_power_only")))
    names = {setting.name for setting, _ in changes}
    if names & SHAPERS and names & CURRENTS:
        found.append(Caution("", message("caution.bms_decides_current")))
    return found


def _of_kind(name: str, value: RegisterValue) -> Iterator[Caution]:
    if name in _CONFIRM:
        yield Caution(name, _CONFIRM[name], needs_confirmation=True)
    if (name, value) in _TELL_VALUE:
        yield Caution(name, _TELL_VALUE[name, value])
    elif name in _TELL:
        yield Caution(name, _TELL[name])
    if name == "broadcast_time" and value != "disabled":
        yield Caution(name, message("caution.broadcast"))
    if name == "discharge_peak_current_cutoff_a" and isinstance(value, int) and value > _LARGEST_DOCUMENTED_A:
        yield Caution(name, message("caution.undocumented_current", most_a=_LARGEST_DOCUMENTED_A))


def _needs_high_power(setting: Setting, value: RegisterValue, words: Sequence[int]) -> bool:
    precharge = setting.name == "precharge_pin" and value != "disabled"
    return precharge or pin_of(setting, words) is not None


_Measure = Callable[[Snapshot], float | None]


def _discharge_a(live: Snapshot) -> float:
    return max(0.0, -live.pack.current_a)


def _through_the_load_a(live: Snapshot) -> float:
    """Return what register 317 limits: the discharge current, or that of regeneration."""
    return abs(live.pack.current_a) if live.pack.status is BmsStatus.REGENERATION else _discharge_a(live)


def _charge_a(live: Snapshot) -> float:
    return max(0.0, live.pack.current_a)


_BELOW: Mapping[str, tuple[_Measure, str]] = {
    "discharge_over_current_cutoff_a": (_through_the_load_a, "caution.below_current"),
    "discharge_peak_current_cutoff_a": (_discharge_a, "caution.below_load"),
    "charge_over_current_cutoff_a": (_charge_a, "caution.below_charge_current"),
    "over_voltage_cutoff_v": (lambda live: live.cells.max_v, "caution.below_highest_cell"),
    "fully_charged_voltage_v": (lambda live: live.cells.max_v, "caution.full_below_highest_cell"),
    "over_heat_cutoff_c": (lambda live: live.temperatures.hottest_c, "caution.below_temperature"),
}
"""Limits that act when the measured value is above them."""

_ABOVE: Mapping[str, tuple[_Measure, str]] = {
    "under_voltage_cutoff_v": (lambda live: live.cells.min_v, "caution.above_lowest_cell"),
    "fully_discharged_voltage_v": (lambda live: live.cells.min_v, "caution.empty_above_lowest_cell"),
    "low_temperature_charger_cutoff_c": (lambda live: live.temperatures.coldest_c, "caution.above_temperature"),
}
"""Limits that act when the measured value is below them."""

OF_THE_MOMENT = tuple(code for _, code in (*_BELOW.values(), *_ABOVE.values()))
"""Codes of the cautions that tell what is measured now; their parameter is ``present``."""


def _of_moment(name: str, value: RegisterValue, live: Snapshot | None) -> Iterator[Caution]:
    if live is None or isinstance(value, str) or value is None:
        return
    for table, sign in ((_BELOW, 1), (_ABOVE, -1)):
        if name in table:
            measure, code = table[name]
            present = measure(live)
            if present is not None and sign * (present - value) > 0:
                yield Caution(name, message(code, present=present))
