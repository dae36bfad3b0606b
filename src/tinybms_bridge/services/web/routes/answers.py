"""What answers share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tinybms_bridge.services.web.answer import Answer

__all__ = ["Answer", "Done", "Remark", "Request"]


class Request(BaseModel):
    """Base of every body: types are exact, unknown keys are refused."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", strict=True, allow_inf_nan=False)


class Done(Answer):
    """Something was done."""

    success: Literal[True] = True
    message: str = Field(examples=["Configuration updated"])


class Remark(Answer):
    """Something to know about the configuration in force."""

    path: str
    """Dotted path of the key; empty for the whole file."""
    message: str
