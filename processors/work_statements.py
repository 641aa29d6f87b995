"""The SQL of the tables of work, by name.

Everything that a batch of events changes is one statement: it happens if the checkpoint stands
where the batch began, and not at all if somebody else has moved it.
"""

from typing import Final

_JOB: Final = (
    "job_id, tenant, queue, priority, tool, timeout_seconds, state, version, position,"
    " place, since, due_at, lease, worker, queue_seconds_max, limit_key"
)
_LANE: Final = "queue, priority, tenant, tool, limit_key"

MOVE: Final = """
UPDATE work.checkpoints SET position = $3, moved_at = clock_timestamp()
 WHERE name = $1 AND position = $2 RETURNING position
"""
"""Moves the checkpoint over events that changed nothing."""

PERSIST: Final = f"""
WITH moved AS (
    UPDATE work.checkpoints SET position = $3, moved_at = clock_timestamp()
     WHERE name = $1 AND position = $2 RETURNING position
), entered AS (
    INSERT INTO work.jobs ({_JOB})
    SELECT e.job_id, e.tenant, e.queue, e.priority, e.tool, e.timeout_seconds, e.state, e.version,
           e.position, e.place, e.since, e.due_at, e.lease, e.worker,
           e.queue_seconds_max, e.limit_key
      FROM moved, unnest(
           $4::uuid[], $5::text[], $6::text[], $7::int[], $8::text[], $9::float8[], $10::text[],
           $11::bigint[], $12::bigint[], $13::bigint[], $14::timestamptz[], $15::timestamptz[],
           $16::int[], $17::text[], $39::float8[], $40::text[])
           AS e ({_JOB})
        ON CONFLICT (job_id) DO UPDATE
       SET state = EXCLUDED.state, version = EXCLUDED.version, position = EXCLUDED.position,
           place = EXCLUDED.place, since = EXCLUDED.since, due_at = EXCLUDED.due_at,
           lease = EXCLUDED.lease, worker = EXCLUDED.worker, priority = EXCLUDED.priority
), stepped AS (
    UPDATE work.jobs j
       SET state = s.state, version = s.version, position = s.position, since = s.since,
           place = coalesce(s.place, j.place), due_at = s.due_at,
           lease = coalesce(s.lease, j.lease), worker = s.worker,
           priority = coalesce(s.priority, j.priority)
      FROM moved, unnest(
           $18::uuid[], $19::text[], $20::bigint[], $21::bigint[], $22::timestamptz[],
           $23::bigint[], $24::timestamptz[], $25::int[], $26::text[], $41::int[])
           AS s (job_id, state, version, position, since, place, due_at, lease, worker, priority)
     WHERE j.job_id = s.job_id
), ended AS (
    DELETE FROM work.jobs j USING moved WHERE j.job_id = ANY($27::uuid[])
), results AS (
    INSERT INTO work.results (job_id, expires_at)
    SELECT r.* FROM moved, unnest($28::uuid[], $29::timestamptz[]) AS r
        ON CONFLICT (job_id) DO UPDATE SET expires_at = EXCLUDED.expires_at
), results_gone AS (
    DELETE FROM work.results r USING moved WHERE r.job_id = ANY($30::uuid[])
), uploads AS (
    INSERT INTO work.uploads (upload_id, expires_at)
    SELECT u.* FROM moved, unnest($31::uuid[], $32::timestamptz[]) AS u
        ON CONFLICT (upload_id) DO UPDATE SET expires_at = EXCLUDED.expires_at
), uploads_gone AS (
    DELETE FROM work.uploads u USING moved WHERE u.upload_id = ANY($33::uuid[])
), timers AS (
    INSERT INTO work.timers (timer, subject_id, at)
    SELECT t.* FROM moved, unnest($34::text[], $35::uuid[], $36::timestamptz[]) AS t
        ON CONFLICT (timer, subject_id) DO UPDATE SET at = EXCLUDED.at
), timers_gone AS (
    DELETE FROM work.timers t USING moved, (
           SELECT 'wait', job_id FROM unnest($27::uuid[]) AS e (job_id)
           UNION SELECT 'wait', job_id FROM unnest($18::uuid[], $19::text[]) AS s (job_id, state)
                  WHERE state = 'running'
           UNION SELECT * FROM unnest($37::text[], $38::uuid[])) AS g (timer, subject_id)
     WHERE t.timer = g.timer AND t.subject_id = g.subject_id
), secrets_gone AS (
    DELETE FROM keys.subject_keys k USING moved WHERE k.subject_id = ANY($42::uuid[])
)
SELECT position FROM moved
"""

