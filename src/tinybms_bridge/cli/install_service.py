"""Command ``install-service``: make the bridge a service of systemd, or take the service away."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinybms_bridge.cli.common import EXIT_FAILURE, EXIT_REFUSED, end_with, fail, language_option
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.words import Language, Message, message

if TYPE_CHECKING:
    from tinybms_bridge.app.installation import Order, TargetSystem
    from tinybms_bridge.config.configuration import Configuration

__all__ = ["install_service_command"]

_EXAMPLES = """\b
Examples:
  tinybms-bridge install-service --dry-run            what would be done, and every file; changes nothing
  sudo .venv/bin/tinybms-bridge install-service       from a clone in /opt
  sudo tinybms-bridge install-service --config bridge.json
  sudo tinybms-bridge install-service --remove        configuration, counters and history stay
  sudo tinybms-bridge install-service --remove --purge
  tinybms-bridge install-service --files-to build --program /usr/bin/tinybms-bridge

\b
Exit status: 0 done, and the core is ready; 1 it failed and was undone, or the core does not become ready;
2 something is in the way, and nothing was changed."""


@click.command("install-service", epilog=_EXAMPLES)
@click.option("-c", "--config", "config_path", metavar="FILE", help="Begin with a copy of this configuration.")
@click.option("--program", metavar="PATH", help="The program that the service starts.  [default: this one]")
@click.option("--dry-run", is_flag=True, help="Show what would be done, with every file; change nothing.")
@click.option("--remove", "removes", is_flag=True, help="Stop the service and take it away; what it has saved stays.")
@click.option("--purge", is_flag=True, help="With --remove: configuration, counters, history, log and user, too.")
@click.option("--files-to", metavar="DIR", help="Only write the files of the service there, to build a package.")
@language_option
def install_service_command(
    *,
    config_path: str | None,
    program: str | None,
    dry_run: bool,
    removes: bool,
    purge: bool,
    files_to: str | None,
    language: Language,
) -> None:
    """Install the bridge for good: it starts with the machine, and again within a second when it fails.

    For a clone or a virtual environment on a machine with systemd, as root; the Debian package has done this already.
    The program has to lie where a service can read it, in /opt for example, and not in a home directory.

    It makes the user tinybms-bridge, the directory /etc/tinybms-bridge for the configuration, a rule of udev that gives
    serial adapters names that stay (/dev/tinybms-...), and three units:

    \b
      tinybms-bridge-core        reads the BMS and sends to the GX; has no network
      tinybms-bridge-services    web pages, history and log; has no devices, and may fail without harm
      tinybms-bridge.target      both: systemctl start, stop, restart

    After an update of the program the same command starts the new version.
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.app.installation import InstallationFailedError, Order, TargetSystem, own_program

    if purge and not removes:
        end_with([message("install.purge_alone").say(language)], EXIT_REFUSED)
    path = Path(os.path.abspath(program)) if program else own_program()
    try:
        if files_to is not None:
            _write_files(Path(files_to), path)
        elif removes:
            _remove(TargetSystem(), language, purge=purge, dry_run=dry_run)
        else:
            _install(TargetSystem(), Order(path, Path(config_path) if config_path else None), language, dry_run=dry_run)
    except OSError as error:
        fail(error)
    except InstallationFailedError as error:
        _end(error, EXIT_FAILURE, language)
    except BridgeError as error:
        _end(error, EXIT_REFUSED, language)


def _end(error: BridgeError, status: int, language: Language) -> None:
    if type(error).__name__ == "ConfigError":
        fail(error, status)
    end_with([error.description.say(language)], status, told=error.description)


def _write_files(folder: Path, program: Path) -> None:
    from tinybms_bridge.app.units import unit_files

    files = unit_files(str(program))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(str(folder / name))


def _teller(language: Language) -> Callable[[Message], None]:
    return lambda told: click.echo(told.say(language))


def _install(host: "TargetSystem", order: "Order", language: Language, *, dry_run: bool) -> None:
    from tinybms_bridge.app.installation import install, planned, remarks, running_core, wait_until_ready

    tell = _teller(language)
    config = _configuration(host, order)
    steps = planned(order, host)
    if dry_run:
        for step in steps:
            tell(step.told)
            if step.text:
                click.echo("\n".join(f"    {line}".rstrip() for line in step.text.splitlines()))
        return
    before = running_core(host)
    install(steps, host, tell)
    for remark in remarks(config):
        tell(message("install.remark", remark=remark))
    tell(message("install.waiting"))
    said = wait_until_ready(host, before)
    tell(message("install.ready", said=said))
    _tell_next(config, order.program, tell)


def _configuration(host: "TargetSystem", order: "Order") -> "Configuration":
    """Return the configuration to begin with, or the one that is there. Raises ConfigError for one to be mended."""
    from tinybms_bridge.app.units import CONFIGURATION_FILE
    from tinybms_bridge.cli.configuration import read_configuration
    from tinybms_bridge.config.configuration import Configuration

    there = host.place(CONFIGURATION_FILE)
    if order.configuration is not None:
        return read_configuration(str(order.configuration)).configuration
    try:
        return read_configuration(str(there)).configuration if there.exists() else Configuration()
    except PermissionError:  # a dry run by somebody else than root
        return Configuration()


def _tell_next(config: "Configuration", program: Path, tell: Callable[[Message], None]) -> None:
    """Say what a person does next."""
    from tinybms_bridge.app.units import CORE_UNIT, SERVICE_USER, STATE_DIRECTORY

    web, login = config.web_server, os.environ.get("SUDO_USER", "")
    tell(message("install.next.doctor", program=str(program)))
    if web.enabled:
        tell(message("install.next.pages", address=_address(config)))
        tell(message("install.next.token", program=str(program), state=STATE_DIRECTORY))
    tell(message("install.next.log", core=CORE_UNIT))
    if login:
        tell(message("install.next.group", group=SERVICE_USER, login=login))


def _address(config: "Configuration") -> str:
    """Return where the pages are, for whoever is in the same network."""
    web = config.web_server
    machine = f"{config.wifi.sta_hostname}.local" if config.mdns.enabled else socket.gethostname()
    everywhere = web.listen_address in ("", "0.0.0.0", "::")  # noqa: S104 -- what it is called, nothing is opened
    name = machine if everywhere else web.listen_address
    scheme, usual = ("https", 443) if web.tls_certificate or web.tls_self_signed else ("http", 80)
    port = "" if web.port == usual else f":{web.port}"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}{port}/"


def _remove(host: "TargetSystem", language: Language, *, purge: bool, dry_run: bool) -> None:
    from tinybms_bridge.app.installation import removable, remove

    tell = _teller(language)
    if dry_run:
        for path in removable(host, purge=purge):
            tell(message("install.would_remove", path=str(path)))
        return
    if not remove(host, tell, purge=purge):
        tell(message("install.nothing_there"))
    else:
        tell(message("install.purged" if purge else "install.removed"))
