import pytest

from tinybms_bridge.services.web.callers import Origin
from tinybms_bridge.services.web.security.rate import LoginLimiter, device_of, new_device
from tinybms_lab.testing.fake_clock import FakeClock


def at(machine: str, network: str = "") -> Origin:
    """Return where a try comes from; an IPv4 address is a network of its own."""
    return Origin(machine, network or machine)


HERE = at("10.0.0.1")


def fail(limiter: LoginLimiter, times: int, origin: Origin = HERE, name: str = "boss", device: str = "") -> list[float]:
    """Try without success and return how long each try had to wait."""
    return [limiter.admit(origin, name, device).wait_s for _ in range(times)]


async def fail_patiently(limiter: LoginLimiter, clock: FakeClock, times: int, origin: Origin = HERE) -> None:
    """Fail so often, with every wait that is asked for."""
    for number in range(times):
        await clock.advance(limiter.admit(origin, f"user{number}").wait_s)
        limiter.admit(origin, f"user{number}")


def test_some_mistakes_are_free() -> None:
    """People mistype."""
    assert fail(LoginLimiter(FakeClock()), 5) == [0.0] * 5


async def test_each_further_try_waits_twice_as_long() -> None:
    """1, 2, 4 s and so on; a try that has to wait counts nothing."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    fail(limiter, 5)
    waits = []
    for number in range(5):
        waits.append(limiter.admit(HERE, f"user{number}").wait_s)
        await clock.advance(waits[-1])
        assert limiter.admit(HERE, f"user{number}").wait_s == 0.0

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


async def test_the_wait_of_a_machine_is_bounded_by_five_minutes() -> None:
    """An attacker is slowed to twelve tries an hour; the owner of the address is not locked out for ever."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    await fail_patiently(limiter, clock, 40)

    assert 0.0 < limiter.admit(HERE, "other").wait_s <= 300.0


async def test_a_user_is_protected_against_many_networks() -> None:
    """Guesses for one user from everywhere are slowed too, but by half a minute at most: no lock-out by strangers."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    for number in range(100):
        await clock.advance(limiter.admit(at(f"10.0.0.{number}"), "boss").wait_s)
        limiter.admit(at(f"10.0.0.{number}"), "boss")

    assert 0.0 < limiter.admit(at("10.0.1.1"), "Boss").wait_s <= 30.0
    assert limiter.admit(at("10.0.1.1"), "guest").wait_s == 0.0


async def test_one_machine_cannot_stop_its_network() -> None:
    """Whoever fails for an hour on one address of a home network does not slow a neighbour of the same /64."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    await fail_patiently(limiter, clock, 60, at("2001:db8::bad", "2001:db8::/64"))

    assert limiter.admit(at("2001:db8::bad", "2001:db8::/64"), "boss").wait_s > 0.0
    assert fail(limiter, 5, at("2001:db8::1", "2001:db8::/64")) == [0.0] * 5


async def test_one_network_cannot_stop_a_user_elsewhere() -> None:
    """An attacker with all addresses of a /64 slows that /64, and not the owner on another network."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    waits = [limiter.admit(at(f"2001:db8::{n:x}", "2001:db8::/64"), "boss").wait_s for n in range(10_000)]
    for number in range(100):
        await clock.advance(limiter.admit(at(f"2001:db8::a:{number:x}", "2001:db8::/64"), "boss").wait_s)
        limiter.admit(at(f"2001:db8::a:{number:x}", "2001:db8::/64"), "boss")

    assert waits.count(0.0) == 20
    assert limiter.admit(at("2001:db8::b", "2001:db8::/64"), "boss").wait_s > 0.0
    assert limiter.admit(at("192.168.1.7"), "boss").wait_s == 0.0


async def test_a_device_that_logged_in_before_is_not_slowed_by_others() -> None:
    """The owner's own browser gets in, whatever strangers do from the same address, network and for the same user."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    await fail_patiently(limiter, clock, 40)
    for number in range(60):
        limiter.admit(at(f"10.9.0.{number}"), "boss")
    assert limiter.admit(HERE, "boss").wait_s > 0.0
    assert limiter.admit(at("10.8.0.1"), "boss").wait_s > 0.0

    assert limiter.admit(HERE, "boss", "phone").wait_s == 0.0


def test_a_device_is_slowed_by_its_own_failures() -> None:
    """A copied cookie gives no more tries than an address does."""
    limiter = LoginLimiter(FakeClock())
    assert fail(limiter, 5, device="phone") == [0.0] * 5

    assert fail(limiter, 1, device="phone")[0] > 0.0
    assert fail(limiter, 1, device="laptop") == [0.0]


def test_a_secret_without_a_user_is_slowed_by_machine_and_network_alone() -> None:
    """Nobody can keep the owner from using the setup token."""
    limiter = LoginLimiter(FakeClock())
    for number in range(200):
        limiter.admit(at(f"10.0.0.{number}"))

    assert limiter.admit(at("10.1.0.1")).wait_s == 0.0


def test_a_right_password_clears_the_user_but_not_the_machine() -> None:
    """Whoever knows one password must not use it to guess another one faster."""
    limiter = LoginLimiter(FakeClock())
    fail(limiter, 4, name="boss")
    limiter.admit(HERE, "guest").succeeded()

    assert limiter.admit(HERE, "boss").wait_s == 0.0
    assert limiter.admit(HERE, "guest").wait_s > 0.0


def test_a_user_who_logs_in_often_is_never_slowed() -> None:
    """Only failures count."""
    limiter = LoginLimiter(FakeClock())
    for _ in range(100):
        begun = limiter.admit(HERE, "guest")
        assert begun.wait_s == 0.0
        begun.succeeded()


async def test_failures_are_forgotten_after_a_quarter_of_an_hour() -> None:
    """Yesterday's mistakes do not slow today's."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    fail(limiter, 5)
    await clock.advance(901.0)

    assert fail(limiter, 5) == [0.0] * 5


def test_tries_at_the_same_time_all_count() -> None:
    """A try counts when it begins: a thousand at once are not a thousand free ones."""
    waits = fail(LoginLimiter(FakeClock()), 1000)

    assert sum(wait == 0.0 for wait in waits) == 5


@pytest.mark.parametrize("network", ["", "2001:db8::/64"])
def test_memory_is_bounded(network: str) -> None:
    """A hundred thousand addresses and names, of many networks or of one, leave six thousand entries at most."""
    limiter = LoginLimiter(FakeClock())
    for number in range(100_000):
        limiter.admit(at(f"machine {number}", network), f"user{number}")

    assert limiter.entries <= 3 * 2048
    if network:
        assert limiter.entries < 100


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
