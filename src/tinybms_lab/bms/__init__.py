"""A TinyBMS made of software: device model, protocol server on a pseudo-terminal, faults."""

from tinybms_lab.bms.bank import DRIVE_S, MOST_PACKS, BankUnit, BatteryBank, pack_names, unequal_units
from tinybms_lab.bms.bank_server import BankServer
from tinybms_lab.bms.chemistry import CHEMISTRIES, LFP, LI_ION, LTO, ChemistryModel
from tinybms_lab.bms.device import BmsOptions, SimulatedBms
from tinybms_lab.bms.dump import Dump, DumpDevice, load_dump, real_dump
from tinybms_lab.bms.environment import BUILT_IN_PROFILES, CurrentProfile, Segment, parse_profile
from tinybms_lab.bms.faults import FAULT_NAMES, FaultInjector, FaultPlan, parse_faults
from tinybms_lab.bms.hardware import SwitchStates
from tinybms_lab.bms.line import Line
from tinybms_lab.bms.pack import Cell, SimulatedPack
from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.responder import AnsweringDevice, Outgoing, Responder, Terminals
from tinybms_lab.bms.scenario import BmsScenario, Stage
from tinybms_lab.bms.scenario_file import built_in_scenarios, load_scenario, parse_scenario
from tinybms_lab.bms.server import PtyServer
from tinybms_lab.bms.settings import OutOfRange
from tinybms_lab.bms.variants import (
    FIRMWARES,
    HIGH_POWER,
    LOW_POWER,
    BlockLength,
    CellOrder,
    EventOrder,
    OffMap,
    PacketId,
    Quirks,
)

__all__ = [
    "BUILT_IN_PROFILES",
    "CHEMISTRIES",
    "DRIVE_S",
    "FAULT_NAMES",
    "FIRMWARES",
    "HIGH_POWER",
    "LFP",
    "LI_ION",
    "LOW_POWER",
    "LTO",
    "MOST_PACKS",
    "AnsweringDevice",
    "BankServer",
    "BankUnit",
    "BatteryBank",
    "BlockLength",
    "BmsOptions",
    "BmsScenario",
    "Cell",
    "CellOrder",
    "ChemistryModel",
    "CurrentProfile",
    "Dump",
    "DumpDevice",
    "EventId",
    "EventOrder",
    "FaultInjector",
    "FaultPlan",
    "Line",
    "OffMap",
    "OutOfRange",
    "Outgoing",
    "PacketId",
    "PtyServer",
    "Quirks",
    "Responder",
    "Segment",
    "SimulatedBms",
    "SimulatedPack",
    "Stage",
    "SwitchStates",
    "Terminals",
    "built_in_scenarios",
    "load_dump",
    "load_scenario",
    "pack_names",
    "parse_faults",
    "parse_profile",
    "parse_scenario",
    "real_dump",
    "unequal_units",
]
