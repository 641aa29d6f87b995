"""Finds which tools there are: the first facts of all tools, by an index over these alone.

The log is read by position or by aggregate; this is the one question that needs neither. A partial
index holds one small entry for each tool ever introduced, so the answer costs the same however long
the log has grown, and needs no aggregate that every worker would have to write to.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from events.contracts.tool import ToolIntroduced
from infrastructure.postgres import Pool

TOOLS_MAX: Final = 1_000

# The topic is spelled out, not bound: only then can the planner use the partial index.
FIND_INTRODUCED: Final = f"""
SELECT originator_id FROM event_store.stored_events
 WHERE topic = '{ToolIntroduced.TOPIC}' ORDER BY notification_id LIMIT $1
"""


async def introduced_tools(pool: Pool) -> Sequence[UUID]:
    """The ids of the first `TOOLS_MAX` tools, oldest first; raises what asyncpg raises."""
    rows = await pool.fetch(FIND_INTRODUCED, TOOLS_MAX)
    return [UUID(int=row["originator_id"].int) for row in rows]
