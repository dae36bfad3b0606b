import pytest

from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, DeviceRefused, LinkError, described
from tinybms_lab.testing.words import said


@pytest.mark.parametrize(
    "error",
    [
        LinkError("no answer"),
        DeviceRefused(0x0D, 1),
        ConfigError([ConfigProblem("", None, said("empty"))]),
    ],
)
def test_one_base_for_all(error: BridgeError) -> None:
    """Every error that is raised on purpose can be caught as BridgeError and says something."""
    assert isinstance(error, BridgeError)
    assert str(error)


def test_kinds_are_told_apart() -> None:
    """What may be retried is never caught together with what may not."""
    assert not issubclass(DeviceRefused, LinkError)
    assert not issubclass(ConfigError, LinkError)
    assert not issubclass(LinkError, OSError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (LinkError("the BMS did not answer within 300 ms"), "the BMS did not answer within 300 ms"),
        (
            LinkError("no permission to open /dev/ttyUSB0", hint="add the user to dialout"),
            "no permission to open /dev/ttyUSB0 (add the user to dialout)",
        ),
    ],
)
def test_link_error_carries_its_hint(error: LinkError, text: str) -> None:
    """The hint stands in brackets behind what happened and is absent when there is none."""
    assert str(error) == text


@pytest.mark.parametrize(("code", "reason"), [(0, "command error"), (2, "unknown reason"), (255, "unknown reason")])
def test_refusal_names_command_and_code(code: int, reason: str) -> None:
    """A NACK is shown with the command in hex, the reason in words, and its code for the vendor's support."""
    error = DeviceRefused(0x0D, code)

    assert str(error) == f"the BMS refused command 0x0D: {reason} (code {code})"
    assert (error.command, error.code) == (0x0D, code)


def test_a_request_that_arrived_damaged_is_told_as_noise() -> None:
    """The BMS refused nothing: the user is sent to the cable, not to the request."""
    error = DeviceRefused(0x03, 1)

    assert str(error) == (
        "the BMS received command 0x03 corrupted (the line is disturbed: check cable and ground, and try again)"
    )
    assert error.corrupted
    assert not DeviceRefused(0x03, 0).corrupted


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            ConfigProblem("cvl.float_exit_soc", 120, said("must be 0 to 100 %")),
            "cvl.float_exit_soc = 120: must be 0 to 100 %",
        ),
        (
            ConfigProblem("mqtt.broker", "", said("must not be empty")),
            "mqtt.broker = '': must not be empty",
        ),
        (ConfigProblem("web_server.port", None, said("is missing")), "web_server.port: is missing"),
        (ConfigProblem("", None, said("is not JSON")), "configuration: is not JSON"),
        (
            ConfigProblem("cvl.enabled", False, said("must be true")),
            "cvl.enabled = False: must be true",
        ),
    ],
)
def test_config_problem_names_path_and_value(problem: ConfigProblem, text: str) -> None:
    """A problem shows its path, the value that was found (zero and false included) and what is expected."""
    assert str(problem) == text


def test_config_error_shows_every_problem() -> None:
    """All mistakes of a file are shown at once, in their order, with the name of the file."""
    problems = [
        ConfigProblem("a", 1, said("too small")),
        ConfigProblem("b", 2, said("too large")),
    ]
    error = ConfigError(problems, source="config.json")

    assert error.problems == problems
    assert str(error) == "config.json: a = 1: too small; b = 2: too large"
    assert str(ConfigError(problems[:1])) == "a = 1: too small"


def test_an_error_in_a_task_group_is_told_as_it_is() -> None:
    """Not as "unhandled errors in a TaskGroup", however deep it lies."""
    inner = ExceptionGroup("unhandled errors in a TaskGroup", [LinkError("no answer"), ValueError("later")])
    told = described(ExceptionGroup("unhandled errors in a TaskGroup", [inner]))

    assert told.text == "no answer"
    assert told == LinkError("no answer").description
