-- +goose Up

-- For reports: the entries as other programs like them, described in docs/schema.md. Later versions add
-- columns at the end and take none away. Times are ISO 8601 in UTC, to the microsecond; metadata is the JSON
-- text that SQLite's JSON functions read.
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

-- +goose Down
DROP VIEW audit_log;
