"""Installing for good, on a machine that is a folder: whole or not at all, and taken away again."""

import errno
import json
import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tinybms_bridge.app.installation import (
    InstallationFailedError,
    InstallationRefusedError,
    Order,
    TargetSystem,
    install,
    planned,
    remarks,
    removable,
    remove,
    running_core,
    wait_until_ready,
)
from tinybms_bridge.app.units import CORE_UNIT, SERVICE_USER, SERVICES_UNIT, TARGET_UNIT, UDEV_RULES, USER_FILE
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.words import Message

PROGRAM = Path("/opt/bridge/bin/tinybms-bridge")
FILES = [
    f"/etc/sysusers.d/{USER_FILE}",
    f"/etc/udev/rules.d/{UDEV_RULES}",
    *(f"/etc/systemd/system/{name}" for name in (CORE_UNIT, SERVICES_UNIT, TARGET_UNIT)),
]
RESTART = f"systemctl --no-block restart {TARGET_UNIT}"


class Machine:
    """A folder in the place of ``/``, and the commands that change it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.called: list[str] = []
        self.failing: dict[str, Exception] = {}
        """What a command that begins so raises."""
        self.users: set[str] = set()
        self.groups = {"dialout"}
        self.enabled: set[str] = set()
        self.owners: dict[str, str] = {}
        self.states = ["ActiveState=active\nNRestarts=0\nStatusText=no BMS\n"]
        """What systemd says of the core, each time it is asked; the last for ever."""
        self.journal = ""
        self.slept_s = 0.0
        self.bridges: list[Process] = []
        for folder in ("run/systemd/system", "run/udev", "opt/bridge/bin", "usr/bin", "etc"):
            (root / folder).mkdir(parents=True)
        for folder_path in (root, *root.rglob("*")):
            folder_path.chmod(0o755)
        self.write("/usr/bin/python3", "#!", 0o755)
        self.write(str(PROGRAM), "#!/usr/bin/python3\n", 0o755)

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Put a file there."""
        target = self.root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        return target

    def run(self, words: Sequence[str]) -> str:
        """Do what a command does."""
        line = " ".join(words)
        self.called.append(line)
        for begin, error in self.failing.items():
            if line.startswith(begin):
                raise error
        act = getattr(self, f"_{words[0].replace('-', '_')}", None)
        return str(act(*words[1:]) or "") if act else ""

    def _getent(self, database: str, name: str) -> None:
        if name not in (self.users if database == "passwd" else self.groups):
            raise subprocess.CalledProcessError(2, ["getent", database, name])

    def _systemd_sysusers(self, path: str) -> None:
        assert (self.root / path[1:]).is_file()
        self.users.add(SERVICE_USER)

    def _userdel(self, name: str) -> None:
        self.users.remove(name)

    def _journalctl(self, *_words: str) -> str:
        return self.journal

    def _systemctl(self, what: str, *words: str) -> str:
        if what == "is-enabled" and words[-1] not in self.enabled:
            raise subprocess.CalledProcessError(1, ["systemctl", what, *words])
        if what == "enable":
            self.enabled.update(words)
        if what == "disable":
            self.enabled.difference_update(words)
        if what == "show":
            return self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return ""

    def host(self, *, is_root: bool = True) -> TargetSystem:
        """Return it as the program sees it."""
        return TargetSystem(
            root=self.root,
            run=self.run,
            chown=lambda path, user: self.owners.update({"/" + str(path.relative_to(self.root)): user}),
            is_root=is_root,
            bridges=lambda: self.bridges,
            monotonic=lambda: self.slept_s,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept_s += seconds

    def files(self) -> dict[str, str]:
        """Return every file below /etc."""
        etc = self.root / "etc"
        return {"/" + str(path.relative_to(self.root)): path.read_text() for path in etc.rglob("*") if path.is_file()}

    def install(self, **options: Path) -> list[str]:
        """Install, and return what was told."""
        told: list[Message] = []
        host = self.host()
        install(planned(Order(PROGRAM, **options), host), host, told.append)
        return [each.text for each in told]

    def remove(self, *, purge: bool = False) -> list[str] | None:
        """Take it away, and return what was told; None where there was nothing."""
        told: list[Message] = []
        return [each.text for each in told] if remove(self.host(), told.append, purge=purge) else None


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with systemd, and the program in /opt."""
    root = tmp_path / "root"
    root.mkdir()
    return Machine(root)


def failure(*words: str, said: str = "Read-only file system") -> subprocess.CalledProcessError:
    """Return what a command that failed raises."""
    return subprocess.CalledProcessError(1, list(words), output="", stderr=f"first line\n{said}\n")


def test_everything_is_in_its_place(machine: Machine) -> None:
    """Files, user, directory; enabled, and started without waiting for what may have to be mended."""
    machine.install()

    assert sorted(machine.files()) == sorted(FILES)
    assert f"ExecStart={PROGRAM} run-core" in machine.files()[f"/etc/systemd/system/{CORE_UNIT}"]
    assert machine.users == {SERVICE_USER}
    assert machine.owners == {"/etc/tinybms-bridge": SERVICE_USER}
    assert stat.S_IMODE((machine.root / "etc/tinybms-bridge").stat().st_mode) == 0o750
    assert machine.enabled == {TARGET_UNIT}
    assert machine.called[-1] == RESTART


def test_nothing_is_enabled_before_all_is_there(machine: Machine) -> None:
    """A power cut in the middle leaves a machine that starts as before."""
    machine.install()

    enable = machine.called.index(f"systemctl enable {TARGET_UNIT}")
    assert machine.called.index("systemctl daemon-reload") < enable < machine.called.index(RESTART)


def test_each_step_is_told(machine: Machine) -> None:
    """Who installs sees what changes on the machine."""
    told = machine.install()

    assert [line for line in told if line.startswith("write")] == [f"write {path}" for path in FILES]
    assert told[1:3] == [
        "make the user and group tinybms-bridge",
        "give the directory /etc/tinybms-bridge to tinybms-bridge",
    ]


def test_a_plan_changes_nothing(machine: Machine) -> None:
    """Every file can be looked at first, by anybody."""
    steps = planned(Order(PROGRAM), machine.host(is_root=False))

    assert [step.told.parameters["path"] for step in steps if step.text] == FILES
    assert machine.files() == {}
    assert all(call.startswith("getent") for call in machine.called)


def test_twice_is_an_update(machine: Machine) -> None:
    """The second call writes the files of the new version and starts it; the configuration stays."""
    machine.install()
    machine.write(f"/etc/systemd/system/{CORE_UNIT}", "of an older version")
    machine.write("/etc/tinybms-bridge/config.json", '{"a": 1}')
    machine.bridges = []

    machine.install()

    assert "run-core" in machine.files()[f"/etc/systemd/system/{CORE_UNIT}"]
    assert machine.files()["/etc/tinybms-bridge/config.json"] == '{"a": 1}'
    assert machine.called[-1] == RESTART


def test_a_configuration_to_begin_with(machine: Machine, tmp_path: Path) -> None:
    """A copy that belongs to the service, and that others may not read: it can hold passwords."""
    given = tmp_path / "mine.json"
    given.write_text('{"web_server": {"port": 80}}')

    machine.install(configuration=given)

    copy = machine.root / "etc/tinybms-bridge/config.json"
    assert copy.read_text() == given.read_text()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert machine.owners["/etc/tinybms-bridge/config.json"] == SERVICE_USER


def test_another_configuration_is_never_replaced(machine: Machine, tmp_path: Path) -> None:
    """What somebody has set is worth more than a wish; the same once more is no mistake."""
    there = machine.write("/etc/tinybms-bridge/config.json", '{"a": 1}')
    given = tmp_path / "mine.json"
    given.write_text("{}")
    with pytest.raises(InstallationRefusedError, match=r"another configuration at /etc/tinybms-bridge/config\.json"):
        machine.install(configuration=given)
    assert there.read_text() == '{"a": 1}'

    given.write_text('{"a": 1}')
    machine.install(configuration=given)
    assert there.read_text() == '{"a": 1}'


@pytest.mark.parametrize(
    ("groups", "group"), [({"dialout", "uucp"}, "dialout"), ({"uucp"}, "uucp"), (set(), SERVICE_USER)]
)
def test_the_group_of_the_serial_ports_is_that_of_the_machine(machine: Machine, groups: set[str], group: str) -> None:
    """With a group that is not there systemd does not start the unit at all."""
    machine.groups = groups
    machine.install()
    assert f"SupplementaryGroups={group}\n" in machine.files()[f"/etc/systemd/system/{CORE_UNIT}"]


def test_a_container_has_no_udev(machine: Machine) -> None:
    """The rule is written, and nobody is asked to read it."""
    (machine.root / "run/udev").rmdir()
    machine.install()
    assert not [call for call in machine.called if call.startswith("udevadm")]


# what is in the way


def refusal(machine: Machine, program: Path = PROGRAM) -> str:
    """Return why nothing is installed, and make sure that nothing was."""
    before = machine.files()
    with pytest.raises(InstallationRefusedError) as refused:
        planned(Order(program), machine.host())
    assert machine.files() == before
    return str(refused.value)


def test_only_root_may(machine: Machine) -> None:
    """Nothing is changed, and what helps is said."""
    steps = planned(Order(PROGRAM), machine.host(is_root=False))
    with pytest.raises(InstallationRefusedError, match="put sudo before the same command"):
        install(steps, machine.host(is_root=False), lambda _told: None)
    with pytest.raises(InstallationRefusedError, match="put sudo before the same command"):
        remove(machine.host(is_root=False), lambda _told: None)
    assert machine.files() == {}


def test_without_systemd_there_is_another_way(machine: Machine) -> None:
    """A machine with another init, or a container without any."""
    (machine.root / "run/systemd/system").rmdir()
    assert "not run by systemd" in refusal(machine)


def test_a_program_that_is_not_there(machine: Machine) -> None:
    """As a clone whose environment was not made."""
    assert refusal(machine, Path("/opt/nowhere")).startswith("/opt/nowhere is no program")
    assert refusal(machine, Path("/opt/bridge")).startswith("/opt/bridge is no program")


@pytest.mark.parametrize("home", ["/home/anna", "/root", "/run/user/1000"])
def test_a_program_in_a_home_directory(machine: Machine, home: str) -> None:
    """ProtectHome hides it from the service; the line says where it should be."""
    machine.write(f"{home}/bridge/bin/tinybms-bridge", "#!/usr/bin/python3\n", 0o755)
    text = refusal(machine, Path(f"{home}/bridge/bin/tinybms-bridge"))
    assert text.startswith(f"{home}/bridge/bin/tinybms-bridge is in a home directory")
    assert "/opt" in text


def test_an_interpreter_in_a_home_directory(machine: Machine) -> None:
    """The program lies well, but the Python that it runs in does not: the link of its environment leads there."""
    machine.write("/home/anna/.pyenv/python3", "", 0o755)
    (machine.root / "opt/bridge/bin/python").symlink_to(machine.root / "home/anna/.pyenv/python3")
    machine.write(str(PROGRAM), "#!/opt/bridge/bin/python\n", 0o755)
    assert refusal(machine).startswith("/home/anna/.pyenv/python3 is in a home directory")


def test_a_link_to_a_home_directory(machine: Machine) -> None:
    """As pipx makes them."""
    machine.write("/home/anna/pipx/tinybms-bridge", "#!/usr/bin/python3\n", 0o755)
    link = machine.root / "opt/link"
    link.symlink_to(machine.root / "home/anna/pipx/tinybms-bridge")
    assert "is in a home directory" in refusal(machine, Path("/opt/link"))


def test_a_folder_that_others_may_not_enter(machine: Machine) -> None:
    """The one that has to be opened is named, with the command."""
    (machine.root / "opt/bridge").chmod(0o700)
    assert "/opt/bridge is closed to other users: sudo chmod o+rX /opt/bridge" in refusal(machine)


@pytest.mark.parametrize("folder", ["/usr/lib/systemd/system", "/lib/systemd/system"])
def test_two_ways_of_installing_do_not_meet(machine: Machine, folder: str) -> None:
    """The files of a clone would hide those of the package for ever."""
    machine.write(f"{folder}/{CORE_UNIT}", "")
    assert "the Debian package has installed the service already" in refusal(machine)


def test_a_bridge_that_runs_already(machine: Machine) -> None:
    """It holds the port; a demonstration does not."""
    machine.bridges = [Process(4_000_000, ("tinybms-bridge", "demo"))]
    planned(Order(PROGRAM), machine.host())
    machine.bridges.append(Process(4_000_001, ("tinybms-bridge", "run")))
    assert "tinybms-bridge run (process 4000001); end it first: kill 4000001" in refusal(machine)


def test_a_path_that_no_unit_can_name(machine: Machine) -> None:
    """Said before anything else is looked at."""
    with pytest.raises(BridgeError, match="cannot be named"):
        planned(Order(Path("/opt/50%/tinybms-bridge")), machine.host())


# failures on the way


COMMANDS = [
    "systemd-sysusers",
    "systemctl daemon-reload",
    "udevadm control",
    "udevadm trigger",
    "systemctl enable",
    RESTART,
]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_fails_on_the_way_is_undone(machine: Machine, command: str) -> None:
    """Not one file, user or start is left of it, and the line says why."""
    machine.failing[command] = failure(*command.split())
    with pytest.raises(InstallationFailedError, match=r"Read-only file system; what had been done was undone$"):
        machine.install()

    assert machine.files() == {}
    assert not (machine.root / "etc/tinybms-bridge").exists()
    assert machine.users == set()
    assert machine.enabled == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_update_that_fails_leaves_the_version_before(machine: Machine, command: str) -> None:
    """Its files are back, and it stays enabled and runs on."""
    machine.install()
    machine.write(f"/etc/systemd/system/{CORE_UNIT}", "of the version before")
    before = machine.files()
    machine.failing[command] = failure(*command.split())
    machine.called.clear()
    with pytest.raises(InstallationFailedError):
        machine.install()

    assert machine.files() == before
    assert machine.users == {SERVICE_USER}
    assert machine.enabled == {TARGET_UNIT}
    assert not [call for call in machine.called if call.startswith(("systemctl disable", "systemctl stop"))]


def test_a_disk_that_takes_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only root or a full disk: one line with the file and the reason, nothing half-written."""
    whole = os.replace

    def refuse(path: Path, target: Path) -> Path:
        if target.name == SERVICES_UNIT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(target))
        whole(path, target)
        return target

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(InstallationFailedError) as failed:
        machine.install()

    assert str(failed.value).startswith(f"could not write /etc/systemd/system/{SERVICES_UNIT}: ")
    assert "Read-only file system; what had been done was undone" in str(failed.value)
    assert machine.files() == {}


