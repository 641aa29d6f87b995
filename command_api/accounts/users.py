"""The users: found by name at login, by id within their tenant everywhere else.

Each change of role, password or state raises the session version in the same statement: with it all
access tokens issued before lose their session, and the refresh tokens are deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from command_api.accounts import tables
from command_api.accounts.errors import TenantNotFound, UsernameTaken, UserNotFound
from command_api.accounts.reach import transaction
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Principal, Role

USERS_IN_PAGE_MAX: Final = 200
FIRST_SESSION_VERSION: Final = 1
UNIQUE_USERNAME: Final = "users_username"

_users = tables.users


@dataclass(frozen=True, slots=True)
class User:
    """One account."""

    id: UUID
    tenant: str
    username: str
    role: Role
    password_hash: str = field(repr=False)
    is_disabled: bool
    session_version: int
    created_at: datetime
    updated_at: datetime

    def principal(self) -> Principal:
        """This user as a caller of the present session."""
        return Principal(self.id, self.tenant, self.role, self.session_version, self.username)

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """A row as a value."""
        fields = {name: getattr(row, name) for name in cls.__slots__}
        return cls(**{**fields, "role": Role(row.role)})


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to be different; None leaves it as it is."""

    role: Role | None = None
    password_hash: str | None = field(default=None, repr=False)
    is_disabled: bool | None = None

    def columns(self) -> dict[str, Any]:
        """The columns that change."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in named.items() if value is not None}


class Users:
    """The users in PostgreSQL."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def add(self, tenant: str, username: str, role: Role, password_hash: str) -> User:
        """Add a user; raises UsernameTaken, TenantNotFound, AccountsUnavailable."""
        now = self._clock.now()
        user = User(
            id=uuid7(),
            tenant=tenant,
            username=username,
            role=role,
            password_hash=password_hash,
            is_disabled=False,
            session_version=FIRST_SESSION_VERSION,
            created_at=now,
            updated_at=now,
        )
        values = {name: getattr(user, name) for name in User.__slots__}
        try:
            async with transaction(self._engine) as connection:
                await connection.execute(insert(_users).values(**values))
        except IntegrityError as error:
            is_taken = UNIQUE_USERNAME in str(error.orig)
            raise (UsernameTaken if is_taken else TenantNotFound)() from error
        return user

    async def find(self, username: str) -> User | None:
        """The user of this name, of whatever tenant."""
        return await self._one(_users.c.username == username)

    async def by_id(self, user_id: UUID) -> User:
        """The user of this id, of whatever tenant; raises UserNotFound, AccountsUnavailable."""
        user = await self._one(_users.c.id == user_id)
        if user is None:
            raise UserNotFound
        return user

    async def get(self, tenant: str, user_id: UUID) -> User:
        """One user of a tenant; raises UserNotFound, AccountsUnavailable."""
        user = await self._one(_users.c.id == user_id, _users.c.tenant == tenant)
        if user is None:
            raise UserNotFound
        return user

    async def page(self, tenant: str, after: str | None, limit: int) -> Sequence[User]:
        """The users of a tenant by name, those after a name."""
        statement = select(_users).where(_users.c.tenant == tenant).order_by(_users.c.username)
        if after is not None:
            statement = statement.where(_users.c.username > after)
        async with transaction(self._engine) as connection:
            rows = await connection.execute(statement.limit(min(limit, USERS_IN_PAGE_MAX)))
            return [User.from_row(row) for row in rows]

    async def change(self, tenant: str, user_id: UUID, change: UserChange) -> User:
        """Change a user and end all sessions; raises UserNotFound, AccountsUnavailable."""
        columns = change.columns()
        if not columns:
            return await self.get(tenant, user_id)
        statement = (
            update(_users)
            .where(_users.c.id == user_id, _users.c.tenant == tenant)
            .values(
                **columns,
                session_version=_users.c.session_version + 1,
                updated_at=self._clock.now(),
            )
            .returning(_users)
        )
        tokens = tables.refresh_tokens
        async with transaction(self._engine) as connection:
            row = (await connection.execute(statement)).one_or_none()
            if row is None:
                raise UserNotFound
            await connection.execute(delete(tokens).where(tokens.c.user_id == user_id))
        return User.from_row(row)

    async def renew_hash(self, user: User, password_hash: str) -> None:
        """Keep a stronger hash of the same password; no session ends."""
        statement = (
            update(_users)
            .where(_users.c.id == user.id, _users.c.password_hash == user.password_hash)
            .values(password_hash=password_hash)
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def _one(self, *conditions: ColumnElement[bool]) -> User | None:
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(_users).where(*conditions))).one_or_none()
        return None if row is None else User.from_row(row)
