"""Real-time scheduling of the event loop where the system allows it: frames leave on time beside busy programs.

It is asked for, never needed: a service manager grants it with ``LimitRTPRIO``, and with ``LimitMEMLOCK`` for the
memory. What was granted is said in words for the diagnostics.
"""

import errno
import logging
import os
import resource
import signal
from contextlib import suppress

__all__ = ["become_real_time"]

log = logging.getLogger(__name__)

_PRIORITY = 5
"""Low among real-time programs: above everything usual, below the kernel's own threads and drivers (50)."""
_LOOP_LIMIT_S = 1.0
"""Processor time without a pause after which the program is no longer real-time: a loop without an end would freeze a
machine with one core, and no part of the program needs a tenth of that at a time."""
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def become_real_time() -> str:
    """Ask for real-time scheduling of the calling thread and for memory that stays; return what was granted, in words.

    Threads and processes that are started later are not real-time. A thread that uses the processor for a second
    without a pause loses it for good, which is logged.
    """
    told = [_schedule()]
    if told[0].startswith("real-time"):
        told.append(_lock_memory())
    return ", ".join(each for each in told if each)


def _schedule() -> str:
    try:
        before = resource.getrlimit(resource.RLIMIT_RTTIME)
        resource.setrlimit(resource.RLIMIT_RTTIME, (round(_LOOP_LIMIT_S * 1e6), before[1]))
        signal.signal(signal.SIGXCPU, _too_long)
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(_PRIORITY))
    except (OSError, ValueError) as error:
        missing = isinstance(error, OSError) and error.errno == errno.EPERM
        why = "the system does not allow real-time (LimitRTPRIO)" if missing else str(error)
        return f"usual scheduling: {why}"
    return f"real-time (SCHED_FIFO, priority {_PRIORITY})"


def _too_long(_number: int, _frame: object) -> None:
    """Give up what a loop without an end would freeze the machine with."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    log.error("the event loop used the processor for %.1f s without a pause and is no longer real-time", _LOOP_LIMIT_S)


def _lock_memory() -> str:
    """Keep in memory what was used once; all of it at once would take twice as much."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return "memory may be swapped out (LimitMEMLOCK)"  # with a limit an allocation would fail later on
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        return f"memory may be swapped out ({os.strerror(ctypes.get_errno())})"
    return "memory stays"
