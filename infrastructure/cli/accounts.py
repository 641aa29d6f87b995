"""`magictoolbox users` and `tenants`: who may come in, decided by whoever has the database.

Passwords are asked for without echo, or read from standard input; never given as an argument, which
every process on the machine could read.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from infrastructure.logging import configure_logging
from infrastructure.principals import Role
from infrastructure.settings import PostgresSettings

if TYPE_CHECKING:
    from command_api.accounts.administration import Administration
    from command_api.accounts.tenants import Tenants
    from command_api.accounts.users import User, Users

EXIT_REFUSED = 1
DEFAULT_TENANT = "default"

T = TypeVar("T")

users_app = typer.Typer(no_args_is_help=True, help="Who may come in.")
tenants_app = typer.Typer(no_args_is_help=True, help="Who is kept apart from whom.")

Username = Annotated[str, typer.Argument(help="The name that the user logs in with.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


@dataclass(frozen=True)
class _Accounts:
    tenants: "Tenants"
    users: "Users"
    administration: "Administration"

    async def named(self, username: str) -> "User":
        """The user of that name; raises UserNotFound."""
        from command_api.accounts.errors import UserNotFound
        from command_api.accounts.names import username_key

        user = await self.users.find(username_key(username) or "")
        if user is None:
            raise UserNotFound
        return user


@tenants_app.callback()
def tenants_group() -> None:
    """Who is kept apart from whom."""


@tenants_app.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
) -> None:
    """Add a tenant."""
    from command_api.accounts.names import TenantName

    checked = _checked(TenantName, name)
    _run(lambda accounts: accounts.tenants.create(checked))
    print(f"tenant {checked} created")


@users_app.command("create")
def create_user(
    username: Username,
    tenant: Annotated[str, typer.Option(help="Whose user it is.")] = DEFAULT_TENANT,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.CLIENT,
    password_stdin: FromInput = False,
) -> None:
    """Add a user; asks for the password."""
    from command_api.accounts.names import Username as UsernameType

    name, password = _checked(UsernameType, username), _password(password_stdin)
    user = _run(lambda accounts: accounts.administration.create(tenant, name, password, role))
    print(f"user {user.username} created: {user.role} of {user.tenant}, id {user.id}")


@users_app.command("disable")
def disable_user(username: Username) -> None:
    """Keep a user out; tokens stop to count within seconds."""

    async def disable(accounts: _Accounts) -> None:
        user = await accounts.named(username)
        await accounts.administration.change(user.tenant, user.id, is_disabled=True)

    _run(disable)
    print(f"user {username} disabled")


@users_app.command("password")
def change_password(username: Username, password_stdin: FromInput = False) -> None:
    """Give a user another password; asks for it."""
    password = _password(password_stdin)

    async def change(accounts: _Accounts) -> None:
        user = await accounts.named(username)
        await accounts.administration.change(user.tenant, user.id, password=password)

    _run(change)
    print(f"password of {username} changed")


@users_app.command("role")
def change_role(
    username: Username, role: Annotated[Role, typer.Argument(help="What the user may do.")]
) -> None:
    """Give a user another role."""

    async def change(accounts: _Accounts) -> None:
        user = await accounts.named(username)
        await accounts.administration.change(user.tenant, user.id, role=role)

    _run(change)
    print(f"user {username} is now {role}")


def _password(from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _checked(kind: Any, value: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    try:
        return str(TypeAdapter(kind).validate_python(value))
    except ValidationError as error:
        _refuse(f"{value}: {error.errors()[0]['msg']}")


def _run(act: Callable[[_Accounts], Awaitable[T]]) -> T:
    from command_api.accounts.errors import AccountsUnavailable
    from events.domain.errors import DomainError

    async def run() -> T:
        async with _opened(PostgresSettings()) as accounts:
            return await act(accounts)

    configure_logging("accounts", "WARNING", out=sys.stderr.buffer)
    try:
        return asyncio.run(run())
    except (DomainError, AccountsUnavailable) as refused:
        _refuse(str(refused))


def _refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    raise typer.Exit(EXIT_REFUSED)


@asynccontextmanager
async def _opened(settings: PostgresSettings) -> AsyncIterator[_Accounts]:
    from command_api.accounts.administration import Administration
    from command_api.accounts.tenants import Tenants
    from command_api.accounts.users import Users
    from infrastructure.clock import SystemClock
    from infrastructure.passwords import Passwords
    from infrastructure.postgres import Role as DatabaseRole
    from infrastructure.postgres import create_engine

    engine = create_engine(settings, DatabaseRole.COMMAND_API)
    passwords = Passwords()
    users = Users(engine, SystemClock())
    try:
        yield _Accounts(Tenants(engine, SystemClock()), users, Administration(users, passwords))
    finally:
        passwords.close()
        await engine.dispose()
