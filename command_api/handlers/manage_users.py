"""Lets people in and out: an administrator does, within the tenant."""

import structlog
from pydantic import SecretStr

from command_api.access import require
from command_api.accounts.errors import OwnAccount, PasswordWeak
from command_api.accounts.users import User, UserChange, Users
from command_api.commands import ChangeUser, CreateUser
from infrastructure.passwords import PasswordRefused, Passwords
from infrastructure.principals import Role

log = structlog.get_logger(__name__)


class ManageUsersHandler:
    """Handles CreateUser and ChangeUser."""

    def __init__(self, users: Users, passwords: Passwords) -> None:
        self._users = users
        self._passwords = passwords

    async def create(self, command: CreateUser) -> User:
        """Add a user; raises Forbidden, PasswordWeak, UsernameTaken, AccountsUnavailable."""
        require(command.principal, Role.ADMIN)
        password_hash = await self._hash(command.password, command.username)
        user = await self._users.add(
            command.principal.tenant, command.username, command.role, password_hash
        )
        log.info(
            "user_created", user_id=str(user.id), role=user.role, by=str(command.principal.user_id)
        )
        return user

    async def change(self, command: ChangeUser) -> User:
        """Change a user, which ends all of its sessions.

        Raises Forbidden, OwnAccount, UserNotFound, PasswordWeak, AccountsUnavailable.
        """
        require(command.principal, Role.ADMIN)
        is_own = command.user_id == command.principal.user_id
        if is_own and (command.role is not None or command.is_disabled is not None):
            raise OwnAccount
        user = await self._users.get(command.principal.tenant, command.user_id)
        password_hash = (
            None if command.password is None else await self._hash(command.password, user.username)
        )
        change = UserChange(command.role, password_hash, command.is_disabled)
        changed = await self._users.change(user.tenant, user.id, change)
        log.info("user_changed", user_id=str(user.id), by=str(command.principal.user_id))
        return changed

    async def _hash(self, password: SecretStr, username: str) -> str:
        text = password.get_secret_value()
        if text.casefold() == username:
            raise PasswordWeak
        try:
            return await self._passwords.hash(text)
        except PasswordRefused:
            raise PasswordWeak from None
