"""The whole configuration: all sections and the checks across them."""

from typing import Self

from pydantic import SecretStr, model_validator
from pydantic_core import PydanticCustomError

from tinybms_bridge.config.checks import CROSS_CHECK, Finding, charging_findings, link_findings, network_findings
from tinybms_bridge.config.models.advanced import Advanced
from tinybms_bridge.config.models.base import Section
from tinybms_bridge.config.models.cvl import Cvl
from tinybms_bridge.config.models.hardware import Hardware
from tinybms_bridge.config.models.logs import Logging
from tinybms_bridge.config.models.mqtt import Mqtt
from tinybms_bridge.config.models.tinybms import TinyBms
from tinybms_bridge.config.models.victron import Victron
from tinybms_bridge.config.models.web_server import WebServer
from tinybms_bridge.config.models.wifi import Wifi

__all__ = ["MASK", "Configuration"]

MASK = "********"
"""What is shown in place of a secret that is set."""


class Configuration(Section):
    """Every setting of the bridge; the defaults alone are a working configuration."""

    wifi: Wifi = Wifi()
    hardware: Hardware = Hardware()
    tinybms: TinyBms = TinyBms()
    victron: Victron = Victron()
    cvl: Cvl = Cvl()
    mqtt: Mqtt = Mqtt()
    web_server: WebServer = WebServer()
    logging: Logging = Logging()
    advanced: Advanced = Advanced()

    @model_validator(mode="before")
    @classmethod
    def _accept_firmware_name(cls, data: object) -> object:
        if isinstance(data, dict) and "cvl_algorithm" in data and "cvl" not in data:
            return {"cvl" if key == "cvl_algorithm" else key: value for key, value in data.items()}
        return data

    @model_validator(mode="after")
    def _check_across_keys(self) -> Self:
        findings = self._findings()
        if findings:
            text = "; ".join(f"{finding.paths[0]}: {finding.messages[0]}" for finding in findings)
            raise PydanticCustomError(CROSS_CHECK, "{text}", {"text": text, "findings": findings})
        return self

    def public_dict(self) -> dict[str, object]:
        """Return the effective values as JSON types, each secret replaced by ``MASK`` or by an empty text."""
        return {name: _masked(section) for name, section in self.model_dump().items()}

    def _findings(self) -> list[Finding]:
        return [
            *network_findings(self.wifi, self.mqtt, self.web_server, self.logging),
            *link_findings(self.tinybms, self.victron),
            *charging_findings(self.cvl, self.victron.thresholds),
        ]


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {key: _masked(entry) for key, entry in value.items()}
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    return value
