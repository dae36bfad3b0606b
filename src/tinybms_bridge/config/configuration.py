"""The whole configuration: all sections in one."""

from dataclasses import dataclass, field

from tinybms_bridge.config.models.advanced import Advanced
from tinybms_bridge.config.models.base import Section
from tinybms_bridge.config.models.battery import SeveralPacks
from tinybms_bridge.config.models.cvl import Cvl
from tinybms_bridge.config.models.hardware import Hardware
from tinybms_bridge.config.models.logs import Logging
from tinybms_bridge.config.models.mdns import Mdns
from tinybms_bridge.config.models.metrics import PrometheusMetrics
from tinybms_bridge.config.models.mqtt import Mqtt
from tinybms_bridge.config.models.notifications import Notifications
from tinybms_bridge.config.models.packs import Packs
from tinybms_bridge.config.models.tinybms import TinyBms
from tinybms_bridge.config.models.victron import Victron
from tinybms_bridge.config.models.web_server import WebServer
from tinybms_bridge.config.models.wifi import Wifi

__all__ = ["Configuration"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration(Section):
    """Every setting of the bridge; the defaults alone are a working configuration."""

    wifi: Wifi = field(default_factory=Wifi)
    hardware: Hardware = field(default_factory=Hardware)
    packs: Packs = field(default_factory=dict)
    battery: SeveralPacks = field(default_factory=SeveralPacks)
    tinybms: TinyBms = field(default_factory=TinyBms)
    victron: Victron = field(default_factory=Victron)
    cvl: Cvl = field(default_factory=Cvl)
    mqtt: Mqtt = field(default_factory=Mqtt)
    metrics: PrometheusMetrics = field(default_factory=PrometheusMetrics)
    notifications: Notifications = field(default_factory=Notifications)
    mdns: Mdns = field(default_factory=Mdns)
    web_server: WebServer = field(default_factory=WebServer)
    logging: Logging = field(default_factory=Logging)
    advanced: Advanced = field(default_factory=Advanced)
