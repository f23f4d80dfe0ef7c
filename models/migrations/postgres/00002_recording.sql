-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- The API key an event was sent with, by ID and name as of then; empty where none was.
ALTER TABLE audit_entries ADD COLUMN api_key_id text NOT NULL DEFAULT '';
ALTER TABLE audit_entries ADD COLUMN api_key_name text NOT NULL DEFAULT '';

-- Callers' own keys of events: the second event with a key within its time is not stored again.
CREATE TABLE audit_event_keys (
    org_id       bigint NOT NULL,
    key_hash     bytea  NOT NULL, -- SHA-256 of the key
    fingerprint  bytea  NOT NULL, -- SHA-256 of the event: one key stands for one event
    entry_id     uuid   NOT NULL,
    -- False where audit logging was off and nothing was stored.
    stored       boolean NOT NULL DEFAULT true,
    expires_at   bigint NOT NULL,
    PRIMARY KEY (org_id, key_hash)
);
CREATE INDEX audit_event_keys_by_expiry ON audit_event_keys (expires_at);

-- Requests with an Idempotency-Key and how they were answered.
CREATE TABLE audit_idempotency_keys (
    org_id       bigint NOT NULL,
    key_hash     bytea  NOT NULL, -- SHA-256 of the API key's ID and the key
    fingerprint  bytea  NOT NULL, -- SHA-256 of the request's body
    status       integer NOT NULL,
    answer       text   NOT NULL,
    expires_at   bigint NOT NULL,
    PRIMARY KEY (org_id, key_hash)
);
CREATE INDEX audit_idempotency_keys_by_expiry ON audit_idempotency_keys (expires_at);

-- Keys for the HTTP API; only the SHA-256 of the key is kept.
CREATE TABLE audit_api_keys (
    token_hash   bytea  PRIMARY KEY,
    org_id       bigint NOT NULL,
    id           text COLLATE "C" NOT NULL,
    name         text   NOT NULL,
    scope        text   NOT NULL CHECK (scope IN ('read', 'write')),
    hint         text   NOT NULL, -- the key's last characters, to tell keys apart by
    created_by   text   NOT NULL, -- user ID
    created_at   bigint NOT NULL,
    expires_at   bigint NOT NULL DEFAULT 0, -- 0: never
    last_used_at bigint NOT NULL DEFAULT 0, -- to the minute
    revoked_at   bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX audit_api_keys_by_org ON audit_api_keys (org_id, id);

-- Where GitHub's webhooks arrive. One connection an organization.
CREATE TABLE audit_github_connections (
    id               text COLLATE "C" PRIMARY KEY, -- stands in the webhook's address
    org_id           bigint NOT NULL UNIQUE,
    secret           bytea  NOT NULL, -- encrypted with the server's secret key
    created_by       text   NOT NULL, -- user ID
    created_at       bigint NOT NULL,
    updated_at       bigint NOT NULL,
    last_delivery_at bigint NOT NULL DEFAULT 0,
    last_delivery    text   NOT NULL DEFAULT '' -- what it was, such as "deployment created"
);

-- Deliveries of GitHub's webhooks, by the ID GitHub gave them: the second one with an ID is not
-- stored, and answered as the first was.
CREATE TABLE audit_github_deliveries (
    org_id      bigint NOT NULL,
    id          text COLLATE "C" NOT NULL,
    entry_id    text NOT NULL DEFAULT '', -- empty where audit logging was off
    received_at bigint NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX audit_github_deliveries_by_time ON audit_github_deliveries (org_id, received_at);

-- +goose Down
DROP TABLE audit_github_deliveries, audit_github_connections, audit_api_keys, audit_idempotency_keys, audit_event_keys;
ALTER TABLE audit_entries DROP COLUMN api_key_name;
ALTER TABLE audit_entries DROP COLUMN api_key_id;
