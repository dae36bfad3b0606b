import pytest

from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.services.web.security.rate import LoginLimiter, network_of


def fail(limiter: LoginLimiter, times: int, address: str = "10.0.0.1", name: str = "boss") -> list[float]:
    """Try without success and return how long each try had to wait."""
    return [limiter.admit(address, name) for _ in range(times)]


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
        waits.append(limiter.admit("10.0.0.1", f"user{number}"))
        await clock.advance(waits[-1])
        assert limiter.admit("10.0.0.1", f"user{number}") == 0.0

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


async def test_the_wait_of_an_address_is_bounded_by_five_minutes() -> None:
    """An attacker is slowed to twelve tries an hour; the owner of the address is not locked out for ever."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    for number in range(40):
        await clock.advance(limiter.admit("10.0.0.1", f"user{number}"))
        limiter.admit("10.0.0.1", f"user{number}")

    assert 0.0 < limiter.admit("10.0.0.1", "other") <= 300.0


async def test_a_user_is_protected_against_many_addresses() -> None:
    """Guesses for one user from everywhere are slowed too, but by half a minute at most: no lock-out by strangers."""
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    for number in range(40):
        await clock.advance(limiter.admit(f"10.0.0.{number}", "boss"))
        limiter.admit(f"10.0.0.{number}", "boss")

    assert 0.0 < limiter.admit("10.0.1.1", "Boss") <= 30.0
    assert limiter.admit("10.0.1.1", "guest") == 0.0


def test_a_right_password_clears_the_user_but_not_the_address() -> None:
    """Whoever knows one password must not use it to guess another one faster."""
    limiter = LoginLimiter(FakeClock())
    fail(limiter, 4, name="boss")
    limiter.admit("10.0.0.1", "guest")
    limiter.succeeded("10.0.0.1", "guest")

    assert limiter.admit("10.0.0.1", "boss") == 0.0
    assert limiter.admit("10.0.0.1", "guest") > 0.0


def test_a_user_who_logs_in_often_is_never_slowed() -> None:
    """Only failures count."""
    limiter = LoginLimiter(FakeClock())
    for _ in range(50):
        assert limiter.admit("10.0.0.1", "guest") == 0.0
        limiter.succeeded("10.0.0.1", "guest")


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


def test_memory_is_bounded() -> None:
    """A million names or addresses leave two thousand entries."""
    limiter = LoginLimiter(FakeClock())
    for number in range(5000):
        limiter.admit(f"10.{number // 250}.{number % 250}.1", f"user{number}")

    assert len(limiter._users._entries) == len(limiter._addresses._entries) == 2048


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_a_guesser_is_a_network(address: str, network: str) -> None:
    """Whoever has one IPv6 address usually has 2^64 of them."""
    assert network_of(address) == network
