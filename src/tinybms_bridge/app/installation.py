"""Installs the bridge as a service of systemd, and takes it away again: whole, or not at all.

For a program in a clone or in an environment of its own; a Debian package brings the same files (``app/units.py``).
Each step knows how to be undone, and when one fails all before it are. Everything here blocks.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import tinybms_bridge
from tinybms_bridge.app.units import (
    CONFIGURATION_FILE,
    CORE_UNIT,
    LOG_DIRECTORY,
    SERVICE_USER,
    SERVICES_UNIT,
    STATE_DIRECTORY,
    TARGET_UNIT,
    UDEV_RULES,
    USER_FILE,
    unit_files,
)
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.processes import Process, running_bridges, stop_command
from tinybms_bridge.words import Message, message

__all__ = [
    "InstallationFailedError",
    "InstallationRefusedError",
    "InstallationStep",
    "Order",
    "TargetSystem",
    "install",
    "own_program",
    "planned",
    "remarks",
    "removable",
    "remove",
    "running_core",
    "wait_until_ready",
]

_UNITS = Path("/etc/systemd/system")
_PLACES = {
    CORE_UNIT: _UNITS,
    SERVICES_UNIT: _UNITS,
    TARGET_UNIT: _UNITS,
    UDEV_RULES: Path("/etc/udev/rules.d"),
    USER_FILE: Path("/etc/sysusers.d"),
}
_PACKAGED = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What ``ProtectHome`` hides from a service."""
_SERIAL_GROUPS = ("dialout", "uucp")
"""Of Debian and its kin, and of Arch."""
_ALLOWED_CAN = ("socketcan", "slcan")
"""CAN adapters that need neither the network nor a USB device by itself."""
_COMMAND_S = 90.0
_READY_S = 60.0
_LOOK_S = 0.5
_MOST_STARTS = 3
"""Starts that fail before it is said that the core does not come up."""
_LAST_LINES = 5


class InstallationRefusedError(BridgeError):
    """It cannot be carried out as it is; nothing was changed."""


class InstallationFailedError(BridgeError):
    """It was tried and failed."""


def _run(words: Sequence[str]) -> str:
    """Run a command and return what it prints. Raises OSError, or CalledProcessError."""
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": ""}
    done = subprocess.run(  # noqa: S603 -- words of this module, by root
        list(words), check=True, capture_output=True, text=True, timeout=_COMMAND_S, env=environment
    )
    return done.stdout


