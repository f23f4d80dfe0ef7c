-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- Up to which place of the log each consumer has read it: see models/following.
CREATE TABLE audit_consumers (
    name     text COLLATE "C" PRIMARY KEY,
    place    text   NOT NULL,
    read_at  bigint NOT NULL -- when nothing was left to read, or it began
);

-- What the numbers of transactions in xact are ahead of those of PostgreSQL, which begin anew in another cluster.
CREATE FUNCTION audit_transactions_before() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT 0::bigint';

-- Where the tables have come into another cluster, their numbers go on behind the highest one that there is, in an entry
-- or a place, and behind those of all nodes of Citus. Package migrate calls it, as the owner of the tables.
-- +goose StatementBegin
CREATE FUNCTION audit_continue_transactions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    here text := (SELECT system_identifier FROM pg_control_system());
    distributed boolean := NOT (SELECT atthasdef FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attname = 'xact');
    used bigint;
BEGIN
    IF here IS NOT DISTINCT FROM (SELECT value FROM audit_meta WHERE key = 'cluster') THEN
        RETURN;
    END IF;
    PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true) WHERE distributed; -- a function is made below
    LOCK TABLE audit_entries IN SHARE ROW EXCLUSIVE MODE; -- nobody records
    SELECT max(xact) INTO used FROM audit_entries;
    SELECT GREATEST(used, max(number[1]::bigint)) INTO used FROM audit_consumers, regexp_matches(place, ':([0-9]+):', 'g') AS number;
    IF used >= pg_current_xact_id()::text::bigint + audit_transactions_before() OR distributed AND used IS NOT NULL THEN
        EXECUTE format('CREATE OR REPLACE FUNCTION audit_transactions_before() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS %L',
            'SELECT ' || (((used >> 44) + 1) << 44) || '::bigint');
    END IF;
    INSERT INTO audit_meta (key, value) VALUES ('cluster', here) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;
END
$$;
-- +goose StatementEnd

-- On Citus there is a trigger instead, and no default.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attname = 'xact' AND atthasdef) THEN
        ALTER TABLE audit_entries ALTER COLUMN xact SET DEFAULT pg_current_xact_id()::text::bigint + audit_transactions_before();
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_find_entry_of_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry record;
    recording bigint := pg_current_xact_id()::text::bigint;
BEGIN
    IF TG_TABLE_NAME IN ('audit_related', 'audit_on_behalf_of') THEN
        SELECT org_id, id, xact INTO entry FROM audit_entries WHERE ctid = NEW.entry_at;
        recording := recording + audit_transactions_before();
    ELSE
        EXECUTE 'SELECT org_id, id, xact FROM ' || audit_entries_beside(TG_TABLE_SCHEMA, TG_TABLE_NAME) || ' WHERE ctid = $1'
            INTO entry USING NEW.entry_at;
        recording := recording + audit_transactions_before() + ((SELECT groupid::bigint FROM pg_dist_local_group) << 44);
    END IF;
    IF (entry.org_id, entry.id, entry.xact) IS DISTINCT FROM (NEW.org_id, NEW.entry_id, recording) THEN
        RAISE EXCEPTION '% is append-only: its entry is there already', TG_TABLE_NAME;
    END IF;
    NEW.entry_at := NULL;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- On Citus each node has numbers of its own. An entry says of which one its is, as it may be moved to another.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_set_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.xact := pg_current_xact_id()::text::bigint + audit_transactions_before() + ((SELECT groupid::bigint FROM pg_dist_local_group) << 44);
    RETURN NEW;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_find_entry_of_part() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION audit_set_transaction() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_find_entry_of_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry record;
BEGIN
    IF TG_TABLE_NAME IN ('audit_related', 'audit_on_behalf_of') THEN
        SELECT org_id, id, xact INTO entry FROM audit_entries WHERE ctid = NEW.entry_at;
    ELSE
        EXECUTE 'SELECT org_id, id, xact FROM ' || audit_entries_beside(TG_TABLE_SCHEMA, TG_TABLE_NAME) || ' WHERE ctid = $1'
            INTO entry USING NEW.entry_at;
    END IF;
    IF (entry.org_id, entry.id, entry.xact) IS DISTINCT FROM (NEW.org_id, NEW.entry_id, pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION '% is append-only: its entry is there already', TG_TABLE_NAME;
    END IF;
    NEW.entry_at := NULL;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_set_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.xact := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_set_transaction() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION audit_find_entry_of_part() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attname = 'xact' AND atthasdef) THEN
        ALTER TABLE audit_entries ALTER COLUMN xact SET DEFAULT pg_current_xact_id()::text::bigint;
    END IF;
END
$$;
-- +goose StatementEnd
DROP FUNCTION audit_continue_transactions();
DROP FUNCTION audit_transactions_before();
DELETE FROM audit_meta WHERE key = 'cluster';
DROP TABLE audit_consumers;
