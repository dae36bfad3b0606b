"""The configuration for commands that only look: read as the bridge reads it, without keeping a last good copy."""

from pathlib import Path

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.exposure import exposure
from tinybms_bridge.config.loader import parse
from tinybms_bridge.config.paths import default_path
from tinybms_bridge.errors import ConfigError, ConfigProblem

__all__ = ["read_configuration"]


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
    exposed = exposure(file, configuration)
    return configuration, [str(notice) for notice in (*notices, exposed) if notice is not None]