def test_what_cannot_be_undone_is_said(machine: Machine) -> None:
    """The user has to know what is left."""
    machine.failing = {"systemctl enable": failure("systemctl", said="no"), "userdel": failure("userdel", said="busy")}
    with pytest.raises(InstallationFailedError, match=r"undone but for this: busy$"):
        machine.install()
    assert machine.files() == {}


def test_a_command_that_is_missing(machine: Machine) -> None:
    """As systemd-sysusers on a small system."""
    machine.failing["systemd-sysusers"] = FileNotFoundError(
        errno.ENOENT, "No such file or directory", "systemd-sysusers"
    )
    with pytest.raises(
        InstallationFailedError, match=r"could not make the user and group .*: systemd-sysusers: No such"
    ):
        machine.install()
    assert machine.files() == {}


def test_an_interruption_undoes_too(machine: Machine) -> None:
    """Ctrl-C in the middle."""
    machine.failing["systemctl enable"] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        machine.install()
    assert machine.files() == {}


# until it runs


def test_the_core_says_when_it_is_ready(machine: Machine) -> None:
    """It may take a small board some seconds."""
    machine.states = ["ActiveState=activating\nNRestarts=0\nStatusText=\n"] * 5 + machine.states
    assert wait_until_ready(machine.host()) == "no BMS"
    assert 0.0 < machine.slept_s < 10.0


