"""Configuration: strict models, an atomic store, and readers for files of the ESP32 firmware."""

from tinybms_bridge.config.battery import check_against_battery
from tinybms_bridge.config.changes import ConfigChange
from tinybms_bridge.config.configuration import MASK, Configuration
from tinybms_bridge.config.firmware import import_firmware
from tinybms_bridge.config.loader import parse
from tinybms_bridge.config.notices import Notice
from tinybms_bridge.config.paths import default_path, state_directory
from tinybms_bridge.config.store import ConfigStore

__all__ = [
    "MASK",
    "ConfigChange",
    "ConfigStore",
    "Configuration",
    "Notice",
    "check_against_battery",
    "default_path",
    "import_firmware",
    "parse",
    "state_directory",
]
