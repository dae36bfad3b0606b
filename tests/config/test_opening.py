import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.opening import load_configuration, load_defaults, open_configuration, open_in_memory
from tinybms_bridge.config.overrides import Overrides
from tinybms_bridge.core.settings import can_settings
from tinybms_bridge.errors import ConfigError

NOTHING = Overrides()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a working directory of their own, without what the machine of the test has set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("STATE_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TINYBMS_BRIDGE_CONFIG", str(tmp_path / "usual.json"))
    return tmp_path


def write(path: Path, document: object) -> str:
    """Write a configuration and return its path."""
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def device(name: str) -> dict[str, Any]:
    """Return a document with one serial port."""
    return {"hardware": {"uart": {"device": name}}}


def test_named_file_is_used(home: Path) -> None:
    """What stands in the file is in force, without remarks when there are none to make."""
    config, remarks = load_configuration(write(home / "a.json", device("/dev/ttyS5")), NOTHING)
    assert config.hardware.uart.device == "/dev/ttyS5"
    assert remarks == []


def test_named_file_that_is_missing_is_an_error(home: Path) -> None:
    """A typo in the path does not start a bridge with defaults."""
    with pytest.raises(ConfigError) as caught:
        load_configuration(str(home / "typo.json"), NOTHING)
    assert str(caught.value) == f"{home / 'typo.json'}: configuration: the file does not exist"


def test_missing_usual_file_gives_the_defaults(home: Path) -> None:
    """Without a file everything comes from the BMS, and that is said."""
    config, remarks = load_configuration(None, NOTHING)
    assert config == Configuration()
    (remark,) = remarks
    assert "usual.json does not exist; every key has its default" in remark


def test_usual_file_is_used(home: Path) -> None:
    """Without -c the usual place is read."""
    write(home / "usual.json", device("/dev/ttyS6"))
    assert load_configuration(None, NOTHING)[0].hardware.uart.device == "/dev/ttyS6"


def test_notices_become_remarks(home: Path) -> None:
    """What a valid file says without effect is told, with its key."""
    _, remarks = load_configuration(write(home / "a.json", {"advanced": {"enable_ota": True}}), NOTHING)
    (remark,) = remarks
    assert remark.startswith("advanced.enable_ota: no effect")


def test_passwords_that_everybody_may_read_become_a_remark(home: Path) -> None:
    """At each start until the mode is mended, also while the last good copy is in force."""
    path = write(home / "a.json", {"mqtt": {"username": "boat", "password": "hush"}})
    (home / "a.json").chmod(0o644)
    assert any("chmod 600" in remark for remark in load_configuration(path, NOTHING)[1])
    write(home / "a.json", "{")
    assert any("chmod 600" in remark for remark in load_configuration(path, NOTHING)[1])
    (home / "a.json").chmod(0o600)
    assert not any("chmod 600" in remark for remark in load_configuration(path, NOTHING)[1])


BAD = {"hardware": {"uart": {"baudrate": "fast"}}, "cvl": {"float_exit_soc": 200}}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cann": 1}', json.dumps(BAD)])
def test_bad_file_without_a_good_copy_is_an_error(home: Path, text: str) -> None:
    """Nothing to fall back to: the problems go to the user, nothing starts."""
    with pytest.raises(ConfigError) as caught:
        load_configuration(write(home / "a.json", text), NOTHING)
    assert caught.value.problems
    assert caught.value.source == str(home / "a.json")


def test_every_problem_of_a_bad_file_is_reported(home: Path) -> None:
    """Not one after the other, start by start."""
    with pytest.raises(ConfigError) as caught:
        load_configuration(write(home / "a.json", BAD), NOTHING)
    assert {problem.path for problem in caught.value.problems} == {"hardware.uart.baudrate", "cvl.float_exit_soc"}


def test_bad_file_gives_way_to_its_last_good_copy(home: Path) -> None:
    """A battery is not left alone because of a comma: the last good configuration runs, and all problems are told."""
    path = write(home / "a.json", device("/dev/ttyS5"))
    load_configuration(path, NOTHING)
    config, remarks = load_configuration(write(home / "a.json", BAD), NOTHING)
    assert config.hardware.uart.device == "/dev/ttyS5"
    assert len(remarks) == 3
    assert all(remark.startswith("configuration not used: ") for remark in remarks[:2])
    assert remarks[2] == "the last good configuration is in force"


def test_good_copy_survives_bad_starts_and_follows_good_ones(home: Path) -> None:
    """Several bad starts in a row do not lose the copy; the next good file replaces it."""
    path = home / "a.json"
    for name, expected in (("/dev/ttyS1", "/dev/ttyS1"), ("", "/dev/ttyS1"), ("", "/dev/ttyS1"), ("/dev/ttyS2",) * 2):
        write(path, device(name) if name else "{")
        assert load_configuration(str(path), NOTHING)[0].hardware.uart.device == expected
    write(path, "{")
    assert load_configuration(str(path), NOTHING)[0].hardware.uart.device == "/dev/ttyS2"


def test_good_copy_of_another_file_is_not_used(home: Path) -> None:
    """A new file with a mistake is an error, not a reason to run the configuration of another battery."""
    load_configuration(write(home / "a.json", device("/dev/ttyS5")), NOTHING)
    with pytest.raises(ConfigError, match="float_exit_soc"):
        load_configuration(write(home / "b.json", BAD), NOTHING)


