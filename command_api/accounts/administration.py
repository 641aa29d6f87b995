"""Lets people in and out, whoever may decide that: a tenant's administrator or the command line."""

from uuid import UUID

import structlog

from command_api.accounts.errors import PasswordWeak
from command_api.accounts.users import User, UserChange, Users
from infrastructure.passwords import PasswordRefused, Passwords
from infrastructure.principals import Role

log = structlog.get_logger(__name__)


class Administration:
    """Adds and changes users; passwords are checked and hashed here and nowhere else."""

    def __init__(self, users: Users, passwords: Passwords) -> None:
        self._users = users
        self._passwords = passwords

    async def create(self, tenant: str, username: str, password: str, role: Role) -> User:
        """Add a user; raises PasswordWeak, UsernameTaken, TenantNotFound, AccountsUnavailable."""
        password_hash = await self._hash(password, username)
        user = await self._users.add(tenant, username, role, password_hash)
        log.info("user_created", user_id=str(user.id), tenant=tenant, role=role)
        return user

    async def change(
        self,
        tenant: str,
        user_id: UUID,
        *,
        role: Role | None = None,
        password: str | None = None,
        is_disabled: bool | None = None,
    ) -> User:
        """Change a user, which ends all sessions.

        Raises UserNotFound, PasswordWeak, AccountsUnavailable.
        """
        user = await self._users.get(tenant, user_id)
        password_hash = None if password is None else await self._hash(password, user.username)
        changed = await self._users.change(
            tenant, user_id, UserChange(role, password_hash, is_disabled)
        )
        log.info("user_changed", user_id=str(user_id), tenant=tenant)
        return changed

    async def _hash(self, password: str, username: str) -> str:
        if password.casefold() == username:
            raise PasswordWeak
        try:
            return await self._passwords.hash(password)
        except PasswordRefused:
            raise PasswordWeak from None
