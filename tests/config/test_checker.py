import hashlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge import __version__
from tinybms_bridge.config.checker import CheckAnswer, CheckRequest, answer
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.opening import open_configuration
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.config.values import from_values, values_of

GOOD = {
    "hardware": {"uart": {"device": "/dev/ttyS5"}},
    "mqtt": {"username": "boat", "password": "hush hush"},
    "wifi": {"sta_ssid": "Home"},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with the usual file in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "usual.json"))
    return tmp_path


def write(path: Path, document: object) -> str:
    """Write a file that its owner alone may read, and return its path."""
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(0o600)
    return str(path)


def device(found: CheckAnswer) -> str:
    """Return the serial port that is to be in force."""
    assert found.values is not None
    return from_values(found.values).hardware.uart.device


def test_a_good_file_gives_its_values(home: Path) -> None:
    """Every value with its secrets, and what a program that opens the file itself would tell."""
    path = write(home / "a.json", GOOD)
    found = answer(CheckRequest(path))
    opened = open_configuration(path, Overrides())

    assert found == CheckAnswer(
        path=path,
        values=values_of(opened.config),
        remarks=opened.remarks,
        notices=opened.store.notices,
        source=path,
        digest=hashlib.sha256(Path(path).read_bytes()).hexdigest(),
    )
    assert found.version == __version__
    assert found.values is not None
    assert found.values["mqtt"]["password"] == "hush hush"
    assert [notice.path for notice in found.notices] == ["wifi"]


def test_without_a_file_every_key_has_its_default(home: Path) -> None:
    """In the usual place; and that is told."""
    found = answer(CheckRequest())

    assert found.values == values_of(Configuration())
    assert (found.path, found.digest, found.problems) == (str(home / "usual.json"), None, ())
    assert "does not exist" in found.remarks[0]


def test_a_named_file_that_is_missing_is_a_problem(home: Path) -> None:
    """A typo starts no bridge with defaults."""
    found = answer(CheckRequest(str(home / "typo.json")))

    assert found.values is None
    assert [str(problem) for problem in found.problems] == ["configuration: the file does not exist"]
    assert found.source == str(home / "typo.json")


def test_a_file_that_is_gone_is_no_problem_of_a_running_bridge(home: Path) -> None:
    """An editor may be about to put the next one there; without a digest nobody takes the defaults for its values."""
    found = answer(CheckRequest(str(home / "gone.json"), fall_back=False))

    assert (found.problems, found.digest) == ((), None)


def test_every_problem_is_told_with_its_value(home: Path) -> None:
    """As `check` does, and no value of a secret."""
    document = {"cvl": {"bulk_soc_threshold": 101}, "mqtt": {"password": 5, "username": "x"}, "mqqt": {}}
    found = answer(CheckRequest(write(home / "a.json", document)))

    assert found.values is None
    assert [(problem.path, problem.value) for problem in found.problems] == [
        ("cvl.bulk_soc_threshold", 101),
        ("mqtt.password", None),
        ("mqqt", None),
    ]


def test_a_bad_file_gives_way_to_its_last_good_copy(home: Path) -> None:
    """At a start: with what is wrong, and the word that it is a copy."""
    path = write(home / "a.json", GOOD)
    assert not answer(CheckRequest(path)).fell_back
    write(home / "a.json", "{")
    found = answer(CheckRequest(path))

    assert device(found) == "/dev/ttyS5"
    assert found.fell_back
    assert [problem.path for problem in found.problems] == [""]
    assert found.remarks[-1] == "the last good configuration is in force"


def test_a_running_bridge_gets_no_copy_and_makes_none(home: Path) -> None:
    """It has the last good configuration in force, and judges the next one itself before that is good."""
    path = write(home / "a.json", GOOD)
    answer(CheckRequest(path))
    write(home / "a.json", {"hardware": {"uart": {"device": "/dev/ttyS6"}}})
    assert device(answer(CheckRequest(path, fall_back=False))) == "/dev/ttyS6"
    write(home / "a.json", "{")
    found = answer(CheckRequest(path, fall_back=False))

    assert found.values is None
    assert [problem.path for problem in found.problems] == [""]
    assert device(answer(CheckRequest(path))) == "/dev/ttyS5"


def test_the_command_line_wins(home: Path) -> None:
    """Over the file, over the copy; and what it says wrong is named as such."""
    path = write(home / "a.json", GOOD)
    assert device(answer(CheckRequest(path, Overrides(device="/dev/ttyUSB3")))) == "/dev/ttyUSB3"
    write(home / "a.json", "{")
    assert device(answer(CheckRequest(path, Overrides(device="/dev/ttyUSB4")))) == "/dev/ttyUSB4"
    found = answer(CheckRequest(path, Overrides(can_interface="tin-can")))

    assert found.values is None
    assert (found.source, [problem.path for problem in found.problems]) == ("command line", ["hardware.can.interface"])


@pytest.mark.parametrize(
    "document", [GOOD, {"cvl": {"bulk_soc_threshold": float("nan")}}, {"wifi": {"sta_ssid": "☕"}}]
)
def test_the_process_answers_as_the_function_does(home: Path, document: dict[str, Any]) -> None:
    """One request on standard input, one answer on standard output, nothing else."""
    request = CheckRequest(write(home / "a.json", document), Overrides(log_level="DEBUG"))
    result = subprocess.run(
        [sys.executable, "-m", "tinybms_bridge.config.checker"],
        input=json.dumps(asdict(request)).encode(),
        capture_output=True,
        check=True,
    )

    assert result.stderr == b""
    assert repr(json.loads(result.stdout)) == repr(json.loads(json.dumps(asdict(answer(request)))))


def test_the_messages_need_no_checker() -> None:
    """The core imports them: pydantic comes with the first answer."""
    code = "import sys, tinybms_bridge.config.checker; print([m for m in sys.modules if 'pydantic' in m])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