def test_the_core_that_an_update_ends_is_not_taken_for_the_new_one(machine: Machine) -> None:
    """Its end may take a moment, since the services end before it."""
    old, new = "ActiveState=active\nInvocationID=1\n", "ActiveState=active\nInvocationID=2\nStatusText=new\n"
    machine.states = [old]
    before = running_core(machine.host())
    machine.states = [old, old, "ActiveState=deactivating\nInvocationID=1\n", "ActiveState=activating\n", new]
    assert before == "1"
    assert wait_until_ready(machine.host(), before) == "new"


@pytest.mark.parametrize("state", ["ActiveState=failed\nInvocationID=1\n", "ActiveState=inactive\nInvocationID=\n"])
def test_a_core_that_does_not_run_is_none(machine: Machine, state: str) -> None:
    """The first one to be ready is the new one then."""
    machine.states = [state]
    assert running_core(machine.host()) == ""
    machine.failing["systemctl show"] = failure("systemctl")
    assert running_core(machine.host()) == ""


@pytest.mark.parametrize("starts", [0, 3])
def test_a_core_that_does_not_come_up_says_why(machine: Machine, starts: int) -> None:
    """Its own line, once; a core that fails at each start is not waited for a minute."""
    machine.states = [f"ActiveState=activating\nNRestarts={starts}\nStatusText=\n"]
    machine.journal = "some line\nerror: config.json: not JSON\nerror: config.json: not JSON\n"
    with pytest.raises(
        InstallationFailedError, match=r"does not become ready: error: config.json: not JSON; journalctl"
    ):
        wait_until_ready(machine.host())
    assert (machine.slept_s == 0.0) is (starts > 0)


