"""The accounts in PostgreSQL: what the tables promise whoever writes to them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from command_api.accounts import tables
from command_api.accounts.administration import Administration
from command_api.accounts.errors import (
    AccountsUnavailable,
    TenantNotFound,
    TenantTaken,
    UsernameTaken,
)
from command_api.accounts.housekeeping import AdministratorUnusable, ensure_administrator
from command_api.accounts.refresh_tokens import RefreshTokens
from command_api.accounts.tenants import Tenants
from command_api.accounts.users import User, UserChange, Users
from infrastructure import postgres
from infrastructure.clock import SystemClock
from infrastructure.passwords import Passwords
from infrastructure.principals import Principal, Role
from infrastructure.sessions import SessionEnded, Sessions, SessionsUnavailable
from infrastructure.settings import PostgresSettings

DAYS = 14


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """The time it was set to."""
        return self.time

    def monotonic(self) -> float:
        """The same, as seconds."""
        return self.time.timestamp()


@pytest.fixture
def settings(module_database_url: str) -> PostgresSettings:
    """Where the accounts of this module are."""
    return PostgresSettings(database_url=module_database_url)


@pytest.fixture
async def engine(settings: PostgresSettings) -> AsyncIterator[AsyncEngine]:
    """An engine under the command API's role."""
    engine = postgres.create_engine(settings, postgres.Role.COMMAND_API)
    yield engine
    await engine.dispose()


@pytest.fixture
def clock() -> MovableClock:
    """Noon."""
    return MovableClock()


@pytest.fixture
def users(engine: AsyncEngine, clock: MovableClock) -> Users:
    """The users."""
    return Users(engine, clock)


@pytest.fixture
def tenants(engine: AsyncEngine, clock: MovableClock) -> Tenants:
    """The tenants."""
    return Tenants(engine, clock)


@pytest.fixture
async def user(users: Users, tenants: Tenants, request: pytest.FixtureRequest) -> User:
    """A user named after the test."""
    await tenants.ensure("acme")
    name = request.node.name[:60].replace("[", "-").replace("]", "")
    return await users.add("acme", name, Role.CLIENT, "no hash")


async def test_the_tables_are_those_that_the_migrations_make(engine: AsyncEngine) -> None:
    def columns(connection: Connection) -> dict[str, dict[str, tuple[str, bool]]]:
        inspector = inspect(connection)
        return {
            table: {
                column["name"]: (column["type"].compile(connection.dialect), column["nullable"])
                for column in inspector.get_columns(table, schema="accounts")
            }
            for table in inspector.get_table_names(schema="accounts")
        }

    async with engine.connect() as connection:
        made = await connection.run_sync(columns)
        dialect = connection.dialect

    declared = {
        table.name: {
            column.name: (column.type.compile(dialect), bool(column.nullable))
            for column in table.columns
        }
        for table in tables.metadata.tables.values()
    }
    assert made == declared


@pytest.mark.parametrize("name", ["platform", "Acme", "a.b", "a*", "-a", "a--b", "a" * 64, ""])
async def test_a_tenants_name_is_safe_as_a_token_of_a_subject(tenants: Tenants, name: str) -> None:
    with pytest.raises(DBAPIError, match="check constraint"):
        await tenants.ensure(name)


async def test_a_tenant_is_made_once(tenants: Tenants) -> None:
    await tenants.create("once")

    with pytest.raises(TenantTaken):
        await tenants.create("once")
    assert await tenants.exists("once")
    assert not await tenants.exists("never")


async def test_a_user_needs_a_free_name_and_a_tenant(users: Users, user: User) -> None:
    with pytest.raises(UsernameTaken):
        await users.add("acme", user.username, Role.ADMIN, "no hash")
    with pytest.raises(TenantNotFound):
        await users.add("nowhere", "homeless", Role.ADMIN, "no hash")


async def test_the_password_hash_is_in_no_representation(user: User) -> None:
    assert "no hash" not in repr(user)


async def test_the_first_administrator_is_made_once_even_by_two_processes(
    users: Users, tenants: Tenants
) -> None:
    passwords = Passwords()
    administration = Administration(users, passwords)

    made = await asyncio.gather(
        *(
            ensure_administrator("First", "long enough", tenants, users, administration)
            for _ in range(3)
        )
    )
    again = await ensure_administrator("first", "another one", tenants, users, administration)

    passwords.close()
    assert (sorted(made), again) == ([False, False, True], False)
    first = await users.find("first")
    assert first is not None
    assert (first.tenant, first.role) == ("default", Role.ADMIN)


