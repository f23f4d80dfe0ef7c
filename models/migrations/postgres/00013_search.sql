-- +goose NO TRANSACTION
-- +goose Up

-- Every three letters in a row of a text, each behind its organization's number: what a search asks for is in
-- no list with what others have. One or two letters are found as the beginning of three, so the text ends with
-- two line feeds. To evaluate it for a row costs more than to read many.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_trigrams(org_id bigint, content text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000
    AS $$ SELECT array_to_tsvector(array_agg(org_id || ':' || substr(content || E'\n\n', n, 3))) FROM generate_series(1, length(content)) AS n $$;
-- +goose StatementEnd

-- CONCURRENTLY, so that nobody who records waits until it is built: without a transaction, and from the
-- beginning where it was interrupted. Without fastupdate, whose list of pending rows every search would read to
-- its end.
DROP INDEX CONCURRENTLY IF EXISTS audit_entities_trigrams;
CREATE INDEX CONCURRENTLY audit_entities_trigrams ON audit_entities
    USING gin (audit_trigrams(org_id, id_key || E'\n' || name_key)) WITH (fastupdate = off);
-- Those of before.
DROP INDEX CONCURRENTLY IF EXISTS audit_entities_search;
DROP FUNCTION IF EXISTS audit_grams(bigint, text);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS audit_entities_trigrams;
DROP FUNCTION IF EXISTS audit_trigrams(bigint, text);
