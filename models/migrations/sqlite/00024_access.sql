-- +goose Up

-- An auditor reads everything, and changes nothing. A check is changed by making the table anew.
CREATE TABLE audit_memberships_new (
    org_id       integer NOT NULL,
    user_id      text NOT NULL,
    role         text   NOT NULL CHECK (role IN ('member', 'auditor', 'admin')),
    created_at   integer NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
INSERT INTO audit_memberships_new (org_id, user_id, role, created_at) SELECT org_id, user_id, role, created_at FROM audit_memberships;
DROP TABLE audit_memberships;
ALTER TABLE audit_memberships_new RENAME TO audit_memberships;
CREATE INDEX audit_memberships_by_user ON audit_memberships (user_id, org_id);

CREATE TABLE audit_invitations_new (
    token_hash   blob  PRIMARY KEY,
    org_id       integer NOT NULL,
    email        text   NOT NULL DEFAULT '',
    role         text   NOT NULL CHECK (role IN ('member', 'auditor', 'admin')),
    invited_by   text   NOT NULL,
    created_at   integer NOT NULL,
    expires_at   integer NOT NULL,
    used_at      integer NOT NULL DEFAULT 0
);
INSERT INTO audit_invitations_new (token_hash, org_id, email, role, invited_by, created_at, expires_at, used_at)
SELECT token_hash, org_id, email, role, invited_by, created_at, expires_at, used_at FROM audit_invitations;
DROP TABLE audit_invitations;
ALTER TABLE audit_invitations_new RENAME TO audit_invitations;
CREATE INDEX audit_invitations_by_org ON audit_invitations (org_id, created_at);

-- Who read a log: a row for each minute, reader and view. The digest is of what follows, but for the names and how often.
CREATE TABLE audit_access_log (
    org_id       integer NOT NULL,
    minute       integer NOT NULL, -- when it began
    digest       blob    NOT NULL,
    reader_id    text    NOT NULL, -- of a person or an API key
    reader_name  text    NOT NULL,
    reader_email text    NOT NULL, -- empty for an API key
    kind         text    NOT NULL,
    address      text    NOT NULL,
    ip           text    NOT NULL,
    times        integer NOT NULL,
    PRIMARY KEY (org_id, minute, digest)
);
CREATE INDEX audit_access_log_by_reader ON audit_access_log (org_id, reader_id, minute, digest);
CREATE INDEX audit_access_log_by_kind ON audit_access_log (org_id, kind, minute, digest);

-- What is kept from those with a role: patterns of actions with a space between each two, and all metadata.
CREATE TABLE audit_restrictions (
    org_id          integer NOT NULL,
    role            text    NOT NULL CHECK (role IN ('member', 'auditor')),
    hidden_actions  text    NOT NULL,
    metadata_hidden integer NOT NULL,
    PRIMARY KEY (org_id, role)
);

-- +goose Down
DROP TABLE audit_restrictions;
DROP TABLE audit_access_log;
UPDATE audit_invitations SET role = 'member' WHERE role = 'auditor';
UPDATE audit_memberships SET role = 'member' WHERE role = 'auditor';
