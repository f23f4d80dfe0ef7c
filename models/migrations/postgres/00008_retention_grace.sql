-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- A lowered retention takes effect at the end of a grace, which is kept with it. 0: none waits.
ALTER TABLE audit_organizations
    ADD COLUMN pending_retention_days integer NOT NULL DEFAULT 0 CHECK (pending_retention_days BETWEEN 0 AND 365),
    ADD COLUMN pending_from bigint NOT NULL DEFAULT 0;

-- What waited before and after a change, and from when on that after it was to be in force.
ALTER TABLE audit_settings_changes
    ADD COLUMN old_pending_days integer NOT NULL DEFAULT 0,
    ADD COLUMN new_pending_days integer NOT NULL DEFAULT 0,
    ADD COLUMN pending_from bigint NOT NULL DEFAULT 0;

-- Who changed a setting last, and when: for whoever was about to change it as well.
CREATE TABLE audit_last_changes (
    org_id       bigint NOT NULL,
    setting      text COLLATE "C" NOT NULL, -- such as "name" and "link:service"
    changed_at   bigint NOT NULL,
    actor_id     text   NOT NULL,
    actor_name   text   NOT NULL,
    actor_email  text   NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, setting)
);

-- +goose Down
DROP TABLE audit_last_changes;
ALTER TABLE audit_settings_changes DROP COLUMN pending_from, DROP COLUMN new_pending_days, DROP COLUMN old_pending_days;
ALTER TABLE audit_organizations DROP COLUMN pending_from, DROP COLUMN pending_retention_days;
