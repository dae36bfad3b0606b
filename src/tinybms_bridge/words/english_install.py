"""The catalogue in English, of what installing for good says."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["INSTALL_SENTENCES"]

INSTALL_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "install.path_unusable": "{path} cannot be named in a unit of systemd: it has to be an absolute path without quotation marks, backslash, $ and %",
        "install.no_root": "a service is installed and removed by root: put sudo before the same command, or add --dry-run to see what it would do",
        "install.no_systemd": "this machine is not run by systemd, so there is nothing that could start a service: let its own start-up call tinybms-bridge run --plain",
        "install.no_program": "{path} is no program that can be started; --program names another one",
        "install.in_home": "{path} is in a home directory, which the service may not read: install the program in /opt and call it there (docs/install.md says how)",
        "install.unreadable": "the service could not read {path}, since {closed} is closed to other users: sudo chmod o+rX {closed}",
        "install.packaged": "the Debian package has installed the service already ({path}): keep that, or remove it first with sudo apt remove tinybms-bridge",
        "install.other_bridge": "a bridge runs already and holds the ports: {process}; end it first: {command}",
        "install.configuration_there": "there is another configuration at {path}, which is not replaced: leave --config out to keep it, or move it away",
        "install.purge_alone": "--purge belongs to --remove",
        "install.failed": "could not {step}: {reason}; what had been done was undone",
        "install.failed_partly": "could not {step}: {reason}; what had been done was undone but for this: {left:;}",
        "install.not_ready": "the service is installed and is started again and again, but the core does not become ready[: {lines:;}]; journalctl -u tinybms-bridge-core says more",
        "install.left": "not everything could be removed: {reasons:;}",
        "install.step.write": "write {path}",
        "install.step.user": "make the user and group {user}",
        "install.step.folder": "give the directory {path} to {user}",
        "install.step.configuration": "copy {source} to {path}",
        "install.step.command": "run {command}",
        "install.would_remove": "remove {path}",
        "install.removed.stopped": "stopped the service",
        "install.removed.path": "removed {path}",
        "install.removed.user": "removed the user {user}",
        "install.removed": "the service is gone; configuration, counters and history stay: --remove --purge takes them away",
        "install.purged": "the service is gone with all that it had saved",
        "install.nothing_there": "there is no service to remove",
        "install.waiting": "the core starts ...",
        "install.ready": "the core is ready[: {said}]",
        "install.next.doctor": "is all well?            {program} doctor",
        "install.next.pages": "pages in the browser:   {address}",
        "install.next.token": "their first user:       sudo {program} users --state-directory {state} setup-token",
        "install.next.log": "the log:                journalctl -u {core} -f",
        "install.next.group": "commands without sudo:  sudo usermod -aG {group} {login}, then log in again",
        "install.remark": "notice: {remark}",
        "install.remark.can": "the service may use serial ports and the CAN of the kernel alone, and the CAN adapter is {interface}: docs/install.md says how to allow it",
        "install.remark.state": "the service cannot write to advanced.state_directory, {folder}: leave it empty, or allow it with systemctl edit {unit}",
    }
)
