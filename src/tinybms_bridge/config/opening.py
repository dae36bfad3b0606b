"""The configuration as a program starts with it: file, last good copy, and what the command line says."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.exposure import exposure
from tinybms_bridge.config.last_good import LastGood
from tinybms_bridge.config.overrides import Overrides, override
from tinybms_bridge.config.paths import default_path
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_bridge.words import message

__all__ = ["Opened", "load_configuration", "load_defaults", "open_configuration", "open_in_memory"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A configuration with the store that it came from."""

    config: Configuration
    """What is in force, with the command line's choices."""
    remarks: tuple[str, ...]
    """What to tell the user."""
    store: ConfigStore
    """Knows what the command line says: ``adjust`` lays it over each later configuration."""
    path: Path


def load_configuration(path: str | None, overrides: Overrides) -> tuple[Configuration, list[str]]:
    """Return the configuration and what to tell the user about it; see ``open_configuration``."""
    opened = open_configuration(path, overrides)
    return opened.config, list(opened.remarks)


def open_configuration(path: str | None, overrides: Overrides, *, fall_back: bool = True) -> Opened:
    """Return the configuration with its store; a good file becomes the last good copy.

    A file that cannot be used gives way to its last good copy, with the problems among the remarks. Without
    ``fall_back``, for a bridge that runs, copies are neither read nor written, and no file at all is no error. Raises
    ConfigError when the file cannot be used and nothing takes its place, when a file that was named does not exist, or
    when an override is wrong.
    """
    file = Path(path) if path else default_path()
    if path and fall_back and not file.exists():
        raise ConfigError([ConfigProblem("", None, message("file.missing"))], source=path)
    store = ConfigStore(FileStorage(file), last_good=LastGood(file) if fall_back else None)
    config = store.load()
    remarks = [str(notice) for notice in store.notices]
    if store.error is not None:
        if not (fall_back and store.fell_back):
            raise store.error
        remarks = [f"configuration not used: {problem}" for problem in store.error.problems]
        remarks.append("the last good configuration is in force")
    exposed = exposure(file, config)
    if exposed is not None:
        remarks.append(str(exposed))
    return _opened(store, overrides, tuple(remarks), file)


def load_defaults(overrides: Overrides) -> Configuration:
    """Return the default configuration with the command line's choices. Raises ConfigError."""
    return override(Configuration(), overrides)


def open_in_memory(document: Mapping[str, Any], overrides: Overrides) -> Opened:
    """Return a configuration that no file holds; changes of it are forgotten at the end. Raises ConfigError."""
    store = ConfigStore(MemoryStorage(json.dumps(document).encode()))
    store.load()
    if store.error is not None:
        raise store.error
    return _opened(store, overrides, (), Path(os.devnull))


def _opened(store: ConfigStore, overrides: Overrides, remarks: tuple[str, ...], path: Path) -> Opened:
    config = override(store.configuration, overrides)
    store.adjust = partial(override, overrides=overrides)
    return Opened(config, remarks, store, path)
