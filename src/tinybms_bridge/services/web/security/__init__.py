"""Login and rights of the web server."""

from tinybms_bridge.services.web.security.dependencies import Admin, Facts, Viewer, websocket_user
from tinybms_bridge.services.web.security.gate import AUDIT, Gate, audit
from tinybms_bridge.services.web.security.sessions import User, Via

__all__ = ["AUDIT", "Admin", "Facts", "Gate", "User", "Via", "Viewer", "audit", "websocket_user"]
