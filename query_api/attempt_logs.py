"""Reads what attempts wrote, from where the processors keep it: by key, never by search."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from infrastructure.postgres import Pool
from query_api.history import patiently

_COLUMNS: Final = "lease, text, is_cut, written_at, expires_at"
_FIND: Final = f"""
SELECT {_COLUMNS} FROM work.attempt_logs
 WHERE job_id = $1 AND lease = $2 AND expires_at > clock_timestamp()
"""
_LATEST: Final = f"""
SELECT {_COLUMNS} FROM work.attempt_logs
 WHERE job_id = $1 AND expires_at > clock_timestamp() ORDER BY lease DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class KeptLog:
    """What one attempt wrote; still sealed."""

    lease: int
    text: str
    is_cut: bool
    written_at: datetime
    expires_at: datetime


class AttemptLogs:
    """The logs of attempts; raises Unavailable where the database cannot answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, job_id: UUID, lease: int) -> KeptLog | None:
        """What the attempt under this lease wrote; None if nothing, or if it has expired."""
        return _log(await patiently(lambda: self._pool.fetchrow(_FIND, job_id, lease)))

    async def latest(self, job_id: UUID) -> KeptLog | None:
        """What the latest attempt wrote that wrote anything."""
        return _log(await patiently(lambda: self._pool.fetchrow(_LATEST, job_id)))


def _log(row: asyncpg.Record | None) -> KeptLog | None:
    return None if row is None else KeptLog(*row)
