from pathlib import Path

import pytest

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.exposure import exposure
from tinybms_bridge.config.loader import interpret

SECRETS = {"mqtt": {"username": "boat", "password": "hush"}, "wifi": {"ap_fallback": {"password": "hush hush"}}}


@pytest.mark.parametrize(
    ("mode", "told"), [(0o644, True), (0o664, True), (0o604, True), (0o640, False), (0o600, False)]
)
def test_file_with_secrets_that_everybody_may_read_is_told(tmp_path: Path, mode: int, told: bool) -> None:
    """With the keys, never with the secrets, and with what to do; a group of its own is the owner's choice."""
    path = tmp_path / "config.json"
    path.write_text("{}")
    path.chmod(mode)

    notice = exposure(path, interpret(SECRETS, "test").configuration)

    assert (notice is not None) is told
    if notice is not None:
        assert "holds wifi.ap_fallback.password, mqtt.password" in notice.message.text
        assert notice.message.text.endswith(f"chmod 600 {path}")
        assert "hush" not in notice.message.text


def test_file_without_secrets_may_be_read_by_anybody(tmp_path: Path) -> None:
    """Nor is a file that is not there a matter."""
    path = tmp_path / "config.json"
    assert exposure(path, interpret(SECRETS, "test").configuration) is None
    path.write_text("{}")
    path.chmod(0o644)
    assert exposure(path, Configuration()) is None
