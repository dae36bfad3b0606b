"""``/api/setup/…``: what is still to do after the first start, and what the machine has to choose from."""

import asyncio

from fastapi import APIRouter
from pydantic import Field

from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.clock import clock_is_synchronised
from tinybms_bridge.hal.devices import SerialDevice
from tinybms_bridge.services.web.answers import Answer, MessageAnswer, Shown
from tinybms_bridge.services.web.checklist import Facts, Item, Standing, checklist
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheCore, device_failures
from tinybms_bridge.services.web.security import Admin, Viewer
from tinybms_bridge.services.web.security.dependencies import TheGate
from tinybms_bridge.words import Language

__all__ = ["Checklist", "ChecklistItem", "DeviceList", "router"]

router = APIRouter(prefix="/api/setup", tags=["setup"])


class ChecklistItem(MessageAnswer):
    """One thing that a bridge needs."""

    name: str = Field(examples=["gx"])
    standing: Standing
    advice: str
    """What can be done; empty where there is nothing to do."""
    page: str = Field(examples=["/setup?step=gx"])
    """Path of the page that mends it."""


class Checklist(Answer):
    """Everything that a bridge needs, in the order in which one depends on another."""

    done: bool
    """Whether nothing is open."""
    items: list[ChecklistItem]


class DeviceList(Answer):
    """What can be chosen, and what is in use. Nothing was opened to find out."""

    serial: list[Shown[SerialDevice]]
    can: list[Shown[CanDevice]]
    serial_in_use: str = Field(examples=["/dev/ttyUSB0"])
    """The port of the only pack, or of the first of several, as it is configured."""
    serial_open: str
    """The port that the bridge has now; another one than the former after ``auto`` only."""
    can_in_use: str = Field(examples=["can0"])
    """``hardware.can.channel``, or what stands for an empty one."""
    can_interface: str = Field(examples=["socketcan"])
    can_bitrate_bps: int


@router.get("/checklist")
async def read_checklist(core: TheCore, gate: TheGate, _user: Viewer, lang: TextLanguage) -> Checklist:
    """Return what the bridge still lacks; it works as far as it can all the same."""
    history = await asyncio.to_thread(core.history.state)
    facts = Facts(gate.setup_required, history, core.clock.wall(), clock_is_synchronised())
    items = checklist(core, facts)
    done = all(each.standing is not Standing.OPEN for each in items)
    return Checklist(done=done, items=[_shown(each, lang) for each in items])


def _shown(item: Item, language: Language) -> ChecklistItem:
    told = MessageAnswer.of(item.message, language)
    advice = "" if item.advice_message is None else item.advice_message.say(language)
    return ChecklistItem(**dict(told), name=item.name, standing=item.standing, advice=advice, page=item.page)


@router.get("/devices")
async def read_devices(core: TheCore, _user: Admin) -> DeviceList:
    """Return the serial ports and CAN interfaces of the machine, as the kernel names them; nothing is opened."""
    with device_failures():
        found = await core.devices()
    config, uart, can = core.store.in_force, core.uart(), core.can()
    hardware = config.hardware
    return DeviceList(
        serial=list(found.serial),
        can=list(found.can),
        serial_in_use=next(port.device for port in pack_ports(config).values()),
        serial_open=uart.device,
        can_in_use=hardware.can.channel or can.interface.partition(":")[2],
        can_interface=hardware.can.interface,
        can_bitrate_bps=hardware.can.bitrate,
    )
