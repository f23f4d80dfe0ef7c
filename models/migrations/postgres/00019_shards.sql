-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- On Citus a trigger is called for a part of its table, such as audit_related_102025, on the node where that lies, and
-- may look at nothing but what lies there: the entries of the same organizations.
-- +goose StatementBegin
CREATE FUNCTION audit_entries_beside(schema_name text, part text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    whole regclass := format('%I.audit_entries', schema_name);
    beside text;
BEGIN
    SELECT format('%I.%I', schema_name, 'audit_entries_' || entries.shardid) INTO STRICT beside
    FROM pg_dist_shard AS parts JOIN pg_dist_shard AS entries USING (shardminvalue)
    WHERE parts.shardid = substring(part FROM '[0-9]+$')::bigint AND entries.logicalrelid = whole;
    RETURN beside;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_refuse_later_part() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
DECLARE
    there boolean;
BEGIN
    IF TG_TABLE_NAME IN ('audit_related', 'audit_on_behalf_of') THEN
        there := EXISTS (SELECT 1 FROM audit_entries WHERE org_id = NEW.org_id AND id = NEW.entry_id);
    ELSE
        EXECUTE 'SELECT EXISTS (SELECT 1 FROM ' || audit_entries_beside(TG_TABLE_SCHEMA, TG_TABLE_NAME) || ' WHERE org_id = $1 AND id = $2)'
            INTO there USING NEW.org_id, NEW.entry_id;
    END IF;
    IF there THEN
        RAISE EXCEPTION '% is append-only: its entry is there already', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- VOLATILE sees what the same statement has stored.
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

-- The default of xact is computed where the statement came in. Package migrate has a trigger on Citus that sets it
-- to the transaction of the node where the entry lies.
-- +goose StatementBegin
CREATE FUNCTION audit_set_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.xact := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION audit_set_transaction();
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_find_entry_of_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry record;
BEGIN
    SELECT org_id, id, xact INTO entry FROM audit_entries WHERE ctid = NEW.entry_at;
    IF (entry.org_id, entry.id, entry.xact) IS DISTINCT FROM (NEW.org_id, NEW.entry_id, pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION '% is append-only: its entry is there already', TG_TABLE_NAME;
    END IF;
    NEW.entry_at := NULL;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_refuse_later_part() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM audit_entries WHERE org_id = NEW.org_id AND id = NEW.entry_id) THEN
        RAISE EXCEPTION '% is append-only: its entry is there already', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
DROP FUNCTION audit_entries_beside(text, text);
