-- +goose Up

-- Times are microseconds since 1970-01-01 UTC everywhere: to_timestamp(occurred_at / 1e6).
-- Key text is compared by code point (COLLATE "C"), the same on every machine and database.

CREATE TABLE audit_organizations (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug             text COLLATE "C" NOT NULL UNIQUE,
    external_id      text COLLATE "C" UNIQUE,
    name             text   NOT NULL,
    retention_days   integer NOT NULL DEFAULT 90 CHECK (retention_days BETWEEN 1 AND 365),
    logging_enabled  boolean NOT NULL DEFAULT true,
    -- Entries that occurred before this moment stay expired, whatever retention is set later.
    expired_before   bigint NOT NULL DEFAULT 0,
    created_at       bigint NOT NULL,
    closed_at        bigint NOT NULL DEFAULT 0
);

CREATE TABLE audit_settings_changes (
    org_id           bigint NOT NULL,
    id               uuid   NOT NULL,
    changed_at       bigint NOT NULL,
    actor_id         text   NOT NULL,
    actor_name       text   NOT NULL,
    actor_email      text   NOT NULL DEFAULT '',
    old_retention_days  integer NOT NULL,
    new_retention_days  integer NOT NULL,
    old_logging_enabled boolean NOT NULL,
    new_logging_enabled boolean NOT NULL,
    PRIMARY KEY (org_id, id)
);

