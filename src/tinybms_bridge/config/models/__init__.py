"""The sections of the configuration as strict models, one module each."""

from tinybms_bridge.config.models.advanced import Advanced
from tinybms_bridge.config.models.base import Section
from tinybms_bridge.config.models.battery import SeveralPacks
from tinybms_bridge.config.models.cvl import Cvl
from tinybms_bridge.config.models.hardware import Can, Hardware, Uart
from tinybms_bridge.config.models.logs import Logging
from tinybms_bridge.config.models.mdns import Mdns
from tinybms_bridge.config.models.metrics import PrometheusMetrics
from tinybms_bridge.config.models.mqtt import HomeAssistant, Mqtt
from tinybms_bridge.config.models.notifications import Email, Notifications, Ntfy, Webhook
from tinybms_bridge.config.models.packs import PackEntry, PackUart
from tinybms_bridge.config.models.tinybms import TinyBms
from tinybms_bridge.config.models.victron import Thresholds, Victron
from tinybms_bridge.config.models.web_server import WebServer
from tinybms_bridge.config.models.wifi import ApFallback, Wifi

__all__ = [
    "Advanced",
    "ApFallback",
    "Can",
    "Cvl",
    "Email",
    "Hardware",
    "HomeAssistant",
    "Logging",
    "Mdns",
    "Mqtt",
    "Notifications",
    "Ntfy",
    "PackEntry",
    "PackUart",
    "PrometheusMetrics",
    "Section",
    "SeveralPacks",
    "Thresholds",
    "TinyBms",
    "Uart",
    "Victron",
    "WebServer",
    "Webhook",
    "Wifi",
]
