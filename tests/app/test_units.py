"""The files of the service: what systemd makes of them, how far they shut the processes in, and what udev reads."""

import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from tinybms_bridge.app.units import (
    CONFIGURATION_FILE,
    CORE_UNIT,
    SERVICES_UNIT,
    STATE_DIRECTORY,
    TARGET_UNIT,
    UDEV_RULES,
    USER_FILE,
    unit_files,
)
from tinybms_bridge.errors import BridgeError

LEAST_EXPOSED = 2.0
"""What ``systemd-analyze security`` may give at most, of 10."""

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (apt package systemd)"
)

Unit = Mapping[str, list[str]]


def parsed(text: str) -> Unit:
    """Return the values of each key of a unit, of all sections."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found[key].append(value)
    return found


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The files for a program that systemd finds on every machine."""
    return unit_files("/bin/true")


@pytest.fixture(scope="module")
def core(files: dict[str, str]) -> Unit:
    """The unit of the core."""
    return parsed(files[CORE_UNIT])


@pytest.fixture(scope="module")
def services(files: dict[str, str]) -> Unit:
    """The unit of the services."""
    return parsed(files[SERVICES_UNIT])


@pytest.fixture
def folder(files: dict[str, str], tmp_path: Path) -> Path:
    """A folder with the files."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@needs_systemd_analyze
def test_systemd_has_nothing_to_remark(folder: Path) -> None:
    """No unknown key, no wrong value, no dependency that is not there."""
    units = [str(folder / name) for name in (CORE_UNIT, SERVICES_UNIT, TARGET_UNIT)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "tinybms" in line]  # the machine may have faults of its own

    assert ours == []


@needs_systemd_analyze
def test_systemd_takes_what_the_page_allows_by_a_file_beside_the_unit(folder: Path) -> None:
    """Whoever copies it from there gets what it says."""
    page = (Path(__file__).parents[2] / "docs" / "install.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```ini\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    beside = folder / f"{CORE_UNIT}.d" / "override.conf"
    beside.parent.mkdir()
    beside.write_text(block)
    words = ["systemd-analyze", "verify", "--man=no", str(folder / CORE_UNIT)]
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert [line for line in done.stderr.splitlines() if "tinybms" in line] == []

    beside.write_text(block + "DeviceAlow=char-1 rw\n")
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert "'DeviceAlow'" in done.stderr


@needs_systemd_analyze
@pytest.mark.parametrize("name", [CORE_UNIT, SERVICES_UNIT])
def test_a_process_that_was_taken_over_can_do_little(folder: Path, name: str) -> None:
    """The exposure that systemd works out stays low."""
    words = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(folder / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)

    assert level is not None, done.stderr
    assert float(level[1]) <= LEAST_EXPOSED


def test_the_core_is_started_again_within_a_second_however_often(core: Unit) -> None:
    """Also when it hangs, and also in a loop of failures."""
    assert core["Type"] == ["notify"]
    assert (core["Restart"], core["RestartSec"], core["StartLimitIntervalSec"]) == (["always"], ["200ms"], ["0"])
    assert core["WatchdogSec"] == ["30"]


def test_the_core_reaches_serial_ports_and_can_and_nothing_else(core: Unit) -> None:
    """No network; devices by the number of their driver, which need not be loaded when the unit starts."""
    assert core["RestrictAddressFamilies"] == ["AF_UNIX AF_CAN AF_NETLINK"]
    assert core["DevicePolicy"] == ["closed"]
    assert core["DeviceAllow"] == ["char-188 rw", "char-166 rw", "char-204 rw", "char-4 rw"]
    assert core["SupplementaryGroups"] == ["dialout"]
    assert "PrivateDevices" not in core


def test_the_core_may_be_punctual(core: Unit) -> None:
    """Real-time scheduling as ``hal/real_time.py`` asks for it, and the system calls that it takes."""
    assert (core["LimitRTPRIO"], core["LimitMEMLOCK"]) == (["5"], ["infinity"])
    assert "RestrictRealtime" not in core
    assert not any("@resources" in each for each in core["SystemCallFilter"])


def test_the_services_have_the_network_and_no_device(services: Unit) -> None:
    """Nothing that fails there can hold a port, or take the memory of the core."""
    assert services["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6 AF_NETLINK"]
    assert services["PrivateDevices"] == ["yes"]
    assert services["DeviceAllow"] == []
    assert services["MemoryMax"] == ["256M"]
    assert services["RestrictRealtime"] == ["yes"]


def test_neither_unit_takes_the_other_along(core: Unit, services: Unit) -> None:
    """The services begin after the core, and neither stops or starts with the other."""
    assert services["After"][0].split()[0] == CORE_UNIT
    for unit in (core, services):
        assert not {"Requires", "BindsTo", "Requisite", "Wants"} & unit.keys()
        assert unit["PartOf"] == [TARGET_UNIT]


def test_the_services_see_the_socket_of_the_next_core(core: Unit, services: Unit) -> None:
    """A directory of their own in its place, or one that goes with the core, would hold on to the one before."""
    assert core["RuntimeDirectory"] == ["tinybms-bridge"]
    assert core["RuntimeDirectoryPreserve"] == ["restart"]
    assert services["RuntimeDirectory"] == []
    assert services["Environment"] == ["TINYBMS_BRIDGE_SOCKET=/run/tinybms-bridge/core.sock"]


@pytest.mark.parametrize("name", [CORE_UNIT, SERVICES_UNIT])
def test_both_may_save_and_nobody_else_may_read(files: dict[str, str], name: str) -> None:
    """Counters and history in one directory, and the configuration, which is saved by renaming a file beside it."""
    unit = parsed(files[name])
    assert (unit["User"], unit["Group"]) == (["tinybms-bridge"], ["tinybms-bridge"])
    assert (unit["StateDirectory"], unit["StateDirectoryMode"]) == (["tinybms-bridge"], ["0750"])
    assert unit["ReadWritePaths"] == ["-/etc/tinybms-bridge"]
    assert (unit["ProtectSystem"], unit["ProtectHome"]) == (["strict"], ["yes"])


def test_the_core_reads_one_configuration_whether_it_is_there_or_not(core: Unit) -> None:
    """A first save goes there; an option that names a file would want it to exist."""
    assert core["Environment"] == [f"TINYBMS_BRIDGE_CONFIG={CONFIGURATION_FILE}"]
    assert core["ExecStart"] == ["/bin/true run-core"]


def test_the_target_groups_both_and_starts_with_the_machine(files: dict[str, str]) -> None:
    """One name for start, stop and restart."""
    target = parsed(files[TARGET_UNIT])
    assert target["Wants"] == [f"{CORE_UNIT} {SERVICES_UNIT}"]
    assert target["WantedBy"] == ["multi-user.target"]


def test_the_user_owns_the_state(files: dict[str, str]) -> None:
    """sysusers.d: a user with a group of its name."""
    assert f'u tinybms-bridge - "TinyBMS bridge" {STATE_DIRECTORY}' in files[USER_FILE].splitlines()


def test_a_path_with_blanks_is_one_word() -> None:
    """Otherwise systemd takes the rest for arguments."""
    unit = parsed(unit_files("/opt/my bridge/tinybms-bridge")[CORE_UNIT])
    assert unit["ExecStart"] == ['"/opt/my bridge/tinybms-bridge" run-core']


@pytest.mark.parametrize(
    "program", ["tinybms-bridge", "", '/opt/a"b', "/opt/%h/x", "/opt/$HOME/x", "/opt/a\nUser=root"]
)
def test_a_path_that_would_mean_something_else_is_refused(program: str) -> None:
    """A line break would be another line of the unit."""
    with pytest.raises(BridgeError, match="cannot be named in a unit"):
        unit_files(program)


def test_ports_of_another_system_belong_to_another_group() -> None:
    """Unit and rule name the same."""
    made = unit_files("/bin/true", serial_group="uucp")
    assert parsed(made[CORE_UNIT])["SupplementaryGroups"] == ["uucp"]
    assert 'GROUP="uucp"' in made[UDEV_RULES]


# udev


def outcome(rules: str, device: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what the rules set for a device, as udev(7) reads them: matches of one line together, then its settings.

    ``device``: by the key of a match, ``ENV{ID_MODEL_ID}`` for example; what a rule sets can be matched by a later one.
    """
    lines = [line for line in rules.replace("\\\n", "").splitlines() if line and not line.startswith("#")]
    labels = {found[1]: number for number, line in enumerate(lines) if (found := re.fullmatch(r'LABEL="(\w+)"', line))}
    known, told, at = dict(device), defaultdict[str, list[str]](list), 0
    while at < len(lines):
        words = re.findall(r'([A-Z_]+(?:\{[\w.]+\})?)(==|!=|\+=|=)"([^"]*)"(?:, *|$)', lines[at])
        assert ", ".join(f'{key}{sign}"{value}"' for key, sign, value in words) == re.sub(r", +", ", ", lines[at])
        at += 1
        matches = [(known.get(key, ""), sign, value) for key, sign, value in words if sign in ("==", "!=")]
        if not all(_matches(have, value) is (sign == "==") for have, sign, value in matches):
            continue
        for key, sign, value in words:
            if key == "GOTO":
                at = labels[value]
            elif sign in ("=", "+=") and key != "LABEL":
                text = re.sub(r"\$env\{(\w+)\}", lambda found: known.get(f"ENV{{{found[1]}}}", ""), value)
                known[key] = text
                told[key].append(text)
    return dict(told)


