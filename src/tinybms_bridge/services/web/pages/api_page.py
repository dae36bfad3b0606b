"""The API as a page made from its OpenAPI document: operations by group, with who may call them and a curl line each.

Not a viewer of others: they need scripts and styles inside the page, which the Content-Security-Policy forbids, weigh
over a megabyte, and cannot show who may do what.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tinybms_bridge.services.web.pages.elements import Child, Element, document, element, prose, table

__all__ = ["api_page"]

_WHO = {
    "everybody": "everybody",
    "reader": "who may read: near machines, or with a login",
    "login": "who is logged in",
    "admin": "administrators",
}
_IN_PATH = re.compile(r"\{(\w+)\}")
_MOST_VALUES = 30
"""Values of a choice that are listed."""

Schema = Mapping[str, Any]


def api_page(api: Schema) -> bytes:
    """Return the page of an OpenAPI document."""
    groups: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", ["other"])[0], []).append((method.upper(), path, operation))
    schemas: Schema = api.get("components", {}).get("schemas", {})
    version = str(api["info"]["version"])
    body: list[Child] = [
        element("h1", f"{api['info']['title']} {version}: the API"),
        element(
            "p",
            element("a", "The battery", href="/"),
            " · ",
            element("a", "OpenAPI document", href="/api/openapi.json"),
        ),
        *_introduction(),
        element("nav", *(element("a", group, href=f"#group-{_anchor(group)}") for group in (*groups, "schemas"))),
    ]
    for group, operations in groups.items():
        body.append(element("h2", group, id=f"group-{_anchor(group)}"))
        for method, path, operation in operations:
            body += _operation(method, path, operation, schemas)
    body.append(element("h2", "Schemas", id="group-schemas"))
    for name, schema in schemas.items():
        body += _schema(name, schema)
    return document(f"tinybms-bridge {version}: the API", *body, version=version)


def _introduction() -> list[Child]:
    lines = (
        "BRIDGE=http://localhost:8080\n"
        "TOKEN=$(tinybms-bridge users token NAME)\n"
        "# or with a password, which a few operations insist on:\n"
        "curl -c cookies.txt -H 'Content-Type: application/json' "
        """-d '{"username": "NAME", "password": "PASSWORD"}' $BRIDGE/api/login\n"""
        "CSRF=$(curl -s -b cookies.txt $BRIDGE/api/session | jq -r .csrf_token)"
    )
    return [
        element(
            "p",
            "What changes something needs an administrator: a cookie of ",
            _link("/api/login", "post-api-login"),
            " with the header ",
            element("code", "X-CSRF-Token"),
            " that its answer tells, or an administrator's bearer token, which needs nothing else. Every error is a ",
            _link("Problem", "schema-Problem"),
            " document.",
        ),
        element("pre", lines),
        element(
            "p", "Live data come over the WebSocket ", element("code", "/ws"), ", which this document cannot describe."
        ),
    ]


def _operation(method: str, path: str, operation: Schema, schemas: Schema) -> Iterator[Child]:
    anchor = f"{method.lower()}{_anchor(path)}"
    who = _WHO.get(str(operation.get("x-who")), "see the documentation")
    yield element("h3", element("code", f"{method} {path}"), " ", element("span", who, class_="who"), id=anchor)
    for paragraph in str(operation.get("description", operation.get("summary", ""))).split("\n\n"):
        yield element("p", *prose(paragraph))
    parameters = operation.get("parameters", [])
    if parameters:
        yield table([_parameter(each) for each in parameters], ("Parameter", "In", "Value", "Meaning"))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    example = None
    if body is not None:
        yield element("p", "Body: ", *_type(body))
        example = _example(body, schemas)
    yield element("pre", _curl(method, path, operation, example))
    answers = [_answer(status, each) for status, each in operation.get("responses", {}).items() if status != "default"]
    if answers:
        yield element("ul", *answers)


def _parameter(parameter: Schema) -> tuple[Child, ...]:
    schema = parameter.get("schema", {})
    default = f", default {json.dumps(schema['default'])}" if schema.get("default") is not None else ""
    needed = " (needed)" if parameter.get("required") and parameter["in"] != "path" else ""
    value = element("span", *_type(schema), default)
    words = str(parameter.get("description", schema.get("description", "")))
    return element("code", f"{parameter['name']}{needed}"), str(parameter["in"]), value, element("span", *prose(words))


def _answer(status: str, answer: Schema) -> Element:
    parts: list[Child] = [f"{status}: ", *prose(str(answer.get("description", "")))]
    for media_type, content in answer.get("content", {}).items():
        parts += [", ", element("code", media_type), " ", *_type(content.get("schema", {}))]
    return element("li", *parts)


def _curl(method: str, path: str, operation: Schema, example: object) -> str:
    words = ["curl"]
    if method != "GET":
        words += ["-X", method]
    if operation.get("x-session-only"):
        words += ["-b", "cookies.txt", "-H", '"X-CSRF-Token: $CSRF"']
    elif operation.get("x-who") in ("admin", "login"):
        words += ["-H", '"Authorization: Bearer $TOKEN"']
    if example is not None:
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(json.dumps(example, ensure_ascii=False))]
    needed = [each for each in operation.get("parameters", []) if each.get("required") and each["in"] == "query"]
    query = "&".join(f"{each['name']}={each['name'].upper()}" for each in needed)
    shown = _IN_PATH.sub(lambda found: found[1].upper(), path)
    words.append(f'"$BRIDGE{shown}?{query}"' if query else f"$BRIDGE{shown}")
    return " ".join(words)


def _example(schema: Schema, schemas: Schema) -> object:
    """Return what the document shows of a body, or an empty object."""
    for each in (schema, *schema.get("anyOf", ())):
        found = schemas.get(str(each.get("$ref", "")).rpartition("/")[2], each)
        if found.get("examples"):
            return found["examples"][0]
    return {}


def _schema(name: str, schema: Schema) -> Iterator[Child]:
    yield element("h3", name, id=f"schema-{_anchor(name)}")
    if schema.get("description"):
        yield element("p", *prose(str(schema["description"])))
    required = schema.get("required", ())
    rows: list[tuple[Child, ...]] = []
    for key, each in schema.get("properties", {}).items():
        value = element("span", *_type(each), "" if key in required else ", may be missing")
        words = str(each.get("description", ""))
        examples = ", ".join(json.dumps(example, ensure_ascii=False) for example in each.get("examples", ())[:2])
        meaning = element("span", *prose(words), f" For example {examples}." if examples else "")
        rows.append((element("code", key), value, meaning))
    if rows:
        yield table(rows, ("Key", "Value", "Meaning"))
    elif "properties" not in schema:
        yield element("p", *_type(schema))
    for example in schema.get("examples", ()):
        yield element("pre", json.dumps(example, indent=1, ensure_ascii=False))


def _type(schema: Schema) -> list[Child]:
    """Return the type of a value in words, with links to what it is made of."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return [_link(name, f"schema-{_anchor(name)}")]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            parts: list[Child] = []
            for each in schema[key]:
                parts += [" or ", *_type(each)] if parts else _type(each)
            return parts
    if "enum" in schema or "const" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        shown = ", ".join(json.dumps(value) for value in values[:_MOST_VALUES])
        return [f"{shown}{', ...' if len(values) > _MOST_VALUES else ''}"]
    if schema.get("type") == "array":
        return ["list of ", *_type(schema.get("items", {}))]
    if isinstance(schema.get("additionalProperties"), Mapping):
        return ["object of ", *_type(schema["additionalProperties"])]
    return [f"{schema.get('type', 'anything')}{_range(schema)}"]


def _range(schema: Schema) -> str:
    bounds = (
        ("minimum", "≥ {}"),
        ("exclusiveMinimum", "> {}"),
        ("maximum", "≤ {}"),
        ("exclusiveMaximum", "< {}"),
        ("minLength", "at least {} characters"),
        ("maxLength", "at most {} characters"),
        ("pattern", "like {}"),
        ("format", "{}"),
    )
    said = [words.format(schema[key]) for key, words in bounds if key in schema]
    return f" ({', '.join(said)})" if said else ""


def _link(words: str, anchor: str) -> Element:
    return element("a", words, href=f"#{anchor}")


def _anchor(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name).rstrip("-")
