"""The log: stored events, the head row, recorded commands, and the keys that seal."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_02_pre_event_store"
down_revision = "20261123_01_pre_roles"

TABLES = """
CREATE SCHEMA event_store;

CREATE TABLE event_store.event_head (
    log_id      int PRIMARY KEY,
    position    bigint NOT NULL,
    recorded_at timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
INSERT INTO event_store.event_head VALUES (1, 0, '-infinity');

-- The first five columns are the stock library's. The position has no default on purpose: a stock
-- writer fails instead of colliding with our counter.
CREATE TABLE event_store.stored_events (
    originator_id      uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic              text NOT NULL,
    state              bytea NOT NULL,
    notification_id    bigint NOT NULL,
    recorded_at        timestamptz NOT NULL,
    tenant             text NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX stored_events_position ON event_store.stored_events (notification_id);
ALTER TABLE event_store.stored_events
    SET (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE event_store.commands (
    command_id    uuid PRIMARY KEY,
    tenant        text NOT NULL,
    fingerprint   bytea NOT NULL,
    originator_id uuid NOT NULL,
    position      bigint NOT NULL,
    recorded_at   timestamptz NOT NULL
);

CREATE SCHEMA keys;
CREATE TABLE keys.subject_keys (
    subject_id       uuid PRIMARY KEY,
    tenant           text NOT NULL,
    owner            text NOT NULL,
    wrapped          bytea NOT NULL,
    wrapping_version int NOT NULL
);
CREATE INDEX subject_keys_owner ON keys.subject_keys (tenant, owner);
"""

WALLS = """
CREATE FUNCTION event_store.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: the log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_store.stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_store.commands
    FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse();
CREATE TRIGGER stays BEFORE DELETE OR TRUNCATE ON event_store.event_head
    FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse();

CREATE FUNCTION event_store.only_upwards() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.position < OLD.position OR NEW.log_id <> OLD.log_id THEN
        RAISE EXCEPTION 'the head of the log moves upwards only'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_upwards BEFORE UPDATE ON event_store.event_head
    FOR EACH ROW EXECUTE FUNCTION event_store.only_upwards();
"""

# A sub-transaction for each append: what clashes with history, or with an append before it in
# the batch, is rolled back alone. The head moves once, by what was really recorded.
ONE_BY_ONE = """
CREATE FUNCTION event_store.append_one_by_one(
    total bigint,
    e_ids uuid[], e_versions bigint[], e_topics text[], e_states bytea[], e_tenants text[],
    c_ids uuid[], c_tenants text[], c_fingerprints bytea[], c_originators uuid[],
    c_positions bigint[],
    k_subjects uuid[], k_tenants text[], k_owners text[], k_wrapped bytea[], k_versions int[],
    e_counts int[], c_counts int[], k_counts int[]
) RETURNS TABLE (append int, first_position bigint) LANGUAGE plpgsql AS $$
DECLARE
    head bigint;
    now_recorded timestamptz;
    e int := 0;
    c int := 0;
    k int := 0;
BEGIN
    UPDATE event_store.event_head h
       SET recorded_at = greatest(h.recorded_at, clock_timestamp())
     WHERE log_id = 1 RETURNING h.position, h.recorded_at INTO head, now_recorded;
    FOR n IN 1 .. array_length(e_counts, 1) LOOP
        BEGIN
            INSERT INTO event_store.stored_events
                   (originator_id, originator_version, topic, state, notification_id,
                    recorded_at, tenant)
            SELECT e_ids[i], e_versions[i], e_topics[i], e_states[i], head + i - e,
                   now_recorded, e_tenants[i]
              FROM generate_series(e + 1, e + e_counts[n]) AS i;
            INSERT INTO event_store.commands
                   (command_id, tenant, fingerprint, originator_id, position, recorded_at)
            SELECT c_ids[i], c_tenants[i], c_fingerprints[i], c_originators[i],
                   head + e_counts[n], now_recorded
              FROM generate_series(c + 1, c + c_counts[n]) AS i;
            INSERT INTO keys.subject_keys (subject_id, tenant, owner, wrapped, wrapping_version)
            SELECT k_subjects[i], k_tenants[i], k_owners[i], k_wrapped[i], k_versions[i]
              FROM generate_series(k + 1, k + k_counts[n]) AS i;
            append := n;
            first_position := head + 1;
            head := head + e_counts[n];
            RETURN NEXT;
        EXCEPTION WHEN unique_violation THEN
            NULL; -- it belongs to this append alone; the caller asks why
        END;
        e := e + e_counts[n];
        c := c + c_counts[n];
        k := k + k_counts[n];
    END LOOP;
    UPDATE event_store.event_head SET position = head WHERE log_id = 1;
END $$;
"""

GRANTS = """
GRANT USAGE ON SCHEMA event_store TO
    mt_command_api, mt_query_api, mt_relay, mt_processors, mt_projectors, mt_auditor;
GRANT SELECT ON event_store.stored_events, event_store.event_head TO
    mt_command_api, mt_query_api, mt_relay, mt_processors, mt_projectors, mt_auditor;
GRANT INSERT ON event_store.stored_events TO mt_command_api, mt_processors;
GRANT UPDATE ON event_store.event_head TO mt_command_api, mt_processors;
GRANT SELECT, INSERT ON event_store.commands TO mt_command_api, mt_processors;
GRANT USAGE ON SCHEMA keys TO mt_command_api, mt_query_api, mt_processors;
GRANT SELECT ON keys.subject_keys TO mt_command_api, mt_query_api, mt_processors;
GRANT INSERT ON keys.subject_keys TO mt_command_api, mt_processors;
"""


def upgrade() -> None:
    for script in (TABLES, WALLS, ONE_BY_ONE, GRANTS):
        execute_script(op, script)


def downgrade() -> None:
    raise RuntimeError("the log is never taken back; restore a backup instead")
