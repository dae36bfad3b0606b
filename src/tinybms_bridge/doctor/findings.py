"""What a check found, and how a list of findings is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from tinybms_bridge.errors import LinkError
from tinybms_bridge.words import Language, Message, message

__all__ = ["Finding", "Verdict", "as_document", "of_pack", "ok", "problem", "remedy_of", "skipped", "warning", "worst"]


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
    message: Message
    """What was found; the catalogue may have advice beside it."""
    own_advice: Message | None = None
    """What to do about it, where that does not follow from what was found."""

    @property
    def text(self) -> str:
        """What was found, in English."""
        return self.message.text

    @property
    def advice(self) -> str:
        """What to do about it, in English; empty when there is nothing to do."""
        return self.advice_in("en")

    def advice_in(self, language: Language) -> str:
        """Return what to do about it in a language; empty when there is nothing to do."""
        return self.message.advice(language) if self.own_advice is None else self.own_advice.say(language)


def ok(check: str, found: Message, advice: Message | None = None) -> Finding:
    """Return a finding that is fine."""
    return Finding(check, Verdict.OK, found, advice)


def skipped(check: str, found: Message, advice: Message | None = None) -> Finding:
    """Return a finding about something that could not be looked at."""
    return Finding(check, Verdict.SKIPPED, found, advice)


def warning(check: str, found: Message, advice: Message | None = None) -> Finding:
    """Return a finding that does not keep the bridge from working."""
    return Finding(check, Verdict.WARNING, found, advice)


def problem(check: str, found: Message, advice: Message | None = None) -> Finding:
    """Return a finding that keeps the bridge from working."""
    return Finding(check, Verdict.PROBLEM, found, advice)


def remedy_of(error: LinkError) -> Message | None:
    """Return what to do about an error as a sentence; None where it does not say."""
    return None if error.remedy is None else message("sentence", text=error.remedy)


def of_pack(finding: Finding, pack: str) -> Finding:
    """Return a finding on one of several packs with its name; as it is with an empty name."""
    if not pack:
        return finding
    told = message("cause.of_pack", pack=pack, cause=finding.message)
    return replace(finding, message=told, own_advice=finding.own_advice or finding.message.advice_message)


def worst(findings: Sequence[Finding]) -> Verdict:
    """Return the worst verdict; OK for none."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)


def as_document(findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings as a JSON-ready object, in English with codes and parameters."""
    return {
        "verdict": worst(findings),
        "findings": [
            {
                "check": each.check,
                "verdict": each.verdict,
                "code": each.message.code,
                "parameters": dict(each.message.parameters),
                "text": each.text,
                "advice": each.advice,
            }
            for each in findings
        ],
    }
