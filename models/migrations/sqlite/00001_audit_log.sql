-- +goose Up

-- Times are microseconds since 1970-01-01 UTC everywhere: datetime(occurred_at / 1000000, 'unixepoch').
-- Key text is compared by code point the same on every machine and database.

CREATE TABLE audit_organizations (
    id               integer PRIMARY KEY AUTOINCREMENT,
    slug             text NOT NULL UNIQUE,
    external_id      text UNIQUE,
    name             text   NOT NULL,
    retention_days   integer NOT NULL DEFAULT 90 CHECK (retention_days BETWEEN 1 AND 365),
    logging_enabled  integer NOT NULL DEFAULT 1,
    -- Entries that occurred before this moment stay expired, whatever retention is set later.
    expired_before   integer NOT NULL DEFAULT 0,
    created_at       integer NOT NULL,
    closed_at        integer NOT NULL DEFAULT 0
);

CREATE TABLE audit_settings_changes (
    org_id           integer NOT NULL,
    id               blob   NOT NULL,
    changed_at       integer NOT NULL,
    actor_id         text   NOT NULL,
    actor_name       text   NOT NULL,
    actor_email      text   NOT NULL DEFAULT '',
    old_retention_days  integer NOT NULL,
    new_retention_days  integer NOT NULL,
    old_logging_enabled integer NOT NULL,
    new_logging_enabled integer NOT NULL,
    PRIMARY KEY (org_id, id)
);

-- One row an event. id is a UUIDv7 made from occurred_at, so the order of id is the order of time.
CREATE TABLE audit_entries (
    org_id       integer NOT NULL,
    id           blob   NOT NULL,
    occurred_at  integer NOT NULL,
    recorded_at  integer NOT NULL,
    action       text NOT NULL,
    entity_type  text NOT NULL,
    entity_id    text NOT NULL,
    entity_name  text   NOT NULL DEFAULT '',
    actor_id     text NOT NULL,
    -- actor_name, folded: what the list sorts users by.
    actor_key    text NOT NULL,
    actor_name   text   NOT NULL,
    actor_email  text   NOT NULL DEFAULT '',
    -- What acted for the actor: the automation's name for "system".
    source       text   NOT NULL DEFAULT '',
    ip           text   NOT NULL DEFAULT '',
    user_agent   text   NOT NULL DEFAULT '',
    request_id   text   NOT NULL DEFAULT '',
    url          text   NOT NULL DEFAULT '',
    -- A JSON object or empty. Text, because jsonb refuses numbers that JSON allows, and a refused
    -- statement would spoil the caller's transaction.
    metadata     text   NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, id)
);
CREATE INDEX audit_entries_by_action ON audit_entries (org_id, action, id);
CREATE INDEX audit_entries_by_type   ON audit_entries (org_id, entity_type, action, id);
CREATE INDEX audit_entries_by_entity ON audit_entries (org_id, entity_type, entity_id, id);
CREATE INDEX audit_entries_by_actor_action ON audit_entries (org_id, actor_id, action, id);
CREATE INDEX audit_entries_by_user   ON audit_entries (org_id, actor_key, actor_id, id);

-- The distinct entities and actors of each month: what search and the User filter look through
-- instead of the entries. Doubles are harmless.
CREATE TABLE audit_entities (
    org_id       integer NOT NULL,
    -- The organization in the upper bits (org_id << 40), so that full-text search can stay within one.
    id           integer PRIMARY KEY,
    month        integer NOT NULL, -- year * 12 + month - 1, of the entry's time
    entity_type  text NOT NULL,
    entity_id    text NOT NULL,
    id_key       text NOT NULL,
    name_key     text NOT NULL
);
CREATE INDEX audit_entities_known ON audit_entities (org_id, entity_type, entity_id, month);
CREATE INDEX audit_entities_by_month ON audit_entities (org_id, month);
CREATE INDEX audit_entities_by_id_key ON audit_entities (org_id, id_key);
CREATE INDEX audit_entities_by_name_key ON audit_entities (org_id, name_key);
CREATE VIRTUAL TABLE audit_entities_search USING fts5(
    text, content='', contentless_delete=1, tokenize='trigram case_sensitive 1'
);
-- +goose StatementBegin
CREATE TRIGGER audit_entities_searchable AFTER INSERT ON audit_entities BEGIN
    INSERT INTO audit_entities_search (rowid, text) VALUES (new.id, new.id_key || char(10) || new.name_key);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entities_unsearchable AFTER DELETE ON audit_entities BEGIN
    DELETE FROM audit_entities_search WHERE rowid = old.id;
END;
-- +goose StatementEnd

