"""The configuration for commands that only look: read as the bridge reads it, without keeping a last good copy."""

from pathlib import Path

from tinybms_bridge.cli.assembly import Overrides, load_defaults
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import parse
from tinybms_bridge.config.paths import default_path
from tinybms_bridge.errors import ConfigError, ConfigProblem

__all__ = ["override", "read_configuration"]


def read_configuration(path: str | None) -> tuple[Configuration, list[str]]:
    """Return the configuration in ``path``, or in the usual place, and remarks on it; defaults if there is no file.

    Blocks. Raises ConfigError for a file that cannot be used or that was named and does not exist.
    """
    file = Path(path) if path else default_path()
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        if path:
            raise ConfigError([ConfigProblem("", None, "the file does not exist")], source=path) from None
        return Configuration(), []
    except OSError as error:
        raise ConfigError([ConfigProblem("", None, f"cannot be read: {error.strerror}")], source=str(file)) from error
    configuration, notices = parse(data, str(file))
    return configuration, [str(notice) for notice in notices]


def override(config: Configuration, overrides: Overrides) -> Configuration:
    """Return the configuration with the command line's choices. Raises ConfigError for a choice that is not allowed."""
    load_defaults(overrides)
    uart = {"device": overrides.device}
    can = {"interface": overrides.can_interface, "channel": overrides.can_channel}
    hardware = config.hardware.model_copy(
        update={
            "uart": config.hardware.uart.model_copy(update={k: v for k, v in uart.items() if v is not None}),
            "can": config.hardware.can.model_copy(update={k: v for k, v in can.items() if v is not None}),
        }
    )
    return config.model_copy(update={"hardware": hardware})
