"""Bringing a CAN interface up as a bridge needs it, until the next start by ``ip``, for good by systemd-networkd.

What is to be done is a plan, made without touching anything: commands, and files in ``/etc/systemd/network`` (see
systemd.network(5), systemd.link(5)). Everything here blocks.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_faults import RESTART_MS, TX_QUEUE_FRAMES
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.words import message

__all__ = [
    "NETWORK_FOLDER",
    "LinkPlan",
    "NetworkdState",
    "WantedLink",
    "choose_device",
    "find_ip",
    "forget_files",
    "lasting_files",
    "made_files",
    "networkd_state",
    "plan_up",
    "reload_networkd",
    "run_command",
    "write_files",
]

NETWORK_FOLDER = Path("/etc/systemd/network")
_KERNEL_QUEUE_FRAMES = 10
"""What an interface has when nobody sets it (can_setup in drivers/net/can/dev/dev.c)."""
_SYSTEM_PATHS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")
"""Not all of them are in the path of a user, who may run --dry-run."""
_TIMEOUT_S = 20.0
_NETWORKD = "systemd-networkd.service"
_ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect")


@dataclass(frozen=True, slots=True)
class WantedLink:
    """How an interface shall be."""

    bitrate_bps: int = 500_000
    restart_ms: int = RESTART_MS
    queue_frames: int = TX_QUEUE_FRAMES

    def is_met_by(self, device: CanDevice) -> bool:
        """Return whether an interface is up like that, and works."""
        found = device.up, device.bitrate_bps, device.restart_ms, device.tx_queue_frames
        wanted = True, self.bitrate_bps, self.restart_ms, self.queue_frames
        return found == wanted and device.state != "bus_off" and not {"listen_only", "loopback"} & set(device.modes)


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """What is to be done."""

    commands: tuple[tuple[str, ...], ...] = ()
    files: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkdState:
    """Whether files for systemd-networkd have an effect."""

    present: bool
    enabled: bool = False
    active: bool = False


def choose_device(name: str | None, configured: str, devices: Sequence[CanDevice]) -> CanDevice:
    """Return the interface that is meant: by its name, the configured one, or the only one with a controller.

    Raises LinkError with what there is.
    """
    by_name = {device.name: device for device in devices}
    if name is not None:
        if name in by_name:
            return by_name[name]
        hint = message("can_setup.unknown_hint", meant=nearest(name, by_name), known=sorted(by_name))
        raise LinkError(message("can_setup.unknown", name=name), hint=hint)
    if configured in by_name:
        return by_name[configured]
    real = [device for device in devices if device.has_controller]
    if len(real) == 1:
        return real[0]
    if real:
        names = [device.name for device in real]
        raise LinkError(message("can_setup.which"), hint=message("can_setup.name_one", known=names))
    hint = message("can_setup.unknown_hint", meant=[], known=sorted(by_name))
    raise LinkError(message("can_setup.no_interface"), hint=hint)


def find_ip() -> str:
    """Return the path of the program ``ip``. Raises LinkError where it is not installed."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_PATHS))
    found = shutil.which("ip", path=path)
    if found is None:
        raise LinkError(message("can_setup.no_iproute2"), hint=message("can_setup.install_iproute2"))
    return found


def plan_up(
    device: CanDevice,
    wanted: WantedLink,
    *,
    lasting: bool = True,
    ip: str = "ip",
    folder: Path = NETWORK_FOLDER,
) -> LinkPlan:
    """Return what brings an interface up; no command for one that is up like that already.

    Raises LinkError for one without a bit rate.
    """
    name = device.name
    if not device.has_controller:
        hint = message("can_setup.plain_up", command=f"sudo ip link set {name} up")
        raise LinkError(message("can_setup.no_controller", name=name), hint=hint)
    files = lasting_files(name, wanted, folder) if lasting else {}
    if wanted.is_met_by(device):
        return LinkPlan(files=files)
    modes = [word for mode in device.modes if mode in ("listen_only", "loopback", "one_shot") for word in _off(mode)]
    timing = ("bitrate", str(wanted.bitrate_bps), "restart-ms", str(wanted.restart_ms))
    commands = (
        *(((ip, "link", "set", name, "down"),) if device.up else ()),
        (ip, "link", "set", name, "type", "can", *timing, *modes),
        (ip, "link", "set", name, "txqueuelen", str(wanted.queue_frames)),
        (ip, "link", "set", name, "up"),
    )
    return LinkPlan(commands, files)


