-- +goose Up

-- The provenance of an entry, found by exact value: a run of these indexes is one value of one day (UTC), so
-- whatever is recorded goes to the same few pages of them, those of today. With the value first every entry
-- would go to a page of its own. A request has few entries, which are put in order as they are read: their IDs
-- would make its index half as large again.
CREATE INDEX audit_entries_by_ip ON audit_entries (org_id, (occurred_at / 86400000000), ip, id) WHERE ip <> '';
CREATE INDEX audit_entries_by_request_id ON audit_entries (org_id, (occurred_at / 86400000000), request_id) WHERE request_id <> '';
CREATE INDEX audit_entries_by_api_key ON audit_entries (org_id, (occurred_at / 86400000000), api_key_id, id) WHERE api_key_id <> '';
CREATE INDEX audit_entries_by_source ON audit_entries (org_id, (occurred_at / 86400000000), source, id) WHERE source <> '';

-- +goose Down
DROP INDEX audit_entries_by_source;
DROP INDEX audit_entries_by_api_key;
DROP INDEX audit_entries_by_request_id;
DROP INDEX audit_entries_by_ip;
