"""Examples of bodies for the OpenAPI document."""

from collections.abc import Mapping

from pydantic import JsonValue

__all__ = ["examples"]


def examples(*bodies: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what the document shows of a body, for ``json_schema_extra``."""
    return {"examples": [dict(body) for body in bodies]}
