"""The catalogue in English, of what installing for good says."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["INSTALL_SENTENCES"]

INSTALL_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "install.path_unusable": "{path} cannot be named in a unit of systemd: it has to be an absolute path without quotation marks, backslash, $ and %",
    }
)