@dataclass(frozen=True, slots=True)
class TargetSystem:
    """The machine that is changed; a folder and a record of commands in a test."""

    root: Path = Path("/")
    run: Callable[[Sequence[str]], str] = _run
    chown: Callable[[Path, str], None] = lambda path, user: shutil.chown(path, user, user)
    is_root: bool = field(default_factory=lambda: os.geteuid() == 0)
    bridges: Callable[[], Sequence[Process]] = running_bridges
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def place(self, path: Path | str) -> Path:
        """Return where a path of the machine is."""
        return self.root / Path(path).relative_to("/")

    @property
    def has_systemd(self) -> bool:
        """Whether systemd runs the machine (sd_booted(3))."""
        return self.place("/run/systemd/system").is_dir()

    def succeeds(self, *words: str) -> bool:
        """Run a command and tell whether it succeeded."""
        try:
            self.run(words)
        except (OSError, subprocess.SubprocessError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be installed."""

    program: Path
    configuration: Path | None = None
    """A file to begin with."""


@dataclass(frozen=True, slots=True)
class InstallationStep:
    """One change of the machine."""

    told: Message
    """What it does, in words."""
    do: Callable[[], None]
    undo: Callable[[], None] = lambda: None
    text: str = ""
    """Of a file: what is written."""


def remarks(config: Configuration) -> list[Message]:
    """Return what of a configuration the units do not allow."""
    told = []
    if config.hardware.can.interface not in _ALLOWED_CAN:
        told.append(message("install.remark.can", interface=config.hardware.can.interface))
    folder = config.advanced.state_directory
    if folder and not Path(folder).is_relative_to(STATE_DIRECTORY):
        told.append(message("install.remark.state", folder=folder, unit=CORE_UNIT))
    return told


def own_program() -> Path:
    """Return the program of the environment that this one runs in, which stays where it is."""
    return Path(sys.executable).with_name("tinybms-bridge")


# before anything is changed


def planned(order: Order, host: TargetSystem) -> list[InstallationStep]:
    """Return every step. Raises InstallationRefusedError for what is in the way; changes nothing."""
    files = unit_files(str(order.program), serial_group=_serial_group(host))
    _check_program(order.program, host)
    _check_machine(order, host)
    steps = [_writing(host, USER_FILE, files[USER_FILE]), _making_user(host), *_making_configuration(order, host)]
    steps += [_writing(host, name, files[name]) for name in (UDEV_RULES, CORE_UNIT, SERVICES_UNIT, TARGET_UNIT)]
    steps.append(_command(host, "systemctl", "daemon-reload"))
    if host.place("/run/udev").is_dir():  # not in a container
        steps.append(_command(host, "udevadm", "control", "--reload"))
        steps.append(_command(host, "udevadm", "trigger", "--subsystem-match=usb", "--subsystem-match=tty"))
    steps.append(_enabling(host))
    # Both units follow the target. Without waiting: the core may need its configuration mended.
    steps.append(_command(host, "systemctl", "--no-block", "restart", TARGET_UNIT))
    return steps


def _serial_group(host: TargetSystem) -> str:
    return next((name for name in _SERIAL_GROUPS if host.succeeds("getent", "group", name)), SERVICE_USER)


def _check_program(program: Path, host: TargetSystem) -> None:
    """Refuse a program that the user of the service could not start."""
    if not os.access(host.place(program), os.X_OK) or host.place(program).is_dir():
        raise InstallationRefusedError(message("install.no_program", path=str(program)))
    for path in _needed(program, host):
        if any(path.is_relative_to(home) for home in _HOMES):
            raise InstallationRefusedError(message("install.in_home", path=str(path)))
        closed = next((each for each in reversed((path, *path.parents)) if not _is_open(host.place(each))), None)
        if closed is not None:
            raise InstallationRefusedError(message("install.unreadable", path=str(path), closed=str(closed)))


def _needed(program: Path, host: TargetSystem) -> Iterator[Path]:
    """Yield what the program consists of, by real paths: script, interpreter, package."""
    yield _real(program, host)
    with suppress(OSError), host.place(program).open("rb") as file:
        first = file.readline(4096)
        if first.startswith(b"#!"):
            words = os.fsdecode(first[2:]).split()
            if words and words[0].startswith("/"):
                yield Path(words[0]).parent  # the environment, whatever its interpreter is a link to
                yield _real(Path(words[0]), host)
    if program == own_program():
        yield Path(tinybms_bridge.__file__).resolve().parent


def _real(path: Path, host: TargetSystem) -> Path:
    """Return a path without links, as the machine sees it."""
    resolved, root = host.place(path).resolve(), host.root.resolve()
    return Path("/") / resolved.relative_to(root) if resolved.is_relative_to(root) else resolved


def _is_open(path: Path) -> bool:
    """Tell whether every user may read a file, or go through a directory."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return True  # not there: said elsewhere
    return bool(mode & (0o001 if path.is_dir() else 0o004))


def _check_machine(order: Order, host: TargetSystem) -> None:
    if not host.has_systemd:
        raise InstallationRefusedError(message("install.no_systemd"))
    for folder in _PACKAGED:
        if host.place(folder / CORE_UNIT).exists():
            raise InstallationRefusedError(message("install.packaged", path=str(folder / CORE_UNIT)))
    for process in host.bridges():
        command = stop_command(process)
        if CORE_UNIT not in command and "demo" not in process.arguments:
            raise InstallationRefusedError(message("install.other_bridge", process=str(process), command=command))
    there = host.place(CONFIGURATION_FILE)
    given = order.configuration
    if given is not None and there.exists() and there.read_bytes() != given.read_bytes():
        raise InstallationRefusedError(message("install.configuration_there", path=CONFIGURATION_FILE))


# the steps


def _writing(host: TargetSystem, name: str, text: str) -> InstallationStep:
    """Return the step that writes a file of the service; undone, the one before is back."""
    path = _PLACES[name] / name
    target = host.place(path)
    before: list[bytes | None] = []

    def do() -> None:
        before.append(target.read_bytes() if target.exists() else None)
        _write(target, text.encode())

    def undo() -> None:
        for data in before:
            if data is None:
                target.unlink(missing_ok=True)
            else:
                _write(target, data)

    return InstallationStep(message("install.step.write", path=str(path)), do, undo, text)


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a whole file or none. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _has_user(host: TargetSystem) -> bool:
    return host.succeeds("getent", "passwd", SERVICE_USER)


def _making_user(host: TargetSystem) -> InstallationStep:
    was_there: list[bool] = []

    def do() -> None:
        was_there.append(_has_user(host))
        host.run(("systemd-sysusers", str(_PLACES[USER_FILE] / USER_FILE)))

    def undo() -> None:
        if was_there == [False] and _has_user(host):
            host.run(("userdel", SERVICE_USER))

    return InstallationStep(message("install.step.user", user=SERVICE_USER), do, undo)


def _making_configuration(order: Order, host: TargetSystem) -> Iterator[InstallationStep]:
    """Yield the steps that make the directory of the configuration, and put a file there."""
    target = host.place(CONFIGURATION_FILE)
    made: list[Path] = []

    def make() -> None:
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True)
            made.append(target.parent)
        host.chown(target.parent, SERVICE_USER)
        target.parent.chmod(0o750)

    def unmake() -> None:
        for folder in made:
            folder.rmdir()

    folder = str(Path(CONFIGURATION_FILE).parent)
    yield InstallationStep(message("install.step.folder", path=folder, user=SERVICE_USER), make, unmake)
    source = order.configuration
    if source is None or target.exists():
        return

    def copy() -> None:
        _write(target, source.read_bytes(), 0o640)
        host.chown(target, SERVICE_USER)

    told = message("install.step.configuration", source=str(source), path=CONFIGURATION_FILE)
    yield InstallationStep(told, copy, lambda: target.unlink(missing_ok=True))


