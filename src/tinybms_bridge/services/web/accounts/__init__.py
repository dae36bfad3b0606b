"""Who may use the web server: users, passwords and bearer tokens, in one file; without any web framework."""

from tinybms_bridge.services.web.accounts.accounts import USERS_FILE, Accounts, AccountStore
from tinybms_bridge.services.web.accounts.registry import Account, AccountError, AccountRegistry, Role, TokenRecord

__all__ = [
    "USERS_FILE",
    "Account",
    "AccountError",
    "AccountRegistry",
    "AccountStore",
    "Accounts",
    "Role",
    "TokenRecord",
]
