"""The CAN interfaces of the kernel, with what it tells of their controllers: state, bit timing, counters.

Read by rtnetlink; the messages are told in linux/if_link.h and linux/can/netlink.h. python-can reads none of it, and
sysfs has neither bit rate nor state. Every call blocks (``hal.rtnetlink``).
"""

import struct
from contextlib import suppress
from dataclasses import dataclass, field

from tinybms_bridge.hal.rtnetlink import GET_LINK, NEW_LINK, answers, ask, ask_all, attribute, attributes

__all__ = ["CanCounters", "CanDevice", "can_devices", "parse_links", "read_can_device"]


@dataclass(frozen=True, slots=True)
class CanCounters:
    """What the driver of a CAN interface has counted since the interface exists; nobody resets it."""

    bus_errors: int = 0
    error_warnings: int = 0
    """Times that the controller became error-warning."""
    error_passives: int = 0
    """Times that it became error-passive."""
    bus_offs: int = 0
    """Times that it went bus-off."""
    arbitration_lost: int = 0
    restarts: int = 0
    """Restarts after bus-off."""
    rx_frames: int = 0
    tx_frames: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True)
class CanDevice:
    """A CAN interface of the kernel (SocketCAN)."""

    name: str
    """For example ``can0``."""
    up: bool
    """Whether it was brought up."""
    state: str = ""
    """Of its controller: ``error_active`` is good, ``stopped`` is that of one that is down; empty for one without a
    controller, such as ``vcan0``."""
    bitrate_bps: int | None = None
    """None where none was set."""
    kind: str = ""
    """``can`` for a controller, ``vcan`` or ``vxcan`` for one that is software; empty where nobody tells."""
    sample_point_percent: float | None = None
    restart_ms: int | None = None
    """Time after which the kernel restarts a controller that went bus-off; 0: never. None without a controller."""
    tx_queue_frames: int | None = None
    """Frames that may wait for the bus."""
    modes: tuple[str, ...] = ()
    """What is not as usual: ``loopback``, ``listen_only``, ``one_shot`` and others."""
    tx_error_count: int | None = None
    """The controller's count of errors while sending: error-passive from 128; None where the driver does not tell."""
    rx_error_count: int | None = None
    counters: CanCounters = field(default_factory=CanCounters)

    @property
    def has_controller(self) -> bool:
        """Whether there is a controller with a bit rate; False for interfaces that are software."""
        return self.kind == "can" or bool(self.state)


_LINK = struct.Struct("=BxHiII")
_ANY_LINK = _LINK.pack(0, 0, 0, 0, 0)
_IS_CAN, _IS_UP = 280, 1
"""ARPHRD_CAN, IFF_UP."""

_IFNAME, _QUEUE, _INFO, _STATS64 = 3, 13, 18, 23
_INFO_KIND, _INFO_DATA, _INFO_STATS = 1, 2, 3
_BIT_TIMING, _STATE, _MODES, _RESTART_MS, _ERROR_COUNTS = 1, 4, 5, 6, 8

_WORD, _TWO_WORDS, _TWO_HALVES = struct.Struct("=I"), struct.Struct("=II"), struct.Struct("=HH")
_CONTROLLER_STATS = struct.Struct("=6I")
"""struct can_device_stats: bus_error, error_warning, error_passive, bus_off, arbitration_lost, restarts."""
_LINK_STATS = struct.Struct("=8Q")
"""The beginning of struct rtnl_link_stats64: packets, bytes, errors and drops, each received and sent."""

_STATES = ("error_active", "error_warning", "error_passive", "bus_off", "stopped", "sleeping")
_MODE_NAMES = {
    0x001: "loopback",
    0x002: "listen_only",
    0x004: "triple_sampling",
    0x008: "one_shot",
    0x010: "bus_error_reporting",
    0x020: "fd",
    0x040: "presume_ack",
    0x080: "fd_non_iso",
    0x100: "cc_len8_dlc",
}
_NO_BITRATE = (0, 0xFFFF_FFFF)
"""CAN_BITRATE_UNSET and CAN_BITRATE_UNKNOWN."""
_LONGEST_NAME = 15


