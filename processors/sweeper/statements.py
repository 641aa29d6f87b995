"""The SQL of the references to blobs, by name."""

from typing import Final

BEGIN: Final = """
SELECT c.position, c.counted, c.place, h.position AS head,
       (SELECT count(*) FROM work.blob_references) AS found,
       (SELECT recorded_at FROM event_store.stored_events WHERE notification_id = 1) AS log_began
  FROM work.blob_checkpoint c, event_store.event_head h
"""

LAG: Final = """
SELECT h.position - c.position AS events
  FROM work.blob_checkpoint c, event_store.event_head h
"""

LOCK: Final = "SELECT position FROM work.blob_checkpoint FOR UPDATE"
"""Two that catch up at once do so one after the other."""

LET_GO: Final = """
DELETE FROM work.blob_references r USING unnest($1::uuid[], $2::text[]) AS g (subject_id, part)
 WHERE r.subject_id = g.subject_id AND r.part = g.part
"""

NAME: Final = """
INSERT INTO work.blob_references (subject_id, part, blob_id)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING
"""

MOVE: Final = """
UPDATE work.blob_checkpoint
   SET position = $1, counted = counted + $2, moved_at = clock_timestamp()
"""

UNREFERENCED: Final = """
SELECT wanted.id FROM unnest($1::uuid[]) AS wanted (id)
 WHERE NOT EXISTS (SELECT FROM work.blob_references r WHERE r.blob_id = wanted.id)
"""

KEEP_PLACE: Final = "UPDATE work.blob_checkpoint SET place = $1"

FORGET: Final = "DELETE FROM work.blob_references"
FROM_THE_BEGINNING: Final = "UPDATE work.blob_checkpoint SET position = 0, counted = 0"
