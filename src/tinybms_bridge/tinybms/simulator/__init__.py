"""A TinyBMS made of software: device model, protocol server on a pseudo-terminal, faults."""

from tinybms_bridge.tinybms.simulator.chemistry import CHEMISTRIES, LFP, LI_ION, LTO, Chemistry
from tinybms_bridge.tinybms.simulator.device import BmsOptions, SimulatedBms
from tinybms_bridge.tinybms.simulator.dump import Dump, DumpDevice, load_dump, real_dump
from tinybms_bridge.tinybms.simulator.firmware import FIRMWARES, HIGH_POWER, LOW_POWER
from tinybms_bridge.tinybms.simulator.interface import Device, Terminals
from tinybms_bridge.tinybms.simulator.memory import OffMap
from tinybms_bridge.tinybms.simulator.pack import Cell, Pack
from tinybms_bridge.tinybms.simulator.profile import BUILT_IN_PROFILES, Profile, Segment, parse_profile
from tinybms_bridge.tinybms.simulator.responder import Outgoing, Responder
from tinybms_bridge.tinybms.simulator.server import PtyServer

__all__ = [
    "BUILT_IN_PROFILES",
    "CHEMISTRIES",
    "FIRMWARES",
    "HIGH_POWER",
    "LFP",
    "LI_ION",
    "LOW_POWER",
    "LTO",
    "BmsOptions",
    "Cell",
    "Chemistry",
    "Device",
    "Dump",
    "DumpDevice",
    "OffMap",
    "Outgoing",
    "Pack",
    "Profile",
    "PtyServer",
    "Responder",
    "Segment",
    "SimulatedBms",
    "Terminals",
    "load_dump",
    "parse_profile",
    "real_dump",
]
