-- +goose Up

-- Deletes the entries of an organization with after < id <= the last of ends and id < before, up to one of
-- ends at a time, each in a transaction of its own that also counts them in the clean-up; so the caller
-- cannot be in a transaction. Adds to total how many there were. Where contiguous is true no entries are
-- left up to after, and the clean-up keeps how far none are.
-- +goose StatementBegin
CREATE PROCEDURE audit_delete_in_steps(org bigint, after uuid, ends uuid[], before uuid, contiguous boolean,
    INOUT total bigint DEFAULT 0)
    LANGUAGE plpgsql AS $$
DECLARE
    through uuid;
    gone bigint;
BEGIN
    FOREACH through IN ARRAY ends LOOP
        gone := audit_delete_entries(org, after, through, before);
        IF gone > 0 THEN
            UPDATE audit_cleanups SET deleted = deleted + gone,
                cleaned_to = CASE WHEN contiguous THEN through ELSE cleaned_to END
            WHERE org_id = org;
        END IF;
        COMMIT;
        total := total + gone;
        after := through;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP PROCEDURE audit_delete_in_steps(bigint, uuid, uuid[], uuid, boolean, bigint);
