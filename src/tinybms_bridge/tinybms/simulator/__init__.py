"""A TinyBMS made of software: device model, protocol server on a pseudo-terminal, faults."""

from tinybms_bridge.tinybms.simulator.chemistry import CHEMISTRIES, LFP, LI_ION, LTO, Chemistry
from tinybms_bridge.tinybms.simulator.device import BmsOptions, SimulatedBms
from tinybms_bridge.tinybms.simulator.dump import Dump, DumpDevice, load_dump, real_dump
from tinybms_bridge.tinybms.simulator.faults import FAULT_NAMES, FaultInjector, FaultPlan, parse_faults
from tinybms_bridge.tinybms.simulator.hardware import Switches
from tinybms_bridge.tinybms.simulator.line import Line
from tinybms_bridge.tinybms.simulator.pack import Cell, Pack
from tinybms_bridge.tinybms.simulator.records import EventId
from tinybms_bridge.tinybms.simulator.responder import Device, Outgoing, Responder, Terminals
from tinybms_bridge.tinybms.simulator.scenario import Scenario
from tinybms_bridge.tinybms.simulator.scenario_actions import Stage
from tinybms_bridge.tinybms.simulator.scenario_file import built_in_scenarios, load_scenario, parse_scenario
from tinybms_bridge.tinybms.simulator.server import PtyServer
from tinybms_bridge.tinybms.simulator.settings import OutOfRange
from tinybms_bridge.tinybms.simulator.surroundings import BUILT_IN_PROFILES, Profile, Segment, parse_profile
from tinybms_bridge.tinybms.simulator.variants import (
    FIRMWARES,
    HIGH_POWER,
    LOW_POWER,
    BlockLength,
    CellOrder,
    EventOrder,
    Habits,
    OffMap,
    PacketId,
)

__all__ = [
    "BUILT_IN_PROFILES",
    "CHEMISTRIES",
    "FAULT_NAMES",
    "FIRMWARES",
    "HIGH_POWER",
    "LFP",
    "LI_ION",
    "LOW_POWER",
    "LTO",
    "BlockLength",
    "BmsOptions",
    "Cell",
    "CellOrder",
    "Chemistry",
    "Device",
    "Dump",
    "DumpDevice",
    "EventId",
    "EventOrder",
    "FaultInjector",
    "FaultPlan",
    "Habits",
    "Line",
    "OffMap",
    "OutOfRange",
    "Outgoing",
    "Pack",
    "PacketId",
    "Profile",
    "PtyServer",
    "Responder",
    "Scenario",
    "Segment",
    "SimulatedBms",
    "Stage",
    "Switches",
    "Terminals",
    "built_in_scenarios",
    "load_dump",
    "load_scenario",
    "parse_faults",
    "parse_profile",
    "parse_scenario",
    "real_dump",
]
