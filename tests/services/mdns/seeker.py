"""Another machine that looks bridges up, with python-zeroconf's own resolver: ``seeker.py ADDRESS``.

It reads a line with host names and writes a line of JSON with the addresses of each, and with every service of ours.
"""

import asyncio
import json
import sys
from typing import Any

from zeroconf import AddressResolver, IPVersion, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

SERVICES = ["_http._tcp.local.", "_tinybms-bridge._tcp.local."]
PATIENCE_MS = 1500


async def seek(hosts: list[str], own_address: str) -> dict[str, Any]:
    """Return what is found now, without anything that was known before."""
    names: set[tuple[str, str]] = set()

    def found(zeroconf: Zeroconf, service_type: str, name: str, state_change: object) -> None:
        names.add((service_type, name))

    async with AsyncZeroconf(interfaces=[own_address], ip_version=IPVersion.V4Only) as other:
        browser = AsyncServiceBrowser(other.zeroconf, SERVICES, handlers=[found])
        addresses = {}
        for host in hosts:
            resolver = AddressResolver(f"{host}.local.")
            await resolver.async_request(other.zeroconf, PATIENCE_MS)
            addresses[host] = sorted(resolver.parsed_addresses(IPVersion.V4Only))
        await asyncio.sleep(0.5)
        services = {}
        for kind, name in sorted(names):
            info = AsyncServiceInfo(kind, name)
            if await info.async_request(other.zeroconf, PATIENCE_MS):
                services[name] = [info.server, info.port, sorted(info.parsed_addresses(IPVersion.V4Only))]
        await browser.async_cancel()
    return {"hosts": addresses, "services": services}


for line in sys.stdin:
    print(json.dumps(asyncio.run(seek(line.split(), sys.argv[1]))), flush=True)  # noqa: T201
