import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinybms_bridge.cli import cli
from tinybms_bridge.cli.check import check_command
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import keys_of

SAMPLES = Path(__file__).parents[1] / "config" / "samples"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, without a configuration of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "usual.json"))


def check(*arguments: str, text: str | bytes | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(check_command, list(arguments), input=text)


def test_a_good_file_is_said_to_be_usable(tmp_path: Path) -> None:
    """Status 0; nothing on standard output that a script would have to skip."""
    (tmp_path / "a.json").write_text('{"cvl": {"enabled": true}}')

    result = check("a.json")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "a.json: usable\n")


def test_passwords_that_everybody_may_read_are_told(tmp_path: Path) -> None:
    """The file stays usable, but the user should know."""
    path = tmp_path / "a.json"
    path.write_text('{"mqtt": {"username": "boat", "password": "hush"}}')
    path.chmod(0o644)
    assert "notice: configuration: a.json holds mqtt.password and every user" in check("a.json").stderr
    path.chmod(0o600)
    assert "every user" not in check("a.json").stderr
    assert "every user" not in check("-", text=path.read_bytes()).stderr


def test_every_problem_is_one_line(tmp_path: Path) -> None:
    """Path, value as in the file, what is allowed; status 1."""
    (tmp_path / "a.json").write_text(
        '{"cvl": {"enabled": "yes", "float_soc_threshold": 90}, "mqtt": {"prot": 1}, "wifi": {"sta_password": 5}}'
    )

    result = check("a.json")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        'cvl.enabled = "yes": must be true or false',
        "cvl.float_soc_threshold = 90: must be above cvl.float_exit_soc, which is 92 %",
        "mqtt.prot: unknown key; did you mean port?",
        (
            "wifi.sta_password: must be 8 to 63 printable ASCII characters or 64 hexadecimal digits; "
            "empty for an open network"
        ),
    ]
    assert result.stderr == "a.json: 4 problems\n"


def test_one_problem_is_counted_in_the_singular(tmp_path: Path) -> None:
    """Words for people."""
    (tmp_path / "a.json").write_text("{")

    result = check("a.json")

    assert result.exit_code == 1
    assert result.stdout == "configuration: is not JSON: the text ends too early at line 1, column 2\n"
    assert result.stderr == "a.json: 1 problem\n"


def test_values_are_printed_as_json(tmp_path: Path) -> None:
    """true, not True: the user compares with the file."""
    (tmp_path / "a.json").write_text('{"cvl": {"float_exit_soc": true}, "wifi": {"mode": "Straße"}}')

    lines = check("a.json").stdout.splitlines()

    assert lines[0].startswith("cvl.float_exit_soc = true: ")
    assert lines[1].startswith('wifi.mode = "Straße": ')


def test_a_strange_value_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Control sequences of a stranger's file are printed as escapes."""
    (tmp_path / "a.json").write_text('{"wifi": {"mode": "\\u001b[31m\\u009b31m"}}')

    assert check("a.json").stdout.startswith('wifi.mode = "\\u001b[31m\\u009b31m": ')


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_the_samples_are_usable(path: Path) -> None:
    """The files of the README and of the firmware pass as they are."""
    assert check(str(path)).exit_code == 0


def test_notices_are_told(tmp_path: Path) -> None:
    """They are no problems: status 0, on standard error."""
    (tmp_path / "a.json").write_text('{"hardware": {"uart": {"baudrate": 19200}}}')

    result = check("a.json")

    assert result.exit_code == 0
    assert result.stderr.startswith("notice: hardware.uart.baudrate: 19200 is read as 115200")


def test_json_of_notices(tmp_path: Path) -> None:
    """In words, as before, and with code and parameters for programs."""
    (tmp_path / "a.json").write_text('{"hardware": {"uart": {"baudrate": 19200}}}')

    document = json.loads(check("--json", "a.json").stdout)

    (notice,) = document["coded_notices"]
    assert document["notices"] == [f"hardware.uart.baudrate: {notice['text']}"]
    assert (notice["path"], notice["code"]) == ("hardware.uart.baudrate", "config.baud_rate_read_as")
    assert notice["parameters"] == {"given": 19200, "used": 115200}


def test_show_prints_every_value(tmp_path: Path) -> None:
    """Every key with its value, as JSON that can be piped on; null is what only the BMS and its cells decide."""
    (tmp_path / "a.json").write_text('{"cvl": {"float_soc_threshold": 97}, "hardware": {"uart": {"baudrate": 9600}}}')

    result = check("a.json", "--show")
    shown = json.loads(result.stdout)

    assert shown["cvl"]["float_soc_threshold"] == 97.0
    assert shown["hardware"]["uart"]["baudrate"] == 115_200
    assert shown["cvl"]["bulk_soc_threshold"] == 80.0
    assert shown["cvl"]["float_exit_soc"] is None
    assert "with cvl.float_soc_threshold those that are not set keep the values of earlier versions" in result.stderr
    assert list(shown) == list(keys_of(Configuration))


