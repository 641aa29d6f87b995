"""What accounts need from time to time: a first administrator, and no expired refresh tokens."""

from command_api.accounts.administration import Administration
from command_api.accounts.errors import UsernameTaken
from command_api.accounts.names import DEFAULT_TENANT, username_key
from command_api.accounts.refresh_tokens import RefreshTokens
from command_api.accounts.tenants import Tenants
from command_api.accounts.users import Users
from infrastructure.periodic import Counts
from infrastructure.principals import Role
from infrastructure.settings import AdministratorSettings

SWEEP_SECONDS = 300.0


class AdministratorUnusable(ValueError):
    """ADMIN_USERNAME is not a valid user name."""


class Housekeeping:
    """A long-lived service; see `infrastructure.periodic`."""

    name = "accounts_housekeeping"

    def __init__(
        self,
        settings: AdministratorSettings,
        tenants: Tenants,
        users: Users,
        refresh_tokens: RefreshTokens,
        administration: Administration,
    ) -> None:
        self._settings = settings
        self._tenants = tenants
        self._users = users
        self._refresh_tokens = refresh_tokens
        self._administration = administration

    async def start(self) -> None:
        """Make the first administrator; tried again until the database is there."""
        if self._settings.admin_username and self._settings.admin_password:
            await ensure_administrator(
                self._settings.admin_username,
                self._settings.admin_password.get_secret_value(),
                self._tenants,
                self._users,
                self._administration,
            )

    async def run_once(self) -> Counts:
        """Delete expired refresh tokens."""
        return Counts(refresh_tokens_deleted=await self._refresh_tokens.sweep())

    async def stop(self) -> None:
        """Nothing is held open."""


async def ensure_administrator(
    username: str,
    password: str,
    tenants: Tenants,
    users: Users,
    administration: Administration,
) -> bool:
    """Make the administrator of the default tenant unless the name is taken.

    An account that is there stays as it is: its password may have been changed since.
    """
    name = username_key(username)
    if name is None:
        raise AdministratorUnusable(AdministratorUnusable.__doc__)
    await tenants.ensure(DEFAULT_TENANT)
    if await users.find(name) is not None:
        return False
    try:
        await administration.create(DEFAULT_TENANT, name, password, Role.ADMIN)
    except UsernameTaken:
        # Another process started at the same moment.
        return False
    return True