CHECKPOINT: Final = "SELECT position FROM work.checkpoints WHERE name = $1"

FIND: Final = f"SELECT {_JOB} FROM work.jobs WHERE job_id = ANY($1::uuid[])"

LANES: Final = f"""
SELECT {_LANE}, count(*) AS depth
  FROM work.jobs WHERE state = 'queued' GROUP BY {_LANE} ORDER BY min(place) LIMIT $1
"""
"""Every lane in which something waits, the one that waits longest first."""

_OF_LANE: Final = """
SELECT job_id, version, place, since FROM work.jobs j
 WHERE j.queue = w.queue AND j.priority = w.priority AND j.tenant = w.tenant
   AND j.tool = w.tool AND j.limit_key = w.limit_key AND j.state = 'queued' AND j.place > w.reach
 ORDER BY j.place LIMIT $7
"""

BEYOND: Final = f"""
SELECT w.number, f.*
  FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bigint[])
       WITH ORDINALITY AS w ({_LANE}, reach, number)
 CROSS JOIN LATERAL ({_OF_LANE}) f
"""
"""The first ones of each lane beyond a place, in one round trip however many lanes there are."""

RUNNING: Final = f"SELECT job_id, {_LANE} FROM work.jobs WHERE state = 'running'"

LIMITS: Final = "SELECT tenant, scope, subject, concurrency, rate, per_seconds FROM work.limits"

PAUSED: Final = "SELECT tenant, queue FROM work.paused_queues"

STEER: Final = """
WITH limits_set AS (
    INSERT INTO work.limits (limit_id, tenant, scope, subject, concurrency, rate, per_seconds)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                         $6::bigint[], $7::float8[])
        ON CONFLICT (limit_id) DO UPDATE
       SET concurrency = EXCLUDED.concurrency, rate = EXCLUDED.rate,
           per_seconds = EXCLUDED.per_seconds
), limits_gone AS (
    DELETE FROM work.limits WHERE limit_id = ANY($8::uuid[])
), paused AS (
    INSERT INTO work.paused_queues (queue_id, tenant, queue)
    SELECT * FROM unnest($9::uuid[], $10::text[], $11::text[]) ON CONFLICT DO NOTHING
)
DELETE FROM work.paused_queues WHERE queue_id = ANY($12::uuid[])
"""
"""Writes what changed of limits and pauses, which is seldom anything."""

RESET: Final = """
WITH jobs AS (DELETE FROM work.jobs), results AS (DELETE FROM work.results),
     uploads AS (DELETE FROM work.uploads), timers AS (DELETE FROM work.timers),
     limits AS (DELETE FROM work.limits), paused_queues AS (DELETE FROM work.paused_queues)
UPDATE work.checkpoints SET position = 0, moved_at = clock_timestamp() WHERE name = $1
"""
"""Forgets everything but the leases, so that the log is folded anew from its beginning."""

