-- +goose Up

-- An index of the texts in metadata: see models/metadata. What an organization has of it.
CREATE TABLE audit_metadata_heads (
    org_id      integer NOT NULL PRIMARY KEY,
    waiting     blob, -- IDs of entries that are in no run yet
    next_run    integer NOT NULL,
    next_block  integer NOT NULL
);

-- Some entries each.
CREATE TABLE audit_metadata_blocks (
    org_id    integer NOT NULL,
    block     integer NOT NULL,
    first_id  blob NOT NULL,
    last_id   blob NOT NULL,
    ids       blob NOT NULL, -- of all of them
    PRIMARY KEY (org_id, block)
);
CREATE INDEX audit_metadata_blocks_by_last ON audit_metadata_blocks (org_id, last_id);

-- Runs are pages in the order of their keys: which letters stand in which blocks.
CREATE TABLE audit_metadata_runs (
    org_id       integer NOT NULL,
    run          integer NOT NULL,
    level        integer NOT NULL, -- about the logarithm of its length
    state        integer NOT NULL, -- 0 while it is being built of others, 1, and 2 while it is being deleted
    first_block  integer NOT NULL,
    end_block    integer NOT NULL, -- the one behind the last
    first_id     blob NOT NULL,
    last_id      blob NOT NULL,
    merged_into  integer NOT NULL, -- the run that is being built of it, or 0
    PRIMARY KEY (org_id, run)
);

CREATE TABLE audit_metadata_pages (
    org_id  integer NOT NULL,
    run     integer NOT NULL,
    key     blob NOT NULL,
    data    blob NOT NULL,
    PRIMARY KEY (org_id, run, key)
);

-- +goose Down
DROP TABLE audit_metadata_pages;
DROP TABLE audit_metadata_runs;
DROP TABLE audit_metadata_blocks;
DROP TABLE audit_metadata_heads;
DELETE FROM audit_consumers WHERE name = 'metadata';
