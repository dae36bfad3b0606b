"""How the run of the core before this one ended, as a value and in words."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tinybms_bridge.link.events import EventCode
from tinybms_bridge.words import Message, message

__all__ = ["LastReset", "RunEndCause", "reset_message"]


class RunEndCause(StrEnum):
    """Why a run ended."""

    UNKNOWN = "unknown"
    """There is no record of it: a first start, or a directory that cannot be read."""
    STOPPED = "stopped"
    """On purpose, by a signal that asks for it."""
    RESTARTED = "restarted"
    """On request, for a new start."""
    WATCHDOG = "watchdog"
    """The service manager restarted it because a part, or the whole process, hung."""
    HARDWARE_WATCHDOG = "hardware_watchdog"
    """The hardware restarted the machine because a part hung."""
    CRASH = "crash"
    KILLED = "killed"
    """From outside, without a word: SIGKILL, or too little memory."""
    POWER = "power"
    """The machine was switched off or restarted without stopping the bridge."""


@dataclass(frozen=True, slots=True)
class LastReset:
    """How the run of the core before this one ended."""

    cause: str = RunEndCause.UNKNOWN.value
    """One of ``RunEndCause``; a later version may know others."""
    part: str = ""
    """Which part hung; empty for none, or for the whole process."""
    error: str = ""
    """Why it crashed."""
    started_at: datetime | None = None
    """When that run began."""
    ended_at: datetime | None = None
    """When it ended, where it could say so."""


def reset_message(reset: LastReset) -> Message | None:
    """Return what to tell a person of an end that should not have been; None for one that is as it should be."""
    if reset.cause == RunEndCause.WATCHDOG:
        return message(EventCode.RESTARTED_BY_WATCHDOG, part=reset.part)
    if reset.cause == RunEndCause.HARDWARE_WATCHDOG:
        return message(EventCode.RESTARTED_BY_HARDWARE, part=reset.part)
    if reset.cause == RunEndCause.CRASH:
        return message(EventCode.RESTARTED_AFTER_CRASH, error=reset.error)
    if reset.cause == RunEndCause.KILLED:
        return message(EventCode.RESTARTED_AFTER_KILL)
    return None
