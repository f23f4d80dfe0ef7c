-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- Under SERIALIZABLE, to look for an entry in the index is to be in conflict with whoever records. So a part says where
-- its entry lies, which the same statement has stored. That is looked at and not kept.
ALTER TABLE audit_related ADD COLUMN entry_at tid;
ALTER TABLE audit_on_behalf_of ADD COLUMN entry_at tid;

-- VOLATILE sees what the same statement has stored.
-- +goose StatementBegin
CREATE FUNCTION audit_find_entry_of_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry record;
BEGIN
    SELECT org_id, id, xact INTO entry FROM audit_entries WHERE ctid = NEW.entry_at;
    IF (entry.org_id, entry.id, entry.xact) IS DISTINCT FROM (NEW.org_id, NEW.entry_id, pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION '% is append-only: its entry is there already', TG_TABLE_NAME;
    END IF;
    NEW.entry_at := NULL;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

DROP TRIGGER audit_related_with_its_entry ON audit_related;
CREATE TRIGGER audit_related_with_its_entry BEFORE INSERT ON audit_related
    FOR EACH ROW WHEN (NEW.entry_at IS NULL) EXECUTE FUNCTION audit_refuse_later_part();
CREATE TRIGGER audit_related_with_its_entry_at BEFORE INSERT ON audit_related
    FOR EACH ROW WHEN (NEW.entry_at IS NOT NULL) EXECUTE FUNCTION audit_find_entry_of_part();
DROP TRIGGER audit_on_behalf_of_with_its_entry ON audit_on_behalf_of;
CREATE TRIGGER audit_on_behalf_of_with_its_entry BEFORE INSERT ON audit_on_behalf_of
    FOR EACH ROW WHEN (NEW.entry_at IS NULL) EXECUTE FUNCTION audit_refuse_later_part();
CREATE TRIGGER audit_on_behalf_of_with_its_entry_at BEFORE INSERT ON audit_on_behalf_of
    FOR EACH ROW WHEN (NEW.entry_at IS NOT NULL) EXECUTE FUNCTION audit_find_entry_of_part();

-- +goose Down
DROP TRIGGER audit_on_behalf_of_with_its_entry_at ON audit_on_behalf_of;
DROP TRIGGER audit_on_behalf_of_with_its_entry ON audit_on_behalf_of;
CREATE TRIGGER audit_on_behalf_of_with_its_entry BEFORE INSERT ON audit_on_behalf_of
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_later_part();
DROP TRIGGER audit_related_with_its_entry_at ON audit_related;
DROP TRIGGER audit_related_with_its_entry ON audit_related;
CREATE TRIGGER audit_related_with_its_entry BEFORE INSERT ON audit_related
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_later_part();
DROP FUNCTION audit_find_entry_of_part();
ALTER TABLE audit_on_behalf_of DROP COLUMN entry_at;
ALTER TABLE audit_related DROP COLUMN entry_at;
