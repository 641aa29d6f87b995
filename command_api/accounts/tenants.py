"""The tenants: who is kept apart from whom."""

from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from command_api.accounts import tables
from command_api.accounts.errors import TenantTaken
from command_api.accounts.reach import transaction
from infrastructure.clock import Clock


class Tenants:
    """The tenants in PostgreSQL."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def create(self, name: str) -> None:
        """Add a tenant; raises TenantTaken, AccountsUnavailable."""
        statement = insert(tables.tenants).values(name=name, created_at=self._clock.now())
        try:
            async with transaction(self._engine) as connection:
                await connection.execute(statement)
        except IntegrityError as error:
            raise TenantTaken from error

    async def ensure(self, name: str) -> None:
        """Add a tenant unless it is there."""
        statement = (
            postgresql.insert(tables.tenants)
            .values(name=name, created_at=self._clock.now())
            .on_conflict_do_nothing()
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def exists(self, name: str) -> bool:
        """Whether there is a tenant of this name."""
        statement = select(tables.tenants.c.name).where(tables.tenants.c.name == name)
        async with transaction(self._engine) as connection:
            return await connection.scalar(statement) is not None