def test_good_copy_is_found_from_any_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file under a relative name is the same file."""
    load_configuration(write(home / "a.json", device("/dev/ttyS5")), NOTHING)
    write(home / "a.json", "{")
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    assert load_configuration("../a.json", NOTHING)[0].hardware.uart.device == "/dev/ttyS5"


def test_good_copy_is_kept_where_systemd_says_and_readable_by_nobody_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy holds the same passwords as the file."""
    monkeypatch.setenv("STATE_DIRECTORY", str(home / "state"))
    load_configuration(write(home / "a.json", {"mqtt": {"username": "boat", "password": "secret"}}), NOTHING)
    (copy,) = (path for path in (home / "state").iterdir() if "secret" in path.read_text())
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_state_directory_that_cannot_be_written_stops_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is a convenience."""
    monkeypatch.setenv("STATE_DIRECTORY", write(home / "file", "in the way") + "/state")
    config, _ = load_configuration(write(home / "a.json", device("/dev/ttyS5")), NOTHING)
    assert config.hardware.uart.device == "/dev/ttyS5"


def test_file_that_cannot_be_read_is_an_error(home: Path) -> None:
    """A directory in place of the file: said with the reason."""
    (home / "a.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_configuration(str(home / "a.json"), NOTHING)


def test_command_line_wins_over_the_file(home: Path) -> None:
    """Port, adapter and channel of the command line; everything else stays as the file says."""
    document = device("/dev/ttyS5") | {"victron": {"stale_hold_s": 7}}
    document["hardware"]["can"] = {"channel": "can0", "bitrate": 250_000}
    overrides = Overrides(device="/dev/ttyUSB3", can_channel="can1")
    config, _ = load_configuration(write(home / "a.json", document), overrides)
    hardware = config.hardware
    assert (hardware.uart.device, hardware.can.channel, hardware.can.bitrate) == ("/dev/ttyUSB3", "can1", 250_000)
    assert (hardware.can.interface, config.victron.stale_hold_s) == ("socketcan", 7)


def test_command_line_does_not_change_the_file(home: Path) -> None:
    """An override is for this run: neither the file nor its good copy knows of it."""
    path = write(home / "a.json", device("/dev/ttyS5"))
    load_configuration(path, Overrides(device="/dev/ttyUSB3"))
    assert json.loads(Path(path).read_text()) == device("/dev/ttyS5")
    write(home / "a.json", "{")
    assert load_configuration(path, NOTHING)[0].hardware.uart.device == "/dev/ttyS5"


def test_another_adapter_leaves_the_channel_of_the_first(home: Path) -> None:
    """`--can-interface udp_multicast` for a try: channel and options of the file belong to the adapter in the file."""
    can = {"interface": "socketcan", "channel": "can0", "options": {"fd": False}, "bitrate": 250_000}
    path = write(home / "a.json", {"hardware": {"can": can}})
    config, _ = load_configuration(path, Overrides(can_interface="udp_multicast"))
    settings = can_settings(config)
    assert (settings.interface, settings.channel, dict(settings.extra)) == ("udp_multicast", "", {})
    assert settings.bitrate_bps == 250_000


def test_same_adapter_keeps_its_channel(home: Path) -> None:
    """Naming the adapter that the file has anyway changes nothing."""
    can = {"interface": "slcan", "channel": "/dev/ttyACM1", "options": {"fd": False}}
    path = write(home / "a.json", {"hardware": {"can": can}})
    config, _ = load_configuration(path, Overrides(can_interface="slcan"))
    assert can_settings(config).channel == "/dev/ttyACM1"
    assert can_settings(config).extra == {"fd": False}


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        (Overrides(device=""), "hardware.uart.device"),
        (Overrides(can_interface="tin-can"), "hardware.can.interface"),
        (Overrides(can_channel="can\x00"), "hardware.can.channel"),
    ],
)
def test_wrong_override_is_an_error(overrides: Overrides, path: str) -> None:
    """What is typed is checked like what is written, and named as such."""
    with pytest.raises(ConfigError) as caught:
        load_defaults(overrides)
    assert ([problem.path for problem in caught.value.problems], caught.value.source) == ([path], "command line")


def test_defaults_know_no_file(home: Path) -> None:
    """The demonstration is the same on every machine, whatever is configured there."""
    write(home / "usual.json", device("/dev/ttyS6"))
    config = load_defaults(Overrides(device="/dev/pts/7", can_interface="udp_multicast"))
    assert config.hardware.uart.device == "/dev/pts/7"
    assert replace(config, hardware=Configuration().hardware) == Configuration()
    assert can_settings(config).channel == ""


def test_opened_configuration_knows_where_it_came_from(home: Path) -> None:
    """What is needed to follow the file: store, path, and the command line's choices for later versions."""
    path = write(home / "a.json", device("/dev/ttyS5"))
    opened = open_configuration(path, Overrides(device="/dev/ttyUSB3"))
    assert (opened.config.hardware.uart.device, str(opened.path)) == ("/dev/ttyUSB3", path)
    assert opened.store.configuration.hardware.uart.device == "/dev/ttyS5"
    assert opened.store.in_force == opened.config
    later = opened.store.update({"hardware": {"can": {"channel": "can7"}}}).new
    adjusted = opened.store.adjust(later).hardware
    assert (adjusted.uart.device, adjusted.can.channel) == ("/dev/ttyUSB3", "can7")


def test_configuration_in_memory_shows_what_is_in_force() -> None:
    """The demonstration's page names its simulated port and bus, not those of an empty file."""
    opened = open_in_memory({"web_server": {"port": 8123}}, Overrides("/dev/pts/7", "udp_multicast", "239.0.0.1"))
    shown = opened.store.in_force
    assert shown == opened.config
    assert (shown.hardware.uart.device, shown.hardware.can.interface) == ("/dev/pts/7", "udp_multicast")
    assert (shown.hardware.can.channel, shown.web_server.port) == ("239.0.0.1", 8123)
