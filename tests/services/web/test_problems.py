import json
import logging
from collections.abc import Callable

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException

from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, DeviceRefused, LinkError
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.problems import ProblemError, problem
from tinybms_bridge.words import say
from tinybms_lab.testing.words import said

JSON = {"content-type": "application/json"}


def checked(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """Return the document after the checks that hold for every problem."""
    document = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (document["status"], document["error"], document["success"]) == (status, code, False)
    assert document["message"] == document["detail"] != ""
    assert document["type"] == "about:blank"
    assert say(document["code"], document["parameters"]) == document["message"]
    assert isinstance(document, dict)
    return document


def test_a_problem_keeps_extra_members_but_not_over_its_own() -> None:
    """A route may add facts; the members that every client relies on stay."""
    document = json.loads(bytes(problem(409, "taken", said("it is taken"), success=True, port=80).body))

    assert document["port"] == 80
    assert document["success"] is False
    assert document["title"] == "Conflict"


def test_a_problem_of_an_unknown_status_has_a_title() -> None:
    """A status that Python does not know must not raise while an error is told."""
    assert json.loads(bytes(problem(499, "gone", said("gone")).body))["title"] == "Error"


async def test_a_problem_speaks_the_language_of_the_browser(nobody: httpx.AsyncClient) -> None:
    """Codes stay, and other languages are answered in English."""
    plain = (await nobody.get("/api/nothing")).json()
    french = (await nobody.get("/api/nothing", headers={"accept-language": "fr-CH, en;q=0.8"})).json()
    other = (await nobody.get("/api/nothing", headers={"accept-language": "de"})).json()

    assert french["message"] != plain["message"]
    assert french["code"] == plain["code"]
    assert other == plain


def test_text_that_is_no_unicode_can_be_told() -> None:
    """A lone surrogate from a JSON escape reaches messages; encoding them must not fail."""
    assert json.loads(bytes(problem(400, "x", said("name \ud800")).body))["message"] == "name \ud800"


async def test_an_unknown_route_is_a_problem(nobody: httpx.AsyncClient) -> None:
    """A wrong address is told in the same shape as everything else."""
    assert "/api/nothing" in str(checked(await nobody.get("/api/nothing"), 404, "not_found")["message"])


async def test_a_wrong_method_is_a_problem_and_names_the_right_ones(nobody: httpx.AsyncClient) -> None:
    """RFC 9110, section 15.5.6: 405 carries Allow."""
    answer = await nobody.put("/api/thing")

    checked(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 400, "missing_body"),
        (b"{", JSON, 400, "invalid_json"),
        (b'{"a": 1} x', JSON, 400, "invalid_json"),
        (b'"\xff\xfe"', JSON, 400, "invalid_json"),
        (b"a=1", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        (b'{"a":1}', {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b"[1]", JSON, 422, "invalid_payload"),
        (b'{"value": "text"}', JSON, 422, "invalid_payload"),
        (b"[" * 30_000, JSON, 400, "invalid_json"),
        (b'{"value": NaN}', JSON, 422, "invalid_payload"),
    ],
)
async def test_a_bad_body_is_a_problem(
    admin: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    """Whatever is sent, the answer says what is wrong in one shape, with the firmware's codes where it has one."""
    checked(await admin.post("/api/thing", content=content, headers=headers), status, code)


async def test_a_mistake_is_told_with_its_path_but_not_its_value(nobody: httpx.AsyncClient) -> None:
    """The value may be a password."""
    body = {"username": "x", "password": {"hidden": "opensesame"}, "more": "opensesame"}

    answer = await nobody.post("/api/login", json=body)

    document = checked(answer, 422, "invalid_payload")
    assert [entry["path"] for entry in document["errors"]] == ["body.password", "body.more"]  # type: ignore[attr-defined]
    assert "opensesame" not in answer.text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"usernme": "x", "password": "y"}, "Extra inputs are not permitted; did you mean username?"),
        ({"username": "x", "password": "y", "opensesame": 1}, "Extra inputs are not permitted"),
    ],
)
async def test_an_unknown_key_is_told_with_the_nearest(
    nobody: httpx.AsyncClient, body: dict[str, object], message: str
) -> None:
    """As in a configuration; what is like no key gets no hint."""
    document = checked(await nobody.post("/api/login", json=body), 422, "invalid_payload")

    assert message in [entry["message"] for entry in document["errors"]]  # type: ignore[attr-defined]


async def test_a_word_that_is_not_one_of_those_allowed_is_told_with_the_nearest(admin: httpx.AsyncClient) -> None:
    """The hint names a word of ours, never what was sent."""
    body = {"username": "ben", "password": "staple wind harbour", "role": "admn"}

    answer = await admin.post("/api/users", json=body)

    assert str(checked(answer, 422, "invalid_payload")["message"]).endswith("; did you mean admin?")
    assert "admn" not in answer.text


async def test_a_bug_is_a_problem_without_details_and_one_log_entry(
    nobody: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is told as such, its cause goes to the log only, and the server goes on."""
    answer = await nobody.get("/api/bug")

    checked(answer, 500, "internal_error")
    assert "secret detail" not in answer.text
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR]
    assert (await nobody.get("/api/thing")).status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (LinkError("the BMS does not answer"), 503, "link_error"),
        (DeviceRefused(0x0B, 1), 502, "device_refused"),
        (BridgeError("no"), 503, "unavailable"),
        (ProblemError(409, "taken", said("it is taken")), 409, "taken"),
        (HTTPException(404, "no such register"), 404, "not_found"),
        (HTTPException(418, "a teapot"), 418, "error"),
        (
            ConfigError([ConfigProblem("mqtt.password", "opensesame", said("is too short"))]),
            422,
            "invalid_payload",
        ),
    ],
)
async def test_an_error_of_the_bridge_is_a_problem(
    make_app: Callable[..., FastAPI],
    connect: Callable[..., httpx.AsyncClient],
    routes: APIRouter,
    error: Exception,
    status: int,
    code: str,
) -> None:
    """A route lets an error of the bridge pass; what the caller can do about it decides the status."""

    async def fail() -> None:
        raise error

    routes.add_api_route("/api/fail", fail)

    answer = await connect(make_app(WebOptions())).get("/api/fail")

    document = checked(answer, status, code)
    assert "opensesame" not in answer.text
    if not isinstance(error, ConfigError):
        assert document["message"] == (error.detail if isinstance(error, HTTPException) else str(error))


def test_openapi_describes_the_problem_for_every_route(app: FastAPI) -> None:
    """A client made from the document knows the shape of an error."""
    document = app.openapi()

    assert document["components"]["schemas"]["Problem"]["properties"]["error"]
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
