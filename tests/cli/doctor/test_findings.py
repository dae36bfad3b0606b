import json

import pytest

from tinybms_bridge.cli.doctor.findings import Verdict, as_document, as_sentence, ok, problem, skipped, warning, worst


def test_the_worst_finding_decides() -> None:
    """The exit code of the doctor depends on it."""
    fine, left_out, odd, bad = ok("a", "x"), skipped("b", "x"), warning("c", "x"), problem("d", "x")
    assert worst([]) is Verdict.OK
    assert worst([fine]) is Verdict.OK
    assert worst([left_out, fine]) is Verdict.SKIPPED
    assert worst([fine, odd, left_out]) is Verdict.WARNING
    assert worst([bad, odd, fine]) is Verdict.PROBLEM


def test_each_builder_has_its_verdict() -> None:
    """A problem that is shown as a warning would end with 0."""
    verdicts = [build("a", "x").verdict for build in (ok, skipped, warning, problem)]
    assert verdicts == [Verdict.OK, Verdict.SKIPPED, Verdict.WARNING, Verdict.PROBLEM]


def test_findings_become_plain_json() -> None:
    """For other programs: the verdict, and each finding with its advice."""
    document = json.loads(json.dumps(as_document([ok("link", "fine"), problem("GX", "none", "Look.")])))
    assert document == {
        "verdict": "problem",
        "findings": [
            {"check": "link", "verdict": "ok", "text": "fine", "advice": ""},
            {"check": "GX", "verdict": "problem", "text": "none", "advice": "Look."},
        ],
    }


@pytest.mark.parametrize(
    ("hint", "sentence"), [("", ""), ("close it", "Close it."), ("use RX and TX", "Use RX and TX.")]
)
def test_hints_become_sentences(hint: str, sentence: str) -> None:
    """Errors carry half sentences; only the first letter changes."""
    assert as_sentence(hint) == sentence
