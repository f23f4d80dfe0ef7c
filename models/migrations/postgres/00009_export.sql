-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- How an entry came into this log: empty where it was recorded here, or 'import' or 'restore'. What its
-- file said of when it was recorded and with which API key is kept beside it, as JSON, and is never this
-- log's own.
ALTER TABLE audit_entries ADD COLUMN origin text NOT NULL DEFAULT '';
ALTER TABLE audit_entries ADD COLUMN original text NOT NULL DEFAULT '';

-- SHA-256 of what was signed: a delivery's ID is not.
ALTER TABLE audit_github_deliveries ADD COLUMN body_hash bytea;

-- +goose Down
ALTER TABLE audit_github_deliveries DROP COLUMN body_hash;
ALTER TABLE audit_entries DROP COLUMN original;
ALTER TABLE audit_entries DROP COLUMN origin;
