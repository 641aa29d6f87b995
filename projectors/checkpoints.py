"""The checkpoints of a group: where it stands, moved by compare-and-set with the rows.

A projector that does not find the checkpoint where it left it is not the owner any more and must
not write; so two projectors can never both apply an event, whatever else goes wrong.
"""

from dataclasses import dataclass
from typing import Final

from infrastructure.postgres import Connection
from projectors.group import Group
from projectors.statements import Write

_READ: Final = """
SELECT g.generation, g.fingerprint, array_agg(c.name ORDER BY c.name) AS names,
       min(c.position) AS lowest, max(c.position) AS highest
  FROM read_models.generations g
  LEFT JOIN read_models.checkpoints c
    ON c.name = ANY($2::text[]) AND c.shard = 0 AND c.generation = g.generation
 WHERE g.projection_group = $1 AND g.state = 'live'
 GROUP BY g.generation, g.fingerprint
"""
_MOVE: Final = """
UPDATE read_models.checkpoints SET position = $4, updated_at = clock_timestamp()
 WHERE name = ANY($1::text[]) AND shard = 0 AND generation = $2 AND position = $3
"""
"""Its parameters are the first of a batch's statement."""
_LOCK: Final = """
SELECT position FROM read_models.checkpoints
 WHERE name = ANY($1::text[]) AND shard = 0 ORDER BY name FOR UPDATE
"""
_REPLACE: Final = """
INSERT INTO read_models.checkpoints (name, shard, generation, position)
SELECT name, 0, $2, $3 FROM unnest($1::text[]) AS name
    ON CONFLICT (name, shard) DO UPDATE
       SET generation = excluded.generation, position = excluded.position,
           updated_at = clock_timestamp()
"""


class NotTheOwner(Exception):
    """Somebody else moved the checkpoints; what was folded here must not be written."""


class Damaged(Exception):
    """The read models are not whole; only a rebuild can mend them."""


class MadeByNewerProjections(Exception):
    """The live generation was made by a newer version of the software; this one must not write."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Which tables a group writes, and up to where they are complete."""

    generation: int
    position: int


async def read_standing(connection: Connection, group: Group) -> Standing:
    """Where the live generation stands.

    Raises Damaged if it is not whole or is of older projections, and MadeByNewerProjections.
    """
    row = await connection.fetchrow(_READ, group.name, group.names)
    if row is None:
        raise Damaged("no generation is live")
    if row["fingerprint"] != group.fingerprint:
        if _is_newer(row["fingerprint"], group.fingerprint):
            raise MadeByNewerProjections(MadeByNewerProjections.__doc__)
        raise Damaged("the live generation was made by older projections")
    if row["names"] != sorted(group.names) or row["lowest"] != row["highest"]:
        raise Damaged("checkpoints are missing or apart")
    return Standing(row["generation"], row["lowest"])


def moving(group: Group, standing: Standing, to: int) -> Write:
    """Moves all checkpoints of the live generation, in the statement of the rows."""
    arguments = (group.names, standing.generation, standing.position, to)
    return Write(lambda first: _MOVE, arguments, len(group.names))


async def lock(connection: Connection, group: Group) -> int:
    """Keep every projector from committing until this transaction ends; returns the position."""
    rows = await connection.fetch(_LOCK, group.names)
    return max((row["position"] for row in rows), default=0)


async def replace(connection: Connection, group: Group, standing: Standing) -> None:
    """Point the group at other tables; whoever wrote the old ones stops at the next `move`."""
    await connection.execute(_REPLACE, group.names, standing.generation, standing.position)


def _is_newer(theirs: str, ours: str) -> bool:
    """Whether a fingerprint has a projection, or a version of one, that the other lacks."""
    versions = dict(one.split("=") for one in ours.split(","))
    return any(
        int(version) > int(versions.get(name, -1))
        for name, version in (one.split("=") for one in theirs.split(",") if one)
    )
