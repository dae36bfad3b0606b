"""Places that many want: while some are free everybody gets one; then whoever has most gives way.

So one machine cannot lock everybody out, and nobody has fewer places than there are while nobody else wants them.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from tinybms_bridge.services.web.callers import Caller

__all__ = ["Shares"]

M = TypeVar("M", bound=Hashable)


class Shares(Generic[M]):
    """Who has a place."""

    def __init__(self) -> None:
        self._callers: dict[M, Caller] = {}

    def __len__(self) -> int:
        return len(self._callers)

    def add(self, member: M, caller: Caller) -> None:
        """Give a place."""
        self._callers[member] = caller

    def remove(self, member: M) -> None:
        """Take it back; safe to call twice."""
        self._callers.pop(member, None)

    def gives_way(self, newcomer: Caller) -> M | None:
        """Return who has to leave so that a newcomer gets a place; None: it is the newcomer.

        Strangers give way to who is logged in. Among equals a network gives way to one that has at least two places
        less, and within a network a machine to another; of its places the last one taken.
        """
        strangers = {member: caller for member, caller in self._callers.items() if not caller.known}
        if newcomer.known and strangers:
            return _last_of_most(strangers, strangers)
        equals = {member: caller for member, caller in self._callers.items() if caller.known == newcomer.known}
        networks = Counter(caller.origin.network for caller in equals.values())
        if networks and max(networks.values()) >= networks[newcomer.origin.network] + 2:
            return _last_of_most(equals, equals)
        near = [member for member, caller in equals.items() if caller.origin.network == newcomer.origin.network]
        machines = Counter(equals[member].origin.machine for member in near)
        if machines and max(machines.values()) >= machines[newcomer.origin.machine] + 2:
            return _last_of_most(equals, near)
        return None


def _last_of_most(callers: dict[M, Caller], members: Iterable[M]) -> M:
    """Return the last member of the machine with most places, of the network with most."""
    members = list(members)
    networks = Counter(callers[member].origin.network for member in members)
    machines = Counter(callers[member].origin for member in members)

    def places(member: M) -> tuple[int, int]:
        origin = callers[member].origin
        return networks[origin.network], machines[origin]

    return max(reversed(members), key=places)
