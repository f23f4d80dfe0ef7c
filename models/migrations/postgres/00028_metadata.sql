-- +goose Up

-- An index of the texts in metadata: see models/metadata. What an organization has of it.
CREATE TABLE audit_metadata_heads (
    org_id      bigint NOT NULL PRIMARY KEY,
    waiting     bytea, -- IDs of entries that are in no run yet
    next_run    bigint NOT NULL,
    next_block  bigint NOT NULL
);

-- Some entries each.
CREATE TABLE audit_metadata_blocks (
    org_id    bigint NOT NULL,
    block     bigint NOT NULL,
    first_id  uuid NOT NULL,
    last_id   uuid NOT NULL,
    ids       bytea NOT NULL, -- of all of them
    PRIMARY KEY (org_id, block)
);
CREATE INDEX audit_metadata_blocks_by_last ON audit_metadata_blocks (org_id, last_id);

-- Runs are pages in the order of their keys: which letters stand in which blocks.
CREATE TABLE audit_metadata_runs (
    org_id       bigint NOT NULL,
    run          bigint NOT NULL,
    level        bigint NOT NULL, -- about the logarithm of its length
    state        bigint NOT NULL, -- 0 while it is being built of others, 1, and 2 while it is being deleted
    first_block  bigint NOT NULL,
    end_block    bigint NOT NULL, -- the one behind the last
    first_id     uuid NOT NULL,
    last_id      uuid NOT NULL,
    merged_into  bigint NOT NULL, -- the run that is being built of it, or 0
    PRIMARY KEY (org_id, run)
);

CREATE TABLE audit_metadata_pages (
    org_id  bigint NOT NULL,
    run     bigint NOT NULL,
    key     bytea NOT NULL,
    data    bytea NOT NULL,
    PRIMARY KEY (org_id, run, key)
);

-- +goose Down
DROP TABLE audit_metadata_pages;
DROP TABLE audit_metadata_runs;
DROP TABLE audit_metadata_blocks;
DROP TABLE audit_metadata_heads;
DELETE FROM audit_consumers WHERE name = 'metadata';
