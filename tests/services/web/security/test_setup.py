import pytest

from tinybms_bridge.services.web.security.setup import SetupToken


def test_without_a_token_nothing_matches() -> None:
    """Before one is issued, the empty text is no key."""
    setup = SetupToken()

    assert not setup.matches("")
    assert not setup.matches("-")


def test_the_token_matches_as_people_type_it() -> None:
    """Capitals, hyphens and blanks do not matter."""
    setup = SetupToken()
    token = setup.issue()

    assert setup.matches(token)
    assert setup.matches(f" {token.upper().replace('-', ' ')} ")
    assert not setup.matches(token[:-1])
    assert not setup.matches(token + "0")
    assert not setup.matches("\ud800")


def test_a_token_has_ninety_six_bits() -> None:
    """More than anybody can guess through the brake."""
    token = SetupToken().issue()

    assert len(token.replace("-", "")) == 24
    assert int(token.replace("-", ""), 16) >= 0


@pytest.mark.parametrize("action", ["issue", "void"])
def test_an_old_token_is_void(action: str) -> None:
    """After another one was issued, or the first administrator was made."""
    setup = SetupToken()
    old = setup.issue()

    getattr(setup, action)()

    assert not setup.matches(old)
