-- +goose Up

-- Up to which place of the log each consumer has read it, the organization and the ID of the entry that it read last:
-- see models/following.
CREATE TABLE audit_consumers (
    name     text PRIMARY KEY,
    place    text    NOT NULL,
    read_at  integer NOT NULL -- when nothing was left to read, or it began
);

-- The place of an entry that goes is the one before it.
-- +goose StatementBegin
CREATE TRIGGER audit_entries_leave_places AFTER DELETE ON audit_entries
WHEN EXISTS (SELECT 1 FROM audit_consumers WHERE place = old.org_id || '.' || hex(old.id)) BEGIN
    UPDATE audit_consumers SET place = COALESCE((SELECT org_id || '.' || hex(id) FROM audit_entries
        WHERE rowid < old.rowid ORDER BY rowid DESC LIMIT 1), '')
    WHERE place = old.org_id || '.' || hex(old.id);
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER audit_entries_leave_places;
DROP TABLE audit_consumers;
