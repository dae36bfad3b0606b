"""Shared by all tests: a blocked event loop fails, what is skipped is told, files are spread over the cores.

Hypothesis tries the same examples each time, so that a change is red for its own sake. ``make test-random`` sets
``HYPOTHESIS_PROFILE=random`` and looks for new ones.
"""

import asyncio
import json
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits.model import ChargeState, Freshness, Limits
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import Cells, Identity, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.battery.state import MAIN_PACK, BatteryState, PackState
from tinybms_bridge.config.checker import CheckRequest, answer
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.overrides import Overrides, override
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.configuration import Checked, check_file
from tinybms_bridge.core.control import Control
from tinybms_bridge.core.event_store import EventStore
from tinybms_bridge.core.follow import Follower
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanPort
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.interfaces import network_interfaces
from tinybms_bridge.hal.storage import MemoryStorage, Storage
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.server import LinkServer
from tinybms_bridge.link.state import CoreState
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.live.watch import Watch
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.tinybms.registers import catalogue
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.link_place import PATIENCE_S
from tinybms_lab.testing.serial_memory import MemoryLine
from tinybms_lab.testing.virtual_time import VirtualLoop

T = TypeVar("T")

# A loaded machine is no failure; what an example found is printed so that it can be repeated.
common = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", common, derandomize=True)
settings.register_profile("random", common, max_examples=300)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Return what spreads the tests over the processes of pytest-xdist: those of one file in one process."""
    config.option.loadscopereorder = False  # it would begin with the files that have the most tests
    return _Scheduling(config, log)


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """All scenarios of the machine are one file here: they share one machine, and there is never a second one."""

    def _split_scope(self, nodeid: str) -> str:
        machine = "tests/hil/guest/"
        return machine if nodeid.startswith(machine) else str(super()._split_scope(nodeid))


LONGEST_FIRST = ("tests/hil", "tests/lab/bench", "tests/rigs", "tests/end_to_end", "tests/ui", "tests/battery/limits")
"""Folders with tests that take long: begun at the end, they would keep one process busy and the others idle."""


UNTRACED = frozenset(Path(__file__).with_name("untraced.txt").read_text().split())
"""Long tests that reach next to nothing which others do not: ``scripts/untraced_tests.py``."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose tests take long; let coverage leave out those that add nothing."""
    items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in LONGEST_FIRST])
    if "TRACE_ALL_TESTS" not in os.environ:
        for item in items:
            if item.nodeid.partition("[")[0] in UNTRACED:
                item.add_marker("no_cover")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Leave one tracer in a process of pytest-xdist: pytest-cov begins two there, and ``no_cover`` stops only one."""
    coverage = session.config.pluginmanager.get_plugin("_cov")
    if coverage is not None and hasattr(session.config, "workerinput"):
        coverage.cov_controller.cov.stop()  # what it would measure is read by nobody


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let continuous integration insist on every test."""
    parser.addoption("--no-skips", action="store_true", help="a test that is skipped is a failure")


def pytest_configure() -> None:
    """Let Ctrl-C work as at a terminal: what a shell starts in the background ignores it, and so do its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With ``--no-skips``, fail a run that skipped something."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("no_skips") and reporter is not None and _skipped(reporter) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """End with what this machine could not run, and why."""
    skipped = _skipped(terminalreporter)
    if not skipped:
        return
    failed = config.getoption("no_skips")
    terminalreporter.section("skipped, which is a failure here" if failed else "skipped on this machine", red=failed)
    for reason, tests in skipped.items():
        terminalreporter.write_line(f"{reason}: {len(tests)}")
        for test in tests:
            terminalreporter.write_line(f"    {test}")


def _skipped(reporter: pytest.TerminalReporter) -> dict[str, list[str]]:
    """Return the skipped tests, or files, by reason."""
    found: dict[str, list[str]] = {}
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)
    return found


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loop of a test: one that jumps from moment to moment for those that ask for it."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def tables() -> None:
    """Read the tables of the package before any event loop, as the programs do (``test_cold_start.py``)."""
    catalogue()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_announced() -> Iterator[None]:
    """Fail when a bridge of a test tells a real network of itself: whole programs listen on this machine alone.

    What is told to all is heard here too. Trials of the announcement have networks of their own.
    """
    interfaces = [each for each in network_interfaces() if each.running and each.multicast and not each.loopback]
    own = {str(each.address) for interface in interfaces for each in interface.addresses}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setsockopt(socket.IPPROTO_IP, 49, 0)  # IP_MULTICAST_ALL
        with suppress(OSError):  # another program has the port for itself
            listener.bind(("", 5353))
        for interface in interfaces:
            with suppress(OSError):  # it has gone
                group = struct.pack("=4s4sI", socket.inet_aton("224.0.0.251"), b"\0" * 4, interface.index)
                listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        yield
        heard = []
        with suppress(BlockingIOError):
            while True:
                data, sender = listener.recvfrom(9000)
                if sender[0] in own and b"_tinybms-bridge" in data:
                    heard.append(data)
    assert not heard, "announced in the network; by a test, if no bridge of your own runs on this machine"


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Raise in any test whose code blocks the event loop with a file, socket, DNS, sleep or subprocess call.

    What a test runs in place, the program runs in a thread.
    """
    with blockbuster_ctx("tinybms_bridge") as detector:
        for function in detector.functions.values():
            function.can_block_in("hal/blocking.py", "in_place")
        yield detector


