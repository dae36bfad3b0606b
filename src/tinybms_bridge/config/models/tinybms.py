"""Section ``tinybms``: how often the BMS is read and how its silence is treated."""

from dataclasses import dataclass
from typing import Annotated

from tinybms_bridge.config.models.base import Section, flag, number
from tinybms_bridge.words import message

__all__ = ["TinyBms"]

_BROADCAST = message("no_effect.broadcast")


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyBms(Section):
    """Polling of the BMS."""

    poll_interval_ms: Annotated[
        int,
        number(
            20, 1000, "ms", "Poll interval", "Time between two reads at first; the BMS renews its data each 100 ms."
        ),
    ] = 100
    poll_interval_min_ms: Annotated[
        int,
        number(
            20,
            1000,
            "ms",
            "Fastest poll interval",
            "Shortest time between two reads; the README says 100, the firmware's 50 reads the same data twice.",
        ),
    ] = 100
    poll_interval_max_ms: Annotated[
        int,
        number(
            100, 5000, "ms", "Slowest poll interval", "Longest time between two reads after failures (README: 1000)."
        ),
    ] = 1000
    poll_backoff_step_ms: Annotated[
        int, number(1, 1000, "ms", "Backoff step", "Added to the interval when the line is slow or fails.")
    ] = 25
    poll_recovery_step_ms: Annotated[
        int, number(1, 1000, "ms", "Recovery step", "Taken off the interval when the line is quick again.")
    ] = 10
    poll_latency_target_ms: Annotated[
        int, number(5, 1000, "ms", "Latency target", "Wanted time from request to reply.")
    ] = 40
    poll_latency_slack_ms: Annotated[
        int, number(0, 1000, "ms", "Latency slack", "Tolerated above the latency target.")
    ] = 15
    poll_failure_threshold: Annotated[
        int, number(1, 100, "", "Failure threshold", "Failed reads in a row before the interval grows.")
    ] = 3
    poll_success_threshold: Annotated[
        int, number(1, 100, "", "Success threshold", "Good reads in a row before the interval shrinks.")
    ] = 6
    uart_retry_count: Annotated[int, number(1, 10, "", "Attempts", "Attempts for one request, the first included.")] = 3
    uart_retry_delay_ms: Annotated[
        int,
        number(
            0,
            1000,
            "ms",
            "Retry delay",
            "Pause between two attempts; 100 as in the firmware's configuration file, not the 50 of its code.",
        ),
    ] = 100
    write_soc: Annotated[
        bool,
        flag(
            "Write the state of charge",
            "Sets the BMS's count (register 328) to the bridge's where they are 2 % apart, at most once a day.",
        ),
    ] = False
    broadcast_expected: Annotated[
        bool, flag("Broadcast expected", "The BMS sends text by itself.", no_effect=_BROADCAST)
    ] = True
