-- +goose Up

-- How it ended, what the sender calls the action, what kind of actor it was and how many of its values were
-- masked: empty and 0 where that goes without saying.
ALTER TABLE audit_entries ADD COLUMN outcome text NOT NULL DEFAULT ''; -- empty for 'success', or 'failure' or 'denied'
ALTER TABLE audit_entries ADD COLUMN reason text NOT NULL DEFAULT '';
ALTER TABLE audit_entries ADD COLUMN native_action text NOT NULL DEFAULT '';
ALTER TABLE audit_entries ADD COLUMN actor_type text NOT NULL DEFAULT ''; -- empty for 'user', and for the actor 'system'
ALTER TABLE audit_entries ADD COLUMN masked integer NOT NULL DEFAULT 0;
ALTER TABLE audit_entries ADD COLUMN parts integer NOT NULL DEFAULT 0; -- how many rows of audit_related and audit_on_behalf_of it has
ALTER TABLE audit_actors ADD COLUMN actor_type text NOT NULL DEFAULT '';

-- Further resources that an entry concerned, in the order in which they were given.
CREATE TABLE audit_related (
    org_id       integer NOT NULL,
    entry_id     blob    NOT NULL,
    position     integer NOT NULL, -- from 1
    entity_type  text    NOT NULL,
    entity_id    text    NOT NULL,
    entity_name  text    NOT NULL,
    role         text    NOT NULL, -- what it was to the event, such as 'subnet'; may be empty
    PRIMARY KEY (org_id, entry_id, position)
) WITHOUT ROWID;
CREATE INDEX audit_related_by_entity ON audit_related (org_id, entity_type, entity_id, entry_id);

-- For whom the actor of an entry acted.
CREATE TABLE audit_on_behalf_of (
    org_id       integer NOT NULL,
    entry_id     blob    NOT NULL,
    actor_type   text    NOT NULL, -- empty for 'user'
    actor_id     text    NOT NULL,
    actor_name   text    NOT NULL,
    actor_email  text    NOT NULL,
    session      text    NOT NULL,
    PRIMARY KEY (org_id, entry_id)
) WITHOUT ROWID;
CREATE INDEX audit_on_behalf_of_by_actor ON audit_on_behalf_of (org_id, actor_id, entry_id);

-- The distinct native actions of each month, which search looks through.
CREATE TABLE audit_native_actions (
    org_id        integer NOT NULL,
    id            integer PRIMARY KEY,
    month         integer NOT NULL,
    action        text    NOT NULL,
    native_action text    NOT NULL,
    native_key    text    NOT NULL, -- native_action, folded
    UNIQUE (org_id, month, action, native_action)
);

-- Parts of an entry are as unchangeable as it is. They are stored before it: what comes later, by REPLACE or
-- otherwise, is left out, as an entry is whose ID is taken.
-- +goose StatementBegin
CREATE TRIGGER audit_related_with_its_entry BEFORE INSERT ON audit_related
WHEN EXISTS (SELECT 1 FROM audit_entries WHERE org_id = new.org_id AND id = new.entry_id) BEGIN
    SELECT RAISE(IGNORE);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_related_never_change BEFORE UPDATE ON audit_related BEGIN
    SELECT RAISE(ABORT, 'audit_related is append-only: update refused');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_on_behalf_of_with_its_entry BEFORE INSERT ON audit_on_behalf_of
WHEN EXISTS (SELECT 1 FROM audit_entries WHERE org_id = new.org_id AND id = new.entry_id) BEGIN
    SELECT RAISE(IGNORE);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_on_behalf_of_never_change BEFORE UPDATE ON audit_on_behalf_of BEGIN
    SELECT RAISE(ABORT, 'audit_on_behalf_of is append-only: update refused');
END;
-- +goose StatementEnd

