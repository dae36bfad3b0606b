"""Every vector of the golden file, in both directions."""

import json
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.tinybms.frames import (
    Ack,
    Action,
    ActionRequest,
    BadRequest,
    CellValues,
    CommandCode,
    FloatValue,
    Framer,
    Nack,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettingValues,
    RegisterPairs,
    RegistersReply,
    Reply,
    Request,
    RequestFramer,
    SettingsTable,
    SimpleRequest,
    TemperatureValues,
    WriteBlock,
    WriteDone,
    WriteList,
    WriteModbus,
    crc16,
    decode_request,
    to_float,
    to_u32,
)
from tinybms_bridge.tinybms.frames.wire import SIMPLE_COMMANDS

Vector = dict[str, Any]

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_uart.json").read_text(encoding="utf-8"))
VECTORS: list[Vector] = GOLDEN["vectors"]
REQUESTS = [vector for vector in VECTORS if vector["kind"] == "request"]
GOOD_REQUESTS = [vector for vector in REQUESTS if vector["crc_ok"]]
BAD_REQUESTS = [vector for vector in REQUESTS if not vector["crc_ok"]]
RESPONSES = [vector for vector in VECTORS if vector["kind"] == "response"]
BROADCASTS: list[str] = [example["text"] for example in GOLDEN["meta"]["broadcast_text_examples"]]


def _by_id(vector: Vector) -> str:
    return str(vector["id"])


def _frame(vector: Vector) -> bytes:
    return bytes.fromhex(vector["hex"])


def _pair(vector: Vector) -> str:
    """Return the name that a reply shares with its request, or its own name."""
    return str(vector.get("pair") or vector["id"])


def _replies() -> list[tuple[str, Vector | None, list[Vector]]]:
    """Return every reply as its name, the vector of its request if there is one, and the vectors of its packets."""
    groups: dict[str, list[Vector]] = {}
    for vector in RESPONSES:
        groups.setdefault(_pair(vector), []).append(vector)
    requests = {vector["pair"]: vector for vector in GOOD_REQUESTS if "pair" in vector}
    return [(name, requests.get(name), packets) for name, packets in groups.items()]


REPLIES = _replies()


def _request_for(command: CommandCode) -> Request:
    """Return some request of ``command``: what a reply without a recorded request answers."""
    if command in SIMPLE_COMMANDS:
        return SimpleRequest(command)
    some: dict[CommandCode, Request] = {
        CommandCode.ACTION: ActionRequest(Action.CLEAR_EVENTS),
        CommandCode.READ_MODBUS: ReadModbus(0, 56),
        CommandCode.READ_BLOCK: ReadBlock(0, 57),
        CommandCode.READ_LIST: ReadList((34, 35)),
        CommandCode.WRITE_BLOCK: WriteBlock(315, (4200, 2900)),
        CommandCode.WRITE_LIST: WriteList(((315, 4200),)),
        CommandCode.WRITE_MODBUS: WriteModbus(315, (4200,)),
        CommandCode.SETTINGS: ReadSettingValues(SettingsTable.CURRENT),
    }
    return some[command]


def _receive(request_vector: Vector | None, packets: list[Vector]) -> Reply:
    first = _frame(packets[0])
    code = first[2] if first[1] in {0, 1} else first[1]
    request = decode_request(_frame(request_vector)) if request_vector else _request_for(CommandCode(code))
    framer = Framer()
    framer.expect(request)
    (event,) = framer.feed(b"".join(map(_frame, packets)))
    assert isinstance(event, Reply)
    return event


def _reply_to(pair: str) -> Reply:
    ((request, packets),) = [(request, packets) for name, request, packets in REPLIES if name == pair]
    return _receive(request, packets)


def _registers(pair: str) -> tuple[int, ...]:
    reply = _reply_to(pair)
    assert isinstance(reply, RegistersReply)
    return reply.values


def test_the_whole_file_is_used() -> None:
    """Every vector is a request or a response, and none is left out."""
    assert (
        len(GOOD_REQUESTS) + len(BAD_REQUESTS) + sum(len(packets) for _, _, packets in REPLIES) == len(VECTORS) == 121
    )
    assert len(BAD_REQUESTS) == 2


@pytest.mark.parametrize("vector", VECTORS, ids=_by_id)
def test_crc(vector: Vector) -> None:
    """The CRC of every vector is the one that the file says."""
    frame = _frame(vector)

    assert crc16(frame[:-2]) == int(vector["crc_computed"], 16)
    assert int.from_bytes(frame[-2:], "little") == int(vector["crc_in_frame"], 16)


@pytest.mark.parametrize("vector", GOOD_REQUESTS, ids=_by_id)
def test_request_in_both_directions(vector: Vector) -> None:
    """Every good request decodes, alone and out of a stream, and encodes to the same bytes."""
    frame = _frame(vector)
    request = decode_request(frame)

    assert request.encode() == frame
    assert RequestFramer().feed(frame) == [request]


@pytest.mark.parametrize("vector", [vector for vector in GOOD_REQUESTS if "decoded" in vector], ids=_by_id)
def test_request_fields(vector: Vector) -> None:
    """The fields of every request are what the file says."""
    request = decode_request(_frame(vector))
    fields: Vector = {
        "command": request.command,
        "function": request.command,
        "address": getattr(request, "address", None),
        "count": getattr(request, "count", None),
        "registers": list(getattr(request, "values", ())),
        "addresses": list(getattr(request, "addresses", ())),
        "pairs": [list(pair) for pair in getattr(request, "pairs", ())],
        "option": getattr(request, "action", getattr(request, "table", None)),
    }

    assert {key: fields[key] for key in vector["decoded"]} == vector["decoded"]