def test_without_a_journal_it_is_still_said(machine: Machine) -> None:
    """The line has to make sense alone."""
    machine.states = ["ActiveState=failed\nNRestarts=9\n"]
    machine.failing["journalctl"] = failure("journalctl")
    with pytest.raises(
        InstallationFailedError, match="the core does not become ready; journalctl -u tinybms-bridge-core"
    ):
        wait_until_ready(machine.host())


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        ({}, []),
        ({"hardware": {"can": {"interface": "slcan", "channel": "/dev/ttyACM0"}}}, []),
        ({"hardware": {"can": {"interface": "gs_usb"}}}, ["install.remark.can"]),
        ({"hardware": {"can": {"interface": "udp_multicast"}}}, ["install.remark.can"]),
        ({"advanced": {"state_directory": "/srv/state"}}, ["install.remark.state"]),
        ({"advanced": {"state_directory": "/var/lib/tinybms-bridge/b"}}, []),
    ],
)
def test_what_the_units_do_not_allow_is_said(document: dict[str, object], codes: list[str]) -> None:
    """Before somebody looks for the reason in the log."""
    config = interpret(document, "a file").configuration
    assert [each.code for each in remarks(config)] == codes


# taking it away


def saved(machine: Machine) -> list[Path]:
    """Put there what a service has saved."""
    paths = [
        "/etc/tinybms-bridge/config.json",
        "/var/lib/tinybms-bridge/state.json",
        "/var/log/tinybms-bridge/bridge.log",
    ]
    return [machine.write(path, json.dumps({})) for path in paths]