def _command(host: TargetSystem, *words: str) -> InstallationStep:
    def do() -> None:
        host.run(words)

    return InstallationStep(message("install.step.command", command=" ".join(words)), do)


def _enabling(host: TargetSystem) -> InstallationStep:
    """Return the step after which the service starts with the machine; undone, it does as before."""
    words = ("systemctl", "enable", TARGET_UNIT)
    was_enabled: list[bool] = []

    def do() -> None:
        was_enabled.append(host.succeeds("systemctl", "is-enabled", "--quiet", TARGET_UNIT))
        host.run(words)

    def undo() -> None:
        if was_enabled == [False]:
            host.run(("systemctl", "disable", "--now", TARGET_UNIT))

    return InstallationStep(message("install.step.command", command=" ".join(words)), do, undo)


def install(steps: Sequence[InstallationStep], host: TargetSystem, tell: Callable[[Message], None]) -> None:
    """Carry the steps out, each told when it is done; when one fails, undo those before it.

    Raises InstallationRefusedError for anybody but root, or InstallationFailedError.
    """
    if not host.is_root:
        raise InstallationRefusedError(message("install.no_root"))
    done: list[InstallationStep] = []
    try:
        for step in steps:
            done.append(step)  # also what is half done
            step.do()
            tell(step.told)
    except (OSError, subprocess.SubprocessError) as error:
        left = _undo(done, host)
        what, reason = done[-1].told, _reason(error)
        failure = message("install.failed", step=what, reason=reason)
        if left:
            failure = message("install.failed_partly", step=what, reason=reason, left=left)
        raise InstallationFailedError(failure) from error
    except BaseException:
        _undo(done, host)
        raise


def _undo(done: Sequence[InstallationStep], host: TargetSystem) -> list[str]:
    """Undo steps from the last to the first; return what could not be undone."""
    left = []
    for step in reversed(done):
        try:
            step.undo()
        except (OSError, subprocess.SubprocessError) as error:
            left.append(_reason(error))
    if host.has_systemd:
        host.succeeds("systemctl", "daemon-reload")
    return left


