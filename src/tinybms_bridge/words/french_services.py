"""Le catalogue en français, de ce que disent MQTT, les notifications et les autres services."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["SERVICE_SENTENCES"]

SERVICE_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "service.off": "{service:@service_name} est arrêté : il n'y a rien à essayer",
        "metrics.asked": "une lecture donne {values} valeurs ; la dernière a été demandée il y a {age_s:.0f} s",
        "metrics.login_required": "les métriques sont pour les programmes de la machine du pont, pour le jeton metrics.token, et pour qui est connecté",
        "metrics.never_asked": "une lecture donne {values} valeurs ; personne n'en a encore demandé",
        "service_name.metrics": "les métriques",
        "service_name.mqtt": "MQTT",
    }
)
