"""The line to each BMS, what a BMS has counted, the CAN outputs and the GX: all of it only while the core is heard."""

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_faults import CanFault
from tinybms_bridge.link.state import CanState, UartState
from tinybms_bridge.services.metrics.family import Family, Picture, Present, Reading, counter, gauge
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics

__all__ = ["LINES"]

_Read = Callable[[Picture], Iterable[Reading]]

_CONTROLLER_STATES = ("error_active", "error_warning", "error_passive", "bus_off", "stopped", "sleeping")
_PROTECTIONS = {
    "under_voltage": "under_voltage_count",
    "over_voltage": "over_voltage_count",
    "discharge_over_current": "discharge_over_current_count",
    "charge_over_current": "charge_over_current_count",
    "over_heat": "over_heat_count",
}


def _of_lines(get: Callable[[UartState], float | None]) -> _Read:
    def read(picture: Picture) -> Iterator[Reading]:
        if picture.heard:
            for pack, details in picture.packs.items():
                yield (pack,), get(details.uart)

    return read


def _line_counter(name: str, help_: str, field: str) -> Family:
    return counter(f"line_{name}", help_, Present.HEARD, _of_lines(attrgetter(field)), "pack")


def _while_up(field: str) -> Callable[[UartState], float | None]:
    """Return what reads a time of a line in seconds; a line that is down has none."""
    get = attrgetter(field)
    return lambda line: get(line) / 1000.0 if line.up else None


def _of_statistics(get: Callable[[DeviceStatistics], float]) -> _Read:
    def read(picture: Picture) -> Iterator[Reading]:
        if picture.heard:
            for pack, details in picture.packs.items():
                if details.statistics is not None:
                    yield (pack,), get(details.statistics)

    return read


def _protections(picture: Picture) -> Iterator[Reading]:
    if picture.heard:
        for pack, details in picture.packs.items():
            for kind, field in _PROTECTIONS.items() if details.statistics is not None else ():
                yield (pack, kind), getattr(details.statistics, field)


def _of_outputs(get: Callable[[CanState], float | None]) -> _Read:
    def read(picture: Picture) -> Iterator[Reading]:
        if picture.heard:
            for name, output in picture.outputs.items():
                yield (name,), get(output)

    return read


def _can_counter(name: str, help_: str, field: str) -> Family:
    return counter(f"can_{name}", help_, Present.HEARD, _of_outputs(attrgetter(field)), "output")


def _controllers(picture: Picture) -> Iterator[tuple[str, CanDevice]]:
    """Yield the controllers that the kernel tells of; adapters beside SocketCAN and software interfaces have none."""
    if picture.heard:
        for name, output in picture.outputs.items():
            if output.device is not None and output.device.has_controller:
                yield name, output.device


def _controller_counter(name: str, help_: str, field: str) -> Family:
    get: Callable[[CanDevice], Any] = attrgetter(f"counters.{field}")

    def read(picture: Picture) -> Iterator[Reading]:
        for output, device in _controllers(picture):
            yield (output,), get(device)

    return counter(f"can_controller_{name}", help_, Present.HEARD, read, "output")


def _controller_states(picture: Picture) -> Iterator[Reading]:
    for output, device in _controllers(picture):
        for state in _CONTROLLER_STATES:
            yield (output, state), float(device.state == state)


def _controller_errors(picture: Picture) -> Iterator[Reading]:
    for output, device in _controllers(picture):
        yield (output, "sent"), device.tx_error_count
        yield (output, "received"), device.rx_error_count


def _dropped(picture: Picture) -> Iterator[Reading]:
    for output, device in _controllers(picture):
        yield (output, "sent"), device.counters.tx_dropped
        yield (output, "received"), device.counters.rx_dropped


def _faults(picture: Picture) -> Iterator[Reading]:
    if picture.heard:
        for output, state in picture.outputs.items():
            for fault in CanFault:
                yield (output, fault), float(fault in state.faults)


def _silence(output: CanState) -> float | None:
    return None if output.gx_state == "never_seen" else output.gx_silent_for_s


