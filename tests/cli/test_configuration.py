from pathlib import Path

import pytest

from tinybms_bridge.cli.configuration import read_configuration
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import LoadedConfig
from tinybms_bridge.config.overrides import Overrides, override
from tinybms_bridge.core.settings import can_settings
from tinybms_bridge.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TINYBMS_BRIDGE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_everything_has_its_default(home: Path) -> None:
    """A new machine can be examined."""
    if not Path("/etc/tinybms-bridge/config.json").exists():
        assert read_configuration(None) == LoadedConfig(Configuration(), {}, ())


def test_the_usual_place_is_read(home: Path) -> None:
    """The same file as the bridge takes, with its remarks."""
    (home / "tinybms-bridge.json").write_text('{"hardware": {"uart": {"device": "/dev/ttyUSB7", "rx_pin": 4}}}')
    loaded = read_configuration(None)
    assert loaded.configuration.hardware.uart.device == "/dev/ttyUSB7"
    (notice,) = loaded.notices
    assert "rx_pin" in str(notice)


def test_looking_writes_nothing(home: Path) -> None:
    """A last good copy made by root would later be in the way of the bridge."""
    (home / "bridge.json").write_text("{}")
    read_configuration(str(home / "bridge.json"))
    assert [path.name for path in home.iterdir()] == ["bridge.json"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.json", None, "the file does not exist"),
        ("broken.json", "{", "JSON"),
        ("wrong.json", '{"hardware": {"uart": {"baudrate": 7}}}', "baudrate"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(home: Path, name: str, content: str | None, message: str) -> None:
    """With its name and every mistake."""
    if content is not None:
        (home / name).write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_configuration(str(home / name))
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_a_folder_is_no_configuration(home: Path) -> None:
    """Errors of the system are told like any other mistake."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_configuration(str(home))


def test_the_command_line_wins() -> None:
    """Over the file and over the defaults."""
    config = override(Configuration(), Overrides(device="/dev/ttyACM0", can_interface="gs_usb"))
    assert config.hardware.uart.device == "/dev/ttyACM0"
    assert str(can_settings(config)) == "gs_usb"


def test_another_adapter_leaves_the_channel_of_the_file(home: Path) -> None:
    """The doctor opens what the bridge would open with the same choices."""
    (home / "bridge.json").write_text('{"hardware": {"can": {"channel": "can3"}}}')
    config = read_configuration(str(home / "bridge.json")).configuration
    assert str(can_settings(override(config, Overrides(can_interface="gs_usb")))) == "gs_usb"
    assert str(can_settings(override(config, Overrides(can_interface="socketcan")))) == "socketcan:can3"


def test_what_is_not_overridden_stays(home: Path) -> None:
    """The timeout of the file is used with the port of the command line."""
    (home / "bridge.json").write_text('{"hardware": {"uart": {"device": "/dev/ttyUSB7", "timeout_ms": 400}}}')
    config = read_configuration(str(home / "bridge.json")).configuration
    assert override(config, Overrides()).hardware.uart.device == "/dev/ttyUSB7"
    assert override(config, Overrides(device="/dev/ttyUSB1")).hardware.uart.timeout_ms == 400


def test_a_choice_that_is_not_allowed_is_refused() -> None:
    """A typo in the name of the interface is said before anything is opened."""
    with pytest.raises(ConfigError):
        override(Configuration(), Overrides(can_interface="carrier-pigeon"))
