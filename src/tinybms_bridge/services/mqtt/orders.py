"""Commands from the broker: inhibit, release, profile and log level, with the checks of the API, each answered.

Topics ``<root>/command/NAME`` take a JSON object, ``<root>/result/NAME`` gives what became of it, with its ``id``. Who
may publish there decides about the battery, so nothing is listened to without ``mqtt.commands``. What the broker has
retained is no wish of anybody now, and is refused.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from tinybms_bridge.battery.inhibits import LONGEST_INHIBIT_S, Direction
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.errors import BridgeError, ConfigError
from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.link.codec import DecodeError
from tinybms_bridge.link.events import inhibit_noted, release_noted
from tinybms_bridge.services.ports import Core
from tinybms_bridge.words import Message, message

__all__ = ["NAMES", "Orders"]

log = logging.getLogger(__name__)

NAMES = ("inhibit", "release", "profile", "log_level")
"""Commands that there are."""

_LONGEST_BYTES = 2048
"""Longer than any command."""
_LONGEST_ID = 100
_BURST = 10
_PER_S = 1.0
"""A person, or an automation, wants no more; a thousand a second are a fault, and must not wear out file and log."""
_BY = "mqtt"

Result = dict[str, object]


class Orders:
    """Carries out the commands of one broker.

    Args:
        core: What can be asked.
        run_blocking: Runs what writes the configuration.
        counters: Where commands are counted: done, refused, too many.

    """

    def __init__(self, core: Core, run_blocking: RunBlocking, counters: Counter[str]) -> None:
        self._core = core
        self._run_blocking = run_blocking
        self._counters = counters
        self._left = float(_BURST)
        self._looked_s = core.clock.monotonic()
        self._told_too_many_s = float("-inf")
        self._do: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Message]]] = {
            "inhibit": self._inhibit,
            "release": self._release,
            "profile": self._profile,
            "log_level": self._log_level,
        }

    async def take(self, name: str, payload: bytes, *, retained: bool) -> Result | None:
        """Carry a command out and return what to answer; None for nothing, as for one of too many."""
        if not payload:  # a retained message that somebody has removed
            return None
        if not self._may():
            return self._too_many()
        given: Mapping[str, Any] = {}
        try:
            if retained:
                raise _RefusedError(message("mqtt.retained_command"))
            given = _read(payload)
            told, success = await self._do[name](given), True
        except ConfigError as error:
            told, success = message("problems", problems=[each.description for each in error.problems]), False
        except BridgeError as error:
            told, success = error.description, False
        except OSError as error:
            told, success = message("mqtt.not_saved", reason=error_words(error)), False
        except (DecodeError, ValueError) as error:
            told, success = message("said", text=str(error)), False
        self._counters["commands" if success else "commands_refused"] += 1
        return {"id": _id(given), "command": name, "success": success, **_words(told)}

    def _may(self) -> bool:
        now_s = self._core.clock.monotonic()
        self._left = min(float(_BURST), self._left + (now_s - self._looked_s) * _PER_S)
        self._looked_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _too_many(self) -> Result | None:
        self._counters["commands_too_many"] += 1
        now_s = self._core.clock.monotonic()
        if now_s - self._told_too_many_s < 1.0 / _PER_S:
            return None
        self._told_too_many_s = now_s
        return {"id": None, "command": None, "success": False, **_words(message("mqtt.too_many_commands"))}

    async def _inhibit(self, given: Mapping[str, Any]) -> Message:
        direction = _direction(given)
        duration_s, reason = given.get("duration_s"), given.get("reason", "")
        if duration_s is not None and (
            isinstance(duration_s, bool)
            or not isinstance(duration_s, int | float)
            or not 1 <= duration_s <= LONGEST_INHIBIT_S
        ):
            raise _RefusedError(message("mqtt.wrong_duration", longest_s=LONGEST_INHIBIT_S))
        if not isinstance(reason, str) or len(reason) > 200 or not reason.isprintable():
            raise _RefusedError(message("mqtt.wrong_reason"))
        noted = inhibit_noted(direction, duration_s, reason, _BY)
        await self._core.inhibit(direction, None if duration_s is None else float(duration_s), reason, _BY)
        self._core.note(noted)
        return noted.message

    async def _release(self, given: Mapping[str, Any]) -> Message:
        direction = _direction(given)
        if not await self._core.release(direction):
            return message("mqtt.not_inhibited", direction=direction)
        noted = release_noted(direction, _BY)
        self._core.note(noted)
        return noted.message

    async def _profile(self, given: Mapping[str, Any]) -> Message:
        return await self._set("cvl", "profile", given)

    async def _log_level(self, given: Mapping[str, Any]) -> Message:
        return await self._set("logging", "log_level", given)

    async def _set(self, section: str, key: str, given: Mapping[str, Any]) -> Message:
        """Save one key as the API does: checked, judged by the core, in force at once."""
        value = given.get(key)
        if not isinstance(value, str):
            raise _RefusedError(message("mqtt.missing", name=key))
        change = await self._run_blocking(_update, self._core.store, {section: {key: value}})
        log.info("%s.%s is %s, by MQTT%s", section, key, value, "" if change else " (as before)")
        return message("mqtt.value_set", key=f"{section}.{key}", value=value)


def _update(store: ConfigStore, patch: Mapping[str, Any]) -> bool:
    return bool(store.update(patch).changed_paths)


class _RefusedError(BridgeError):
    """A command that is not carried out."""


def _read(payload: bytes) -> Mapping[str, Any]:
    if len(payload) > _LONGEST_BYTES:
        raise _RefusedError(message("mqtt.command_too_long", longest=_LONGEST_BYTES))
    try:
        document = orjson.loads(payload)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _RefusedError(message("mqtt.no_object"))
    return document


def _direction(given: Mapping[str, Any]) -> Direction:
    found = given.get("direction")
    if not isinstance(found, str) or found not in set(Direction):
        raise _RefusedError(message("mqtt.no_direction"))
    return Direction(found)


def _id(given: Mapping[str, Any]) -> str | int | None:
    """Return what the sender calls its command, if it is short and plain."""
    found = given.get("id")
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return found if isinstance(found, int) or len(found) <= _LONGEST_ID else None


def _words(told: Message) -> dict[str, object]:
    return {"code": told.code, "message": told.text}