def test_removal_leaves_what_was_saved(machine: Machine) -> None:
    """Nothing runs, no file of the service is left; the next installation finds configuration and counters."""
    machine.install()
    kept = saved(machine)
    machine.called.clear()

    machine.remove()

    assert list(machine.files()) == ["/etc/tinybms-bridge/config.json"]
    assert all(path.exists() for path in kept)
    assert machine.users == {SERVICE_USER}
    assert machine.enabled == set()
    assert f"systemctl stop {TARGET_UNIT} {SERVICES_UNIT} {CORE_UNIT}" in machine.called
    assert f"systemctl reset-failed {TARGET_UNIT} {SERVICES_UNIT} {CORE_UNIT}" in machine.called
    assert machine.called.index("systemctl daemon-reload") > machine.called.index(
        f"systemctl disable --now {TARGET_UNIT}"
    )


def test_purge_leaves_nothing(machine: Machine) -> None:
    """Not even the user."""
    machine.install()
    kept = saved(machine)

    machine.remove(purge=True)

    assert machine.files() == {}
    assert not any(path.parent.exists() for path in kept)
    assert machine.users == set()
    assert machine.remove(purge=True) is None


def test_removal_twice_says_that_there_is_nothing(machine: Machine) -> None:
    """It is no failure."""
    machine.install()
    removed = [str(path) for path in removable(machine.host(), purge=False)]
    assert machine.remove() == ["stopped the service", *(f"removed {path}" for path in removed)]
    assert machine.remove() is None
    assert removable(machine.host(), purge=False) == []


def test_half_an_installation_can_be_removed(machine: Machine) -> None:
    """As a power cut leaves it, with commands that fail."""
    machine.write(FILES[0], "")
    machine.write(FILES[2], "")
    machine.failing = {"systemctl": failure("systemctl"), "udevadm": failure("udevadm")}
    machine.remove()
    assert machine.files() == {}


def test_what_cannot_be_removed_is_said_after_all_else_is_gone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that stays keeps no other."""
    machine.install()
    whole: Callable[..., None] = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == UDEV_RULES:
            raise OSError(errno.EPERM, "Operation not permitted", str(path))
        whole(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(
        InstallationFailedError, match=rf"not everything could be removed: .*{UDEV_RULES}: Operation not"
    ):
        machine.remove()
    assert list(machine.files()) == [f"/etc/udev/rules.d/{UDEV_RULES}"]


def test_a_link_in_the_place_of_a_directory_is_removed_and_not_followed(machine: Machine, tmp_path: Path) -> None:
    """State that was moved to another disk belongs to whoever moved it."""
    machine.install()
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    (elsewhere / "state.json").write_text("{}")
    (machine.root / "var/lib").mkdir(parents=True)
    (machine.root / "var/lib/tinybms-bridge").symlink_to(elsewhere)
    machine.remove(purge=True)
    assert (elsewhere / "state.json").exists()
    assert not os.path.lexists(machine.root / "var/lib/tinybms-bridge")
