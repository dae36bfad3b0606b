"""Conversion of single fields: rounding, saturation, words, texts, versions."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.victron.can.field import Encoding, FrameField
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

NUMBERS = [
    field for frame in FRAME_FORMATS.values() for field in frame.fields.values() if field.encoding is Encoding.NUMBER
]


def field(arbitration_id: int, name: str) -> FrameField:
    """Return a field of the table."""
    return FRAME_FORMATS[arbitration_id].fields[name]


def test_every_millivolt_of_a_cell_is_sent_as_it_is() -> None:
    """No value between 2500 and 3700 mV is truncated to the one below, whatever binary fractions make of it."""
    cell = field(0x373, "lowest_cell_voltage")
    wrong = [mv for mv in range(2500, 3701) if cell.to_raw(mv / 1000.0 * 1000.0) != mv]
    assert wrong == []


def test_every_tenth_of_a_millivolt_rounds_to_the_nearest() -> None:
    """Cells come in steps of 0.1 mV; a half goes up."""
    cell = field(0x373, "lowest_cell_voltage")
    wrong = [tenth for tenth in range(25000, 37001) if cell.to_raw(tenth / 10000.0 * 1000.0) != (tenth + 5) // 10]
    assert wrong == []


@pytest.mark.parametrize(
    ("arbitration_id", "name", "per_raw"), [(0x356, "voltage", 1), (0x351, "charge_voltage_limit", 10)]
)
def test_every_ten_millivolts_of_a_pack_round_half_up(arbitration_id: int, name: str, per_raw: int) -> None:
    """Pack voltages of 40.00 to 65.00 V come out on the nearest step of 0.01 V and of 0.1 V."""
    pack = field(arbitration_id, name)
    wrong = [cv for cv in range(4000, 6501) if pack.to_raw(cv / 100.0) != (cv + per_raw // 2) // per_raw]
    assert wrong == []


@pytest.mark.parametrize(
    ("value", "raw"),
    [(0.05, 1), (-0.05, -1), (0.0499, 0), (-30.05, -301), (30.05, 301), (0.15, 2), (-0.15, -2), (1.25, 13)],
)
def test_halves_round_away_from_zero(value: float, raw: int) -> None:
    """A half is one step more on both sides of zero, and not the even neighbour."""
    assert field(0x356, "current").to_raw(value) == raw


def test_noise_of_a_sum_does_not_change_the_rounding() -> None:
    """58.25 V as a sum of binary fractions, a hair too small, is still sent as 58.3 V."""
    summed_v = sum([3.640625] * 16) - 7e-15
    assert summed_v < 58.25
    assert field(0x351, "charge_voltage_limit").to_raw(summed_v) == 583


@given(st.sampled_from(NUMBERS), st.floats(allow_nan=False))
def test_any_number_saturates_and_never_wraps(checked: FrameField, value: float) -> None:
    """No number, not even infinity, leaves the range of its field."""
    assert checked.min_raw <= checked.to_raw(value) <= checked.max_raw


@given(st.sampled_from(NUMBERS), st.data())
def test_raw_values_survive_the_way_there_and_back(checked: FrameField, data: st.DataObject) -> None:
    """to_raw is the inverse of from_raw over the whole range."""
    raw = data.draw(st.integers(checked.min_raw, checked.max_raw))
    if list(checked.choices.values()).count(checked.choices.get(raw, "")) < 2:
        assert checked.to_raw(checked.from_raw(raw)) == raw


@given(st.sampled_from(NUMBERS), st.decimals(-7000, 7000, places=4))
def test_rounding_agrees_with_decimal_arithmetic(checked: FrameField, value: Decimal) -> None:
    """The rounded value is that of exact decimal arithmetic on the value as it is written."""
    exact = int((value / checked.scale).to_integral_value(ROUND_HALF_UP))
    assert checked.to_raw(float(value)) == max(checked.min_raw, min(checked.max_raw, exact))


def test_not_a_number_is_refused() -> None:
    """NaN has no raw value; it raises instead of becoming some number."""
    with pytest.raises(ValueError, match="soc is not a number"):
        field(0x355, "soc").to_raw(float("nan"))


@pytest.mark.parametrize(("raw", "word"), [(0, "not supported"), (1, "active"), (2, "ok"), (3, "not supported")])
def test_alarm_pairs_have_the_least_significant_bit_first(raw: int, word: str) -> None:
    """1 is active and 2 is OK: read from left to right, every alarm would be inverted."""
    assert field(0x35A, "alarm_high_voltage").from_raw(raw) == word


@pytest.mark.parametrize(("word", "raw"), [("not supported", 0), ("active", 1), ("ok", 2)])
def test_alarm_words_encode_to_the_documented_numbers(word: str, raw: int) -> None:
    """Each word becomes the number of the protocol; not supported is 0."""
    assert field(0x35A, "warning_cell_imbalance").to_raw(word) == raw


def test_unknown_word_is_refused() -> None:
    """A word that the field does not know is an error, not a 0."""
    with pytest.raises(ValueError, match="does not know the word 'alarm'"):
        field(0x35A, "alarm_high_voltage").to_raw("alarm")


@pytest.mark.parametrize("text", ["", "A", "CELL 07", "ENEPAQ", "12345678", " x "])
def test_text_survives_the_way_there_and_back(text: str) -> None:
    """A text is padded with zeros and comes back without them."""
    name = field(0x382, "text")
    assert name.from_raw(name.to_raw(text)) == text


def test_text_that_does_not_fit_is_refused() -> None:
    """Nothing is cut off silently; the message names both lengths."""
    with pytest.raises(ValueError, match=r"'123456789' has 9 characters, 8 fit"):
        field(0x382, "text").to_raw("123456789")


def test_text_of_another_alphabet_is_refused() -> None:
    """Only ASCII can be sent."""
    with pytest.raises(ValueError, match="ascii"):
        field(0x382, "text").to_raw("Prüfung")


def test_unprintable_bytes_are_shown_and_not_sent_to_the_terminal() -> None:
    """A text from the bus cannot carry control characters into a log or terminal."""
    assert field(0x382, "text").from_raw(int.from_bytes(b"\x1b[2J\xff", "little")) == "\\x1b[2J\\xff"


@pytest.mark.parametrize(("version", "raw"), [("16.4", 0x1004), ("2.42", 0x022A), ("0.0", 0), ("255.255", 0xFFFF)])
def test_version_has_its_major_byte_first(version: str, raw: int) -> None:
    """A version is major byte, then minor byte."""
    firmware = field(0x35F, "firmware_version")
    assert (firmware.to_raw(version), firmware.from_raw(raw)) == (raw, version)


def test_version_beyond_a_byte_is_refused() -> None:
    """A part of a version over 255 raises instead of spilling into the other byte."""
    with pytest.raises(ValueError, match="range"):
        field(0x35F, "firmware_version").to_raw("1.256")


@pytest.mark.parametrize(
    ("arbitration_id", "name", "word"),
    [(0x372, "ok", "not supported"), (0x373, "lowest_cell_temperature", "no sensor")],
)
def test_all_ones_mean_that_nothing_is_known(arbitration_id: int, name: str, word: str) -> None:
    """0xFFFF is a word, not 65535 modules or 65262 degrees."""
    assert field(arbitration_id, name).from_raw(0xFFFF) == word


def test_whole_steps_give_whole_numbers() -> None:
    """Percent, millivolts and 100 Wh come back as integers, tenths as floats without binary noise."""
    assert field(0x355, "soc").from_raw(60) == 60
    assert isinstance(field(0x378, "charged").from_raw(7), int)
    assert str(field(0x351, "charge_voltage_limit").from_raw(579)) == "57.9"