def _matches(have: str, pattern: str) -> bool:
    one = "|".join(re.escape(each).replace(r"\?", ".").replace(r"\*", ".*") for each in pattern.split("|"))
    return re.fullmatch(one.replace(r"\[", "[").replace(r"\]", "]").replace(r"\-", "-"), have) is not None


def port(vendor: str, model: str, **properties: str) -> dict[str, str]:
    """Return a serial port as the rules of udev before ours leave it."""
    usual = {"ID_VENDOR_ID": vendor, "ID_MODEL_ID": model, "ID_USB_INTERFACE_NUM": "00"}
    usual["ID_PATH_TAG"] = "platform-usb-0_1_3_1_0"
    given = {f"ENV{{{name}}}": value for name, value in {**usual, **properties}.items()}
    return {"ACTION": "add", "SUBSYSTEM": "tty", "SUBSYSTEMS": "usb", **given}


def test_an_adapter_keeps_its_names_whatever_number_it_gets(files: dict[str, str]) -> None:
    """By its serial number, and by the place where it is plugged in."""
    told = outcome(files[UDEV_RULES], port("0403", "6001", ID_SERIAL_SHORT="AB0CD1EF"))

    assert told["SYMLINK"] == ["tinybms-at-platform-usb-0_1_3_1_0", "tinybms-AB0CD1EF"]
    assert (told["GROUP"], told["MODE"], told["TAG"]) == (["dialout"], ["0660"], ["uaccess"])
    assert told["ENV{ID_MM_PORT_IGNORE}"] == ["1"]