CREATE TABLE audit_actors (
    org_id       integer NOT NULL,
    -- The organization in the upper bits (org_id << 40), so that full-text search can stay within one.
    id           integer PRIMARY KEY,
    month        integer NOT NULL,
    actor_id     text NOT NULL,
    actor_key    text NOT NULL,
    actor_name   text   NOT NULL,
    actor_email  text   NOT NULL,
    -- id, name and e-mail, folded, one a line.
    search_key   text NOT NULL
);
CREATE INDEX audit_actors_known ON audit_actors (org_id, actor_id, month);
CREATE INDEX audit_actors_by_user ON audit_actors (org_id, actor_key, actor_id);
CREATE INDEX audit_actors_by_month ON audit_actors (org_id, month);

CREATE TABLE audit_resource_links (
    org_id       integer NOT NULL,
    entity_type  text NOT NULL,
    url_template text   NOT NULL,
    PRIMARY KEY (org_id, entity_type)
);

-- The last clean-up of each organization, and where the next one goes on.
CREATE TABLE audit_cleanups (
    org_id       integer PRIMARY KEY,
    started_at   integer NOT NULL,
    finished_at  integer NOT NULL DEFAULT 0,
    deleted      integer NOT NULL DEFAULT 0,
    succeeded_at integer NOT NULL DEFAULT 0,
    error        text   NOT NULL DEFAULT '',
    -- Everything up to this entry is known to be gone.
    cleaned_to   blob
);

-- The background jobs of all servers on this database.
CREATE TABLE audit_jobs (
    name         text PRIMARY KEY,
    started_at   integer NOT NULL DEFAULT 0,
    finished_at  integer NOT NULL DEFAULT 0,
    next_run_at  integer NOT NULL DEFAULT 0,
    error        text   NOT NULL DEFAULT ''
);

CREATE TABLE audit_users (
    id            text PRIMARY KEY,
    email         text   NOT NULL,
    -- email, folded: one account an address, whatever its case.
    email_key     text NOT NULL UNIQUE,
    name          text   NOT NULL,
    password_hash text   NOT NULL,
    last_org_id   integer NOT NULL DEFAULT 0,
    created_at    integer NOT NULL
);

CREATE TABLE audit_memberships (
    org_id       integer NOT NULL,
    user_id      text NOT NULL,
    role         text   NOT NULL CHECK (role IN ('admin', 'member')),
    created_at   integer NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX audit_memberships_by_user ON audit_memberships (user_id, org_id);

-- Links that are shown once; only the SHA-256 of their token is kept.
CREATE TABLE audit_invitations (
    token_hash   blob  PRIMARY KEY,
    org_id       integer NOT NULL,
    email        text   NOT NULL DEFAULT '',
    role         text   NOT NULL CHECK (role IN ('admin', 'member')),
    invited_by   text   NOT NULL,
    created_at   integer NOT NULL,
    expires_at   integer NOT NULL,
    used_at      integer NOT NULL DEFAULT 0
);
CREATE INDEX audit_invitations_by_org ON audit_invitations (org_id, created_at);

CREATE TABLE audit_password_resets (
    token_hash   blob  PRIMARY KEY,
    user_id      text NOT NULL,
    created_at   integer NOT NULL,
    expires_at   integer NOT NULL,
    used_at      integer NOT NULL DEFAULT 0
);

CREATE TABLE audit_setup_tokens (
    token_hash   blob  PRIMARY KEY,
    created_at   integer NOT NULL
);

CREATE TABLE audit_sessions (
    token_hash   blob  PRIMARY KEY,
    user_id      text NOT NULL DEFAULT '',
    data         blob  NOT NULL,
    created_at   integer NOT NULL,
    seen_at      integer NOT NULL,
    expires_at   integer NOT NULL
);
CREATE INDEX audit_sessions_by_user ON audit_sessions (user_id);
CREATE INDEX audit_sessions_by_expiry ON audit_sessions (expires_at);

-- Facts about the database itself, such as the mark of a demo.
CREATE TABLE audit_meta (
    key          text PRIMARY KEY,
    value        text NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER audit_entries_never_change BEFORE UPDATE ON audit_entries BEGIN
    SELECT RAISE(ABORT, 'audit_entries is append-only: update refused');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_settings_changes_never_change BEFORE UPDATE ON audit_settings_changes BEGIN
    SELECT RAISE(ABORT, 'audit_settings_changes is append-only: update refused');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_settings_changes_never_deleted BEFORE DELETE ON audit_settings_changes BEGIN
    SELECT RAISE(ABORT, 'audit_settings_changes is append-only: delete refused');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit_meta;
DROP TABLE audit_sessions;
DROP TABLE audit_setup_tokens;
DROP TABLE audit_password_resets;
DROP TABLE audit_invitations;
DROP TABLE audit_memberships;
DROP TABLE audit_users;
DROP TABLE audit_jobs;
DROP TABLE audit_cleanups;
DROP TABLE audit_resource_links;
DROP TABLE audit_actors;
DROP TABLE audit_entities_search;
DROP TABLE audit_entities;
DROP TABLE audit_entries;
DROP TABLE audit_settings_changes;
DROP TABLE audit_organizations;
