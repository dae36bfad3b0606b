"""Le catalogue en français, pour ce que dit l'installation durable."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["INSTALL_SENTENCES"]

INSTALL_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "install.path_unusable": "{path} ne peut pas figurer dans une unité de systemd : il faut un chemin absolu sans guillemets, barre oblique inverse, $ ni %",
    }
)
