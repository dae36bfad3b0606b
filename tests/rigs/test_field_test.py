"""The watcher of a real installation: it sees what is wrong, and says so by its exit status."""

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def load() -> ModuleType:
    """Return the module, which is in no package that is installed."""
    spec = importlib.util.spec_from_file_location("rigs_field_test", ROOT / "rigs" / "field_test.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up there
    spec.loader.exec_module(module)
    return module


FIELD_TEST = load()


def diagnostics(
    polls: int, errors: int = 0, sent: int = 0, failed: int = 0, uptime_s: float = 0.0, *, freshness: str = "FRESH",
    gx: str = "present", core_bytes: int = 60_000_000,
) -> dict[str, Any]:  # fmt: skip
    """Return what the watcher reads of ``GET /api/diagnostics``."""
    return {
        "freshness": freshness,
        "core": {"uptime_s": uptime_s, "resident": core_bytes},
        "memory": {"resident": 80_000_000},
        "uart": {"polls": polls, "errors": errors},
        "can": {"tx_count": sent, "tx_errors": failed, "outages": 0, "gx_state": gx},
    }


def failures(*readings: dict[str, Any], followers: list[Any] | None = None) -> list[str]:
    """Return the lines that are not as they should be."""
    record = FIELD_TEST.Record()
    for reading in readings:
        record.take(reading)
    return [text for good, text in FIELD_TEST.judge(record, followers or []) if not good]


FIRST = diagnostics(100, errors=7, sent=50, failed=3, uptime_s=10.0)
"""What was there before the test is not held against the bridge."""


def test_a_good_hour_passes() -> None:
    """With a few disturbed reads, as the line of the firmware had them."""
    last = diagnostics(36_100, errors=57, sent=70_050, failed=3, uptime_s=3610.0)

    assert failures(FIRST, last, followers=[FIELD_TEST.Follower(messages=3600, longest_gap_s=2.0)]) == []


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ({"errors": 107}, "UART: 36000 reads, 100 failed"),
        ({"failed": 4}, "CAN: 70000 frames sent, 1 failed"),
        ({"freshness": "HOLD"}, "data: not fresh in 1 readings"),
        ({"gx": "lost"}, "GX: not heard in 1 readings"),
        ({"core_bytes": 90_000_000}, "memory of the core: 60 to 90 MB"),
    ],
)
def test_each_thing_that_is_wrong_is_named(last: dict[str, Any], said: str) -> None:
    """One at a time, and nothing else with it."""
    good = {"errors": 7, "sent": 70_050, "failed": 3, "uptime_s": 3610.0}

    assert failures(FIRST, diagnostics(36_100, **{**good, **last})) == [said]


def test_a_core_that_started_anew_is_noticed_and_its_counters_begin_again() -> None:
    """Else a restart would show as a negative number of reads, or not at all."""
    found = failures(FIRST, diagnostics(10, uptime_s=1.0), diagnostics(500, sent=900, uptime_s=50.0))

    assert found == ["core: started anew 1 times"]


@pytest.mark.parametrize(
    "seen",
    [{"messages": 0}, {"messages": 5, "longest_gap_s": 30.0}, {"messages": 5, "lost": 1}],
)
def test_a_follower_that_was_not_served_is_named(seen: dict[str, float]) -> None:
    """No message, a long silence, a lost connection."""
    last = diagnostics(36_100, errors=7, sent=70_050, failed=3, uptime_s=3610.0)

    assert len(failures(FIRST, last, followers=[FIELD_TEST.Follower(**seen)])) == 1


class Bridge(BaseHTTPRequestHandler):
    """Answers as a bridge that reads and sends, one more at each question."""

    asked = 0

    def do_GET(self) -> None:
        """Tell the counters; there is no WebSocket here."""
        if self.path != "/api/diagnostics":
            self.send_error(404)
            return
        type(self).asked += 1
        body = json.dumps(diagnostics(self.asked, sent=self.asked, uptime_s=float(self.asked))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where a bridge of this test answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Bridge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as the guide has it, for a moment."""
    command = [sys.executable, "-m", "rigs.field_test", "--url", url, "--warm-up", "0", "--every", "0.05", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_ends_with_0_when_all_is_well(url: str) -> None:
    """Counters alone, without followers."""
    result = run(url, "--clients", "0", "--minutes", "0.005")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "FAIL" not in result.stdout
    assert "ok    UART: " in result.stdout


def test_the_command_ends_with_1_when_nobody_answers_or_no_follower_is_served(url: str) -> None:
    """A bridge without a WebSocket, and none at all."""
    unserved = run(url, "--clients", "1", "--minutes", "0.005")
    nobody = run("http://127.0.0.1:9", "--clients", "0", "--minutes", "0.001")

    assert (unserved.returncode, nobody.returncode) == (1, 1)
    assert "FAIL  follower 1: 0 messages" in unserved.stdout
    assert nobody.stdout == "FAIL  the bridge never answered\n"