def test_an_adapter_without_a_number_has_a_name_by_its_place(files: dict[str, str]) -> None:
    """As CH340 are."""
    assert outcome(files[UDEV_RULES], port("1a86", "7523"))["SYMLINK"] == ["tinybms-at-platform-usb-0_1_3_1_0"]


def test_two_ports_of_one_adapter_have_two_names(files: dict[str, str]) -> None:
    """They share the serial number."""
    told = outcome(files[UDEV_RULES], port("0403", "6010", ID_SERIAL_SHORT="FT1", ID_USB_INTERFACE_NUM="01"))
    assert told["SYMLINK"][-1] == "tinybms-FT1-01"


@pytest.mark.parametrize(
    "ids", [("0403", "6015"), ("10c4", "ea60"), ("1a86", "55d4"), ("067b", "2303"), ("ad50", "60c4"), ("16d0", "117e")]
)
def test_no_modem_is_looked_for_at_the_usual_adapters(files: dict[str, str], ids: tuple[str, str]) -> None:
    """ModemManager asks about the USB device, and would send bytes to the BMS."""
    vendor, product = ids
    device = {"ACTION": "add", "SUBSYSTEM": "usb", "ENV{DEVTYPE}": "usb_device"}
    told = outcome(files[UDEV_RULES], {**device, "ATTR{idVendor}": vendor, "ATTR{idProduct}": product})

    assert told == {"ENV{ID_MM_DEVICE_IGNORE}": ["1"]}
    assert outcome(files[UDEV_RULES], port(vendor, product))["SYMLINK"]


@pytest.mark.parametrize(
    "device",
    [
        port("0403", "ffff", ID_SERIAL_SHORT="x"),
        port("12d1", "1001", ID_SERIAL_SHORT="modem"),
        {**port("0403", "6001"), "ACTION": "remove"},
        {"ACTION": "add", "SUBSYSTEM": "tty", "SUBSYSTEMS": "platform"},
        {"ACTION": "add", "SUBSYSTEM": "usb", "ENV{DEVTYPE}": "usb_device", "ATTR{idVendor}": "12d1"},
        {"ACTION": "add", "SUBSYSTEM": "block"},
    ],
)
def test_other_devices_are_left_alone(files: dict[str, str], device: dict[str, str]) -> None:
    """A modem stays a modem."""
    assert outcome(files[UDEV_RULES], device) == {}


def test_udev_reads_the_rules_where_it_can_say_so(folder: Path) -> None:
    """``udevadm verify`` is there since systemd 254; the tests above read the rules on every machine."""
    words = ["udevadm", "verify", str(folder / UDEV_RULES)]
    program = shutil.which("udevadm")
    help_text = (
        ""
        if program is None
        else subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
    )
    if "verify" in help_text:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