@pytest.fixture(scope="session")
def can_group() -> str:
    """A multicast group of this process: a CAN bus that no other program of this machine is on."""
    return f"239.75.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"


class CoreOnSocket:
    """A core on ports in memory, on a clock that stands, whose link listens at a real socket."""

    def __init__(
        self,
        socket: Path,
        clock: FakeClock,
        document: Mapping[str, Any],
        *,
        file: Path | None = None,
        bms: bool = True,
        events: EventStore | None = None,
        overrides: Overrides = Overrides(),  # noqa: B008 -- frozen
        folder: Callable[[], Path] | None = None,
        move: Callable[[Path], None] = lambda _folder: None,
    ) -> None:
        self.socket = socket
        self.clock = clock
        self.line = MemoryLine(clock, present=bms)
        self.bus = MemoryCanBus()
        self.inhibits = MemoryStorage()
        self.restarts = 0
        self._file, self._overrides, self._move = file, overrides, move
        machine = Machine(
            clock,
            self.line.open,
            self._open_can,
            MemoryStorage(),
            events=events or EventStore(MemoryStorage()),
            inhibits=self.inhibits,
            use=self._use,
            folder=folder or Path,
            keeps=folder is not None,
            run_blocking=in_place,
        )
        config = override(interpret(document, "test").configuration, overrides)
        self.bridge = Bridge(config, machine, SavedUnits())
        self.follower = Follower(self.bridge, file, self._check, overrides=overrides)
        self.bridge.file_usable = lambda: self.follower.usable
        names = [field.name for field in fields(CoreState)]
        self.server = LinkServer(socket, clock, names, program_version="9.9", run_blocking=in_place)
        self.control = Control(self.bridge, self.server, self.follower, self._start_again)
        self.bridge.supervisor.add("link", self.control.run)
        self.bridge.supervisor.add("configuration", self.follower.run)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run until the link can be reached."""
        self._task = asyncio.create_task(self.bridge.run())
        await self.until(self.socket.is_socket)

    async def until(self, condition: Callable[[], object], limit_s: float = 600.0) -> None:
        """Let time pass, for sockets and threads too, until a condition holds; ``limit_s`` is on the clock."""
        end_s = self.clock.monotonic() + limit_s
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert self.clock.monotonic() < end_s, "it did not happen"
                assert self._task is None or not self._task.done(), "the core has ended"
                await self.clock.advance(0.05)
                await asyncio.sleep(0.001)

    async def result(self, work: Coroutine[Any, Any, T], limit_s: float = 600.0) -> T:
        """Return what a coroutine returns while time passes."""
        task = asyncio.ensure_future(work)
        await self.until(task.done, limit_s)
        return task.result()

    async def end(self) -> None:
        """Stop as a signal does; may be called again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _use(self, config: Configuration) -> None:
        self._move(Path(config.advanced.state_directory))

    def _start_again(self) -> None:
        self.restarts += 1

    async def _open_can(self) -> CanPort:
        return self.bus.open()

    async def _check(self) -> Checked:
        request = CheckRequest(str(self._file), self._overrides, fall_back=False)
        return await _check_here(request, self.clock, in_force=self.bridge.config)


async def _check_here(request: CheckRequest, clock: Clock, *, in_force: Configuration | None = None) -> Checked:
    """Do what ``check_file`` does, without another process."""

    async def run(_request: bytes) -> bytes:
        return json.dumps(asdict(await in_place(answer, request))).encode()

    return await check_file(request, clock, in_force=in_force, run=run)


