"""Opening an adapter: options that reach the driver, and errors that help."""

import errno
import logging
from collections.abc import Callable, Iterator
from typing import Any

import can
import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import can_open
from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.hal.can_loopback import LoopbackBus
from tinybms_bridge.hal.can_open import open_bus

Opened = list[tuple[tuple[Any, ...], dict[str, Any]]]
FailWith = Callable[[Exception], None]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Return the list of calls that would have opened an adapter of python-can."""
    calls: Opened = []
    monkeypatch.setattr(can, "Bus", lambda *args, **options: calls.append((args, options)))
    return calls


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch) -> FailWith:
    """Return a function that makes opening fail with an error."""

    def prepare(error: Exception) -> None:
        def fail(*_: object, **__: object) -> can.BusABC:
            raise error

        monkeypatch.setattr(can, "Bus", fail)

    return prepare


@pytest.fixture
def library_logger() -> Iterator[logging.Logger]:
    """Return python-can's logger as a fresh program has it."""
    logger = logging.getLogger("can")
    level = logger.level
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.setLevel(level)


def chained(error: Exception, cause: Exception) -> Exception:
    """Return an error as a driver raises it that wraps another one."""
    error.__cause__ = cause
    return error


def test_bit_rate_and_channel_reach_the_driver(opened: Opened) -> None:
    """An adapter is opened with what is configured, and no configuration file of python-can interferes."""
    open_bus(CanSettings("slcan", "/dev/ttyACM0", bitrate_bps=250_000))
    assert opened == [
        (("/dev/ttyACM0",), {"interface": "slcan", "ignore_config": True, "bitrate": 250_000}),
    ]


def test_options_reach_the_driver(opened: Opened) -> None:
    """What python-can calls otherwise can be said in the extra options, which win."""
    open_bus(CanSettings("socketcand", "can0", extra={"host": "gx.local", "port": 29536, "bitrate": 125_000}))
    _, options = opened[0]
    assert (options["host"], options["port"], options["bitrate"]) == ("gx.local", 29536, 125_000)


@pytest.mark.parametrize(("channel", "sent"), [("0", 0), ("12", 12), ("can0", "can0"), ("", None)])
def test_channel_of_digits_is_a_number(opened: Opened, channel: str, sent: object) -> None:
    """Some drivers count their channels; an empty one is the driver's default."""
    open_bus(CanSettings("kvaser", channel))
    assert opened[0][0] == (sent,)


def test_only_wanted_frames_are_received(opened: Opened) -> None:
    """On a busy bus the adapter filters, if it can."""
    open_bus(CanSettings("slcan", "/dev/ttyACM0", accept_ids=(0x305, 0x307)))
    assert opened[0][1]["can_filters"] == [
        {"can_id": 0x305, "can_mask": 0x7FF, "extended": False},
        {"can_id": 0x307, "can_mask": 0x7FF, "extended": False},
    ]


@pytest.mark.parametrize("extra", [{}, {"hop_limit": 0}])
def test_udp_multicast_stays_on_this_machine(extra: dict[str, object]) -> None:
    """The default interface is pinned to loopback."""
    bus = open_bus(CanSettings(extra=extra))
    try:
        assert isinstance(bus, LoopbackBus)
    finally:
        bus.shutdown()


def test_udp_multicast_on_the_network_on_request(opened: Opened) -> None:
    """With a hop limit the bus is python-can's own."""
    open_bus(CanSettings(channel="239.1.2.3", extra={"hop_limit": 1}))
    assert opened == [(("239.1.2.3",), {"interface": "udp_multicast", "ignore_config": True, "hop_limit": 1})]


def test_unknown_interface_lists_the_known_ones() -> None:
    """A misspelt name is answered with the names that exist."""
    with pytest.raises(LinkError) as caught:
        open_bus(CanSettings("soketcan"))
    assert caught.value.reason == "unknown CAN interface 'soketcan'"
    assert "socketcan, socketcand" in caught.value.hint
    assert "udp_multicast" in caught.value.hint


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError(errno.ENODEV, "No such device"), "no device 7; check that the adapter is plugged in"),
        (OSError(errno.EPERM, "Operation not permitted"), "no permission"),
        (OSError(errno.EBUSY, "Device or resource busy"), "another program uses the adapter"),
        (can.CanInitializationError("nothing there"), "plugged in"),
        (TypeError("missing 1 required positional argument: 'host'"), "check channel and extra options"),
    ],
)
def test_errors_of_an_adapter_come_with_what_helps(fail_with: FailWith, error: Exception, hint: str) -> None:
    """The user can mend the usual mistakes from the message alone."""
    fail_with(error)
    with pytest.raises(LinkError) as caught:
        open_bus(CanSettings("gs_usb", "7"))
    assert "cannot open CAN gs_usb:7" in caught.value.reason
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (
            chained(can.CanInitializationError("no port"), OSError(errno.ENOENT, "x")),
            "no device /dev/ttyACM0",
        ),
        (chained(can.CanInitializationError("no port"), OSError(errno.EACCES, "x")), "group dialout"),
        (can.CanInterfaceNotImplementedError("The serial module is not installed"), "pip install 'python-can[serial]'"),
    ],
)
def test_errors_of_a_serial_adapter(fail_with: FailWith, error: Exception, hint: str) -> None:
    """System errors that the driver wraps are recognised, too."""
    fail_with(error)
    with pytest.raises(LinkError) as caught:
        open_bus(CanSettings("slcan", "/dev/ttyACM0"))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("interface", "error", "hint"),
    [
        ("gs_usb", ImportError("No module named 'usb'"), "pip install 'python-can[gs-usb]'"),
        ("pcan", OSError("pcanbasic library not found."), "PCAN-Basic"),
        ("kvaser", can.CanInterfaceNotImplementedError("Kvaser canlib is unavailable."), "CANlib"),
        ("vector", NotImplementedError("only on Windows"), "the driver of vector is not installed or not made"),
    ],
)
def test_missing_drivers_are_named(fail_with: FailWith, interface: str, error: Exception, hint: str) -> None:
    """A driver that is not installed is told apart from an adapter that is not there."""
    fail_with(error)
    with pytest.raises(LinkError) as caught:
        open_bus(CanSettings(interface))
    assert hint in caught.value.hint


def test_group_without_a_loopback_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even loopback is down the hint says so instead of asking for an adapter."""

    def no_device(*_: object, **__: object) -> LoopbackBus:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(can_open, "LoopbackBus", no_device)
    with pytest.raises(LinkError, match="ip link set lo up"):
        open_bus(CanSettings())


def test_original_error_is_kept_as_the_cause(fail_with: FailWith) -> None:
    """Nothing is lost for a bug report."""
    error = OSError(errno.EIO, "Input/output error")
    fail_with(error)
    with pytest.raises(LinkError) as caught:
        open_bus(CanSettings("slcan", "/dev/ttyACM0"))
    assert caught.value.__cause__ is error


def test_library_is_quiet_unless_asked(library_logger: logging.Logger, opened: Opened) -> None:
    """python-can's own lines repeat what is raised anyway."""
    open_bus(CanSettings("virtual"))
    assert library_logger.level == logging.CRITICAL
    library_logger.setLevel(logging.DEBUG)
    open_bus(CanSettings("virtual"))
    assert library_logger.level == logging.DEBUG
    assert len(opened) == 2
