from collections.abc import Callable
from typing import ClassVar, cast

import pytest
from click.testing import Result

from tinybms_bridge.cli import reset
from tinybms_bridge.cli.reset import reset_command
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_bridge.tinybms.frames import Action, ActionRequest, Reply, Request
from tinybms_lab.bms import DumpDevice, real_dump

Invoke = Callable[..., Result]
Serve = Callable[..., str]


class Unit(DumpDevice):
    """The captured unit, which remembers what it was told to do."""

    def __init__(self) -> None:
        super().__init__(real_dump(), SystemClock())
        self.done: list[Action] = []
        self.refuses = False
        self.dies = False
        self._dead = False

    def act(self, action: Action) -> bool:
        if self.refuses:
            return False
        self.done.append(action)
        self._dead = self.dies
        return super().act(action)

    def hear(self) -> bool:
        return super().hear() and not self._dead


@pytest.fixture
def unit() -> Unit:
    """A unit that obeys."""
    return Unit()


@pytest.fixture
def port(unit: Unit, serve: Serve) -> str:
    """Its port."""
    return serve(unit)


@pytest.mark.usefixtures("soon_silent")
@pytest.mark.parametrize(
    ("what", "word", "action", "answer"),
    [
        ("events", "erase the events", Action.CLEAR_EVENTS, "the event log is empty"),
        ("statistics", "erase the statistics", Action.CLEAR_STATISTICS, "the statistics were cleared at second 0"),
        ("bms", "cut the power", Action.RESET, "the BMS has restarted and answers again"),
    ],
)
def test_the_consequence_has_to_be_typed(
    unit: Unit, port: str, invoke: Invoke, what: str, word: str, action: Action, answer: str
) -> None:
    """Then it is done once, and the result is read back."""
    result = invoke(reset_command, what, "--device", port, typed=f"{word}\n")
    assert result.exit_code == 0, result.output
    assert unit.done == [action]
    assert answer in result.stdout


def test_capitals_and_blanks_do_not_matter(unit: Unit, port: str, invoke: Invoke) -> None:
    """The words count, not the typing."""
    assert invoke(reset_command, "events", "--device", port, typed=" Erase the Events \n").exit_code == 0
    assert unit.done == [Action.CLEAR_EVENTS]


@pytest.mark.parametrize("typed", ["\n", "y\n", "yes\n", "erase the events\n"])
def test_anything_else_does_nothing(unit: Unit, port: str, invoke: Invoke, typed: str) -> None:
    """A thoughtless yes must not cut the power, nor the words of a harmless reset."""
    result = invoke(reset_command, "bms", "--device", port, typed=typed)
    assert result.exit_code == 1
    assert "nothing was done" in result.stderr
    assert unit.done == []


def test_nobody_to_ask_does_nothing(unit: Unit, port: str, invoke: Invoke) -> None:
    """A script without a terminal has to say --yes."""
    result = invoke(reset_command, "bms", "--device", port)
    assert result.exit_code == 1
    assert "--yes" in result.stderr
    assert unit.done == []


def test_yes_asks_nothing(unit: Unit, port: str, invoke: Invoke) -> None:
    """For scripts that know the consequence."""
    result = invoke(reset_command, "events", "--yes", "--device", port)
    assert (result.exit_code, result.stderr) == (0, "")
    assert unit.done == [Action.CLEAR_EVENTS]


def test_the_question_names_the_consequence(port: str, invoke: Invoke) -> None:
    """Whoever restarts the BMS has to know that the power of the house goes."""
    shown = invoke(reset_command, "bms", "--device", port, typed="\n").stderr
    assert "LOAD and CHARGER switches" in shown
    assert "power" in shown
    assert 'Type "cut the power" to go on' in shown


def test_every_target_uses_the_option_of_the_protocol() -> None:
    """Command 0x02: 1 events, 2 statistics, 5 restart; a mix-up would cut the power in place of clearing a list."""
    options = {what: Action(target.action) for what, target in reset._TARGETS.items()}
    assert options == {"events": Action.CLEAR_EVENTS, "statistics": Action.CLEAR_STATISTICS, "bms": Action.RESET}
    words = [target.word for target in reset._TARGETS.values()]
    assert len(set(words)) == 3


def test_events_that_come_at_once_are_told(
    unit: Unit, port: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A BMS that logs on is no failure."""
    monkeypatch.setattr(DumpDevice, "act", lambda *_: True)
    result = invoke(reset_command, "events", "--yes", "--device", port)
    assert result.stdout.strip() == "the event log was cleared; 4 new events since"


def test_a_refusal_is_told(unit: Unit, port: str, invoke: Invoke) -> None:
    """NACK: nothing was done."""
    unit.refuses = True
    result = invoke(reset_command, "statistics", "--yes", "--device", port)
    assert result.exit_code == 1
    assert "the BMS refused command 0x02" in result.stderr


@pytest.mark.usefixtures("soon_silent")
def test_a_bms_that_does_not_return_is_a_failure(
    unit: Unit, port: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switches may be open now: that has to be said loudly."""
    monkeypatch.setattr(reset, "_RETURN_TIMEOUT_S", 0.3)
    monkeypatch.setattr(reset, "_RETURN_INTERVAL_S", 0.1)
    unit.dies = True
    result = invoke(reset_command, "bms", "--yes", "--device", port)
    assert result.exit_code == 1
    assert "has accepted the restart but does not answer" in result.stderr
    assert "check the battery" in result.stderr


async def test_a_lost_answer_says_that_it_may_have_been_done() -> None:
    """Doing it twice cuts the load a second time: it is sent once, and the user is told to look."""

    class Mute:
        asked: ClassVar[list[Request]] = []

        async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
            self.asked.append(request)
            raise LinkError("the BMS did not answer within 300 ms")

    with pytest.raises(LinkError) as caught:
        await reset._act(cast("TinyBmsClient", Mute()), Action.RESET)
    assert "it may or may not have been done" in str(caught.value)
    assert Mute.asked == [ActionRequest(Action.RESET)]


def test_a_missing_port_is_one_clear_line(invoke: Invoke) -> None:
    """Exit code 1, no traceback."""
    result = invoke(reset_command, "events", "--yes", "--device", "/dev/ttyNOTHERE")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: serial port /dev/ttyNOTHERE does not exist")


def test_an_unknown_target_lists_the_known(invoke: Invoke) -> None:
    """A typo must not restart anything."""
    result = invoke(reset_command, "everything", "--yes")
    assert result.exit_code == 2
    assert all(word in result.stderr for word in ("events", "statistics", "bms"))
