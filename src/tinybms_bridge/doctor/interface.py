"""What the doctor makes of the CAN interface and its adapter: what the kernel tells in, findings in plain words out."""

from collections.abc import Iterable, Sequence

from tinybms_bridge.doctor.bus import CAN_CHECK
from tinybms_bridge.doctor.findings import Finding, ok, problem, warning
from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_faults import FoundFault, judge_device
from tinybms_bridge.hal.can_usb import CanAdapter
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.victron.can.self_test import LoopbackResult, LoopbackVerdict
from tinybms_bridge.words import message

__all__ = ["is_unusable", "judge_adapters", "judge_faults", "judge_interface", "judge_loopback"]


def judge_interface(
    settings: CanSettings, devices: Sequence[CanDevice], program: str = "tinybms-bridge"
) -> list[Finding]:
    """Return how the interface that is configured is set up; nothing for adapters beside SocketCAN.

    Args:
        settings: The adapter, as configured.
        devices: The interfaces of the kernel.
        program: How this program is called here.

    """
    if settings.interface != "socketcan":
        return []
    device = next((each for each in devices if each.name == settings.channel), None)
    if device is None:
        meant = nearest(settings.channel, [each.name for each in devices])
        return [problem(CAN_CHECK, message("doctor.can_unknown", name=settings.channel, meant=meant))]
    return judge_faults(device, judge_device(device, settings.bitrate_bps, program))


def judge_faults(device: CanDevice, faults: Iterable[FoundFault]) -> list[Finding]:
    """Return faults as findings, or that there are none."""
    found = [(problem if each.stops else warning)(CAN_CHECK, each.message) for each in faults]
    if found:
        return found
    rate = None if device.bitrate_bps is None else device.bitrate_bps / 1000.0
    return [ok(CAN_CHECK, message("doctor.can_fine", name=device.name, rate_kbit_s=rate, state=device.state))]


def judge_adapters(settings: CanSettings, adapters: Sequence[CanAdapter]) -> list[Finding]:
    """Return which USB adapters are plugged in, but not what is configured."""
    found = []
    for each in adapters:
        if each.kind == "gs_usb" and not each.interface and settings.interface != "gs_usb":
            told = message("doctor.can_adapter_without_interface", product=each.product)
            found.append(warning(CAN_CHECK, told))
        elif each.kind == "slcan" and settings.interface != "slcan":
            told = message("doctor.can_serial_adapter", product=each.product, port=each.port)
            found.append(warning(CAN_CHECK, told))
    return found


def judge_loopback(result: LoopbackResult | None) -> list[Finding]:
    """Return what a bridge in loopback mode tells; None: there is none that tells."""
    mode = warning(CAN_CHECK, message("doctor.loopback_mode"))
    if result is None:
        return [mode]
    sent, returned = result.sent, result.returned
    match result.verdict:
        case LoopbackVerdict.PASSED:
            return [mode, ok(CAN_CHECK, message("doctor.loopback_passed", sent=sent, returned=returned))]
        case LoopbackVerdict.FAILED:
            return [mode, problem(CAN_CHECK, message("doctor.loopback_failed", sent=sent, returned=returned))]
        case _:
            return [mode, warning(CAN_CHECK, message("doctor.loopback_waiting"))]


def is_unusable(findings: Sequence[Finding]) -> bool:
    """Return whether an interface cannot be opened, so that an attempt would only say so again."""
    return any(each.message.code in ("can_fault.down", "doctor.can_unknown") for each in findings)
