"""Whatever is pulled, plugged, swapped, replaced or killed: what holds of several packs after each step."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.pack_rig import PackRig, Unit

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.link.events import Noted
from tinybms_lab.testing.virtual_time import VirtualLoop

PACKS = "abc"
FRESH_S, HOLD_S = 3.0, 30.0
_NAMES = st.sampled_from(PACKS)
_SLOW = {"poll_interval_ms": 500, "poll_interval_min_ms": 500}


class SeveralPacks(RuleBasedStateMachine):
    """Three packs; every unit has a current of its own, so that counters that are mixed up show."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.rig = PackRig(len(PACKS), loop=self.loop)
        self.spare = 50
        self.highest = EnergyTotals()
        self.told_wh = 0.0
        self.heard_s = 0.0
        self.counted: dict[str, float] = {}
        self.vanished_s: dict[str, float] = {}

    def run(self, work: Any) -> Any:
        """Let it happen on the loop of this trial."""
        asyncio.set_event_loop(self.loop)
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        """All is plugged in."""
        for number, unit in enumerate(self.rig.units.values()):
            unit.bms.set_current_a(10.0 * (number + 1))
        self.run(self.rig.started(self.rig.document(tinybms=_SLOW)))

    def port(self, name: str) -> Any:
        """Return the port that the configuration gives a pack."""
        return self.rig.ports[f"/dev/{name}"]

    @rule(name=_NAMES)
    def pull(self, name: str) -> None:
        """An adapter goes."""
        self.run(self._do(self.port(name).pull))

    @rule(name=_NAMES)
    def mute(self, name: str) -> None:
        """A unit says nothing any more."""
        self.port(name).mute = True

    @rule(name=_NAMES)
    def restore(self, name: str) -> None:
        """All is well again at a port."""
        self.port(name).mute, self.port(name).present = False, True

    @rule(one=_NAMES, two=_NAMES)
    def swap(self, one: str, two: str) -> None:
        """Two units change places."""
        if one != two:
            self.run(self._do(self.rig.swap, f"/dev/{one}", f"/dev/{two}"))

    @rule(name=_NAMES)
    def replace(self, name: str) -> None:
        """A new unit is put in; its number is its own."""
        self.spare += 1
        unit = Unit(self.rig.clock, self.spare)
        unit.bms.set_current_a(5.0)
        self.run(self._do(self.port(name).pull))
        self.port(name).plug(unit)

    @rule()
    def reset_hub(self) -> None:
        """All adapters are lost and found again."""
        for name in PACKS:
            present = self.port(name).present
            self.run(self._do(self.port(name).pull))
            self.port(name).present = present

    @rule(name=_NAMES, enabled=st.booleans())
    def serve(self, name: str, enabled: bool) -> None:
        """A person takes a pack out, or puts it back; at least one stays."""
        packs = {each: {"uart": {"device": f"/dev/{each}"}} for each in PACKS}
        out = {each for each, pack in self.rig.bridge.packs.items() if not pack.in_service} - {name}
        for each in out | (set() if enabled else {name}):
            packs[each]["enabled"] = False  # type: ignore[assignment]
        if any(pack.get("enabled", True) for pack in packs.values()):
            config = self.rig.configuration(packs=packs, tinybms=_SLOW)
            self.run(self._do(self.rig.bridge.apply, config))

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        """The core ends, and begins again."""
        self.run(self.rig.kill() if kill else self.rig.end())
        self.highest = EnergyTotals()
        self.counted = {}
        self.vanished_s = {}
        self.run(self._start())

    async def _start(self) -> None:
        self.rig.start(self.rig.document(tinybms=_SLOW))
        await self._watch(8.0)

    @rule(seconds=st.sampled_from([0.3, 1.0, 4.0, 12.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        """Wait, and look at every step of it."""
        self.run(self._watch(seconds))

    async def _do(self, deed: Any, *arguments: Any) -> None:
        deed(*arguments)
        await asyncio.sleep(0.0)

    async def _watch(self, seconds: float) -> None:
        while seconds > 0.0:
            await asyncio.sleep(min(0.5, seconds))
            seconds -= 0.5
            self._look()

    def _look(self) -> None:
        bridge, now_s = self.rig.bridge, self.rig.clock.monotonic()
        state = bridge.state()
        energy, conditions = state.energy, {name: pack.condition for name, pack in state.packs.items()}
        assert energy.charged_wh >= self.highest.charged_wh
        assert energy.discharged_wh >= self.highest.discharged_wh
        self.highest = energy
        if state.may_send:
            assert state.saved_energy.charged_wh >= self.told_wh, "what a GX was told never falls, over no restart"
            self.told_wh = state.saved_energy.charged_wh
        healthy = [pack for pack in state.packs.values() if pack.is_online]
        if healthy and state.freshness is Freshness.FRESH:
            assert state.limits.dcl_a > 0.0
        for name, condition in conditions.items():
            if condition in (PackCondition.SILENT, PackCondition.STARTING):
                self.vanished_s.setdefault(name, now_s)
            else:
                self.vanished_s.pop(name, None)
        if state.decided is not None:
            for name, since_s in self.vanished_s.items():
                if 0.5 < now_s - since_s < HOLD_S - 1.0:
                    assert state.limits.ccl_a == 0.0, f"{name} is silent since {now_s - since_s}"
        heard = self.rig.heard_since(now_s - 1.0)
        taken_s = [pack.latest.taken_at_s for pack in state.packs.values() if pack.latest is not None]
        self.heard_s = max([self.heard_s, *taken_s])
        fresh_before = now_s - self.heard_s < FRESH_S + HOLD_S + 2.0
        assert not heard or fresh_before, "frames only while something is fresh, or within the hold"

    @invariant()
    def counters_belong_to_their_units(self) -> None:
        """A unit has a current of its own: no counter grows faster than that of the unit whose it is."""
        if not hasattr(self.rig, "bridge"):
            return
        self._look()
        saved = self.rig.bridge.saved_units()
        for key, kept in saved.units.items():
            before = self.counted.get(key, kept.energy.charged_ah)
            assert kept.energy.charged_ah >= before
            self.counted[key] = kept.energy.charged_ah
        assert len(set(saved.packs.values())) == len(saved.packs), "no unit is two packs"
        now_s = self.rig.clock.monotonic()
        for number, unit in enumerate(self.rig.units.values()):
            kept_of_unit = saved.units.get(unit.serial)
            if kept_of_unit is not None:
                most_ah = 10.0 * (number + 1) * (now_s - 900.0) / 3600.0
                assert kept_of_unit.energy.charged_ah <= most_ah * 1.02

    @invariant()
    def what_is_shown_is_the_unit_that_answers(self) -> None:
        """A pack in use shows the unit that is plugged where its samples come from."""
        if not hasattr(self.rig, "bridge"):
            return
        saved = self.rig.bridge.saved_units()
        shown = []
        for name, pack in self.rig.bridge.state().packs.items():
            line = self.rig.bridge.packs[name]
            unit = self.rig.ports[line.device].unit
            now_s = self.rig.clock.monotonic()
            young = pack.latest is not None and now_s - pack.latest.taken_at_s < 0.4
            if pack.condition is PackCondition.IN_USE and young and line.answers and unit is not None:
                shown.append(unit.serial)
                if line.identity is not None:
                    assert line.identity.serial_number == saved.packs[name]
        assert all(count == 1 for count in Counter(shown).values())

    def teardown(self) -> None:
        """End it; the list of events is no storm."""
        with suppress(AttributeError):
            self.rig.told()
            noted = [each for each in self.rig.events if isinstance(each, Noted)]
            assert len(noted) < 400
        self.run(self.rig.end())
        self.loop.close()
        asyncio.set_event_loop(None)


TestSeveralPacks = SeveralPacks.TestCase
TestSeveralPacks.settings = settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
)