def test_secrets_are_masked(tmp_path: Path) -> None:
    """The output ends up in forum posts."""
    (tmp_path / "a.json").write_text('{"wifi": {"sta_password": "hush hush"}, "web_server": {"password": "hush"}}')

    result = check("a.json", "--show")

    assert "hush" not in result.output
    assert json.loads(result.stdout)["wifi"]["sta_password"] == "********"


def test_a_bad_file_shows_nothing_but_problems(tmp_path: Path) -> None:
    """No values are made up for a file that cannot be used."""
    (tmp_path / "a.json").write_text('{"cvl": 5}')

    result = check("a.json", "--show")

    assert result.exit_code == 1
    assert result.stdout == "cvl: must be an object\n"


def test_schema_prints_json_schema() -> None:
    """For editors; no file is needed."""
    result = check("--schema")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "tinybms-bridge configuration"


def test_without_a_file_the_usual_one_is_checked(tmp_path: Path) -> None:
    """As the bridge itself would find it."""
    (tmp_path / "usual.json").write_text("{}")

    result = check()

    assert result.exit_code == 0
    assert result.stderr == f"{tmp_path / 'usual.json'}: usable\n"


def test_a_missing_usual_file_has_its_own_status(tmp_path: Path) -> None:
    """Status 2, and that the bridge would start all the same."""
    result = check()

    assert result.exit_code == 2
    assert result.stderr == (
        f"error: {tmp_path / 'usual.json'}: cannot be read: No such file or directory; "
        "without a file every key has its default\n"
    )


@pytest.mark.parametrize(("name", "reason"), [("none.json", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(name: str, reason: str) -> None:
    """Status 2 tells scripts that nothing was judged."""
    result = check(name)

    assert result.exit_code == 2
    assert result.stderr == f"error: {name}: cannot be read: {reason}\n"


def test_a_pipe_can_be_checked() -> None:
    """For configurations that are made by a program."""
    assert check("-", text='{"mqtt": {"enabled": true}}').exit_code == 0
    result = check("-", text="[]")
    assert result.exit_code == 1
    assert result.stderr == "standard input: 1 problem\n"


def test_bytes_that_are_no_text_are_a_problem(tmp_path: Path) -> None:
    """A binary file is refused in words."""
    (tmp_path / "a.json").write_bytes(b"\x89PNG\r\n")

    result = check("a.json")

    assert result.exit_code == 1
    assert "is not UTF-8 text: byte 0x89 in line 1" in result.stdout


def test_help_teaches() -> None:
    """Examples and the exit status are in the help."""
    text = check("--help").stdout

    assert "tinybms-bridge check my.json" in text
    assert "0 usable, 1 problems, 2 the file cannot be read" in text


def test_the_command_belongs_to_the_command_line() -> None:
    """tinybms-bridge check finds it."""
    result = CliRunner().invoke(cli, ["check", "--schema"])

    assert result.exit_code == 0
    assert result.stdout.startswith("{")


def test_a_value_per_cell_is_a_problem() -> None:
    """Other programs ask for 3.45; here the pack is meant, and the bridge would not use it."""
    result = check("-", text='{"cvl": {"bulk_voltage_v": 3.45}}')

    assert result.exit_code == 1
    assert result.stdout == (
        "cvl.bulk_voltage_v = 3.45: is a value per cell; that of the pack is meant: 55.2 V for example 16 cells\n"
    )


def test_json_of_a_good_file(tmp_path: Path) -> None:
    """One document, with the values when they are asked for."""
    (tmp_path / "a.json").write_text('{"victron": {"battery_name": "Aft"}}')

    short, long = (json.loads(check("--json", *more, "a.json").stdout) for more in ([], ["--show"]))

    assert (short["file"], short["usable"], short["problems"]) == ("a.json", True, [])
    assert "configuration" not in short
    assert long["configuration"]["victron"]["battery_name"] == "Aft"


def test_json_of_a_bad_file(tmp_path: Path) -> None:
    """The problems are the result, on standard output; status 1."""
    (tmp_path / "a.json").write_text('{"mqtt": {"prot": 1}}')

    result = check("--json", "a.json")

    document = json.loads(result.stdout)
    assert (result.exit_code, document["usable"], result.stderr) == (1, False, "")
    (found,) = document["problems"]
    assert (found["path"], found["value"]) == ("mqtt.prot", None)
    assert found["message"] == found["text"] == "unknown key; did you mean port?"
    assert (found["code"], found["parameters"]) == ("config.unknown_key", {"meant": ["port"]})


def test_json_of_a_file_that_cannot_be_read() -> None:
    """Nothing was judged: no result, and the reason on standard error; status 2."""
    result = check("--json", "none.json")

    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr) == {
        "error": "none.json: cannot be read: No such file or directory",
        "exit_status": 2,
    }