-- One row an event. id is a UUIDv7 made from occurred_at, so the order of id is the order of time.
CREATE TABLE audit_entries (
    org_id       bigint NOT NULL,
    id           uuid   NOT NULL,
    occurred_at  bigint NOT NULL,
    recorded_at  bigint NOT NULL,
    action       text COLLATE "C" NOT NULL,
    entity_type  text COLLATE "C" NOT NULL,
    entity_id    text COLLATE "C" NOT NULL,
    entity_name  text   NOT NULL DEFAULT '',
    actor_id     text COLLATE "C" NOT NULL,
    -- actor_name, folded: what the list sorts users by.
    actor_key    text COLLATE "C" NOT NULL,
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
-- instead of the entries. No unique key but a random one, so recording never waits for another
-- transaction; doubles are harmless.
CREATE TABLE audit_entities (
    org_id       bigint NOT NULL,
    id           uuid   NOT NULL DEFAULT gen_random_uuid(),
    month        integer NOT NULL, -- year * 12 + month - 1, of the entry's time
    entity_type  text COLLATE "C" NOT NULL,
    entity_id    text COLLATE "C" NOT NULL,
    id_key       text COLLATE "C" NOT NULL,
    name_key     text COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX audit_entities_known ON audit_entities (org_id, entity_type, entity_id, month);
CREATE INDEX audit_entities_by_month ON audit_entities (org_id, month);
CREATE INDEX audit_entities_by_id_key ON audit_entities (org_id, id_key);
CREATE INDEX audit_entities_by_name_key ON audit_entities (org_id, name_key);

CREATE TABLE audit_actors (
    org_id       bigint NOT NULL,
    id           uuid   NOT NULL DEFAULT gen_random_uuid(),
    month        integer NOT NULL,
    actor_id     text COLLATE "C" NOT NULL,
    actor_key    text COLLATE "C" NOT NULL,
    actor_name   text   NOT NULL,
    actor_email  text   NOT NULL,
    -- id, name and e-mail, folded, one a line.
    search_key   text COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX audit_actors_known ON audit_actors (org_id, actor_id, month);
CREATE INDEX audit_actors_by_user ON audit_actors (org_id, actor_key, actor_id);
CREATE INDEX audit_actors_by_month ON audit_actors (org_id, month);

CREATE TABLE audit_resource_links (
    org_id       bigint NOT NULL,
    entity_type  text COLLATE "C" NOT NULL,
    url_template text   NOT NULL,
    PRIMARY KEY (org_id, entity_type)
);

-- The last clean-up of each organization, and where the next one goes on.
CREATE TABLE audit_cleanups (
    org_id       bigint PRIMARY KEY,
    started_at   bigint NOT NULL,
    finished_at  bigint NOT NULL DEFAULT 0,
    deleted      bigint NOT NULL DEFAULT 0,
    succeeded_at bigint NOT NULL DEFAULT 0,
    error        text   NOT NULL DEFAULT '',
    -- Everything up to this entry is known to be gone.
    cleaned_to   uuid
);

-- The background jobs of all servers on this database.
CREATE TABLE audit_jobs (
    name         text COLLATE "C" PRIMARY KEY,
    started_at   bigint NOT NULL DEFAULT 0,
    finished_at  bigint NOT NULL DEFAULT 0,
    next_run_at  bigint NOT NULL DEFAULT 0,
    error        text   NOT NULL DEFAULT ''
);

CREATE TABLE audit_users (
    id            text COLLATE "C" PRIMARY KEY,
    email         text   NOT NULL,
    -- email, folded: one account an address, whatever its case.
    email_key     text COLLATE "C" NOT NULL UNIQUE,
    name          text   NOT NULL,
    password_hash text   NOT NULL,
    last_org_id   bigint NOT NULL DEFAULT 0,
    created_at    bigint NOT NULL
);

CREATE TABLE audit_memberships (
    org_id       bigint NOT NULL,
    user_id      text COLLATE "C" NOT NULL,
    role         text   NOT NULL CHECK (role IN ('admin', 'member')),
    created_at   bigint NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX audit_memberships_by_user ON audit_memberships (user_id, org_id);

-- Links that are shown once; only the SHA-256 of their token is kept.
CREATE TABLE audit_invitations (
    token_hash   bytea  PRIMARY KEY,
    org_id       bigint NOT NULL,
    email        text   NOT NULL DEFAULT '',
    role         text   NOT NULL CHECK (role IN ('admin', 'member')),
    invited_by   text   NOT NULL,
    created_at   bigint NOT NULL,
    expires_at   bigint NOT NULL,
    used_at      bigint NOT NULL DEFAULT 0
);
CREATE INDEX audit_invitations_by_org ON audit_invitations (org_id, created_at);

CREATE TABLE audit_password_resets (
    token_hash   bytea  PRIMARY KEY,
    user_id      text COLLATE "C" NOT NULL,
    created_at   bigint NOT NULL,
    expires_at   bigint NOT NULL,
    used_at      bigint NOT NULL DEFAULT 0
);

CREATE TABLE audit_setup_tokens (
    token_hash   bytea  PRIMARY KEY,
    created_at   bigint NOT NULL
);

CREATE TABLE audit_sessions (
    token_hash   bytea  PRIMARY KEY,
    user_id      text COLLATE "C" NOT NULL DEFAULT '',
    data         bytea  NOT NULL,
    created_at   bigint NOT NULL,
    seen_at      bigint NOT NULL,
    expires_at   bigint NOT NULL
);
CREATE INDEX audit_sessions_by_user ON audit_sessions (user_id);
CREATE INDEX audit_sessions_by_expiry ON audit_sessions (expires_at);

-- Facts about the database itself, such as the mark of a demo.
CREATE TABLE audit_meta (
    key          text PRIMARY KEY,
    value        text NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, lower(TG_OP);
END
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_entries_never_change BEFORE UPDATE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_entries_never_truncated BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_settings_changes_never_change BEFORE UPDATE OR DELETE ON audit_settings_changes
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_settings_changes_never_truncated BEFORE TRUNCATE ON audit_settings_changes
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

-- +goose Down
DROP TABLE audit_meta, audit_sessions, audit_setup_tokens, audit_password_resets, audit_invitations,
    audit_memberships, audit_users, audit_jobs, audit_cleanups, audit_resource_links, audit_actors,
    audit_entities, audit_entries, audit_settings_changes, audit_organizations;
DROP FUNCTION audit_refuse_change();
