-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- A part is stored with its entry only. What looks for the entry looks in this schema, whatever else is called
-- audit_entries, or =, by search_path of the role that records: a temporary table would be enough. Who renames the
-- schema does this once more.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_refuse_later_part() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION audit_find_entry_of_part() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION audit_set_transaction() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$$;
-- +goose StatementEnd

-- +goose Down
ALTER FUNCTION audit_set_transaction() RESET search_path;
ALTER FUNCTION audit_find_entry_of_part() RESET search_path;
ALTER FUNCTION audit_refuse_later_part() RESET search_path;
