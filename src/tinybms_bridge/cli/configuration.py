"""The configuration for commands that only look: read as the bridge reads it, without keeping a last good copy."""

from dataclasses import replace
from pathlib import Path

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.exposure import exposure
from tinybms_bridge.config.loader import LoadedConfig, load
from tinybms_bridge.config.paths import default_path
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.words import message

__all__ = ["read_configuration"]


def read_configuration(path: str | None) -> LoadedConfig:
    """Return the configuration in ``path``, or in the usual place, and notices on it; defaults if there is no file.

    Blocks. Raises ConfigError for a file that cannot be used or that was named and does not exist.
    """
    file = Path(path) if path else default_path()
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        if path:
            raise ConfigError([ConfigProblem("", None, message("file.missing"))], source=path) from None
        return LoadedConfig(Configuration(), {}, ())
    except OSError as error:
        problem = ConfigProblem("", None, message("file.unreadable", reason=error_words(error)))
        raise ConfigError([problem], source=str(file)) from error
    loaded = load(data, str(file))
    exposed = exposure(file, loaded.configuration)
    return loaded if exposed is None else replace(loaded, notices=(*loaded.notices, exposed))
