"""Programs read the tables of the package before they have an event loop, or off it; nobody else did it for them."""

from collections.abc import Callable, Sequence

import pytest
from click import Command
from click.testing import Result

from tinybms_bridge.cli.doctor import doctor_command
from tinybms_bridge.cli.events import events_command
from tinybms_bridge.cli.registers import registers_command
from tinybms_bridge.cli.settings import settings_command
from tinybms_bridge.cli.stats import stats_command
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.tinybms.registers import catalogue
from tinybms_bridge.tinybms.settings import all_settings
from tinybms_lab.bms import AnsweringDevice, DumpDevice, real_dump


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (registers_command, ["--live", "--json"]),
        (settings_command, ["show", "--json"]),
        (events_command, ["--json"]),
        (stats_command, ["--json"]),
        (doctor_command, ["--listen", "0.1", "--can-interface", "virtual"]),
    ],
    ids=["registers", "settings", "events", "stats", "doctor"],
)
def test_a_command_that_has_just_started_reads_no_file_on_its_loop(
    command: Command,
    arguments: Sequence[str],
    serve: Callable[[AnsweringDevice], str],
    invoke: Callable[..., Result],
) -> None:
    """``blockbuster`` ends a command whose event loop reads a table; the device of this test has read them before."""
    port = serve(DumpDevice(real_dump(), SystemClock()))
    for table in (catalogue, all_settings):
        table.cache_clear()
    result = invoke(command, *arguments, "--device", port)
    assert "Blocking call" not in result.output + repr(result.exception)
    assert result.exit_code in (0, 1), result.output  # the doctor's verdict on the captured unit is its own affair
