"""Who may read a file with passwords in it."""

import stat
from collections.abc import Iterator
from pathlib import Path

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.models.base import Section
from tinybms_bridge.config.notices import Notice
from tinybms_bridge.words import message

__all__ = ["exposure"]


def exposure(path: Path, configuration: Configuration) -> Notice | None:
    """Return a notice when everybody on the machine may read the file and it holds secrets. Blocks."""
    secrets = list(_secrets(configuration))
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    if not secrets or not mode & stat.S_IROTH:
        return None
    return Notice("", message("config.exposed", file=path, secrets=secrets))


def _secrets(section: Section, prefix: str = "") -> Iterator[str]:
    for name, key in keys_of(type(section)).items():
        value = getattr(section, name)
        if key.section is not None:
            yield from _secrets(value, f"{prefix}{name}.")
        elif key.entries is not None:
            for entry, inner in value.items():
                yield from _secrets(inner, f"{prefix}{name}.{entry}.")
        elif key.is_secret and value.value:
            yield f"{prefix}{name}"
