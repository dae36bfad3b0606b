"""``GET /api/doctor``."""

from typing import Any

import httpx

from tinybms_bridge.doctor.findings import ok, problem, warning
from tinybms_bridge.words import message


async def test_findings_with_what_to_do(visitor: httpx.AsyncClient, core: Any) -> None:
    """In the order in which they were found, with code and parameters for programs, and the worst verdict."""
    core.found = [
        ok("link", message("doctor.answers")),
        warning("history", message("doctor.history_hung", protections=3, full=7)),
        problem("link", message("doctor.silence")),
    ]
    found = (await visitor.get("/api/doctor")).json()

    assert (found["verdict"], found["at"]) == ("problem", "2026-01-01T00:00:00Z")
    assert [each["verdict"] for each in found["findings"]] == ["ok", "warning", "problem"]
    hung = found["findings"][1]
    assert (hung["check"], hung["code"]) == ("history", "doctor.history_hung")
    assert hung["parameters"] == {"protections": 3, "full": 7}
    assert "3 protections and 7 full charges" in hung["text"]
    assert hung["advice"] == "Update its firmware."


async def test_in_french(visitor: httpx.AsyncClient, core: Any) -> None:
    """Name of the check, finding and advice; codes stay."""
    core.found = [problem("serial port", message("doctor.silence"))]
    (found,) = (await visitor.get("/api/doctor?lang=fr")).json()["findings"]

    assert (found["check"], found["title"], found["code"]) == ("serial port", "port série", "doctor.silence")
    assert "RX" in found["advice"]
    assert "Vérifiez" in found["advice"]


async def test_all_well(visitor: httpx.AsyncClient) -> None:
    """Nothing found is nothing wrong."""
    assert (await visitor.get("/api/doctor")).json()["verdict"] == "ok"