DROP VIEW audit_log;
CREATE VIEW audit_log AS
SELECT
    organization.slug AS organization,
    lower(substr(hex(entry.id), 1, 8) || '-' || substr(hex(entry.id), 9, 4) || '-' || substr(hex(entry.id), 13, 4) || '-' ||
        substr(hex(entry.id), 17, 4) || '-' || substr(hex(entry.id), 21)) AS id,
    strftime('%Y-%m-%dT%H:%M:%S', entry.occurred_at / 1000000, 'unixepoch') || printf('.%06dZ', entry.occurred_at % 1000000) AS occurred_at,
    strftime('%Y-%m-%dT%H:%M:%S', entry.recorded_at / 1000000, 'unixepoch') || printf('.%06dZ', entry.recorded_at % 1000000) AS recorded_at,
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
    CASE WHEN json_valid(entry.metadata) THEN entry.metadata END AS metadata,
    nullif(entry.metadata, '') AS metadata_text,
    nullif(entry.origin, '') AS origin,
    CASE WHEN json_valid(entry.original) THEN entry.original END AS original,
    organization.external_id AS organization_external_id,
    organization.name AS organization_name,
    CASE entry.outcome WHEN '' THEN 'success' ELSE entry.outcome END AS outcome,
    nullif(entry.reason, '') AS reason,
    nullif(entry.native_action, '') AS native_action,
    CASE WHEN entry.actor_type <> '' THEN entry.actor_type WHEN entry.actor_id = 'system' THEN 'system' ELSE 'user' END AS actor_type,
    (SELECT json_object('type', CASE p.actor_type WHEN '' THEN 'user' ELSE p.actor_type END, 'id', p.actor_id, 'name', p.actor_name,
            'email', nullif(p.actor_email, ''), 'session', nullif(p.session, ''))
        FROM audit_on_behalf_of AS p WHERE p.org_id = entry.org_id AND p.entry_id = entry.id) AS on_behalf_of,
    (SELECT nullif(json_group_array(json_object('type', r.entity_type, 'id', r.entity_id, 'name', nullif(r.entity_name, ''), 'role', nullif(r.role, ''))), '[]')
        FROM (SELECT * FROM audit_related AS r WHERE r.org_id = entry.org_id AND r.entry_id = entry.id ORDER BY r.position) AS r) AS related,
    entry.masked
FROM audit_organizations AS organization
JOIN audit_entries AS entry ON entry.org_id = organization.id
-- What has expired is gone, whether or not the clean-up has come by (keptSinceSQL in models/organization.go).
WHERE entry.occurred_at >= max(organization.expired_before, strftime('%s', 'now') * 1000000 - 86400000000 *
    CASE WHEN organization.pending_from <> 0 AND organization.pending_from <= strftime('%s', 'now') * 1000000
        THEN organization.pending_retention_days ELSE organization.retention_days END);

-- +goose Down
DROP VIEW audit_log;
CREATE VIEW audit_log AS
SELECT
    organization.slug AS organization,
    lower(substr(hex(entry.id), 1, 8) || '-' || substr(hex(entry.id), 9, 4) || '-' || substr(hex(entry.id), 13, 4) || '-' ||
        substr(hex(entry.id), 17, 4) || '-' || substr(hex(entry.id), 21)) AS id,
    strftime('%Y-%m-%dT%H:%M:%S', entry.occurred_at / 1000000, 'unixepoch') || printf('.%06dZ', entry.occurred_at % 1000000) AS occurred_at,
    strftime('%Y-%m-%dT%H:%M:%S', entry.recorded_at / 1000000, 'unixepoch') || printf('.%06dZ', entry.recorded_at % 1000000) AS recorded_at,
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
    CASE WHEN json_valid(entry.metadata) THEN entry.metadata END AS metadata,
    nullif(entry.metadata, '') AS metadata_text,
    nullif(entry.origin, '') AS origin,
    CASE WHEN json_valid(entry.original) THEN entry.original END AS original,
    organization.external_id AS organization_external_id,
    organization.name AS organization_name
FROM audit_organizations AS organization
JOIN audit_entries AS entry ON entry.org_id = organization.id
-- What has expired is gone, whether or not the clean-up has come by (keptSinceSQL in models/organization.go).
WHERE entry.occurred_at >= max(organization.expired_before, strftime('%s', 'now') * 1000000 - 86400000000 *
    CASE WHEN organization.pending_from <> 0 AND organization.pending_from <= strftime('%s', 'now') * 1000000
        THEN organization.pending_retention_days ELSE organization.retention_days END);
DROP TABLE audit_native_actions;
DROP TABLE audit_on_behalf_of;
DROP TABLE audit_related;
ALTER TABLE audit_actors DROP COLUMN actor_type;
ALTER TABLE audit_entries DROP COLUMN parts;
ALTER TABLE audit_entries DROP COLUMN masked;
ALTER TABLE audit_entries DROP COLUMN actor_type;
ALTER TABLE audit_entries DROP COLUMN native_action;
ALTER TABLE audit_entries DROP COLUMN reason;
ALTER TABLE audit_entries DROP COLUMN outcome;