def _off(mode: str) -> tuple[str, str]:
    return mode.replace("_", "-"), "off"


def lasting_files(name: str, wanted: WantedLink, folder: Path = NETWORK_FOLDER) -> dict[Path, str]:
    """Return the files that bring an interface up at each start, with their content."""
    network, link = _paths(name, folder)
    made_by = "# Made by: tinybms-bridge can up. Removed by: tinybms-bridge can forget.\n"
    files = {
        network: (
            f"{made_by}[Match]\nName={name}\n\n[Link]\nRequiredForOnline=no\n\n"
            f"[CAN]\nBitRate={wanted.bitrate_bps}\nRestartSec={wanted.restart_ms}ms\n"
        )
    }
    if wanted.queue_frames != _KERNEL_QUEUE_FRAMES:
        files[link] = f"{made_by}[Match]\nOriginalName={name}\n\n[Link]\nTransmitQueueLength={wanted.queue_frames}\n"
    return files


def _paths(name: str, folder: Path) -> tuple[Path, Path]:
    """Return the file for systemd-networkd, and that for udev, which is read before the usual 70 and later."""
    return folder / f"80-tinybms-bridge-{name}.network", folder / f"60-tinybms-bridge-{name}.link"


def write_files(name: str, files: Mapping[Path, str], folder: Path = NETWORK_FOLDER) -> None:
    """Write the files of an interface, each as a whole or not at all, and remove one that is no longer needed.

    Raises LinkError.
    """
    for path, content in files.items():
        beside = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(content, encoding="utf-8")
            beside.chmod(0o644)
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            told = message("can_setup.cannot_write", file=str(path), reason=error_words(error))
            raise LinkError(told, hint=message("can_setup.not_lasting")) from error
    _remove([path for path in _paths(name, folder) if path not in files])


def forget_files(name: str, folder: Path = NETWORK_FOLDER) -> list[Path]:
    """Remove what ``write_files`` has made for an interface; return what was removed. Raises LinkError."""
    return _remove(_paths(name, folder))


def made_files(name: str, folder: Path = NETWORK_FOLDER) -> list[Path]:
    """Return what ``write_files`` has made for an interface."""
    return [path for path in _paths(name, folder) if path.exists()]


def _remove(paths: Sequence[Path]) -> list[Path]:
    removed = []
    for path in paths:
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            told = message("can_setup.cannot_remove", file=str(path), reason=error_words(error))
            raise LinkError(told, hint=message("can_setup.make_writable")) from error
        removed.append(path)
    return removed


def run_command(command: Sequence[str]) -> str:
    """Run a program and return what it says. Raises LinkError with its own words when it fails."""
    shown = " ".join(command)
    try:
        done = subprocess.run(  # noqa: S603 -- a list of words that were made here
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        told = message("can_setup.ip_failed", command=shown, reason=message("can_setup.slow", seconds=_TIMEOUT_S))
        raise LinkError(told, hint=message("can_setup.in_use")) from error
    except OSError as error:
        told = message("can_setup.ip_failed", command=shown, reason=error_words(error))
        raise LinkError(told, hint=message("can_setup.in_use")) from error
    if done.returncode:
        reason = " ".join((done.stderr or done.stdout).split())[:200] or str(done.returncode)
        hint = message("can_setup.bitrate_refused" if "bitrate" in command else "can_setup.in_use")
        raise LinkError(message("can_setup.ip_failed", command=shown, reason=reason), hint=hint)
    return done.stdout


def networkd_state(
    ask: Callable[[str], str] | None = None, booted: Path = Path("/run/systemd/system")
) -> NetworkdState:
    """Return whether systemd-networkd is here, enabled and running; ``ask``: what systemctl says to a question."""
    if not booted.is_dir():
        return NetworkdState(present=False)
    ask = ask or _ask_systemctl
    enabled, active = ask("is-enabled"), ask("is-active")
    return NetworkdState(
        present=enabled not in ("", "not-found"), enabled=enabled in _ENABLED, active=active == "active"
    )


def reload_networkd() -> None:
    """Let a running systemd-networkd read its files again; whatever comes of that, the next start reads them."""
    _said_by("networkctl", "reload")


def _ask_systemctl(question: str) -> str:
    """Return what systemctl says of systemd-networkd; it ends with an error for each answer that is not yes."""
    return _said_by("systemctl", question, _NETWORKD)


def _said_by(*command: str) -> str:
    """Return what a program says, however it ends; nothing where it is not installed."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603 -- our words
        return done.stdout.strip()
    return ""
