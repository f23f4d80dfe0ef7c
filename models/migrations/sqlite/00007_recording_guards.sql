-- +goose Up

-- REPLACE deletes the row that is in its way without calling a trigger for it, so the row that is to
-- come in is looked at instead. One whose key is there already stores nothing, as with ON CONFLICT DO
-- NOTHING. A row may be in the way by its rowid as well: nobody gives one, and new.rowid is -1 then; a
-- row that was given -1 is found once it is in.

-- +goose StatementBegin
CREATE TRIGGER audit_entries_never_replaced BEFORE INSERT ON audit_entries
WHEN new.rowid <> -1 OR EXISTS (SELECT 1 FROM audit_entries WHERE org_id = new.org_id AND id = new.id) BEGIN
    SELECT RAISE(ABORT, 'audit_entries is append-only: rowid refused') WHERE new.rowid <> -1;
    SELECT RAISE(IGNORE);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entries_never_numbered AFTER INSERT ON audit_entries WHEN new.rowid < 1 BEGIN
    SELECT RAISE(ABORT, 'audit_entries is append-only: rowid refused');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_settings_changes_never_replaced BEFORE INSERT ON audit_settings_changes
WHEN new.rowid <> -1 OR EXISTS (SELECT 1 FROM audit_settings_changes WHERE org_id = new.org_id AND id = new.id) BEGIN
    SELECT RAISE(ABORT, 'audit_settings_changes is append-only: replace refused');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_settings_changes_never_numbered AFTER INSERT ON audit_settings_changes WHEN new.rowid < 1 BEGIN
    SELECT RAISE(ABORT, 'audit_settings_changes is append-only: rowid refused');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER audit_settings_changes_never_numbered;
DROP TRIGGER audit_settings_changes_never_replaced;
DROP TRIGGER audit_entries_never_numbered;
DROP TRIGGER audit_entries_never_replaced;
