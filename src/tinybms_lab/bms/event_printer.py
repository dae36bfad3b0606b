"""What happens in a simulation, in lines of text for a person."""

from datetime import timedelta

from tinybms_bridge.tinybms.live import LIVE_ADDRESS, LIVE_COUNT, decode_live
from tinybms_lab.bms.device import SimulatedBms
from tinybms_lab.bms.dump import DumpDevice
from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.responder import Responder

__all__ = ["EventPrinter", "in_words"]


class EventPrinter:
    """Tells the events of a device and its state, read from the registers as a client would.

    Args:
        device: what is told of.
        responder: counts the requests.

    """

    def __init__(self, device: SimulatedBms | DumpDevice, responder: Responder) -> None:
        self._device = device
        self.responder = responder
        """What answers for the device now; another one once it was unplugged and plugged in."""
        self._told = 0

    def lines(self) -> list[str]:
        """Return a line for each event since the last call, and one about the state."""
        return [*self._events(), self._state()]

    def _events(self) -> list[str]:
        device = self._device
        if not isinstance(device, SimulatedBms):
            return []
        device.refresh()
        fresh = min(device.event_count - self._told, len(device.history))
        self._told = device.event_count
        untold = list(device.history)[len(device.history) - fresh :]
        return [f"{in_words(time_s)}  event 0x{event:02X} {_name(event)}" for time_s, event in untold]

    def _state(self) -> str:
        words = self._device.read(LIVE_ADDRESS, LIVE_COUNT)
        assert words is not None
        snapshot = decode_live(words, sequence=1, taken_at_s=0.0)
        pack, cells = snapshot.pack, snapshot.cells
        hottest_c = snapshot.temperatures.hottest_c
        warmth = "" if hottest_c is None else f"  {hottest_c:.1f} °C"
        return (
            f"{pack.voltage_v:.2f} V {pack.current_a:+.1f} A  SOC {pack.soc_percent:.1f} %"
            f"  cells {cells.min_v:.3f}..{cells.max_v:.3f} V{warmth}"
            f"  {pack.status.name.lower().replace('_', ' ')}{self._troubles()}  {self.responder.requests} requests"
        )

    def _troubles(self) -> str:
        device = self._device
        active = device.active_events if isinstance(device, SimulatedBms) else ()
        asleep = "  asleep" if device.asleep else ""
        return "".join(f"  {_name(event)}!" for event in active) + asleep


def in_words(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


def _name(event: EventId) -> str:
    return event.name.lower().replace("_", " ")