@pytest.fixture
def checks_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``app.core`` check files in this process, which takes no time on any clock."""
    monkeypatch.setattr("tinybms_bridge.app.core.check_file", _check_here)


@pytest.fixture
async def new_core(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Callable[..., CoreOnSocket]]:
    """Return what makes a core on the ``clock`` of the test; it ends with the test."""
    made: list[CoreOnSocket] = []

    def make(document: Mapping[str, Any] | None = None, **options: Any) -> CoreOnSocket:
        made.append(CoreOnSocket(tmp_path / "core.sock", clock, document or {}, **options))
        return made[-1]

    yield make
    for each in made:
        await each.end()


class _FakeWeb:
    """Stands in for the web server and remembers with what it ran."""

    runs: ClassVar[list[WebOptions]] = []
    state = None
    pages = None
    users: ClassVar[Storage]
    watch: ClassVar[Watch]

    def __init__(self, core: Core, options: WebOptions, storage: Storage, *_: object, **__: object) -> None:
        self.options = options
        type(self).users, type(self).watch = storage, Watch(core)

    async def run(self) -> None:
        """Serve until cancelled."""
        self.runs.append(self.options)
        await asyncio.Event().wait()

    def check(self, _wanted: WebOptions) -> None:
        """Find any options usable."""

    def close(self) -> None:
        """Follow nothing any more."""
        self.watch.close()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> type[_FakeWeb]:
    """No web server; ``runs`` has the options of each start, ``users`` what it was given, ``watch`` the live data."""
    monkeypatch.setattr("tinybms_bridge.services.web.service.WebService", _FakeWeb)
    monkeypatch.setattr(_FakeWeb, "runs", [])
    return _FakeWeb


RATINGS = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.5,
    fully_discharged_cell_v=3.0,
    over_voltage_cell_v=3.65,
    under_voltage_cell_v=2.8,
    charge_over_current_a=120.0,
    discharge_over_current_a=150.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=280.0,
)

HEALTHY = Snapshot(
    sequence=1,
    taken_at_s=10.0,
    pack=PackValues(voltage_v=53.12, current_a=-12.3, soc_percent=81.53, soh_percent=97.2),
    cells=Cells((3.310, 3.325, *(3.320 for _ in range(14)))),
    temperatures=Temperatures(internal_c=31.0, external_1_c=18.4, external_2_c=21.6),
    ratings=RATINGS,
)
HEALTHY_LIMITS = Limits(
    cvl_v=56.0,
    ccl_a=100.0,
    dcl_a=120.0,
    discharge_voltage_v=48.0,
    state=ChargeState.BULK,
    freshness=Freshness.FRESH,
)
HEALTHY_VALUES: Mapping[str, Any] = MappingProxyType(
    {
        "identity": Identity(firmware_internal=242, serial_number="0123456789abcdef01234567"),
        "alarms": Alarms(dict.fromkeys(AlarmName, AlarmLevel.OK)),
        "energy": EnergyTotals(charged_wh=123_450.0, discharged_wh=98_760.0),
    }
)


@pytest.fixture(scope="session")
def make_state() -> Callable[..., BatteryState]:
    """Return a function that builds the state of a healthy battery with changes; a key names the part that holds it."""
    of_snapshot = {"cells", "temperatures", "ratings"}
    of_pack = {field.name for field in fields(PackValues)}
    of_limits = {field.name for field in fields(Limits)}

    def make(**changes: Any) -> BatteryState:
        def chosen(names: set[str]) -> dict[str, Any]:
            return {name: changes.pop(name) for name in names & changes.keys()}

        pack = replace(HEALTHY.pack, **chosen(of_pack))
        snapshot = replace(HEALTHY, pack=pack, **chosen(of_snapshot))
        limits = replace(HEALTHY_LIMITS, **chosen(of_limits))
        values = {**HEALTHY_VALUES, **changes}
        return BatteryState(
            packs={MAIN_PACK: PackState(snapshot, values["identity"])},
            freshness=limits.freshness,
            decided=limits,
            alarms=values["alarms"],
            energy=values["energy"],
            saved_energy=values["energy"],
        )

    return make


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands until it is told to move."""
    return FakeClock()


@pytest.fixture
def bus(clock: FakeClock) -> Bus:
    """An empty bus."""
    return Bus(clock.monotonic, clock.wall)


@pytest.fixture(scope="session")
def make_snapshot() -> Callable[..., Snapshot]:
    """Return a builder of a sample of four cells."""

    def build(
        *, cells_v: tuple[float, ...] = (3.301, 3.302, 3.303, 3.304), current_a: float = -12.34, hottest_c: float | None
    ) -> Snapshot:
        pack = PackValues(voltage_v=sum(cells_v), current_a=current_a, soc_percent=81.26)
        return Snapshot(1, 0.0, pack, Cells(cells_v), Temperatures(hottest_c))

    return build


@pytest.fixture(scope="session")
def limits() -> Limits:
    """Limits in force."""
    return Limits(14.05, 54.0, 108.04, 11.6, ChargeState.TRANSITION, Freshness.FRESH)
