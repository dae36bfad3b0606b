"""What a change does to the power, in plain words: at any time, or because of what the battery measures now."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.fields import Setting
from tinybms_bridge.tinybms.settings.limits import CURRENTS, SHAPERS
from tinybms_bridge.tinybms.settings.rules import PINNED, pin_of
from tinybms_bridge.tinybms.settings.table import Readout

__all__ = ["Caution", "cautions"]

_LARGEST_DOCUMENTED_A = 750


@dataclass(frozen=True, slots=True)
class Caution:
    """Something to know before a change is made."""

    name: str
    """The setting; empty when it is about the whole."""
    text: str
    needs_confirmation: bool = False
    """It restarts the BMS, cuts the power or changes what is measured."""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.name else self.text


_HIGH_POWER = "the manual gives this to high-power boards only; this is a low-power one"
_SWITCH = "is switched through another output from now on; if nothing is connected there, its power is cut"

_CONFIRM: Mapping[str, str] = {
    "series_cells": "changes which connector pins are measured; a wrong number makes every voltage and limit wrong",
    "operation_mode": "the BMS restarts by itself and opens its switches: the power of the load is cut",
    "load_switch_type": f"the load {_SWITCH}",
    "charger_switch_type": f"the charger {_SWITCH}",
    "single_port_switch_type": f"the battery {_SWITCH}",
}

_TELL: Mapping[str, str] = {
    "charger_detection": "charging stops when no charger is seen at the new input",
    "ignition": "the load is switched off while the ignition input is low",
    "invert_external_current_sensor": "charge and discharge change places in every measurement",
    "temperature_sensor_type": "a type that is not connected gives wrong temperatures",
}

_TELL_VALUE: Mapping[tuple[str, RegisterValue], str] = {
    ("disable_switch_diagnostics", "disabled"): "a switch that is stuck is no longer noticed",
    ("automatic_recovery_s", 0): "a fault then lasts until the charger is connected, the ignition or the BMS restarted",
    ("ignition", "disabled"): "the load stays on while the BMS sleeps",
}


def cautions(readout: Readout, changes: Sequence[tuple[Setting, RegisterValue]], words: Sequence[int]) -> list[Caution]:
    """Return what to know before ``changes`` (setting and new value) are made, which lead to ``words``."""
    found: list[Caution] = []
    for setting, value in changes:
        found += _of_kind(setting.name, value)
        found += _of_moment(setting.name, value, readout.live)
        if readout.high_power is False and setting.name in PINNED and _needs_high_power(setting, value, words):
            found.append(Caution(setting.name, _HIGH_POWER))
    names = {setting.name for setting, _ in changes}
    if names & SHAPERS and names & CURRENTS:
        found.append(Caution("", "how much current may be set depends on the mode and the switches; the BMS decides"))
    return found


def _of_kind(name: str, value: RegisterValue) -> Iterator[Caution]:
    if name in _CONFIRM:
        yield Caution(name, _CONFIRM[name], needs_confirmation=True)
    if (name, value) in _TELL_VALUE:
        yield Caution(name, _TELL_VALUE[name, value])
    elif name in _TELL:
        yield Caution(name, _TELL[name])
    if name == "broadcast_time" and value != "disabled":
        yield Caution(name, "puts unasked text between the answers on the line that the bridge reads")
    if name == "discharge_peak_current_cutoff_a" and isinstance(value, int) and value > _LARGEST_DOCUMENTED_A:
        yield Caution(name, f"the vendor documents no current above {_LARGEST_DOCUMENTED_A} A")


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
    "discharge_over_current_cutoff_a": (
        _through_the_load_a,
        "is below the present current of {:.1f} A: the BMS cuts it",
    ),
    "discharge_peak_current_cutoff_a": (_discharge_a, "is below the present load of {:.1f} A: the BMS cuts it at once"),
    "charge_over_current_cutoff_a": (_charge_a, "is below the present charge current of {:.1f} A: the BMS cuts it"),
    "over_voltage_cutoff_v": (lambda live: live.cells.max_v, "is below the highest cell, {:.3f} V: charging is cut"),
    "fully_charged_voltage_v": (lambda live: live.cells.max_v, "is below the highest cell, {:.3f} V: charging ends"),
    "over_heat_cutoff_c": (lambda live: live.temperatures.hottest_c, "is below the present {:.1f} °C: all is cut"),
}
"""Limits that act when the measured value is above them."""

_ABOVE: Mapping[str, tuple[_Measure, str]] = {
    "under_voltage_cutoff_v": (lambda live: live.cells.min_v, "is above the lowest cell, {:.3f} V: all is cut"),
    "fully_discharged_voltage_v": (
        lambda live: live.cells.min_v,
        "is above the lowest cell, {:.3f} V: the load is cut",
    ),
    "low_temperature_charger_cutoff_c": (
        lambda live: live.temperatures.coldest_c,
        "is above the present {:.1f} °C: charging is cut",
    ),
}
"""Limits that act when the measured value is below them."""


def _of_moment(name: str, value: RegisterValue, live: Snapshot | None) -> Iterator[Caution]:
    if live is None or isinstance(value, str) or value is None:
        return
    for table, sign in ((_BELOW, 1), (_ABOVE, -1)):
        if name in table:
            measure, text = table[name]
            present = measure(live)
            if present is not None and sign * (present - value) > 0:
                yield Caution(name, text.format(present))
