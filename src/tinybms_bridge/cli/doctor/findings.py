"""What a check found, and how a list of findings is shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

__all__ = ["Finding", "Verdict", "as_document", "as_sentence", "ok", "problem", "skipped", "warning", "worst"]


class Verdict(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    SKIPPED = "skipped"
    """Could not be looked at."""
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result."""

    check: str
    """What was looked at, for example ``serial port``."""
    verdict: Verdict
    text: str
    """What was found, in plain words."""
    advice: str = ""
    """What to do about it; empty when there is nothing to do."""


def ok(check: str, text: str) -> Finding:
    """Return a finding that is fine."""
    return Finding(check, Verdict.OK, text)


def skipped(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding about something that could not be looked at."""
    return Finding(check, Verdict.SKIPPED, text, advice)


def warning(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding that does not keep the bridge from working."""
    return Finding(check, Verdict.WARNING, text, advice)


def problem(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding that keeps the bridge from working."""
    return Finding(check, Verdict.PROBLEM, text, advice)


def worst(findings: Sequence[Finding]) -> Verdict:
    """Return the worst verdict; OK for none."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)


def as_document(findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings as a JSON-ready object."""
    return {"verdict": worst(findings), "findings": [asdict(finding) for finding in findings]}


def as_sentence(hint: str) -> str:
    """Return the hint of an error as a sentence; empty stays empty."""
    return f"{hint[0].upper()}{hint[1:]}." if hint else ""
