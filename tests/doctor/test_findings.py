import json

import pytest

from tinybms_bridge.doctor.findings import Verdict, as_document, ok, problem, remedy_of, skipped, warning, worst
from tinybms_bridge.errors import LinkError
from tinybms_bridge.words import message

X = message("doctor.usable")
FOUND = [ok("link", message("doctor.answers")), problem("CAN", message("doctor.other_bms", frames=["0x351"], pid=None))]


def test_the_worst_finding_decides() -> None:
    """The exit code of the doctor depends on it."""
    fine, left_out, odd, bad = ok("a", X), skipped("b", X), warning("c", X), problem("d", X)
    assert worst([]) is Verdict.OK
    assert worst([fine]) is Verdict.OK
    assert worst([left_out, fine]) is Verdict.SKIPPED
    assert worst([fine, odd, left_out]) is Verdict.WARNING
    assert worst([bad, odd, fine]) is Verdict.PROBLEM


def test_each_builder_has_its_verdict() -> None:
    """A problem that is shown as a warning would end with 0."""
    verdicts = [build("a", X).verdict for build in (ok, skipped, warning, problem)]
    assert verdicts == [Verdict.OK, Verdict.SKIPPED, Verdict.WARNING, Verdict.PROBLEM]


def test_findings_become_plain_json() -> None:
    """For other programs: the verdict, and each finding with its advice."""
    document = json.loads(json.dumps(as_document(FOUND)))
    assert document == {
        "verdict": "problem",
        "findings": [
            {
                "check": "link",
                "verdict": "ok",
                "code": "doctor.answers",
                "parameters": {},
                "text": "the BMS answers",
                "advice": "",
            },
            {
                "check": "CAN",
                "verdict": "problem",
                "code": "doctor.other_bms",
                "parameters": {"frames": ["0x351"], "pid": None},
                "text": "another BMS sends on this bus (0x351)",
                "advice": "Two BMSs contradict each other: give each its own bus.",
            },
        ],
    }


@pytest.mark.parametrize(
    ("hint", "sentence"), [("", ""), ("close it", "Close it."), ("use RX and TX", "Use RX and TX.")]
)
def test_hints_become_sentences(hint: str, sentence: str) -> None:
    """Errors carry half sentences; only the first letter changes."""
    error = LinkError("not open", hint=hint)
    finding = problem("CAN", error.what, remedy_of(error))
    assert (finding.text, finding.advice) == ("not open", sentence)
    assert (finding.message.say("fr"), finding.advice_in("fr")) == ("not open", sentence)


def test_an_error_with_a_code_is_told_in_french() -> None:
    """What the machine lacks is what people ask the doctor for most."""
    error = LinkError(message("serial.missing", port="/dev/ttyX"), hint=message("serial.ports", ports=["/dev/ttyUSB0"]))
    finding = problem("serial port", error.what, remedy_of(error))

    assert (finding.text, finding.advice) == ("serial port /dev/ttyX does not exist", "Ports found: /dev/ttyUSB0.")
    assert finding.message.say("fr") == "le port série /dev/ttyX n'existe pas"
    assert finding.advice_in("fr") == "Ports trouvés : /dev/ttyUSB0."
