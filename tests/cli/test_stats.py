from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result

from tinybms_bridge.cli.stats import stats_command
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.tinybms.device_statistics import ResetCause, WakeCause
from tinybms_lab.bms import Dump, DumpDevice, real_dump

Invoke = Callable[..., Result]
Serve = Callable[..., str]


def unit(**changes: int) -> DumpDevice:
    """Return the captured unit, some registers changed (``r102=...``)."""
    registers = dict(real_dump().registers) | {int(name[1:]): value for name, value in changes.items()}
    return DumpDevice(Dump({}, registers), SystemClock())


def row(result: Result, name: str) -> str:
    """Return the value of a row of the table."""
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(name)]
    return line.removeprefix(name).strip()


def test_the_table_has_units_and_words(serve: Serve, invoke: Invoke) -> None:
    """What a person reads: values of the captured unit and a few chosen ones."""
    port = serve(unit(r102=456, r103=189, r104=1234, r105=3, r107=4, r111=20, r112=15, r114=0x0302))
    result = invoke(stats_command, "--device", port)
    assert result.exit_code == 0, result.output
    assert row(result, "Highest discharge current") == "45.6 A"
    assert row(result, "Highest charge current") == "18.9 A"
    assert row(result, "Highest cell difference") == "123.4 mV"
    assert row(result, "Lowest, highest temperature") == "8 °C, 25 °C"
    assert row(result, "Under-voltage protections") == "3"
    assert row(result, "Discharge over-current") == "4"
    assert row(result, "Charges begun, completed") == "20, 15"
    assert "watchdog" in row(result, "Last restart")
    assert row(result, "Last woken by") == "communication on the UART"
    assert row(result, "Hardware") == "2.1"
    assert row(result, "Firmware") == "2.3.242, bootloader 24"
    assert row(result, "Running for").startswith("193.1 days")


def test_statistics_that_were_never_cleared_go_back_to_the_beginning(serve: Serve, invoke: Invoke) -> None:
    """Register 116 is 0 then."""
    assert row(invoke(stats_command, "--device", serve(unit())), "Statistics since") == "the beginning"


def test_the_time_of_clearing_is_a_date(serve: Serve, invoke_json: Callable[..., Any]) -> None:
    """A day before the present second of the counter."""
    cleared_s = 16_683_981 - 86_400
    document = invoke_json(
        stats_command, "--json", "--device", serve(unit(r116=cleared_s & 0xFFFF, r117=cleared_s >> 16))
    )
    age = datetime.now(UTC) - datetime.fromisoformat(document["cleared_at"])
    assert timedelta(days=1) - timedelta(seconds=5) < age < timedelta(days=1, minutes=2)


def test_a_clearing_in_the_future_has_no_date(serve: Serve, invoke_json: Callable[..., Any]) -> None:
    """The counter was set back since: a date would be invented."""
    document = invoke_json(stats_command, "--json", "--device", serve(unit(r116=0, r117=0x7FFF)))
    assert document["cleared_at"] is None


def test_json_holds_every_value(serve: Serve, invoke_json: Callable[..., Any]) -> None:
    """Under the names of the program, units in the names."""
    document = invoke_json(stats_command, "--json", "--device", serve(unit(r103=189)))
    assert document["statistics"]["max_charge_current_a"] == 18.9
    assert document["statistics"]["reset_cause"] == "unknown"
    assert document["statistics"]["wake_cause"] == "uart"
    assert document["identity"]["firmware_internal"] == 242
    assert document["identity"]["firmware"] == "2.3.242"
    assert len(document["statistics"]) == 16


def test_every_cause_has_words(serve: Serve, invoke: Invoke) -> None:
    """A cause without words would end the command with a traceback."""
    from tinybms_bridge.cli.stats import _RESET_WORDS, _WAKE_WORDS

    assert set(_RESET_WORDS) == {cause.name for cause in ResetCause}
    assert set(_WAKE_WORDS) == {cause.name for cause in WakeCause}


def test_a_missing_port_is_one_clear_line(invoke: Invoke) -> None:
    """Exit code 1, no traceback."""
    result = invoke(stats_command, "--device", "/dev/ttyNOTHERE")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: serial port /dev/ttyNOTHERE does not exist")


@pytest.mark.usefixtures("soon_silent")
def test_a_silent_line_is_one_clear_line(invoke: Invoke, serve: Serve) -> None:
    """A port without a BMS: at the wrong speed nothing is understood."""
    result = invoke(stats_command, "--device", serve(unit(), baudrate=9600))
    assert result.exit_code == 1
    assert "did not answer" in result.stderr
