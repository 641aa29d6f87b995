"""Makes the tables of work anew from the log; the leases stay, as the log knows nothing of them.

It may be done under a living dispatcher: whichever of the two moves the checkpoint, the other goes
on from there.
"""

from typing import Final

from processors.folding import Folding, Unheard
from processors.look_up import known_jobs
from processors.tail import Tail
from processors.work import CheckpointMoved, PostgresWork

EVENTS_IN_BATCH: Final = 5_000


async def rebuild(log: Tail, work: PostgresWork) -> int:
    """Fold the whole log; returns the position reached."""
    await work.reset()
    folding = Folding(Unheard())
    position = 0
    while True:
        rows = await log.read_after(position, EVENTS_IN_BATCH)
        if not rows:
            return position
        try:
            known = await known_jobs(log, work, folding.to_look_up(rows))
            folding.fold(rows, known)
            await work.persist(folding.take_changes(), position, rows[-1].position)
            position = rows[-1].position
        except CheckpointMoved:
            folding.take_changes()
            position = (await work.standing(0, 0)).position
