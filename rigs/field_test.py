"""Watch a real installation and judge it: ``python -m rigs.field_test --minutes 60 --url http://HOST:8080``.

Followers hang on the WebSocket of a running bridge, and its counters are read. It changes nothing on the bridge.
Prints what was seen and ends with 1 when something is not as it should be.
"""

import argparse
import asyncio
import json
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

ERRORS_PER_POLL = 0.002
"""Share of reads that may fail: the firmware's own example has 50 of 36 000."""

GAP_S = 10.0
"""Longest silence of a follower that is told something each second: a browser shows the page as lost by then."""

GROWTH = 1.25
"""By how much the memory of a process may have grown since the first reading after the warm-up."""

REQUEST_S = 10.0


@dataclass(slots=True)
class Follower:
    """One client of ``/ws``."""

    messages: int = 0
    longest_gap_s: float = 0.0
    lost: int = 0
    """How often the connection ended without being asked to."""
    _last_s: float = 0.0

    def note_gap(self) -> None:
        """Take the time since the last message into account: at each message, and at the end."""
        if self.messages:
            self.longest_gap_s = max(self.longest_gap_s, time.monotonic() - self._last_s)

    async def follow(self, url: str, headers: dict[str, str]) -> None:
        """Follow until cancelled; connect again a second after a loss."""
        while True:
            try:
                async with connect(url, additional_headers=headers, open_timeout=REQUEST_S) as peer:
                    async for _ in peer:
                        self.note_gap()
                        self.messages += 1
                        self._last_s = time.monotonic()
            except (OSError, WebSocketException):
                pass
            self.lost += 1
            await asyncio.sleep(1.0)


@dataclass(slots=True)
class Record:
    """What the counters of the bridge have shown."""

    first: dict[str, Any] = field(default_factory=dict)
    latest: dict[str, Any] = field(default_factory=dict)
    readings: int = 0
    unanswered: int = 0
    not_fresh: int = 0
    without_gx: int = 0
    starts: int = 0
    """How often the core has started anew meanwhile."""

    def take(self, diagnostics: dict[str, Any]) -> None:
        """Take one reading."""
        self.readings += 1
        self.not_fresh += diagnostics["freshness"] != "FRESH"
        self.without_gx += diagnostics["can"]["gx_state"] != "present"
        started = bool(self.latest) and diagnostics["core"]["uptime_s"] < self.latest["core"]["uptime_s"]
        self.starts += started
        if not self.first or started:  # counters begin anew with the core
            self.first = diagnostics
        self.latest = diagnostics

    def grown(self, part: str, counter: str) -> float:
        """Return by how much a counter has grown."""
        return float(self.latest[part][counter]) - float(self.first[part][counter])


def read(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return the diagnostics of the bridge.

    Raises:
        OSError: It does not answer.
        ValueError: It answers something else.
    """
    request = urllib.request.Request(f"{url}/api/diagnostics", headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
    return found


def judge(record: Record, followers: list[Follower]) -> list[tuple[bool, str]]:
    """Return what was seen, line by line, and whether each is as it should be."""
    if not record.readings:
        return [(False, "the bridge never answered")]
    polls, errors = record.grown("uart", "polls"), record.grown("uart", "errors")
    sent, failed = record.grown("can", "tx_count"), record.grown("can", "tx_errors")
    found = [
        (record.starts == 0, f"core: started anew {record.starts} times"),
        (record.unanswered == 0, f"counters: {record.readings} readings, {record.unanswered} unanswered"),
        (record.not_fresh == 0, f"data: not fresh in {record.not_fresh} readings"),
        (polls > 0 and errors <= polls * ERRORS_PER_POLL, f"UART: {polls:.0f} reads, {errors:.0f} failed"),
        (sent > 0 and failed == 0, f"CAN: {sent:.0f} frames sent, {failed:.0f} failed"),
        (record.grown("can", "outages") == 0, f"CAN: {record.grown('can', 'outages'):.0f} outages"),
        (record.without_gx == 0, f"GX: not heard in {record.without_gx} readings"),
    ]
    for name in ("core", "memory"):
        first, last = float(record.first[name]["resident"]), float(record.latest[name]["resident"])
        label = "core" if name == "core" else "services"
        found.append((last <= first * GROWTH, f"memory of the {label}: {first / 1e6:.0f} to {last / 1e6:.0f} MB"))
    for number, one in enumerate(followers, start=1):
        text = f"{one.messages} messages, at most {one.longest_gap_s:.1f} s apart, lost {one.lost} times"
        good = one.messages > 0 and one.longest_gap_s <= GAP_S and one.lost == 0
        found.append((good, f"follower {number}: {text}"))
    return found


async def watch(url: str, seconds: float, clients: int, every_s: float, warm_up_s: float, token: str) -> bool:
    """Watch for so long, print the judgement, return whether all was well."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    record, followers = Record(), [Follower() for _ in range(clients)]
    socket_url = f"{url.replace('http', 'ws', 1)}/ws"
    tasks = [asyncio.create_task(one.follow(socket_url, headers)) for one in followers]
    try:
        await asyncio.sleep(warm_up_s)
        end_s = time.monotonic() + seconds
        await _take_reading(record, url, headers)
        while True:  # at least once: the counters are judged by two readings
            await asyncio.sleep(min(every_s, max(0.0, end_s - time.monotonic())))
            await _take_reading(record, url, headers)
            if time.monotonic() >= end_s:
                break
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for one in followers:
        one.note_gap()
    judged = judge(record, followers)
    for good, text in judged:
        print(f"{'ok  ' if good else 'FAIL'}  {text}")
    return all(good for good, _ in judged)


async def _take_reading(record: Record, url: str, headers: dict[str, str]) -> None:
    try:
        record.take(await asyncio.to_thread(read, url, headers))
    except (OSError, ValueError) as error:
        record.unanswered += 1
        print(f"no answer: {error}", file=sys.stderr)


def main() -> int:
    """Read the command line, watch, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rigs.field_test", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8080", help="where the bridge serves")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=4, help="followers of the WebSocket")
    parser.add_argument("--every", type=float, default=10.0, metavar="SECONDS", help="between two readings of counters")
    parser.add_argument("--warm-up", type=float, default=60.0, metavar="SECONDS", help="before the first reading")
    parser.add_argument("--token", default="", help="of a user, where reading is not open to this machine")
    given = parser.parse_args()
    try:
        good = asyncio.run(
            watch(given.url.rstrip("/"), given.minutes * 60, given.clients, given.every, given.warm_up, given.token)
        )
    except KeyboardInterrupt:
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
