-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- Which of several servers does the work of a job, and until when, by the clock of this database. It extends that as it
-- works; afterwards another may.
ALTER TABLE audit_jobs
    ADD COLUMN leader      text   NOT NULL DEFAULT '',
    ADD COLUMN leads_until bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE audit_jobs DROP COLUMN leads_until, DROP COLUMN leader;