SWEEP: Final = """
(SELECT 'due' AS what, job_id AS id, NULL::int AS lease, NULL::bigint AS beats,
        NULL::float8 AS seconds
   FROM work.jobs WHERE state = 'due' AND due_at <= clock_timestamp()
  ORDER BY due_at LIMIT $1)
UNION ALL
(SELECT 'running', j.job_id, j.lease, l.beats, NULL
   FROM work.jobs j LEFT JOIN work.leases l ON l.job_id = j.job_id AND l.lease = j.lease
  WHERE j.state = 'running' ORDER BY j.position LIMIT $2)
UNION ALL
(SELECT 'result', job_id, NULL, NULL, NULL
   FROM work.results WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1)
UNION ALL
(SELECT 'upload', upload_id, NULL, NULL, NULL
   FROM work.uploads WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1)
UNION ALL
(SELECT timer, subject_id, NULL, NULL, NULL
   FROM work.timers WHERE timer = 'wait' AND at <= clock_timestamp() ORDER BY at LIMIT $1)
UNION ALL
(SELECT timer, subject_id, NULL, NULL, NULL
   FROM work.timers WHERE timer = 'schedule' AND at <= clock_timestamp() ORDER BY at LIMIT $1)
UNION ALL
(SELECT 'next', NULL, NULL, NULL, extract(epoch FROM least(
        (SELECT min(due_at) FROM work.jobs WHERE state = 'due' AND due_at > clock_timestamp()),
        (SELECT min(at) FROM work.timers WHERE timer = 'wait' AND at > clock_timestamp()),
        (SELECT min(at) FROM work.timers WHERE timer = 'schedule' AND at > clock_timestamp())
        ) - clock_timestamp()))
"""
"""Everything the clock looks at, in one round trip; `next` tells when there is more to do."""

BEAT: Final = """
WITH held AS (
    SELECT * FROM unnest($2::uuid[], $3::int[], $4::bigint[]) AS h (job_id, lease, version)
), beaten AS (
    INSERT INTO work.leases AS l (job_id, lease, worker, beats, beat_at)
    SELECT job_id, lease, $1, 1, clock_timestamp() FROM held ORDER BY job_id
        ON CONFLICT (job_id) DO UPDATE
       SET lease = EXCLUDED.lease, worker = EXCLUDED.worker, beats = l.beats + 1,
           beat_at = EXCLUDED.beat_at
     WHERE l.lease <= EXCLUDED.lease
), ended AS (
    DELETE FROM work.leases WHERE job_id = ANY($5::uuid[]) AND worker = $1
)
SELECT h.job_id FROM held h
 WHERE EXISTS (SELECT FROM event_store.stored_events e
                WHERE e.originator_id = h.job_id AND e.originator_version > h.version)
"""
"""One beat of all leases of a worker; returns the jobs to which something has happened since."""

SWEEP_LEASES: Final = """
DELETE FROM work.leases l
 WHERE l.beat_at < clock_timestamp() - $1::interval
   AND NOT EXISTS (SELECT FROM work.jobs j
                    WHERE j.job_id = l.job_id AND j.state = 'running' AND j.lease = l.lease)
"""
"""Removes what workers that died left behind."""

KEEP_LOG: Final = """
INSERT INTO work.attempt_logs (job_id, lease, text, is_cut, written_at, expires_at)
VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp() + $5::interval)
    ON CONFLICT DO NOTHING
"""

SWEEP_LOGS: Final = """
DELETE FROM work.attempt_logs WHERE (job_id, lease) IN (
    SELECT job_id, lease FROM work.attempt_logs WHERE expires_at <= clock_timestamp()
     ORDER BY expires_at LIMIT $1)
"""

SAY_WORKER: Final = """
INSERT INTO work.workers AS w (worker, host, process, version, isolation, is_draining, sandboxes,
                               sandboxes_busy, inline_slots, inline_busy, started_at, seen_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp(), clock_timestamp())
    ON CONFLICT (worker) DO UPDATE
   SET isolation = EXCLUDED.isolation, is_draining = EXCLUDED.is_draining,
       sandboxes_busy = EXCLUDED.sandboxes_busy, inline_busy = EXCLUDED.inline_busy,
       seen_at = EXCLUDED.seen_at
"""

FORGET_WORKER: Final = "DELETE FROM work.workers WHERE worker = $1"

SWEEP_WORKERS: Final = """
DELETE FROM work.workers WHERE seen_at < clock_timestamp() - interval '1 hour'
"""
