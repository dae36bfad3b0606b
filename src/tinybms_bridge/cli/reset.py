"""``tinybms-bridge reset``: clear the events or the statistics of the BMS, or restart it; never by accident."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import fail, json_option, run_until_signal
from tinybms_bridge.cli.device import pack_option
from tinybms_bridge.errors import BridgeError, LinkError
from tinybms_bridge.words import message

if TYPE_CHECKING:
    from tinybms_bridge.cli.device import BridgeDevice
    from tinybms_bridge.tinybms.client import TinyBmsClient
    from tinybms_bridge.tinybms.frames import Action

__all__ = ["reset_command"]

_RETURN_TIMEOUT_S = 15.0
_RETURN_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class _Target:
    """One thing that can be reset."""

    action: int
    """Option of command 0x02 (tinybms-protocol.md, 1.2)."""
    consequence: str
    word: str
    """What must be typed to go on; names the consequence."""


_TARGETS = {
    "events": _Target(
        1,
        "The event log of the BMS is erased for good. A fault that is active goes on, but its cause is then only\n"
        "known to a bridge that has seen it. `tinybms-bridge events --all --json` keeps a copy.",
        "erase the events",
    ),
    "statistics": _Target(
        2,
        "The lifetime statistics of the BMS (largest currents, temperatures, counts of protections) are erased for\n"
        "good.",
        "erase the statistics",
    ),
    "bms": _Target(
        5,
        "The BMS opens the LOAD and CHARGER switches and restarts: everything that the battery supplies loses\n"
        "power, this machine too if it hangs on the battery. A GX device may report that the battery is gone.",
        "cut the power",
    ),
}


@click.command("reset")
@click.argument("what", type=click.Choice(list(_TARGETS)))
@click.option("--device", default="auto", show_default=True, metavar="PORT", help="Serial port of the BMS.")
@pack_option
@click.option("--yes", is_flag=True, help="Do it without asking; for scripts that know the consequence.")
@json_option
def reset_command(what: str, device: str, pack: str, yes: bool, as_json: bool) -> None:
    """Clear what the BMS remembers, or restart it.

    \b
    WHAT is one of:
      events      erase the event log
      statistics  erase the lifetime statistics
      bms         restart the BMS; this CUTS THE POWER of everything behind it

    Each names its consequence and asks for it to be typed, unless --yes is given. The command goes out once and is
    never repeated; afterwards the result is read back.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.cli.device import with_doctor

    target = _TARGETS[what]
    if not yes:
        _confirm(target)
    try:
        outcome = run_until_signal(lambda: _reset(target, device, pack))
    except BridgeError as error:
        fail(with_doctor(error, device))
    if outcome is None:
        fail("interrupted; it may or may not have been done: look before doing it again")
    click.echo(json.dumps({"reset": what, "outcome": outcome}, ensure_ascii=False) if as_json else outcome)


def _confirm(target: _Target) -> None:
    click.echo(target.consequence, err=True)
    try:
        typed = click.prompt(f'Type "{target.word}" to go on', default="", show_default=False, err=True)
    except click.Abort:
        click.echo(err=True)  # ends the line of the question
        fail('nothing was done: there is nobody to ask; "--yes" goes on without asking')
    if typed.strip().lower() != target.word:
        fail(f'nothing was done: that was not "{target.word}"')


async def _reset(target: _Target, device: str, pack: str) -> str:
    from tinybms_bridge.cli.device import BridgeDevice, connected
    from tinybms_bridge.tinybms.client import TinyBmsClient
    from tinybms_bridge.tinybms.frames import Action, CommandCode, SimpleRequest

    action = Action(target.action)
    async with connected(device, pack=pack) as client:
        if isinstance(client, BridgeDevice):
            return await _through_the_bridge(client, target)
        assert isinstance(client, TinyBmsClient)
        # Proves the link and wakes the BMS: what must not be repeated shall not be lost on a sleeping one.
        await client.request(SimpleRequest(CommandCode.STATUS))
        await _act(client, action)
        if action is Action.CLEAR_EVENTS:
            return await _events_left(client)
        if action is Action.CLEAR_STATISTICS:
            return await _statistics_cleared(client)
        return await _back_again(client)


async def _through_the_bridge(client: "BridgeDevice", target: _Target) -> str:
    """Have the running bridge do it, and return what became of it. Raises LinkError when it was not done."""
    from tinybms_bridge.cli.link import user_name
    from tinybms_bridge.link.device import LinkedSettings
    from tinybms_bridge.tinybms.frames import Action
    from tinybms_bridge.tinybms.settings.actions import ActionName

    name = {
        Action.CLEAR_EVENTS: ActionName.CLEAR_EVENTS,
        Action.CLEAR_STATISTICS: ActionName.CLEAR_STATISTICS,
        Action.RESET: ActionName.RESTART,
    }[Action(target.action)]
    result = await LinkedSettings(client.link, client.pack).perform(name, confirm=True, by=user_name())
    if not result.outcome.good:
        told = message("action.failed", action=name, result=result.description)
        raise LinkError(told, hint=message("action.look_first"))
    return str(result.detail or message("action.done", action=name, value=None))


async def _act(client: "TinyBmsClient", action: "Action") -> None:
    from tinybms_bridge.tinybms.frames import ActionRequest

    try:
        await client.request(ActionRequest(action))
    except LinkError as error:
        raise LinkError(
            f"{error.reason}; it may or may not have been done", hint="look before doing it again"
        ) from error


async def _events_left(client: "TinyBmsClient") -> str:
    from tinybms_bridge.tinybms.eventlog import read_events

    left = len((await read_events(client)).events)
    return "the event log is empty" if not left else f"the event log was cleared; {left} new events since"


async def _statistics_cleared(client: "TinyBmsClient") -> str:
    from tinybms_bridge.tinybms.device_statistics import read_statistics

    return f"the statistics were cleared at second {(await read_statistics(client)).cleared_at_s} of the BMS's life"


async def _back_again(client: "TinyBmsClient") -> str:
    """Wait for the BMS to answer again. Raises LinkError if it does not."""
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.tinybms.frames import CommandCode, SimpleRequest

    clock = SystemClock()
    started_s = clock.monotonic()
    while (waited_s := clock.monotonic() - started_s) < _RETURN_TIMEOUT_S:
        await clock.sleep(_RETURN_INTERVAL_S)
        try:
            await client.connect()
            await client.request(SimpleRequest(CommandCode.STATUS), attempts=1)
        except LinkError:
            continue
        return f"the BMS has restarted and answers again after {clock.monotonic() - started_s:.1f} s"
    raise LinkError(
        f"the BMS has accepted the restart but does not answer after {waited_s:.0f} s",
        hint="check the battery and its wiring before using it",
    )
