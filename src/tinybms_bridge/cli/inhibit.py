"""``tinybms-bridge inhibit`` and ``release``: stop charging or discharging by hand, through the running bridge."""

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import click

from tinybms_bridge.cli.common import fail, json_option, run_until_signal
from tinybms_bridge.cli.link import linked, socket_option, user_name
from tinybms_bridge.errors import BridgeError

__all__ = ["inhibit_command", "release_command"]

_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST_REASON = 200
_direction = click.argument("direction", type=click.Choice(["charge", "discharge"]))


class _Duration(click.ParamType[float]):
    """A time such as ``90``, ``15min`` or ``2h``, in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds, or fail with what is accepted."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)?\s*", str(value))
        if found is None:
            self.fail(f"{value!r} is no time; write for example 90s, 15min, 2h or 1d", param, ctx)
        duration_s = float(found[1]) * _UNITS_S[found[2] or "s"]
        from tinybms_bridge.battery.inhibits import LONGEST_INHIBIT_S

        if not 1.0 <= duration_s <= LONGEST_INHIBIT_S:
            self.fail(f"{value!r} is not between a second and a week", param, ctx)
        return duration_s


@click.command("inhibit")
@_direction
@click.option("--for", "duration_s", type=_Duration(), metavar="TIME", help="End by itself after 90s, 15min, 2h, 1d.")
@click.option("--reason", default="", help="Why, for whoever finds it.")
@json_option
@socket_option
def inhibit_command(direction: str, duration_s: float | None, reason: str, as_json: bool, socket: str) -> None:
    """Stop charging or discharging: that limit is 0 A until it is released, also after a restart.

    \b
    Examples:
      tinybms-bridge inhibit charge --for 2h --reason cables
      tinybms-bridge inhibit discharge
      tinybms-bridge release discharge

    With discharge stopped a house without a grid is dark. A time counts while the bridge runs.
    Exit status: 0 in force, 1 it is not, or could not be saved, or no bridge runs here.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.battery.inhibits import Direction
    from tinybms_bridge.link.commands import SetInhibit

    if len(reason) > _LONGEST_REASON:
        raise click.UsageError(f"--reason may have {_LONGEST_REASON} characters, and has {len(reason)}")

    async def body() -> None:
        async with linked(socket) as link:
            found = await link.call(SetInhibit(Direction(direction), duration_s, reason, user_name()))
        ends_at = found.expires_at
        until = "until it is released" if ends_at is None else f"until {ends_at:%Y-%m-%d %H:%M:%S} UTC"
        if as_json:
            ends = None if ends_at is None else ends_at.isoformat()
            document = {"direction": direction, "since": found.since.isoformat(), "expires_at": ends, "reason": reason}
            click.echo(json.dumps(document, ensure_ascii=False))
        else:
            click.echo(f"{direction} is inhibited {until}")

    _run(body)


@click.command("release")
@_direction
@json_option
@socket_option
def release_command(direction: str, as_json: bool, socket: str) -> None:
    """End an inhibit, and for discharge the pause of an empty battery as well; also fine when there is neither.

    Exit status: 0 released, 1 it could not be saved, or no bridge runs here.
    """
    from tinybms_bridge.battery.inhibits import Direction
    from tinybms_bridge.link.commands import ReleaseInhibit

    async def body() -> None:
        async with linked(socket) as link:
            there_was = await link.call(ReleaseInhibit(Direction(direction), user_name()))
        if as_json:
            click.echo(json.dumps({"direction": direction, "released": there_was}))
        else:
            click.echo(f"{direction} released" if there_was else f"{direction} was not inhibited")

    _run(body)


def _run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def done() -> bool:
        await body()
        return True

    try:
        if run_until_signal(done) is None:
            fail("interrupted; the bridge may have done it all the same")
    except (BridgeError, OSError) as error:
        fail(error)
