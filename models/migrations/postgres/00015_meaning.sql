-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- How it ended, what the sender calls the action, what kind of actor it was and how many of its values were
-- masked: empty and 0 where that goes without saying, so that such entries pay next to nothing for it.
-- Constant defaults rewrite nothing.
ALTER TABLE audit_entries
    ADD COLUMN outcome       text COLLATE "C" NOT NULL DEFAULT '', -- empty for 'success', or 'failure' or 'denied'
    ADD COLUMN reason        text NOT NULL DEFAULT '',
    ADD COLUMN native_action text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN actor_type    text COLLATE "C" NOT NULL DEFAULT '', -- empty for 'user', and for the actor 'system'
    ADD COLUMN masked        integer NOT NULL DEFAULT 0,
    ADD COLUMN parts         integer NOT NULL DEFAULT 0, -- how many rows of audit_related and audit_on_behalf_of it has
    -- The transaction that recorded it, for readers that follow the log in the order of commits. Entries of
    -- before come first, by their IDs.
    ADD COLUMN xact          bigint NOT NULL DEFAULT 0;
ALTER TABLE audit_entries ALTER COLUMN xact SET DEFAULT pg_current_xact_id()::text::bigint;
ALTER TABLE audit_actors ADD COLUMN actor_type text COLLATE "C" NOT NULL DEFAULT '';

-- Further resources that an entry concerned, in the order in which they were given.
CREATE TABLE audit_related (
    org_id       bigint  NOT NULL,
    entry_id     uuid    NOT NULL,
    position     integer NOT NULL, -- from 1
    entity_type  text COLLATE "C" NOT NULL,
    entity_id    text COLLATE "C" NOT NULL,
    entity_name  text    NOT NULL,
    role         text    NOT NULL, -- what it was to the event, such as 'subnet'; may be empty
    PRIMARY KEY (org_id, entry_id, position)
);
CREATE INDEX audit_related_by_entity ON audit_related (org_id, entity_type, entity_id, entry_id);

-- For whom the actor of an entry acted.
CREATE TABLE audit_on_behalf_of (
    org_id       bigint NOT NULL,
    entry_id     uuid   NOT NULL,
    actor_type   text COLLATE "C" NOT NULL, -- empty for 'user'
    actor_id     text COLLATE "C" NOT NULL,
    actor_name   text   NOT NULL,
    actor_email  text   NOT NULL,
    session      text   NOT NULL,
    PRIMARY KEY (org_id, entry_id)
);
CREATE INDEX audit_on_behalf_of_by_actor ON audit_on_behalf_of (org_id, actor_id, entry_id);

-- The distinct native actions of each month, which search looks through. No unique key but a random one, as
-- in audit_entities.
CREATE TABLE audit_native_actions (
    org_id        bigint  NOT NULL,
    id            uuid    NOT NULL DEFAULT gen_random_uuid(),
    month         integer NOT NULL,
    action        text COLLATE "C" NOT NULL,
    native_action text COLLATE "C" NOT NULL,
    native_key    text COLLATE "C" NOT NULL, -- native_action, folded
    PRIMARY KEY (org_id, id)
);
CREATE INDEX audit_native_actions_known ON audit_native_actions (org_id, month, action, native_action);

-- Parts of an entry are as unchangeable as it is, and come with it: none is added to one that is there. STABLE
-- does not see the entry that the same statement stores.
-- +goose StatementBegin
CREATE FUNCTION audit_refuse_later_part() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM audit_entries WHERE org_id = NEW.org_id AND id = NEW.entry_id) THEN
        RAISE EXCEPTION '% is append-only: its entry is there already', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_related_with_its_entry BEFORE INSERT ON audit_related
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_later_part();
CREATE TRIGGER audit_related_never_change BEFORE UPDATE ON audit_related
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_related_never_truncated BEFORE TRUNCATE ON audit_related
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
ALTER TABLE audit_related ENABLE ALWAYS TRIGGER audit_related_never_change;
ALTER TABLE audit_related ENABLE ALWAYS TRIGGER audit_related_never_truncated;
CREATE TRIGGER audit_on_behalf_of_with_its_entry BEFORE INSERT ON audit_on_behalf_of
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_later_part();
CREATE TRIGGER audit_on_behalf_of_never_change BEFORE UPDATE ON audit_on_behalf_of
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_on_behalf_of_never_truncated BEFORE TRUNCATE ON audit_on_behalf_of
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
ALTER TABLE audit_on_behalf_of ENABLE ALWAYS TRIGGER audit_on_behalf_of_never_change;
ALTER TABLE audit_on_behalf_of ENABLE ALWAYS TRIGGER audit_on_behalf_of_never_truncated;

-- The parts of entries go with them.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_delete_entries(org bigint, after uuid, through uuid, before uuid) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    deleted bigint;
BEGIN
    DELETE FROM audit_entries WHERE org_id = org AND id > after AND id <= through AND id < before;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM audit_related WHERE org_id = org AND entry_id > after AND entry_id <= through AND entry_id < before;
    DELETE FROM audit_on_behalf_of WHERE org_id = org AND entry_id > after AND entry_id <= through AND entry_id < before;
    RETURN deleted;
END
$$;
-- +goose StatementEnd

