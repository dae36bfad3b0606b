"""What the bridge and the BMS can refuse, as problem documents."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from tinybms_bridge.errors import ConfigError, DeviceRefused, LinkError
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.tinybms.settings import ConfirmationError, SettingsError, StaleSettingsError

__all__ = ["config_problem", "device_failures", "plain"]


def config_problem(error: ConfigError, code: str = "invalid_settings") -> ProblemError:
    """Return the problem of a configuration that cannot be used: every mistake with path, value and allowed range."""
    errors = [{"path": each.path, "value": plain(each.value), "message": each.message} for each in error.problems]
    return ProblemError(422, code, "; ".join(str(each) for each in error.problems), errors=errors)


@contextmanager
def device_failures() -> Iterator[None]:
    """Turn what the settings layer of the BMS raises into problems."""
    try:
        yield
    except SettingsError as error:
        errors = [{"path": each.name, "value": plain(each.value), "message": each.message} for each in error.problems]
        raise ProblemError(422, "invalid_settings", str(error), errors=errors) from error
    except ConfirmationError as error:
        consequences = list(error.consequences)
        raise ProblemError(409, "confirmation_required", str(error), consequences=consequences) from error
    except StaleSettingsError as error:
        raise ProblemError(409, "settings_changed", str(error), names=list(error.names)) from error
    except DeviceRefused as error:
        raise ProblemError(502, "bms_refused", str(error)) from error
    except LinkError as error:
        raise ProblemError(503, "bms_unreachable", str(error)) from error


def plain(value: object) -> str | int | float | bool | None:
    """Return a value if JSON can carry it, else None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) else None
