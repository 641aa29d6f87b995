"""Lets an administrator manage the users of the tenant, but not lock himself out."""

from pydantic import SecretStr

from command_api.access import require
from command_api.accounts.administration import Administration
from command_api.accounts.errors import OwnAccount
from command_api.accounts.users import User
from command_api.commands import ChangeUser, CreateUser
from infrastructure.principals import Role


class ManageUsersHandler:
    """Handles CreateUser and ChangeUser."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    async def create(self, command: CreateUser) -> User:
        """Add a user; raises Forbidden, and what `Administration.create` raises."""
        require(command.principal, Role.ADMIN)
        password = command.password.get_secret_value()
        return await self._administration.create(
            command.principal.tenant, command.username, password, command.role
        )

    async def change(self, command: ChangeUser) -> User:
        """Change a user; raises Forbidden, OwnAccount, and what `Administration.change` raises."""
        require(command.principal, Role.ADMIN)
        is_own = command.user_id == command.principal.user_id
        if is_own and (command.role is not None or command.is_disabled is not None):
            raise OwnAccount
        return await self._administration.change(
            command.principal.tenant,
            command.user_id,
            role=command.role,
            password=_text(command.password),
            is_disabled=command.is_disabled,
        )


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
