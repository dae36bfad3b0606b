"""The register catalogue of the TinyBMS (tinybms-protocol.md, 2)."""

from tinybms_bridge.tinybms.registers.catalogue import Catalogue, UnknownRegisterError, catalogue
from tinybms_bridge.tinybms.registers.register import Access, Kind, Register, RegisterValue

__all__ = ["Access", "Catalogue", "Kind", "Register", "RegisterValue", "UnknownRegisterError", "catalogue"]
