from typing import Any

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.tinybms.frames import Action, ActionRequest, WriteModbus, to_u32
from tinybms_bridge.tinybms.settings import (
    ACTIONS,
    ActionName,
    BmsSettings,
    ConfirmationError,
    Outcome,
    SettingsError,
)
from tinybms_lab.testing.fake_clock import FakeClock

FakeBms = Any

VALUES = {
    ActionName.SET_STATE_OF_CHARGE: 50,
    ActionName.SET_STATE_OF_HEALTH: 50,
    ActionName.SET_OPERATION_MODE: "single_port",
}


def test_every_action_is_described_with_its_consequence() -> None:
    """A user agrees to something, not to a name."""
    assert set(ACTIONS) == set(ActionName)
    for action in ActionName:
        assert action.info.title.text
        assert len(action.info.consequence.text) > 30
        assert bool(action.info.value) == (action in VALUES)


@pytest.mark.parametrize("action", list(ActionName))
async def test_nothing_is_sent_without_confirmation(fake: FakeBms, bms: BmsSettings, action: ActionName) -> None:
    """Not even a read: each action is refused with its consequence."""
    with pytest.raises(ConfirmationError) as error:
        await bms.perform(action, VALUES.get(action))

    assert [each.message for each in error.value.consequences] == [action.info.consequence]
    assert fake.requests == []


async def test_the_state_of_charge_is_set_and_read_back(fake: FakeBms, bms: BmsSettings) -> None:
    """81.5 % is raw 40750 (0.002 % a step); the proof is the live value, for the register reads 0xFFFF."""
    result = await bms.perform(ActionName.SET_STATE_OF_CHARGE, 81.5, confirm=True)

    assert (result.outcome, result.detail) == (Outcome.WRITTEN, None)
    assert fake.writes == [WriteModbus(328, (40750,))]
    assert to_u32(fake.live[46], fake.live[47]) == 81_500_000
    assert fake.unguarded == 0
    assert max(fake.sections_s) <= 1.2


async def test_the_count_of_the_bridge_is_set_and_goes_on_from_it(fake: FakeBms, clock: FakeClock) -> None:
    """Without a value it is the bridge's own; the bridge hears of it only when it was read back: one act."""
    heard: list[float] = []
    bms = BmsSettings(fake, clock, own_soc=lambda: 64.5, on_soc=heard.append)
    await bms.perform(ActionName.SET_STATE_OF_CHARGE, confirm=True)
    await bms.perform(ActionName.SET_STATE_OF_CHARGE, 20, confirm=True)
    assert fake.writes == [WriteModbus(328, (32250,)), WriteModbus(328, (10000,))]
    assert heard == [64.5, 20.0]

    fake.on_write = lambda request: fake.live.update({46: 0, 47: 0})
    result = await bms.perform(ActionName.SET_STATE_OF_CHARGE, 80, confirm=True)
    assert result.outcome is Outcome.DIFFERS
    assert heard == [64.5, 20.0]


async def test_the_state_of_health_is_set_and_read_back(fake: FakeBms, bms: BmsSettings) -> None:
    """Register 323 against the live register 45."""
    fake.on_write = lambda request: fake.live.update({45: request.values[0]}) if request.address == 323 else None
    result = await bms.perform(ActionName.SET_STATE_OF_HEALTH, 91, confirm=True)

    assert result.outcome is Outcome.WRITTEN
    assert fake.writes == [WriteModbus(323, (45500,))]


@pytest.mark.parametrize("percent", [0, 100, 50.0])
async def test_the_whole_range_of_percent(fake: FakeBms, bms: BmsSettings, percent: float) -> None:
    """Both ends."""
    await bms.perform(ActionName.SET_STATE_OF_CHARGE, percent, confirm=True)

    assert fake.writes[0].values == (round(percent * 500),)


@pytest.mark.parametrize("value", [-0.1, 100.1, "80", True, float("nan"), [80]])
@pytest.mark.parametrize("action", [ActionName.SET_STATE_OF_CHARGE, ActionName.SET_STATE_OF_HEALTH])
async def test_what_is_no_percentage_is_refused(
    fake: FakeBms, bms: BmsSettings, action: ActionName, value: object
) -> None:
    """The old firmware took 500 per mille for 100 %."""
    with pytest.raises(SettingsError, match="allowed are numbers 0 to 100 %"):
        await bms.perform(action, value, confirm=True)
    assert fake.writes == []


async def test_old_firmware_has_no_state_of_health(fake: FakeBms, bms: BmsSettings) -> None:
    """Register 323 is reserved there."""
    fake.old_firmware()
    with pytest.raises(SettingsError, match=r"not available on firmware 2\.3\.242, needs 2\.3\.251"):
        await bms.perform(ActionName.SET_STATE_OF_HEALTH, 90, confirm=True)
    assert fake.writes == []


@pytest.mark.parametrize(
    ("fault", "outcome", "detail"),
    [
        ("nack", Outcome.REFUSED, "the BMS refused command 0x10: command error (code 0)"),
        ("ignored", Outcome.DIFFERS, "the BMS shows 60.0 %"),
        ("lost", Outcome.NO_ANSWER, "the BMS did not answer within 300 ms; the BMS shows 60.0 %"),
        ("unheard", Outcome.WRITTEN, ""),
        ("dies", Outcome.NO_ANSWER, "the BMS did not answer within 300 ms; it cannot be read back"),
    ],
)
async def test_a_state_of_charge_that_was_not_taken_over_is_told(
    fake: FakeBms, bms: BmsSettings, fault: str, outcome: Outcome, detail: str
) -> None:
    """The live value decides."""
    fake.faults = {1: fault}
    result = await bms.perform(ActionName.SET_STATE_OF_CHARGE, 80, confirm=True)

    assert (result.outcome, str(result.detail or "")) == (outcome, detail)
    assert len(fake.writes) == 1