async def test_an_administrator_needs_a_usable_name(users: Users, tenants: Tenants) -> None:
    passwords = Passwords()

    with pytest.raises(AdministratorUnusable):
        await ensure_administrator(
            "not a name", "long enough", tenants, users, Administration(users, passwords)
        )

    passwords.close()


async def test_refresh_tokens_expire_with_the_login_however_often_they_are_used(
    engine: AsyncEngine, clock: MovableClock, user: User
) -> None:
    tokens = RefreshTokens(engine, clock, DAYS)
    token = await tokens.begin(user.id)
    clock.time += timedelta(days=DAYS - 1)
    rotated = await tokens.rotate(token)
    assert rotated is not None

    clock.time += timedelta(days=1)

    assert await tokens.rotate(rotated.token) is None


async def test_expired_refresh_tokens_are_swept_and_no_others(
    engine: AsyncEngine, clock: MovableClock, user: User
) -> None:
    tokens = RefreshTokens(engine, clock, DAYS)
    await tokens.sweep()
    old = await tokens.begin(user.id)
    clock.time += timedelta(days=DAYS, seconds=1)
    new = await tokens.begin(user.id)

    assert await tokens.sweep() == 1

    assert await tokens.rotate(old) is None
    assert await tokens.rotate(new) is not None


async def test_no_refresh_token_is_stored_in_the_clear(
    engine: AsyncEngine, clock: MovableClock, user: User
) -> None:
    token = await RefreshTokens(engine, clock, DAYS).begin(user.id)

    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT * FROM accounts.refresh_tokens"))
        stored = repr(rows.all())

    assert token not in stored


async def test_the_query_api_sees_sessions_and_neither_names_nor_passwords(
    settings: PostgresSettings, user: User
) -> None:
    engine = postgres.create_engine(settings, postgres.Role.QUERY_API)
    statement = text("SELECT * FROM accounts.sessions WHERE user_id = :user_id")
    async with engine.connect() as connection:
        row = (await connection.execute(statement, {"user_id": user.id})).one()
    assert tuple(row) == (user.id, 1)

    for table in ("users", "refresh_tokens", "tenants"):
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match="permission denied"):
                await connection.execute(text(f"SELECT * FROM accounts.{table}"))
    await engine.dispose()


async def test_a_session_is_asked_for_once_while_the_answer_is_fresh(
    settings: PostgresSettings, users: Users, user: User
) -> None:
    pool = await postgres.create_pool(settings, postgres.Role.COMMAND_API)
    seconds = 0.0
    sessions = Sessions(pool, now=lambda: seconds)
    principal = user.principal()
    await asyncio.gather(*(sessions.check(principal) for _ in range(10)))
    await users.change("acme", user.id, UserChange(is_disabled=True))
    await sessions.check(principal)

    seconds = 3.5

    with pytest.raises(SessionEnded):
        await sessions.check(principal)
    await sessions.close()
    await pool.close()


async def test_an_older_or_invented_session_has_ended(
    settings: PostgresSettings, user: User
) -> None:
    pool = await postgres.create_pool(settings, postgres.Role.COMMAND_API)
    sessions = Sessions(pool)

    for version in (0, 2):
        with pytest.raises(SessionEnded):
            await sessions.check(Principal(user.id, "acme", Role.CLIENT, version))

    await pool.close()


async def test_a_database_that_is_away_is_told_in_one_word() -> None:
    nowhere = PostgresSettings(
        database_url="postgresql://127.0.0.1:1/none",
    )
    engine = postgres.create_engine(nowhere, postgres.Role.COMMAND_API)
    pool = await postgres.create_pool(nowhere, postgres.Role.COMMAND_API)

    with pytest.raises(AccountsUnavailable):
        await Users(engine, SystemClock()).find("anybody")
    with pytest.raises(SessionsUnavailable):
        await Sessions(pool).check(Principal(uuid4(), "acme", Role.CLIENT, 1))

    await pool.close()
    await engine.dispose()
