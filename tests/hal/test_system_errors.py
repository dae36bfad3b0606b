import errno
import os

import can
import pytest

from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.hal.system_errors import can_advice, error_number, error_text, link_command, serial_advice

CAN0 = CanSettings("socketcan", "can0", bitrate_bps=250_000)
ADAPTER = CanSettings("slcan", "/dev/ttyACM0")


def system_error(number: int) -> OSError:
    """Return an error as the system gives it."""
    return OSError(number, os.strerror(number))


def wrapped(error: Exception) -> Exception:
    """Return an error as python-can raises it."""
    outer = can.CanOperationError(f"Failed to transmit: {error}")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EIO, "the adapter is gone or does not answer: check its USB plug"),
        (errno.EPROTO, "another cable or port, no hub"),
        (errno.EILSEQ, "another cable or port, no hub"),
        (errno.EPIPE, "another cable or port, no hub"),
        (errno.ETIMEDOUT, "another cable or port, no hub"),
        (errno.ENODEV, "the adapter is gone: check its USB plug and its supply"),
        (errno.ENXIO, "the adapter is gone: check its USB plug and its supply"),
        (errno.ENOSPC, "the USB bus has no room left"),
        (errno.EBUSY, "another program uses the adapter"),
        (errno.EACCES, "group dialout"),
        (errno.ENOTTY, "check the USB plug and the supply"),
    ],
)
def test_a_serial_port_that_fails_comes_with_advice(number: int, words: str) -> None:
    """Whatever the number; what the table does not hold is looked for at the plug."""
    assert words in serial_advice(system_error(number)).text


@pytest.mark.parametrize("error", [None, ValueError("odd"), OSError("without a number")])
def test_a_serial_port_without_a_number_comes_with_advice_too(error: Exception | None) -> None:
    """A port that just ends, as a USB adapter does whose driver reports nothing."""
    assert serial_advice(error).text == "check the USB plug and the supply of the adapter"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            errno.ENOBUFS,
            "nobody acknowledges the frames: check that the GX is on, its port set to CAN-bus BMS (250 kbit/s)",
        ),
        (errno.ENETDOWN, "bring it up with: sudo ip link set can0 up type can bitrate 250000 restart-ms 100"),
        (errno.ENODEV, "sudo ip link set can0 up type can bitrate 250000 restart-ms 100"),
        (errno.EAFNOSUPPORT, "sudo modprobe can_raw"),
        (errno.EIO, "the adapter is gone or does not answer: check its USB plug"),
        (errno.EPROTO, "another cable or port, no hub"),
        (errno.EBUSY, "another program uses the adapter"),
        (errno.EPERM, "no permission"),
        (errno.EINVAL, ""),
    ],
)
def test_a_can_adapter_that_fails_comes_with_advice(number: int, words: str) -> None:
    """With the configured bit rate; python-can wraps the system's error, which is found all the same."""
    for error in (system_error(number), wrapped(system_error(number))):
        assert words in str(can_advice(error, CAN0) or "")
        assert bool(can_advice(error, CAN0)) is bool(words)


def test_an_adapter_that_is_no_interface_of_the_kernel_is_named() -> None:
    """No `ip link` helps there."""
    assert str(can_advice(system_error(errno.ENOENT), ADAPTER)) == (
        "no device /dev/ttyACM0; check that the adapter is plugged in"
    )
    assert "ip link set lo up" in str(can_advice(system_error(errno.ENODEV), CanSettings()))


def test_the_command_of_a_link_without_a_name_is_that_of_the_first() -> None:
    """As the adapter itself would open it."""
    assert link_command(CanSettings("socketcan")) == "sudo ip link set can0 up type can bitrate 500000 restart-ms 100"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (system_error(errno.EPROTO), "Protocol error"),
        (ValueError("odd"), "odd"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_an_error_is_shown_in_words(error: Exception, text: str) -> None:
    """Without brackets and numbers; never empty."""
    assert error_text(error) == text


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.ENOBUFS, "x"), errno.ENOBUFS),
        (wrapped(OSError(errno.ENETDOWN, "x")), errno.ENETDOWN),
        (wrapped(ValueError()), None),
        (can.CanOperationError("Transmit buffer full", 105), None),
        (OSError("without a number"), None),
    ],
)
def test_error_number_of_a_chain(error: Exception, number: int | None) -> None:
    """Only numbers of the operating system count; drivers have codes of their own."""
    assert error_number(error) == number
