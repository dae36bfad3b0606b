"""``install-service`` as a person types it; what it does to a machine is in ``tests/app/test_installation.py``."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result

from tinybms_bridge.app import installation
from tinybms_bridge.app.installation import TargetSystem
from tinybms_bridge.app.units import CORE_UNIT, UDEV_RULES, unit_files
from tinybms_bridge.cli.install_service import install_service_command

Invoke = Callable[..., Result]


class Machine:
    """A folder in the place of ``/``, where every command succeeds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_root = True
        self.state = "ActiveState=active\nNRestarts=0\nStatusText=13.2 V, charging\n"
        (root / "run/systemd/system").mkdir(parents=True)
        self.program = root / "opt/tinybms-bridge"
        self.program.parent.mkdir()
        self.program.write_text("")
        for path in (root, root / "opt", self.program):
            path.chmod(0o755)

    def run(self, words: Sequence[str]) -> str:
        """Do nothing; the user is not there yet."""
        if words[:2] == ("getent", "passwd"):
            raise subprocess.CalledProcessError(2, list(words))
        if words[0] == "journalctl":
            return "error: config.json: cvl.enabled = 5: must be true or false\n"
        return self.state if "show" in words else ""

    def host(self) -> TargetSystem:
        """Return it as the program sees it."""
        return TargetSystem(
            self.root, self.run, lambda _path, _user: None, self.is_root, list, lambda: 0.0, lambda _seconds: None
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine that the command finds."""
    made = Machine(tmp_path / "root")
    monkeypatch.setattr(installation, "TargetSystem", made.host)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUDO_USER", raising=False)
    return made


@pytest.fixture
def install(machine: Machine, invoke: Invoke) -> Invoke:
    """Return what runs the command for a program that lies well."""
    return lambda *words: invoke(install_service_command, "--program", "/opt/tinybms-bridge", *words)


def test_it_says_what_it_does_until_the_core_is_ready_and_what_comes_next(
    machine: Machine, install: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newcomer needs no other page."""
    monkeypatch.setenv("SUDO_USER", "anna")
    result = install()

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert f"write /etc/systemd/system/{CORE_UNIT}" in lines
    ready = lines.index("the core is ready: 13.2 V, charging")
    assert [line.partition(":")[0] for line in lines[ready + 1 :]] == [
        "is all well?            /opt/tinybms-bridge doctor",
        "pages in the browser",
        "their first user",
        "the log",
        "commands without sudo",
    ]
    assert lines[-1].endswith("sudo usermod -aG tinybms-bridge anna, then log in again")
    assert (machine.root / f"etc/systemd/system/{CORE_UNIT}").exists()


def test_a_dry_run_shows_every_file_and_changes_nothing(machine: Machine, install: Invoke) -> None:
    """Also for somebody who is not root."""
    machine.is_root = False
    result = install("--dry-run")

    assert result.exit_code == 0
    for text in unit_files("/opt/tinybms-bridge").values():
        for line in text.splitlines():
            assert f"    {line}".rstrip() in result.stdout.splitlines()
    assert "run systemctl enable tinybms-bridge.target" in result.stdout.splitlines()
    assert not (machine.root / "etc").exists()


def test_what_is_in_the_way_is_one_line_with_status_2(machine: Machine, install: Invoke) -> None:
    """Nothing on standard output."""
    machine.is_root = False
    result = install()

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: a service is installed and removed by root: put sudo before")
    assert result.stderr.count("\n") == 1


def test_in_french_where_the_machine_is(machine: Machine, install: Invoke) -> None:
    """What stops it and what it does."""
    assert "le cœur est prêt : 13.2 V, charging" in install("--lang", "fr").stdout.splitlines()
    machine.is_root = False
    assert "un service est installé et enlevé par root" in install("--lang", "fr").stderr


def test_a_core_that_does_not_come_up_is_a_failure_with_its_reason(machine: Machine, install: Invoke) -> None:
    """The service stays: it starts as soon as the configuration is mended."""
    machine.state = "ActiveState=activating\nNRestarts=3\nStatusText=\n"
    result = install()

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "cvl.enabled = 5: must be true or false" in result.stderr
    assert (machine.root / f"etc/systemd/system/{CORE_UNIT}").exists()


def test_a_configuration_with_mistakes_is_not_installed(machine: Machine, install: Invoke, tmp_path: Path) -> None:
    """Each mistake is a line, as ``check`` has it; nothing was changed."""
    (tmp_path / "bad.json").write_text(json.dumps({"cvl": {"enabled": 5}, "uart": 1}))
    result = install("--config", "bad.json")

    assert result.exit_code == 2
    assert "bad.json: cvl.enabled = 5: must be true or false" in result.stderr
    assert not (machine.root / "etc").exists()
    assert install("--config", "none.json").exit_code == 2


def test_a_configuration_is_copied_and_what_the_service_may_not_is_said(
    machine: Machine, install: Invoke, tmp_path: Path
) -> None:
    """An adapter that the unit does not allow would be looked for in vain."""
    (tmp_path / "mine.json").write_text(
        '{"hardware": {"can": {"interface": "gs_usb"}}, "web_server": {"enabled": false}}'
    )
    result = install("--config", "mine.json")

    assert result.exit_code == 0
    assert (machine.root / "etc/tinybms-bridge/config.json").read_text() == (tmp_path / "mine.json").read_text()
    assert "notice: the service may use serial ports and the CAN of the kernel alone" in result.stdout
    assert "pages in the browser" not in result.stdout


@pytest.mark.parametrize(
    ("web", "announced", "address"),
    [
        ({"port": 80}, False, "http://boat/"),
        ({"port": 8080}, False, "http://boat:8080/"),
        ({"port": 443, "tls_self_signed": True}, False, "https://boat/"),
        ({"port": 80, "listen_address": "127.0.0.1"}, True, "http://127.0.0.1/"),
        ({"port": 81, "listen_address": "::1"}, True, "http://[::1]:81/"),
        ({"port": 8080}, True, "http://tinybms-bridge.local:8080/"),
    ],
)
def test_the_address_of_the_pages_can_be_opened(
    install: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    web: dict[str, object],
    announced: bool,
    address: str,
) -> None:
    """By the name that is announced, else by that of the machine, as configured."""
    monkeypatch.setattr("tinybms_bridge.cli.install_service.socket.gethostname", lambda: "boat")
    (tmp_path / "mine.json").write_text(json.dumps({"web_server": web, "mdns": {"enabled": announced}}))
    assert f"pages in the browser:   {address}" in install("--config", "mine.json").stdout.splitlines()


def test_removal_says_what_is_gone_and_what_stays(machine: Machine, install: Invoke) -> None:
    """And how the rest goes."""
    install()
    would = install("--remove", "--dry-run")
    assert f"remove /etc/udev/rules.d/{UDEV_RULES}" in would.stdout.splitlines()
    assert (machine.root / f"etc/udev/rules.d/{UDEV_RULES}").exists()

    result = install("--remove")
    assert result.stdout.splitlines()[-1].startswith("the service is gone; configuration, counters and history stay")
    assert not (machine.root / f"etc/udev/rules.d/{UDEV_RULES}").exists()
    assert install("--remove").stdout == "there is no service to remove\n"
    assert install("--remove", "--purge").stdout.splitlines()[-1] == "the service is gone with all that it had saved"


def test_purge_is_no_word_by_itself(machine: Machine, install: Invoke) -> None:
    """Whoever forgets --remove must not lose counters."""
    result = install("--purge")
    assert (result.exit_code, result.stderr) == (2, "error: --purge belongs to --remove\n")
    assert not (machine.root / "etc").exists()


def test_files_for_a_package(invoke: Invoke, tmp_path: Path) -> None:
    """Without root, systemd, or the program being there yet."""
    folder = tmp_path / "deep" / "files"
    result = invoke(install_service_command, "--files-to", str(folder), "--program", "/usr/bin/tinybms-bridge")

    assert result.exit_code == 0, result.stderr
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == unit_files("/usr/bin/tinybms-bridge")
    assert sorted(result.stdout.splitlines()) == sorted(str(folder / name) for name in written)


def test_a_folder_that_cannot_be_written_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    """As a file in its place."""
    (tmp_path / "file").write_text("")
    result = invoke(install_service_command, "--files-to", str(tmp_path / "file"), "--program", "/usr/bin/x")
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path / 'file'}: File exists\n"


def test_the_real_machine_of_the_tests_is_left_alone(invoke: Invoke) -> None:
    """A dry run here says what is in the way or what it would do, whatever runs the machine."""
    before = os.path.exists(f"/etc/systemd/system/{CORE_UNIT}")
    result = invoke(install_service_command, "--dry-run")
    assert result.exit_code in (0, 2)
    assert os.path.exists(f"/etc/systemd/system/{CORE_UNIT}") is before
