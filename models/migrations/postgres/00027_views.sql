-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- Questions that people ask the log again, each by a name: of one member, or of all of them.
CREATE TABLE audit_views (
    org_id     bigint NOT NULL,
    id         text COLLATE "C" NOT NULL,
    owner_id   text COLLATE "C" NOT NULL, -- whose it is alone; empty where it is shared
    name       text NOT NULL,
    name_key   text COLLATE "C" NOT NULL, -- the name, folded
    query      text NOT NULL, -- of the log's address, in its canonical form
    created_at bigint NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX audit_views_by_owner ON audit_views (org_id, owner_id, name_key);

-- The view that the log begins with for a member; empty for all entries.
ALTER TABLE audit_memberships ADD COLUMN default_view text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE audit_memberships DROP COLUMN default_view;
DROP TABLE audit_views;
