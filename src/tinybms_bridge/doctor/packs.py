"""What the doctor makes of several packs: whether each name has a BMS of its own, and the one that is meant."""

from collections.abc import Mapping

from tinybms_bridge.battery.saved_units import NO_SERIAL, unit_key
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.config.packs import PackPort
from tinybms_bridge.doctor.findings import Finding, ok, problem, warning
from tinybms_bridge.words import message

__all__ = ["judge_units"]

_CHECK = "packs"


def judge_units(found: Mapping[str, Identity], ports: Mapping[str, PackPort]) -> list[Finding]:
    """Say which packs show the same unit, and which another one than the configuration names.

    Args:
        found: Who answered, by pack.
        ports: The packs as they are configured.

    """
    packs_of: dict[str, list[str]] = {}
    serials = {name: serial for name, each in found.items() if (serial := unit_key(each.serial_number)) != NO_SERIAL}
    for name, serial in serials.items():
        packs_of.setdefault(serial, []).append(name)
    findings = [
        problem(_CHECK, message("doctor.same_unit", serial=serial, packs=packs))
        for serial, packs in packs_of.items()
        if len(packs) > 1
    ]
    for name, serial in serials.items():
        wanted = ports[name].serial_number if name in ports else ""
        if wanted and serial != wanted:
            belongs = next((other for other, each in ports.items() if each.serial_number == serial), None)
            told = message("doctor.other_unit", pack=name, serial=serial, wanted=wanted, belongs=belongs)
            findings.append(warning(_CHECK, told))
    if findings or len(serials) < 2:
        return findings
    return [ok(_CHECK, message("doctor.units", count=len(packs_of), packs=list(serials)))]
