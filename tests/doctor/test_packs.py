"""Whether each name has a BMS of its own, and the one that is meant."""

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.config.packs import PackPort
from tinybms_bridge.doctor.findings import Verdict, of_pack, ok, problem
from tinybms_bridge.doctor.packs import judge_units
from tinybms_bridge.words import message

ONE, OTHER = "0" * 23 + "1", "0" * 23 + "2"


def port(serial: str = "") -> PackPort:
    """Return a port, with the unit that is pinned to it."""
    return PackPort("/dev/x", 300, 115_200, "packs.x.uart", "hardware.uart.timeout_ms", serial_number=serial)


def units(**serials: str) -> dict[str, Identity]:
    """Return who answers, by pack."""
    return {name: Identity(serial_number=serial) for name, serial in serials.items()}


def test_different_units_are_well() -> None:
    """Said once for all of them."""
    (finding,) = judge_units(units(a=ONE, b=OTHER), {"a": port(), "b": port()})
    assert (finding.verdict, finding.text) == (Verdict.OK, "2 different BMS answer for a and b")


def test_one_unit_under_two_names_is_a_problem() -> None:
    """Both of them are named, and what to do."""
    (finding,) = judge_units(units(a=ONE, b=ONE, c=OTHER), {})
    assert finding.verdict is Verdict.PROBLEM
    assert finding.text == f"the BMS with the serial number {ONE} answers for a and b: one BMS cannot be two packs"
    assert finding.advice.startswith("Give each its own port")


def test_units_without_a_number_are_not_one_unit() -> None:
    """Old firmware tells none, and in some units none was ever written: that says nothing."""
    for serial in ("", "0" * 24, "F" * 24):
        assert judge_units(units(a=serial, b=serial), {"a": port(ONE), "b": port()}) == []


def test_another_unit_than_the_pinned_one_is_a_warning() -> None:
    """With the pack that it belongs to, as after two plugs were exchanged."""
    ports = {"a": port(ONE), "b": port(OTHER)}
    assert [each.verdict for each in judge_units(units(a=ONE, b=OTHER), ports)] == [Verdict.OK]

    first, second = judge_units(units(a=OTHER, b=ONE), ports)
    assert first.verdict is Verdict.WARNING
    assert first.text == (
        f"at the port of pack a the BMS {OTHER} answers, its serial_number is {ONE}; it is that of pack b"
    )
    assert second.text.endswith("it is that of pack a")
    (stranger,) = judge_units(units(a="E" * 24), ports)
    assert stranger.text.endswith(ONE)


def test_one_pack_alone_needs_no_comparison() -> None:
    """Nor does none."""
    assert judge_units(units(a=ONE), {"a": port()}) == judge_units({}, {}) == []


def test_a_finding_is_named_by_its_pack() -> None:
    """Its advice stays; with one pack it is as it was."""
    found = problem("serial port", message("doctor.no_adapter"))
    told = of_pack(found, "a")

    assert of_pack(found, "") is found
    assert told.text == "pack a: no USB serial adapter was found"
    assert (told.check, told.verdict, told.advice) == (found.check, found.verdict, found.advice)
    assert (
        of_pack(ok("link", message("doctor.answers"), message("doctor.again")), "a").advice
        == message("doctor.again").text
    )
