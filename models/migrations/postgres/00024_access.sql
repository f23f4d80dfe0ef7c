-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- An auditor reads everything, and changes nothing.
ALTER TABLE audit_memberships DROP CONSTRAINT audit_memberships_role_check;
ALTER TABLE audit_memberships ADD CONSTRAINT audit_memberships_role_check CHECK (role IN ('member', 'auditor', 'admin'));
ALTER TABLE audit_invitations DROP CONSTRAINT audit_invitations_role_check;
ALTER TABLE audit_invitations ADD CONSTRAINT audit_invitations_role_check CHECK (role IN ('member', 'auditor', 'admin'));

-- Who read a log: a row for each minute, reader and view. The digest is of what follows, but for the names and how often.
CREATE TABLE audit_access_log (
    org_id       bigint  NOT NULL,
    minute       bigint  NOT NULL, -- when it began
    digest       bytea   NOT NULL,
    reader_id    text COLLATE "C" NOT NULL, -- of a person or an API key
    reader_name  text    NOT NULL,
    reader_email text    NOT NULL, -- empty for an API key
    kind         text COLLATE "C" NOT NULL,
    address      text    NOT NULL,
    ip           text    NOT NULL,
    times        integer NOT NULL,
    PRIMARY KEY (org_id, minute, digest)
);
CREATE INDEX audit_access_log_by_reader ON audit_access_log (org_id, reader_id, minute, digest);
CREATE INDEX audit_access_log_by_kind ON audit_access_log (org_id, kind, minute, digest);

-- What is kept from those with a role: patterns of actions with a space between each two, and all metadata.
CREATE TABLE audit_restrictions (
    org_id          bigint  NOT NULL,
    role            text    NOT NULL CHECK (role IN ('member', 'auditor')),
    hidden_actions  text    NOT NULL,
    metadata_hidden boolean NOT NULL,
    PRIMARY KEY (org_id, role)
);

-- +goose Down
DROP TABLE audit_restrictions;
DROP TABLE audit_access_log;
UPDATE audit_invitations SET role = 'member' WHERE role = 'auditor';
ALTER TABLE audit_invitations DROP CONSTRAINT audit_invitations_role_check;
ALTER TABLE audit_invitations ADD CONSTRAINT audit_invitations_role_check CHECK (role IN ('admin', 'member'));
UPDATE audit_memberships SET role = 'member' WHERE role = 'auditor';
ALTER TABLE audit_memberships DROP CONSTRAINT audit_memberships_role_check;
ALTER TABLE audit_memberships ADD CONSTRAINT audit_memberships_role_check CHECK (role IN ('admin', 'member'));
