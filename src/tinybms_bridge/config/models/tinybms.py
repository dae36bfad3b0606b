"""Section ``tinybms``: how often the BMS is read and how its silence is treated."""

from tinybms_bridge.config.models.base import Section, flag, number

__all__ = ["TinyBms"]

_BROADCAST = "no effect: text that the BMS sends by itself is always skipped"


class TinyBms(Section):
    """Polling of the BMS."""

    poll_interval_ms: int = number(
        100,
        20,
        1000,
        "ms",
        "Poll interval",
        "Time between two reads at first; the BMS renews its data each 100 ms.",
    )
    poll_interval_min_ms: int = number(
        100,
        20,
        1000,
        "ms",
        "Fastest poll interval",
        "Shortest time between two reads; the README says 100, the firmware's 50 reads the same data twice.",
    )
    poll_interval_max_ms: int = number(
        1000, 100, 5000, "ms", "Slowest poll interval", "Longest time between two reads after failures (README: 1000)."
    )
    poll_backoff_step_ms: int = number(
        25, 1, 1000, "ms", "Backoff step", "Added to the interval when the line is slow or fails."
    )
    poll_recovery_step_ms: int = number(
        10, 1, 1000, "ms", "Recovery step", "Taken off the interval when the line is quick again."
    )
    poll_latency_target_ms: int = number(40, 5, 1000, "ms", "Latency target", "Wanted time from request to reply.")
    poll_latency_slack_ms: int = number(15, 0, 1000, "ms", "Latency slack", "Tolerated above the latency target.")
    poll_failure_threshold: int = number(
        3, 1, 100, "", "Failure threshold", "Failed reads in a row before the interval grows."
    )
    poll_success_threshold: int = number(
        6, 1, 100, "", "Success threshold", "Good reads in a row before the interval shrinks."
    )
    uart_retry_count: int = number(3, 1, 10, "", "Attempts", "Attempts for one request, the first included.")
    uart_retry_delay_ms: int = number(
        100,
        0,
        1000,
        "ms",
        "Retry delay",
        "Pause between two attempts; 100 as in the firmware's configuration file, not the 50 of its code.",
    )
    write_soc: bool = flag(
        False,
        "Write the state of charge",
        "Sets the BMS's count (register 328) to the bridge's where they are 2 % apart, at most once a day.",
    )
    broadcast_expected: bool = flag(True, "Broadcast expected", "The BMS sends text by itself.", no_effect=_BROADCAST)
