"""Credentials on running nodes: one is added, exchanged and withdrawn by the commands of the documentation."""

import asyncio
import sys
import time
from contextlib import suppress

from rigs.fleet.cluster import Cluster, addresses
from rigs.fleet.mqtt import Connection, Login, RefusedError, connect

__all__ = ["check"]

PATIENCE_S = 10.0
BAD_CREDENTIAL = (4, 5)


class Visitor:
    """One connection with one credential."""

    def __init__(self, cluster: Cluster, site: str, user: str, password: str) -> None:
        self.acknowledged: list[int] = []
        self.lost = asyncio.Event()
        self._cluster = cluster
        self._login = Login(f"visitor-{user}".replace(".", "-"), user, password, f"fleet/{site}/tinybms/status", b"{}")

    async def come(self) -> Connection | None:
        """Return the connection; None where the node does not take the credential."""
        address = addresses(self._cluster, 0)[0]
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await connect(
                    address, self._login, self.acknowledged.append, self.lost.set, self._cluster.client_tls
                )
        except RefusedError as error:
            demand(error.code in BAD_CREDENTIAL, str(error))
            return None


def demand(true: object, what: str) -> None:
    """End the rig where something is not as it should be."""
    if not true:
        sys.exit(f"error: {what}")


async def reload(cluster: Cluster) -> None:
    """Have every node read its files again, as `nats-server --signal reload` does."""
    for node in cluster.nodes:
        cluster.programs[node.name].hang_up()
    await asyncio.sleep(1.0)


async def check(cluster: Cluster) -> list[str]:
    """Exchange and withdraw credentials of a new site; return what is to be told. Ends the rig where that fails."""
    site = "newcomer"
    user, password = cluster.sites_command("add", site)[0].split()
    demand(await Visitor(cluster, site, user, password).come() is None, "a credential is good that no node knows")
    await reload(cluster)
    first = Visitor(cluster, site, user, password)
    connection = await first.come()
    demand(connection, "a new credential is not good after the signal")
    assert connection is not None
    allowed = {topic: await connection.subscribe(topic) for topic in ("fleet/#", "fleet/site-0000/tinybms/#", "#")}
    own = await connection.subscribe(f"fleet/{site}/tinybms/commands/#")
    demand(own and not any(allowed.values()), f"subscriptions: {allowed}, own {own}")

    second_user, second_password = cluster.sites_command("add", site)[0].split()
    await reload(cluster)
    second = Visitor(cluster, site, second_user, second_password)
    later = await second.come()
    demand(later, "the second credential is not good")
    assert later is not None
    demand(not first.lost.is_set(), "the first credential ended when a second was added")

    cluster.sites_command("withdraw", site)
    begun_s = time.monotonic()
    await reload(cluster)
    with suppress(TimeoutError):
        await asyncio.wait_for(first.lost.wait(), PATIENCE_S)
    ended_s = time.monotonic() - begun_s
    demand(first.lost.is_set(), "a connection goes on whose credential was withdrawn")
    demand(await Visitor(cluster, site, user, password).come() is None, "a credential is good that was withdrawn")
    demand(not second.lost.is_set(), "the other credential of the site ended as well")
    later.disconnect()
    words = (
        "credentials: good and withdrawn on a signal without a restart, the connection of one that was withdrawn "
        f"ended within {ended_s:.1f} s, the other one went on; a site may subscribe to its own topics and no others"
    )
    return [words]
