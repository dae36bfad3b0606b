"""Every route of login, users and tokens."""

from fastapi import APIRouter

from tinybms_bridge.services.web.security.session_routes import router as session_router
from tinybms_bridge.services.web.security.user_routes import router as user_router

__all__ = ["SECURITY_ROUTERS"]

SECURITY_ROUTERS: tuple[APIRouter, ...] = (session_router, user_router)
