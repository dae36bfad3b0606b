"""The promise of the whole: fail anywhere, run again, and the job is done without a forbidden state in between."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.tinybms.settings import BmsSettings, Outcome, Report, StaleSettingsError, make_plan
from tinybms_bridge.tinybms.settings.fields import all_settings

MakeFake = Callable[[], tuple[Any, BmsSettings]]
Judge = Callable[[dict[int, int], int], list[str]]

FAULTS = ("nack", "crc", "lost", "unheard", "ignored", "slow", "deaf", "dies", "dies_after")


def ladders() -> st.SearchStrategy[dict[int, int]]:
    """Return registers 316, 301, 300, 315 that keep their distance."""
    steps = st.tuples(st.integers(1200, 2000), st.integers(10, 500), st.integers(10, 800), st.integers(10, 800))
    return steps.map(lambda s: {316: s[0], 301: s[0] + s[1], 300: s[0] + s[1] + s[2], 315: s[0] + sum(s[1:])})


@st.composite
def states(draw: st.DrawFn) -> dict[int, int]:
    """Return a sound state of a unit: voltages, currents, pins and broadcast."""
    cutoff_a = draw(st.integers(1, 700))
    words = draw(ladders()) | {317: cutoff_a, 305: cutoff_a + draw(st.integers(1, 30))}
    words |= {306: draw(st.integers(10, 65500)), 330: 1 | draw(st.integers(0, 30)) << 8}
    words |= dict(zip((331, 334, 341), draw(st.permutations((0, 1, 2)) | st.permutations((0, 3, 4))), strict=True))
    words |= draw(st.sampled_from([{342: 0, 343: 0}, {342: 1, 343: 1}, {342: 5, 343: 2}]))
    return words


def wanted_of(fake: Any, changes: dict[int, int]) -> dict[str, object]:
    """Return the settings of a state by name."""
    words = tuple({**fake.words, **changes}.values())
    return {each.name: each.value(words) for each in all_settings().values()}


async def run_once(bms: BmsSettings, wanted: dict[str, object]) -> Report:
    """Plan and write, as one call of the command does."""
    return await bms.apply(make_plan(await bms.read(), wanted, from_unit=True), confirm=True)


@settings(max_examples=120, deadline=None)
@given(
    start=states(),
    end=states(),
    faults=st.dictionaries(st.integers(1, 14), st.sampled_from(FAULTS), max_size=3),
    enforces=st.booleans(),
)
def test_fail_anywhere_and_run_again(
    make_fake: MakeFake,
    broken: Judge,
    start: dict[int, int],
    end: dict[int, int],
    faults: dict[int, str],
    enforces: bool,
) -> None:
    """At no moment is an ordering rule broken, no write is unguarded, and runs end with everything as wanted."""

    async def body() -> None:
        fake, bms = make_fake()
        fake.words.update(start)
        fake.states = [dict(fake.words)]
        wanted = wanted_of(fake, end)
        fake.faults, fake.enforces = dict(faults), enforces
        reports = []
        for _ in range(len(faults) + 2):
            reports.append(await run_once(bms, wanted))
            check_claims(fake, reports[-1])
            fake.alive = True
            await fake.clock.sleep(5.0)
            if reports[-1].good:
                break

        assert reports[-1].good
        assert {a: fake.words[a] for a in end} == end
        assert fake.unguarded == 0
        assert max(fake.sections_s, default=0.0) <= 1.2
        assert all(not broken(state, 254) for state in fake.states)

    asyncio.run(body())


def check_claims(fake: Any, report: Report) -> None:
    """What is called written is there; what was not tried is as before the run."""
    words = tuple(fake.words.values())
    for result in report.results:
        if result.outcome.good:
            assert result.change.setting.value(words) == result.change.new
        if result.outcome is Outcome.NOT_TRIED:
            left = result.change.old if result.found is None else result.found
            assert result.change.setting.value(words) == left


@pytest.mark.parametrize("kill_at", range(1, 12))
@pytest.mark.parametrize("fault", ["dies", "dies_after"])
async def test_power_loss_at_each_write_of_a_restore(
    make_fake: MakeFake, broken: Judge, kill_at: int, fault: str
) -> None:
    """From LTO with one set of pins to LFP with another: cut the power at every write in turn."""
    fake, bms = make_fake()
    end = dict(fake.words)
    fake.words.update({316: 1600, 301: 1850, 300: 2700, 315: 2850, 305: 70, 317: 60, 331: 2, 334: 1, 342: 1, 343: 1})
    wanted = wanted_of(fake, end | {331: 1, 334: 2, 342: 5, 343: 2})
    fake.faults = {kill_at: fault}
    fake.states = [dict(fake.words)]

    first = await run_once(bms, wanted)
    fake.alive = True
    second = await run_once(bms, wanted)

    assert second.good
    assert first.good == (kill_at > len(fake.writes))
    assert all(not broken(state, 254) for state in fake.states)
    assert len(fake.writes) - len({(write.address, write.values) for write in fake.writes}) <= 1


async def test_a_plan_is_not_carried_out_on_another_state(make_fake: MakeFake) -> None:
    """Somebody changed a setting between looking and agreeing: look again."""
    fake, bms = make_fake()
    plan = await bms.plan({"over_voltage_cutoff_v": 3.8})
    fake.words[300] = 3650

    with pytest.raises(StaleSettingsError, match=r"\(fully_charged_voltage_v\)"):
        await bms.apply(plan)
    assert fake.writes == []
