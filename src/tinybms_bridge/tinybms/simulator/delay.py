"""A condition that has to hold for some time before something happens."""

import math

__all__ = ["NEVER_S", "Delay"]

NEVER_S = math.inf
"""A time that does not come."""

_ROUNDING_S = 1e-9


class Delay:
    """Tells when a condition has held without a break for long enough."""

    __slots__ = ("_since_s", "due_s")

    def __init__(self) -> None:
        self.due_s = NEVER_S
        """Time at which it is worth asking again; ``NEVER_S`` while nothing is being waited for."""
        self._since_s: float | None = None

    def ripe(self, condition: bool, now_s: float, delay_s: float) -> bool:
        """Return whether ``condition``, true or not at ``now_s``, has held for ``delay_s`` seconds."""
        if not condition:
            self.reset()
            return False
        if self._since_s is None:
            self._since_s = now_s
        due_s = self._since_s + delay_s
        ripe = now_s >= due_s - _ROUNDING_S
        self.due_s = NEVER_S if ripe else due_s
        return ripe

    def reset(self) -> None:
        """Begin to count again with the next true condition."""
        self._since_s = None
        self.due_s = NEVER_S
