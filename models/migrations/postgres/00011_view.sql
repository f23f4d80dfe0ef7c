-- +goose Up

-- For reports: the entries as other programs like them, described in docs/schema.md. Later versions add
-- columns at the end (CREATE OR REPLACE VIEW) and take none away: views of other people's making rest on it.

-- Reads text as jsonb, or as NULL where jsonb refuses it: JSON allows numbers and escapes that jsonb does
-- not, and one such row must not fail everybody's reports. PostgreSQL 16 can ask beforehand; before that
-- an error has to be caught, which no parallel worker may do.
-- +goose StatementBegin
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        -- Not in SQL, where the cast of a constant is tried before the question is asked.
        CREATE FUNCTION audit_jsonb(content text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
        BEGIN
            IF pg_input_is_valid(content, 'jsonb') THEN
                RETURN content::jsonb;
            END IF;
            RETURN NULL;
        END
        $body$;
    ELSE
        CREATE FUNCTION audit_jsonb(content text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT AS $body$
        BEGIN
            RETURN content::jsonb;
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            RETURN NULL;
        END
        $body$;
    END IF;
END
$$;
-- +goose StatementEnd

-- The smallest ID an entry of that moment or later can have: a range of IDs is a range of the primary key.
-- +goose StatementBegin
CREATE FUNCTION audit_first_id(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(micros / 1000), 12, '0') || '7' || lpad(to_hex(micros % 1000), 3, '0') || '8000000000000000')::uuid
    FROM (SELECT greatest(round(extract(epoch FROM moment - timestamptz '1970-01-01 00:00:00Z') * 1000000)::bigint, 0)) AS at (micros)
$$;
-- +goose StatementEnd

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

-- +goose Down
DROP VIEW audit_log;
DROP FUNCTION audit_first_id(timestamptz);
DROP FUNCTION audit_jsonb(text);
