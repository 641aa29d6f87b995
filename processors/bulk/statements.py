"""The SQL of the index that bulk operations work from, by name."""

from typing import Final

CHECKPOINTS: Final = """
SELECT name, position FROM work.checkpoints WHERE name = ANY($1::text[])
"""

PERSIST: Final = """
WITH moved AS (
    UPDATE work.checkpoints SET position = $3, moved_at = clock_timestamp()
     WHERE name = $1 AND position = $2 RETURNING position
), died AS (
    INSERT INTO work.dead_letters (job_id, tenant, status, code, ended_at, position)
    SELECT d.* FROM moved, unnest($4::uuid[], $5::text[], $6::text[], $7::text[],
                                  $8::timestamptz[], $9::bigint[]) AS d
        ON CONFLICT (job_id) DO UPDATE
       SET status = EXCLUDED.status, code = EXCLUDED.code, ended_at = EXCLUDED.ended_at,
           position = EXCLUDED.position
), revived AS (
    DELETE FROM work.dead_letters d USING moved WHERE d.job_id = ANY($10::uuid[])
), opened AS (
    INSERT INTO work.bulk_operations (bulk_id, position)
    SELECT o.* FROM moved, unnest($11::uuid[], $12::bigint[]) AS o
        ON CONFLICT (bulk_id) DO NOTHING
), closed AS (
    DELETE FROM work.bulk_operations b USING moved WHERE b.bulk_id = ANY($13::uuid[])
)
SELECT position FROM moved
"""

OPEN: Final = "SELECT bulk_id, position FROM work.bulk_operations ORDER BY position LIMIT $1"

UNFINISHED: Final = """
SELECT job_id FROM work.jobs
 WHERE tenant = $1 AND job_id > $2 AND ($4::text IS NULL OR queue = $4)
   AND ($5::text IS NULL OR tool = $5)
 ORDER BY job_id LIMIT $3
"""

DEAD: Final = """
SELECT job_id FROM work.dead_letters
 WHERE tenant = $1 AND job_id > $2 AND status = ANY($4::text[])
   AND ($5::text IS NULL OR code = $5) AND position < $6
 ORDER BY job_id LIMIT $3
"""

FORGET: Final = """
WITH dead AS (DELETE FROM work.dead_letters), operations AS (DELETE FROM work.bulk_operations)
UPDATE work.checkpoints SET position = 0, moved_at = clock_timestamp() WHERE name = $1
"""
"""So that the log is folded anew from its beginning."""
