"""Actions: what is no setting, because it acts once. Each needs an explicit confirmation.

Commands 0x02 and the write-to-set registers 323 and 328 (tinybms-protocol.md, 1 and 2); register 340 is a setting
too, and restarts the BMS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from tinybms_bridge.battery.snapshot import REV_D_FIRMWARE, firmware_text
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import Action, ActionRequest, WriteModbus, to_u32
from tinybms_bridge.tinybms.live import decode_soc, decode_soh
from tinybms_bridge.tinybms.settings.errors import SettingProblem, SettingsError
from tinybms_bridge.tinybms.settings.table import Link, read_registers
from tinybms_bridge.tinybms.settings.writer import (
    Acknowledgement,
    Outcome,
    Sent,
    WriteOptions,
    described,
    detail_document,
    not_read_back,
    send_once,
)
from tinybms_bridge.words import Message, message

__all__ = ["ACTIONS", "ActionInfo", "ActionName", "ActionResult", "perform_request"]


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """What an action is for."""

    title: Message
    consequence: Message
    """What it does that somebody may not want."""
    value: Message | None = None
    """What value it takes; None for none."""


class ActionName(StrEnum):
    """The actions of a TinyBMS."""

    SET_STATE_OF_CHARGE = "set_state_of_charge"
    SET_STATE_OF_HEALTH = "set_state_of_health"
    SET_OPERATION_MODE = "set_operation_mode"
    RESTART = "restart"
    CLEAR_EVENTS = "clear_events"
    CLEAR_STATISTICS = "clear_statistics"

    @property
    def info(self) -> ActionInfo:
        """What the action is for."""
        return ACTIONS[self]

    def check_given(self, value: object) -> None:
        """Raise SettingsError when the action needs a value and there is none, or takes none and there is one."""
        wanted = self.info.value
        if wanted is not None and value is None:
            raise SettingsError([SettingProblem(self, message("setting.needs_value", value=wanted))])
        if wanted is None and value is not None:
            raise SettingsError([SettingProblem(self, message("setting.takes_no_value"), value)])


ACTIONS: Mapping[ActionName, ActionInfo] = MappingProxyType(
    {
        ActionName.SET_STATE_OF_CHARGE: ActionInfo(
            message("action.set_state_of_charge"), message("caution.set_state_of_charge"), message("setting.percent")
        ),
        ActionName.SET_STATE_OF_HEALTH: ActionInfo(
            message("action.set_state_of_health"), message("caution.set_state_of_health"), message("setting.percent")
        ),
        ActionName.SET_OPERATION_MODE: ActionInfo(
            message("action.set_operation_mode"), message("caution.operation_mode"), message("setting.port_mode")
        ),
        ActionName.RESTART: ActionInfo(message("action.restart"), message("caution.restart")),
        ActionName.CLEAR_EVENTS: ActionInfo(message("action.clear_events"), message("caution.clear_events")),
        ActionName.CLEAR_STATISTICS: ActionInfo(
            message("action.clear_statistics"), message("caution.clear_statistics")
        ),
    }
)
"""What each action is for."""


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What became of an action."""

    action: ActionName
    outcome: Outcome
    detail: Message | None = None

    @property
    def description(self) -> Message:
        """What became of it, in one line."""
        return described(self.outcome, self.detail)

    def as_dict(self) -> dict[str, object]:
        """Return the result as JSON-ready values."""
        return {"action": self.action.value, "outcome": self.outcome.value, **detail_document(self.detail)}


@dataclass(frozen=True, slots=True)
class _Gauge:
    """A live value that a write-to-set register replaces; both count from 0 to 100 %."""

    set_address: int
    live_address: int
    live_words: int
    decode: Callable[[int], float | None]
    since_firmware: int


_SET_SCALE = 0.002
_TOLERANCE_PERCENT = 0.5
"""The state of charge goes on moving with the current."""

_GAUGES = {
    ActionName.SET_STATE_OF_CHARGE: _Gauge(328, 46, 2, decode_soc, 0),
    ActionName.SET_STATE_OF_HEALTH: _Gauge(323, 45, 1, decode_soh, REV_D_FIRMWARE),
}