LINES: tuple[Family, ...] = (
    gauge(
        "line_up", "1 while the BMS of a pack answers.", Present.HEARD, _of_lines(lambda line: float(line.up)), "pack"
    ),
    _line_counter("polls", "Requests for live data.", "polls"),
    _line_counter("replies", "Requests that were answered.", "success"),
    _line_counter("errors", "Requests that failed for good, after their retries.", "errors"),
    _line_counter("timeouts", "Answers that did not come in time.", "timeouts"),
    _line_counter("crc_errors", "Answers with a wrong checksum.", "crc_errors"),
    _line_counter("retries", "Requests that were sent again.", "retries"),
    _line_counter("refusals", "Requests that the BMS refused.", "refused"),
    _line_counter("garbage_bytes", "Bytes that belong to no answer.", "garbage_bytes"),
    _line_counter("wakeups", "Times that a BMS had to be woken.", "wakeups"),
    _line_counter("connects", "Times that the port was opened.", "connects"),
    _line_counter("rejected_samples", "Samples that were not believed.", "rejected_samples"),
    _line_counter("outliers", "Readings of a cell that did not count.", "outliers"),
    gauge(
        "line_latency_seconds",
        "Time of the last answer; absent while the BMS does not answer.",
        Present.HEARD,
        _of_lines(_while_up("latency_last_ms")),
        "pack",
    ),
    gauge(
        "line_latency_max_seconds",
        "Longest time of an answer since the start; absent while the BMS does not answer.",
        Present.HEARD,
        _of_lines(_while_up("latency_max_ms")),
        "pack",
    ),
    gauge(
        "line_poll_interval_seconds",
        "Present time between two requests for live data; absent while the BMS does not answer.",
        Present.HEARD,
        _of_lines(_while_up("poll_interval_ms")),
        "pack",
    ),
    counter(
        "bms_protections",
        "Times that a BMS had to protect its cells, as it counts them itself; once they were read.",
        Present.HEARD,
        _protections,
        "pack",
        "kind",
    ),
    counter(
        "bms_charges_begun",
        "Charges that the BMS of a pack has counted; once they were read.",
        Present.HEARD,
        _of_statistics(lambda found: found.charging_count),
        "pack",
    ),
    counter(
        "bms_charges_completed",
        "Full charges that the BMS of a pack has counted; once they were read.",
        Present.HEARD,
        _of_statistics(lambda found: found.full_charge_count),
        "pack",
    ),
    gauge(
        "can_up", "1 while the CAN adapter is open.", Present.HEARD, _of_outputs(lambda can: float(can.up)), "output"
    ),
    _can_counter("frames_sent", "Frames that were sent.", "tx_count"),
    _can_counter("send_errors", "Frames that could not be sent.", "tx_errors"),
    _can_counter("frames_received", "Frames that were received.", "rx_count"),
    _can_counter("receive_errors", "Errors while receiving.", "rx_errors"),
    _can_counter("bus_off", "Times that the controller gave the bus up, as the bridge saw it.", "bus_off_count"),
    _can_counter("outages", "Times that the adapter was lost.", "outages"),
    _can_counter("bursts", "Bursts of frames that were sent.", "bursts"),
    _can_counter("bursts_skipped", "Bursts without anything that may be sent.", "skipped"),
    gauge(
        "can_jitter_max_seconds",
        "Most by which a burst was late since the start.",
        Present.HEARD,
        _of_outputs(lambda can: can.jitter_max_ms / 1000.0),
        "output",
    ),
    gauge(
        "can_fault",
        "1 while something is wrong with the CAN interface of the kernel.",
        Present.HEARD,
        _faults,
        "output",
        "fault",
    ),
    gauge(
        "can_controller_state",
        "1 for the state of the CAN controller; absent where there is none that tells, as what follows of it.",
        Present.HEARD,
        _controller_states,
        "output",
        "state",
    ),
    gauge(
        "can_controller_error_level",
        "The controller's own level of errors: error-passive from 128, bus-off from 256.",
        Present.HEARD,
        _controller_errors,
        "output",
        "direction",
    ),
    _controller_counter("bus_errors", "Bus errors that the driver has counted.", "bus_errors"),
    _controller_counter("error_passive", "Times that the controller became error-passive.", "error_passives"),
    _controller_counter("bus_off", "Times that the controller gave the bus up.", "bus_offs"),
    _controller_counter("restarts", "Restarts of the controller after bus-off.", "restarts"),
    counter(
        "can_controller_dropped_frames",
        "Frames that the driver had to drop.",
        Present.HEARD,
        _dropped,
        "output",
        "direction",
    ),
    gauge(
        "gx_present",
        "1 while a GX is heard.",
        Present.HEARD,
        _of_outputs(lambda can: float(can.keepalive_ok)),
        "output",
    ),
    gauge(
        "gx_silent_seconds",
        "Time since a GX was heard; absent before the first time.",
        Present.HEARD,
        _of_outputs(_silence),
        "output",
    ),
)
"""In the order of the page."""
