"""Injected faults of the line: what may happen to a request or a reply on its way (tinybms-protocol.md, 5.9)."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["FAULT_NAMES", "FaultInjector", "FaultPlan", "Mangled", "parse_faults"]


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Probability, 0..1, of each fault; of several that hit one reply, each has its effect.

    Raises:
        ValueError: a probability out of its range, or a time or a number that is negative.

    """

    bit_flip: float = 0.0
    """One bit of a reply is inverted."""
    lost_byte: float = 0.0
    """One byte of a reply is missing."""
    late_reply: float = 0.0
    """A reply comes up to ``late_s`` late; replies after it wait."""
    doubled_reply: float = 0.0
    """A reply comes twice."""
    noise: float = 0.0
    """Up to ``noise_bytes`` bytes without a meaning come before a reply."""
    reboot: float = 0.0
    """The device restarts in the middle of a reply."""
    silence: float = 0.0
    """A reply does not come at all, though the request was carried out."""
    request_flip: float = 0.0
    """One bit of what the host sends is inverted."""
    request_loss: float = 0.0
    """One byte of what the host sends is missing."""
    late_s: float = 0.6
    noise_bytes: int = 8

    def __post_init__(self) -> None:
        for name in FAULT_NAMES:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"the probability of {name} is 0 to 1, got {value}")
        if not (0.0 <= self.late_s <= 60.0 and 1 <= self.noise_bytes <= 255):
            raise ValueError(f"late_s is 0 to 60 and noise_bytes 1 to 255, got {self.late_s} and {self.noise_bytes}")


FAULT_NAMES = tuple(field.name for field in fields(FaultPlan) if field.name not in ("late_s", "noise_bytes"))
"""Names of the faults that have a probability."""


@dataclass(frozen=True, slots=True)
class Mangled:
    """What is left of a reply."""

    data: bytes
    delay_s: float = 0.0
    """Lateness, besides that of the device."""
    reboot: bool = False
    """The device restarts now."""


class FaultInjector:
    """Applies a plan to the traffic of one line.

    Args:
        plan: may be replaced while the line is in use.
        chance: source of randomness; the same state gives the same faults.

    """

    def __init__(self, plan: FaultPlan | None = None, chance: random.Random | None = None) -> None:
        self.plan = plan or FaultPlan()
        self.counts: Counter[str] = Counter()
        """How often each fault hit."""
        self._chance = chance or random.Random(0)  # noqa: S311 -- faults are no secret, and must be repeatable

    def request(self, data: bytes) -> bytes:
        """Return what arrives at the device of bytes that the host sent."""
        if data and self._hits("request_flip"):
            data = self._flipped(data)
        if data and self._hits("request_loss"):
            data = self._shortened(data)
        return data

    def reply(self, data: bytes) -> Mangled:
        """Return what arrives at the host of a reply."""
        if self._hits("silence"):
            return Mangled(b"")
        delay_s = self._chance.uniform(0.0, self.plan.late_s) if self._hits("late_reply") else 0.0
        if self._hits("doubled_reply"):
            data += data
        if self._hits("bit_flip"):
            data = self._flipped(data)
        if self._hits("lost_byte"):
            data = self._shortened(data)
        if self._hits("noise"):
            data = self._chance.randbytes(self._chance.randint(1, self.plan.noise_bytes)) + data
        if self._hits("reboot"):
            return Mangled(data[: self._chance.randrange(len(data))], delay_s, reboot=True)
        return Mangled(data, delay_s)

    def _hits(self, name: str) -> bool:
        probability: float = getattr(self.plan, name)
        hit = probability > 0.0 and self._chance.random() < probability
        self.counts[name] += hit
        return hit

    def _flipped(self, data: bytes) -> bytes:
        position = self._chance.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        return bytes(flipped)

    def _shortened(self, data: bytes) -> bytes:
        position = self._chance.randrange(len(data))
        return data[:position] + data[position + 1 :]


def parse_faults(items: Iterable[str]) -> FaultPlan:
    """Return the plan written as ``name=probability`` items such as ``bit_flip=0.01``.

    Raises:
        ValueError: an item that is none; the message says what is allowed.

    """
    chances: dict[str, Any] = {}
    for item in items:
        name, _, text = item.partition("=")
        name = name.strip().replace("-", "_")
        if name not in FAULT_NAMES:
            raise ValueError(f"{item!r} is not a fault: use name=probability with {', '.join(FAULT_NAMES)}")
        try:
            FaultPlan(**(chances | {name: float(text)}))
        except ValueError as error:
            raise ValueError(f"{item!r} is not a fault: the probability of {name} is a number of 0 to 1") from error
        chances[name] = float(text)
    return FaultPlan(**chances)
