-- +goose Up

-- Actions that applications declare as their own (action.Register), in processes of theirs: the pages offer
-- them before the first entry.
CREATE TABLE audit_registered_actions (
    action text COLLATE "C" PRIMARY KEY
);

-- +goose Down
DROP TABLE audit_registered_actions;
