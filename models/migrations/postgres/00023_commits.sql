-- +goose NO TRANSACTION
-- +goose Up

-- The log in the order of its transactions, for those who follow it. What is recorded goes to the end of it.
DROP INDEX CONCURRENTLY IF EXISTS audit_entries_by_transaction;
CREATE INDEX CONCURRENTLY audit_entries_by_transaction ON audit_entries (xact, id);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS audit_entries_by_transaction;
