import pytest

from tinybms_bridge.services.web.security.device import device_of, new_device

SECRET = bytes(range(32))


def test_a_device_is_known_again_for_its_user() -> None:
    """The cookie of a login names the device, whatever the capitals of the name."""
    cookie = new_device("boss", SECRET)

    assert device_of(cookie, "Boss", SECRET) == cookie.partition(".")[0] != ""


def test_each_login_makes_another_device() -> None:
    """Two browsers are counted apart."""
    assert new_device("boss", SECRET) != new_device("boss", SECRET)


@pytest.mark.parametrize(
    "text",
    ["", ".", "x", "x.", ".y", "x.y", "\ud800.\ud800", "a" * 100_000, "a.b.c", "ü.ß"],
    ids=ascii,
)
def test_nonsense_is_a_stranger(text: str) -> None:
    """What was not signed here gives nothing."""
    assert device_of(text, "boss", SECRET) == ""


def test_a_cookie_is_for_one_user_and_one_bridge() -> None:
    """A viewer's browser gets no tries of its own for the administrator, nor does a cookie of another installation."""
    cookie = new_device("guest", SECRET)

    assert device_of(cookie, "boss", SECRET) == ""
    assert device_of(cookie, "guest", bytes(32)) == ""
    assert device_of(f"other{cookie}", "guest", SECRET) == ""
