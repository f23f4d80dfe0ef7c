-- +goose Up

-- Keys of metadata that are masked, and kept, in what comes with an API key: names with a space between each two.
ALTER TABLE audit_api_keys ADD COLUMN mask_keys text NOT NULL DEFAULT '';
ALTER TABLE audit_api_keys ADD COLUMN keep_keys text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE audit_api_keys DROP COLUMN keep_keys;
ALTER TABLE audit_api_keys DROP COLUMN mask_keys;