def _reason(error: Exception) -> str:
    """Return one line for what went wrong."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in f"{error.stderr or ''}\n{error.stdout or ''}".splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"{error.cmd[0]}: exit status {error.returncode}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def running_core(host: TargetSystem) -> str:
    """Return systemd's number of the run of the core that is active now (InvocationID); empty for none."""
    try:
        state = _core_state(host)
    except (OSError, subprocess.SubprocessError):
        return ""
    return state.get("InvocationID", "") if state.get("ActiveState") == "active" else ""


def _core_state(host: TargetSystem) -> dict[str, str]:
    words = "--property=ActiveState,InvocationID,NRestarts,StatusText"
    return dict(line.partition("=")[::2] for line in host.run(("systemctl", "show", words, CORE_UNIT)).splitlines())


def wait_until_ready(host: TargetSystem, before: str = "") -> str:
    """Wait until the core has told systemd that it runs; return what it says of itself.

    ``before``: the run that ends now, see ``running_core``, which does not count.
    Raises InstallationFailedError with its last lines when it does not come up. Everything stays installed, and systemd
    goes on starting it.
    """
    end_s = host.monotonic() + _READY_S
    while True:
        state = _core_state(host)
        if state.get("ActiveState") == "active" and (not before or state.get("InvocationID") != before):
            return state.get("StatusText", "")
        starts = state.get("NRestarts", "0")
        if host.monotonic() >= end_s or (starts.isdecimal() and int(starts) >= _MOST_STARTS):
            raise InstallationFailedError(message("install.not_ready", lines=_last_lines(host)))
        host.sleep(_LOOK_S)


def _last_lines(host: TargetSystem) -> list[str]:
    try:
        told = host.run(("journalctl", "--unit", CORE_UNIT, "--lines", str(_LAST_LINES), "--output=cat", "--no-pager"))
    except (OSError, subprocess.SubprocessError):
        return []
    errors = [line.strip() for line in told.splitlines() if line.startswith("error:")]
    return list(dict.fromkeys(errors or [line.strip() for line in told.splitlines()]))


# taking it away


def removable(host: TargetSystem, *, purge: bool) -> list[Path]:
    """Return what of the service is there, files before directories; the latter with ``purge`` alone."""
    paths = [folder / name for name, folder in _PLACES.items()]
    if purge:
        paths += [Path(CONFIGURATION_FILE).parent, Path(STATE_DIRECTORY), Path(LOG_DIRECTORY)]
    return [path for path in paths if os.path.lexists(host.place(path))]


def remove(host: TargetSystem, tell: Callable[[Message], None], *, purge: bool = False) -> bool:
    """Stop the service and take its files away, also those of a half-made installation; False when there were none.

    Configuration, state, log and the user they belong to stay, unless ``purge``. Raises InstallationRefusedError for
    anybody but root, or InstallationFailedError with what could not be removed, after all else was.
    """
    if not host.is_root:
        raise InstallationRefusedError(message("install.no_root"))
    paths = removable(host, purge=purge)
    has_user = purge and _has_user(host)
    if not paths and not has_user:
        return False
    if host.has_systemd and host.place(_UNITS / CORE_UNIT).exists():
        host.succeeds("systemctl", "disable", "--now", TARGET_UNIT)
        host.succeeds("systemctl", "stop", TARGET_UNIT, SERVICES_UNIT, CORE_UNIT)
        tell(message("install.removed.stopped"))
    left = []
    for path in paths:
        try:
            _remove(host.place(path))
            tell(message("install.removed.path", path=str(path)))
        except OSError as error:
            left.append(_reason(error))
    if host.has_systemd:
        host.succeeds("systemctl", "daemon-reload")
        host.succeeds("systemctl", "reset-failed", TARGET_UNIT, SERVICES_UNIT, CORE_UNIT)
        host.succeeds("udevadm", "control", "--reload")
    if has_user:
        try:
            host.run(("userdel", SERVICE_USER))
            tell(message("install.removed.user", user=SERVICE_USER))
        except (OSError, subprocess.SubprocessError) as error:
            left.append(_reason(error))
    if left:
        raise InstallationFailedError(message("install.left", reasons=left))
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
