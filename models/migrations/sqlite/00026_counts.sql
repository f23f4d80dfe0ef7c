-- +goose Up

-- How many entries occurred in each quarter of an hour: in all, of an action, and of an actor. What a count is not of
-- is empty. Those who follow the log keep it: see models/counts.
CREATE TABLE audit_counts (
    org_id     integer NOT NULL,
    action     text NOT NULL,
    actor_id   text NOT NULL, -- who acted, or on whose behalf
    quarter    integer NOT NULL, -- of an hour, since 1970
    succeeded  integer NOT NULL,
    failed     integer NOT NULL, -- or was denied
    PRIMARY KEY (org_id, action, actor_id, quarter)
);
CREATE INDEX audit_counts_by_quarter ON audit_counts (org_id, quarter);

-- +goose Down
DROP TABLE audit_counts;
DELETE FROM audit_consumers WHERE name = 'counts';
