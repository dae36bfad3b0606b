import resource

import pytest

from tinybms_bridge.services.web.connections import connection_cap


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "cap", "raised"),
    [
        (1024, 524_288, 1100, 1100, 1228),
        (1024, resource.RLIM_INFINITY, 1100, 1100, 1228),
        (1024, 1024, 1100, 896, 1024),
        (4096, 4096, 1100, 1100, None),
        (256, 1000, 50, 50, None),
        (100, 100, 50, 1, 100),
    ],
)
def test_connections_leave_files_for_uart_and_can(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int, cap: int, raised: int | None
) -> None:
    """A thousand idle sockets must not keep the bridge from opening its port again."""
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))

    assert connection_cap(wanted) == cap
    assert limits == ([] if raised is None else [(raised, hard)])