@pytest.mark.parametrize(
    ("action", "option"),
    [(ActionName.CLEAR_EVENTS, Action.CLEAR_EVENTS), (ActionName.CLEAR_STATISTICS, Action.CLEAR_STATISTICS)],
)
async def test_clearing_is_one_acknowledged_request(
    fake: FakeBms, bms: BmsSettings, action: ActionName, option: Action
) -> None:
    """Sent once, never repeated."""
    result = await bms.perform(action, confirm=True)

    assert result.outcome is Outcome.WRITTEN
    assert fake.requests == [ActionRequest(option)]
    assert result.as_dict() == {
        "action": action.value,
        "outcome": "written",
        "detail": "",
        "code": "",
        "parameters": {},
    }


@pytest.mark.parametrize(("fault", "outcome"), [("nack", Outcome.REFUSED), ("lost", Outcome.NO_ANSWER)])
async def test_a_request_that_failed_is_not_repeated(
    fake: FakeBms, bms: BmsSettings, fault: str, outcome: Outcome
) -> None:
    """A second clear or restart is the user's decision."""
    fake.faults = {1: fault}
    result = await bms.perform(ActionName.CLEAR_EVENTS, confirm=True)

    assert result.outcome is outcome
    assert result.detail
    assert len(fake.requests) == 1


@pytest.mark.parametrize("action", [ActionName.SET_STATE_OF_CHARGE, ActionName.SET_STATE_OF_HEALTH])
async def test_a_missing_value_is_told(fake: FakeBms, bms: BmsSettings, action: ActionName) -> None:
    """With what the action takes."""
    with pytest.raises(SettingsError, match=f"{action}: needs a value: percent, 0 to 100"):
        await bms.perform(action, confirm=True)
    assert fake.requests == []


async def test_an_action_without_a_value_takes_none(fake: FakeBms, bms: BmsSettings) -> None:
    """`restart 5` is a mistake."""
    with pytest.raises(SettingsError, match="restart = 5: takes no value"):
        await bms.perform(ActionName.RESTART, 5, confirm=True)
    assert fake.requests == []


async def test_a_restart_is_over_when_the_bms_answers_again(fake: FakeBms, clock: FakeClock, bms: BmsSettings) -> None:
    """Sent once; the line is free while the BMS is away."""
    fake.restart_s = 6.0
    result = await bms.perform(ActionName.RESTART, confirm=True)

    assert result.outcome is Outcome.WRITTEN
    assert 1006.0 <= clock.monotonic() < 1008.0
    assert [type(request) for request in fake.requests].count(ActionRequest) == 1
    assert max(fake.sections_s) <= 1.2


async def test_a_bms_that_does_not_come_back_is_told(fake: FakeBms, bms: BmsSettings) -> None:
    """Acknowledged, and gone."""
    fake.restart_s = 3600.0
    result = await bms.perform(ActionName.RESTART, confirm=True)

    assert result.outcome is Outcome.NO_ANSWER
    assert str(result.detail) == "acknowledged; no answer for 20 s since"


@pytest.mark.parametrize(("fault", "outcome"), [("nack", Outcome.REFUSED), ("lost", Outcome.NO_ANSWER)])
async def test_a_restart_without_acknowledgement(fake: FakeBms, bms: BmsSettings, fault: str, outcome: Outcome) -> None:
    """Refused is refused; without an answer nobody knows whether it restarted."""
    fake.faults = {1: fault}

    assert (await bms.perform(ActionName.RESTART, confirm=True)).outcome is outcome


async def test_the_mode_is_changed_like_a_setting(fake: FakeBms, bms: BmsSettings) -> None:
    """Planned, written and read back after the restart."""
    fake.restart_s = 3.0
    result = await bms.perform(ActionName.SET_OPERATION_MODE, "single_port", confirm=True)

    assert result.outcome is Outcome.WRITTEN
    assert fake.words[340] == 1
    assert (await bms.perform(ActionName.SET_OPERATION_MODE, "single_port", confirm=True)).outcome is Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "needs a value: dual_port or single_port"),
        (1, "is not a text"),
        ("both", "allowed are dual_port, single_port"),
    ],
)
async def test_a_mode_that_does_not_exist_is_refused(
    fake: FakeBms, bms: BmsSettings, value: object, message: str
) -> None:
    """Words only: a raw number is easily mistaken."""
    with pytest.raises(SettingsError, match=message):
        await bms.perform(ActionName.SET_OPERATION_MODE, value, confirm=True)
    assert fake.writes == []


async def test_a_dead_line_before_an_action_is_an_error(fake: FakeBms, bms: BmsSettings) -> None:
    """The firmware version is read before the state of health is set; nothing was sent."""
    fake.alive = False
    with pytest.raises(LinkError):
        await bms.perform(ActionName.SET_STATE_OF_HEALTH, 90, confirm=True)
    assert fake.writes == []