@pytest.mark.parametrize("vector", BAD_REQUESTS, ids=_by_id)
def test_request_with_wrong_crc(vector: Vector) -> None:
    """A request with a wrong CRC is refused with error 1."""
    frame = _frame(vector)

    assert RequestFramer().feed(frame) == [BadRequest(frame[1], 1, frame)]


@pytest.mark.parametrize(("request_vector", "packets"), [reply[1:] for reply in REPLIES], ids=[r[0] for r in REPLIES])
def test_reply_in_both_directions(request_vector: Vector | None, packets: list[Vector]) -> None:
    """Every reply is understood as the answer to its request and encodes to the same bytes."""
    reply = _receive(request_vector, packets)

    assert list(reply.encode()) == [_frame(packet) for packet in packets]


@pytest.mark.parametrize("text", BROADCASTS)
@pytest.mark.parametrize("pair", ["vendor_modbus_read", "inf_07_0_57", "vendor_temps"])
def test_reply_between_broadcast_text(text: str, pair: str) -> None:
    """The text that the BMS prints by itself never hides a reply."""
    ((request_vector, packets),) = [(request, packets) for name, request, packets in REPLIES if name == pair]
    assert request_vector is not None
    framer = Framer()
    framer.expect(decode_request(_frame(request_vector)))
    line = text.encode() + b"\r\n"
    events = framer.feed(line + b"".join(map(_frame, packets)) + line)

    assert events[1] == _receive(request_vector, packets)
    assert len(events) == 3


@pytest.mark.parametrize("vector", [vector for vector in RESPONSES if "nack" in vector.get("decoded", {})], ids=_by_id)
def test_nack(vector: Vector) -> None:
    """Every refusal names its command and the vendor's error code."""
    decoded = vector["decoded"]

    assert _reply_to(_pair(vector)) == Nack(decoded["command"], decoded["error"])


@pytest.mark.parametrize("vector", [vector for vector in RESPONSES if "ack" in vector.get("decoded", {})], ids=_by_id)
def test_ack(vector: Vector) -> None:
    """Every acknowledgement names its command."""
    assert _reply_to(vector["id"]) == Ack(CommandCode(vector["decoded"]["command"]))


def test_vendor_write() -> None:
    """The vendor's example of a Modbus write is accepted for two registers from 315."""
    assert _reply_to("vendor_modbus_write") == WriteDone(315, 2)


def test_vendor_read() -> None:
    """The vendor's example of a Modbus read gives registers 5 to 9."""
    assert _registers("vendor_modbus_read") == (38720, 38720, 38700, 38700, 38700)


def test_vendor_temperatures() -> None:
    """The vendor's example of the fast temperatures gives 27.8, 27.6 and 27.8 °C."""
    assert _reply_to("vendor_temps") == TemperatureValues(278, 276, 278)


def test_captured_cells() -> None:
    """The 14-cell unit: two empty registers, then the cells."""
    cells = (3980, 3981, 3982, 3983, 3983, 3984, 3989, 3990, 3983, 3983, 3983, 3984, 3988, 3988)

    assert _registers("cap_modbus_0_16") == (0, 0, *(10 * cell for cell in cells))


def test_captured_counters() -> None:
    """Lifetime and time left of the 14-cell unit."""
    assert to_u32(*_registers("cap_modbus_32_2")) == 16_683_981
    assert to_u32(*_registers("cap_modbus_34_2")) == 41_777_412


def test_captured_pack_values() -> None:
    """Voltage and current of the 14-cell unit."""
    assert to_float(*_registers("cap_modbus_36_2")) == pytest.approx(55.78, abs=1e-5)
    assert to_float(*_registers("cap_modbus_38_2")) == 0.0


def test_captured_state_of_charge() -> None:
    """State of charge and internal temperature of the 14-cell unit."""
    low, high, internal = _registers("cap_modbus_46_3")

    assert (to_u32(low, high), internal) == (83_554_824, 97)


def test_captured_status() -> None:
    """Cell extremes, absent sensors, idle status and cell count of the 14-cell unit."""
    assert _registers("cap_modbus_40_4") == (3980, 3990, 0x8000, 0x8000)
    assert _registers("cap_modbus_50_4") == (0x97, 0, 0, 14)


def test_negative_current() -> None:
    """Discharge is negative."""
    reply = _reply_to("cmp_rsp_15_neg")

    assert isinstance(reply, FloatValue)
    assert reply.value == pytest.approx(-3.013, abs=1e-6)


def test_fourteen_cell_values() -> None:
    """The fast cell command answers with as many entries as series cells."""
    assert _reply_to("cmp_rsp_1C_14s") == CellValues(_registers("cap_modbus_0_16")[2:])


def test_block_of_57_registers() -> None:
    """Two packets of 124 bytes give the same registers as the separate captures."""
    values = _registers("inf_07_0_57")

    assert len(values) == 57
    assert values[:16] == _registers("cap_modbus_0_16")
    assert values[32:34] == _registers("cap_modbus_32_2")
    assert values[36:38] == _registers("cap_modbus_36_2")
    assert values[46:49] == _registers("cap_modbus_46_3")


def test_list_of_16_registers() -> None:
    """Two packets of the individual read name their registers, the last byte alone in the second packet."""
    reply = _reply_to("inf_09_16regs")

    assert isinstance(reply, RegisterPairs)
    assert reply.pairs == tuple(enumerate(_registers("inf_07_0_57")))[32:48]
