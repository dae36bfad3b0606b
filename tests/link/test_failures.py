"""Errors that cross the link."""

import errno

import pytest

from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, DeviceRefused, LinkError
from tinybms_bridge.link.codec import decoder, from_json, to_json
from tinybms_bridge.link.failures import Failure, FailureKind, error_of, failure_of
from tinybms_bridge.tinybms.settings import (
    Caution,
    ConfirmationError,
    SettingProblem,
    SettingsError,
    StaleSettingsError,
)
from tinybms_bridge.words import message
from tinybms_lab.testing.words import said


def crossed(error: BaseException) -> Exception:
    """Return what the caller gets of an error of the core."""
    failure = failure_of(error)
    assert failure is not None
    return error_of(decoder(Failure)(from_json(to_json(failure))))


@pytest.mark.parametrize(
    "error",
    [
        LinkError("no answer", hint="check the cable"),
        LinkError("no answer"),
        DeviceRefused(0x10, 0),
        DeviceRefused(0x10, 1),
        ConfigError(
            [
                ConfigProblem("a.b", 3, said("too small")),
                ConfigProblem("", None, said("no object")),
            ],
            source="file",
        ),
        SettingsError(
            [
                SettingProblem("x_v", said("is too high"), 3.7),
                SettingProblem("", said("is doubtful")),
            ]
        ),
        ConfirmationError([Caution("ignition", said("it restarts"), needs_confirmation=True)]),
        StaleSettingsError(["over_voltage_cutoff_v"]),
        ValueError("duration_s: must be 1 or more"),
        KeyError("mqtt"),
        OSError(errno.ENOSPC, "No space left on device", "/var/lib/x"),
        PermissionError(errno.EACCES, "Permission denied"),
        BridgeError("the bridge ends"),
    ],
)
def test_caller_gets_the_error_that_the_core_raised(error: Exception) -> None:
    """The same class, the same words, the same facts: what a caller does about it does not depend on the link."""
    back = crossed(error)

    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back).keys() == vars(error).keys()


def test_problems_of_a_configuration_keep_their_values() -> None:
    """A value that is no data is told in words."""
    back = crossed(
        ConfigError(
            [
                ConfigProblem("a", {"b": [1.5, None]}, said("x")),
                ConfigProblem("c", object, said("y")),
            ]
        )
    )

    assert isinstance(back, ConfigError)
    assert back.problems[0].value == {"b": [1.5, None]}
    assert back.problems[1].value == "<class 'object'>"


def test_class_of_an_error_that_is_not_known_is_that_of_its_base() -> None:
    """Every error of the program can be told, also one that has no kind of its own."""

    class NovelError(BridgeError):
        """Of a part that the link does not know."""

    assert type(crossed(NovelError("a novelty"))) is BridgeError
    assert str(crossed(NovelError("a novelty"))) == "a novelty"


def test_time_that_ran_out_may_be_tried_again() -> None:
    """A time-out has no number of the system and says that something was too slow."""
    back = crossed(TimeoutError())

    assert isinstance(back, LinkError)
    assert str(back) == "it took too long"


def test_fault_of_the_program_is_no_failure_of_the_caller() -> None:
    """It goes to the log of the core instead."""
    assert failure_of(ZeroDivisionError()) is None
    assert failure_of(AttributeError("x")) is None


def test_kind_of_a_newer_core_can_be_tried_again() -> None:
    """Its words are told, and nothing is guessed from its name."""
    back = error_of(Failure("novel", message("novel.code", count=3), hint=message("core.busy")))

    assert isinstance(back, LinkError)
    assert str(back) == "novel.code (too many commands at once)"


def test_code_and_parameters_cross_with_the_text() -> None:
    """So that a page in another language tells what happened, and not that somebody said it."""
    back = crossed(LinkError(message("device.no_answer", timeout_ms=300), hint=message("device.line")))

    assert isinstance(back, LinkError)
    assert back.what == message("device.no_answer", timeout_ms=300)
    assert back.what.say("fr") == "le BMS n'a pas répondu en 300 ms"
    assert back.remedy == message("device.line")


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_is_an_error(kind: FailureKind) -> None:
    """No kind is without one, and each tells what the core said."""
    back = error_of(
        Failure(
            kind,
            said("so it is"),
            problems=(ConfigProblem("x", 1, said("so it is")),),
            names=("so it is",),
        )
    )

    assert isinstance(back, BridgeError | OSError | ValueError | KeyError)
    assert "so it is" in str(back) or isinstance(back, DeviceRefused)


def test_what_is_refused_keeps_its_codes() -> None:
    """A caller can say in another language what the core has found wrong, and what would have to be confirmed."""
    caution = Caution("series_cells", message("caution.series_cells"), needs_confirmation=True)
    problem = SettingProblem("ignition", message("setting.not_text", allowed=message("setting.percent")), 5)
    refused, unconfirmed = crossed(SettingsError([problem])), crossed(ConfirmationError([caution]))

    assert isinstance(refused, SettingsError)
    assert isinstance(unconfirmed, ConfirmationError)
    assert refused.problems == (problem,)
    assert refused.description.say("fr") == "ignition = 5 : n'est pas un texte ; pour cent, 0 à 100"
    assert unconfirmed.consequences == (caution,)
    assert unconfirmed.description.say("fr").startswith("demande confirmation : series_cells : change les broches")
