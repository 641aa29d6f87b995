"""The SQL of the log: every statement that touches it, by name.

In the append every insert selects from the updated head row, so that its lock is always taken
first; any other order can deadlock two appenders.
"""

from typing import Final

APPEND: Final = """
WITH head AS (
    UPDATE event_store.event_head
       SET position = position + $1,
           recorded_at = greatest(recorded_at, clock_timestamp())
     WHERE log_id = 1
 RETURNING position - $1 AS base, recorded_at
), new_events AS (
    INSERT INTO event_store.stored_events
           (originator_id, originator_version, topic, state, notification_id, recorded_at, tenant)
    SELECT e.originator_id, e.version, e.topic, e.state, head.base + e.number,
           head.recorded_at, e.tenant
      FROM head, unnest($2::uuid[], $3::bigint[], $4::text[], $5::bytea[], $6::text[])
           WITH ORDINALITY AS e (originator_id, version, topic, state, tenant, number)
), new_commands AS (
    INSERT INTO event_store.commands
           (command_id, tenant, fingerprint, originator_id, position, recorded_at)
    SELECT c.id, c.tenant, c.fingerprint, c.originator_id, head.base + c.position_in_batch,
           head.recorded_at
      FROM head, unnest($7::uuid[], $8::text[], $9::bytea[], $10::uuid[], $11::bigint[])
           AS c (id, tenant, fingerprint, originator_id, position_in_batch)
), new_keys AS (
    INSERT INTO keys.subject_keys (subject_id, tenant, owner, wrapped, wrapping_version)
    SELECT k.*
      FROM head, unnest($12::uuid[], $13::text[], $14::text[], $15::bytea[], $16::int[]) AS k
)
SELECT base FROM head
"""
"""Records a whole batch, or raises a unique violation and records nothing. Returns the old head."""

APPEND_ONE_BY_ONE: Final = """
SELECT append, first_position FROM event_store.append_one_by_one(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
"""
"""Records those appends of a batch that clash with nothing; returns each one's number, from 1."""

FIND_EVENTS: Final = """
SELECT e.notification_id, e.state
  FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS wanted (id, version, number)
  JOIN event_store.stored_events e
    ON e.originator_id = wanted.id AND e.originator_version = wanted.version
 ORDER BY wanted.number
"""

FIND_COMMANDS: Final = """
SELECT command_id, fingerprint, originator_id, position
  FROM event_store.commands WHERE command_id = ANY($1::uuid[])
"""

_ROW: Final = (
    "notification_id, originator_id, originator_version, topic, state, tenant, recorded_at"
)

READ_AFTER: Final = f"""
SELECT {_ROW} FROM event_store.stored_events
 WHERE notification_id > $1 ORDER BY notification_id LIMIT $2
"""

READ_WINDOW: Final = f"""
SELECT {_ROW} FROM event_store.stored_events
 WHERE notification_id > $1 AND notification_id <= $2 AND topic = ANY($3::text[])
 ORDER BY notification_id LIMIT $4
"""
"""A window of the log, and of it only what somebody is made of."""

READ_STREAM: Final = f"""
SELECT {_ROW} FROM event_store.stored_events
 WHERE originator_id = $1 AND originator_version > $2 AND originator_version <= $3
 ORDER BY originator_version LIMIT $4
"""

READ_STREAMS: Final = f"""
SELECT {_ROW} FROM event_store.stored_events
 WHERE originator_id = ANY($1::uuid[]) ORDER BY originator_id, originator_version
"""

READ_HEAD: Final = "SELECT position FROM event_store.event_head WHERE log_id = 1"

FIND_FIRST: Final = f"""
SELECT {_ROW} FROM event_store.stored_events
 WHERE originator_id = $1 AND originator_version = 1
"""

READ_KEYS: Final = """
SELECT subject_id, wrapped FROM keys.subject_keys WHERE subject_id = ANY($1::uuid[])
"""
