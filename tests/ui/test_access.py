"""Login, users, tokens, and a bridge that shows nothing without a login, in real Chromium."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import APIRequestContext, Browser, BrowserContext, Locator, Page, expect

ADMIN = ("anna", "correct horse battery")


def log_in_by_hand(asking: Locator, password: str = ADMIN[1]) -> None:
    """Type name and password where the page asks for them."""
    asking.get_by_label("User name").fill(ADMIN[0])
    asking.get_by_label("Password", exact=True).fill(password)
    asking.get_by_role("button", name="Log in").click()


def test_login_and_logout(bridge: Any, page: Page, violations: Callable[[Page], list[str]]) -> None:
    """A wrong password is told and can be mended; who is logged out may look and change nothing."""
    page.goto(f"{bridge.url}/access")
    me = page.get_by_test_id("me")
    expect(me).to_contain_text("You are not logged in.")
    me.get_by_role("button", name="Log in").click()
    dialog = page.get_by_role("dialog", name="Log in")
    log_in_by_hand(dialog, "battery staple")
    expect(page.get_by_role("alert")).to_contain_text("password is wrong")
    log_in_by_hand(dialog)
    expect(me).to_contain_text("You are logged in as anna.")
    expect(page.get_by_test_id("user-guy")).to_contain_text("viewer")
    assert violations(page) == []

    page.get_by_label("Français").check()
    expect(me).to_contain_text("Vous êtes connecté : anna.")
    page.get_by_label("English").check()
    me.get_by_role("button", name="Log out").click()
    expect(me).to_contain_text("You are not logged in.")
    expect(page.get_by_test_id("users")).to_have_count(0)


def test_a_user_comes_and_goes(bridge: Any, page: Page, log_in: Callable[..., None]) -> None:
    """Made with a password that the bridge judges, changed, removed after a question; the last administrator stays."""
    log_in(page)
    page.goto(f"{bridge.url}/access")
    users = page.get_by_test_id("users")
    expect(page.get_by_test_id("user-anna")).to_contain_text("the only administrator: stays")
    users.get_by_text("Add a user").first.click()
    users.get_by_label("User name").fill("ben")
    users.get_by_label("Password", exact=True).fill("ben")
    expect(users.get_by_text("The user name is no password")).to_be_visible()
    users.get_by_label("Password", exact=True).fill("staple wind harbour")
    users.get_by_role("button", name="Add a user").click()

    ben = page.get_by_test_id("user-ben")
    expect(ben).to_contain_text("viewer")
    ben.get_by_role("button", name="Make administrator").click()
    expect(ben).to_contain_text("administrator")
    expect(page.get_by_test_id("user-anna")).not_to_contain_text("stays")
    ben.get_by_role("button", name="Remove").click()
    question = page.get_by_role("dialog", name="Remove ben?")
    expect(question).to_contain_text("cannot be taken back")
    question.get_by_role("button", name="Remove").click()
    expect(ben).to_have_count(0)
    answer = page.request.post(f"{bridge.url}/api/login", data={"username": "ben", "password": "staple wind harbour"})
    assert answer.status == 401


def test_a_token_is_made_used_and_revoked(
    bridge: Any, page: Page, log_in: Callable[..., None], nobody: APIRequestContext
) -> None:
    """It is shown once, a script uses it, and after it was revoked it is refused."""
    log_in(page)
    page.goto(f"{bridge.url}/access")
    tokens = page.get_by_test_id("tokens")
    tokens.get_by_text("Make a token").first.click()
    tokens.get_by_label("What for").fill("backup script")
    tokens.get_by_label("Role").select_option("admin")
    tokens.get_by_label("Days").fill("30")
    tokens.get_by_role("button", name="Make a token").click()
    shown = page.get_by_role("dialog", name="backup script")
    token = shown.get_by_label("Token").input_value()
    headers = {"Authorization": f"Bearer {token}"}
    assert nobody.get(f"{bridge.url}/api/users", headers=headers).ok

    shown.get_by_role("button", name="I have kept it").click()
    page.reload()
    expect(tokens).to_contain_text("backup script")
    expect(page.get_by_text(token)).to_have_count(0)
    tokens.get_by_role("button", name="Revoke: backup script").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(tokens).not_to_contain_text("backup script")
    assert nobody.get(f"{bridge.url}/api/users", headers=headers).status == 401


def test_a_login_that_ends_while_a_form_is_open_loses_nothing(
    bridge: Any, page: Page, context: BrowserContext, log_in: Callable[..., None]
) -> None:
    """What was typed stays, the login is asked for, and the form goes on."""
    log_in(page)
    page.goto(f"{bridge.url}/access")
    tokens = page.get_by_test_id("tokens")
    tokens.get_by_text("Make a token").first.click()
    tokens.get_by_label("What for").fill("typed before")
    context.clear_cookies(name="tinybms_session")
    tokens.get_by_role("button", name="Make a token").click()
    expect(page.get_by_role("dialog")).to_contain_text("Your login has ended")
    log_in_by_hand(page.get_by_role("dialog"))
    expect(page.get_by_role("dialog", name="typed before")).to_contain_text("Copy the token now")


def test_a_bridge_that_asks_for_a_login_to_read(
    bridge: Any,
    page: Page,
    context: BrowserContext,
    log_in: Callable[..., None],
    violations: Callable[[Page], list[str]],
) -> None:
    """From then on strangers see a login and nothing of the battery, and a login shows it; it can be opened again."""
    log_in(page)
    page.goto(f"{bridge.url}/access")
    openness = page.get_by_test_id("openness")
    openness.get_by_role("button", name="Ask for a login to read").click()
    page.get_by_role("dialog").get_by_role("button", name="Ask for a login to read").click()
    expect(openness).to_contain_text("Only who is logged in may read.")

    context.clear_cookies()
    page.goto(bridge.url)
    expect(page.get_by_test_id("closed")).to_contain_text("Reading needs a login here.")
    expect(page.get_by_test_id("headline")).to_have_count(0)
    assert violations(page) == []
    log_in_by_hand(page.get_by_test_id("closed"))
    expect(page.get_by_test_id("headline")).to_be_visible()

    page.goto(f"{bridge.url}/access")
    openness.get_by_role("button", name="Let who is near read").click()
    expect(openness).to_contain_text("Whoever is near may read without a login")


@pytest.fixture
def nobody(browser: Browser) -> Iterator[APIRequestContext]:
    """A client without cookies, as a script is."""
    made = browser.new_context()
    yield made.request
    made.close()
