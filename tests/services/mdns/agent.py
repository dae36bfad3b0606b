"""A program of its own that announces as a bridge does: ``agent.py HOST INSTANCE PORT [lo]``.

It writes its state as a line of JSON whenever that changes. It looks itself up for each line that it reads, and ends
with its input.
"""

import asyncio
import ipaddress
import json
import logging
import sys
from collections.abc import Iterable, Sequence

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.blocking import in_thread
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.interfaces import NetworkInterface
from tinybms_bridge.services.mdns.links import NetworkLink, links_of
from tinybms_bridge.services.mdns.options import MdnsOptions
from tinybms_bridge.services.mdns.service import MdnsService
from tinybms_bridge.services.ports import Pages
from tinybms_bridge.services.standing import ServiceStanding


def loopback(interfaces: Iterable[NetworkInterface], _listen_address: str) -> Sequence[NetworkLink]:
    """Return the loopback interface as if it led to neighbours."""
    address = ipaddress.IPv4Address("127.0.0.1")
    found = next(each for each in interfaces if each.loopback)
    return [NetworkLink(found.name, found.index, (address,), address, networks=(ipaddress.ip_network("127.0.0.0/8"),))]


async def main(host: str, instance: str, port: int, *, on_loopback: bool) -> None:
    """Announce until the input ends."""
    logging.basicConfig(level=logging.INFO)
    clock, pages = SystemClock(), Pages("", port, encrypted=False)
    standing = ServiceStanding("mdns", clock)
    options = MdnsOptions(host, instance, "1.0")
    choose = loopback if on_loopback else links_of
    service = MdnsService(options, standing, clock, in_thread, lambda: pages, choose=choose, look_s=0.5)
    running = asyncio.create_task(service.run())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    shown = ""
    reading = asyncio.create_task(reader.readline())
    while True:
        state = standing.state()
        line = json.dumps({"condition": state.condition, "where": state.where})
        if line != shown:
            shown = line
            print(line, flush=True)  # noqa: T201 -- for the test
        done, _ = await asyncio.wait([reading, running], timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
        if running in done or (reading in done and not reading.result()):
            break
        if reading in done:
            try:
                told, success = await service.test(), True
            except BridgeError as error:
                told, success = error.description, False
            print(json.dumps({"success": success, "text": told.text}), flush=True)  # noqa: T201 -- as above
            reading = asyncio.create_task(reader.readline())
    running.cancel()
    await asyncio.wait([running])


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), on_loopback="lo" in sys.argv[4:]))