_REQUESTS = {
    ActionName.RESTART: ActionRequest(Action.RESET),
    ActionName.CLEAR_EVENTS: ActionRequest(Action.CLEAR_EVENTS),
    ActionName.CLEAR_STATISTICS: ActionRequest(Action.CLEAR_STATISTICS),
}

_FIRMWARE_ADDRESS = 502

_OUTCOME = {
    Acknowledgement.DONE: Outcome.WRITTEN,
    Acknowledgement.REFUSED: Outcome.REFUSED,
    Acknowledgement.SILENT: Outcome.NO_ANSWER,
}


async def perform_request(
    link: Link, clock: Clock, options: WriteOptions, action: ActionName, value: object
) -> ActionResult:
    """Carry out an action other than the change of mode, without asking for confirmation.

    Raises:
        SettingsError: A value that the action cannot have; nothing was sent.
        LinkError: The firmware version could not be read before; nothing was sent.
        DeviceRefused: Likewise.

    """
    action.check_given(value)
    gauge = _GAUGES.get(action)
    if gauge is not None:
        return await _set_gauge(link, clock, options, action, gauge, _percent(action, value))
    async with link.exclusive():
        sent = await send_once(link, _REQUESTS[action])
    if action is ActionName.RESTART and sent.answer is not Acknowledgement.REFUSED:
        return await _await_return(link, clock, options, sent)
    return ActionResult(action, _OUTCOME[sent.answer], sent.detail)


async def _await_return(link: Link, clock: Clock, options: WriteOptions, sent: Sent) -> ActionResult:
    """Wait until a restarted BMS answers again."""
    action, started_s = ActionName.RESTART, clock.monotonic()
    await clock.sleep(options.restart_begins_s)
    while clock.monotonic() - started_s < options.restart_s:
        try:
            await read_registers(link, _FIRMWARE_ADDRESS, 1, attempts=1)
        except BridgeError:
            await clock.sleep(options.settle_s)
        else:
            return ActionResult(action, _OUTCOME[sent.answer], sent.detail)
    detail = message(
        "writing.no_return", detail=sent.detail, acknowledged=sent.detail is None, seconds=options.restart_s
    )
    return ActionResult(action, Outcome.NO_ANSWER, detail)


def _percent(action: ActionName, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise SettingsError([SettingProblem(action, message("setting.no_percent"), value)])
    return value


async def _set_gauge(
    link: Link, clock: Clock, options: WriteOptions, action: ActionName, gauge: _Gauge, percent: float
) -> ActionResult:
    if gauge.since_firmware:
        (firmware,) = await read_registers(link, _FIRMWARE_ADDRESS, 1)
        if firmware < gauge.since_firmware:
            have, need = firmware_text(firmware), firmware_text(gauge.since_firmware)
            raise SettingsError([SettingProblem(action, message("setting.other_firmware", have=have, need=need))])
    async with link.exclusive():
        sent = await send_once(link, WriteModbus(gauge.set_address, (round(percent / _SET_SCALE),)))
        await clock.sleep(options.settle_s)
        live = await _live_percent(link, gauge)
    return _gauge_result(action, sent, percent, live)


async def _live_percent(link: Link, gauge: _Gauge) -> float | None:
    try:
        words = await read_registers(link, gauge.live_address, gauge.live_words, attempts=1)
    except BridgeError:
        return None
    return gauge.decode(to_u32(*words) if gauge.live_words == 2 else words[0])


def _gauge_result(action: ActionName, sent: Sent, percent: float, live: float | None) -> ActionResult:
    if sent.answer is Acknowledgement.REFUSED:
        return ActionResult(action, Outcome.REFUSED, sent.detail)
    if live is None:
        return ActionResult(action, Outcome.NO_ANSWER, not_read_back(sent))
    if abs(live - percent) <= _TOLERANCE_PERCENT:
        return ActionResult(action, Outcome.WRITTEN)
    outcome = Outcome.NO_ANSWER if sent.answer is Acknowledgement.SILENT else Outcome.DIFFERS
    return ActionResult(action, outcome, message("writing.shows", detail=sent.detail, percent=live))
