"""One transaction on the accounts, with the database's absence told in one word."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from command_api.accounts.errors import AccountsUnavailable
from infrastructure.postgres import UNAVAILABLE

_AWAY: tuple[type[BaseException], ...] = (*UNAVAILABLE, PoolTimeout)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction, committed in the end; raises AccountsUnavailable where the database is away.

    What the database refuses (a unique name taken) passes through as SQLAlchemy's error.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except _AWAY as error:
        raise AccountsUnavailable(AccountsUnavailable.__doc__) from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_away(error):
            raise AccountsUnavailable(AccountsUnavailable.__doc__) from error
        raise


def _is_away(error: DBAPIError) -> bool:
    """SQLAlchemy wraps the driver's error twice; the innermost one says what happened."""
    cause: BaseException | None = error.orig
    while cause is not None:
        if isinstance(cause, UNAVAILABLE):
            return True
        cause = cause.__cause__
    return False
