"""A BMS behind a running core."""

import pytest

from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.link.commands import AskDevice
from tinybms_bridge.link.device import LinkedDevice
from tinybms_bridge.link.session import Caller
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    ReadModbus,
    RegistersReply,
    Reply,
    ShortValue,
    SimpleRequest,
    WriteModbus,
    decode_request,
)
from tinybms_lab.testing.link_place import Place

STATUS = ShortValue(CommandCode.STATUS, 0x97)
WORDS = RegistersReply(CommandCode.READ_MODBUS, tuple(range(44)))


async def ask(command: AskDevice, _caller: Caller) -> bytes:
    """Answer as a core with a BMS does."""
    wanted = decode_request(command.request)
    if isinstance(wanted, WriteModbus):
        raise ValueError("WriteModbus is no request that only reads")  # noqa: TRY004 -- as the core does
    if command.pack == "odd":
        return b"\xaa\x00\x01"
    if command.pack == "twice":
        return 2 * b"".join(STATUS.encode())
    if command.pack == "refusing":
        raise DeviceRefused(0x03, 0)
    found: Reply = WORDS if isinstance(wanted, ReadModbus) else STATUS
    return b"".join(found.encode())


async def device(here: Place, pack: str = "") -> LinkedDevice:
    """Return the BMS behind the core."""
    here.server.handle(AskDevice, ask)
    return LinkedDevice(await here.connect(), pack)


async def test_reply_is_that_of_the_bms(here: Place) -> None:
    """As a client of the line gives it."""
    linked = await device(here)

    assert await linked.request(ReadModbus(300, 44)) == WORDS
    assert await linked.request(SimpleRequest(CommandCode.STATUS), attempts=1) == STATUS


async def test_errors_are_those_of_the_line(here: Place) -> None:
    """What the BMS refuses, and what is no reading."""
    with pytest.raises(DeviceRefused):
        await (await device(here, "refusing")).request(ReadModbus(0, 10))
    with pytest.raises(ValueError, match="no request that only reads"):
        await (await device(here)).request(WriteModbus(300, (3600,)))


async def test_reply_of_another_request_is_an_error(here: Place) -> None:
    """It must not be taken for what was asked."""
    with pytest.raises(LinkError, match="does not belong to the request"):
        await (await device(here, "odd")).request(ReadModbus(0, 10))


async def test_more_than_one_reply_is_an_error(here: Place) -> None:
    """Which of them belongs to the request nobody knows."""
    with pytest.raises(LinkError, match="does not belong to the request"):
        await (await device(here, "twice")).request(SimpleRequest(CommandCode.STATUS))