def can_devices() -> tuple[CanDevice, ...]:
    """Return the CAN interfaces; empty where the kernel does not tell. Blocks; raises nothing."""
    found: list[CanDevice] = []
    with suppress(OSError):
        for data in ask_all(GET_LINK, _ANY_LINK):
            found += parse_links(data)[0]
    return tuple(found)


def read_can_device(name: str) -> CanDevice | None:
    """Return one CAN interface; None when there is none of this name. Blocks; raises nothing."""
    wanted = name.encode(errors="replace")
    if not 0 < len(wanted) <= _LONGEST_NAME or b"\0" in wanted:
        return None
    with suppress(OSError):
        links, _ = parse_links(ask(GET_LINK, _ANY_LINK + attribute(_IFNAME, wanted + b"\0")))
        return next((link for link in links if link.name == name), None)
    return None


def parse_links(data: bytes) -> tuple[list[CanDevice], bool]:
    """Return the CAN interfaces in an answer of the kernel, and whether another answer follows.

    Raises nothing, whatever the bytes are: what is cut off or unknown is left out.
    """
    messages, more = answers(data)
    found = []
    for kind, body in messages:
        if kind == NEW_LINK and len(body) >= _LINK.size:
            _, hardware, _, flags, _ = _LINK.unpack_from(body)
            if hardware == _IS_CAN:
                found.append(_can_device(body[_LINK.size :], up=bool(flags & _IS_UP)))
    return found, more


def _can_device(told: bytes, *, up: bool) -> CanDevice:
    link = dict(attributes(told))
    info = dict(attributes(link.get(_INFO, b"")))
    controller = dict(attributes(info.get(_INFO_DATA, b"")))
    bitrate, sample_point = _numbers(_TWO_WORDS, controller.get(_BIT_TIMING)) or (0, 0)
    has_bitrate = bitrate not in _NO_BITRATE
    transmit, receive = _numbers(_TWO_HALVES, controller.get(_ERROR_COUNTS)) or (None, None)
    return CanDevice(
        name=_text(link.get(_IFNAME)),
        up=up,
        state=_state(controller.get(_STATE)),
        bitrate_bps=bitrate if has_bitrate else None,
        kind=_text(info.get(_INFO_KIND)),
        sample_point_percent=sample_point / 10.0 if has_bitrate and sample_point else None,
        restart_ms=_number(controller.get(_RESTART_MS)),
        tx_queue_frames=_number(link.get(_QUEUE)),
        modes=_modes(controller.get(_MODES)),
        tx_error_count=transmit,
        rx_error_count=receive,
        counters=_counters(info.get(_INFO_STATS), link.get(_STATS64)),
    )


def _state(value: bytes | None) -> str:
    number = _number(value)
    if number is None:
        return ""
    return _STATES[number] if number < len(_STATES) else str(number)


def _modes(value: bytes | None) -> tuple[str, ...]:
    _, flags = _numbers(_TWO_WORDS, value) or (0, 0)
    return tuple(name for bit, name in _MODE_NAMES.items() if flags & bit)


def _counters(of_controller: bytes | None, of_link: bytes | None) -> CanCounters:
    bus_errors, warnings, passives, bus_offs, lost, restarts = _numbers(_CONTROLLER_STATS, of_controller) or (0,) * 6
    rx, tx, _, _, rx_errors, tx_errors, rx_dropped, tx_dropped = _numbers(_LINK_STATS, of_link) or (0,) * 8
    return CanCounters(
        bus_errors=bus_errors,
        error_warnings=warnings,
        error_passives=passives,
        bus_offs=bus_offs,
        arbitration_lost=lost,
        restarts=restarts,
        rx_frames=rx,
        tx_frames=tx,
        rx_errors=rx_errors,
        tx_errors=tx_errors,
        rx_dropped=rx_dropped,
        tx_dropped=tx_dropped,
    )


def _numbers(layout: struct.Struct, value: bytes | None) -> tuple[int, ...] | None:
    """Return the numbers at the beginning of a value; None when it has not all of them."""
    return None if value is None or len(value) < layout.size else layout.unpack_from(value)


def _number(value: bytes | None) -> int | None:
    found = _numbers(_WORD, value)
    return None if found is None else found[0]


def _text(value: bytes | None) -> str:
    return (value or b"").partition(b"\0")[0].decode(errors="replace")
