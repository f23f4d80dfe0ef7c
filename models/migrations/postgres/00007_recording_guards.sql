-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- Also in a session whose session_replication_role is "replica", which calls no other triggers.
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER audit_entries_never_change;
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER audit_entries_never_truncated;
ALTER TABLE audit_settings_changes ENABLE ALWAYS TRIGGER audit_settings_changes_never_change;
ALTER TABLE audit_settings_changes ENABLE ALWAYS TRIGGER audit_settings_changes_never_truncated;

-- +goose Down
ALTER TABLE audit_entries ENABLE TRIGGER audit_entries_never_change;
ALTER TABLE audit_entries ENABLE TRIGGER audit_entries_never_truncated;
ALTER TABLE audit_settings_changes ENABLE TRIGGER audit_settings_changes_never_change;
ALTER TABLE audit_settings_changes ENABLE TRIGGER audit_settings_changes_never_truncated;