CREATE OR REPLACE VIEW audit_log AS
SELECT
    organization.slug AS organization,
    entry.id,
    to_timestamp(entry.occurred_at / 1000000.0) AS occurred_at,
    to_timestamp(entry.recorded_at / 1000000.0) AS recorded_at,
    entry.action,
    entry.entity_type,
    entry.entity_id,
    nullif(entry.entity_name, '') AS entity_name,
    entry.actor_id,
    entry.actor_name,
    nullif(entry.actor_email, '') AS actor_email,
    entry.actor_id = 'system' AS automated,
    nullif(entry.source, '') AS source,
    nullif(entry.ip, '') AS ip,
    nullif(entry.user_agent, '') AS user_agent,
    nullif(entry.request_id, '') AS request_id,
    nullif(entry.api_key_id, '') AS api_key_id,
    nullif(entry.api_key_name, '') AS api_key_name,
    nullif(entry.url, '') AS url,
    audit_jsonb(nullif(entry.metadata, '')) AS metadata,
    nullif(entry.metadata, '') AS metadata_text,
    nullif(entry.origin, '') AS origin,
    audit_jsonb(nullif(entry.original, '')) AS original,
    organization.external_id AS organization_external_id,
    organization.name AS organization_name,
    CASE entry.outcome WHEN '' THEN 'success' ELSE entry.outcome END AS outcome,
    nullif(entry.reason, '') AS reason,
    nullif(entry.native_action, '') AS native_action,
    CASE WHEN entry.actor_type <> '' THEN entry.actor_type WHEN entry.actor_id = 'system' THEN 'system' ELSE 'user' END AS actor_type,
    (SELECT jsonb_build_object('type', CASE p.actor_type WHEN '' THEN 'user' ELSE p.actor_type END, 'id', p.actor_id, 'name', p.actor_name,
            'email', nullif(p.actor_email, ''), 'session', nullif(p.session, ''))
        FROM audit_on_behalf_of AS p WHERE p.org_id = entry.org_id AND p.entry_id = entry.id) AS on_behalf_of,
    (SELECT jsonb_agg(jsonb_build_object('type', r.entity_type, 'id', r.entity_id, 'name', nullif(r.entity_name, ''), 'role', nullif(r.role, ''))
            ORDER BY r.position)
        FROM audit_related AS r WHERE r.org_id = entry.org_id AND r.entry_id = entry.id) AS related,
    entry.masked
FROM audit_organizations AS organization
JOIN audit_entries AS entry ON entry.org_id = organization.id
-- What has expired is gone, whether or not the clean-up has come by (keptSinceSQL in models/organization.go).
WHERE entry.occurred_at >= greatest(organization.expired_before, (extract(epoch FROM now()) * 1000000)::bigint - 86400000000 *
    CASE WHEN organization.pending_from <> 0 AND organization.pending_from <= (extract(epoch FROM now()) * 1000000)::bigint
        THEN organization.pending_retention_days ELSE organization.retention_days END);

-- +goose Down
DROP VIEW audit_log;
CREATE VIEW audit_log AS
SELECT
    organization.slug AS organization,
    entry.id,
    to_timestamp(entry.occurred_at / 1000000.0) AS occurred_at,
    to_timestamp(entry.recorded_at / 1000000.0) AS recorded_at,
    entry.action,
    entry.entity_type,
    entry.entity_id,
    nullif(entry.entity_name, '') AS entity_name,
    entry.actor_id,
    entry.actor_name,
    nullif(entry.actor_email, '') AS actor_email,
    entry.actor_id = 'system' AS automated,
    nullif(entry.source, '') AS source,
    nullif(entry.ip, '') AS ip,
    nullif(entry.user_agent, '') AS user_agent,
    nullif(entry.request_id, '') AS request_id,
    nullif(entry.api_key_id, '') AS api_key_id,
    nullif(entry.api_key_name, '') AS api_key_name,
    nullif(entry.url, '') AS url,
    audit_jsonb(nullif(entry.metadata, '')) AS metadata,
    nullif(entry.metadata, '') AS metadata_text,
    nullif(entry.origin, '') AS origin,
    audit_jsonb(nullif(entry.original, '')) AS original,
    organization.external_id AS organization_external_id,
    organization.name AS organization_name
FROM audit_organizations AS organization
JOIN audit_entries AS entry ON entry.org_id = organization.id
-- What has expired is gone, whether or not the clean-up has come by (keptSinceSQL in models/organization.go).
WHERE entry.occurred_at >= greatest(organization.expired_before, (extract(epoch FROM now()) * 1000000)::bigint - 86400000000 *
    CASE WHEN organization.pending_from <> 0 AND organization.pending_from <= (extract(epoch FROM now()) * 1000000)::bigint
        THEN organization.pending_retention_days ELSE organization.retention_days END);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_delete_entries(org bigint, after uuid, through uuid, before uuid) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    deleted bigint;
BEGIN
    DELETE FROM audit_entries WHERE org_id = org AND id > after AND id <= through AND id < before;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
-- +goose StatementEnd
DROP TABLE audit_native_actions, audit_on_behalf_of, audit_related;
DROP FUNCTION audit_refuse_later_part();
ALTER TABLE audit_actors DROP COLUMN actor_type;
ALTER TABLE audit_entries DROP COLUMN xact, DROP COLUMN parts, DROP COLUMN masked, DROP COLUMN actor_type, DROP COLUMN native_action, DROP COLUMN reason, DROP COLUMN outcome;
