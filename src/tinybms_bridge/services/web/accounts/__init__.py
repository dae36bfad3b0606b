"""Who may use the web server: users, passwords and bearer tokens, in one file; without any web framework."""

from tinybms_bridge.services.web.accounts.accounts import Accounts
from tinybms_bridge.services.web.accounts.book import Account, AccountError, Book, Role, TokenRecord
from tinybms_bridge.services.web.accounts.store import USERS_FILE, AccountStore

__all__ = ["USERS_FILE", "Account", "AccountError", "AccountStore", "Accounts", "Book", "Role", "TokenRecord"]
