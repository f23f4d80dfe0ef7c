-- +goose NO TRANSACTION
-- +goose Up

-- The provenance of an entry, found by exact value: a run of these indexes is one value of one day (UTC), so
-- whatever is recorded goes to the same few pages of them, those of today. With the value first every entry
-- would go to a page of its own. Four bytes stand for value and organization; which value it is the row says.
--
-- They are made while others record, and so outside of a transaction; what an attempt that failed left
-- behind goes first.
DROP INDEX CONCURRENTLY IF EXISTS audit_entries_by_ip;
CREATE INDEX CONCURRENTLY audit_entries_by_ip ON audit_entries
    (((occurred_at / 86400000000)::integer), ((hashtextextended(ip, org_id) >> 32)::integer), id) WHERE ip <> '';
DROP INDEX CONCURRENTLY IF EXISTS audit_entries_by_request_id;
CREATE INDEX CONCURRENTLY audit_entries_by_request_id ON audit_entries
    (((occurred_at / 86400000000)::integer), ((hashtextextended(request_id, org_id) >> 32)::integer), id) WHERE request_id <> '';
DROP INDEX CONCURRENTLY IF EXISTS audit_entries_by_api_key;
CREATE INDEX CONCURRENTLY audit_entries_by_api_key ON audit_entries
    (((occurred_at / 86400000000)::integer), ((hashtextextended(api_key_id, org_id) >> 32)::integer), id) WHERE api_key_id <> '';
DROP INDEX CONCURRENTLY IF EXISTS audit_entries_by_source;
CREATE INDEX CONCURRENTLY audit_entries_by_source ON audit_entries
    (((occurred_at / 86400000000)::integer), ((hashtextextended(source, org_id) >> 32)::integer), id) WHERE source <> '';

-- +goose Down
DROP INDEX audit_entries_by_source;
DROP INDEX audit_entries_by_api_key;
DROP INDEX audit_entries_by_request_id;
DROP INDEX audit_entries_by_ip;
