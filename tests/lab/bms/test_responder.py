from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import CommandCode, Nack, ReadModbus, ShortValue, SimpleRequest
from tinybms_bridge.tinybms.frames.wire import seal
from tinybms_lab.bms import DumpDevice, Responder, SimulatedBms, real_dump
from tinybms_lab.bms.responder import LATENCY_S, PARTIAL_TIMEOUT_S
from tinybms_lab.testing.fake_clock import FakeClock

PassTime = Callable[[float], None]

STATUS = SimpleRequest(CommandCode.STATUS).encode()
IDLE = ShortValue(CommandCode.STATUS, 0x97).encode()[0]


@pytest.fixture
def responder(clock: FakeClock, dump: DumpDevice) -> Responder:
    """The capture behind a line."""
    return Responder(dump, clock)


def _sent(responder: Responder, data: bytes) -> list[bytes]:
    return [reply.data for reply in responder.feed(data)]


def test_a_request_is_answered_after_the_latency_of_the_device(responder: Responder) -> None:
    """About 1 ms on a real unit."""
    (reply,) = responder.feed(STATUS)

    assert (reply.delay_s, reply.packets) == (LATENCY_S, (IDLE,))


def test_the_latency_is_an_option(clock: FakeClock, dump: DumpDevice) -> None:
    """For lines with slow adapters."""
    (reply,) = Responder(dump, clock, latency_s=0.016).feed(STATUS)

    assert reply.delay_s == 0.016


def test_two_requests_in_one_piece_get_two_answers(responder: Responder) -> None:
    """In order."""
    voltage = SimpleRequest(CommandCode.PACK_VOLTAGE).encode()

    first, second = _sent(responder, STATUS + voltage)

    assert first == IDLE
    assert second[:6] == bytes.fromhex("AA 14 B8 1E 5F 42")


@given(st.lists(st.integers(min_value=1, max_value=7), max_size=6), st.binary(max_size=6))
def test_the_cut_of_the_stream_does_not_matter(cuts: list[int], noise: bytes) -> None:
    """Byte by byte or at once, after noise that starts no frame."""
    clock = FakeClock()
    data = bytes(b for b in noise if b != 0xAA) + ReadModbus(0, 56).encode()
    whole = _sent(Responder(DumpDevice(real_dump(), clock), clock), data)
    responder = Responder(DumpDevice(real_dump(), clock), clock)
    pieces: list[bytes] = []
    rest = data
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]

    assert [reply for piece in [*pieces, rest] for reply in _sent(responder, piece)] == whole
    assert len(whole) == 1


def test_a_bad_crc_is_refused_with_code_1(responder: Responder, golden: dict[str, bytes]) -> None:
    """Constants with a wrong CRC stand in public code."""
    assert _sent(responder, golden["tp_req_19"]) == [golden["cmp_nack_14_1"]]
    assert _sent(responder, golden["tp_req_20"]) == [golden["cmp_nack_15_1"]]


@pytest.mark.parametrize("command", [0x04, 0x05, 0x06, 0x08, 0x13, 0x21])
def test_an_unknown_command_is_refused_with_code_0(responder: Responder, command: int) -> None:
    """Codes between the documented ones."""
    (sent,) = _sent(responder, seal(bytes((0xAA, command))))

    assert sent == Nack(command, 0).encode()[0]


def test_the_captured_refusal_is_repeated(clock: FakeClock, dump: DumpDevice, golden: dict[str, bytes]) -> None:
    """A real unit answered so to a write to address 12801."""
    assert _sent(Responder(dump, clock), golden["hw_write_badaddr_req"]) == [golden["hw_write_badaddr_rsp"]]


def test_requests_of_the_vendor_are_understood(clock: FakeClock, bms: SimulatedBms, golden: dict[str, bytes]) -> None:
    """The examples of the protocol document get an answer of the printed shape."""
    responder = Responder(bms, clock)

    assert _sent(responder, golden["vendor_modbus_write_req"]) == [golden["vendor_modbus_write_rsp"]]
    (cells,) = _sent(responder, golden["vendor_modbus_read_req"])
    assert cells[:3] == golden["vendor_modbus_read_rsp"][:3]
    (temperatures,) = _sent(responder, golden["vendor_temps_req"])
    assert temperatures[:3] == golden["vendor_temps_rsp"][:3]


def test_a_sleeping_device_loses_one_frame(responder: Responder, pass_time: PassTime) -> None:
    """Even when both copies come in one piece."""
    pass_time(10.0)

    assert _sent(responder, STATUS + STATUS) == [IDLE]
    assert (responder.requests, responder.lost) == (2, 1)


def test_a_bad_frame_wakes_too(responder: Responder, pass_time: PassTime) -> None:
    """Asleep, the unit cannot tell."""
    pass_time(10.0)

    assert _sent(responder, STATUS[:-1] + b"\x00") == []
    assert _sent(responder, STATUS) == [IDLE]


def test_half_a_request_is_forgotten_in_time(responder: Responder, pass_time: PassTime) -> None:
    """The rest of it, seconds later, is no request; a whole one is."""
    half = ReadModbus(0, 1).encode()

    assert _sent(responder, half[:5]) == []
    pass_time(PARTIAL_TIMEOUT_S)
    assert _sent(responder, STATUS) == [IDLE]


def test_half_a_request_waits_for_its_rest(responder: Responder, pass_time: PassTime) -> None:
    """A slow host is answered."""
    pass_time(1.0)
    assert _sent(responder, STATUS[:2]) == []
    pass_time(1.0)
    assert _sent(responder, STATUS[2:]) == [IDLE]


def test_reset_forgets_half_a_request(responder: Responder) -> None:
    """What was sent at another speed does not mix with what follows."""
    responder.feed(ReadModbus(0, 1).encode()[:5])
    responder.reset()

    assert _sent(responder, STATUS) == [IDLE]


def test_traffic_is_counted(responder: Responder) -> None:
    """For the status line."""
    responder.feed(STATUS + seal(b"\xaa\x04") + ReadModbus(700, 1).encode())

    assert (responder.requests, responder.refused, responder.lost) == (3, 2, 0)


@given(st.binary(max_size=600))
def test_noise_is_survived(noise: bytes) -> None:
    """Nothing that a line may carry stops the simulator."""
    clock = FakeClock()
    responder = Responder(SimulatedBms.build(clock), clock)
    responder.feed(noise)
    clock._now_s += PARTIAL_TIMEOUT_S

    assert _sent(responder, STATUS) == [IDLE]
